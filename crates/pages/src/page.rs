//! What a page is, and how one is made from a seed.

use image::RgbImage;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{draw::Canvas, form, grid, noise, scene, text};

/// Side of a cell in pixels; one glyph fits in.
pub const CELL_SIZE: usize = 8;
/// Cells along each side of a page.
pub const CELLS: usize = 20;
/// Side of a page in pixels.
pub const PAGE_SIZE: usize = CELL_SIZE * CELLS;
/// Seeds from here on are held out: evaluation uses them, training must not.
pub const EVALUATION_SEED: u64 = 1 << 40;

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// The value that stands beside a key.
    Form,
    /// The shape at a row and column of a grid.
    Grid,
    /// How often a coloured shape occurs in a grid.
    Count,
    /// A short description of a scene.
    Caption,
    /// The sum of two prices of a receipt.
    Sum,
}

impl Task {
    /// All tasks, in the order of reports.
    pub const ALL: [Self; 5] = [
        Self::Form,
        Self::Grid,
        Self::Count,
        Self::Caption,
        Self::Sum,
    ];

    /// The name used on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Grid => "grid",
            Self::Count => "count",
            Self::Caption => "caption",
            Self::Sum => "sum",
        }
    }
}

/// A question about a page and its only right answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What kind of question it is.
    pub task: Task,
    /// The question as a user would type it.
    pub text: String,
    /// The exact answer.
    pub answer: String,
    /// The cells that hold the answer (row-major indices): either one cell per character of the answer, or
    /// one list for the whole answer. Supervision for training only.
    pub evidence: Vec<Vec<u16>>,
}

/// What stands in one cell of a page; supervision for training only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// 0 for blank, the ASCII code of a glyph, or 128 + 4·colour + shape.
    pub content: u8,
    /// 1 + the index of the key that a glyph of a value belongs to, else 0.
    pub field: u8,
    /// 1 + the position of a glyph in its value, else 0.
    pub offset: u8,
    /// 1-based row of a grid's shape, else 0.
    pub row: u8,
    /// 1-based column of a grid's shape, else 0.
    pub column: u8,
}

/// The kinds of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PageKind {
    /// Key-value lines or a receipt.
    Form,
    /// A labelled grid of coloured shapes.
    Grid,
    /// Two shapes in free positions.
    Scene,
    /// Lines of random characters, to learn reading from; no questions, never drawn by [`Page::generate`].
    Text,
}

/// A drawn page with its questions.
#[derive(Clone, Debug)]
pub struct Page {
    /// The seed it was made from.
    pub seed: u64,
    /// Its kind.
    pub kind: PageKind,
    /// [`PAGE_SIZE`] × [`PAGE_SIZE`] pixels.
    pub image: RgbImage,
    /// Every question the page can answer, in random order.
    pub questions: Vec<Question>,
    /// [`CELLS`] × [`CELLS`] cells, row-major.
    pub cells: Vec<Cell>,
}

impl Page {
    /// The page of a seed: half of them forms, a third grids, the rest scenes.
    pub fn generate(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let kind = match rng.random_range(0..6) {
            0..=2 => PageKind::Form,
            3..=4 => PageKind::Grid,
            _ => PageKind::Scene,
        };
        Self::of_kind(seed, kind, &mut rng)
    }

    /// The page of a seed, of a given kind.
    pub fn generate_kind(seed: u64, kind: PageKind) -> Self {
        Self::of_kind(seed, kind, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn of_kind(seed: u64, kind: PageKind, rng: &mut ChaCha8Rng) -> Self {
        let mut canvas = Canvas::new(rng);
        let mut questions = match kind {
            PageKind::Form => form::draw(&mut canvas, rng),
            PageKind::Grid => grid::draw(&mut canvas, rng),
            PageKind::Scene => scene::draw(&mut canvas, rng),
            PageKind::Text => {
                text::draw(&mut canvas, rng);
                Vec::new()
            }
        };
        questions.shuffle(rng);
        let (mut image, cells) = canvas.finish();
        noise::apply(&mut image, rng);
        Self {
            seed,
            kind,
            image,
            questions,
            cells,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_function_of_its_seed() {
        let (a, b) = (Page::generate(7), Page::generate(7));
        assert_eq!(a.image, b.image);
        assert_eq!(a.questions, b.questions);
        assert_ne!(a.image, Page::generate(8).image);
    }

    #[test]
    fn evidence_of_a_form_answer_spells_it() {
        for seed in 0..200 {
            let page = Page::generate_kind(seed, PageKind::Form);
            assert!(!page.questions.is_empty());
            for question in page.questions.iter().filter(|q| q.task == Task::Form) {
                let read: String = question
                    .evidence
                    .iter()
                    .map(|c| char::from(page.cells[usize::from(c[0])].content))
                    .collect();
                assert_eq!(read, question.answer, "seed {seed}, {}", question.text);
            }
        }
    }

    #[test]
    fn questions_of_a_page_differ() {
        for seed in 0..200 {
            let page = Page::generate(seed);
            let mut texts: Vec<_> = page.questions.iter().map(|q| &q.text).collect();
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), page.questions.len(), "seed {seed}");
        }
    }

    #[test]
    fn every_kind_and_task_occurs() {
        let tasks: std::collections::HashSet<_> = (0..100)
            .flat_map(|s| Page::generate(s).questions)
            .map(|q| q.task)
            .collect();
        assert_eq!(tasks.len(), Task::ALL.len());
    }
}
