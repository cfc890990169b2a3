//! Whatever can be made up.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;

/// Nodes that may stand at a level.
fn node(level: Level, depth: u32) -> BoxedStrategy<Node> {
    let pass = (
        "[a-z][a-z0-9-]{0,8}",
        proptest::option::of("[a-z0-9;=-]{0,8}"),
    )
        .prop_map(|(name, parameters)| Node {
            name,
            parameters,
            children: None,
        });
    if depth == 0 {
        return pass.boxed();
    }
    let groups = [
        "module",
        "cgscc",
        "devirt",
        "function",
        "loop",
        "loop-mssa",
        "repeat",
    ];
    let groups: Vec<_> = groups
        .into_iter()
        .filter_map(|group| Some((group, level.inside(group)?)))
        .collect();
    let group = proptest::sample::select(groups).prop_flat_map(move |(name, inside)| {
        proptest::collection::vec(node(inside, depth - 1), 1..4)
            .prop_map(move |children| Node::group(name, children))
    });
    prop_oneof![3 => pass, 1 => group].boxed()
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    proptest::collection::vec(node(Level::Module, 4), 1..6).prop_map(|root| Pipeline { root })
}

fn position() -> impl Strategy<Value = Position> {
    proptest::collection::vec(0_usize..6, 0..5).prop_map(Position)
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        position().prop_map(|at| Edit::Drop { at }),
        (position(), node(Level::Function, 2)).prop_map(|(at, node)| Edit::Insert { at, node }),
        position().prop_map(|at| Edit::Swap { at }),
        (position(), position()).prop_map(|(from, to)| Edit::Move { from, to }),
        (position(), 0_u32..10).prop_map(|(at, times)| Edit::Repeat { at, times }),
        (position(), proptest::option::of("[a-z<>;,]{0,4}"))
            .prop_map(|(at, parameters)| Edit::SetParameters { at, parameters }),
    ]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Ok(pipeline) = text.parse::<Pipeline>() {
            prop_assert_eq!(pipeline.to_string(), text.trim());
        }
        let _ = text.parse::<Node>();
    }

    #[test]
    fn almost_pipelines_are_read_or_refused(text in "(function|loop|repeat|a|<|>|\\(|\\)|,|;){0,40}") {
        if let Ok(pipeline) = text.parse::<Pipeline>() {
            prop_assert_eq!(pipeline.to_string(), text);
        }
    }

    #[test]
    fn any_pipeline_comes_back_from_its_text(pipeline in pipeline()) {
        prop_assert_eq!(parse(&pipeline.to_string()), pipeline);
    }

    #[test]
    fn any_edit_gives_a_pipeline_or_an_error(pipeline in pipeline(), edits in proptest::collection::vec(edit(), 1..20)) {
        let mut pipeline = pipeline;
        for edit in edits {
            let _ = edit.describe(&pipeline);
            if let Ok(changed) = edit.apply(&pipeline) {
                prop_assert_eq!(&parse(&changed.to_string()), &changed);
                pipeline = changed;
            }
        }
    }

    #[test]
    fn any_two_pipelines_can_be_crossed(a in pipeline(), b in pipeline(), seed: u64) {
        let child = crossover(&a, &b, &mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert_eq!(parse(&child.to_string()), child);
    }
}
