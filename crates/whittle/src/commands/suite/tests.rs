use std::collections::BTreeMap;
use std::time::Duration;

use whittle_optimizer::budget::{Budget, Resource};
use whittle_optimizer::session::Machine;

use super::outcome::{Outcome, Proposals};
use super::summary::Summary;
use super::{Conditions, Mode, render};

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

fn conditions() -> Conditions {
    Conditions {
        machine: Machine {
            cpu: "a CPU".to_owned(),
            cores: 2,
            kernel: "6.1".to_owned(),
            llvm: "clang 19".to_owned(),
        },
        budget: Budget::of_time(Duration::from_secs(90)).with(Resource::Dollars, 0.5),
        seed: 7,
        model: Some("replay:calls.jsonl".to_owned()),
    }
}

#[test]
fn modes_are_summed_up_over_programs() {
    let outcomes = [
        outcome("a", "paper", 2.0),
        outcome("b", "paper", 1.0),
        outcome("a", "source", 8.0),
        Outcome::failed(
            "c".to_owned(),
            "paper".to_owned(),
            "x | y has undefined behaviour".to_owned(),
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
    let summaries = [paper, Summary::of("source", &outcomes)];
    let tables = |markdown| render::tables(&conditions(), &outcomes, &summaries, markdown);
    insta::assert_snapshot!("plain", tables(false));
    insta::assert_snapshot!("markdown", tables(true));
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
