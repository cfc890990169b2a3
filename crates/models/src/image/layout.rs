//! How LLaVA-NeXT lays an image of any resolution out as tiles and visual tokens.
//!
//! The image is resized to fit one of some given sizes ("pinpoints"), padded to it and cut into tiles; the whole image,
//! squeezed into one more tile, comes first. The tiles' features form one grid again, rows and columns of padding are
//! cut off, and every row ends with a newline embedding. Sources: transformers `image_processing_utils.py`,
//! `models/llava_next/modeling_llava_next.py` (`pack_image_features`, `unpad_image`).

use std::ops::Range;

use super::Size;
use crate::error::ModelError;

/// Where the embedding of a visual token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// Patch `patch` (row-major, the class token not counted) of tile `tile`; tile 0 is the whole image.
    Patch {
        /// Index of the tile.
        tile: usize,
        /// Index of the patch in the tile.
        patch: usize,
    },
    /// The newline embedding.
    Newline,
}

/// Which of an image's two grids of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// The whole image in one tile.
    Base,
    /// The tiles put together, without padding.
    Tiles,
}

/// A rectangle in the pixels of the original image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelRect {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

/// What one visual token stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenPlace {
    /// Where its embedding comes from.
    pub source: TokenSource,
    /// The grid that it belongs to.
    pub region: Region,
    /// Row in the grid.
    pub row: usize,
    /// Column in the grid; of a newline, one past the last.
    pub column: usize,
    /// What it shows of the original image. Newlines show nothing.
    pub rect: Option<PixelRect>,
}

/// The visual tokens of one image, in prompt order.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageLayout {
    /// Size of the original image.
    pub original: Size,
    /// The chosen pinpoint: the image was resized to fit it and padded.
    pub canvas: Size,
    /// Tiles of the canvas, without the one of the whole image.
    pub tiles: Size,
    /// Tokens of the whole image.
    pub base_grid: Size,
    /// Tokens of the tiles, without padding and newlines.
    pub tile_grid: Size,
    /// All tokens.
    pub tokens: Vec<TokenPlace>,
}

impl ImageLayout {
    /// Lays out an image of size `original` over tiles of side `tile` pixels with patches of side `patch` pixels.
    ///
    /// Pinpoints are multiples of `tile`, and `tile` of `patch`. Fails if there is no pinpoint in which anything of the
    /// image would remain.
    pub fn new(original: Size, pinpoints: &[Size], tile: usize, patch: usize) -> Result<Self, ModelError> {
        let canvas = best_resolution(original, pinpoints)
            .ok_or_else(|| ModelError::image(&original.to_string(), "too narrow to be resized to any size of the model"))?;
        let side = tile / patch;
        let tiles = Size { height: canvas.height / tile, width: canvas.width / tile };
        let grid = Size { height: tiles.height * side, width: tiles.width * side };
        let (rows, columns) = unpadded(original, grid);
        let mut layout = Self {
            original,
            canvas,
            tiles,
            base_grid: Size { height: side, width: side },
            tile_grid: Size { height: rows.len(), width: columns.len() },
            tokens: Vec::with_capacity(side * side + rows.len() * (columns.len() + 1)),
        };
        layout.push_base(side);
        layout.push_tiles(side, patch, rows, columns);
        Ok(layout)
    }

    fn push_base(&mut self, side: usize) {
        let (height, width) = (self.original.height as f32, self.original.width as f32);
        let edge = |i: usize, length: f32| i as f32 * length / side as f32;
        for row in 0..side {
            for column in 0..side {
                self.tokens.push(TokenPlace {
                    source: TokenSource::Patch { tile: 0, patch: row * side + column },
                    region: Region::Base,
                    row,
                    column,
                    rect: Some(PixelRect {
                        left: edge(column, width),
                        top: edge(row, height),
                        right: edge(column + 1, width),
                        bottom: edge(row + 1, height),
                    }),
                });
            }
        }
    }

