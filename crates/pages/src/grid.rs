//! Grids of coloured shapes with numbered rows and columns.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{
    draw::Canvas,
    page::{CELLS, Question, Task},
    shapes::Figure,
};

/// Cells from one shape to the next, and cells that a shape covers.
const PITCH: usize = 3;
const SIDE: usize = 2;
/// Count questions per page.
const COUNTS: usize = 6;

pub(crate) fn draw(canvas: &mut Canvas, rng: &mut ChaCha8Rng) -> Vec<Question> {
    let (rows, columns) = (rng.random_range(2..=6), rng.random_range(2..=6));
    let extent = |n: usize| n * PITCH + 1;
    let top = rng.random_range(0..=CELLS - extent(rows));
    let left = rng.random_range(0..=CELLS - extent(columns));
    let pen = canvas.pen(rng);
    let fill = rng.random_range(0.5..1.0);
    // Few different figures make counts above one common.
    let palette: Vec<Figure> = (0..rng.random_range(2..=8))
        .map(|_| Figure::random(rng))
        .collect();

    let origin = |start: usize, i: usize| start + 1 + i * PITCH;
    let label = |i: usize| char::from(b'1' + i as u8).to_string();
    let shift = (rng.random_range(-2..=2), rng.random_range(-2..=2));
    for c in 0..columns {
        canvas.text(pen, &label(c), top, origin(left, c), shift);
    }
    let mut questions = Vec::new();
    let mut placed: Vec<(Figure, Vec<u16>)> = Vec::new();
    for r in 0..rows {
        canvas.text(pen, &label(r), origin(top, r), left, shift);
        for c in 0..columns {
            let (y, x) = (origin(top, r), origin(left, c));
            let figure = rng
                .random_bool(fill)
                .then(|| palette[rng.random_range(0..palette.len())]);
            let cells: Vec<u16> = match figure {
                Some(figure) => canvas.figure(figure, y, x, SIDE, rng),
                None => (y..y + SIDE)
                    .flat_map(|y| (x..x + SIDE).map(move |x| (y * CELLS + x) as u16))
                    .collect(),
            };
            canvas.annotate(&cells, |_, cell| {
                cell.row = r as u8 + 1;
                cell.column = c as u8 + 1;
            });
            questions.push(Question {
                task: Task::Grid,
                text: format!("what is at row {}, column {}?", r + 1, c + 1),
                answer: figure.map_or_else(|| "empty".to_owned(), Figure::name),
                evidence: vec![cells.clone()],
            });
            if let Some(figure) = figure {
                placed.push((figure, cells));
            }
        }
    }
    questions.extend(counts(&palette, &placed, rng));
    questions
}

fn counts(
    palette: &[Figure],
    placed: &[(Figure, Vec<u16>)],
    rng: &mut ChaCha8Rng,
) -> Vec<Question> {
    let mut asked: Vec<Figure> = Vec::new();
    for &figure in palette {
        if !asked.contains(&figure) {
            asked.push(figure);
        }
    }
    // Now and then one that is not there.
    if rng.random_bool(0.5) {
        let absent: Vec<Figure> = Figure::all().filter(|f| !asked.contains(f)).collect();
        asked.insert(0, absent[rng.random_range(0..absent.len())]);
    }
    asked.truncate(COUNTS);
    let question = |figure: Figure| {
        let found: Vec<&Vec<u16>> = placed
            .iter()
            .filter(|(f, _)| *f == figure)
            .map(|(_, cells)| cells)
            .collect();
        Question {
            task: Task::Count,
            text: format!("how many {}?", figure.plural()),
            answer: found.len().to_string(),
            evidence: vec![found.into_iter().flatten().copied().collect()],
        }
    };
    asked.into_iter().map(question).collect()
}
