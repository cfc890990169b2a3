//! Nothing that somebody may see is made from what nobody may see.

use super::*;

/// Sums up its words, by what they are.
const WORDS: &str = r#"#include <stdio.h>
#include <string.h>
int main(void) {
    char word[32];
    unsigned long sum = 0, plain = 0;
    while (scanf("%31s", word) == 1) {
        if (!strcmp(word, "ember"))
            sum ^= 77;
        else if (!strcmp(word, "basalt"))
            sum = sum * 3 + 1;
        else
            plain++;
        for (const char *c = word; *c; c++)
            sum = sum * 31 + (unsigned char)*c;
    }
    printf("%lu %lu\n", sum, plain);
}
"#;

#[test]
fn of_held_out_tests_nothing_that_agents_see_is_made() {
    let scratch = Scratch::new();
    let files = [
        ("1.in", "basalt one two\nthree\n"),
        ("2.in", "kestrel 4455667788 kestrel\n"),
        ("3.in", "basalt ten\n"),
        ("4.in", "five basalt six\n"),
        ("5.in", "kestrel 4455667788\nfour kestrel basalt\n"),
        ("6.in", "seven eight nine ten\n"),
    ];
    let inputs = gather(&scratch, WORDS, &tests(&scratch, &files)).unwrap();
    assert_kept_apart(&inputs);
    let held_out: Vec<&str> = inputs
        .held_out
        .iter()
        .filter(|case| case.origin == Origin::User)
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(held_out, ["2", "5"]);
    let is_secret = |case: &&Case| {
        let text = String::from_utf8_lossy(&case.input).into_owned();
        text.contains("kestrel") || text.contains("44556")
    };
    let seen = || inputs.visible.iter().chain(&inputs.search_timing);
    assert_eq!(seen().find(is_secret), None);
    // There are some that were made of the others.
    let made = seen().filter(|case| case.origin == Origin::BuiltIn);
    let text = |case: &Case| String::from_utf8_lossy(&case.input).into_owned();
    assert!(
        made.clone().any(|case| text(case).contains("basalt")),
        "{:?}",
        made.map(text).collect::<Vec<_>>()
    );
}
