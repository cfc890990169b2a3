//! Numbers and results in words, the same in the terminal, in the page and in the run store.

use crate::session::{Claim, Conclusion};

/// The result of a run in one sentence.
pub fn sentence(conclusion: &Conclusion) -> String {
    match (&conclusion.portable, &conclusion.host) {
        (Some(portable), host) => {
            let host = host
                .as_ref()
                .map(|host| {
                    format!(
                        "; with this host's instruction set {}",
                        ratio(host.comparison.ratio)
                    )
                })
                .unwrap_or_default();
            format!("{}{host}", statement(conclusion, portable))
        }
        (None, Some(host)) => format!(
            "{}, by this host's instruction set; nothing faster found that runs on every machine",
            statement(conclusion, host)
        ),
        (None, None) => "no faster program found".to_owned(),
    }
}

fn statement(conclusion: &Conclusion, claim: &Claim) -> String {
    let comparison = &claim.comparison;
    let inputs = comparison.per_workload.len();
    let rung = conclusion
        .evidence
        .get(&claim.node)
        .and_then(|evidence| evidence.rung)
        .map(|rung| format!(", right on rung {} of 4", rung.number()))
        .unwrap_or_default();
    format!(
        "{} faster than clang {} ({} interval {}) on {inputs} input{} that nobody had seen{rung}",
        ratio(comparison.ratio),
        claim.baseline,
        percent(comparison.confidence),
        interval(comparison.interval, comparison.ratio),
        plural(inputs),
    )
}

/// "1.31×", or "1.034×" near 1.
pub(super) fn ratio(ratio: f64) -> String {
    format!("{ratio:.*}×", decimals(ratio))
}

/// "1.27 to 1.35", as exact as the ratio.
pub(super) fn interval([low, high]: [f64; 2], ratio: f64) -> String {
    let decimals = decimals(ratio);
    format!("{low:.decimals$} to {high:.decimals$}")
}

fn decimals(ratio: f64) -> usize {
    if (ratio - 1.0).abs() < 0.1 { 3 } else { 2 }
}

/// "95 %", "99.2 %", "0.4 %".
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// "4 min 12 s", "1.24 s", "34.1 ms", "870 µs".
pub(super) fn seconds(s: f64) -> String {
    let whole = s.round() as u64;
    match s {
        s if s >= 3600.0 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        s if s >= 60.0 && whole.is_multiple_of(60) => format!("{} min", whole / 60),
        s if s >= 60.0 => format!("{} min {} s", whole / 60, whole % 60),
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{} ms", three_digits(s * 1e3)),
        s if s > 0.0 => format!("{} µs", three_digits(s * 1e6)),
        _ => "0 s".to_owned(),
    }
}

fn three_digits(value: f64) -> String {
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}")
}

/// "1,530".
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1:29": minutes and seconds on an axis.
pub(super) fn clock(s: f64) -> String {
    let whole = s.round() as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}

/// "s" unless there is one.
pub(super) fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(ratio(1.314), "1.31×");
        assert_eq!(ratio(1.0341), "1.034×");
        assert_eq!(interval([1.27, 1.3549], 1.31), "1.27 to 1.35");
        assert_eq!(percent(0.95), "95 %");
        assert_eq!(percent(0.99167), "99.2 %");
        assert_eq!(percent(0.0042), "0.4 %");
        assert_eq!(count(1), "1");
        assert_eq!(count(1_530), "1,530");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(clock(89.4), "1:29");
        let times = [7_322.0, 300.0, 252.4, 59.99, 1.239, 0.0341, 0.000_87, 0.0].map(seconds);
        assert_eq!(
            times,
            [
                "2 h 2 min",
                "5 min",
                "4 min 12 s",
                "60.0 s",
                "1.24 s",
                "34.1 ms",
                "870 µs",
                "0 s"
            ]
        );
    }
}
