//! Prefill and decode step over the prompt's length as an SVG: a row of panels per batch, a line per engine, bounds
//! dashed, both axes logarithmic.

use std::fmt::Write as _;

use crate::format;
use crate::plot::{self, BLACK, COLOURS, escape};
use crate::report::seconds;

use super::results::Row;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 44.0;
const HEADER: f64 = 88.0;

/// An engine's line in a panel.
struct Line {
    /// Policy and budget, or the peer.
    name: String,
    /// Prompt length and seconds.
    points: Vec<[f64; 2]>,
    /// Prompt length and the least seconds.
    bounds: Vec<[f64; 2]>,
}

/// One panel.
struct Panel {
    title: String,
    lines: Vec<Line>,
}

/// The picture.
pub(super) fn svg(title: &str, rows: &[Row]) -> String {
    let panels = panels(rows);
    let (width, height) = (
        2.0 * WIDTH,
        HEADER + panels.len().div_ceil(2) as f64 * HEIGHT,
    );
    let mut out = plot::open(title, width, height);
    if let Some(panel) = panels.first() {
        plot::legend(&mut out, &entries(&panel.lines), width);
    }
    for (place, panel) in panels.iter().enumerate() {
        let (x, y) = (
            (place % 2) as f64 * WIDTH,
            HEADER + (place / 2) as f64 * HEIGHT,
        );
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        draw(&mut out, panel);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn panels(rows: &[Row]) -> Vec<Panel> {
    let names = distinct(rows.iter().map(name));
    let batches = distinct(rows.iter().map(|row| row.load.batch));
    let line = |name: &String, batch: usize, get: fn(&Row) -> [f64; 2]| {
        let mut rows: Vec<&Row> = rows
            .iter()
            .filter(|row| row.load.batch == batch && self::name(row) == *name)
            .collect();
        rows.sort_by_key(|row| row.load.prompt_tokens);
        let at = |which: usize| {
            let point = |row: &&Row| [row.load.prompt_tokens as f64, get(row)[which]];
            rows.iter().map(point).collect()
        };
        Line {
            name: name.clone(),
            points: at(0),
            bounds: at(1),
        }
    };
    let panel = |what: &str, batch: usize, get: fn(&Row) -> [f64; 2]| Panel {
        title: format!("{what}, batch {batch}"),
        lines: names.iter().map(|name| line(name, batch, get)).collect(),
    };
    let both = |batch| {
        [
            panel("prefill", batch, |row| {
                [row.times.prefill_s, row.bounds.prefill_bound_s]
            }),
            panel("decode step", batch, |row| {
                [row.times.decode_step_s, row.bounds.decode_bound_s]
            }),
        ]
    };
    batches.into_iter().flat_map(both).collect()
}

fn name(row: &Row) -> String {
    if row.peer || row.budget == 1.0 {
        row.what.clone()
    } else {
        format!("{} {}", row.what, row.budget)
    }
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

fn entries(lines: &[Line]) -> Vec<plot::Entry<'_>> {
    let of_line = |(place, line)| {
        let line: &Line = line;
        (line.name.as_str(), COLOURS[place % COLOURS.len()], false)
    };
    let lines = lines.iter().enumerate().map(of_line);
    lines.chain([("bound", BLACK, true)]).collect()
}

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
    start: f64,
    length: f64,
}

impl Axis {
    /// An axis from `start` on for all values, with some room at both ends.
    fn new(values: &[f64], start: f64, length: f64) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        Self {
            low: low / 1.25,
            high: high * 1.25,
            start,
            length,
        }
    }

    fn place(&self, value: f64) -> f64 {
        self.start + self.length * (value / self.low).ln() / (self.high / self.low).ln()
    }

    /// 1, 2 and 5 times powers of ten, as far as they are in range; all digits where these are too few.
    fn ticks(&self) -> Vec<f64> {
        let few = self.multiples(&[1, 2, 5]);
        if few.len() < 3 {
            self.multiples(&[1, 2, 3, 4, 5, 6, 7, 8, 9])
        } else {
            few
        }
    }

    fn multiples(&self, digits: &[i32]) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor(), self.high.log10().floor());
        (first as i32..=last as i32)
            .flat_map(|power| {
                let digits = digits.iter();
                digits.map(move |digit| f64::from(*digit) * 10_f64.powi(power))
            })
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

