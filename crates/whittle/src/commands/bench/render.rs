//! The report as Markdown.

use std::fmt::Write as _;

use crate::format;
use crate::report::seconds;
use crate::table::{self, Column, number, text};

use super::report::{Machine, PeerReport, ProductReport, Report};
use super::results::{Ratio, Row, Samples};
use super::scale::TILES;

/// A header, then a table for each part that was measured.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = machine(&report.machine);
    for peer in &report.peers {
        let _ = write!(out, "\n{}", peer_line(peer));
    }
    let mut part = |table: String| {
        let _ = write!(out, "\n\n{table}");
    };
    if !report.grid.is_empty() {
        part(grid(&report.grid));
        part(costs(&report.grid));
    }
    if !report.ratios.is_empty() {
        part(ratios(&report.ratios));
    }
    if !report.matmul.is_empty() {
        part(products(&report.matmul));
    }
    if !report.vision.is_empty() {
        part(vision(&report.vision));
    }
    out
}

fn machine(machine: &Machine) -> String {
    format!(
        "{}, {} of {} cores, {} path; reads {}/s, multiplies {}",
        machine.processor,
        machine.threads,
        machine.cores,
        machine.speed.isa,
        format::bytes(machine.speed.read_bandwidth as u64),
        rate(machine.speed.matmul_rate),
    )
}

fn peer_line(peer: &PeerReport) -> String {
    let name = match &peer.version {
        Some(version) => format!("{} ({version})", peer.name),
        None => peer.name.to_owned(),
    };
    match &peer.problem {
        Some(problem) => format!("Peer {name}: {problem}"),
        None => format!("Peer {name}"),
    }
}

fn grid(rows: &[Row]) -> String {
    const COLUMNS: [Column; 10] = [
        number("prompt"),
        number("batch"),
        text("what"),
        number("budget"),
        number("prefill"),
        number("prefill / bound"),
        number("decode step"),
        number("step / bound"),
        number("end to end"),
        number("KV cache"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            format::count(row.load.prompt_tokens as u64),
            row.load.batch.to_string(),
            row.what.clone(),
            row.budget.to_string(),
            seconds(row.times.prefill_s),
            times(row.prefill_to_bound),
            seconds(row.times.decode_step_s),
            times(row.decode_to_bound),
            seconds(row.times.end_to_end_s),
            format::bytes(row.times.cache_bytes),
        ]
    });
    table::markdown(&COLUMNS, &cells.collect::<Vec<_>>())
}

/// What compression costs, and the memory.
fn costs(rows: &[Row]) -> String {
    const COLUMNS: [Column; 8] = [
        number("prompt"),
        number("batch"),
        text("what"),
        number("budget"),
        number("compression"),
        number("share"),
        number("peak in prefill"),
        number("peak in decode"),
    ];
    let memory = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), format::bytes);
    let cells = rows.iter().filter_map(|row| {
        let (details, overhead) = (row.details.as_ref()?, row.overhead?);
        Some(vec![
            format::count(row.load.prompt_tokens as u64),
            row.load.batch.to_string(),
            row.what.clone(),
            row.budget.to_string(),
            seconds(details.statistics_s + details.compress_s),
            format!("{:.2} %", 100.0 * overhead),
            memory(details.prefill_peak_bytes),
            memory(details.decode_peak_bytes),
        ])
    });
    table::markdown(&COLUMNS, &cells.collect::<Vec<_>>())
}

fn ratios(ratios: &[Ratio]) -> String {
    const COLUMNS: [Column; 8] = [
        number("prompt"),
        number("batch"),
        text("what"),
        number("budget"),
        text("as fast as"),
        number("prefill"),
        number("decode step"),
        number("end to end"),
    ];
    let cells = ratios.iter().map(|ratio| {
        vec![
            format::count(ratio.load.prompt_tokens as u64),
            ratio.load.batch.to_string(),
            ratio.what.clone(),
            ratio.budget.to_string(),
            ratio.against.clone(),
            times(ratio.prefill),
            times(ratio.decode_step),
            times(ratio.end_to_end),
        ]
    });
    table::markdown(&COLUMNS, &cells.collect::<Vec<_>>())
}

fn products(products: &[ProductReport]) -> String {
    const COLUMNS: [Column; 7] = [
        text("product"),
        number("rows"),
        number("outputs"),
        number("inputs"),
        text("engine"),
        number("best"),
        number("median"),
    ];
    let cells = products.iter().flat_map(|of| {
        of.engines.iter().map(|samples| {
            vec![
                of.product.name.clone(),
                format::count(of.product.m as u64),
                format::count(of.product.n as u64),
                format::count(of.product.k as u64),
                samples.engine.to_owned(),
                rate(of.operations / samples.best_s),
                rate(of.operations / samples.median_s),
            ]
        })
    });
    table::markdown(&COLUMNS, &cells.collect::<Vec<_>>())
}

fn vision(engines: &[Samples]) -> String {
    const COLUMNS: [Column; 4] = [
        text("vision tower and projector"),
        number("tiles"),
        number("best"),
        number("median"),
    ];
    let cells = engines.iter().map(|samples| {
        vec![
            samples.engine.to_owned(),
            TILES.to_string(),
            seconds(samples.best_s),
            seconds(samples.median_s),
        ]
    });
    table::markdown(&COLUMNS, &cells.collect::<Vec<_>>())
}

/// Floating-point operations per second.
fn rate(per_second: f64) -> String {
    format!("{:.1} GFLOP/s", per_second / 1e9)
}

/// A multiple.
fn times(factor: f64) -> String {
    if factor.is_finite() {
        format!("{factor:.2} x")
    } else {
        "-".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn tables_look() {
        insta::assert_snapshot!(super::markdown(&example()));
    }
}
