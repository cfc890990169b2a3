//! What the reference cases do not have: other feature layers, half-precision weights.

use std::path::Path;

use whittle_kernels::{DType, Isa, Kernels};
use whittle_kv::Needs;
use whittle_models::checkpoint::Checkpoint;
use whittle_models::clip::ClipTower;
use whittle_models::config::{ConfigFile, FeatureSelection, LlavaNextConfig};
use whittle_models::llava_next::LlavaNext;
use whittle_models::{LoadOptions, Message, Model, load};

use crate::checkpoints::{change_tensors, find};
use crate::golden::{Case, Deviations, model_folder, rewrite};
use crate::parity::{every_isa, new_cache};

const MODEL: &str = "llava-next-mistral";

fn image_features(folder: &Path) -> Vec<f32> {
    let case = Case::open("llava-next-mistral/case_0");
    let model = LlavaNext::load(folder, &LoadOptions::default()).unwrap();
    let messages = [Message::user(case.user_text(), 1)];
    let prompt = model.prompt(&messages, &case.images()).unwrap();
    model.image_features(&prompt.images[0]).unwrap()
}

fn set_feature_layer(folder: &Path, layers: &str) {
    rewrite(folder, "config.json", |config| {
        let config = String::from_utf8(config).unwrap();
        let new = format!("\"vision_feature_layer\": {layers}");
        let changed = config.replace("\"vision_feature_layer\": -2", &new);
        assert!(changed.contains(&new));
        changed.into_bytes()
    });
}

#[test]
fn feature_layers_count_from_either_end() {
    let expected = image_features(model_folder(MODEL).path());
    for layer in ["2", "[-2]", "[2]"] {
        let folder = model_folder(MODEL);
        set_feature_layer(folder.path(), layer);
        assert_eq!(image_features(folder.path()), expected, "layer {layer}");
    }
    for layer in ["-1", "1", "0"] {
        let folder = model_folder(MODEL);
        set_feature_layer(folder.path(), layer);
        assert_ne!(image_features(folder.path()), expected, "layer {layer}");
    }
}

#[test]
fn several_feature_layers_are_concatenated_in_the_order_given() {
    let expected = image_features(model_folder(MODEL).path());
    // The projector takes layer -2 where its columns are not zero.
    for (layers, first) in [("[-2, 1]", true), ("[0, 2]", false), ("[-2, -1]", true)] {
        let folder = model_folder(MODEL);
        set_feature_layer(folder.path(), layers);
        change_tensors(folder.path(), |tensors| {
            let weight = find(tensors, "multi_modal_projector.linear_1.weight");
            let zeros = [0.0; 48];
            let wide: Vec<f32> = weight
                .floats()
                .chunks_exact(48)
                .flat_map(|row| {
                    if first {
                        [row, &zeros].concat()
                    } else {
                        [&zeros, row].concat()
                    }
                })
                .collect();
            weight.set(&[64, 96], &wide);
        });
        let found = image_features(folder.path());
        Deviations::default().compare(layers, &found, &expected, 1e-5);
    }
}

#[test]
fn the_class_token_comes_first_where_it_is_kept() {
    let folder = model_folder(MODEL);
    let config = LlavaNextConfig::read(&ConfigFile::open(folder.path()).unwrap()).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let kernels = Kernels::detect();
    let load = |selection| {
        let prefix = "vision_tower.vision_model";
        ClipTower::load(
            &checkpoint,
            prefix,
            &config.vision,
            &[2, 0],
            selection,
            kernels,
        )
        .unwrap()
    };
    let (full, patches) = (
        load(FeatureSelection::Full),
        load(FeatureSelection::Default),
    );
    assert_eq!(
        (full.tokens_per_tile(), patches.tokens_per_tile()),
        (17, 16)
    );
    assert_eq!(full.feature_width(), 96);
    assert_eq!(
        full.depth(),
        2,
        "the block behind the last feature layer is left out"
    );
    let pixels = Case::open("llava-next-mistral/case_0").floats("pixel_values");
    let full = full.forward(&pixels).unwrap();
    let without_class: Vec<f32> = full
        .chunks_exact(17 * 96)
        .flat_map(|tile| tile[96..].to_vec())
        .collect();
    assert_eq!(without_class, patches.forward(&pixels).unwrap());
}

#[test]
fn half_precision_weights_are_computed_with_as_they_are() {
    let case = Case::open("llama/case_0");
    for options in every_isa() {
        let options = LoadOptions {
            cache_dtype: Some(DType::F32),
            ..options
        };
        let logits = |stored: bool| {
            let folder = model_folder("llama");
            change_tensors(folder.path(), |tensors| {
                for tensor in tensors {
                    tensor.round(stored);
                }
            });
            let model = load(folder.path(), &options).unwrap();
            let prompt = model
                .prompt(&[Message::user(case.user_text(), 0)], &[])
                .unwrap();
            let mut cache = new_cache(&*model);
            let prefill = model
                .prefill(&prompt, &mut cache, &Needs::default(), &mut ())
                .unwrap();
            let decoded = model.decode(5, &mut cache).unwrap();
            (prefill.logits, decoded)
        };
        // The same numbers, stored in two or in four bytes. The bf16 path rounds activations to 8 bits of mantissa.
        let rounds = options.kernels.isa() == Isa::Avx512Bf16;
        let atol = if rounds {
            0.5
        } else {
            case.atol("prefill_logits")
        };
        let (half, full) = (logits(true), logits(false));
        Deviations::default().compare("prefill", &half.0, &full.0, atol);
        Deviations::default().compare("decode", &half.1, &full.1, atol);
    }
}
