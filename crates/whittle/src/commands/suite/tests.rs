use std::collections::BTreeMap;

use super::outcome::{Outcome, Proposals};
use super::summary::Summary;
use super::{Mode, append_to, read, render};

fn outcome(program: &str, mode: &str, ratio: f64) -> Outcome {
    let proposals = Proposals {
        all: 4,
        unusable: 1,
        wrong: 1,
        reached: [0, 1, 1, 1, 0],
    };
    Outcome {
        program: program.to_owned(),
        mode: mode.to_owned(),
        run: "r".to_owned(),
        ratio,
        interval: (ratio > 1.0).then_some([ratio - 0.01, ratio + 0.01]),
        levels: BTreeMap::from([("source".to_owned(), proposals)]),
        spent: BTreeMap::from([
            ("agent calls".to_owned(), 2.0),
            ("tokens".to_owned(), 1500.0),
        ]),
        ..Outcome::default()
    }
}

#[test]
fn modes_are_summed_up_over_programs() {
    let outcomes = [
        outcome("a.c", "paper", 2.0),
        outcome("b.c", "paper", 1.0),
        outcome("a.c", "source", 8.0),
        Outcome::failed(
            "c.c".to_owned(),
            "paper".to_owned(),
            "it has undefined behaviour".to_owned(),
        ),
    ];
    let paper = Summary::of("paper", &outcomes);
    assert_eq!((paper.programs, paper.failed), (2, 1));
    assert!((paper.geomean - 2.0_f64.sqrt()).abs() < 1e-12);
    assert_eq!(paper.improved, 0.5);
    assert_eq!(paper.levels["source"].all, 8);
    assert_eq!(paper.levels["source"].wrong_share(), Some(0.5));
    assert_eq!(paper.spent["agent calls"], 4.0);
    let none = Summary::of("ir", &outcomes);
    assert_eq!((none.programs, none.geomean), (0, 1.0));
    insta::assert_snapshot!(render::tables(
        &outcomes,
        &[paper, Summary::of("source", &outcomes)]
    ));
}

#[test]
fn a_line_that_was_cut_off_is_made_again() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("suite.jsonl");
    assert!(read(&file).unwrap().is_empty());
    let line = serde_json::to_string(&outcome("a.c", "paper", 2.0)).unwrap();
    std::fs::write(&file, format!("{line}\n{}", &line[..20])).unwrap();
    assert_eq!(read(&file).unwrap(), [outcome("a.c", "paper", 2.0)]);
    writeln!(append_to(&file).unwrap(), "{line}").unwrap();
    assert_eq!(read(&file).unwrap().len(), 2);
}

#[test]
fn modes_say_who_takes_part() {
    assert_eq!(Mode::Ir.agents(true), ["ir"]);
    assert_eq!(Mode::Paper.agents(true), ["source", "ir", "assembly"]);
    assert_eq!(Mode::Builtin.agents(true), ["passes", "flags"]);
    assert_eq!(
        Mode::Default.agents(true),
        ["passes", "flags", "source", "ir", "assembly"]
    );
    assert_eq!(Mode::Bandit.agents(false), ["passes", "flags"]);
}
