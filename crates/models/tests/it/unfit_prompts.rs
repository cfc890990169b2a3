//! Prompts, caches and requests that do not fit the model: typed errors, and nothing is lost.

use whittle_kv::{CacheShape, KvCache, Needs, PlanError, PromptInfo};
use whittle_models::{LoadOptions, Message, Model, ModelError, Prompt, load};

use crate::golden::{Case, model_folder, rewrite};
use crate::parity::{new_cache, text_prompt};

const NONE: Needs = Needs {
    post_vision: None,
    tail: None,
    column_sums: false,
    filter: 0.01,
};

fn model(name: &str) -> Box<dyn Model> {
    load(model_folder(name).path(), &LoadOptions::default()).unwrap()
}

fn prefill(model: &dyn Model, prompt: &Prompt, needs: &Needs) -> Result<(), ModelError> {
    let cache = &mut new_cache(model);
    model.prefill(prompt, cache, needs, &mut ()).map(|_| ())
}

#[test]
fn positions_are_bounded() {
    let folder = model_folder("llama");
    rewrite(folder.path(), "config.json", |config| {
        let config = String::from_utf8(config).unwrap();
        config
            .replace(
                "\"max_position_embeddings\": 2048",
                "\"max_position_embeddings\": 12",
            )
            .into_bytes()
    });
    let model = load(folder.path(), &LoadOptions::default()).unwrap();
    assert_eq!(model.description().max_positions, 12);
    let too_long = model.prompt(
        &[Message::user(
            "a text of more than a dozen tokens, as anyone can see",
            0,
        )],
        &[],
    );
    assert!(
        matches!(too_long, Err(ModelError::TooLong { max: 12, .. })),
        "{too_long:?}"
    );
    let mut cache = new_cache(&*model);
    let too_long = model.prefill(&text_prompt(vec![1; 13]), &mut cache, &NONE, &mut ());
    assert!(
        matches!(
            too_long,
            Err(ModelError::TooLong {
                tokens: 13,
                max: 12
            })
        ),
        "{too_long:?}"
    );
    model
        .prefill(&text_prompt(vec![1; 11]), &mut cache, &NONE, &mut ())
        .unwrap();
    model.decode(1, &mut cache).unwrap();
    let full = model.decode(1, &mut cache);
    assert!(
        matches!(
            full,
            Err(ModelError::TooLong {
                tokens: 13,
                max: 12
            })
        ),
        "{full:?}"
    );
    assert_eq!(cache.logical_len(), 12);
}

#[test]
fn ids_have_to_be_in_the_vocabulary() {
    let llama = model("llama");
    let unknown = prefill(&*llama, &text_prompt(vec![1, 384]), &NONE);
    assert!(
        matches!(
            unknown,
            Err(ModelError::UnknownToken {
                id: 384,
                vocabulary: 384
            })
        ),
        "{unknown:?}"
    );
    let mut cache = new_cache(&*llama);
    let unknown = llama.decode(4000, &mut cache);
    assert!(
        matches!(unknown, Err(ModelError::UnknownToken { id: 4000, .. })),
        "{unknown:?}"
    );
    assert_eq!(cache.logical_len(), 0);
}

#[test]
fn a_prompt_has_to_be_what_its_description_says() {
    let llama = model("llama");
    let described = |ids: Vec<u32>, info: PromptInfo| {
        let images = Vec::new();
        prefill(&*llama, &Prompt { ids, info, images }, &NONE)
    };
    let empty = described(vec![], PromptInfo::text(0));
    assert!(
        matches!(empty, Err(ModelError::Plan(PlanError::EmptyPrompt))),
        "{empty:?}"
    );
    let length = described(vec![1, 2], PromptInfo::text(3));
    assert!(matches!(length, Err(ModelError::Prompt(_))), "{length:?}");
    let visual = std::iter::once(1..4).collect();
    let outside = described(vec![1, 2], PromptInfo { len: 2, visual });
    assert!(
        matches!(
            outside,
            Err(ModelError::Plan(PlanError::VisualSpan { len: 2, .. }))
        ),
        "{outside:?}"
    );
}

#[test]
fn statistics_cannot_cover_more_rows_than_there_are() {
    let needs = Needs {
        tail: Some(5),
        ..NONE
    };
    let rows = prefill(&*model("llama"), &text_prompt(vec![1; 4]), &needs);
    assert!(
        matches!(
            rows,
            Err(ModelError::Plan(PlanError::TooManyRows { rows: 5, len: 4 }))
        ),
        "{rows:?}"
    );
}

#[test]
fn a_cache_of_another_model_is_refused() {
    let llama = model("llama");
    let shape = llama.description().cache;
    let (kv_heads, query_heads) = (shape.kv_heads * 2, shape.query_heads * 2);
    let mut other = KvCache::new(CacheShape {
        kv_heads,
        query_heads,
        ..shape
    })
    .unwrap();
    let wrong = llama.prefill(&text_prompt(vec![1, 2]), &mut other, &NONE, &mut ());
    assert!(
        matches!(wrong, Err(ModelError::CacheShape { .. })),
        "{wrong:?}"
    );
    let wrong = llama.decode(1, &mut other);
    assert!(
        matches!(wrong, Err(ModelError::CacheShape { .. })),
        "{wrong:?}"
    );
}

#[test]
fn visual_tokens_and_images_have_to_match() {
    let llava = model("llava-next-mistral");
    let case = Case::open("llava-next-mistral/case_0");
    let messages = [Message::user(case.user_text(), 1)];
    let prompt = llava.prompt(&messages, &case.images()).unwrap();
    let missing = prefill(
        &*llava,
        &Prompt {
            images: Vec::new(),
            ..prompt.clone()
        },
        &NONE,
    );
    assert!(
        matches!(
            missing,
            Err(ModelError::ImageTokens {
                tokens: 60,
                features: 0
            })
        ),
        "{missing:?}"
    );
    let mut fewer = prompt.clone();
    fewer.info.visual[0].end -= 1;
    let fewer = prefill(&*llava, &fewer, &NONE);
    assert!(
        matches!(
            fewer,
            Err(ModelError::ImageTokens {
                tokens: 59,
                features: 60
            })
        ),
        "{fewer:?}"
    );
    let mut cut = prompt.clone();
    cut.images[0].pixels.pixels.truncate(3 * 56 * 56);
    let cut = prefill(&*llava, &cut, &NONE);
    assert!(matches!(cut, Err(ModelError::Prompt(_))), "{cut:?}");
    let mut ragged = prompt;
    ragged.images[0].pixels.pixels.pop();
    let ragged = prefill(&*llava, &ragged, &NONE);
    assert!(matches!(ragged, Err(ModelError::Prompt(_))), "{ragged:?}");
}
