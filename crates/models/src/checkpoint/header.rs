//! The header of a safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize as _;
use serde_json::Value;
use whittle_kernels::DType;

use super::ByteRange;
use crate::error::ModelError;

/// Where a tensor lies in its file and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// Element type, if the kernels compute with it.
    pub dtype: Option<DType>,
    /// Element type as the file writes it.
    pub dtype_name: String,
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// Bytes from the file's start.
    pub bytes: ByteRange,
}

impl TensorEntry {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Bytes of the number in front of the header.
const PREFIX: usize = 8;
/// As in the safetensors library.
const MAX_HEADER: u64 = 100_000_000;

/// Parses and checks the header of the safetensors file `bytes`; `path` is for messages.
///
/// Afterwards every tensor's bytes lie within the file, fit its shape and type, and overlap with no other's.
pub fn parse_header(
    path: &Path,
    bytes: &[u8],
) -> Result<BTreeMap<String, TensorEntry>, ModelError> {
    let truncated = |what: String, needed: u64| ModelError::Truncated {
        path: path.to_owned(),
        what,
        needed,
        found: bytes.len() as u64,
    };
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return Err(truncated("the header's length".into(), PREFIX as u64));
    };
    let length = u64::from_le_bytes(*prefix);
    if length > MAX_HEADER {
        let problem = format!(
            "not a safetensors file: a header of {length} bytes, more than the {MAX_HEADER} allowed"
        );
        return Err(ModelError::checkpoint(path, problem));
    }
    let length = length as usize;
    let Some((header, data)) = rest.split_at_checked(length) else {
        return Err(truncated("the header".into(), (PREFIX + length) as u64));
    };
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|error| broken_header(path, header, &error))?;
    let start = PREFIX + length;
    let mut last_end = 0;
    let mut entries = BTreeMap::new();
    // In the order of their bytes, so that a truncated file is reported with the first tensor that it cuts off.
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else {
            continue;
        };
        let (from, to) = info.data_offsets;
        if to > data.len() {
            return Err(truncated(
                format!("tensor {name}"),
                (start as u64).saturating_add(to as u64),
            ));
        }
        last_end = to;
        let entry = TensorEntry {
            dtype: match info.dtype {
                Dtype::F32 => Some(DType::F32),
                Dtype::F16 => Some(DType::F16),
                Dtype::BF16 => Some(DType::BF16),
                _ => None,
            },
            dtype_name: info.dtype.to_string(),
            shape: info.shape.clone(),
            bytes: start + from..start + to,
        };
        entries.insert(name, entry);
    }
    if last_end != data.len() {
        let problem = format!(
            "{} bytes after the last tensor belong to none",
            data.len() - last_end
        );
        return Err(ModelError::checkpoint(path, problem));
    }
    Ok(entries)
}

/// The library's complaint about a header, with the name of the tensor where one can be found to blame.
fn broken_header(path: &Path, header: &[u8], error: &serde_json::Error) -> ModelError {
    let culprit = serde_json::from_slice::<Value>(header)
        .ok()
        .and_then(|value| {
            let tensors = value.as_object()?;
            tensors
                .iter()
                .filter(|(name, _)| *name != "__metadata__")
                .find_map(|(name, info)| {
                    let problem = tensor_problem(info)?;
                    Some(format!("header: tensor {name}: {problem}"))
                })
        });
    ModelError::checkpoint(path, culprit.unwrap_or_else(|| format!("header: {error}")))
}

/// What is wrong with one tensor's entry, taken by itself.
fn tensor_problem(info: &Value) -> Option<String> {
    let Some(dtype) = info
        .get("dtype")
        .and_then(|dtype| Dtype::deserialize(dtype).ok())
    else {
        return Some("dtype is missing or unknown".into());
    };
    let integers = |key: &str| -> Option<Vec<u64>> {
        info.get(key)?
            .as_array()?
            .iter()
            .map(Value::as_u64)
            .collect()
    };
    let Some(shape) = integers("shape") else {
        return Some("shape is missing or not a list of sizes".into());
    };
    let Some([from, to]) = integers("data_offsets")
        .as_deref()
        .and_then(|x| <[u64; 2]>::try_from(x).ok())
    else {
        return Some("data_offsets are missing or not two numbers".into());
    };
    let Some(length) = to.checked_sub(from) else {
        return Some(format!("data_offsets {from} to {to} run backwards"));
    };
    let bits = shape
        .iter()
        .try_fold(dtype.bitsize() as u64, |bits, size| bits.checked_mul(*size));
    match bits {
        None => Some(format!("a shape of {shape:?} overflows")),
        Some(bits) if bits.div_ceil(8) != length => Some(format!(
            "{length} bytes for {dtype} elements of shape {shape:?}, which take {}",
            bits.div_ceil(8)
        )),
        Some(_) => None,
    }
}
