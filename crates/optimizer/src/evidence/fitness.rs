//! What is known of the original as a reference.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::trial::{Check, Outcome};
use crate::evidence::variants::{VariantKind, Variants, names};
use crate::evidence::words::Imports;

/// Two runs with random addresses and one with fixed ones.
const LAYOUTS: usize = 3;
/// Inputs that are named one by one.
const NAMED: usize = 5;

/// What is known of the original as a reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fitness {
    /// Sanitizers that ran and found nothing.
    pub sanitizers: Vec<String>,
    /// Optimization levels at which it printed the same.
    pub optimization_levels: Vec<String>,
    /// The compiler of other descent with which it printed the same.
    pub second_compiler: Option<String>,
    /// Address layouts under which each input gave the same.
    pub layouts: usize,
    /// Runs made, over all inputs that are fit.
    pub runs: usize,
    /// What lowers the claim, in words.
    pub lowered: Vec<String>,
}

/// What came of the inputs that are fit.
#[derive(Debug, Default)]
pub(super) struct Tally {
    runs: usize,
    /// By variant: on how many inputs it printed the same.
    same: BTreeMap<String, usize>,
    /// By variant: on how many inputs only floating-point numbers differed, within the tolerance.
    near: BTreeMap<String, usize>,
    /// By variant: the inputs for which it takes too long.
    too_slow: BTreeMap<String, Vec<String>>,
}

impl Tally {
    /// Adds an input.
    pub(super) fn add(&mut self, input: &str, checks: &[Check<'_>], outcomes: &[Outcome]) {
        self.runs += 1 + checks.len();
        for (check, outcome) in checks.iter().zip(outcomes) {
            let Check::Variant(variant) = check else {
                continue;
            };
            let name = variant.name.clone();
            match outcome {
                Outcome::Near => *self.near.entry(name).or_default() += 1,
                Outcome::Nothing => self
                    .too_slow
                    .entry(name)
                    .or_default()
                    .push(input.to_owned()),
                Outcome::Same | Outcome::Unfit(_) => *self.same.entry(name).or_default() += 1,
            }
        }
    }

    /// What follows from all inputs so far.
    pub(super) fn fitness(&self, variants: &Variants, imports: &Imports) -> Fitness {
        let mut fitness = Fitness {
            runs: self.runs,
            ..Fitness::default()
        };
        if self.runs > 0 {
            fitness.layouts = LAYOUTS;
        }
        for variant in &variants.built {
            let name = &variant.name;
            if !self.same.contains_key(name) && !self.near.contains_key(name) {
                continue;
            }
            match variant.kind {
                VariantKind::Level | VariantKind::Unoptimized => {
                    fitness.optimization_levels.push(name.clone());
                }
                VariantKind::SecondCompiler => fitness.second_compiler = Some(name.clone()),
                VariantKind::Sanitizer(sanitizer) => fitness.sanitizers.extend(names(sanitizer)),
            }
        }
        if self.runs > 0 {
            fitness.optimization_levels.push("-O3".to_owned());
        }
        fitness.lowered = self.lowered(variants, imports);
        fitness
    }

    fn lowered(&self, variants: &Variants, imports: &Imports) -> Vec<String> {
        let mut lowered = variants.missing.clone();
        lowered.extend(self.too_slow.iter().map(|(variant, names)| {
            let shown = names
                .iter()
                .take(NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let more = if names.len() > NAMED { ", …" } else { "" };
            let count = inputs(names.len());
            format!("not checked with {variant}, which takes too long, on {count}: {shown}{more}")
        }));
        lowered.extend(self.near.iter().map(|(variant, &count)| {
            format!(
                "built with {variant} it prints floating-point numbers that differ, within the tolerance, on {}",
                inputs(count)
            )
        }));
        let clocks = imports.clocks();
        if !clocks.is_empty() {
            let clocks = clocks.join(", ");
            lowered.push(format!(
                "it imports {clocks}, although its output did not show it"
            ));
        }
        lowered
    }
}

fn inputs(count: usize) -> String {
    if count == 1 {
        "1 input".to_owned()
    } else {
        format!("{count} inputs")
    }
}
