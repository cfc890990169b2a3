//! A page being drawn: pixels, and what stands in each cell.

use image::{Rgb, RgbImage};
use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    font::{FONTS, Font},
    page::{CELL_SIZE, CELLS, Cell, PAGE_SIZE},
    shapes::Figure,
};

const CELL: i32 = CELL_SIZE as i32;

/// How text is set; drawn once per page or block.
#[derive(Clone, Copy)]
pub(crate) struct Pen {
    pub(crate) font: Font,
    pub(crate) ink: [u8; 3],
    pub(crate) bold: bool,
}

pub(crate) struct Canvas {
    image: RgbImage,
    cells: Vec<Cell>,
    dark: bool,
}

impl Canvas {
    /// An empty page, mostly light, sometimes dark, with a faint gradient.
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        let dark = rng.random_bool(0.12);
        let base: [i32; 3] = std::array::from_fn(|_| {
            if dark {
                rng.random_range(5..50)
            } else {
                rng.random_range(205..=255)
            }
        });
        let slope = (rng.random_range(-12..=12), rng.random_range(-12..=12));
        let size = PAGE_SIZE as i32;
        let image = RgbImage::from_fn(PAGE_SIZE as u32, PAGE_SIZE as u32, |x, y| {
            let shift = (x as i32 * slope.0 + y as i32 * slope.1) / size;
            Rgb(base.map(|v| (v + shift).clamp(0, 255) as u8))
        });
        Self {
            image,
            cells: vec![Cell::default(); CELLS * CELLS],
            dark,
        }
    }

    pub(crate) fn pen(&self, rng: &mut ChaCha8Rng) -> Pen {
        let font = *FONTS.choose(rng).unwrap_or(&FONTS[1]);
        let ink = std::array::from_fn(|_| {
            if self.dark {
                rng.random_range(190..=255)
            } else {
                rng.random_range(0..80)
            }
        });
        Pen {
            font,
            ink,
            bold: rng.random_bool(0.2),
        }
    }

    /// Writes a line of text, one glyph per cell from (`row`, `column`) on, shifted by (`dx`, `dy`) pixels;
    /// returns the cells written.
    pub(crate) fn text(
        &mut self,
        pen: Pen,
        text: &str,
        row: usize,
        column: usize,
        (dx, dy): (i32, i32),
    ) -> Vec<u16> {
        // A shift must not push a line over the edge of the page.
        let within = |shift: i32, start: usize, end: usize| {
            let shift = if start == 0 { shift.max(0) } else { shift };
            if end >= CELLS { shift.min(0) } else { shift }
        };
        let (dx, dy) = (
            within(dx, column, column + text.len()),
            within(dy, row, row + 1),
        );
        let mut written = Vec::new();
        for (i, character) in text.chars().enumerate() {
            let column = column + i;
            if column >= CELLS || row >= CELLS {
                break;
            }
            let index = row * CELLS + column;
            written.push(index as u16);
            if character == ' ' {
                continue;
            }
            self.cells[index].content = character as u8;
            let glyph = pen.font.glyph(character);
            let left = column as i32 * CELL + (CELL - glyph.width) / 2 + dx;
            let top = row as i32 * CELL + (CELL - glyph.cap_height) / 2 + dy;
            for (x, y) in glyph.pixels {
                self.set(left + x, top + y, pen.ink);
                if pen.bold {
                    self.set(left + x + 1, top + y, pen.ink);
                }
            }
        }
        written
    }

    /// Draws a figure over `side` × `side` cells; returns those cells.
    pub(crate) fn figure(
        &mut self,
        figure: Figure,
        row: usize,
        column: usize,
        side: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<u16> {
        let ink = figure.colour.shade(rng);
        let room = (side * CELL_SIZE) as f32 / 2.0;
        let radius = room - rng.random_range(0.5..2.5);
        let slack = room - radius;
        let centre = |start: usize, rng: &mut ChaCha8Rng| {
            (start * CELL_SIZE) as f32 + room + rng.random_range(-slack..=slack)
        };
        let (cx, cy) = (centre(column, rng), centre(row, rng));
        for y in row * CELL_SIZE..(row + side) * CELL_SIZE {
            for x in column * CELL_SIZE..(column + side) * CELL_SIZE {
                let (ux, uy) = (
                    (x as f32 + 0.5 - cx) / radius,
                    (y as f32 + 0.5 - cy) / radius,
                );
                if figure.shape.covers(ux, uy) {
                    self.set(x as i32, y as i32, ink);
                }
            }
        }
        let mut covered = Vec::new();
        for r in row..row + side {
            for c in column..column + side {
                let index = r * CELLS + c;
                self.cells[index].content = figure.code();
                covered.push(index as u16);
            }
        }
        covered
    }

    /// A horizontal rule below a row of cells.
    pub(crate) fn rule(&mut self, row: usize, ink: [u8; 3]) {
        let y = (row as i32 + 1) * CELL + CELL / 2;
        for x in CELL / 2..PAGE_SIZE as i32 - CELL / 2 {
            self.set(x, y, ink);
        }
    }

    /// Changes what is known of some cells.
    pub(crate) fn annotate(&mut self, cells: &[u16], mut change: impl FnMut(usize, &mut Cell)) {
        for (i, &index) in cells.iter().enumerate() {
            change(i, &mut self.cells[usize::from(index)]);
        }
    }

    pub(crate) fn finish(self) -> (RgbImage, Vec<Cell>) {
        (self.image, self.cells)
    }

    fn set(&mut self, x: i32, y: i32, ink: [u8; 3]) {
        if (0..PAGE_SIZE as i32).contains(&x) && (0..PAGE_SIZE as i32).contains(&y) {
            self.image.put_pixel(x as u32, y as u32, Rgb(ink));
        }
    }
}
