//! `--show-kept`: the visual tokens that were kept, drawn over the image, layer by layer.
//!
//! A kept token lets the image shine through where the token looks; the more KV heads of the layer keep it, the
//! brighter. Tokens of the overview (the whole image in one tile) are frames, tokens of the detail tiles are areas.

mod canvas;

use embedded_graphics::text::Alignment;
use image::imageops::FilterType;
use image::{Rgb, RgbImage};

use canvas::{Canvas, Colour, Font, mix};

const BACKGROUND: Colour = [250, 250, 248];
const INK: Colour = [32, 36, 44];
const FAINT: Colour = [120, 126, 136];
const RULE: Colour = [222, 224, 228];
const SHADOW: Colour = [22, 26, 38];
const OVERVIEW: Colour = [255, 140, 0];
const BAR: Colour = [46, 120, 190];
const BUDGET: Colour = [214, 69, 65];

const MARGIN: u32 = 24;
const GAP: u32 = 18;
const PANEL: u32 = 264;
const COLUMNS: u32 = 4;
const CAPTION: u32 = 22;
const CHART: u32 = 150;
/// How much of a dropped place is covered by shadow.
const DARK: f32 = 0.86;

/// The place of a visual token, in pixels of the image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    /// Left, top, width, height.
    pub(crate) rectangle: [f32; 4],
    /// Whether the token comes from the tile that shows the whole image.
    pub(crate) overview: bool,
    /// For each layer the share of KV heads that keep the token.
    pub(crate) kept: Vec<f32>,
}

/// An image with its tokens.
pub(crate) struct Shown {
    /// The image.
    pub(crate) image: RgbImage,
    /// Its visual tokens.
    pub(crate) regions: Vec<Region>,
}

/// All that is drawn.
pub(crate) struct Picture {
    /// First line: the question.
    pub(crate) title: String,
    /// Second line: policy, numbers.
    pub(crate) subtitle: String,
    /// The images of the prompt.
    pub(crate) images: Vec<Shown>,
    /// The budget asked for.
    pub(crate) budget: f64,
    /// Kept share of each layer, over all prompt tokens and KV heads.
    pub(crate) kept: Vec<f64>,
    /// Retained attention mass of each layer, if it was measured.
    pub(crate) mass: Vec<f64>,
}

impl Picture {
    /// Draws everything.
    pub(crate) fn draw(&self) -> RgbImage {
        let layers = self.kept.len() as u32;
        let columns = COLUMNS.min(layers + 1).max(3);
        let width = 2 * MARGIN + columns * PANEL + (columns - 1) * GAP;
        let rows = (layers + 1).div_ceil(columns);
        let heights: Vec<u32> = self
            .images
            .iter()
            .map(|shown| panel_height(&shown.image))
            .collect();
        let blocks: u32 = heights
            .iter()
            .map(|height| rows * (height + CAPTION + GAP))
            .sum();
        let header = MARGIN + 56 + GAP;
        let mut canvas = Canvas::new(width, header + blocks + CHART + 2 * MARGIN + 16, BACKGROUND);

        self.header(&mut canvas, width);
        let mut top = header;
        for (shown, height) in self.images.iter().zip(heights) {
            for place in 0..=layers {
                let x = MARGIN + place % columns * (PANEL + GAP);
                let y = top + place / columns * (height + CAPTION + GAP);
                match place.checked_sub(1) {
                    None => original(&mut canvas, x, y, shown, height),
                    Some(layer) => draw_layer(&mut canvas, (x, y), shown, height, layer as usize),
                }
            }
            top += rows * (height + CAPTION + GAP);
        }
        self.chart(&mut canvas, MARGIN, top, width - 2 * MARGIN);
        canvas.into_image()
    }

    fn header(&self, canvas: &mut Canvas, width: u32) {
        let room = width - 2 * MARGIN;
        let at = |y: u32| (MARGIN as i32, y as i32);
        canvas.text(
            at(MARGIN),
            Alignment::Left,
            Font::Title,
            INK,
            &shorten(&self.title, Font::Title.fits(room)),
        );
        let subtitle = shorten(&self.subtitle, Font::Caption.fits(room));
        canvas.text(
            at(MARGIN + 28),
            Alignment::Left,
            Font::Caption,
            FAINT,
            &subtitle,
        );
        canvas.fill(
            i64::from(MARGIN),
            i64::from(MARGIN + 52),
            i64::from(room),
            1,
            RULE,
            1.0,
        );
    }

