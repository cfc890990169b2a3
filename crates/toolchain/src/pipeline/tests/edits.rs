//! Edits: what they do, in words, and what they refuse.

use super::*;

#[test]
fn edits_do_what_they_say_in_words() {
    let pipeline = o3();
    let interchange: Node = "loop(loop-interchange)".parse().unwrap();
    let at = |name, n| find(&pipeline, name, n);
    let cases = [
        (
            Edit::Insert {
                at: at("loop-vectorize", 0),
                node: interchange,
            },
            "adds loop-interchange before loop-vectorize",
            "loop(loop-interchange),loop-vectorize<",
        ),
        (
            Edit::Drop {
                at: at("simplifycfg", 2),
            },
            "drops simplifycfg #3",
            "correlated-propagation,instcombine<",
        ),
        (
            Edit::Repeat {
                at: at("gvn", 0),
                times: 2,
            },
            "runs gvn twice",
            ",gvn<>,gvn<>,sccp,",
        ),
        (
            Edit::Move {
                from: at("loop-distribute", 0),
                to: at("loop-unroll", 0),
            },
            "moves loop-distribute before loop-unroll",
            ",loop-distribute,loop-unroll<O3>",
        ),
        (
            Edit::Move {
                from: at("gvn", 0),
                to: at("bdce", 0).next(),
            },
            "moves gvn before instcombine #4",
            ",bdce,gvn<>,instcombine",
        ),
        (
            Edit::Swap { at: at("gvn", 0) },
            "swaps gvn and sccp",
            ",sccp,gvn<>,",
        ),
        (
            Edit::SetParameters {
                at: at("loop-unroll", 0),
                parameters: Some("O3;runtime".to_owned()),
            },
            "sets runtime in loop-unroll",
            ",loop-unroll<O3;runtime>,",
        ),
        (
            Edit::SetParameters {
                at: at("early-cse", 1),
                parameters: Some(String::new()),
            },
            "unsets memssa in early-cse #2",
            "early-cse<>,speculative-execution",
        ),
        (
            Edit::Insert {
                at: at("licm", 0),
                node: Node::pass("loop-rotate"),
            },
            "runs loop-rotate again before licm #1",
            "loop-simplifycfg,loop-rotate,licm",
        ),
        (
            Edit::Insert {
                at: at("licm", 2).next(),
                node: Node::pass("lnicm"),
            },
            "adds lnicm behind licm #3",
            "loop-mssa(licm<allowspeculation>,lnicm)",
        ),
    ];
    for (edit, words, text) in cases {
        assert_eq!(edit.describe(&pipeline), words);
        let changed = edit.apply(&pipeline).unwrap();
        assert!(changed.to_string().contains(text), "{words}: {changed}");
        assert_ne!(changed, pipeline);
        assert_eq!(parse(&changed.to_string()), changed);
        let json = serde_json::to_string(&edit).unwrap();
        assert_eq!(serde_json::from_str::<Edit>(&json).unwrap(), edit);
    }
}

#[test]
fn moving_counts_right_in_both_directions_and_between_groups() {
    let pipeline = parse("function(a,b,c),function(d,loop(e))");
    let moved = |from: &[usize], to: &[usize]| {
        let edit = Edit::Move {
            from: Position(from.to_vec()),
            to: Position(to.to_vec()),
        };
        edit.apply(&pipeline).map(|changed| changed.to_string())
    };
    assert_eq!(
        moved(&[0, 0], &[0, 2]).unwrap(),
        "function(b,a,c),function(d,loop(e))"
    );
    assert_eq!(
        moved(&[0, 0], &[0, 3]).unwrap(),
        "function(b,c,a),function(d,loop(e))"
    );
    assert_eq!(
        moved(&[0, 2], &[0, 0]).unwrap(),
        "function(c,a,b),function(d,loop(e))"
    );
    assert_eq!(
        moved(&[1, 0], &[0, 1]).unwrap(),
        "function(a,d,b,c),function(loop(e))"
    );
    assert_eq!(
        moved(&[0, 1], &[1, 2]).unwrap(),
        "function(a,c),function(d,loop(e),b)"
    );
    assert_eq!(
        moved(&[1], &[0]).unwrap(),
        "function(d,loop(e)),function(a,b,c)"
    );
    assert_eq!(moved(&[0, 0], &[0, 0]).unwrap(), pipeline.to_string());
    assert!(matches!(
        moved(&[1, 0], &[1, 1, 0]),
        Err(EditError::WrongLevel { .. })
    ));
    assert!(matches!(
        moved(&[1], &[1, 1]),
        Err(EditError::IntoItself(_))
    ));
    assert!(matches!(
        moved(&[0, 0], &[0, 4]),
        Err(EditError::NoSuchPosition(_))
    ));
    assert!(matches!(
        moved(&[], &[0]),
        Err(EditError::NoSuchPosition(_))
    ));
}

