//! LLaVA-NeXT's image processor: an image in, normalised tiles out
//! (transformers `models/llava_next/image_processing_pil_llava_next.py`).

use std::path::Path;

use image::{DynamicImage, RgbImage};
use rayon::prelude::*;

use super::{Filter, ImageLayout, Size, fitted_size, resize, to_rgb};
use crate::config::{ConfigFile, Fields, LlavaNextConfig, MAX_SIDE, read_pinpoints};
use crate::error::ModelError;
use crate::files;

/// Pixels of the tiles of one image, ready for the vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelTiles {
    /// Number of tiles. Tile 0 is the whole image.
    pub tiles: usize,
    /// Side of a tile in pixels.
    pub side: usize,
    /// `[tiles, 3, side, side]`.
    pub pixels: Vec<f32>,
}

/// Settings of the image processor, from `preprocessor_config.json` or `processor_config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    tile: usize,
    pinpoints: Vec<Size>,
    filter: Filter,
    /// Normalised value of each of the 256 values of a pixel, by channel.
    values: Vec<[f32; CHANNELS]>,
}

const CHANNELS: usize = 3;
/// `OPENAI_CLIP_MEAN` and `OPENAI_CLIP_STD` of transformers.
const CLIP_MEAN: [f32; CHANNELS] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; CHANNELS] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl ImageProcessor {
    /// Reads the settings of a checkpoint folder and checks that they fit the model.
    ///
    /// A folder without such a file has the defaults of transformers, with the model's tile size.
    pub fn open(dir: &Path, model: &LlavaNextConfig) -> Result<Self, ModelError> {
        let (file, processor) = match Self::find(dir)? {
            Some((file, text)) => {
                let config = ConfigFile::parse(&file, &text)?;
                let processor = Self::read(&config)?;
                (file, processor)
            }
            None => (dir.join("preprocessor_config.json"), Self::new(model)),
        };
        let mismatch = |key: &str, problem: String| ModelError::Config {
            path: file.clone(),
            key: key.into(),
            problem,
        };
        if processor.tile != model.vision.image_size {
            let problem = format!(
                "{} pixels, but the vision tower takes {}",
                processor.tile, model.vision.image_size
            );
            return Err(mismatch("crop_size", problem));
        }
        if processor.pinpoints != model.image_grid_pinpoints {
            return Err(mismatch(
                "image_grid_pinpoints",
                "other than in config.json".into(),
            ));
        }
        Ok(processor)
    }

    fn find(dir: &Path) -> Result<Option<(std::path::PathBuf, String)>, ModelError> {
        for name in ["preprocessor_config.json", "processor_config.json"] {
            let path = dir.join(name);
            if let Some(text) = files::read_text_if_there(&path)? {
                return Ok(Some((path, text)));
            }
        }
        Ok(None)
    }

    fn new(model: &LlavaNextConfig) -> Self {
        let tile = model.vision.image_size;
        let values = normalised_values(1.0 / 255.0, Some((CLIP_MEAN, CLIP_STD)));
        Self {
            tile,
            pinpoints: model.image_grid_pinpoints.clone(),
            filter: Filter::Bicubic,
            values,
        }
    }

    /// Reads the settings: the whole of `preprocessor_config.json`, or `image_processor` in `processor_config.json`.
    pub fn read(file: &ConfigFile) -> Result<Self, ModelError> {
        let root = file.fields();
        let fields = root.object("image_processor")?.unwrap_or(root);
        match fields.string("image_processor_type")? {
            None
            | Some(
                "LlavaNextImageProcessor"
                | "LlavaNextImageProcessorFast"
                | "LlavaNextImageProcessorPil",
            ) => {}
            Some(other) => {
                let problem =
                    format!("unknown image processor {other}; known is LlavaNextImageProcessor");
                return Err(fields.error("image_processor_type", problem));
            }
        }
        let tile = read_tile(&fields)?;
        for key in ["do_resize", "do_convert_rgb"] {
            if !fields.flag(key, true)? {
                return Err(fields.error(key, "only true is supported"));
            }
        }
        let scale = if fields.flag("do_rescale", true)? {
            fields.positive("rescale_factor")?.unwrap_or(1.0 / 255.0)
        } else {
            1.0
        };
        let statistics = if fields.flag("do_normalize", true)? {
            Some(read_statistics(&fields)?)
        } else {
            None
        };
        Ok(Self {
            tile,
            pinpoints: read_pinpoints(&fields, tile)?,
            filter: read_filter(&fields)?,
            values: normalised_values(scale, statistics),
        })
    }

    /// Side of a tile in pixels.
    pub fn tile(&self) -> usize {
        self.tile
    }

    /// Resizes, tiles and normalises an image; `name` is for messages. `patch` is the side of the vision tower's
    /// patches in pixels.
    pub fn process(
        &self,
        name: &str,
        image: &DynamicImage,
        patch: usize,
    ) -> Result<(PixelTiles, ImageLayout), ModelError> {
        let original = Size {
            height: image.height() as usize,
            width: image.width() as usize,
        };
        if original.area() == 0 {
            return Err(ModelError::image(name, "it is empty"));
        }
        let layout = ImageLayout::new(original, &self.pinpoints, self.tile, patch)
            .map_err(|error| error.named(name))?;
        Ok((self.tiles(&to_rgb(image), &layout), layout))
    }

    fn tiles(&self, image: &RgbImage, layout: &ImageLayout) -> PixelTiles {
        let side = self.tile;
        let whole = resize(
            image,
            Size {
                height: side,
                width: side,
            },
            self.filter,
        );
        let canvas = self.canvas(image, layout.original, layout.canvas);
        let mut pixels = vec![0.0; layout.tile_count() * CHANNELS * side * side];
        pixels
            .par_chunks_exact_mut(CHANNELS * side * side)
            .enumerate()
            .for_each(|(tile, out)| match tile.checked_sub(1) {
                None => self.normalise(&whole, 0, 0, out),
                Some(tile) => {
                    let (row, column) = (tile / layout.tiles.width, tile % layout.tiles.width);
                    self.normalise(&canvas, column * side, row * side, out);
                }
            });
        PixelTiles {
            tiles: layout.tile_count(),
            side,
            pixels,
        }
    }

    /// The image resized to fit and centered on black. The padding is normalised like any other pixel.
    fn canvas(&self, image: &RgbImage, original: Size, size: Size) -> RgbImage {
        let fitted = fitted_size(original, size);
        let resized = resize(image, fitted, self.filter);
        let mut canvas = RgbImage::new(size.width as u32, size.height as u32);
        let (x, y) = (
            (size.width - fitted.width) / 2,
            (size.height - fitted.height) / 2,
        );
        image::imageops::replace(&mut canvas, &resized, x as i64, y as i64);
        canvas
    }

    /// Writes the tile at (x, y) of `image` to `out` `[3, side, side]`.
    fn normalise(&self, image: &RgbImage, x: usize, y: usize, out: &mut [f32]) {
        let side = self.tile;
        let stride = image.width() as usize * CHANNELS;
        for (channel, plane) in out.chunks_exact_mut(side * side).enumerate() {
            for (row, line) in plane.chunks_exact_mut(side).enumerate() {
                let start = (y + row) * stride + x * CHANNELS + channel;
                for (value, pixel) in line
                    .iter_mut()
                    .zip(image.as_raw()[start..].iter().step_by(CHANNELS))
                {
                    *value = self.values[usize::from(*pixel)][channel];
                }
            }
        }
    }
}

