//! Accuracy over budget as an SVG: one panel per task, one line per policy, 95 % intervals.

use std::fmt::Write as _;

/// A policy's accuracies in one panel.
pub(crate) struct Line {
    /// The policy.
    pub(crate) name: String,
    /// Budget, accuracy, and the interval's ends, all as fractions; ascending by budget.
    pub(crate) points: Vec<[f64; 4]>,
}

/// One panel.
pub(crate) struct Panel {
    /// The task.
    pub(crate) title: String,
    /// Accuracy with the full cache and its interval.
    pub(crate) full: Option<[f64; 3]>,
    /// One line per policy.
    pub(crate) lines: Vec<Line>,
}

/// Okabe and Ito's colours, which colour-blind people can tell apart (black is the full cache's).
pub(crate) const COLOURS: [&str; 7] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F",
];
/// Of text, of what is the same for all lines.
pub(crate) const BLACK: &str = "#20242c";
const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 240.0;
const COLUMNS: usize = 3;
const LEFT: f64 = 52.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 44.0;
const LEGEND: f64 = 64.0;

/// The picture.
pub(crate) fn svg(title: &str, panels: &[Panel]) -> String {
    let columns = COLUMNS.min(panels.len()).max(1);
    let rows = panels.len().div_ceil(columns);
    let (width, height) = (columns as f64 * WIDTH, 44.0 + LEGEND + rows as f64 * HEIGHT);
    let mut out = open(title, width, height);
    legend(&mut out, &entries(panels), width);
    for (place, panel) in panels.iter().enumerate() {
        let x = (place % columns) as f64 * WIDTH;
        let y = 44.0 + LEGEND + (place / columns) as f64 * HEIGHT;
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        draw(&mut out, panel);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// The beginning of a picture: its size, a white ground, a title.
pub(crate) fn open(title: &str, width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"12\" \
         fill=\"#20242c\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{}</text>\n",
        escape(title)
    )
}

/// A line's name, its colour, and whether it is dashed.
pub(crate) type Entry<'a> = (&'a str, &'static str, bool);

fn entries(panels: &[Panel]) -> Vec<Entry<'_>> {
    let Some(first) = panels.first() else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    if panels.iter().any(|panel| panel.full.is_some()) {
        entries.push(("full", BLACK, true));
    }
    for (place, line) in first.lines.iter().enumerate() {
        entries.push((&line.name, COLOURS[place % COLOURS.len()], false));
    }
    entries
}

/// What the lines mean, below the title.
pub(crate) fn legend(out: &mut String, entries: &[Entry<'_>], width: f64) {
    let (mut x, mut y) = (LEFT, 54.0);
    for (name, colour, dashed) in entries {
        let room = 44.0 + 7.2 * name.chars().count() as f64;
        if x + room > width {
            (x, y) = (LEFT, y + 20.0);
        }
        let dash = if *dashed {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {y}h22\" stroke=\"{colour}\" stroke-width=\"2.5\"{dash}/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            x + 28.0,
            y + 4.0,
            escape(name)
        );
        x += room;
    }
}

fn draw(out: &mut String, panel: &Panel) {
    let (plot_width, plot_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let mut budgets: Vec<f64> = panel
        .lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|point| point[0])
        .collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup();
    // Budgets are equally spaced: they double, and their order is what matters.
    let slot = plot_width / budgets.len().max(1) as f64;
    let place = |budget: f64| budgets.iter().position(|b| *b == budget).unwrap_or(0) as f64;
    let across = |budget: f64| LEFT + slot * (place(budget) + 0.5);
    let down = |share: f64| TOP + plot_height * (1.0 - share);

    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"22\" font-size=\"13\" font-weight=\"600\">{}</text>",
        escape(&panel.title)
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let y = down(share);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.1}h{plot_width}\" stroke=\"#e3e5e8\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#707680\">{:.0} %</text>",
            LEFT - 6.0,
            y + 4.0,
            100.0 * share
        );
    }
    for budget in &budgets {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#707680\">{}</text>",
            across(*budget),
            TOP + plot_height + 18.0,
            (budget * 1e6).round() / 1e6
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#707680\">KV budget</text>",
        LEFT + plot_width / 2.0,
        TOP + plot_height + 36.0
    );
    if let Some([accuracy, low, high]) = panel.full {
        let (y, top, bottom) = (down(accuracy), down(high), down(low));
        let _ = writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{plot_width}\" height=\"{:.1}\" fill=\"#20242c\" \
             fill-opacity=\"0.07\"/><path d=\"M{LEFT} {y:.1}h{plot_width}\" stroke=\"#20242c\" stroke-width=\"1.5\" \
             stroke-dasharray=\"5 4\"/>",
            bottom - top
        );
    }
    let count = panel.lines.len().max(1) as f64;
    for (index, line) in panel.lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        // Side by side, so that intervals do not cover each other.
        let shift = (index as f64 - (count - 1.0) / 2.0) * (slot * 0.5 / count).min(8.0);
        let mut path = String::new();
        for (place, [budget, accuracy, low, high]) in line.points.iter().enumerate() {
            let (x, y) = (across(*budget) + shift, down(*accuracy));
            let _ = write!(path, "{}{x:.1} {y:.1}", if place == 0 { "M" } else { "L" });
            let _ = writeln!(
                out,
                "<path d=\"M{x:.1} {:.1}V{:.1}\" stroke=\"{colour}\" stroke-opacity=\"0.5\"/>\
                 <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{}: {:.1} %</title></circle>",
                down(*low),
                down(*high),
                escape(&line.name),
                100.0 * accuracy
            );
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
    }
}

/// Text that may stand in an SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(title: &str) -> Panel {
        let line = |name: &str, accuracy: f64| Line {
            name: name.into(),
            points: [0.05, 0.1, 0.2]
                .map(|b| [b, accuracy * b * 4.0, accuracy * b * 3.0, accuracy])
                .into(),
        };
        Panel {
            title: title.into(),
            full: Some([0.95, 0.94, 0.96]),
            lines: vec![line("vl-cache", 1.0), line("h2o <&>", 0.8)],
        }
    }

    #[test]
    fn looks() {
        insta::assert_snapshot!(svg("Accuracy over \"budget\"", &[panel("form")]));
    }

    #[test]
    fn tags_are_balanced_for_any_number_of_panels() {
        for count in 0..8 {
            let panels: Vec<Panel> = (0..count).map(|i| panel(&i.to_string())).collect();
            let svg = svg("t", &panels);
            for tag in ["g", "text", "svg", "circle"] {
                let opened = svg.matches(&format!("<{tag} ")).count();
                assert_eq!(
                    opened,
                    svg.matches(&format!("</{tag}>")).count(),
                    "{tag} with {count} panels"
                );
            }
            assert_eq!(svg.matches("KV budget").count(), count);
        }
    }
}
