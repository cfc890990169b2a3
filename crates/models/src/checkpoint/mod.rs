//! Weights of a checkpoint folder: safetensors files, mapped into memory.

mod header;
mod names;
mod weight;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Deserialize;
use whittle_kernels::mmap::MappedFile;

pub use header::{TensorEntry, parse_header};
pub use weight::Weight;

use crate::error::ModelError;
use crate::files;

/// The file of a checkpoint that is not split.
const SINGLE: &str = "model.safetensors";
/// The list of a split checkpoint's files.
const INDEX: &str = "model.safetensors.index.json";

/// All tensors of a checkpoint folder. Opening it reads the headers only; the weights stay in the files until they are
/// used.
#[derive(Debug)]
pub struct Checkpoint {
    /// The single file, or the index.
    path: PathBuf,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Place>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: Arc<MappedFile>,
}

#[derive(Debug)]
struct Place {
    shard: usize,
    entry: TensorEntry,
}

/// `model.safetensors.index.json`: which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens `model.safetensors`, else the files that `model.safetensors.index.json` lists, and checks their headers.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let single = dir.join(SINGLE);
        let index = dir.join(INDEX);
        if !single.exists() && index.exists() {
            return Self::open_sharded(dir, index);
        }
        let (shard, entries) = open_shard(single.clone())?;
        let tensors = entries
            .into_iter()
            .map(|(name, entry)| (name, Place { shard: 0, entry }))
            .collect();
        Ok(Self {
            path: single,
            shards: vec![shard],
            tensors,
        })
    }

    fn open_sharded(dir: &Path, path: PathBuf) -> Result<Self, ModelError> {
        let text = files::read_text(&path)?;
        let Index { weight_map } = files::parse_json(&path, &text)?;
        let mut shard_of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut shards = Vec::new();
        let mut headers = Vec::new();
        let mut tensors = BTreeMap::new();
        for (tensor, file) in &weight_map {
            let shard = if let Some(shard) = shard_of.get(file.as_str()) {
                *shard
            } else {
                check_file_name(&path, tensor, file)?;
                let (shard, entries) = open_shard(dir.join(file))?;
                shards.push(shard);
                headers.push(entries);
                shard_of.insert(file, shards.len() - 1);
                shards.len() - 1
            };
            let entry = headers[shard].remove(tensor).ok_or_else(|| {
                ModelError::checkpoint(
                    &path,
                    format!("tensor {tensor} is said to be in {file}, which has no such tensor"),
                )
            })?;
            tensors.insert(tensor.clone(), Place { shard, entry });
        }
        Ok(Self {
            path,
            shards,
            tensors,
        })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name, or of one of its aliases.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Number of elements of all tensors.
    pub fn parameters(&self) -> u64 {
        self.tensors
            .values()
            .map(|place| place.entry.elements() as u64)
            .sum()
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.tensors
            .values()
            .map(|place| place.entry.bytes.len() as u64)
            .sum()
    }

    /// The tensor `name` as published checkpoints call it, under whichever of its names this checkpoint has it.
    ///
    /// Its elements are read in place; only where the file holds them at an address that is not a multiple of their
    /// size are they copied.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Weight, ModelError> {
        let (name, place) = self.find(name).ok_or_else(|| ModelError::MissingTensor {
            path: self.path.clone(),
            tensor: name.to_owned(),
        })?;
        let shard = &self.shards[place.shard];
        let entry = &place.entry;
        if entry.shape != shape {
            return Err(ModelError::TensorShape {
                path: shard.path.clone(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        let dtype = entry
            .dtype
            .ok_or_else(|| ModelError::element_type(&shard.path, name, &entry.dtype_name))?;
        Ok(Weight::mapped(
            Arc::clone(&shard.file),
            entry.bytes.clone(),
            dtype,
            shape.to_vec(),
        ))
    }

    /// Fails if a weight is NaN or infinite. Reads every weight once, on all cores.
    pub fn check_finite(&self) -> Result<(), ModelError> {
        self.tensors.par_iter().try_for_each(|(name, place)| {
            let Some(dtype) = place.entry.dtype else {
                return Ok(());
            };
            let shard = &self.shards[place.shard];
            let range = place.entry.bytes.clone();
            let weight = Weight::mapped(
                Arc::clone(&shard.file),
                range,
                dtype,
                place.entry.shape.clone(),
            );
            match weight.first_not_finite() {
                None => Ok(()),
                Some(index) => Err(ModelError::NotFiniteWeight {
                    path: shard.path.clone(),
                    tensor: name.clone(),
                    index,
                    value: weight.elements().get(index),
                }),
            }
        })
    }

    fn find(&self, name: &str) -> Option<(&str, &Place)> {
        let exact = self.tensors.get_key_value(name);
        exact
            .or_else(|| names::aliases(name).find_map(|alias| self.tensors.get_key_value(&alias)))
            .map(|(name, place)| (name.as_str(), place))
    }
}

fn open_shard(path: PathBuf) -> Result<(Shard, BTreeMap<String, TensorEntry>), ModelError> {
    let file = MappedFile::open(&path)?;
    let entries = parse_header(&path, file.bytes())?;
    Ok((
        Shard {
            path,
            file: Arc::new(file),
        },
        entries,
    ))
}

/// An index may name only files beside it.
fn check_file_name(index: &Path, tensor: &str, file: &str) -> Result<(), ModelError> {
    let mut components = Path::new(file).components();
    let plain = matches!((components.next(), components.next()), (Some(Component::Normal(name)), None) if name == file);
    // A backslash is an ordinary character here but a separator elsewhere.
    if plain && !file.contains(['/', '\\']) {
        Ok(())
    } else {
        let problem = format!(
            "tensor {tensor} is said to be in {file:?}, which is not the plain name of a file in this folder"
        );
        Err(ModelError::checkpoint(index, problem))
    }
}

/// Bytes of a tensor within a file, from the file's start.
pub(crate) type ByteRange = Range<usize>;
