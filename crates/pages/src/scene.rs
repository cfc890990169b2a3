//! Scenes: two shapes in free positions, one left of or above the other.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{
    draw::Canvas,
    page::{CELLS, Question, Task},
    shapes::Figure,
};

pub(crate) fn draw(canvas: &mut Canvas, rng: &mut ChaCha8Rng) -> Vec<Question> {
    let first = Figure::random(rng);
    let second = loop {
        let figure = Figure::random(rng);
        if figure != first {
            break figure;
        }
    };
    let side = rng.random_range(2..=4);
    let beside = rng.random_bool(0.5);
    // The axis of the relation has a clear gap, the other axis hardly differs, so that one caption is right.
    let room = CELLS - side;
    let near = rng.random_range(0..=room - side - 2);
    let far = rng.random_range(near + side + 2..=room);
    let across = rng.random_range(0..=room - 1);
    let other = across + rng.random_range(0..=1);
    let (a, b) = if beside {
        ((across, near), (other, far))
    } else {
        ((near, across), (far, other))
    };
    let mut cells = canvas.figure(first, a.0, a.1, side, rng);
    cells.extend(canvas.figure(second, b.0, b.1, side, rng));
    let relation = if beside { "left of" } else { "above" };
    vec![Question {
        task: Task::Caption,
        text: "describe the scene".to_owned(),
        answer: format!("a {} {relation} a {}", first.name(), second.name()),
        evidence: vec![cells],
    }]
}
