//! Images from files, within limits, and their conversion to RGB as Pillow does it.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::{DynamicImage, ImageReader, Limits, RgbImage};

use crate::error::ModelError;

/// How large an image may be. A file of a few bytes can claim any size; the claim is checked before memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageLimits {
    /// Longest side in pixels.
    pub side: u32,
    /// Width times height. The default is where Pillow takes an image for a decompression bomb.
    pub pixels: u64,
    /// Bytes that the decoder may take.
    pub memory: u64,
    /// Bytes of the file.
    pub file: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self {
            side: 65_535,
            pixels: 178_956_970,
            memory: 2 << 30,
            file: 1 << 30,
        }
    }
}

/// Reads an image; its format follows from its first bytes, not from the name.
///
/// A rotation in the metadata is not applied (as in Pillow); of an animation, the first picture is taken.
pub fn load_image(path: &Path, limits: &ImageLimits) -> Result<DynamicImage, ModelError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(ModelError::io(path))?;
    let metadata = file.metadata().map_err(ModelError::io(path))?;
    if metadata.is_dir() {
        return Err(ModelError::image(&name, "is a folder"));
    }
    if metadata.len() > limits.file {
        return Err(ModelError::FileTooLarge {
            path: path.to_owned(),
            size: metadata.len(),
            limit: limits.file,
        });
    }
    decode(&name, BufReader::new(file), limits)
}

/// As [`load_image`] for bytes in memory; `name` is for messages.
pub fn decode_image(
    name: &str,
    bytes: &[u8],
    limits: &ImageLimits,
) -> Result<DynamicImage, ModelError> {
    decode(name, Cursor::new(bytes), limits)
}

fn decode(
    name: &str,
    source: impl BufRead + Seek,
    limits: &ImageLimits,
) -> Result<DynamicImage, ModelError> {
    let failed = |error: image::ImageError| ModelError::image(name, error.to_string());
    let mut reader = ImageReader::new(source)
        .with_guessed_format()
        .map_err(|error| ModelError::image(name, error.to_string()))?;
    if reader.format().is_none() {
        return Err(ModelError::image(
            name,
            "not an image of a known format (PNG, JPEG, WebP, BMP, GIF, PNM, TIFF)",
        ));
    }
    let mut decoder_limits = Limits::default();
    decoder_limits.max_alloc = Some(limits.memory);
    reader.limits(decoder_limits);
    let decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = image::ImageDecoder::dimensions(&decoder);
    check_size(name, width, height, limits)?;
    let bytes = image::ImageDecoder::total_bytes(&decoder);
    if bytes > limits.memory {
        let limit = format!(
            "its {bytes} bytes are more than the {} allowed",
            limits.memory
        );
        return Err(ModelError::ImageTooLarge {
            image: name.to_owned(),
            width,
            height,
            limit,
        });
    }
    DynamicImage::from_decoder(decoder).map_err(failed)
}

fn check_size(name: &str, width: u32, height: u32, limits: &ImageLimits) -> Result<(), ModelError> {
    let too_large = |limit| ModelError::ImageTooLarge {
        image: name.to_owned(),
        width,
        height,
        limit,
    };
    if width == 0 || height == 0 {
        return Err(ModelError::image(
            name,
            format!("{width} x {height} pixels: it is empty"),
        ));
    }
    if width.max(height) > limits.side {
        return Err(too_large(format!("a side may have {} pixels", limits.side)));
    }
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(too_large(format!(
            "an image may have {} pixels",
            limits.pixels
        )));
    }
    Ok(())
}

/// Converts to RGB as transformers 5.23 does with Pillow: transparent pixels are laid over white, gray is repeated, of
/// 16 bits the upper 8 remain (Pillow would clip 16-bit gray instead, which leaves white).
pub fn to_rgb(image: &DynamicImage) -> RgbImage {
    match image {
        DynamicImage::ImageRgb8(rgb) => rgb.clone(),
        DynamicImage::ImageRgb16(rgb) => map_pixels(rgb, |p: &image::Rgb<u16>| p.0.map(upper)),
        DynamicImage::ImageLuma16(gray) => {
            map_pixels(gray, |p: &image::Luma<u16>| [upper(p.0[0]); 3])
        }
        DynamicImage::ImageLumaA16(gray) => map_pixels(gray, |p: &image::LumaA<u16>| {
            let [gray, alpha] = p.0.map(upper);
            over_white([gray; 3], alpha)
        }),
        DynamicImage::ImageRgba16(rgba) => map_pixels(rgba, |p: &image::Rgba<u16>| {
            let [red, green, blue, alpha] = p.0.map(upper);
            over_white([red, green, blue], alpha)
        }),
        _ if image.color().has_alpha() => map_pixels(&image.to_rgba8(), |p: &image::Rgba<u8>| {
            let [red, green, blue, alpha] = p.0;
            over_white([red, green, blue], alpha)
        }),
        _ => image.to_rgb8(),
    }
}

