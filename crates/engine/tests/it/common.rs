//! Loading a reference model and asking it.

use std::sync::Arc;

use whittle_engine::{
    Done, Engine, EngineOptions, Event, Limits, PolicyChoice, Prefilled, Request,
};
use whittle_kv::{KvCache, Needs};
use whittle_models::{LoadOptions, Message, Model, ModelError, Prefill, PrefillObserver, Prompt};
use whittle_testing::golden;

pub(crate) const LLAVA: &str = "llava-next-mistral";

pub(crate) fn model(name: &str) -> Arc<dyn Model> {
    whittle_models::load(&golden(&format!("models/{name}")), &LoadOptions::default())
        .unwrap()
        .into()
}

pub(crate) fn engine(name: &str) -> Engine {
    Engine::start(model(name), EngineOptions::default()).unwrap()
}

/// A case of the reference data.
pub(crate) struct Case {
    pub(crate) request: Request,
    pub(crate) prompt_tokens: usize,
    /// Greedy ids with the full cache.
    pub(crate) ids: Vec<u32>,
}

/// Case `number` as a greedy request with the full cache that goes on after the end token.
pub(crate) fn case(model: &str, number: usize) -> Case {
    let json = std::fs::read(golden(&format!("{model}/case_{number}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let images: Vec<_> = json["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| image::open(golden(path.as_str().unwrap())).unwrap())
        .collect();
    let ids = ids(
        &format!("{model}/case_{number}.safetensors"),
        "generated_ids",
    );
    let request = Request {
        messages: vec![Message::user(
            json["user_text"].as_str().unwrap(),
            images.len(),
        )],
        images,
        policy: PolicyChoice::new("full", 1.0),
        limits: Limits {
            max_tokens: ids.len(),
            ignore_eos: true,
            ..Limits::default()
        },
    };
    Case {
        request,
        prompt_tokens: json["prompt_tokens"].as_u64().unwrap() as usize,
        ids,
    }
}

/// A tensor of token ids, stored as int64.
pub(crate) fn ids(file: &str, tensor: &str) -> Vec<u32> {
    let bytes = std::fs::read(golden(file)).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let data = tensors.tensor(tensor).unwrap().data().chunks_exact(8);
    data.map(|id| i64::from_le_bytes(id.try_into().unwrap()) as u32)
        .collect()
}

/// A complete answer.
pub(crate) struct Answered {
    pub(crate) prefilled: Prefilled,
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
    pub(crate) done: Done,
}

/// Runs a request and checks the order of its events.
pub(crate) fn ask(engine: &Engine, request: Request) -> Answered {
    let mut events = engine.submit(request).unwrap().map(Result::unwrap);
    let Some(Event::Prefilled(prefilled)) = events.next() else {
        panic!("the first event is Prefilled")
    };
    let (mut ids, mut text) = (Vec::new(), String::new());
    loop {
        match events.next() {
            Some(Event::Token { id, text: piece }) => {
                ids.push(id);
                text += &piece;
            }
            Some(Event::Done(done)) => {
                assert!(events.next().is_none(), "nothing follows Done");
                return Answered {
                    prefilled: *prefilled,
                    ids,
                    text,
                    done,
                };
            }
            other => panic!("unexpected event {other:?}"),
        }
    }
}

/// The methods of a `Model` that a wrapper leaves to the model in its field `inner`.
macro_rules! delegate_to_inner {
    () => {
        fn description(&self) -> &whittle_models::ModelDescription {
            self.inner.description()
        }

        fn tokenizer(&self) -> &whittle_models::TextTokenizer {
            self.inner.tokenizer()
        }

        fn prompt(
            &self,
            messages: &[whittle_models::Message],
            images: &[image::DynamicImage],
        ) -> Result<whittle_models::Prompt, whittle_models::ModelError> {
            self.inner.prompt(messages, images)
        }
    };
}
pub(crate) use delegate_to_inner;

/// The reference model, but whatever it is asked it says the same and then ends its turn.
pub(crate) struct Scripted {
    inner: Arc<dyn Model>,
    script: Vec<u32>,
    prompt_tokens: std::sync::atomic::AtomicUsize,
}

impl Scripted {
    pub(crate) fn engine(said: &str) -> Engine {
        let inner = model(LLAVA);
        let mut script = inner.tokenizer().encode(said, false).unwrap();
        script.push(inner.description().eos[0]);
        let model = Self {
            inner,
            script,
            prompt_tokens: 0.into(),
        };
        Engine::start(Arc::new(model), EngineOptions::default()).unwrap()
    }

    fn logits(&self, step: usize) -> Vec<f32> {
        let mut logits = vec![0.0; self.inner.description().text.vocabulary];
        logits[self.script[step] as usize] = 1.0;
        logits
    }
}

impl Model for Scripted {
    delegate_to_inner!();

    fn prefill(
        &self,
        prompt: &Prompt,
        cache: &mut KvCache,
        needs: &Needs,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Prefill, ModelError> {
        self.prompt_tokens
            .store(prompt.ids.len(), std::sync::atomic::Ordering::SeqCst);
        let prefill = self.inner.prefill(prompt, cache, needs, observer)?;
        Ok(Prefill {
            logits: self.logits(0),
            ..prefill
        })
    }

    fn decode(&self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError> {
        self.inner.decode(token, cache)?;
        let said =
            cache.logical_len() - self.prompt_tokens.load(std::sync::atomic::Ordering::SeqCst);
        Ok(self.logits(said))
    }
}
