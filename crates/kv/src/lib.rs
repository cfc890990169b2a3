//! KV-cache compression for one prompt, right after its prefill: statistics in, a plan out, and the storage that a
//! plan is applied to.
//!
//! A [`Policy`] never touches bytes. It declares what it has to see ([`Needs`]), is given the [`Statistics`] of all
//! layers together and returns a [`Plan`]: the sorted positions that stay, per layer and KV head. Most policies are two
//! small parts, a budgeter ([`budget`]: how many positions per layer) and a selector ([`select`]: which ones). The
//! [`KvCache`] owns the bytes; [`KvCache::apply`] compacts it and gives the memory back to the operating system at once.
//!
//! Policies are found by name in the [`registry`]:
//!
//! ```
//! use whittle_kv::{LayerStatistics, PolicyOptions, PromptInfo, Scores, Statistics, policy};
//!
//! let policy = policy("vl-cache", &PolicyOptions { alpha: 0.25, ..PolicyOptions::default() })?;
//! let prompt = PromptInfo { len: 16, visual: vec![2..12] };
//! // Four post-vision rows, one KV head with one query head; a real engine measures these.
//! let needs = policy.needs(&prompt)?;
//! assert_eq!(needs.post_vision, Some(4));
//! let scores = Scores::new(1, 16, 4, vec![0.25; 16], vec![20], 58)?;
//! let layer = LayerStatistics { post_vision: Some(scores), ..LayerStatistics::default() };
//! let plan = policy.plan(&Statistics { prompt, kv_heads: 1, layers: vec![layer.clone(), layer] })?;
//! assert_eq!(plan.kept_total(), 8); // a quarter of 2 layers x 16 positions
//! assert!(plan.kept(0, 0).contains(&15)); // the most recent token always stays
//! # Ok::<(), whittle_kv::PlanError>(())
//! ```
//!
//! The method is VL-Cache (arXiv 2410.23317); the formulas of its peers are those of EffiVLM-Bench.

pub mod budget;
mod cache;
mod error;
mod options;
mod plan;
mod policies;
mod policy;
pub mod select;
mod statistics;

pub use cache::{CacheShape, KvCache, MemoryPool};
pub use error::{CacheError, PlanError};
pub use options::{PolicyOptions, WindowReading};
pub use plan::{Kept, Plan};
pub use policies::{PolicyEntry, policy, registry};
pub use policy::{Policy, Tolerances};
pub use statistics::{LayerStatistics, Needs, PromptInfo, Scores, Statistics};
