//! Reads golden cases: tensors, tolerances, model folders.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use whittle_testing::golden;

/// One `case_<k>`: tensors and what the .json says about them.
pub(crate) struct Case {
    pub(crate) name: String,
    bytes: Vec<u8>,
    pub(crate) info: Value,
}

impl Case {
    pub(crate) fn open(name: &str) -> Self {
        let bytes = fs::read(golden(&format!("{name}.safetensors"))).unwrap();
        let info =
            serde_json::from_slice(&fs::read(golden(&format!("{name}.json"))).unwrap()).unwrap();
        Self {
            name: name.to_owned(),
            bytes,
            info,
        }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    pub(crate) fn has(&self, tensor: &str) -> bool {
        self.tensors().tensor(tensor).is_ok()
    }

    pub(crate) fn shape(&self, tensor: &str) -> Vec<usize> {
        self.tensors().tensor(tensor).unwrap().shape().to_vec()
    }

    pub(crate) fn floats(&self, tensor: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let view = tensors
            .tensor(tensor)
            .unwrap_or_else(|e| panic!("{}: {tensor}: {e}", self.name));
        assert_eq!(view.dtype(), Dtype::F32, "{tensor}");
        view.data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    pub(crate) fn ids(&self, tensor: &str) -> Vec<u32> {
        let tensors = self.tensors();
        let view = tensors
            .tensor(tensor)
            .unwrap_or_else(|e| panic!("{}: {tensor}: {e}", self.name));
        match view.dtype() {
            Dtype::I64 => view
                .data()
                .chunks_exact(8)
                .map(|b| u32::try_from(i64::from_le_bytes(b.try_into().unwrap())).unwrap())
                .collect(),
            Dtype::U32 => view
                .data()
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            other => panic!("{tensor} holds {other:?}"),
        }
    }

    /// The tolerance that the case states for a tensor.
    pub(crate) fn atol(&self, tensor: &str) -> f32 {
        self.info["tensors"][tensor]["atol"]
            .as_f64()
            .unwrap_or_else(|| panic!("{}: no atol of {tensor}", self.name)) as f32
    }

    /// The images that the prompt shows.
    pub(crate) fn images(&self) -> Vec<image::DynamicImage> {
        self.info["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|path| image::open(golden(path.as_str().unwrap())).unwrap())
            .collect()
    }

    pub(crate) fn user_text(&self) -> &str {
        self.info["user_text"].as_str().unwrap()
    }
}

/// Collects how close results come to the reference, as a share of the tolerance.
#[derive(Default)]
pub(crate) struct Deviations {
    worst: std::collections::BTreeMap<String, f32>,
}

impl Deviations {
    /// Asserts |got - want| <= atol for every element.
    pub(crate) fn compare(&mut self, what: &str, got: &[f32], want: &[f32], atol: f32) {
        assert_eq!(got.len(), want.len(), "{what}: number of elements");
        let mut largest = 0.0_f32;
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let difference = (g - w).abs();
            assert!(
                difference <= atol,
                "{what}, element {i}: {g} instead of {w} (atol {atol})"
            );
            largest = largest.max(difference);
        }
        let kind = what.split('.').next().unwrap().to_owned();
        let worst = self.worst.entry(kind).or_default();
        *worst = worst.max(largest / atol);
    }

    /// Shows the largest deviations with `cargo test -- --nocapture`.
    pub(crate) fn print(&self, title: &str) {
        for (what, share) in &self.worst {
            println!("{title}: {what}: {:.1} % of the tolerance", share * 100.0);
        }
    }
}

/// A copy of a golden model folder that a test may change; the files are links to the golden ones.
pub(crate) fn model_folder(model: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden(&format!("models/{model}"))).unwrap() {
        let path = fs::canonicalize(entry.unwrap().path()).unwrap();
        link(&path, &folder.path().join(path.file_name().unwrap()));
    }
    folder
}

/// The two layouts of config.json that the goldens hold.
pub(crate) const LAYOUTS: [&str; 2] = ["config.json", "config.classic.json"];

/// A model folder with `layout` as its config.json.
pub(crate) fn model_folder_with(model: &str, layout: &str) -> tempfile::TempDir {
    let folder = model_folder(model);
    let config: PathBuf = golden(&format!("models/{model}/{layout}"));
    let target = folder.path().join("config.json");
    fs::remove_file(&target).unwrap();
    link(&fs::canonicalize(config).unwrap(), &target);
    folder
}

/// Replaces a link in a model folder by a file of its own and returns its content changed by `change`.
pub(crate) fn rewrite(folder: &Path, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = folder.join(file);
    let changed = change(fs::read(&path).unwrap());
    fs::remove_file(&path).unwrap();
    fs::write(&path, changed).unwrap();
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) {
    std::os::unix::fs::symlink(from, to).unwrap();
}

#[cfg(not(unix))]
fn link(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}
