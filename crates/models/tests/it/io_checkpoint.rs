//! Checkpoints: single and sharded, names of all versions, and broken files.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use tempfile::TempDir;
use whittle_kernels::{DType, Elements};
use whittle_models::ModelError;
use whittle_models::checkpoint::{Checkpoint, Weight, parse_header};
use whittle_testing::golden;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// A safetensors file from a header and data as they are.
fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn open_error(files: &[(&str, &[u8])]) -> ModelError {
    Checkpoint::open(folder(files).path()).unwrap_err()
}

#[test]
fn golden_weights_are_read_in_place() {
    let dir = golden("models/llama");
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let bytes = std::fs::read(dir.join(SINGLE)).unwrap();
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(checkpoint.names().count(), parsed.len());
    let mut elements = 0;
    for (name, view) in parsed.tensors() {
        let weight = checkpoint.tensor(&name, view.shape()).unwrap();
        assert!(!weight.is_copied(), "{name}");
        assert_eq!(f32_bytes(&weight.to_f32()), view.data(), "{name}");
        elements += weight.elements().len() as u64;
    }
    assert_eq!(
        (checkpoint.parameters(), checkpoint.bytes()),
        (elements, 4 * elements)
    );
    checkpoint.check_finite().unwrap();
    let embedding = checkpoint
        .tensor("model.embed_tokens.weight", &[384, 64])
        .unwrap();
    let matrix = embedding.matrix().unwrap();
    assert_eq!(
        (matrix.rows(), matrix.cols(), embedding.dtype()),
        (384, 64, DType::F32)
    );
    let norm = checkpoint.tensor("model.norm.weight", &[64]).unwrap();
    assert_eq!(
        (norm.matrix().unwrap().rows(), norm.matrix().unwrap().cols()),
        (1, 64)
    );
}

