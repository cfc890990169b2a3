//! What the pictures of the page are made of.

use std::fmt::{Display, Write as _};

/// Text as it may stand in HTML and SVG, in elements and attributes alike.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Nothing else that HTML cannot hold.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A picture being drawn. Its colours are classes of the page's style sheet.
pub(super) struct Svg {
    out: String,
}

impl Svg {
    /// An empty picture; `title` says to those who do not see it what it shows.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let title = escape(title);
        let out = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n"
        );
        Self { out }
    }

    /// An element without content.
    pub(super) fn draw(&mut self, element: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "<{element}/>");
    }

    /// A line.
    pub(super) fn line(&mut self, class: &str, from: [f64; 2], to: [f64; 2]) {
        let ([x1, y1], [x2, y2]) = (from, to);
        self.draw(format_args!(
            "line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\""
        ));
    }

    /// A disc, with a text that shows when it is pointed at.
    pub(super) fn disc(&mut self, class: &str, [x, y]: [f64; 2], radius: f64, hint: &str) {
        let _ = write!(
            self.out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\""
        );
        if hint.is_empty() {
            self.out.push_str("/>\n");
        } else {
            let _ = writeln!(self.out, "><title>{}</title></circle>", escape(hint));
        }
    }

    /// A rectangle with round corners.
    pub(super) fn bar(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        let radius = (height / 2.0).min(3.0);
        let width = width.max(1.0);
        self.draw(format_args!(
            "rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\""
        ));
    }

    /// Text, whoever wrote it; `anchor` is start, middle or end.
    pub(super) fn text(&mut self, class: &str, [x, y]: [f64; 2], anchor: &str, text: &str) {
        let _ = writeln!(
            self.out,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }

    /// Grid lines and labels of a horizontal axis, from the top down to `bottom`.
    pub(super) fn axis(
        &mut self,
        scale: &Scale,
        top: f64,
        bottom: f64,
        label: impl Fn(f64) -> String,
    ) {
        for tick in scale.ticks() {
            let x = scale.at(tick);
            self.line(
                if tick == 1.0 { "one" } else { "grid" },
                [x, top],
                [x, bottom],
            );
            self.text("tick", [x, bottom + 15.0], "middle", &label(tick));
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }
}

/// A logarithmic scale: equal distances are equal ratios.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    range: [f64; 2],
    pixels: [f64; 2],
}

impl Scale {
    /// The values' range, a little wider, onto these pixels. 1 is always in it.
    pub(super) fn around(values: impl Iterator<Item = f64>, pixels: [f64; 2]) -> Self {
        let fits = values.filter(|value| value.is_finite() && *value > 0.0);
        let [low, high] = fits.fold([0.97, 1.05], |[low, high]: [f64; 2], value| {
            [low.min(value), high.max(value)]
        });
        let wider = (high / low).powf(0.04);
        Self {
            range: [low / wider, high * wider],
            pixels,
        }
    }

    /// Where a value is; what is out of range is at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let [low, high] = self.range;
        let [from, to] = self.pixels;
        let share = (value.max(f64::MIN_POSITIVE) / low).ln() / (high / low).ln();
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    /// Whether a value is within the range.
    pub(super) fn contains(&self, value: f64) -> bool {
        (self.range[0]..=self.range[1]).contains(&value)
    }

    /// Round values for labels, some three to eight.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let [low, high] = self.range;
        let steps: &[f64] = match high / low {
            r if r > 200.0 => &[1.0],
            r if r > 8.0 => &[1.0, 2.0, 5.0],
            r if r > 3.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            r if r > 1.7 => &[
                1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0,
            ],
            r if r > 1.25 => &[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 6.0, 7.0, 8.0, 9.0],
            _ => &[
                1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.15, 1.2, 1.25, 9.0, 9.2, 9.4, 9.6, 9.8,
            ],
        };
        let decades = (-3..=6).map(|decade| 10f64.powi(decade));
        let all = decades.flat_map(|decade| steps.iter().map(move |step| step * decade));
        all.map(|tick| (tick * 1e6).round() / 1e6)
            .filter(|tick| (low..=high).contains(tick))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_keeps_order_and_ends() {
        let scale = Scale::around([0.5, 4.0, f64::NAN, 0.0].into_iter(), [10.0, 110.0]);
        let places: Vec<f64> = [0.1, 0.5, 1.0, 2.0, 4.0, 90.0]
            .iter()
            .map(|value| scale.at(*value))
            .collect();
        assert!(
            places.is_sorted() && places[0] == 10.0 && places[5] == 110.0,
            "{places:?}"
        );
        assert!(scale.ticks().contains(&1.0));
        for high in [1.0, 1.2, 1.6, 2.5, 5.0, 30.0, 500.0] {
            let ticks = Scale::around([high].into_iter(), [0.0, 1.0]).ticks();
            assert!(
                (2..=10).contains(&ticks.len()) && ticks.contains(&1.0),
                "{high}: {ticks:?}"
            );
        }
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escape("</text><script>'\"&\u{1b}"),
            "&lt;/text&gt;&lt;script&gt;&#39;&quot;&amp;\u{fffd}"
        );
    }
}
