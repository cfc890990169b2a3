//! Collects attention statistics chunk by chunk during prefill.
//!
//! A query row's softmax is complete once its chunk is in the cache, and token scores and threshold counts are sums over
//! rows. So the sums of the chunks add up to those of the whole prompt, and no queries have to be kept.

use std::time::{Duration, Instant};

use whittle_kernels::{AttentionStatistics, Heads, Kernels, KvView, RowStatistics};
use whittle_kv::{LayerStatistics, Needs, PromptInfo, Scores, Statistics};

use crate::error::ModelError;

/// The last query rows of a chunk and what attention over them left behind.
pub(crate) struct TailQueries<'a> {
    /// Rotated queries `[rows, query heads, head dim]`.
    pub(crate) q: &'a [f32],
    /// Prompt position of the first of them.
    pub(crate) start: usize,
    /// Maximum and sum of the softmax rows, where attention was computed for just these rows.
    pub(crate) softmax: Option<&'a RowStatistics>,
}

/// Statistics of all layers, as far as a policy needs them.
pub(crate) struct Collector {
    kernels: Kernels,
    heads: Heads,
    needs: Needs,
    prompt: PromptInfo,
    layers: Vec<Sums>,
    time: Duration,
}

/// What was summed so far in one layer.
#[derive(Default)]
struct Sums {
    post_vision: Option<AttentionStatistics>,
    tail: Option<AttentionStatistics>,
    columns: Option<AttentionStatistics>,
}

impl Collector {
    /// # Errors
    /// More rows are needed than the prompt has.
    pub(crate) fn new(
        kernels: Kernels,
        heads: Heads,
        layers: usize,
        prompt: &PromptInfo,
        needs: &Needs,
    ) -> Result<Self, ModelError> {
        let rows = needs.post_vision.max(needs.tail).unwrap_or(0);
        if rows > prompt.len {
            return Err(whittle_kv::PlanError::TooManyRows {
                rows,
                len: prompt.len,
            }
            .into());
        }
        Ok(Self {
            kernels,
            heads,
            needs: *needs,
            prompt: prompt.clone(),
            layers: std::iter::repeat_with(Sums::default).take(layers).collect(),
            time: Duration::ZERO,
        })
    }

    /// Time spent so far.
    pub(crate) fn time(&self) -> Duration {
        self.time
    }

    /// How many of the last `rows` rows, the first of them at prompt position `start`, have to be scored.
    pub(crate) fn tail_rows(&self, start: usize, rows: usize) -> usize {
        let first = self.prompt.len - self.needs.rows(self.prompt.len);
        (start + rows).saturating_sub(first.max(start))
    }

    /// Adds the scored rows of a chunk; `kv` is the layer's cache up to the last of them.
    pub(crate) fn collect(
        &mut self,
        layer: usize,
        tail: &TailQueries,
        kv: &[KvView],
        scale: f32,
    ) -> Result<(), ModelError> {
        let begin = Instant::now();
        let windows = [
            self.needs.post_vision,
            self.needs.tail,
            self.needs.column_sums.then_some(self.prompt.len),
        ];
        let row = self.heads.query * self.heads.dim;
        let end = tail.start + tail.q.len() / row;
        let sums = &mut self.layers[layer];
        for (window, sum) in
            windows
                .iter()
                .zip([&mut sums.post_vision, &mut sums.tail, &mut sums.columns])
        {
            let Some(rows) = *window else { continue };
            let first = (self.prompt.len - rows).max(tail.start);
            if first >= end {
                continue;
            }
            let q = &tail.q[(first - tail.start) * row..];
            let softmax = tail.softmax.filter(|softmax| softmax.rows == end - first);
            let filter = self.needs.filter;
            let found = self
                .kernels
                .attention_statistics(q, first, kv, self.heads, scale, filter, softmax)?;
            accumulate(sum, found, end, self.prompt.len);
        }
        self.time += begin.elapsed();
        Ok(())
    }

    /// The statistics of the whole prompt.
    pub(crate) fn finish(self) -> Result<Statistics, ModelError> {
        let (heads, len) = (self.heads.kv, self.prompt.len);
        let scores = |sum: Option<AttentionStatistics>, rows: Option<usize>| {
            sum.zip(rows)
                .map(|(s, rows)| {
                    Scores::new(heads, len, rows, s.scores, s.passing, s.causal_entries)
                })
                .transpose()
        };
        let layers = self
            .layers
            .into_iter()
            .map(|sums| {
                Ok(LayerStatistics {
                    post_vision: scores(sums.post_vision, self.needs.post_vision)?,
                    tail: scores(sums.tail, self.needs.tail)?,
                    column_sums: scores(sums.columns, Some(len))?,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        Ok(Statistics {
            prompt: self.prompt,
            kv_heads: heads,
            layers,
        })
    }
}

/// Adds the statistics of a chunk, whose rows see the first `seen` of `len` positions.
fn accumulate(
    sum: &mut Option<AttentionStatistics>,
    found: AttentionStatistics,
    seen: usize,
    len: usize,
) {
    if sum.is_none() && seen == len {
        *sum = Some(found);
        return;
    }
    let heads = found.scores.len() / seen;
    let sum = sum.get_or_insert_with(|| AttentionStatistics {
        scores: vec![0.0; heads * len],
        passing: vec![0; found.passing.len()],
        causal_entries: 0,
    });
    for (sum, found) in sum
        .scores
        .chunks_exact_mut(len)
        .zip(found.scores.chunks_exact(seen))
    {
        for (sum, found) in sum.iter_mut().zip(found) {
            *sum += found;
        }
    }
    for (sum, found) in sum.passing.iter_mut().zip(&found.passing) {
        *sum += found;
    }
    sum.causal_entries += found.causal_entries;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(needs: Needs) -> Collector {
        let heads = Heads {
            query: 1,
            kv: 1,
            dim: 2,
        };
        Collector::new(Kernels::detect(), heads, 1, &PromptInfo::text(10), &needs).unwrap()
    }

    #[test]
    fn rows_are_counted_from_the_end_of_the_prompt() {
        let last_three = collector(Needs {
            post_vision: Some(3),
            tail: Some(2),
            ..Needs::default()
        });
        assert_eq!(last_three.tail_rows(0, 4), 0);
        assert_eq!(last_three.tail_rows(4, 4), 1, "row 7 of 10");
        assert_eq!(last_three.tail_rows(8, 2), 2);
        assert_eq!(last_three.tail_rows(0, 10), 3);
        let all = collector(Needs {
            column_sums: true,
            ..Needs::default()
        });
        assert_eq!(all.tail_rows(0, 4), 4);
        assert_eq!(collector(Needs::default()).tail_rows(0, 10), 0);
    }

    #[test]
    fn chunks_add_up_column_by_column() {
        let chunk = |scores: &[f32], passing, causal_entries| AttentionStatistics {
            scores: scores.to_vec(),
            passing: vec![passing],
            causal_entries,
        };
        let mut sum = None;
        // Two KV heads; the first chunk sees two of three positions.
        accumulate(&mut sum, chunk(&[1.0, 2.0, 3.0, 4.0], 2, 3), 2, 3);
        accumulate(
            &mut sum,
            chunk(&[0.5, 0.5, 0.5, 0.25, 0.25, 0.25], 1, 3),
            3,
            3,
        );
        let expected = chunk(&[1.5, 2.5, 0.5, 3.25, 4.25, 0.25], 3, 6);
        assert_eq!(sum, Some(expected));
    }
}