    fn push_tiles(&mut self, side: usize, patch: usize, rows: Range<usize>, columns: Range<usize>) {
        let fitted = fitted_size(self.original, self.canvas);
        // From a pixel of the canvas back over padding and resize to a pixel of the original.
        let back = |pixel: usize, canvas: usize, fitted: usize, original: usize| {
            let padding = (canvas - fitted) / 2;
            let position = (pixel as f32 - padding as f32) * original as f32 / fitted as f32;
            position.clamp(0.0, original as f32)
        };
        let x = |pixel| back(pixel, self.canvas.width, fitted.width, self.original.width);
        let y = |pixel| back(pixel, self.canvas.height, fitted.height, self.original.height);
        for (row, i) in rows.enumerate() {
            for (column, j) in columns.clone().enumerate() {
                let tile = 1 + (i / side) * self.tiles.width + j / side;
                self.tokens.push(TokenPlace {
                    source: TokenSource::Patch { tile, patch: (i % side) * side + j % side },
                    region: Region::Tiles,
                    row,
                    column,
                    rect: Some(PixelRect {
                        left: x(j * patch),
                        top: y(i * patch),
                        right: x((j + 1) * patch),
                        bottom: y((i + 1) * patch),
                    }),
                });
            }
            self.tokens.push(TokenPlace {
                source: TokenSource::Newline,
                region: Region::Tiles,
                row,
                column: columns.len(),
                rect: None,
            });
        }
    }

    /// Number of tiles that the vision tower sees: those of the canvas and the whole image.
    pub fn tile_count(&self) -> usize {
        self.tiles.area() + 1
    }
}

/// The pinpoint that keeps most of the image's pixels and, among equals, wastes least
/// (`select_best_resolution`; sides are truncated here). `None` if the image vanishes in every pinpoint.
pub fn best_resolution(original: Size, pinpoints: &[Size]) -> Option<Size> {
    let mut best = None;
    let (mut most_kept, mut least_wasted) = (0, usize::MAX);
    for &pinpoint in pinpoints {
        let scale = f64::min(
            pinpoint.width as f64 / original.width as f64,
            pinpoint.height as f64 / original.height as f64,
        );
        let scaled = |side: usize| (side as f64 * scale) as usize;
        let kept = (scaled(original.width) * scaled(original.height)).min(original.area());
        let wasted = pinpoint.area().saturating_sub(kept);
        if kept > most_kept || (kept == most_kept && kept > 0 && wasted < least_wasted) {
            (most_kept, least_wasted, best) = (kept, wasted, Some(pinpoint));
        }
    }
    best
}

/// The size of an image resized to fit into `canvas` with its aspect ratio kept (`get_patch_output_size`; sides are
/// rounded up here).
pub fn fitted_size(original: Size, canvas: Size) -> Size {
    let horizontal = canvas.width as f64 / original.width as f64;
    let vertical = canvas.height as f64 / original.height as f64;
    if horizontal < vertical {
        let height = (original.height as f64 * horizontal).ceil() as usize;
        Size { height: height.min(canvas.height), width: canvas.width }
    } else {
        let width = (original.width as f64 * vertical).ceil() as usize;
        Size { height: canvas.height, width: width.min(canvas.width) }
    }
}

/// Rows and columns of the tiles' grid of features that remain when the padding is cut off (`unpad_image`).
///
/// This rounds otherwise than [`fitted_size`], so a row or column of mostly padding can remain, or none at all of a
/// very narrow image.
pub fn unpadded(original: Size, grid: Size) -> (Range<usize>, Range<usize>) {
    let (height, width) = (original.height as f64, original.width as f64);
    if width / height > grid.width as f64 / grid.height as f64 {
        let kept = truncated_after_rounding(height * (grid.width as f64 / width));
        let padding = grid.height.saturating_sub(kept) / 2;
        (padding..grid.height - padding, 0..grid.width)
    } else {
        let kept = truncated_after_rounding(width * (grid.height as f64 / height));
        let padding = grid.width.saturating_sub(kept) / 2;
        (0..grid.height, padding..grid.width - padding)
    }
}

/// Python's `int(round(x, 7))`. Formatting rounds the exact binary value correctly, as Python does.
fn truncated_after_rounding(x: f64) -> usize {
    let text = format!("{x:.7}");
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().unwrap_or(0)
}
