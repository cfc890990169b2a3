//! Coloured shapes.

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// Colours a shape can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Colour {
    Red,
    Green,
    Blue,
    Yellow,
    Purple,
}

/// Shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Cross,
}

impl Colour {
    /// All colours.
    pub const ALL: [Self; 5] = [
        Self::Red,
        Self::Green,
        Self::Blue,
        Self::Yellow,
        Self::Purple,
    ];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Purple => "purple",
        }
    }

    /// A shade of it.
    pub(crate) fn shade(self, rng: &mut ChaCha8Rng) -> [u8; 3] {
        let base: [i32; 3] = match self {
            Self::Red => [215, 45, 45],
            Self::Green => [45, 160, 65],
            Self::Blue => [45, 80, 215],
            Self::Yellow => [230, 195, 40],
            Self::Purple => [150, 60, 180],
        };
        base.map(|v| (v + rng.random_range(-22..=22)).clamp(0, 255) as u8)
    }
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 4] = [Self::Circle, Self::Square, Self::Triangle, Self::Cross];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Cross => "cross",
        }
    }

    /// Whether a point of the unit square (-1..1, y down) is inside.
    pub(crate) fn covers(self, x: f32, y: f32) -> bool {
        match self {
            Self::Circle => x * x + y * y <= 1.0,
            Self::Square => x.abs() <= 0.9 && y.abs() <= 0.9,
            Self::Triangle => y <= 0.9 && x.abs() <= (y + 1.0) / 1.9,
            Self::Cross => (x.abs() <= 0.33 || y.abs() <= 0.33) && x.abs() <= 1.0 && y.abs() <= 1.0,
        }
    }
}

/// A coloured shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Figure {
    pub(crate) colour: Colour,
    pub(crate) shape: Shape,
}

impl Figure {
    pub(crate) fn random(rng: &mut ChaCha8Rng) -> Self {
        Self {
            colour: *Colour::ALL.choose(rng).unwrap_or(&Colour::Red),
            shape: *Shape::ALL.choose(rng).unwrap_or(&Shape::Circle),
        }
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Colour::ALL.into_iter().flat_map(|colour| {
            Shape::ALL
                .into_iter()
                .map(move |shape| Self { colour, shape })
        })
    }

    /// The cell content code: 128 + 4·colour + shape.
    pub(crate) fn code(self) -> u8 {
        128 + 4 * self.colour as u8 + self.shape as u8
    }

    pub(crate) fn name(self) -> String {
        format!("{} {}", self.colour.name(), self.shape.name())
    }

    pub(crate) fn plural(self) -> String {
        let ending = if self.shape == Shape::Cross {
            "es"
        } else {
            "s"
        };
        format!("{}{ending}", self.name())
    }
}
