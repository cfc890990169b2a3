//! Configurations that are refused, each with the key that is to blame.

use std::path::Path;

use serde_json::{Value, json};
use whittle_models::ModelError;
use whittle_models::config::{ConfigFile, LlavaNextConfig, TextConfig};

use crate::io_config::file;

/// What a configuration is refused for.
fn text_error(value: &Value) -> String {
    TextConfig::read(&file(value)).unwrap_err().to_string()
}

fn llava_error(value: &Value) -> String {
    LlavaNextConfig::read(&file(value)).unwrap_err().to_string()
}

#[test]
fn errors_name_file_and_key() {
    let text = |value: Value| text_error(&value);
    assert_eq!(
        text(json!({ "num_hidden_layers": 0 })),
        "folder/config.json: num_hidden_layers: expected an integer from 1 to 1024, found 0"
    );
    assert_eq!(
        text(json!({ "hidden_size": "4096" })),
        "folder/config.json: hidden_size: expected an integer from 1 to 1048576, found \"4096\""
    );
    for (value, wanted) in [
        (
            json!({ "num_attention_heads": 0 }),
            "num_attention_heads: expected",
        ),
        (
            json!({ "num_attention_heads": 6, "num_key_value_heads": 4 }),
            "num_key_value_heads: 4 KV heads do not divide",
        ),
        (
            json!({ "hidden_size": 100, "num_attention_heads": 3 }),
            "hidden_size: 100 is not a multiple",
        ),
        (json!({ "head_dim": 7 }), "head_dim: heads of width 7"),
        (json!({ "vocab_size": 1_u64 << 60 }), "vocab_size: expected"),
        (
            json!({ "max_position_embeddings": -1 }),
            "max_position_embeddings: expected",
        ),
        (
            json!({ "rms_norm_eps": 0 }),
            "rms_norm_eps: expected a positive number",
        ),
        (
            json!({ "hidden_act": "relu6" }),
            "hidden_act: unknown activation relu6",
        ),
        (
            json!({ "model_type": "gemma" }),
            "model_type: unknown language model gemma",
        ),
        (
            json!({ "rope_theta": -3 }),
            "rope_theta: expected a positive number",
        ),
        (
            json!({ "rope_scaling": { "type": "yarn", "factor": 2 } }),
            "rope_scaling.type: unknown rotary scaling yarn",
        ),
        (
            json!({ "rope_parameters": { "rope_type": "linear" } }),
            "rope_parameters.factor: missing",
        ),
        (
            json!({ "rope_parameters": { "full_attention": {} } }),
            "rope_parameters: parameters by layer type",
        ),
        (
            json!({ "partial_rotary_factor": 0.5 }),
            "partial_rotary_factor: only 1",
        ),
        (
            json!({ "model_type": "mistral", "sliding_window": 0 }),
            "sliding_window: expected",
        ),
        (
            json!({ "layer_types": ["full_attention", "sliding_attention"] }),
            "layer_types: only full_attention",
        ),
        (
            json!({ "quantization_config": { "bits": 4 } }),
            "quantization_config: quantized weights",
        ),
        (
            json!({ "tie_word_embeddings": 1 }),
            "tie_word_embeddings: expected true or false, found 1",
        ),
        (
            json!({ "eos_token_id": [1, -2] }),
            "eos_token_id: expected a token id or a list",
        ),
    ] {
        let error = text_error(&value);
        assert!(
            error.starts_with(&format!("folder/config.json: {wanted}")),
            "{value}: {error}"
        );
    }
}

#[test]
fn errors_of_llava_next_name_nested_keys() {
    for (value, wanted) in [
        (
            json!({ "text_config": { "hidden_size": 0 } }),
            "text_config.hidden_size: expected",
        ),
        (
            json!({ "text_config": 3 }),
            "text_config: expected an object",
        ),
        (
            json!({ "vision_config": { "patch_size": 0 } }),
            "vision_config.patch_size: expected",
        ),
        (
            json!({ "vision_config": { "image_size": 225 } }),
            "vision_config.image_size: 225 is not a multiple",
        ),
        (
            json!({ "vision_config": { "hidden_size": 100 } }),
            "vision_config.hidden_size: 100 is not a multiple",
        ),
        (
            json!({ "vision_config": { "model_type": "siglip_vision_model" } }),
            "vision_config.model_type: unknown vision",
        ),
        (
            json!({ "image_grid_pinpoints": [] }),
            "image_grid_pinpoints: the list is empty",
        ),
        (
            json!({ "image_grid_pinpoints": [[336, 100]] }),
            "image_grid_pinpoints: [336, 100] is not a multiple",
        ),
        (
            json!({ "image_grid_pinpoints": [[336]] }),
            "image_grid_pinpoints: expected a list of [height, width] pairs",
        ),
        (
            json!({ "image_grid_pinpoints": [[16128, 16128]] }),
            "image_grid_pinpoints: [16128, 16128] takes more than",
        ),
        (
            json!({ "vision_feature_layer": 25 }),
            "vision_feature_layer: 25: the tower has 24 layers",
        ),
        (
            json!({ "vision_feature_layer": -26 }),
            "vision_feature_layer: -26",
        ),
        (
            json!({ "vision_feature_layer": [] }),
            "vision_feature_layer: expected an integer",
        ),
        (
            json!({ "vision_feature_layer": i64::MIN }),
            "vision_feature_layer: -9223372036854775808",
        ),
        (
            json!({ "vision_feature_select_strategy": "full" }),
            "vision_feature_select_strategy: full keeps",
        ),
        (
            json!({ "vision_feature_select_strategy": "cls" }),
            "vision_feature_select_strategy: unknown",
        ),
        (
            json!({ "projector_hidden_act": 1 }),
            "projector_hidden_act: expected a string",
        ),
    ] {
        let error = llava_error(&value);
        assert!(
            error.starts_with(&format!("folder/config.json: {wanted}")),
            "{value}: {error}"
        );
    }
}

#[test]
fn a_file_that_is_no_configuration_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = ConfigFile::open(dir.path()).unwrap_err();
    assert!(
        matches!(&missing, ModelError::Io { .. }) && missing.to_string().contains("config.json"),
        "{missing}"
    );
    for text in ["", "[1, 2]", "{\"a\": }", "\u{0}"] {
        let error = ConfigFile::parse(Path::new("config.json"), text).unwrap_err();
        assert!(matches!(error, ModelError::Json { .. }), "{text}: {error}");
    }
    let nested = "[".repeat(100_000);
    assert!(ConfigFile::parse(Path::new("config.json"), &nested).is_err());
    let unknown = file(&json!({})).architecture().unwrap_err().to_string();
    assert!(unknown.contains("architectures: missing"), "{unknown}");
    assert!(
        file(&json!({ "architectures": [] }))
            .architecture()
            .is_err()
    );
    assert_eq!(
        file(&json!({ "model_type": "llama" }))
            .architecture()
            .unwrap(),
        "LlamaForCausalLM"
    );
}
