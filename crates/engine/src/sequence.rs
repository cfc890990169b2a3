//! One answer in the making.

use std::time::{Duration, Instant};

use whittle_kv::KvCache;
use whittle_models::{Model, TextStream};

use crate::sampling::Sampler;
use crate::stop::{Matched, StopMatcher};
use crate::{Done, EngineError, FinishReason, Limits};

/// The state of one answer between steps: cache, next logits, sampler, incomplete text.
pub struct Sequence<'m> {
    model: &'m dyn Model,
    cache: KvCache,
    logits: Vec<f32>,
    /// The last token while it is not yet in the cache.
    pending: Option<u32>,
    sampler: Sampler,
    text: TextStream<'m>,
    stop: StopMatcher,
    limits: Limits,
    prompt_tokens: usize,
    generated: usize,
    decode_steps: usize,
    decode_time: Duration,
}

/// What a step brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The token generated.
    pub id: u32,
    /// The text that it completes, possibly empty.
    pub text: String,
    /// Set if the answer is complete; the sequence must not be stepped any more.
    pub finished: Option<FinishReason>,
}

/// Generates the next token of every sequence; the steps come in the order of the sequences.
///
/// # Errors
/// As [`Sequence::step`].
pub fn step_together(sequences: &mut [Sequence<'_>]) -> Result<Vec<Step>, EngineError> {
    sequences.iter_mut().map(Sequence::step).collect()
}

impl<'m> Sequence<'m> {
    pub(crate) fn new(
        model: &'m dyn Model,
        limits: Limits,
        prompt: &[u32],
        cache: KvCache,
        logits: Vec<f32>,
    ) -> Result<Self, EngineError> {
        limits.validate()?;
        Ok(Self {
            model,
            cache,
            logits,
            pending: None,
            sampler: Sampler::new(limits.sampling, prompt)?,
            text: model.tokenizer().stream(),
            stop: StopMatcher::new(&limits.stop),
            limits,
            prompt_tokens: prompt.len(),
            generated: 0,
            decode_steps: 0,
            decode_time: Duration::ZERO,
        })
    }

    /// Generates the next token. The model runs only when its logits are needed, so the last token of an answer costs
    /// no step.
    pub fn step(&mut self) -> Result<Step, EngineError> {
        if let Some(token) = self.pending.take() {
            let start = Instant::now();
            self.logits = self.model.decode(token, &mut self.cache)?;
            self.decode_time += start.elapsed();
            self.decode_steps += 1;
        }
        let id = self.sampler.next(&self.logits)?;
        self.generated += 1;
        self.pending = Some(id);

        let eos = !self.limits.ignore_eos && self.model.description().eos.contains(&id);
        let piece = if eos {
            String::new()
        } else {
            self.text.push(id)?
        };
        let (mut text, stopped) = match self.stop.push(&piece) {
            Matched::Text(text) => (text, false),
            Matched::Stop(text) => (text, true),
        };
        // The token just generated takes position `logical_len` if it is ever decoded.
        let positions = self.cache.logical_len() + 1;
        let mut finished = if stopped {
            Some(FinishReason::Stop)
        } else if eos {
            Some(FinishReason::Eos)
        } else if self.generated >= self.limits.max_tokens {
            Some(FinishReason::MaxTokens)
        } else if positions > self.model.description().max_positions {
            Some(FinishReason::MaxPositions)
        } else {
            None
        };
        if finished.is_some() && !stopped {
            // What is still held back: an incomplete character, or the start of a stop string that did not come.
            match self.stop.push(&self.text.finish()?) {
                Matched::Text(rest) => text += &(rest + &self.stop.finish()),
                Matched::Stop(rest) => {
                    text += &rest;
                    finished = Some(FinishReason::Stop);
                }
            }
        }
        Ok(Step { id, text, finished })
    }

    /// The summary of an answer that ended for this reason.
    pub fn done(&self, reason: FinishReason) -> Done {
        Done {
            reason,
            prompt_tokens: self.prompt_tokens,
            generated_tokens: self.generated,
            decode_steps: self.decode_steps,
            decode_time: self.decode_time,
        }
    }

    /// The cache as it is now.
    pub fn cache(&self) -> &KvCache {
        &self.cache
    }
}
