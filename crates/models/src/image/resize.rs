//! Pillow's resize of 8-bit images, to the bit (`ImagingResample` in Pillow 11's `src/libImaging/Resample.c`).
//!
//! Each axis is resized by itself, the horizontal one first, with fixed-point weights; the result is rounded and
//! clipped to 8 bits in between. Where the image shrinks, the filter is stretched (antialiasing).

use image::RgbImage;
use rayon::prelude::*;

use super::Size;

/// A resampling filter, with its number in Pillow and in `preprocessor_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// 1: Lanczos over three lobes.
    Lanczos,
    /// 2: linear.
    Bilinear,
    /// 3: cubic with a = -0.5.
    Bicubic,
    /// 4: mean over the covered pixels.
    Box,
    /// 5: Hamming window.
    Hamming,
}

impl Filter {
    /// The filter of Pillow's number.
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Lanczos),
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            4 => Some(Self::Box),
            5 => Some(Self::Hamming),
            _ => None,
        }
    }

    /// Half the width of the filter, in pixels of the smaller image.
    fn support(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Box => 0.5,
        }
    }

    fn weight(self, x: f64) -> f64 {
        use std::f64::consts::PI;
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                (x * PI).sin() / (x * PI)
            }
        };
        match self {
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bilinear if x.abs() < 1.0 => 1.0 - x.abs(),
            Self::Bicubic => cubic(x.abs()),
            Self::Box if x > -0.5 && x <= 0.5 => 1.0,
            Self::Hamming => match x.abs() {
                0.0 => 1.0,
                x if x >= 1.0 => 0.0,
                x => {
                    (x * PI).sin() / (x * PI)
                        * (f64::from(0.54_f32) + f64::from(0.46_f32) * (x * PI).cos())
                }
            },
            Self::Lanczos | Self::Bilinear | Self::Box => 0.0,
        }
    }
}

/// Keys' cubic for x >= 0, evaluated in the order that Pillow has.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Bits behind the point of a weight: 32 less 8 for the pixel and 2 for sums that overshoot.
const PRECISION: u32 = 32 - 8 - 2;
const CHANNELS: usize = 3;

/// The source pixels of one target pixel and their weights.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

/// Resizes to `size`, which is not empty; neither is the image.
pub fn resize(image: &RgbImage, size: Size, filter: Filter) -> RgbImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let horizontal =
        (size.width != width).then(|| resize_rows(image.as_raw(), width, size.width, filter));
    let pixels = horizontal.as_deref().unwrap_or(image.as_raw());
    let vertical = (size.height != height)
        .then(|| resize_columns(pixels, size.width, height, size.height, filter));
    let pixels = vertical
        .or(horizontal)
        .unwrap_or_else(|| image.as_raw().clone());
    let mut resized = RgbImage::new(size.width as u32, size.height as u32);
    resized.copy_from_slice(&pixels);
    resized
}

fn windows(from: usize, to: usize, filter: Filter) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let inverse = 1.0 / stretch;
    let window = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let start = ((center - support + 0.5) as i64).max(0) as usize;
        let end = ((center + support + 0.5) as i64).clamp(0, from as i64) as usize;
        let weights: Vec<f64> = (start..end)
            .map(|x| filter.weight((x as f64 - center + 0.5) * inverse))
            .collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| {
            let weight = if sum == 0.0 { *weight } else { weight / sum };
            (weight * f64::from(1 << PRECISION) + if weight < 0.0 { -0.5 } else { 0.5 }) as i32
        };
        Window {
            start,
            weights: weights.iter().map(fixed).collect(),
        }
    };
    (0..to).map(window).collect()
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// `pixels` are rows of `width` pixels.
fn resize_rows(pixels: &[u8], width: usize, to: usize, filter: Filter) -> Vec<u8> {
    let windows = windows(width, to, filter);
    let mut out = vec![0; pixels.len() / width * to];
    out.par_chunks_exact_mut(to * CHANNELS)
        .zip(pixels.par_chunks_exact(width * CHANNELS))
        .for_each(|(out, row)| {
            for (out, window) in out.chunks_exact_mut(CHANNELS).zip(&windows) {
                let mut sums = [1 << (PRECISION - 1); CHANNELS];
                let pixels = row[window.start * CHANNELS..].chunks_exact(CHANNELS);
                for (pixel, weight) in pixels.zip(&window.weights) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(*value) * weight;
                    }
                }
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = clip(sum);
                }
            }
        });
    out
}

