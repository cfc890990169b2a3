//! Synthetic pages with questions and exact answers.
//!
//! The bundled document reader is trained and evaluated on pages that this crate draws: key-value forms and
//! receipts, grids of coloured shapes, and small scenes. A page is a pure function of its seed, so a held-out
//! set is a range of seeds that training never touches ([`EVALUATION_SEED`]).
//!
//! Layout: a page is [`PAGE_SIZE`] pixels square and thought of as [`CELLS`] × [`CELLS`] cells of
//! [`CELL_SIZE`] pixels, one glyph per cell (with jitter). Besides the questions, a page knows what stands in
//! every cell; training uses that as extra supervision, evaluation never sees it.

mod draw;
mod font;
mod form;
mod grid;
mod noise;
mod page;
mod scene;
mod shapes;
mod text;

pub use page::{
    CELL_SIZE, CELLS, Cell, EVALUATION_SEED, PAGE_SIZE, Page, PageKind, Question, Task,
};
pub use shapes::{Colour, Shape};
