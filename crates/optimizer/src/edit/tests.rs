use proptest::prelude::*;
use whittle_toolchain::tools::Unit;

use super::*;
use crate::candidate::{Artifact, Level};

const PROGRAM: &str = "\
#include <stdio.h>
#define LOOP(n) for (int i = 0; i < n; i++) {
/* int hidden(void) { } */
struct point { int x, y; };
static const char *words[] = {\"a{\", \"b\"};
static int twice(int x) { return 2 * x; }
__attribute__((noinline)) int f(int (*g)(int), int n)
{
    char c = '{';
    return g(n) + (c == '}');
}
int main(void) __attribute__((cold));
int main(void) { printf(\"%d\\n\", f(twice, 3)); return 0; }
";

fn source() -> Artifact {
    Artifact {
        level: Level::Source,
        units: vec![
            Unit::new("a.c", PROGRAM),
            Unit::new("b.c", "int other(void) { return 1; }\n"),
        ],
    }
}

#[test]
fn functions_are_found_by_their_braces() {
    let names: Vec<String> = c_functions(PROGRAM)
        .into_iter()
        .map(|function| function.name)
        .collect();
    assert_eq!(names, ["twice", "f", "main"]);
    let f = &c_functions(PROGRAM)[1];
    assert!(PROGRAM[f.range.clone()].starts_with("__attribute__((noinline)) int f("));
    assert!(PROGRAM[f.range.clone()].ends_with('}'));
}

#[test]
fn replies_are_read() {
    let block = "Sure:\n<<<<<<< SEARCH\nold\n=======\nnew\nlines\n>>>>>>> REPLACE\nDone.\n```c\nquoted\n```\n";
    let replacement = Replacement {
        search: "old\n".to_owned(),
        replace: "new\nlines\n".to_owned(),
    };
    assert_eq!(parse(block), Edit::Replace(vec![replacement]));
    assert_eq!(
        parse("```c\nint f;\n```\n"),
        Edit::Functions(vec!["int f;\n".to_owned()])
    );
    assert_eq!(parse("I think not.\nNO CHANGE\n"), Edit::Nothing);
    for (reply, word) in [
        ("", "neither"),
        ("I cannot help with that.", "neither"),
        ("```c\nint f(", "not closed"),
        ("<<<<<<< SEARCH\na\n", "has no line `=======`"),
        (
            "<<<<<<< SEARCH\na\n=======\nb\n",
            "has no line `>>>>>>> REPLACE`",
        ),
        (
            "<<<<<<< SEARCH\n\n=======\nb\n>>>>>>> REPLACE\n",
            "is empty",
        ),
    ] {
        match parse(reply) {
            Edit::Malformed(why) => assert!(why.contains(word), "{reply:?}: {why}"),
            other => panic!("{reply:?}: {other:?}"),
        }
    }
}

fn replaced(search: &str, replace: &str) -> Result<Artifact, EditError> {
    let edit = Edit::Replace(vec![Replacement {
        search: search.to_owned(),
        replace: replace.to_owned(),
    }]);
    apply(&source(), None, &edit)
}

#[test]
fn a_passage_is_replaced_exactly_or_not_at_all() {
    let edited = replaced("return 2 * x;", "return x + x;").unwrap();
    assert!(edited.units[0].text.contains("{ return x + x; }"));
    assert_eq!(edited.units[1], source().units[1]);
    assert!(matches!(
        replaced("return 3 * x;", ""),
        Err(EditError::NotFound { .. })
    ));
    assert!(
        replaced("return  2 * x;", "")
            .unwrap_err()
            .to_string()
            .contains("without regard")
    );
    assert!(matches!(replaced("int", ""), Err(EditError::Ambiguous { times, .. }) if times > 1));
    assert_eq!(
        replaced("return 2 * x;", "return 2 * x;"),
        Err(EditError::Same)
    );
}

#[test]
fn a_function_is_replaced_with_what_it_brings_along() {
    let edit = parse(
        "```c\nstatic int half(int x) { return x / 2; }\nint other(void) { return half(2); }\n```\n```c\nstatic int twice(int x) { return x << 1; }\n```",
    );
    let edited = apply(&source(), None, &edit).unwrap();
    assert_eq!(
        edited.units[1].text,
        "static int half(int x) { return x / 2; }\nint other(void) { return half(2); }\n"
    );
    assert!(edited.units[0].text.contains("x << 1"));
    let unknown = apply(
        &source(),
        None,
        &parse("```c\nint nobody(void) { return 1; }\n```"),
    );
    let message = unknown.unwrap_err().to_string();
    assert!(
        message.contains("nobody") && message.contains("twice, f, main, other"),
        "{message}"
    );
}

const IR: &str = "\
define i32 @f(i32 %x) {
  %y = mul i32 %x, 2
  ret i32 %y
}

define i32 @main() {
  %r = call i32 @f(i32 2)
  ret i32 %r
}
";

#[test]
fn below_source_only_the_function_in_focus_changes() {
    let ir = Artifact {
        level: Level::Ir,
        units: vec![Unit::new("a.ll", IR)],
    };
    let edit = parse(
        "<<<<<<< SEARCH\n  %y = mul i32 %x, 2\n=======\n  %y = shl i32 %x, 1\n>>>>>>> REPLACE\n",
    );
    let edited = apply(&ir, Some("f"), &edit).unwrap();
    assert!(edited.units[0].text.contains("%y = shl i32 %x, 1"));
    assert!(matches!(
        apply(&ir, Some("main"), &edit),
        Err(EditError::NotFound { .. })
    ));
    assert!(matches!(
        apply(&ir, Some("g"), &edit),
        Err(EditError::UnknownFunction { .. })
    ));
    let other = parse("```llvm\ndefine i32 @main() {\n  ret i32 4\n}\n```");
    assert!(matches!(
        apply(&ir, Some("f"), &other),
        Err(EditError::Splice(_))
    ));
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_fail(text in "[ -~\n\"'{}()#/*\\\\`é]{0,300}") {
        let functions = c_functions(&text);
        for function in functions {
            prop_assert!(text.get(function.range).is_some());
        }
        let _ = apply(&source(), None, &parse(&text));
    }

    #[test]
    fn a_passage_comes_back_when_the_edit_is_undone(start in 0..PROGRAM.len() - 40, length in 20..40_usize) {
        let passage = &PROGRAM[start..start + length];
        prop_assume!(PROGRAM.matches(passage).count() == 1);
        let there = replaced(passage, "@MARK@").unwrap();
        let edit = Edit::Replace(vec![Replacement { search: "@MARK@".to_owned(), replace: passage.to_owned() }]);
        prop_assert_eq!(apply(&there, None, &edit).unwrap(), source());
    }
}
