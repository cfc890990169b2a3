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
    /// Pinpoints are multiples of `tile`, and `tile` of `patch`. Fails if the image is empty, or
    /// there are no pinpoints.
    pub fn new(
        original: Size,
        pinpoints: &[Size],
        tile: usize,
        patch: usize,
    ) -> Result<Self, ModelError> {
        let canvas = best_resolution(original, pinpoints)
            .filter(|_| original.area() > 0)
            .ok_or_else(|| {
                ModelError::image(
                    &original.to_string(),
                    "it is empty, or the model has no sizes",
                )
            })?;
        let side = tile / patch;
        let tiles = Size {
            height: canvas.height / tile,
            width: canvas.width / tile,
        };
        let grid = Size {
            height: tiles.height * side,
            width: tiles.width * side,
        };
        let (rows, columns) = unpadded(original, grid);
        let mut layout = Self {
            original,
            canvas,
            tiles,
            base_grid: Size {
                height: side,
                width: side,
            },
            tile_grid: Size {
                height: rows.len(),
                width: columns.len(),
            },
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
                    source: TokenSource::Patch {
                        tile: 0,
                        patch: row * side + column,
                    },
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
        let y = |pixel| {
            back(
                pixel,
                self.canvas.height,
                fitted.height,
                self.original.height,
            )
        };
        for (row, i) in rows.enumerate() {
            for (column, j) in columns.clone().enumerate() {
                let tile = 1 + (i / side) * self.tiles.width + j / side;
                self.tokens.push(TokenPlace {
                    source: TokenSource::Patch {
                        tile,
                        patch: (i % side) * side + j % side,
                    },
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
/// (`select_best_resolution`; sides are truncated here). `None` if there are no pinpoints.
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
        if kept > most_kept || (kept == most_kept && wasted < least_wasted) {
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
        Size {
            height: height.min(canvas.height),
            width: canvas.width,
        }
    } else {
        let width = (original.width as f64 * vertical).ceil() as usize;
        Size {
            height: canvas.height,
            width: width.min(canvas.width),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const TILE: usize = 336;
    const PATCH: usize = 14;

    fn pinpoints() -> Vec<Size> {
        [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)]
            .map(|(height, width)| Size { height, width })
            .to_vec()
    }

    /// (height, width) of image and pinpoint, visual tokens, and of the tiles' grid (tokens, newlines), from the
    /// processor of transformers 5.23.
    #[allow(clippy::type_complexity)]
    const TRANSFORMERS: &[((usize, usize), (usize, usize), usize, (usize, usize))] = &[
        ((480, 640), (672, 672), 2340, (1728, 36)),
        ((1000, 333), (1008, 336), 2376, (1728, 72)),
        ((40, 50), (336, 672), 1320, (720, 24)),
        ((300, 1920), (336, 1008), 1452, (864, 12)),
        ((77, 123), (336, 672), 1512, (912, 24)),
        ((131, 90), (336, 672), 984, (384, 24)),
        ((1, 1), (336, 672), 1176, (576, 24)),
        ((336, 336), (336, 672), 1176, (576, 24)),
        ((337, 672), (672, 672), 1752, (1152, 24)),
        ((672, 337), (672, 672), 1776, (1152, 48)),
        ((1009, 336), (1008, 336), 2376, (1728, 72)),
        ((24, 1000), (336, 1008), 722, (144, 2)),
        ((10, 600), (336, 672), 576, (0, 0)),
        ((5000, 37), (1008, 336), 648, (0, 72)),
        ((999, 1001), (672, 672), 2928, (2304, 48)),
        ((3, 100), (336, 672), 674, (96, 2)),
        ((1080, 1920), (672, 672), 1948, (1344, 28)),
        ((4032, 3024), (672, 672), 2352, (1728, 48)),
    ];

    #[test]
    fn layouts_equal_those_of_transformers() {
        for &((height, width), (canvas_height, canvas_width), tokens, (patches, newlines)) in
            TRANSFORMERS
        {
            let layout =
                ImageLayout::new(Size { height, width }, &pinpoints(), TILE, PATCH).unwrap();
            assert_eq!(
                layout.canvas,
                Size {
                    height: canvas_height,
                    width: canvas_width
                },
                "{height} x {width}"
            );
            assert_eq!(layout.tokens.len(), tokens, "{height} x {width}");
            assert_eq!(layout.tile_grid.area(), patches, "{height} x {width}");
            assert_eq!(layout.tile_grid.height, newlines, "{height} x {width}");
        }
    }

    #[test]
    fn sides_round_up_when_fitted() {
        let canvas = Size {
            height: 112,
            width: 112,
        };
        assert_eq!(
            fitted_size(
                Size {
                    height: 333,
                    width: 1000
                },
                canvas
            ),
            Size {
                height: 38,
                width: 112
            }
        );
        assert_eq!(
            fitted_size(
                Size {
                    height: 1000,
                    width: 333
                },
                canvas
            ),
            Size {
                height: 112,
                width: 38
            }
        );
    }

    #[test]
    fn python_rounding_is_followed() {
        // Below one by less than half of the seventh place: Python rounds up first, then truncates.
        assert_eq!(truncated_after_rounding(0.999_999_96), 1);
        assert_eq!(truncated_after_rounding(0.999_999_94), 0);
        assert_eq!(truncated_after_rounding(17.5), 17);
    }

    #[test]
    fn a_token_lies_where_its_patch_was_cut() {
        // 672 x 336 fits the pinpoint exactly: a patch of a tile is 14 x 14 pixels, one of the whole image 28 x 14.
        let layout = ImageLayout::new(
            Size {
                height: 336,
                width: 672,
            },
            &pinpoints(),
            TILE,
            PATCH,
        )
        .unwrap();
        let base = layout.tokens[25];
        assert_eq!((base.region, base.row, base.column), (Region::Base, 1, 1));
        assert_eq!(
            base.rect,
            Some(PixelRect {
                left: 28.0,
                top: 14.0,
                right: 56.0,
                bottom: 28.0
            })
        );
        // Row 2 of the grid, column 30: the second tile.
        let place = layout.tokens[576 + 2 * 49 + 30];
        assert_eq!(
            place.source,
            TokenSource::Patch {
                tile: 2,
                patch: 2 * 24 + 6
            }
        );
        assert_eq!(
            place.rect,
            Some(PixelRect {
                left: 420.0,
                top: 28.0,
                right: 434.0,
                bottom: 42.0
            })
        );
        let newline = layout.tokens[576 + 48];
        assert_eq!(
            (newline.source, newline.row, newline.column),
            (TokenSource::Newline, 0, 48)
        );
        assert_eq!(newline.rect, None);
    }

    proptest! {
        #[test]
        fn every_layout_covers_the_image(height in 1_usize..3000, width in 1_usize..3000) {
            let layout = ImageLayout::new(Size { height, width }, &pinpoints(), TILE, PATCH).unwrap();
            let mut sources = HashSet::new();
            let (mut right, mut bottom) = (0.0_f32, 0.0_f32);
            for token in &layout.tokens {
                let Some(rect) = token.rect else { continue };
                if let TokenSource::Patch { tile, patch } = token.source {
                    prop_assert!(tile < layout.tile_count() && patch < 576);
                    prop_assert!(sources.insert((tile, patch)));
                }
                prop_assert!(0.0 <= rect.left && rect.left <= rect.right && rect.right <= width as f32);
                prop_assert!(0.0 <= rect.top && rect.top <= rect.bottom && rect.bottom <= height as f32);
                if token.region == Region::Base {
                    (right, bottom) = (right.max(rect.right), bottom.max(rect.bottom));
                }
            }
            prop_assert_eq!((right, bottom), (width as f32, height as f32));
        }

        #[test]
        fn the_padding_cut_off_is_symmetric(height in 1_usize..2000, width in 1_usize..2000) {
            let grid = Size { height: 48, width: 72 };
            let (rows, columns) = unpadded(Size { height, width }, grid);
            prop_assert_eq!(rows.start, grid.height - rows.end);
            prop_assert_eq!(columns.start, grid.width - columns.end);
            prop_assert!(rows.len() == grid.height || columns.len() == grid.width);
        }
    }
}