    /// The budget curve: a bar for each layer over its retained mass, the budget as a line.
    fn chart(&self, canvas: &mut Canvas, x: u32, y: u32, width: u32) {
        let (x, y, width) = (i64::from(x), i64::from(y), i64::from(width));
        let (left, plot_top, plot) = (x + 52, y + 30, i64::from(CHART) - 30);
        let mut at = left;
        for (colour, label) in [(BAR, "kept share of the layer's cache"), (BUDGET, "budget")] {
            canvas.fill(at, y + 4, 10, 10, colour, 1.0);
            canvas.text(
                (at as i32 + 16, y as i32 + 2),
                Alignment::Left,
                Font::Caption,
                INK,
                label,
            );
            at += 16 + 8 * label.len() as i64 + 28;
        }

        let highest = self.kept.iter().copied().fold(self.budget, f64::max);
        let ceiling = nice_ceiling(highest);
        let bottom = plot_top + plot;
        for step in 0..=2_i64 {
            let line = bottom - plot * step / 2;
            canvas.fill(left, line, x + width - left, 1, RULE, 1.0);
            let label = format!("{:.1}%", 100.0 * ceiling * step as f64 / 2.0);
            canvas.text(
                (left as i32 - 8, line as i32 - 6),
                Alignment::Right,
                Font::Caption,
                FAINT,
                &label,
            );
        }
        let slot = (x + width - left) / self.kept.len().max(1) as i64;
        let bar = (slot * 6 / 10).clamp(1, 80);
        for (layer, kept) in self.kept.iter().enumerate() {
            let centre = left + slot * layer as i64 + slot / 2;
            let height = (kept / ceiling * plot as f64).round() as i64;
            canvas.fill(centre - bar / 2, bottom - height, bar, height, BAR, 1.0);
            let below = |line: i32| (centre as i32, bottom as i32 + 5 + 16 * line);
            canvas.text(
                below(0),
                Alignment::Center,
                Font::Caption,
                FAINT,
                &layer.to_string(),
            );
            if let Some(mass) = self.mass.get(layer) {
                let label = format!("{:.0}%", 100.0 * mass);
                canvas.text(below(1), Alignment::Center, Font::Caption, FAINT, &label);
            }
        }
        let level = bottom - (self.budget / ceiling * plot as f64).round() as i64;
        canvas.fill(left, level - 1, x + width - left, 2, BUDGET, 1.0);
        canvas.text(
            (left as i32 - 8, bottom as i32 + 5),
            Alignment::Right,
            Font::Caption,
            FAINT,
            "layer",
        );
    }
}

fn original(canvas: &mut Canvas, x: u32, y: u32, shown: &Shown, height: u32) {
    let (width, tall) = shown.image.dimensions();
    canvas.text(
        (x as i32, y as i32),
        Alignment::Left,
        Font::Caption,
        INK,
        &format!("image, {width} x {tall}"),
    );
    let scaled = image::imageops::resize(&shown.image, PANEL, height, FilterType::CatmullRom);
    canvas.paste(x, y + CAPTION, &scaled);
    let place = (
        i64::from(x),
        i64::from(y + CAPTION),
        i64::from(PANEL),
        i64::from(height),
    );
    canvas.outline(place, 1, RULE, 1.0);
}

/// A layer: what it kept shines, all else is in shadow.
fn draw_layer(canvas: &mut Canvas, (x, y): (u32, u32), shown: &Shown, height: u32, layer: usize) {
    let kept: f32 = shown.regions.iter().map(|region| region.kept[layer]).sum();
    let caption = format!(
        "layer {layer}: {kept:.0} of {} image tokens",
        shown.regions.len()
    );
    canvas.text(
        (x as i32, y as i32),
        Alignment::Left,
        Font::Caption,
        INK,
        &caption,
    );
    let scaled = image::imageops::resize(&shown.image, PANEL, height, FilterType::CatmullRom);
    let brightness = brightness(shown, layer, PANEL, height);
    let lit = RgbImage::from_fn(PANEL, height, |column, row| {
        let light = brightness[(row * PANEL + column) as usize];
        Rgb(mix(
            scaled.get_pixel(column, row).0,
            SHADOW,
            DARK * (1.0 - light),
        ))
    });
    canvas.paste(x, y + CAPTION, &lit);
    for region in shown
        .regions
        .iter()
        .filter(|region| region.overview && region.kept[layer] > 0.0)
    {
        let (left, top, right, bottom) = scale(region, &shown.image, PANEL, height);
        let place = (
            i64::from(x) + left as i64,
            i64::from(y + CAPTION) + top as i64,
            (right - left) as i64,
            (bottom - top) as i64,
        );
        canvas.outline(place, 2, OVERVIEW, 0.35 + 0.65 * region.kept[layer]);
    }
}

