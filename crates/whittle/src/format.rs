//! Numbers as people read them.

use std::time::Duration;

/// Bytes with a decimal unit and three significant digits: `999 B`, `1.23 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1e3;
    let mut unit = 0;
    // 999.5 would be printed as 1000.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// A duration with the unit that suits it: `12.3 ms`, `4.56 s`, `3 min 20 s`.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.9995e-3 {
        format!("{} µs", three_digits(seconds * 1e6))
    } else if seconds < 0.9995 {
        format!("{} ms", three_digits(seconds * 1e3))
    } else if seconds < 60.0 {
        format!("{} s", three_digits(seconds))
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// A fraction as a percentage with one decimal: `97.3 %`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// A count with thousands separated by commas: `12,345`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Without what a terminal would obey; lines and tabs stay.
#[cfg(target_os = "linux")]
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// At least three significant digits below 1000.
fn three_digits(value: f64) -> String {
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        assert_eq!(
            [0, 999, 1000, 12_345, 999_499, 999_600]
                .map(bytes)
                .join(" "),
            "0 B 999 B 1.00 kB 12.3 kB 999 kB 1.00 MB"
        );
        assert_eq!(bytes(u64::MAX), "18447 PB");
        let times = [0.000_001_5, 0.0123, 0.999_7, 12.34, 59.99, 3725.4]
            .map(Duration::from_secs_f64)
            .map(time);
        assert_eq!(
            times.join(", "),
            "1.50 µs, 12.3 ms, 1.00 s, 12.3 s, 60.0 s, 62 min 5 s"
        );
        assert_eq!(percent(0.973), "97.3 %");
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count).join(" "),
            "0 999 1,000 1,234,567"
        );
    }
}