/// `pixels` are `height` rows of `width` pixels.
fn resize_columns(
    pixels: &[u8],
    width: usize,
    height: usize,
    to: usize,
    filter: Filter,
) -> Vec<u8> {
    let stride = width * CHANNELS;
    let windows = windows(height, to, filter);
    let mut out = vec![0; to * stride];
    out.par_chunks_exact_mut(stride)
        .zip(&windows)
        .for_each(|(out, window)| {
            let mut sums = vec![1 << (PRECISION - 1); stride];
            let rows = pixels[window.start * stride..].chunks_exact(stride);
            for (row, weight) in rows.zip(&window.weights) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += i32::from(*value) * weight;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = clip(sum);
            }
        });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From size, to size (width, height), Pillow's number of the filter, FNV-1a hash of what Pillow 11.3 gives.
    #[allow(clippy::type_complexity)]
    const PILLOW: &[((u32, u32), (usize, usize), u64, u64)] = &[
        ((7, 5), (4, 9), 1, 0x08fe_513d_abde_993b),
        ((7, 5), (4, 9), 2, 0xf467_4dbc_a700_3c99),
        ((7, 5), (4, 9), 3, 0x7f4d_b7ef_4414_6901),
        ((7, 5), (4, 9), 4, 0x46c0_6eb4_136d_8ae1),
        ((7, 5), (4, 9), 5, 0xa2fa_d34d_785c_b79b),
        ((61, 43), (17, 60), 1, 0xd82d_64b8_ccea_8923),
        ((61, 43), (17, 60), 2, 0x9d21_a6a4_a509_c80e),
        ((61, 43), (17, 60), 3, 0x1feb_eadb_2a2a_25aa),
        ((61, 43), (17, 60), 4, 0xd6d7_4a51_72c9_20d0),
        ((61, 43), (17, 60), 5, 0xc2e3_350e_22c3_0385),
        ((200, 3), (28, 28), 1, 0x809a_6839_18bb_cf9a),
        ((200, 3), (28, 28), 2, 0xfdf5_76b2_c62e_eaab),
        ((200, 3), (28, 28), 3, 0xfd85_2d36_3ffe_452e),
        ((200, 3), (28, 28), 4, 0xf9fe_2897_df08_b484),
        ((200, 3), (28, 28), 5, 0x5cdd_1b40_2f9f_3980),
        ((30, 30), (30, 11), 1, 0x26af_2161_45a1_e3f8),
        ((30, 30), (30, 11), 2, 0xe934_3d1d_df90_f2a5),
        ((30, 30), (30, 11), 3, 0x21ee_86f0_7cfe_da62),
        ((30, 30), (30, 11), 4, 0xd5a9_11f7_6926_c6da),
        ((30, 30), (30, 11), 5, 0xb7eb_30de_a680_4b96),
        ((1, 1), (5, 6), 1, 0x69ae_9c97_ead4_4e27),
        ((1, 1), (5, 6), 2, 0x69ae_9c97_ead4_4e27),
        ((1, 1), (5, 6), 3, 0x69ae_9c97_ead4_4e27),
        ((1, 1), (5, 6), 4, 0x69ae_9c97_ead4_4e27),
        ((1, 1), (5, 6), 5, 0x69ae_9c97_ead4_4e27),
    ];

    fn pattern(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let checker = if (x / 3 + y / 2) % 2 == 1 { 255 } else { 0 };
            let value =
                |c: u32| ((x * 37 + y * 59 + c * 101 + ((x * y) % 7) * 13 + checker) % 256) as u8;
            image::Rgb([value(0), value(1), value(2)])
        })
    }

    fn hash(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    #[test]
    fn every_filter_equals_pillow() {
        for &((from_width, from_height), (width, height), number, wanted) in PILLOW {
            let filter = Filter::from_number(number).unwrap();
            let image = resize(
                &pattern(from_width, from_height),
                Size { height, width },
                filter,
            );
            assert_eq!(
                hash(&image),
                wanted,
                "{from_width} x {from_height} to {width} x {height}, {filter:?}"
            );
        }
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let image = pattern(9, 4);
        assert_eq!(
            resize(
                &image,
                Size {
                    height: 4,
                    width: 9
                },
                Filter::Bicubic
            ),
            image
        );
        assert_eq!(Filter::from_number(0), None);
        assert_eq!(Filter::from_number(6), None);
    }
}
