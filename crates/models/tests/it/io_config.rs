//! Configurations: both layouts, the defaults of transformers, and what is refused.

use std::path::Path;

use serde_json::{Value, json};
use whittle_kernels::{Activation, RotaryScaling};
use whittle_models::config::{
    ConfigFile, FeatureSelection, LlavaNextConfig, TextConfig, TextFamily, end_tokens,
};
use whittle_models::image::{ImageProcessor, Size};
use whittle_testing::golden;

pub(crate) fn file(value: &Value) -> ConfigFile {
    ConfigFile::parse(Path::new("folder/config.json"), &value.to_string()).unwrap()
}

fn golden_file(path: &str) -> ConfigFile {
    let path = golden(path);
    ConfigFile::parse(&path, &std::fs::read_to_string(&path).unwrap()).unwrap()
}

#[test]
fn the_old_and_the_new_layout_are_the_same_llama() {
    let new = TextConfig::read(&golden_file("models/llama/config.json")).unwrap();
    let old = TextConfig::read(&golden_file("models/llama/config.classic.json")).unwrap();
    assert_eq!(new, old);
    let expected = TextConfig {
        family: TextFamily::Llama,
        vocab_size: 384,
        hidden_size: 64,
        intermediate_size: 112,
        layers: 4,
        query_heads: 8,
        kv_heads: 2,
        head_dim: 8,
        max_positions: 2048,
        rms_norm_eps: 1e-5,
        activation: Activation::Silu,
        rope_theta: 500_000.0,
        rope_scaling: RotaryScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_positions: 64,
        },
        attention_bias: false,
        mlp_bias: false,
        tie_word_embeddings: false,
        eos_token_ids: vec![383],
    };
    assert_eq!(new, expected);
}

#[test]
fn the_old_and_the_new_layout_are_the_same_llava_next() {
    let new = LlavaNextConfig::read(&golden_file("models/llava-next-mistral/config.json")).unwrap();
    let old = LlavaNextConfig::read(&golden_file(
        "models/llava-next-mistral/config.classic.json",
    ))
    .unwrap();
    assert_eq!(new, old);
    assert_eq!(new.text.family, TextFamily::Mistral);
    assert_eq!(
        (new.text.rope_theta, new.text.rope_scaling),
        (1e6, RotaryScaling::None)
    );
    assert_eq!(
        (
            new.vision.layers,
            new.vision.patches_per_side(),
            new.vision.activation
        ),
        (3, 4, Activation::QuickGelu)
    );
    assert_eq!(new.image_token_id, 382);
    assert_eq!(new.feature_layers, [2]);
    assert_eq!(
        new.image_grid_pinpoints[3],
        Size {
            height: 168,
            width: 56
        }
    );
}

#[test]
fn a_published_configuration_gets_the_defaults_of_transformers() {
    // llava-hf/llava-v1.6-mistral-7b-hf, as published.
    let published = json!({
        "architectures": ["LlavaNextForConditionalGeneration"],
        "ignore_index": -100,
        "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
        "image_token_index": 32000,
        "model_type": "llava_next",
        "projector_hidden_act": "gelu",
        "text_config": {
            "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2",
            "architectures": ["MistralForCausalLM"],
            "intermediate_size": 14336,
            "max_position_embeddings": 32768,
            "model_type": "mistral",
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-05,
            "rope_theta": 1_000_000.0,
            "sliding_window": null,
            "torch_dtype": "bfloat16",
            "vocab_size": 32064
        },
        "torch_dtype": "float16",
        "use_image_newline_parameter": true,
        "vision_config": {
            "hidden_size": 1024,
            "image_size": 336,
            "intermediate_size": 4096,
            "model_type": "clip_vision_model",
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "patch_size": 14,
            "projection_dim": 768,
            "vocab_size": 32000
        },
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "vocab_size": 32064
    });
    let file = file(&published);
    assert_eq!(
        file.architecture().unwrap(),
        "LlavaNextForConditionalGeneration"
    );
    let config = LlavaNextConfig::read(&file).unwrap();
    let text = &config.text;
    assert_eq!(
        (
            text.hidden_size,
            text.layers,
            text.query_heads,
            text.kv_heads,
            text.head_dim
        ),
        (4096, 32, 32, 8, 128)
    );
    assert_eq!(
        (text.max_positions, text.eos_token_ids.as_slice()),
        (32768, [2].as_slice())
    );
    assert_eq!(
        (
            config.vision.layers,
            config.vision.patches(),
            config.vision.layer_norm_eps
        ),
        (24, 576, 1e-5)
    );
    assert_eq!(config.feature_layers, [23]);
    assert_eq!(config.feature_selection, FeatureSelection::Default);
    assert!(config.projector_bias && !text.tie_word_embeddings);
    // The same without all that is at its default.
    let mut shorter = published.clone();
    for key in [
        "image_grid_pinpoints",
        "image_token_index",
        "projector_hidden_act",
        "vision_config",
        "vision_feature_layer",
        "vision_feature_select_strategy",
    ] {
        shorter.as_object_mut().unwrap().remove(key);
    }
    let shorter = LlavaNextConfig::read(&self::file(&shorter)).unwrap();
    assert_eq!(shorter, config);
}

