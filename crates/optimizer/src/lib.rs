//! Agents, guide, budget, archive, evidence, report: a faster program with proof.
#![cfg(target_os = "linux")]