#[test]
fn empty_groups_go_with_their_last_pass() {
    let drop = |pipeline: &Pipeline, at: &[usize]| {
        Edit::Drop {
            at: Position(at.to_vec()),
        }
        .apply(pipeline)
    };
    let pipeline = parse("a,function(loop(b))");
    assert_eq!(drop(&pipeline, &[1, 0, 0]).unwrap().to_string(), "a");
    assert_eq!(
        drop(&parse("function(loop(b))"), &[0, 0, 0]),
        Err(EditError::Last)
    );
}

#[test]
fn what_must_stay_stays() {
    let pipeline = o3();
    let fixed = [
        "require",
        "invalidate",
        "coro-split",
        "coro-elide",
        "annotation-remarks",
        "forceattrs",
    ];
    for name in fixed {
        let at = find(&pipeline, name, 0);
        let edits = [
            Edit::Drop { at: at.clone() },
            Edit::Move {
                from: at.clone(),
                to: at.next(),
            },
            Edit::Repeat {
                at: at.clone(),
                times: 2,
            },
            Edit::SetParameters {
                at: at.clone(),
                parameters: None,
            },
            Edit::Insert {
                at: at.clone(),
                node: pipeline.get(&at).unwrap().clone(),
            },
        ];
        for edit in edits {
            assert!(
                matches!(edit.apply(&pipeline), Err(EditError::Fixed(_))),
                "{edit:?}"
            );
        }
    }
    // A group stays with what is in it; neighbours that are both fixed keep their order.
    let group = find(&pipeline, "cgscc", 0);
    assert!(matches!(
        Edit::Drop { at: group }.apply(&pipeline),
        Err(EditError::Fixed(_))
    ));
    let both = parse("coro-early,forceattrs");
    assert!(matches!(
        Edit::Swap {
            at: Position(vec![0])
        }
        .apply(&both),
        Err(EditError::Fixed(_))
    ));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let pipeline = parse("function(gvn,loop(indvars))");
    let gvn = Position(vec![0, 0]);
    let insert = |node: Node| {
        Edit::Insert {
            at: gvn.clone(),
            node,
        }
        .apply(&pipeline)
    };
    assert!(matches!(
        insert(Node::group("cgscc", vec![Node::pass("inline")])),
        Err(EditError::WrongLevel { .. })
    ));
    assert!(matches!(
        insert(Node::group("loop", vec![])),
        Err(EditError::WrongLevel { .. })
    ));
    assert!(matches!(insert(Node::pass("a,b")), Err(EditError::Name(_))));
    let deep = (0..DEEPEST).fold(Node::pass("x"), |node, _| Node::group("repeat", vec![node]));
    assert_eq!(insert(deep), Err(EditError::TooDeep));
    let set = |at: &[usize], parameters: &str| {
        let parameters = Some(parameters.to_owned());
        Edit::SetParameters {
            at: Position(at.to_vec()),
            parameters,
        }
        .apply(&pipeline)
    };
    assert!(matches!(
        set(&[0, 0], "pre>,x<"),
        Err(EditError::Parameters(_))
    ));
    assert!(matches!(set(&[0], "eager-inv"), Err(EditError::Group(_))));
    assert_eq!(
        Edit::Repeat {
            at: gvn.clone(),
            times: 1
        }
        .apply(&pipeline),
        Err(EditError::Times(1))
    );
    assert_eq!(
        Edit::Drop {
            at: Position(vec![usize::MAX])
        }
        .apply(&pipeline),
        Err(EditError::NoSuchPosition(vec![usize::MAX]))
    );
}

#[test]
fn edits_of_a_sort_have_one_name() {
    let pipeline = o3();
    let drop = |n| Edit::Drop {
        at: find(&pipeline, "simplifycfg", n),
    };
    assert_eq!(drop(0).sort(&pipeline), "drop simplifycfg");
    assert_eq!(drop(0).sort(&pipeline), drop(3).sort(&pipeline));
    let set = Edit::SetParameters {
        at: find(&pipeline, "loop-unroll", 0),
        parameters: Some("O3;runtime".to_owned()),
    };
    assert_eq!(set.sort(&pipeline), "set runtime");
}
