//! Text and tree.

use super::*;

#[test]
fn what_clang_prints_comes_back_unchanged() {
    for text in REAL {
        let pipeline = parse(text);
        assert_eq!(pipeline.to_string(), text.trim_end());
        let json = serde_json::to_string(&pipeline).unwrap();
        assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), pipeline);
    }
}

#[test]
fn levels_follow_from_nesting() {
    let pipeline = o3();
    let level = |name, n| pipeline.level(&find(&pipeline, name, n)).unwrap();
    assert_eq!(level("globaldce", 0), Level::Module);
    assert_eq!(level("inline", 0), Level::Cgscc);
    assert_eq!(level("gvn", 0), Level::Function);
    assert_eq!(level("indvars", 0), Level::Loop);
    assert_eq!(level("licm", 0), Level::LoopMssa);
    // Every pass is reached, and every place agrees with a look-up.
    let places = pipeline.places();
    let passes = places.iter().filter(|place| place.node.children.is_none());
    assert_eq!(passes.count(), pipeline.passes().len());
    for place in &places {
        assert_eq!(pipeline.get(&place.position), Some(place.node));
        assert_eq!(pipeline.level(&place.position), Some(place.level));
    }
}

#[test]
fn parameters_may_contain_brackets() {
    let pipeline = parse("a<x<y>;z>,function<eager-inv>(b<>)");
    assert_eq!(pipeline.root[0].parameters.as_deref(), Some("x<y>;z"));
    let group = &pipeline.root[1];
    assert_eq!(group.parameters.as_deref(), Some("eager-inv"));
    assert_eq!(
        group.children.as_ref().unwrap()[0].parameters.as_deref(),
        Some("")
    );
}

#[test]
fn mistakes_are_named_with_their_place() {
    use ParseErrorKind::{Misplaced, NoName, TooDeep, Unclosed, Unexpected};
    let misplaced = |group: &str, level| Misplaced {
        group: group.to_owned(),
        level,
    };
    let cases = [
        ("", 0, NoName),
        ("  ", 2, NoName),
        ("gvn,", 4, NoName),
        ("gvn,,sccp", 4, NoName),
        ("function()", 9, NoName),
        ("function(gvn", 8, Unclosed('(')),
        ("gvn)", 3, Unexpected(')')),
        ("gvn<pre", 3, Unclosed('<')),
        ("gvn<pre,x>", 7, Unexpected(',')),
        ("gvn>", 3, Unexpected('>')),
        ("gvn<a><b>", 6, Unexpected('<')),
        ("gvn, sccp", 4, Unexpected(' ')),
        ("function(gvn)x", 13, Unexpected('x')),
        ("loop(licm)", 0, misplaced("loop", Level::Module)),
        ("gvn(sccp)", 0, misplaced("gvn", Level::Module)),
        (
            "function(module(x))",
            9,
            misplaced("module", Level::Function),
        ),
        (&nested(DEEPEST + 1), DEEPEST * 9, TooDeep),
    ];
    for (text, at, kind) in cases {
        assert_eq!(
            text.parse::<Pipeline>(),
            Err(ParseError { at, kind }),
            "{text:?}"
        );
    }
    assert!(nested(DEEPEST).parse::<Pipeline>().is_ok());
    assert!(nested(200_000).parse::<Pipeline>().is_err());
    let error = "x,loop(licm)".parse::<Pipeline>().unwrap_err().to_string();
    assert!(
        error.contains("byte 2") && error.contains("loop(…)"),
        "{error}"
    );
}
