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

/// One step of several sequences: what [`Sequence::step`] does with each, but the model runs once for all of them, so
/// that its weights are read once. Every sequence gets the tokens that it gets alone.
///
/// The results are in the order of the sequences; those that fail do not disturb the others.
pub fn step_together(sequences: &mut [&mut Sequence<'_>]) -> Vec<Result<Step, EngineError>> {
    decode_together(sequences);
    sequences
        .iter_mut()
        .map(|sequence| sequence.step())
        .collect()
}

/// Decodes the pending tokens of sequences of the same model in one go. Those that are still pending afterwards are to
/// be decoded alone: there is but one of them, or one of them fails.
fn decode_together(sequences: &mut [&mut Sequence<'_>]) {
    let Some(model) = sequences.first().map(|sequence| sequence.model) else {
        return;
    };
    let same = |sequence: &Sequence| {
        sequence.pending.is_some() && std::ptr::addr_eq(sequence.model, model)
    };
    let all = sequences.iter_mut();
    let mut pending: Vec<_> = all.filter(|sequence| same(sequence)).collect();
    if pending.len() < 2 {
        return;
    }
    let start = Instant::now();
    let tokens: Vec<u32> = pending.iter().filter_map(|s| s.pending).collect();
    let mut caches: Vec<&mut KvCache> = pending.iter_mut().map(|s| &mut s.cache).collect();
    let Ok(logits) = model.decode_batch(&tokens, &mut caches) else {
        return;
    };
    let time = start.elapsed();
    let vocabulary = logits.len() / pending.len();
    for (sequence, logits) in pending.into_iter().zip(logits.chunks_exact(vocabulary)) {
        sequence.decoded(logits.to_vec(), time);
    }
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
            let logits = self.model.decode(token, &mut self.cache)?;
            self.decoded(logits, start.elapsed());
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

    /// The pending token is in the cache.
    fn decoded(&mut self, logits: Vec<f32>, time: Duration) {
        self.pending = None;
        self.logits = logits;
        self.decode_time += time;
        self.decode_steps += 1;
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
