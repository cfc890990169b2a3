//! The search of flags.

use super::*;

#[test]
fn flags_tries_everything_once_and_all_of_it_builds() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let mut bench = Bench::new(&toolchain, &program);
    let mut flags = agent("flags", false);
    bench.turns(flags.as_mut(), 100);
    assert!(!flags.applies(bench.node(), &bench.tree));
    let proposed = bench.proposed();
    assert!(proposed.len() >= 30, "{}", proposed.len());
    for (index, node) in proposed.iter().enumerate() {
        assert!(
            proposed[..index]
                .iter()
                .all(|other| other.change != node.change)
        );
        assert!(!node.candidate.recipe.host && !node.candidate.recipe.merge);
    }
    assert!(proposed.iter().any(|node| node.candidate.recipe.profile));
    assert!(
        proposed
            .iter()
            .any(|node| node.candidate.recipe.link == ["-no-pie"])
    );
    assert!(bench.refused.is_empty(), "{:#?}", bench.refused);
}

#[test]
fn code_for_this_host_rounds_as_before_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let mut bench = Bench::unbuilt(&toolchain, &program);
    let mut flags = agent("flags", true);
    bench.turns(flags.as_mut(), 100);
    let exact = |node: &Node| {
        node.candidate
            .recipe
            .front_end
            .iter()
            .any(|flag| flag == "-ffp-contract=off")
    };
    let host: Vec<Node> = bench
        .proposed()
        .into_iter()
        .filter(|node| node.candidate.recipe.host)
        .cloned()
        .collect();
    assert!(!host.is_empty() && host.iter().all(exact));
    bench.node = host[0].id;
    bench.turns(flags.as_mut(), 100);
    let mut children = bench.tree.children(host[0].id);
    assert!(children.any(|child| child.candidate.recipe.host && !exact(child)));
}

#[test]
fn a_changed_pipeline_keeps_its_changes_when_it_gets_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let mut bench = Bench::new(&toolchain, &program);
    let mut changed = bench.node().candidate.clone();
    let pipeline = bench.pipeline(&changed.recipe).unwrap();
    changed.recipe.pipeline = Some(pipeline.replace("loop-unroll<O3>", "loop-unroll<O3;runtime>"));
    bench.node = bench.add(changed);
    bench.turns(agent("flags", false).as_mut(), 100);
    let proposed = bench.proposed();
    let profiled = proposed
        .iter()
        .find(|node| node.candidate.recipe.profile)
        .unwrap();
    let pipeline = profiled.candidate.recipe.pipeline.as_ref().unwrap();
    assert!(pipeline.contains("pgo-instr-use") && pipeline.contains("loop-unroll<O3;runtime>"));
    assert!(!matches!(profiled.outcome, Outcome::Rejected { .. }));
    // Flags that only choose another pipeline of clang's say nothing here.
    assert!(
        proposed
            .iter()
            .all(|node| !node.change.contains("-fno-vectorize"))
    );
}

#[test]
fn all_files_become_one_program_only_where_there_are_several() {
    let folder = tempfile::tempdir().unwrap();
    let toolchain = toolchain(&folder);
    let files = [
        ("a.c", "int f(void) { return 1; }\n"),
        ("b.c", "int f(void);\nint main(void) { return f(); }\n"),
    ];
    let program = program(&files);
    let mut bench = Bench::new(&toolchain, &program);
    bench.turns(agent("flags", false).as_mut(), 100);
    let merged: Vec<_> = bench
        .proposed()
        .into_iter()
        .filter(|node| node.candidate.recipe.merge)
        .cloned()
        .collect();
    assert_eq!(merged.len(), 1);
    assert!(merged[0].speedup().is_some());
}

#[test]
fn errno_is_left_alone_where_the_program_looks_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let toolchain = toolchain(&folder);
    let drops_errno = |text: &str| {
        let program = program(&[("program.c", text)]);
        let mut bench = Bench::unbuilt(&toolchain, &program);
        bench.turns(agent("flags", false).as_mut(), 100);
        bench
            .proposed()
            .iter()
            .any(|node| node.change.contains("errno"))
    };
    assert!(drops_errno("int main(void) { return 0; }\n"));
    assert!(!drops_errno(
        "#include <errno.h>\nint main(void) { return errno; }\n"
    ));
}