/// The side of a tile: `crop_size`, else `size`. The two have to agree: transformers resizes each tile to `size`.
fn read_tile(fields: &Fields<'_>) -> Result<usize, ModelError> {
    let size = read_square(fields, "size")?.unwrap_or(224);
    let crop = read_square(fields, "crop_size")?.unwrap_or(224);
    if size != crop {
        return Err(fields.error(
            "crop_size",
            format!("{crop}, other than size, {size}, is not supported"),
        ));
    }
    Ok(size)
}

/// A size that is a number, a `shortest_edge`, or an equal `height` and `width`.
fn read_square(fields: &Fields<'_>, key: &str) -> Result<Option<usize>, ModelError> {
    match fields.get(key) {
        None => return Ok(None),
        Some(value) if value.is_number() => return fields.size(key, MAX_SIDE),
        Some(_) => {}
    }
    let Some(object) = fields.object(key)? else {
        return Ok(None);
    };
    if let Some(edge) = object.size("shortest_edge", MAX_SIDE)? {
        return Ok(Some(edge));
    }
    match (
        object.size("height", MAX_SIDE)?,
        object.size("width", MAX_SIDE)?,
    ) {
        (Some(height), Some(width)) if height == width => Ok(Some(height)),
        (Some(height), Some(width)) => Err(fields.error(
            key,
            format!("{height} x {width}: only squares are supported"),
        )),
        _ => Err(fields.error(key, "has neither shortest_edge nor height and width")),
    }
}

fn read_filter(fields: &Fields<'_>) -> Result<Filter, ModelError> {
    let Some(number) = fields.get("resample") else {
        return Ok(Filter::Bicubic);
    };
    number
        .as_u64()
        .and_then(Filter::from_number)
        .ok_or_else(|| {
            fields.error(
                "resample",
                format!("{number} is not a supported filter (1 to 5, as in Pillow)"),
            )
        })
}

fn read_statistics(fields: &Fields<'_>) -> Result<([f32; CHANNELS], [f32; CHANNELS]), ModelError> {
    let mean = fields.channels("image_mean")?.unwrap_or(CLIP_MEAN);
    let std = fields.channels("image_std")?.unwrap_or(CLIP_STD);
    if std.iter().any(|std| !(*std > 0.0 && std.is_finite())) {
        return Err(fields.error("image_std", "has to be positive"));
    }
    Ok((mean, std))
}

/// What every pixel value becomes: rescaled in f64, normalised in f32, as numpy does it in transformers.
fn normalised_values(
    scale: f64,
    statistics: Option<([f32; CHANNELS], [f32; CHANNELS])>,
) -> Vec<[f32; CHANNELS]> {
    let (mean, std) = statistics.unwrap_or(([0.0; CHANNELS], [1.0; CHANNELS]));
    (0..=255_u8)
        .map(|value| {
            let scaled = (f64::from(value) * scale) as f32;
            std::array::from_fn(|channel| (scaled - mean[channel]) / std[channel])
        })
        .collect()
}
