//! Vision tower and projector over the tiles of one image.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use whittle_models::llava_next::LlavaNext;
use whittle_models::{LoadOptions, Model as _, ModelDescription};

use super::pseudo_random_floats;
use crate::commands::bench::scale::Scale;

/// Options of the process.
#[derive(Args)]
pub(super) struct Arguments {
    #[arg(long)]
    shape: String,
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    tiles: usize,
    #[arg(long)]
    samples: usize,
}

/// Seconds of each run.
pub(super) fn measure(arguments: &Arguments) -> Result<Vec<f64>> {
    let model = LlavaNext::load(&arguments.model, &LoadOptions::default())?;
    let scale = Scale::named(&arguments.shape)?;
    if !fits(model.description(), &scale) {
        let (folder, shape) = (arguments.model.display(), &arguments.shape);
        bail!("{folder} holds another model than that of shape {shape}: give another --checkpoint");
    }
    let per_tile = 3 * scale.vision.tile.pow(2);
    let pixels = pseudo_random_floats(arguments.tiles * per_tile);
    let run = |pixels: &[f32]| -> Result<f64> {
        let start = Instant::now();
        let features = model.project(&model.vision_features(pixels)?);
        std::hint::black_box(features);
        Ok(start.elapsed().as_secs_f64())
    };
    // Brings the weights into memory and starts the threads.
    run(&pixels[..per_tile])?;
    (0..arguments.samples).map(|_| run(&pixels)).collect()
}

/// A folder given by hand may hold anything.
fn fits(model: &ModelDescription, scale: &Scale) -> bool {
    let tower = model.vision.as_ref();
    model.text.hidden == scale.text.hidden
        && tower.is_some_and(|tower| {
            (tower.hidden, tower.tile, tower.patch)
                == (scale.vision.hidden, scale.vision.tile, scale.vision.patch)
        })
}
