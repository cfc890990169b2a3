//! What a name of `--shape` stands for: sizes of models and of the measurements with them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use whittle_models::random::{
    RandomShape, RandomVision, write_random_checkpoint, write_random_llava_next,
};

/// Tiles of an image in the vision part: the whole and two by two parts, as LLaVA-NeXT cuts a square.
pub(super) const TILES: usize = 5;

/// The sizes.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// The decoder.
    pub(crate) text: RandomShape,
    /// The vision tower.
    pub(crate) vision: RandomVision,
    /// Rows of the matrix products, and all sides of the square one.
    pub(crate) rows: usize,
    /// How much is read to measure the bandwidth: far more than caches hold.
    pub(crate) bandwidth_bytes: usize,
}

/// A matrix product: [m, k] times the transpose of [n, k].
#[derive(Serialize, Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    /// The layers that compute it.
    pub(crate) name: String,
    /// Rows.
    pub(crate) m: usize,
    /// Output features.
    pub(crate) n: usize,
    /// Input features.
    pub(crate) k: usize,
}

impl Scale {
    /// The scale of that name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let text = RandomShape::named(name).with_context(|| format!("no shape {name}"))?;
        Ok(if name == "tiny" {
            Self {
                text,
                vision: RandomVision {
                    hidden: 32,
                    layers: 2,
                    heads: 2,
                    intermediate: 64,
                    tile: 28,
                    patch: 14,
                },
                rows: 64,
                bandwidth_bytes: 1 << 20,
            }
        } else {
            Self {
                text,
                vision: RandomVision::LARGE_336,
                rows: 2048,
                bandwidth_bytes: 1 << 30,
            }
        })
    }

    /// The square product, and those of the decoder's layers.
    pub(crate) fn products(&self) -> Vec<Product> {
        let shape = &self.text;
        let product = |name: &str, n, k| Product {
            name: name.to_owned(),
            m: self.rows,
            n,
            k,
        };
        let (queries, keys) = (
            shape.query_heads * shape.head_dim,
            shape.kv_heads * shape.head_dim,
        );
        vec![
            Product::square(self.rows),
            product("q, o", queries, shape.hidden),
            product("k, v", keys, shape.hidden),
            product("gate, up", shape.intermediate, shape.hidden),
            product("down", shape.hidden, shape.intermediate),
            product("head", shape.vocabulary, shape.hidden),
        ]
    }
}

impl Product {
    /// The product of square matrices, by which rates are measured.
    pub(crate) fn square(side: usize) -> Self {
        Self {
            name: "square".to_owned(),
            m: side,
            n: side,
            k: side,
        }
    }

    /// Floating-point operations.
    pub(crate) fn operations(&self) -> f64 {
        2.0 * self.m as f64 * self.n as f64 * self.k as f64
    }
}

/// The folder of the decoder's random weights, written if it is not there yet.
pub(super) fn text_checkpoint(folder: &Path, scale: &Scale) -> Result<PathBuf> {
    written(folder, |unfinished, progress| {
        write_random_checkpoint(unfinished, &scale.text, 0, progress)
    })
}

/// The same for the vision tower and the projector; the decoder behind them is the smallest possible, as it is not run.
pub(super) fn vision_checkpoint(text_folder: &Path, scale: &Scale) -> Result<PathBuf> {
    let mut name = text_folder.file_name().unwrap_or_default().to_owned();
    name.push("-vision");
    let decoder = RandomShape {
        layers: 1,
        vocabulary: 512,
        ..scale.text.clone()
    };
    written(&text_folder.with_file_name(name), |unfinished, progress| {
        write_random_llava_next(unfinished, &scale.vision, &decoder, 0, progress)
    })
}

fn written(
    folder: &Path,
    write: impl FnOnce(&Path, &mut dyn FnMut(u64, u64)) -> std::io::Result<()>,
) -> Result<PathBuf> {
    if folder.join("config.json").is_file() {
        return Ok(folder.to_owned());
    }
    let cannot_write = || format!("cannot write the random weights to {}", folder.display());
    // Under another name until it is complete.
    let mut unfinished = folder.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let progress = crate::commands::progress(0, "bytes of random weights");
    write(Path::new(&unfinished), &mut |done, total| {
        progress.set_length(total);
        progress.set_position(done);
    })
    .with_context(cannot_write)?;
    progress.finish_and_clear();
    std::fs::rename(&unfinished, folder).with_context(cannot_write)?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_layers() {
        let products = Scale::named("m").unwrap().products();
        let sizes: Vec<_> = products.iter().map(|p| (p.m, p.n, p.k)).collect();
        assert_eq!(
            sizes,
            [
                (2048, 2048, 2048),
                (2048, 2048, 2048),
                (2048, 512, 2048),
                (2048, 7168, 2048),
                (2048, 2048, 7168),
                (2048, 32000, 2048)
            ]
        );
        assert_eq!(products[0].operations(), 2.0 * 2048_f64.powi(3));
    }

    #[test]
    fn names() {
        assert!(Scale::named("tiny").is_ok() && Scale::named("s").is_ok());
        let error = Scale::named("xl").unwrap_err();
        assert_eq!(error.to_string(), "no shape xl");
    }
}
