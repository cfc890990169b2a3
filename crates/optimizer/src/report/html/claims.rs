//! Pictures of what is claimed: ratios with their intervals, times with their spread.

use super::super::wire::{Claim, ClaimKind, InputComparison, Report, Times, Verdict};
use super::super::words;
use super::svg::{Scale, Svg};

/// All pictures are drawn for half a page, so that a telephone shows them whole.
const WIDTH: f64 = 520.0;
const BOTTOM: f64 = 24.0;

/// What a claim is about, for people.
pub(super) fn title(kind: ClaimKind) -> &'static str {
    match kind {
        ClaimKind::Portable => "on every machine",
        ClaimKind::Host => "with this host's instruction set",
        ClaimKind::NativeAlone => "-O3 -march=native, nothing else",
        ClaimKind::UserFlags => "against your own flags",
    }
}

/// Its colour.
pub(super) fn class(kind: ClaimKind) -> &'static str {
    match kind {
        ClaimKind::Portable => "portable",
        ClaimKind::Host => "host",
        ClaimKind::NativeAlone | ClaimKind::UserFlags => "plain",
    }
}

/// Every claim with its interval.
pub(super) fn overview(report: &Report) -> String {
    const ROW: f64 = 46.0;
    let claims = &report.claims;
    let bottom = ROW * claims.len() as f64 + 4.0;
    let words: Vec<String> = claims
        .iter()
        .map(|claim| format!("{} {}", title(claim.kind), verdict(claim)))
        .collect();
    let mut svg = Svg::new(
        WIDTH,
        bottom + BOTTOM,
        &format!("Speed-up with interval: {}", words.join("; ")),
    );
    let scale = Scale::around(
        claims
            .iter()
            .flat_map(|claim| shown(claim.ratio, claim.interval)),
        [8.0, WIDTH - 98.0],
    );
    svg.axis(&scale, 4.0, bottom, |tick| format!("{tick}×"));
    for (index, claim) in claims.iter().enumerate() {
        let y = ROW * index as f64 + 32.0;
        let label = match claim.kind {
            ClaimKind::UserFlags => {
                format!("{} ({})", title(claim.kind), shortened(&claim.baseline, 30))
            }
            kind => title(kind).to_owned(),
        };
        range(
            &mut svg,
            &scale,
            class(claim.kind),
            y,
            claim.ratio,
            claim.interval,
        );
        svg.text("label", [8.0, y - 13.0], "start", &label);
        let says = matches!(claim.verdict, Verdict::Faster | Verdict::Slower);
        let class = if says { "value" } else { "value small" };
        svg.text(class, [WIDTH - 4.0, y + 5.0], "end", &verdict(claim));
    }
    svg.finish()
}

/// The ratio on each input, and all together.
pub(super) fn ratios(claim: &Claim) -> String {
    const ROW: f64 = 46.0;
    let bottom = ROW * (claim.inputs.len() + 1) as f64 + 4.0;
    let mut svg = Svg::new(
        WIDTH,
        bottom + BOTTOM,
        "Speed-up on each input, with its interval",
    );
    let intervals = claim
        .inputs
        .iter()
        .flat_map(|input| shown(input.ratio, input.interval));
    let scale = Scale::around(
        intervals.chain(shown(claim.ratio, claim.interval)),
        [8.0, WIDTH - 76.0],
    );
    let [from, to] = [
        scale.at(1.0 / (1.0 + claim.margin)),
        scale.at(1.0 + claim.margin),
    ];
    svg.bar("margin", [from, 4.0], [to - from, bottom - 4.0]);
    svg.axis(&scale, 4.0, bottom, |tick| format!("{tick}×"));
    let all = ("all inputs", claim.ratio, claim.interval);
    let rows = claim
        .inputs
        .iter()
        .map(|input| (input.name.as_str(), input.ratio, input.interval));
    for (index, (name, ratio, interval)) in rows.chain([all]).enumerate() {
        let is_all = index == claim.inputs.len();
        let y = ROW * index as f64 + 32.0;
        range(&mut svg, &scale, class(claim.kind), y, ratio, interval);
        svg.text(
            if is_all { "label strong" } else { "label" },
            [8.0, y - 13.0],
            "start",
            &shortened(name, 48),
        );
        svg.text(
            if is_all { "value" } else { "value small" },
            [WIDTH - 4.0, y + 5.0],
            "end",
            &words::ratio(ratio),
        );
    }
    svg.finish()
}

