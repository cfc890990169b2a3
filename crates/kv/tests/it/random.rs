//! Possible statistics of any shape, and options of any kind, for property tests.

use proptest::prelude::*;
use whittle_kv::{
    LayerStatistics, Needs, Plan, PolicyOptions, PromptInfo, Scores, Statistics, WindowReading,
};

/// What statistics are made from; the numbers follow from the seed.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) layers: usize,
    pub(crate) kv_heads: usize,
    /// Query heads per KV head.
    pub(crate) group: usize,
    pub(crate) len: usize,
    /// End of the visual tokens; 0 for text.
    pub(crate) vision_end: usize,
    pub(crate) seed: u64,
}

pub(crate) fn recipe() -> impl Strategy<Value = Recipe> {
    let sizes = (1_usize..7, 1_usize..4, 1_usize..4, 1_usize..260);
    (sizes, any::<u64>(), any::<prop::sample::Index>()).prop_map(
        |((layers, kv_heads, group, len), seed, end)| Recipe {
            layers,
            kv_heads,
            group,
            len,
            vision_end: end.index(len),
            seed,
        },
    )
}

pub(crate) fn options() -> impl Strategy<Value = PolicyOptions> {
    let alpha = prop_oneof![0.001_f64..1.0, Just(1.0), Just(0.1), Just(0.5)];
    let windows = prop_oneof![Just(WindowReading::Shared), Just(WindowReading::PerLayer)];
    (alpha, any::<bool>(), windows, any::<bool>()).prop_map(
        |(alpha, exact, window, head_adaptive)| PolicyOptions {
            alpha,
            exact,
            window,
            head_adaptive,
            ..PolicyOptions::default()
        },
    )
}

impl Recipe {
    pub(crate) fn prompt(&self) -> PromptInfo {
        let visual = (self.vision_end > 0).then_some(0..self.vision_end);
        PromptInfo {
            len: self.len,
            visual: visual.into_iter().collect(),
        }
    }

    /// Statistics like those of real attention: non-negative, rows adding up to one, a few positions with most of it.
    pub(crate) fn statistics(&self, needs: &Needs) -> Statistics {
        let mut random = Random(self.seed);
        let mut scores = |rows: usize| {
            let mass = (rows * self.group) as f64;
            let mut sums = Vec::with_capacity(self.kv_heads * self.len);
            for _ in 0..self.kv_heads {
                let raw: Vec<f64> = (0..self.len)
                    .map(|_| random.unit().powi(4) + 1e-6)
                    .collect();
                let total: f64 = raw.iter().sum();
                sums.extend(raw.iter().map(|x| (x / total * mass) as f32));
            }
            let entries = (self.len - rows..self.len)
                .map(|row| row as u64 + 1)
                .sum::<u64>();
            let passing = |_| (random.unit() * random.unit() * entries as f64) as u64 + 1;
            let passing = (0..self.kv_heads * self.group)
                .map(passing)
                .map(|p| p.min(entries))
                .collect();
            Scores::new(self.kv_heads, self.len, rows, sums, passing, entries).unwrap()
        };
        let mut layer = || LayerStatistics {
            post_vision: needs.post_vision.map(&mut scores),
            tail: needs.tail.map(&mut scores),
            column_sums: needs.column_sums.then(|| scores(self.len)),
        };
        let layers = (0..self.layers).map(|_| layer()).collect();
        Statistics {
            prompt: self.prompt(),
            kv_heads: self.kv_heads,
            layers,
        }
    }

    /// The plan of a policy for these statistics.
    pub(crate) fn plan(&self, policy: &str, options: &PolicyOptions) -> Plan {
        let policy = whittle_kv::policy(policy, options).unwrap();
        let needs = policy.needs(&self.prompt()).unwrap();
        policy.plan(&self.statistics(&needs)).unwrap()
    }
}

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
