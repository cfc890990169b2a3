//! What the engine measures during prefill and a policy decides by.

use std::ops::Range;

use crate::budget::flat;
use crate::{PlanError, PolicyOptions};

/// The prompt as a policy sees it, after image expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptInfo {
    /// Length m in tokens.
    pub len: usize,
    /// Spans of visual tokens, ascending and disjoint; empty for text.
    pub visual: Vec<Range<usize>>,
}

impl PromptInfo {
    /// A prompt without images.
    pub fn text(len: usize) -> Self {
        Self {
            len,
            visual: Vec::new(),
        }
    }

    /// The number of post-vision rows tau: tokens after the last visual token. Where there are none, or no visual
    /// tokens, the last `observation_window` tokens play this part.
    pub fn post_vision(&self, observation_window: usize) -> usize {
        let after = self
            .visual
            .last()
            .map_or(0, |span| self.len.saturating_sub(span.end));
        if after > 0 {
            after
        } else {
            observation_window.min(self.len)
        }
    }

    /// Checks length and spans.
    pub fn validate(&self) -> Result<(), PlanError> {
        if self.len == 0 {
            return Err(PlanError::EmptyPrompt);
        }
        if u32::try_from(self.len).is_err() {
            return Err(PlanError::PromptTooLong(self.len));
        }
        let mut end = 0;
        for span in &self.visual {
            if span.start < end || span.is_empty() || span.end > self.len {
                return Err(PlanError::VisualSpan {
                    span: span.clone(),
                    len: self.len,
                });
            }
            end = span.end;
        }
        Ok(())
    }
}

/// Which attention rows a policy has to see summed. Row counts are counted from the prompt's end.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Needs {
    /// Sums and threshold counts over the last tau rows: the post-vision attention, by which retained mass is measured.
    pub post_vision: Option<usize>,
    /// Sums over the last w rows: an observation window.
    pub tail: Option<usize>,
    /// Sums over all rows.
    pub column_sums: bool,
    /// Threshold filter p for the post-vision counts.
    pub filter: f32,
}

impl Needs {
    /// Just the post-vision scores, by which retained mass is measured.
    pub(crate) fn retained_mass(
        prompt: &PromptInfo,
        options: &PolicyOptions,
    ) -> Result<Self, PlanError> {
        prompt.validate()?;
        let rows = prompt.post_vision(options.observation_window);
        Ok(Self {
            post_vision: Some(rows),
            filter: options.filter as f32,
            ..Self::default()
        })
    }

    /// In addition, scores over the recent window that the requested budget has.
    pub(crate) fn observation_window(
        prompt: &PromptInfo,
        options: &PolicyOptions,
    ) -> Result<Self, PlanError> {
        let needs = Self::retained_mass(prompt, options)?;
        Ok(Self {
            tail: Some(flat(prompt.len, options.alpha, options.recent).window),
            ..needs
        })
    }

    /// How many of a prompt's last query rows have to be scored.
    pub fn rows(&self, len: usize) -> usize {
        let tails = self.post_vision.unwrap_or(0).max(self.tail.unwrap_or(0));
        if self.column_sums { len } else { tails }
    }
}

/// Attention of some query rows of one layer, summed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    kv_heads: usize,
    len: usize,
    rows: usize,
    sums: Vec<f32>,
    passing: Vec<u64>,
    causal_entries: u64,
}

impl Scores {
    /// Scores over the last `rows` query rows of a prompt of `len` tokens.
    ///
    /// `sums` is `[kv_heads, len]`: softmax columns summed over the rows and over the query heads that share a KV head.
    /// `passing` is `[query heads]`: entries of at least p times their row's maximum, of `causal_entries` each.
    pub fn new(
        kv_heads: usize,
        len: usize,
        rows: usize,
        sums: Vec<f32>,
        passing: Vec<u64>,
        causal_entries: u64,
    ) -> Result<Self, PlanError> {
        if len == 0 {
            return Err(PlanError::EmptyPrompt);
        }
        if rows > len {
            return Err(PlanError::TooManyRows { rows, len });
        }
        let expected = kv_heads.saturating_mul(len);
        if sums.len() != expected || kv_heads == 0 {
            return Err(PlanError::Shape {
                what: "attention scores".into(),
                expected,
                found: sums.len(),
            });
        }
        if passing.is_empty() || !passing.len().is_multiple_of(kv_heads) {
            let what = format!("threshold counts of query heads that share {kv_heads} KV heads");
            return Err(PlanError::Shape {
                what,
                expected: kv_heads,
                found: passing.len(),
            });
        }
        Ok(Self {
            kv_heads,
            len,
            rows,
            sums,
            passing,
            causal_entries,
        })
    }

    /// Number of KV heads.
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Prompt length.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: scores cover at least one position.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Query rows that were summed.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The score of every position for one KV head.
    ///
    /// # Panics
    /// If the head does not exist.
    pub fn head(&self, kv_head: usize) -> &[f32] {
        &self.sums[kv_head * self.len..(kv_head + 1) * self.len]
    }

