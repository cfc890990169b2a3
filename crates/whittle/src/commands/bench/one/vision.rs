//! Vision tower and projector over the tiles of one image.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use whittle_models::LoadOptions;
use whittle_models::llava_next::LlavaNext;

use super::pseudo_random_floats;
use whittle_models::Model as _;

/// Options of the process.
#[derive(Args)]
pub(super) struct Arguments {
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
    let tile = model.description().vision.as_ref().map_or(0, |v| v.tile);
    let per_tile = 3 * tile * tile;
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
