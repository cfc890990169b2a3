//! A picture to draw on.

use std::convert::Infallible;

use embedded_graphics::Drawable as _;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle, iso_8859_1};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor as _};
use embedded_graphics::prelude::{DrawTarget, Pixel};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use image::{Rgb, RgbImage};

/// A colour.
pub(crate) type Colour = [u8; 3];

/// Text, in the two sizes that are used.
#[derive(Clone, Copy)]
pub(crate) enum Font {
    /// 20 pixels high, 10 wide.
    Title,
    /// 15 pixels high, 8 wide.
    Caption,
}

impl Font {
    fn face(self) -> &'static MonoFont<'static> {
        match self {
            Self::Title => &iso_8859_1::FONT_10X20,
            Self::Caption => &iso_8859_1::FONT_8X13,
        }
    }

    /// How many characters fit into a width.
    pub(crate) fn fits(self, width: u32) -> usize {
        (width / self.face().character_size.width) as usize
    }
}

/// A picture to draw on.
pub(crate) struct Canvas {
    image: RgbImage,
}

impl Canvas {
    /// A picture of one colour.
    pub(crate) fn new(width: u32, height: u32, background: Colour) -> Self {
        Self {
            image: RgbImage::from_pixel(width, height, Rgb(background)),
        }
    }

    /// The finished picture.
    pub(crate) fn into_image(self) -> RgbImage {
        self.image
    }

    /// Writes a line of text; `at` is its top left corner (top centre, top right).
    pub(crate) fn text(
        &mut self,
        at: (i32, i32),
        alignment: Alignment,
        font: Font,
        colour: Colour,
        text: &str,
    ) {
        let style = MonoTextStyle::new(font.face(), Rgb888::new(colour[0], colour[1], colour[2]));
        let layout = TextStyleBuilder::new()
            .alignment(alignment)
            .baseline(Baseline::Top)
            .build();
        let Ok(_) = Text::with_text_style(text, Point::new(at.0, at.1), style, layout).draw(self);
    }

    /// Copies a picture to a place.
    pub(crate) fn paste(&mut self, x: u32, y: u32, picture: &RgbImage) {
        image::imageops::replace(&mut self.image, picture, i64::from(x), i64::from(y));
    }

    /// Fills a rectangle, `opacity` 1 covering what was there.
    pub(crate) fn fill(
        &mut self,
        x: i64,
        y: i64,
        width: i64,
        height: i64,
        colour: Colour,
        opacity: f32,
    ) {
        for row in y.max(0)..(y + height).min(i64::from(self.image.height())) {
            for column in x.max(0)..(x + width).min(i64::from(self.image.width())) {
                let pixel = self.image.get_pixel_mut(column as u32, row as u32);
                pixel.0 = mix(pixel.0, colour, opacity);
            }
        }
    }

    /// Draws the outline of a rectangle, `thickness` pixels inwards.
    pub(crate) fn outline(
        &mut self,
        (x, y, width, height): (i64, i64, i64, i64),
        thickness: i64,
        colour: Colour,
        opacity: f32,
    ) {
        let thickness = thickness.min(width / 2).min(height / 2).max(1);
        self.fill(x, y, width, thickness, colour, opacity);
        self.fill(x, y + height - thickness, width, thickness, colour, opacity);
        self.fill(
            x,
            y + thickness,
            thickness,
            height - 2 * thickness,
            colour,
            opacity,
        );
        self.fill(
            x + width - thickness,
            y + thickness,
            thickness,
            height - 2 * thickness,
            colour,
            opacity,
        );
    }
}

/// `share` of the way from one colour to the other.
pub(crate) fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| {
        (f32::from(from[i]) * (1.0 - share) + f32::from(to[i]) * share).round() as u8
    })
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.image.width(), self.image.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y))
                && let Some(pixel) = self.image.get_pixel_mut_checked(x, y)
            {
                pixel.0 = [colour.r(), colour.g(), colour.b()];
            }
        }
        Ok(())
    }
}
