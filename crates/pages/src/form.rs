//! Key-value forms and receipts.

use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    draw::Canvas,
    page::{CELLS, Question, Task},
};

/// Keys of forms. Their order is part of the training data's meaning (`Cell::field`): append only.
const KEYS: [&str; 32] = [
    "TOTAL", "INVOICE", "DATE", "NAME", "ORDER", "CUSTOMER", "PHONE", "AMOUNT", "TAX", "NET", "ID",
    "CODE", "ROOM", "TABLE", "GUESTS", "TIME", "SEAT", "GATE", "FLIGHT", "WEIGHT", "HEIGHT",
    "SIZE", "COLOR", "MODEL", "SERIAL", "BATCH", "PRICE", "UNITS", "DUE", "PAID", "CITY", "ZIP",
];

/// Goods of receipts; their prices are small whole numbers.
const GOODS: [&str; 16] = [
    "MILK", "TEA", "BREAD", "RICE", "SALT", "EGGS", "SOAP", "CORN", "FISH", "BEEF", "PEAR", "PLUM",
    "NUTS", "OIL", "JAM", "HAM",
];

/// Words that mean nothing here.
const TITLES: [&str; 10] = [
    "RECEIPT",
    "ACME INC",
    "WELCOME",
    "THANK YOU",
    "COPY",
    "FORM 12",
    "SHOP 7",
    "DEPT B",
    "PAGE 1",
    "HELLO",
];

/// As in real codes, no letters that pass for digits.
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPRSTUVWXYZ";

fn value(rng: &mut ChaCha8Rng) -> String {
    let digits = |rng: &mut ChaCha8Rng, n: usize| {
        (0..n)
            .map(|_| char::from(rng.random_range(b'0'..=b'9')))
            .collect::<String>()
    };
    let letters = |rng: &mut ChaCha8Rng, n: usize| {
        (0..n)
            .map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]))
            .collect::<String>()
    };
    match rng.random_range(0..7) {
        0 => {
            let n = rng.random_range(2..=6);
            digits(rng, n)
        }
        1 => {
            let n = rng.random_range(1..=3);
            format!("{}.{}", digits(rng, n), digits(rng, 2))
        }
        2 => format!(
            "{:02}/{:02}",
            rng.random_range(1..=28),
            rng.random_range(1..=12)
        ),
        3 => {
            let n = rng.random_range(3..=6);
            letters(rng, n)
        }
        4 => format!("{}-{}", letters(rng, 2), digits(rng, 3)),
        5 => format!(
            "{:02}:{:02}",
            rng.random_range(0..24),
            rng.random_range(0..60)
        ),
        _ => format!("{}{}", letters(rng, 1), digits(rng, 2)),
    }
}

/// The ways a user asks for a value.
fn ask(key: &str, rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..4) {
        0 | 1 => format!("{key}?"),
        2 => format!("what is {key}?"),
        _ => format!("what is the {key}?"),
    }
}

struct Line {
    key: &'static str,
    field: u8,
    value: String,
}

fn lines(receipt: bool, rng: &mut ChaCha8Rng) -> Vec<Line> {
    let field = |i: usize, goods: bool| (i + 1 + if goods { KEYS.len() } else { 0 }) as u8;
    let mut keys: Vec<usize> = (0..KEYS.len()).collect();
    keys.shuffle(rng);
    let mut goods: Vec<usize> = (0..GOODS.len()).collect();
    goods.shuffle(rng);
    let (n_keys, n_goods) = if receipt {
        (rng.random_range(1..=4), rng.random_range(2..=5))
    } else {
        (rng.random_range(4..=9), 0)
    };
    let mut lines: Vec<Line> = Vec::new();
    for &i in &goods[..n_goods] {
        lines.push(Line {
            key: GOODS[i],
            field: field(i, true),
            value: rng.random_range(1..=9).to_string(),
        });
    }
    for &i in &keys[..n_keys] {
        lines.push(Line {
            key: KEYS[i],
            field: field(i, false),
            value: value(rng),
        });
    }
    if rng.random_bool(0.3) {
        lines.shuffle(rng);
    }
    lines
}

