//! The search of the middle end.

use whittle_toolchain::pipeline::Pipeline;

use super::*;

#[test]
fn passes_proposes_pipelines_that_build_and_are_all_different() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let mut bench = Bench::new(&toolchain, &program);
    bench.turns(agent("passes", false).as_mut(), 12);
    let proposed = bench.proposed();
    assert!(proposed.len() >= 36, "{}", proposed.len());
    for (index, node) in proposed.iter().enumerate() {
        assert!(
            proposed[..index]
                .iter()
                .all(|other| other.candidate != node.candidate)
        );
        assert!(!node.change.is_empty() && !Note::of(node).changes.is_empty());
        let recipe = &node.candidate.recipe;
        assert!(!recipe.host && !recipe.profile);
        if let Some(pipeline) = &recipe.pipeline {
            assert_eq!(&pipeline.parse::<Pipeline>().unwrap().to_string(), pipeline);
        }
    }
    let count = |what: fn(&Node) -> bool| proposed.iter().filter(|node| what(node)).count();
    assert!(count(|node| node.candidate.recipe.pipeline.is_some()) >= 8);
    assert!(count(|node| !node.candidate.recipe.middle_end.is_empty()) >= 8);
    assert!(count(|node| node.speedup().is_some()) >= 8);
    assert!(
        bench.refused.len() * 20 <= proposed.len(),
        "{:#?}",
        bench.refused
    );
}

#[test]
fn passes_goes_on_from_changed_pipelines_profiles_and_ir() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let mut bench = Bench::new(&toolchain, &program);
    let source = bench.node().candidate.clone();
    let mut profiled = source.clone();
    profiled.recipe.profile = true;
    let ir = bench.builder.build(&source).unwrap().ir;
    let mut lowered = profiled.clone();
    lowered.artifact = Artifact {
        level: Level::Ir,
        units: ir,
    };
    for (start, reads_profile) in [(profiled, true), (lowered, false)] {
        bench.node = NodeId::ROOT;
        bench.node = bench.add(start);
        let before = bench.tree.next_id();
        bench.turns(agent("passes", false).as_mut(), 4);
        let new = &bench.tree.nodes()[before.0 as usize..];
        assert!(new.len() >= 8);
        for node in new {
            let recipe = &node.candidate.recipe;
            assert_eq!(recipe.profile, reads_profile);
            if let Some(pipeline) = &recipe.pipeline {
                assert_eq!(
                    pipeline.contains("pgo-instr-use"),
                    reads_profile,
                    "{pipeline}"
                );
            }
        }
        assert!(new.iter().any(|node| node.speedup().is_some()));
        assert!(bench.refused.is_empty(), "{:#?}", bench.refused);
    }
}

#[test]
fn only_whole_programs_hide_their_functions() {
    let folder = tempfile::tempdir().unwrap();
    let toolchain = toolchain(&folder);
    let hides = |program: &Program| {
        let mut bench = Bench::unbuilt(&toolchain, program);
        bench.turns(agent("passes", false).as_mut(), 12);
        let mut proposed = bench.proposed().into_iter();
        proposed.any(|node| {
            node.candidate
                .recipe
                .pipeline
                .iter()
                .any(|text| text.contains("internalize"))
        })
    };
    let (one, two) = (
        "int f(void) { return 1; }\n",
        "int f(void);\nint main(void) { return f(); }\n",
    );
    assert!(hides(&program(&[("a.c", &format!("{one}{two}"))])));
    assert!(!hides(&program(&[("a.c", one), ("b.c", two)])));
}

#[test]
fn good_recipes_are_crossed() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let mut bench = Bench::unbuilt(&toolchain, &program);
    bench.speedup = |_| 1.3;
    let mut other = bench.node().candidate.clone();
    other.recipe.back_end = vec!["-disable-lsr".to_owned()];
    let other = bench.add(other);
    let mut start = bench.node().candidate.clone();
    start.recipe.middle_end = vec!["-unroll-count=4".to_owned()];
    bench.node = bench.add(start);
    bench.speedup = |_| 1.0;
    bench.turns(agent("passes", false).as_mut(), 10);
    let takes = format!("takes over part of what {other} does");
    assert!(bench.proposed().iter().any(|node| node.change == takes));
}
