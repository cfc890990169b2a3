//! Hot functions.

use whittle_toolchain::tools::{ToolError, Unit};

use super::profile::workload;
use super::{Bench, strings};

const PROGRAM: &str = r#"#include <stdio.h>
#include <stdlib.h>
#include "step.h"
static int slow(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        if (i % 1000 == 999)
            sum = -sum;
        sum += step(i);
    }
    return sum;
}
static int never(int n) { return n / 3; }
int main(int count, char **words) {
    int n = count > 1 ? atoi(words[1]) : 10;
    if (n < 0) abort();
    printf("%d\n", n > 100000 ? never(n) : slow(n));
}
"#;

#[test]
fn hot_functions_are_told_by_their_share() {
    let bench = Bench::new();
    let units = [
        Unit::new("main.c", PROGRAM),
        Unit::new(
            "step.h",
            "static inline int step(int i) {\n    return i * 3 ^ i;\n}\n",
        ),
    ];
    let runs = [workload("w", &["5000"], ""), workload("died", &["-1"], "")];
    let hot = bench
        .toolchain
        .hot_functions(&units, &strings(&["-O2"]), &runs)
        .unwrap();
    let shown: Vec<(&str, &str)> = hot
        .iter()
        .map(|function| (function.name.as_str(), function.unit.as_str()))
        .collect();
    assert_eq!(
        shown,
        [("slow", "main.c"), ("step", "step.h"), ("main", "main.c")]
    );
    let total: f64 = hot.iter().map(|function| function.share).sum();
    assert!((total - 1.0).abs() < 1e-9);
    assert!(hot[0].share > 0.5 && hot[1].share > 0.2 && hot[2].share < 0.01);
    assert_eq!(hot[0].hot_lines[..3], [(6, 5001), (7, 5000), (9, 5000)]);
    assert!(hot[0].hot_lines.contains(&(8, 5)));

    let error = bench
        .toolchain
        .hot_functions(&units, &[], &runs[1..])
        .unwrap_err();
    assert!(matches!(error, ToolError::NoProfile { .. }));
    assert!(
        bench
            .toolchain
            .hot_functions(&units, &[], &[])
            .unwrap()
            .is_empty()
    );
}