fn map_pixels<P, C>(image: &image::ImageBuffer<P, C>, convert: impl Fn(&P) -> [u8; 3]) -> RgbImage
where
    P: image::Pixel,
    C: std::ops::Deref<Target = [P::Subpixel]>,
{
    let mut rgb = RgbImage::new(image.width(), image.height());
    for (out, pixel) in rgb.pixels_mut().zip(image.pixels()) {
        out.0 = convert(pixel);
    }
    rgb
}

fn upper(x: u16) -> u8 {
    (x >> 8) as u8
}

/// Pillow's `alpha_composite` (`src/libImaging/AlphaComposite.c`) over opaque white, in its integer arithmetic.
fn over_white(colour: [u8; 3], alpha: u8) -> [u8; 3] {
    const PRECISION: u32 = 7;
    let alpha = u32::from(alpha);
    let divide_by_255 = |x: u32| ((x >> 8) + x) >> 8;
    colour.map(|value| {
        let sum = (u32::from(value) * alpha + 255 * (255 - alpha)) << PRECISION;
        (divide_by_255(sum + (0x80 << PRECISION)) >> PRECISION) as u8
    })
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn transparency_is_laid_over_white() {
        // Values of PIL.Image.alpha_composite, Pillow 11.3.
        assert_eq!(over_white([10, 128, 250], 0), [255; 3]);
        assert_eq!(over_white([10, 128, 250], 255), [10, 128, 250]);
        assert_eq!(over_white([10, 128, 250], 100), [159, 205, 253]);
        let image = RgbaImage::from_pixel(2, 2, Rgba([0, 0, 0, 0]));
        assert_eq!(
            to_rgb(&DynamicImage::ImageRgba8(image)).get_pixel(0, 0),
            &Rgb([255; 3])
        );
    }

    #[test]
    fn deep_and_gray_images_become_8_bit_rgb() {
        let gray = image::ImageBuffer::from_pixel(1, 1, image::Luma([0x12ff_u16]));
        assert_eq!(
            to_rgb(&DynamicImage::ImageLuma16(gray)).get_pixel(0, 0),
            &Rgb([0x12; 3])
        );
        let deep = image::ImageBuffer::from_pixel(1, 1, Rgba([0xffff_u16, 0, 0x80ff, 0xffff]));
        assert_eq!(
            to_rgb(&DynamicImage::ImageRgba16(deep)).get_pixel(0, 0),
            &Rgb([255, 0, 0x80])
        );
    }

    #[test]
    fn limits_hold_before_pixels_are_decoded() {
        let bytes = png(&DynamicImage::ImageRgb8(RgbImage::new(300, 20)));
        let limits = ImageLimits {
            side: 299,
            ..ImageLimits::default()
        };
        let error = decode_image("page.png", &bytes, &limits).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image page.png: 300 x 20 pixels is too large: a side may have 299 pixels"
        );
        let limits = ImageLimits {
            pixels: 5999,
            ..ImageLimits::default()
        };
        assert!(matches!(
            decode_image("x", &bytes, &limits),
            Err(ModelError::ImageTooLarge { .. })
        ));
        let limits = ImageLimits {
            memory: 100,
            ..ImageLimits::default()
        };
        assert!(matches!(
            decode_image("x", &bytes, &limits),
            Err(ModelError::Image { .. })
        ));
        assert_eq!(
            decode_image("x", &bytes, &ImageLimits::default())
                .unwrap()
                .width(),
            300
        );
    }

    #[test]
    fn a_bomb_is_refused_by_what_its_header_claims() {
        let mut bytes = png(&DynamicImage::ImageRgb8(RgbImage::new(1, 1)));
        // The IHDR chunk: length, type, width, height, five bytes, checksum.
        bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = decode_image("bomb.png", &bytes, &ImageLimits::default()).unwrap_err();
        assert!(
            matches!(
                error,
                ModelError::ImageTooLarge {
                    width: 60_000,
                    height: 60_000,
                    ..
                }
            ),
            "{error}"
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn broken_images_are_named() {
        let limits = ImageLimits::default();
        let error = decode_image("notes.txt", b"hello", &limits)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("image notes.txt: not an image of a known format"),
            "{error}"
        );
        let bytes = png(&DynamicImage::ImageRgb8(RgbImage::new(30, 20)));
        assert!(decode_image("half.png", &bytes[..bytes.len() / 2], &limits).is_err());
        let missing = load_image(Path::new("/nowhere/page.png"), &limits).unwrap_err();
        assert!(matches!(missing, ModelError::Io { .. }));
        let folder = tempfile::tempdir().unwrap();
        assert!(
            load_image(folder.path(), &limits)
                .unwrap_err()
                .to_string()
                .contains("is a folder")
        );
    }
}