/// For every pixel of a panel the largest share of heads that keep a detail token there. Where an image has no detail
/// tokens, the overview's count.
fn brightness(shown: &Shown, layer: usize, width: u32, height: u32) -> Vec<f32> {
    let only_overview = shown.regions.iter().all(|region| region.overview);
    let mut light = vec![0.0_f32; (width * height) as usize];
    for region in shown
        .regions
        .iter()
        .filter(|region| region.kept[layer] > 0.0)
    {
        if region.overview && !only_overview {
            continue;
        }
        let (left, top, right, bottom) = scale(region, &shown.image, width, height);
        for row in top..bottom {
            for pixel in &mut light[(row * width + left) as usize..(row * width + right) as usize] {
                // A single head of many is still to be seen.
                *pixel = pixel.max(0.25 + 0.75 * region.kept[layer]);
            }
        }
    }
    light
}

/// A region in pixels of a panel: left, top, right, bottom.
fn scale(region: &Region, image: &RgbImage, width: u32, height: u32) -> (u32, u32, u32, u32) {
    let [x, y, w, h] = region.rectangle;
    let (across, down) = (
        width as f32 / image.width() as f32,
        height as f32 / image.height() as f32,
    );
    let clamp = |value: f32, most: u32| (value.round().max(0.0) as u32).min(most);
    (
        clamp(x * across, width),
        clamp(y * down, height),
        clamp((x + w) * across, width),
        clamp((y + h) * down, height),
    )
}

fn panel_height(image: &RgbImage) -> u32 {
    let (width, height) = image.dimensions();
    let scaled = u64::from(PANEL) * u64::from(height) / u64::from(width).max(1);
    // A very long strip is squeezed rather than drawn endlessly.
    scaled.clamp(16, 4 * u64::from(PANEL)) as u32
}

/// The least of 1, 2, 5, 10, 20, 50, 100 % that is not below the value.
fn nice_ceiling(value: f64) -> f64 {
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
        .into_iter()
        .find(|ceiling| value <= *ceiling)
        .unwrap_or(1.0)
}

/// The text, cut at `most` characters. Characters outside Latin-1, which the font lacks, become `?`.
fn shorten(text: &str, most: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .map(|c| if u32::from(c) < 256 { c } else { '?' })
        .collect();
    if line.chars().count() <= most {
        return line;
    }
    let head: String = line.chars().take(most.saturating_sub(3)).collect();
    head + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        // Two layers over an image of 4 x 2 detail tokens and one overview token.
        let image = RgbImage::from_pixel(80, 40, Rgb([255, 255, 255]));
        let mut regions: Vec<Region> = (0..8)
            .map(|i| Region {
                rectangle: [(i % 4) as f32 * 20.0, (i / 4) as f32 * 20.0, 20.0, 20.0],
                overview: false,
                kept: vec![if i == 0 { 1.0 } else { 0.0 }, 0.0],
            })
            .collect();
        regions.push(Region {
            rectangle: [0.0, 0.0, 80.0, 40.0],
            overview: true,
            kept: vec![0.0, 1.0],
        });
        Picture {
            title: "TOTAL?".into(),
            subtitle: "vl-cache".into(),
            images: vec![Shown { image, regions }],
            budget: 0.1,
            kept: vec![0.15, 0.05],
            mass: vec![0.9, 0.8],
        }
    }

    #[test]
    fn kept_places_are_bright_and_dropped_ones_dark() {
        let drawn = picture().draw();
        let panel = |place: u32, x: u32, y: u32| {
            let top = MARGIN + 56 + GAP + CAPTION;
            drawn
                .get_pixel(MARGIN + place * (PANEL + GAP) + x, top + y)
                .0
        };
        assert_eq!(panel(0, 100, 60), [255, 255, 255], "the image itself");
        assert_eq!(panel(1, 20, 20), [255, 255, 255], "kept in layer 0");
        assert_eq!(
            panel(1, 200, 100),
            mix([255, 255, 255], SHADOW, DARK),
            "dropped in layer 0"
        );
        assert_eq!(
            panel(2, 0, 60),
            OVERVIEW,
            "the frame of the overview token in layer 1"
        );
        assert_eq!(
            panel(2, 20, 20),
            mix([255, 255, 255], SHADOW, DARK),
            "an overview token does not light details"
        );
    }

    #[test]
    fn odd_images_do_not_break_it() {
        for (width, height) in [(1, 1), (1, 5000), (5000, 1)] {
            let mut picture = picture();
            picture.images[0].image = RgbImage::new(width, height);
            picture.images[0].regions.truncate(1);
            assert!(picture.draw().width() > 500);
        }
        let mut picture = picture();
        picture.images.clear();
        picture.title = "Überschrift\n漢字 ".repeat(40);
        picture.mass.clear();
        picture.draw();
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(shorten("a\nb", 10), "a b");
        assert_eq!(shorten("0123456789", 8), "01234...");
    }
}