    /// Share of the causally visible entries below the threshold, averaged over the query heads: the layer's sparsity
    /// gamma, in the float32 arithmetic of the published code.
    pub fn sparsity(&self) -> f32 {
        let entries = self.causal_entries as f32;
        let sum: f32 = self
            .passing
            .iter()
            .map(|passing| (entries - *passing as f32) / entries)
            .sum();
        sum / self.passing.len() as f32
    }

    fn validate(
        &self,
        layer: usize,
        prompt: &PromptInfo,
        kv_heads: usize,
    ) -> Result<(), PlanError> {
        for (what, expected, found) in [
            ("KV heads", kv_heads, self.kv_heads),
            ("scored positions", prompt.len, self.len),
        ] {
            if expected != found {
                return Err(PlanError::Shape {
                    what: format!("layer {layer}: {what}"),
                    expected,
                    found,
                });
            }
        }
        if let Some(at) = self
            .sums
            .iter()
            .position(|score| !(score.is_finite() && *score >= 0.0))
        {
            let (kv_head, position) = (at / self.len, at % self.len);
            return Err(PlanError::Score {
                layer,
                kv_head,
                position,
                value: self.sums[at],
            });
        }
        if self.sums.iter().all(|score| *score == 0.0) {
            return Err(PlanError::NoAttention(layer));
        }
        let entries = self.causal_entries;
        match self
            .passing
            .iter()
            .position(|passing| *passing > entries || entries == 0)
        {
            Some(head) => Err(PlanError::Passing {
                layer,
                head,
                passing: self.passing[head],
                entries,
            }),
            None => Ok(()),
        }
    }
}

/// Scores of one layer; those that nobody asked for are `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerStatistics {
    /// See [`Needs::post_vision`].
    pub post_vision: Option<Scores>,
    /// See [`Needs::tail`].
    pub tail: Option<Scores>,
    /// See [`Needs::column_sums`].
    pub column_sums: Option<Scores>,
}

/// Statistics of all layers of one prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// The prompt that was prefilled.
    pub prompt: PromptInfo,
    /// Number of KV heads, the same in every layer.
    pub kv_heads: usize,
    /// One entry per layer, empty ones where a policy needs nothing.
    pub layers: Vec<LayerStatistics>,
}

impl Statistics {
    /// Checks that the prompt is sound, that everything in `needs` is there for every layer, and that all numbers
    /// given are possible for attention.
    pub fn validate(&self, needs: &Needs) -> Result<(), PlanError> {
        self.prompt.validate()?;
        if self.layers.is_empty() {
            return Err(PlanError::Shape {
                what: "layers with statistics".into(),
                expected: 1,
                found: 0,
            });
        }
        if self.kv_heads == 0 {
            return Err(PlanError::Shape {
                what: "KV heads".into(),
                expected: 1,
                found: 0,
            });
        }
        for (layer, statistics) in self.layers.iter().enumerate() {
            let rows = [
                needs.post_vision,
                needs.tail,
                needs.column_sums.then_some(self.prompt.len),
            ];
            let names = [
                "post-vision scores",
                "observation-window scores",
                "column sums",
            ];
            for ((scores, rows), what) in statistics.all().into_iter().zip(rows).zip(names) {
                match (scores, rows) {
                    (Some(scores), _) => scores.validate(layer, &self.prompt, self.kv_heads)?,
                    (None, Some(_)) => return Err(PlanError::Missing { layer, what }),
                    (None, None) => continue,
                }
                let found = scores.map_or(0, |scores| scores.rows);
                if let Some(expected) = rows.filter(|rows| *rows != found) {
                    return Err(PlanError::Rows {
                        layer,
                        what,
                        expected,
                        found,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Statistics {
    /// Post-vision scores of every layer.
    pub fn post_vision(&self) -> Result<Vec<&Scores>, PlanError> {
        self.of_every_layer("post-vision scores", |layer| layer.post_vision.as_ref())
    }

    /// Observation-window scores of every layer.
    pub fn tail(&self) -> Result<Vec<&Scores>, PlanError> {
        self.of_every_layer("observation-window scores", |layer| layer.tail.as_ref())
    }

    /// Column sums of every layer.
    pub fn column_sums(&self) -> Result<Vec<&Scores>, PlanError> {
        self.of_every_layer("column sums", |layer| layer.column_sums.as_ref())
    }

    fn of_every_layer(
        &self,
        what: &'static str,
        scores: impl Fn(&LayerStatistics) -> Option<&Scores>,
    ) -> Result<Vec<&Scores>, PlanError> {
        let layers = self.layers.iter().enumerate();
        layers
            .map(|(layer, statistics)| scores(statistics).ok_or(PlanError::Missing { layer, what }))
            .collect()
    }
}

impl LayerStatistics {
    fn all(&self) -> [Option<&Scores>; 3] {
        [
            self.post_vision.as_ref(),
            self.tail.as_ref(),
            self.column_sums.as_ref(),
        ]
    }
}
