//! Bitmap fonts, all in the public domain: five of the X11 fixed fonts and the 8×8 font of the IBM PC.

use embedded_graphics::{
    Drawable, Pixel,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{MonoFont, MonoTextStyle, ascii},
    pixelcolor::BinaryColor,
    prelude::DrawTarget,
    text::{Baseline, Text},
};
use font8x8::UnicodeFonts;

/// Rows and columns of a glyph's bitmap; the largest font fits.
const BITMAP: usize = 16;

/// The fonts a page may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Font {
    Fixed(&'static MonoFont<'static>),
    Pc,
}

pub(crate) const FONTS: [Font; 6] = [
    Font::Fixed(&ascii::FONT_6X12),
    Font::Fixed(&ascii::FONT_5X7),
    Font::Fixed(&ascii::FONT_5X8),
    Font::Fixed(&ascii::FONT_6X9),
    Font::Fixed(&ascii::FONT_6X10),
    Font::Pc,
];

/// The set pixels of a glyph, relative to the top left corner of the font's capital letters.
pub(crate) struct Glyph {
    pub(crate) pixels: Vec<(i32, i32)>,
    /// Width of the character cell and height of a capital letter.
    pub(crate) width: i32,
    pub(crate) cap_height: i32,
}

struct Bitmap([[bool; BITMAP]; BITMAP]);

impl OriginDimensions for Bitmap {
    fn size(&self) -> Size {
        Size::new(BITMAP as u32, BITMAP as u32)
    }
}

impl DrawTarget for Bitmap {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        for Pixel(Point { x, y }, colour) in pixels {
            let (x, y) = (x as usize, y as usize);
            if x < BITMAP && y < BITMAP {
                self.0[y][x] = colour == BinaryColor::On;
            }
        }
        Ok(())
    }
}

impl Font {
    /// The glyph of an ASCII character; characters that the font lacks are blank.
    pub(crate) fn glyph(self, character: char) -> Glyph {
        let (top, bottom) = self.vertical_extent('H');
        let pixels = self
            .pixels(character)
            .into_iter()
            .map(|(x, y)| (x, y - top))
            .collect();
        let width = match self {
            Self::Fixed(font) => font.character_size.width as i32,
            Self::Pc => 8,
        };
        Glyph {
            pixels,
            width,
            cap_height: bottom - top + 1,
        }
    }

    fn vertical_extent(self, character: char) -> (i32, i32) {
        let rows = self.pixels(character).into_iter().map(|(_, y)| y);
        (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(0))
    }

    fn pixels(self, character: char) -> Vec<(i32, i32)> {
        let mut bitmap = Bitmap([[false; BITMAP]; BITMAP]);
        match self {
            Self::Fixed(font) => {
                let mut buffer = [0; 4];
                let text = character.encode_utf8(&mut buffer);
                let style = MonoTextStyle::new(font, BinaryColor::On);
                let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top)
                    .draw(&mut bitmap);
            }
            Self::Pc => {
                for (y, row) in font8x8::BASIC_FONTS
                    .get(character)
                    .unwrap_or_default()
                    .iter()
                    .enumerate()
                {
                    for x in 0..8 {
                        bitmap.0[y][x] = row >> x & 1 == 1;
                    }
                }
            }
        }
        let set = |(y, row): (usize, &[bool; BITMAP])| {
            let row = *row;
            (0..BITMAP)
                .filter(move |&x| row[x])
                .map(move |x| (x as i32, y as i32))
        };
        bitmap.0.iter().enumerate().flat_map(set).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_and_digits_fit_in_a_cell_and_differ() {
        for font in FONTS {
            let mut seen = std::collections::HashSet::new();
            for c in ('A'..='Z').chain('0'..='9') {
                let glyph = font.glyph(c);
                assert!(glyph.width <= 8 && glyph.cap_height <= 8, "{c} in {font:?}");
                assert!(!glyph.pixels.is_empty(), "{c} in {font:?}");
                assert!(
                    seen.insert(glyph.pixels),
                    "{c} looks like another glyph in {font:?}"
                );
            }
        }
    }
}