pub(crate) fn draw(canvas: &mut Canvas, rng: &mut ChaCha8Rng) -> Vec<Question> {
    let receipt = rng.random_bool(0.4);
    let lines = lines(receipt, rng);
    let pen = canvas.pen(rng);
    let title = rng
        .random_bool(0.6)
        .then(|| TITLES[rng.random_range(0..TITLES.len())]);
    let needed = lines.len() + usize::from(title.is_some());
    let pitch = rng.random_range(1..=(CELLS / needed).min(3));
    let mut row = rng.random_range(0..=CELLS - ((needed - 1) * pitch + 1));
    if let Some(title) = title {
        let title_pen = canvas.pen(rng);
        canvas.text(
            title_pen,
            title,
            row,
            rng.random_range(0..=CELLS - title.len()),
            (0, 0),
        );
        row += pitch;
    }
    let key_width = lines.iter().map(|l| l.key.len()).max().unwrap_or(0);
    let value_width = lines.iter().map(|l| l.value.len()).max().unwrap_or(0);
    let separator = [": ", " ", ":", "  "][rng.random_range(0..4)];
    // Aligned: values in one column, flush left or right. Else each value follows its key.
    let aligned = rng.random_bool(0.5);
    let flush_right = aligned && rng.random_bool(0.5);
    let width = key_width + separator.len() + value_width;
    let spare = CELLS - width;
    let left = rng.random_range(0..=spare);
    let gap = if aligned {
        rng.random_range(0..=spare - left)
    } else {
        0
    };
    let rule_every = if rng.random_bool(0.15) {
        rng.random_range(1..=4)
    } else {
        0
    };

    let shift = (rng.random_range(-1..=1), rng.random_range(-1..=1));
    let mut questions = Vec::new();
    let mut prices = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let own = (
            shift.0 + rng.random_range(-1..=1),
            shift.1 + rng.random_range(-1..=1),
        );
        // Lines that touch would overlap if each had its own vertical shift.
        let shift = if pitch == 1 { (own.0, shift.1) } else { own };
        let colon = separator.trim_end();
        canvas.text(pen, &format!("{}{colon}", line.key), row, left, shift);
        let start = if flush_right {
            left + width + gap - line.value.len()
        } else if aligned {
            left + key_width + separator.len() + gap
        } else {
            left + line.key.len() + separator.len()
        };
        let written = canvas.text(pen, &line.value, row, start, shift);
        canvas.annotate(&written, |offset, cell| {
            cell.field = line.field;
            cell.offset = offset as u8 + 1;
        });
        if rule_every > 0 && i % rule_every == 0 && pitch > 1 {
            canvas.rule(row, pen.ink);
        }
        if usize::from(line.field) > KEYS.len() {
            prices.push((line.key, line.value.clone(), written.clone()));
        }
        questions.push(Question {
            task: Task::Form,
            text: ask(line.key, rng),
            answer: line.value.clone(),
            evidence: written.iter().map(|&c| vec![c]).collect(),
        });
        row += pitch;
    }
    questions.extend(sums(&prices, rng));
    questions
}

/// Questions for the sum of two prices, at most three per page.
fn sums(prices: &[(&str, String, Vec<u16>)], rng: &mut ChaCha8Rng) -> Vec<Question> {
    let mut pairs: Vec<(usize, usize)> = (0..prices.len())
        .flat_map(|i| {
            (0..prices.len())
                .filter(move |&j| i != j)
                .map(move |j| (i, j))
        })
        .collect();
    pairs.shuffle(rng);
    pairs.truncate(3);
    let question = |(i, j): (usize, usize)| {
        let ((a, x, at), (b, y, bt)) = (&prices[i], &prices[j]);
        let sum = x.parse::<u32>().unwrap_or(0) + y.parse::<u32>().unwrap_or(0);
        Question {
            task: Task::Sum,
            text: format!("{a} plus {b}?"),
            answer: sum.to_string(),
            evidence: vec![at.iter().chain(bt).copied().collect()],
        }
    };
    pairs.into_iter().map(question).collect()
}