/// The times on each input, as shares of the baseline's median there: every run a dot, the median with its interval.
pub(super) fn times(claim: &Claim) -> String {
    const ROW: f64 = 62.0;
    let bottom = ROW * claim.inputs.len() as f64 + 4.0;
    let mut svg = Svg::new(
        WIDTH,
        bottom + BOTTOM,
        "Times of baseline and candidate on each input, every run a dot",
    );
    let shares = claim.inputs.iter().flat_map(|input| {
        let runs = [&input.baseline, &input.candidate].map(|times| &times.samples.wall_s);
        runs.into_iter()
            .flatten()
            .map(|wall| wall / input.baseline.median_s)
    });
    let scale = Scale::around(shares, [8.0, WIDTH - 76.0]);
    svg.axis(&scale, 4.0, bottom, words::percent);
    for (index, input) in claim.inputs.iter().enumerate() {
        let top = ROW * index as f64 + 19.0;
        svg.text("label", [8.0, top], "start", &shortened(&input.name, 48));
        lane(
            &mut svg,
            &scale,
            "baseline",
            top + 13.0,
            input,
            &input.baseline,
        );
        lane(
            &mut svg,
            &scale,
            class(claim.kind),
            top + 30.0,
            input,
            &input.candidate,
        );
    }
    svg.finish()
}

/// One program's times on one input.
fn lane(svg: &mut Svg, scale: &Scale, class: &str, y: f64, input: &InputComparison, times: &Times) {
    let x = |seconds: f64| scale.at(seconds / input.baseline.median_s);
    for (index, wall) in times.samples.wall_s.iter().enumerate() {
        // Apart from each other by a pattern that repeats late.
        let aside = ((index * 7 % 11) as f64 - 5.0) * 0.9;
        svg.disc(&format!("sample {class}"), [x(*wall), y + aside], 1.8, "");
    }
    let [low, high] = times.interval_s.map(x);
    svg.bar(
        &format!("interval {class}"),
        [low, y - 2.5],
        [high - low, 5.0],
    );
    svg.disc(
        &format!("dot {class}"),
        [x(times.median_s), y],
        4.5,
        &words::seconds(times.median_s),
    );
    svg.text(
        "value small",
        [WIDTH - 4.0, y + 4.0],
        "end",
        &words::seconds(times.median_s),
    );
}

/// The part of an interval that is worth room: one that says nothing must not press all others together.
fn shown(ratio: f64, [low, high]: [f64; 2]) -> [f64; 2] {
    [low.max(ratio / 3.0), high.min(ratio * 3.0)]
}

/// The ratio, if the verdict is that there is one.
fn verdict(claim: &Claim) -> String {
    match claim.verdict {
        Verdict::Faster | Verdict::Slower => words::ratio(claim.ratio),
        Verdict::NoDifference => "no difference".to_owned(),
        Verdict::Undecided => "undecided".to_owned(),
    }
}

/// A bar from 1 to the ratio, with the interval over it.
fn range(svg: &mut Svg, scale: &Scale, class: &str, y: f64, ratio: f64, interval: [f64; 2]) {
    let [one, at, low, high] = [1.0, ratio, interval[0], interval[1]].map(|end| scale.at(end));
    svg.bar(
        &format!("gain {class}"),
        [one.min(at), y - 4.0],
        [(at - one).abs(), 8.0],
    );
    svg.bar(class, [low, y - 1.5], [high - low, 3.0]);
    // An interval that goes on beyond the picture has no end there.
    for end in interval.into_iter().filter(|end| scale.contains(*end)) {
        svg.bar(class, [scale.at(end) - 1.0, y - 6.0], [2.0, 12.0]);
    }
    svg.disc(
        &format!("dot {class}"),
        [at, y],
        5.5,
        &words::interval(interval, ratio),
    );
}

/// So that it fits its place.
pub(super) fn shortened(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length - 1).collect();
    format!("{kept}…")
}