#[test]
fn an_empty_configuration_is_transformers_default_llama() {
    let config = LlavaNextConfig::read(&file(&json!({}))).unwrap();
    assert_eq!(
        (
            config.text.family,
            config.text.kv_heads,
            config.text.max_positions
        ),
        (TextFamily::Llama, 32, 2048)
    );
    assert_eq!(config.text.rope_theta, 10_000.0);
    let mistral = TextConfig::read(&file(&json!({ "model_type": "mistral" }))).unwrap();
    assert_eq!((mistral.kv_heads, mistral.intermediate_size), (8, 14336));
    // Without the key, Mistral has a window; within it nothing is hidden.
    assert_eq!(mistral.max_positions, 4096);
    let unlimited =
        json!({ "model_type": "mistral", "sliding_window": null, "num_key_value_heads": null });
    let unlimited = TextConfig::read(&file(&unlimited)).unwrap();
    assert_eq!((unlimited.max_positions, unlimited.kv_heads), (131_072, 32));
}

#[test]
fn rotary_parameters_are_found_where_transformers_looks() {
    let rope = |value: Value| {
        let config = TextConfig::read(&file(&value)).unwrap();
        (config.rope_theta, config.rope_scaling)
    };
    let linear = RotaryScaling::Linear(2.0);
    assert_eq!(
        rope(json!({ "rope_theta": 5.0, "rope_scaling": { "type": "linear", "factor": 2.0 } })),
        (5.0, linear)
    );
    let nested = json!({ "rope_theta": 5.0, "rope_parameters": { "rope_type": "linear", "factor": 2, "rope_theta": 7.0 } });
    assert_eq!(rope(nested), (7.0, linear));
    assert_eq!(
        rope(json!({ "rope_scaling": null, "rope_parameters": null })),
        (10_000.0, RotaryScaling::None)
    );
    let llama3 = json!({ "max_position_embeddings": 99, "rope_scaling": {
        "rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1, "high_freq_factor": 4 } });
    let RotaryScaling::Llama3 {
        original_max_positions,
        ..
    } = rope(llama3).1
    else {
        panic!("llama3 was asked for")
    };
    assert_eq!(original_max_positions, 99);
}

#[test]
fn lists_and_single_values_are_taken() {
    let config = json!({ "eos_token_id": [7, 8], "tie_word_embeddings": true });
    let config = TextConfig::read(&file(&config)).unwrap();
    assert_eq!(
        (config.eos_token_ids.as_slice(), config.tie_word_embeddings),
        ([7, 8].as_slice(), true)
    );
    let config = json!({ "vision_feature_layer": [-2, 3, -25], "image_token_id": 9 });
    let config = LlavaNextConfig::read(&file(&config)).unwrap();
    assert_eq!(
        (config.feature_layers.as_slice(), config.image_token_id),
        ([23, 3, 0].as_slice(), 9)
    );
}

#[test]
fn end_tokens_come_from_the_generation_configuration() {
    let config = TextConfig::read(&file(&json!({ "eos_token_id": 5 }))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(end_tokens(dir.path(), &config).unwrap(), [5]);
    let write =
        |text: &str| std::fs::write(dir.path().join("generation_config.json"), text).unwrap();
    write(r#"{"eos_token_id": [6, 7]}"#);
    assert_eq!(end_tokens(dir.path(), &config).unwrap(), [6, 7]);
    write(r#"{"bos_token_id": 1}"#);
    assert_eq!(end_tokens(dir.path(), &config).unwrap(), [5]);
    write(r#"{"eos_token_id": "</s>"}"#);
    let error = end_tokens(dir.path(), &config).unwrap_err().to_string();
    assert!(
        error.contains("generation_config.json: eos_token_id: expected a token id"),
        "{error}"
    );
}

#[test]
fn image_processors_are_read_from_either_file_and_have_to_fit_the_model() {
    let dir = golden("models/llava-next-mistral");
    let model = LlavaNextConfig::read(&ConfigFile::open(&dir).unwrap()).unwrap();
    let processor = ImageProcessor::open(&dir, &model).unwrap();
    let read = |name: &str| {
        ImageProcessor::read(&golden_file(&format!("models/llava-next-mistral/{name}"))).unwrap()
    };
    assert_eq!(read("preprocessor_config.json"), processor);
    assert_eq!(read("processor_config.json"), processor);
    // A folder without either has the defaults.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(
        ImageProcessor::open(empty.path(), &model).unwrap(),
        processor
    );
    for (key, value, wanted) in [
        ("crop_size", json!(28), "crop_size: 28, other than size, 56"),
        (
            "size",
            json!({ "height": 56, "width": 28 }),
            "size: 56 x 28: only squares",
        ),
        ("size", json!({}), "size: has neither"),
        (
            "resample",
            json!(0),
            "resample: 0 is not a supported filter",
        ),
        (
            "image_std",
            json!([0.1, 0.0, 0.2]),
            "image_std: has to be positive",
        ),
        (
            "image_mean",
            json!([0.1]),
            "image_mean: expected three numbers",
        ),
        ("do_resize", json!(false), "do_resize: only true"),
        (
            "image_processor_type",
            json!("Qwen2VLImageProcessor"),
            "image_processor_type: unknown image processor",
        ),
        (
            "image_grid_pinpoints",
            json!([[56, 112]]),
            "image_grid_pinpoints: other than in config.json",
        ),
        (
            "rescale_factor",
            json!(0),
            "rescale_factor: expected a positive number",
        ),
    ] {
        let text = std::fs::read_to_string(dir.join("preprocessor_config.json")).unwrap();
        let mut changed: Value = serde_json::from_str(&text).unwrap();
        changed[key] = value;
        let path = empty.path().join("preprocessor_config.json");
        std::fs::write(&path, changed.to_string()).unwrap();
        let error = ImageProcessor::open(empty.path(), &model)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("{}: {wanted}", path.display())),
            "{error}"
        );
    }
}
