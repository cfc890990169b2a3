//! Images: from a file to the tiles that a vision tower sees, and back from visual tokens to places in the image.

mod layout;
mod load;
mod processor;
mod resize;

pub use layout::{
    ImageLayout, PixelRect, Region, TokenPlace, TokenSource, best_resolution, fitted_size, unpadded,
};
pub use load::{ImageLimits, decode_image, load_image, to_rgb};
pub use processor::{ImageProcessor, PixelTiles};
pub use resize::{Filter, resize};

/// Height and width, of an image in pixels or of a grid in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels or rows.
    pub height: usize,
    /// Pixels or columns.
    pub width: usize,
}

impl Size {
    /// Height times width.
    pub fn area(self) -> usize {
        self.height * self.width
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.width, self.height)
    }
}