/// The golden LLaVA-NeXT weights, split over two files and renamed.
fn sharded(rename: impl Fn(&str) -> String) -> TempDir {
    let bytes = std::fs::read(golden("models/llava-next-mistral/model.safetensors")).unwrap();
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut weight_map = HashMap::new();
    let mut shards: [Vec<(String, TensorView<'_>)>; 2] = [Vec::new(), Vec::new()];
    for (i, (name, view)) in parsed.tensors().into_iter().enumerate() {
        let name = rename(&name);
        weight_map.insert(name.clone(), format!("model-{}.safetensors", i % 2));
        shards[i % 2].push((name, view));
    }
    for (i, shard) in shards.into_iter().enumerate() {
        let path = dir.path().join(format!("model-{i}.safetensors"));
        safetensors::serialize_to_file(shard, None, &path).unwrap();
    }
    let index = json!({ "metadata": { "total_size": 0 }, "weight_map": weight_map });
    std::fs::write(dir.path().join(INDEX), index.to_string()).unwrap();
    dir
}

const PUBLISHED: [(&str, &[usize]); 5] = [
    (
        "language_model.model.layers.2.mlp.down_proj.weight",
        &[64, 112],
    ),
    ("language_model.lm_head.weight", &[384, 64]),
    (
        "vision_tower.vision_model.embeddings.patch_embedding.weight",
        &[48, 3, 14, 14],
    ),
    ("multi_modal_projector.linear_1.bias", &[64]),
    ("image_newline", &[64]),
];

#[test]
fn a_checkpoint_may_be_sharded_and_named_by_any_version() {
    let single = Checkpoint::open(&golden("models/llava-next-mistral")).unwrap();
    // As in memory since transformers 4.52, without and with the level that 5.23 drops.
    let nested = |name: &str| match name {
        name if name.starts_with("language_model.model.") => {
            name.replacen("language_model.model.", "model.language_model.", 1)
        }
        name if name.starts_with("language_model.lm_head") => {
            name.replacen("language_model.", "", 1)
        }
        name => format!("model.{name}"),
    };
    let flat_tower =
        |name: &str| nested(name).replacen("vision_tower.vision_model.", "vision_tower.", 1);
    let only_tower = |name: &str| name.replacen("vision_tower.vision_model.", "vision_tower.", 1);
    for dir in [
        sharded(str::to_owned),
        sharded(nested),
        sharded(flat_tower),
        sharded(only_tower),
    ] {
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        assert_eq!(checkpoint.parameters(), single.parameters());
        for (name, shape) in PUBLISHED {
            let weight = checkpoint.tensor(name, shape).unwrap();
            assert_eq!(weight.shape(), shape);
            assert_eq!(
                weight.to_f32(),
                single.tensor(name, shape).unwrap().to_f32(),
                "{name}"
            );
        }
        assert!(!checkpoint.contains("language_model.model.layers.3.mlp.down_proj.weight"));
    }
}

#[test]
fn missing_misshapen_and_mistyped_tensors_are_named() {
    let header = r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"q":{"dtype":"I8","shape":[4],"data_offsets":[24,28]}}"#;
    let dir = folder(&[(SINGLE, &raw(header, &[0; 28]))]);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let file = dir.path().join(SINGLE).display().to_string();
    let error =
        |name: &str, shape: &[usize]| checkpoint.tensor(name, shape).unwrap_err().to_string();
    assert_eq!(error("b", &[1]), format!("{file}: tensor b is missing"));
    assert_eq!(
        error("a", &[3, 2]),
        format!("{file}: tensor a has shape [2, 3], the configuration asks for [3, 2]")
    );
    assert_eq!(
        error("a", &[6]),
        format!("{file}: tensor a has shape [2, 3], the configuration asks for [6]")
    );
    let wanted =
        format!("{file}: tensor q has elements of type I8; supported are F32, F16 and BF16");
    assert_eq!(error("q", &[4]), wanted);
}

#[test]
fn elements_at_odd_addresses_are_copied() {
    // A header of 8 k + 1 bytes puts the data at an odd address.
    let mut header = r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[12,18]}}"#.to_owned();
    while header.len() % 8 != 1 {
        header.push(' ');
    }
    let mut data = f32_bytes(&[1.5, -2.0, 3.25]);
    data.extend([0x80, 0x3f, 0x00, 0x40, 0xc0, 0xbf]);
    let dir = folder(&[(SINGLE, &raw(&header, &data))]);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let weight = checkpoint.tensor("a", &[3]).unwrap();
    assert!(weight.is_copied());
    assert_eq!(weight.to_f32(), [1.5, -2.0, 3.25]);
    let weight = checkpoint.tensor("b", &[3]).unwrap();
    assert!(weight.is_copied() && matches!(weight.elements(), Elements::BF16(_)));
    assert_eq!(weight.to_f32(), [1.0, 2.0, -1.5]);
}

