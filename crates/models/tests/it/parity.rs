//! What every model has to reproduce of a golden case, given its prompt.

use std::ops::ControlFlow;

use whittle_kernels::{Isa, Kernels};
use whittle_kv::{KvCache, Needs, PromptInfo};
use whittle_models::{LoadOptions, Model, Prefill, PrefillObserver, Prompt};

use crate::golden::{Case, Deviations};

/// Keeps what a prefill shows from inside.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) hidden: Vec<Vec<f32>>,
    pub(crate) logits: Vec<f32>,
    pub(crate) progress: Vec<(usize, usize)>,
}

impl PrefillObserver for Recorder {
    fn progress(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        self.progress.push((done, total));
        ControlFlow::Continue(())
    }

    fn every_position(&self) -> bool {
        true
    }

    fn hidden(&mut self, layer: usize, start: usize, rows: &[f32]) {
        self.hidden
            .resize(self.hidden.len().max(layer + 1), Vec::new());
        let width = rows.len() / (rows.len() / 64);
        assert_eq!(
            self.hidden[layer].len(),
            start * width,
            "rows come in order"
        );
        self.hidden[layer].extend_from_slice(rows);
    }

    fn logits(&mut self, _start: usize, rows: &[f32]) {
        self.logits.extend_from_slice(rows);
    }
}

/// Options for every instruction-set path of this machine; f32 throughout where the weights are f32.
pub(crate) fn every_isa() -> impl Iterator<Item = LoadOptions> {
    Isa::available().into_iter().map(|isa| LoadOptions {
        kernels: Kernels::with_isa(isa).unwrap(),
        ..LoadOptions::default()
    })
}

/// A prompt without images.
pub(crate) fn text_prompt(ids: Vec<u32>) -> Prompt {
    Prompt {
        info: PromptInfo::text(ids.len()),
        ids,
        images: Vec::new(),
    }
}

/// An empty cache for the model.
pub(crate) fn new_cache(model: &dyn Model) -> KvCache {
    KvCache::new(model.description().cache).unwrap()
}

/// Prefills with everything recorded.
pub(crate) fn prefill(
    model: &dyn Model,
    prompt: &Prompt,
    needs: &Needs,
) -> (Prefill, KvCache, Recorder) {
    let mut cache = new_cache(model);
    let mut recorder = Recorder::default();
    let prefill = model
        .prefill(prompt, &mut cache, needs, &mut recorder)
        .unwrap();
    (prefill, cache, recorder)
}

/// Keys or values of a layer as `[KV heads, positions, head dim]`.
pub(crate) fn cached(cache: &KvCache, layer: usize, keys: bool) -> Vec<f32> {
    let views = cache.views(layer);
    let chunks = views.iter().flat_map(|view| &view.chunks);
    chunks
        .flat_map(|chunk| if keys { chunk.keys } else { chunk.values }.to_f32_vec())
        .collect()
}

/// Index of the largest logit, the first of equals.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// Decodes greedily, ignoring end tokens; the first of the `steps` tokens follows from `first`.
pub(crate) fn greedy(
    model: &dyn Model,
    first: Vec<f32>,
    cache: &mut KvCache,
    steps: usize,
) -> (Vec<u32>, Vec<f32>) {
    let mut ids = vec![argmax(&first)];
    let mut all = first;
    while ids.len() < steps {
        let logits = model.decode(ids[ids.len() - 1], cache).unwrap();
        ids.push(argmax(&logits));
        all.extend(logits);
    }
    (ids, all)
}

/// Compares embeddings, hidden states, logits of all positions, caches and the greedy continuation with the case.
pub(crate) fn check(model: &dyn Model, prompt: &Prompt, case: &Case, deviations: &mut Deviations) {
    assert_eq!(
        prompt.ids,
        case.ids("input_ids"),
        "{}: input_ids",
        case.name
    );
    assert_eq!(prompt.info.len, prompt.ids.len());
    let (prefill, mut cache, recorder) = prefill(model, prompt, &Needs::default());
    let mut compare = |name: &str, got: &[f32]| {
        deviations.compare(name, got, &case.floats(name), case.atol(name));
    };

    if case.has("inputs_embeds") {
        compare("inputs_embeds", &recorder.hidden[0]);
    }
    for (layer, hidden) in recorder.hidden.iter().enumerate() {
        let name = format!("hidden.{layer}");
        if case.has(&name) {
            compare(&name, hidden);
        }
    }
    compare("prefill_logits", &recorder.logits);
    for layer in 0..model.description().cache.layers {
        compare(&format!("key.{layer}"), &cached(&cache, layer, true));
        compare(&format!("value.{layer}"), &cached(&cache, layer, false));
    }
    let expected = case.ids("generated_ids");
    let (ids, logits) = greedy(model, prefill.logits, &mut cache, expected.len());
    assert_eq!(ids, expected, "{}: greedy ids", case.name);
    compare("step_logits", &logits);
    assert_eq!(cache.logical_len(), prompt.ids.len() + expected.len() - 1);
}