fn draw(out: &mut String, panel: &Panel) {
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"22\" font-size=\"13\" font-weight=\"600\">{}</text>",
        escape(&panel.title)
    );
    let of_line = |line: &Line| [line.points.clone(), line.bounds.clone()].concat();
    let points: Vec<[f64; 2]> = panel.lines.iter().flat_map(of_line).collect();
    // A logarithm needs values above zero.
    let drawable = |[x, y]: [f64; 2]| x > 0.0 && y > 0.0 && y.is_finite();
    let points: Vec<_> = points
        .into_iter()
        .filter(|point| drawable(*point))
        .collect();
    if points.is_empty() {
        return;
    }
    let (plot_width, plot_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let values = |which: usize| -> Vec<f64> { points.iter().map(|point| point[which]).collect() };
    let across = Axis::new(&values(0), LEFT, plot_width);
    let down = Axis::new(&values(1), TOP + plot_height, -plot_height);
    grid(out, &across, &down, &distinct(values(0).into_iter()));

    let mut drawn: Vec<&Vec<[f64; 2]>> = Vec::new();
    for (place, line) in panel.lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let path = |points: &[[f64; 2]]| path(points, &across, &down);
        // Engines that have the same work share a bound.
        if !drawn.contains(&&line.bounds) {
            let _ = writeln!(
                out,
                "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-dasharray=\"5 4\"/>",
                path(&line.bounds)
            );
            drawn.push(&line.bounds);
        }
        let _ = writeln!(
            out,
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path(&line.points)
        );
        for [prompt, time] in &line.points {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{}: {}</title></circle>",
                across.place(*prompt),
                down.place(*time),
                escape(&line.name),
                seconds(*time)
            );
        }
    }
}

fn grid(out: &mut String, across: &Axis, down: &Axis, prompts: &[f64]) {
    let plot_width = WIDTH - LEFT - RIGHT;
    let bottom = HEIGHT - BOTTOM;
    for tick in down.ticks() {
        let y = down.place(tick);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.1}h{plot_width}\" stroke=\"#e3e5e8\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#707680\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            seconds(tick)
        );
    }
    for prompt in prompts {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#707680\">{}</text>",
            across.place(*prompt),
            bottom + 18.0,
            format::count(*prompt as u64)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#707680\">prompt tokens</text>",
        LEFT + plot_width / 2.0,
        bottom + 36.0
    );
}

fn path(points: &[[f64; 2]], across: &Axis, down: &Axis) -> String {
    // A single point would be invisible.
    if let [[x, y]] = points {
        return format!("M{:.1} {:.1}h24", across.place(*x) - 12.0, down.place(*y));
    }
    let mut path = String::new();
    for (place, [x, y]) in points.iter().enumerate() {
        let command = if place == 0 { "M" } else { "L" };
        let _ = write!(
            path,
            "{command}{:.1} {:.1}",
            across.place(*x),
            down.place(*y)
        );
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn looks() {
        insta::assert_snapshot!(svg("Time over \"prompt\"", &example().grid));
    }

    #[test]
    fn nothing_measured_is_an_empty_picture() {
        assert!(svg("t", &[]).trim_end().ends_with("</svg>"));
    }

    #[test]
    fn axes_are_logarithmic() {
        let axis = Axis::new(&[1.25, 80.0], 0.0, 100.0);
        assert!(
            (axis.place(10.0) - 50.0).abs() < 1e-9,
            "{}",
            axis.place(10.0)
        );
        assert_eq!(axis.ticks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        let narrow = Axis::new(&[3.0, 6.0], 0.0, 100.0);
        assert_eq!(narrow.ticks(), [3.0, 4.0, 5.0, 6.0, 7.0]);
    }
}
