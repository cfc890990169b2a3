//! A prompt that has been read: full cache, next logits, attention statistics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use whittle_kv::{KvCache, Needs, Policy};
use whittle_models::{ImageInput, Model, Prefill, PrefillObserver, Prompt};

use crate::memory;
use crate::{Compression, EngineError, ImagePlace, Limits, Prefilled, Sequence, Times};

/// A prompt in a full cache, from which sequences start.
pub struct Prefix {
    prompt: Vec<u32>,
    visual_tokens: usize,
    images: Arc<[ImagePlace]>,
    cache: KvCache,
    prefill: Prefill,
    prompt_time: Duration,
}

impl Prefix {
    /// Checks that the memory suffices and runs the prompt through the model. `memory_limit` replaces the memory that
    /// the system has available; `prompt_time` is what building the prompt took.
    pub fn new(
        model: &dyn Model,
        prompt: Prompt,
        needs: &Needs,
        memory_limit: Option<u64>,
        prompt_time: Duration,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Self, EngineError> {
        let needed = memory::prefill_bytes(model.description(), prompt.ids.len());
        if let Some(available) = memory_limit.or_else(memory::available)
            && needed > available
        {
            return Err(EngineError::TooLittleMemory {
                prompt_tokens: prompt.ids.len(),
                needed,
                available,
            });
        }
        let mut cache = KvCache::new(model.description().cache)?;
        let prefill = model.prefill(&prompt, &mut cache, needs, observer)?;
        let visual_tokens = prompt.info.visual.iter().map(ExactSizeIterator::len).sum();
        let place = |image: ImageInput| ImagePlace {
            tokens: image.tokens,
            layout: image.layout,
        };
        let images = prompt.images.into_iter().map(place).collect();
        Ok(Self {
            prompt: prompt.ids,
            visual_tokens,
            images,
            cache,
            prefill,
            prompt_time,
        })
    }

    /// Compresses the cache in place and starts the sequence: the dropped entries are gone.
    pub fn into_sequence<'m>(
        self,
        model: &'m dyn Model,
        policy: &dyn Policy,
        limits: Limits,
    ) -> Result<(Prefilled, Sequence<'m>), EngineError> {
        let Self {
            prompt,
            visual_tokens,
            images,
            mut cache,
            prefill,
            prompt_time,
        } = self;
        let start = Instant::now();
        let compression = Compression::apply(policy, &prefill.statistics, &mut cache)?;
        let times = Times {
            prompt: prompt_time,
            model: prefill.times,
            compress: start.elapsed(),
        };
        let prefilled = Prefilled {
            prompt_tokens: prompt.len(),
            visual_tokens,
            images,
            compression,
            times,
        };
        let sequence = Sequence::new(model, limits, &prompt, cache, prefill.logits)?;
        Ok((prefilled, sequence))
    }

    /// Starts a sequence with a compressed copy of the cache; the prefix stays as it is. Its statistics must cover what
    /// the policy needs ([`merge_needs`]).
    pub fn fork<'m>(
        &self,
        model: &'m dyn Model,
        policy: &dyn Policy,
        limits: Limits,
    ) -> Result<(Prefilled, Sequence<'m>), EngineError> {
        let copy = Self {
            prompt: self.prompt.clone(),
            visual_tokens: self.visual_tokens,
            images: Arc::clone(&self.images),
            cache: self.cache.fork(),
            prefill: self.prefill.clone(),
            prompt_time: self.prompt_time,
        };
        copy.into_sequence(model, policy, limits)
    }
}

/// What one prefill has to collect so that both policies can plan from it; `None` if they want different rows.
pub fn merge_needs(a: &Needs, b: &Needs) -> Option<Needs> {
    let differ = |a: Option<usize>, b: Option<usize>| a.is_some() && b.is_some() && a != b;
    let thresholds_differ =
        a.post_vision.is_some() && b.post_vision.is_some() && a.filter != b.filter;
    if thresholds_differ || differ(a.post_vision, b.post_vision) || differ(a.tail, b.tail) {
        return None;
    }
    Some(Needs {
        post_vision: a.post_vision.or(b.post_vision),
        tail: a.tail.or(b.tail),
        column_sums: a.column_sums || b.column_sums,
        filter: if a.post_vision.is_some() {
            a.filter
        } else {
            b.filter
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_merge_where_the_rows_agree() {
        let vl_cache = Needs {
            post_vision: Some(20),
            filter: 0.01,
            ..Needs::default()
        };
        let h2o = Needs {
            post_vision: Some(20),
            column_sums: true,
            filter: 0.01,
            ..Needs::default()
        };
        let snapkv = |w| Needs {
            post_vision: Some(20),
            tail: Some(w),
            filter: 0.01,
            ..Needs::default()
        };
        let both = merge_needs(&vl_cache, &h2o).unwrap();
        assert_eq!(both, h2o);
        let three = merge_needs(&both, &snapkv(5)).unwrap();
        assert_eq!(
            three,
            Needs {
                tail: Some(5),
                ..h2o
            }
        );
        assert_eq!(merge_needs(&three, &snapkv(6)), None);
        assert_eq!(
            merge_needs(
                &vl_cache,
                &Needs {
                    filter: 0.02,
                    ..vl_cache
                }
            ),
            None
        );
        let nothing = Needs {
            filter: 0.5,
            ..Needs::default()
        };
        assert_eq!(merge_needs(&nothing, &vl_cache).unwrap(), vl_cache);
    }
}
