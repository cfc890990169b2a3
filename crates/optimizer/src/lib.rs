//! Agents, guide, budget, archive, evidence, report: a faster program with evidence for it.
//!
//! A run is a [`tree`] of [`candidate`]s that grows from the original: the guide picks a node and an agent, the agent
//! proposes candidates, each is built, climbs the [`evidence`] ladder as far as the search asks, and is timed. What is
//! fastest in the search is checked further and measured afresh on inputs that nobody has seen; only that is reported.
#![cfg(target_os = "linux")]

pub mod agents;
pub mod archive;
pub mod budget;
pub mod candidate;
pub mod edit;
pub mod evidence;
pub mod guides;
pub mod inputs;
pub mod program;
mod prompts;
pub mod report;
pub mod session;
pub mod tree;
