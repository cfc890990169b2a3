//! Pages full of random characters: a reader learns its letters on them. They carry no questions.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{draw::Canvas, page::CELLS};

const PUNCTUATION: &[u8] = b":./-";

pub(crate) fn draw(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    // Lines touch, so they share their vertical shift.
    let dy = rng.random_range(-2..=2);
    for row in 0..CELLS {
        let pen = canvas.pen(rng);
        let column = rng.random_range(0..3);
        let text: String = (column..CELLS).map(|_| character(rng)).collect();
        canvas.text(
            pen,
            text.trim_end(),
            row,
            column,
            (rng.random_range(-2..=2), dy),
        );
    }
}

fn character(rng: &mut ChaCha8Rng) -> char {
    char::from(match rng.random_range(0..20) {
        0..=8 => rng.random_range(b'A'..=b'Z'),
        9..=15 => rng.random_range(b'0'..=b'9'),
        16..=17 => PUNCTUATION[rng.random_range(0..PUNCTUATION.len())],
        _ => b' ',
    })
}
