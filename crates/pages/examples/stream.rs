//! Streams pages to the trainer (`training/`): for each page a little-endian `u32`, that many bytes of JSON
//! (questions and cells), then the RGB pixels.
//!
//! Usage: `cargo run --release -p whittle-pages --example stream -- FIRST_SEED COUNT [form|grid|scene|text]`

use std::io::{BufWriter, Write};

use whittle_pages::{Cell, Page, PageKind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match stream() {
        // The trainer has enough.
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn stream() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, count, kind @ ..] = &arguments[..] else {
        return Err("usage: stream FIRST_SEED COUNT [form|grid|scene|text]".into());
    };
    let (first, count): (u64, u64) = (first.parse()?, count.parse()?);
    let kind: Option<PageKind> = kind
        .first()
        .map(|k| serde_json::from_str(&format!("\"{k}\"")))
        .transpose()?;
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    for seed in first..first + count {
        let page = kind.map_or_else(
            || Page::generate(seed),
            |kind| Page::generate_kind(seed, kind),
        );
        let column = |f: fn(&Cell) -> u8| page.cells.iter().map(f).collect::<Vec<u8>>();
        let header = serde_json::to_vec(&serde_json::json!({
            "seed": page.seed, "kind": page.kind, "size": page.image.dimensions(), "questions": page.questions,
            "content": column(|c| c.content), "field": column(|c| c.field), "offset": column(|c| c.offset),
            "row": column(|c| c.row), "column": column(|c| c.column),
        }))?;
        out.write_all(&(header.len() as u32).to_le_bytes())?;
        out.write_all(&header)?;
        out.write_all(page.image.as_raw())?;
    }
    Ok(out.flush()?)
}