#[test]
fn computed_weights_have_to_fit_their_shape() {
    let weight = Weight::from_f32(&[1.0, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
    assert_eq!(
        (weight.shape(), weight.to_f32()),
        ([2, 2].as_slice(), vec![1.0, 2.0, 3.0, 4.0])
    );
    assert!(Weight::from_f32(&[1.0], &[2]).is_err());
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let bytes = std::fs::read(golden("models/llama/model.safetensors")).unwrap();
    let path = Path::new("cut.safetensors");
    let cuts = (0..600)
        .chain((600..bytes.len()).step_by(4001))
        .chain([bytes.len() - 1]);
    for cut in cuts {
        let error = parse_header(path, &bytes[..cut]).unwrap_err();
        let ModelError::Truncated { needed, found, .. } = error else {
            panic!("{cut}: {error}")
        };
        assert_eq!(found, cut as u64);
        assert!(needed > found);
    }
    assert!(parse_header(path, &bytes).is_ok());
    let mut cut = bytes.clone();
    cut.pop();
    let error = open_error(&[(SINGLE, &cut)]).to_string();
    assert!(
        error.contains("model.safetensors: truncated: tensor ") && error.contains("the file has"),
        "{error}"
    );
}

#[test]
fn broken_headers_name_the_tensor() {
    let broken = |header: &str, data: usize, wanted: &str| {
        let error = open_error(&[(SINGLE, &raw(header, &vec![0; data]))]);
        assert!(matches!(error, ModelError::Checkpoint { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("model.safetensors: ") && message.contains(wanted),
            "{header}: {message}"
        );
    };
    broken("{", 0, "header: ");
    broken("[]", 0, "header: ");
    broken(
        r#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#,
        4,
        "tensor a: dtype is missing or unknown",
    );
    broken(
        r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        4,
        "tensor a: shape is missing",
    );
    broken(
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}"#,
        4,
        "tensor a: data_offsets are missing",
    );
    broken(
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        4,
        "tensor a: data_offsets 4 to 0 run backwards",
    );
    broken(
        r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}"#,
        4,
        "tensor a: 4 bytes for F32 elements of shape [3]",
    );
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}"#;
    broken(huge, 4, "tensor a: a shape of");
    let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    broken(overlap, 8, "invalid offset for tensor `b`");
    let hole = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    broken(hole, 8, "invalid offset for tensor `a`");
    broken(
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        9,
        "5 bytes after the last tensor",
    );
    let long = open_error(&[(SINGLE, &[0xff; 32])]).to_string();
    assert!(long.contains("not a safetensors file"), "{long}");
    assert!(matches!(
        open_error(&[(SINGLE, b"")]),
        ModelError::Truncated { .. }
    ));
}

#[test]
fn a_broken_index_is_refused() {
    let shard = raw(
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        &[0; 4],
    );
    let open = |index: &str| {
        open_error(&[("part.safetensors", &shard), (INDEX, index.as_bytes())]).to_string()
    };
    for file in [
        "../part.safetensors",
        "/etc/passwd",
        "..",
        ".",
        "",
        "x/../part.safetensors",
        "./part.safetensors",
        "a\\b",
        "part.safetensors/",
    ] {
        let error = open(&json!({ "weight_map": { "a": file } }).to_string());
        assert!(
            error.contains("tensor a is said to be in") && error.contains("not the plain name"),
            "{file}: {error}"
        );
    }
    let error = open(r#"{"weight_map": {"b": "part.safetensors"}}"#);
    assert!(
        error.contains("tensor b is said to be in part.safetensors, which has no such tensor"),
        "{error}"
    );
    let error = open(r#"{"weight_map": {"a": "gone.safetensors"}}"#);
    assert!(error.contains("gone.safetensors"), "{error}");
    assert!(open("{}").contains("weight_map"));
    let nothing = open_error(&[]).to_string();
    assert!(nothing.contains("model.safetensors"), "{nothing}");
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let tensors: [(&str, Dtype, Vec<u8>, usize); 3] = [
        ("f32", Dtype::F32, f32_bytes(&[1.0, f32::MAX, f32::NAN]), 2),
        (
            "f16",
            Dtype::F16,
            vec![0xff, 0x7b, 0x00, 0x7c, 0x00, 0x00],
            1,
        ),
        (
            "bf16",
            Dtype::BF16,
            vec![0x80, 0xff, 0x00, 0x00, 0x7f, 0x7f],
            0,
        ),
    ];
    for (name, dtype, data, index) in tensors {
        let view = TensorView::new(dtype, vec![3], &data).unwrap();
        let bytes = safetensors::serialize(
            [
                (
                    "fine",
                    TensorView::new(Dtype::I8, vec![1], &[0xff]).unwrap(),
                ),
                (name, view),
            ],
            None,
        );
        let dir = folder(&[(SINGLE, &bytes.unwrap())]);
        let error = Checkpoint::open(dir.path())
            .unwrap()
            .check_finite()
            .unwrap_err();
        let ModelError::NotFiniteWeight {
            path,
            tensor,
            index: found,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(
            (path, tensor.as_str(), *found),
            (&dir.path().join(SINGLE), name, index)
        );
    }
}
