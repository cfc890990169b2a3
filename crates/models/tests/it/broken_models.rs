//! Broken and unusual checkpoints: typed errors that name the tensor or key.

use std::path::Path;

use safetensors::SafeTensors;
use whittle_kv::Needs;
use whittle_models::{LoadOptions, Message, Model, ModelError, load};

use crate::checkpoints::{Tensor, change_tensors, find};
use crate::golden::{Case, model_folder, rewrite};
use crate::parity::{new_cache, text_prompt};

/// Every tensor that the graph of `model` reads; what is missing has to be noticed at load.
fn names(model: &str) -> Vec<String> {
    let bytes = std::fs::read(model_folder(model).path().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let unused = |name: &str| name.contains("encoder.layers.2.") || name.contains("post_layernorm");
    file.names()
        .into_iter()
        .filter(|name| !unused(name))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn a_missing_tensor_is_named() {
    for model in ["llava-next-mistral", "llama"] {
        for name in names(model) {
            let folder = model_folder(model);
            change_tensors(folder.path(), |tensors| {
                tensors.retain(|tensor| tensor.name != name);
            });
            match load(folder.path(), &LoadOptions::default()).map(|_| ()) {
                Err(ModelError::MissingTensor { tensor, .. }) => assert_eq!(tensor, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    for model in ["llava-next-mistral", "llama"] {
        for name in names(model) {
            let folder = model_folder(model);
            change_tensors(folder.path(), |tensors| {
                let tensor = find(tensors, &name);
                tensor.shape[0] += 1;
                let row = tensor.data.len() / (tensor.shape[0] - 1);
                tensor.data.resize(tensor.data.len() + row, 0);
            });
            match load(folder.path(), &LoadOptions::default()).map(|_| ()) {
                Err(ModelError::TensorShape { tensor, .. }) => assert_eq!(tensor, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn tensors_that_the_graph_does_not_need_may_be_missing() {
    let folder = model_folder("llava-next-mistral");
    change_tensors(folder.path(), |tensors| {
        tensors.retain(|t| {
            !t.name.contains("encoder.layers.2.") && !t.name.contains("post_layernorm")
        });
    });
    load(folder.path(), &LoadOptions::default()).unwrap();
}

#[test]
fn tied_embeddings_need_no_output_layer() {
    let folder = model_folder("llama");
    let mut embedding = Vec::new();
    change_tensors(folder.path(), |tensors| {
        embedding.clone_from(&find(tensors, "model.embed_tokens.weight").data);
        find(tensors, "lm_head.weight").data.clone_from(&embedding);
    });
    let logits = |folder: &Path| {
        let model = load(folder, &LoadOptions::default()).unwrap();
        let prompt = model.prompt(&[Message::user("hello", 0)], &[]).unwrap();
        model
            .prefill(&prompt, &mut new_cache(&*model), &Needs::default(), &mut ())
            .unwrap()
            .logits
    };
    let untied = logits(folder.path());
    change_tensors(folder.path(), |tensors| {
        tensors.retain(|t| t.name != "lm_head.weight");
    });
    rewrite(folder.path(), "config.json", |config| {
        let config = String::from_utf8(config).unwrap();
        config
            .replace(
                "\"tie_word_embeddings\": false",
                "\"tie_word_embeddings\": true",
            )
            .into_bytes()
    });
    assert_eq!(logits(folder.path()), untied);
}

#[test]
fn biases_are_added_where_the_configuration_says_so() {
    let folder = model_folder("llama");
    let plain = load(folder.path(), &LoadOptions::default()).unwrap();
    let prompt = plain.prompt(&[Message::user("hello", 0)], &[]).unwrap();
    let logits = |model: &dyn Model| {
        model
            .prefill(&prompt, &mut new_cache(model), &Needs::default(), &mut ())
            .unwrap()
            .logits
    };
    rewrite(folder.path(), "config.json", |config| {
        let config = String::from_utf8(config)
            .unwrap()
            .replace("\"attention_bias\": false", "\"attention_bias\": true");
        config
            .replace("\"mlp_bias\": false", "\"mlp_bias\": true")
            .into_bytes()
    });
    match load(folder.path(), &LoadOptions::default()).map(|_| ()) {
        Err(ModelError::MissingTensor { tensor, .. }) => {
            assert_eq!(tensor, "model.layers.0.self_attn.q_proj.bias");
        }
        other => panic!("{other:?}"),
    }
    let with_biases = |value: f32| {
        change_tensors(folder.path(), |tensors| {
            tensors.retain(|t| !t.name.contains("_proj.bias"));
            let biases: Vec<Tensor> = tensors
                .iter()
                .filter(|t| t.name.contains("_proj.weight"))
                .map(|t| Tensor {
                    name: t.name.replace(".weight", ".bias"),
                    dtype: t.dtype,
                    shape: vec![t.shape[0]],
                    data: value.to_le_bytes().repeat(t.shape[0]),
                })
                .collect();
            tensors.extend(biases);
        });
        logits(&*load(folder.path(), &LoadOptions::default()).unwrap())
    };
    assert_eq!(with_biases(0.0), logits(&*plain));
    assert_ne!(with_biases(0.5), logits(&*plain));
}

#[test]
fn weights_that_are_not_numbers_are_named_when_they_matter() {
    let case = Case::open("llava-next-mistral/case_0");
    for name in [
        "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight",
        "multi_modal_projector.linear_2.bias",
        "language_model.model.layers.1.self_attn.k_proj.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
    ] {
        for value in [f32::NAN, f32::INFINITY] {
            let folder = model_folder("llava-next-mistral");
            change_tensors(folder.path(), |tensors| {
                find(tensors, name).data[8..12].copy_from_slice(&value.to_le_bytes());
            });
            let model = load(folder.path(), &LoadOptions::default()).unwrap();
            let prompt = model
                .prompt(&[Message::user(case.user_text(), 1)], &case.images())
                .unwrap();
            for needs in [
                Needs::default(),
                Needs {
                    post_vision: Some(22),
                    filter: 0.01,
                    ..Needs::default()
                },
            ] {
                match model
                    .prefill(&prompt, &mut new_cache(&*model), &needs, &mut ())
                    .map(|_| ())
                {
                    Err(ModelError::NotFiniteWeight { tensor, index, .. }) => {
                        assert_eq!((tensor.as_str(), index), (name, 2));
                    }
                    other => panic!("{name} {value}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn decoding_notices_weights_that_are_not_numbers() {
    let folder = model_folder("llama");
    let broken = 300_usize;
    change_tensors(folder.path(), |tensors| {
        let at = broken * 64 * 4;
        find(tensors, "model.embed_tokens.weight").data[at..at + 4]
            .copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let model = load(folder.path(), &LoadOptions::default()).unwrap();
    let mut cache = new_cache(&*model);
    let prompt = text_prompt(vec![1, 2, 3]);
    model
        .prefill(&prompt, &mut cache, &Needs::default(), &mut ())
        .unwrap();
    model.decode(299, &mut cache).unwrap();
    let failed = model.decode(broken as u32, &mut cache);
    assert_eq!(cache.logical_len(), 4, "the failed step left no trace");
    match failed {
        Err(ModelError::NotFiniteWeight { tensor, index, .. }) => {
            assert_eq!(
                (tensor.as_str(), index),
                ("model.embed_tokens.weight", broken * 64)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_whole_vision_output_is_refused_as_the_reference_cannot_tile_it() {
    let folder = model_folder("llava-next-mistral");
    rewrite(folder.path(), "config.json", |config| {
        let config = String::from_utf8(config).unwrap();
        config
            .replace(
                "\"vision_feature_select_strategy\": \"default\"",
                "\"vision_feature_select_strategy\": \"full\"",
            )
            .into_bytes()
    });
    match load(folder.path(), &LoadOptions::default()).map(|_| ()) {
        Err(ModelError::Config { key, .. }) => assert_eq!(key, "vision_feature_select_strategy"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_architecture_is_named_with_those_that_are_known() {
    let folder = model_folder("llama");
    rewrite(folder.path(), "config.json", |config| {
        String::from_utf8(config)
            .unwrap()
            .replace("LlamaForCausalLM", "FooForCausalLM")
            .into_bytes()
    });
    let message = load(folder.path(), &LoadOptions::default())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("FooForCausalLM") && message.contains("LlavaNextForConditionalGeneration"),
        "{message}"
    );
}
