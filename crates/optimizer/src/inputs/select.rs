//! Which inputs are for what.

use std::collections::BTreeSet;

use crate::inputs::mutate::Given;
use crate::inputs::{Case, InputOptions, Inputs, Origin};

/// Tests that agents may see are run for every candidate, so they have to be quick and small.
const VISIBLE_SECONDS: f64 = 0.1;
const VISIBLE_BYTES: usize = 256 << 10;
/// Held-out tests are run several times for the few best candidates.
const HELD_OUT_SECONDS: f64 = 1.0;
/// One in so many of the tests that are given is held out, one in so many of those made here is shown.
const ONE_IN: usize = 3;

/// An input with what the original does on it, and how long it takes.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) case: Case,
    pub(crate) seconds: f64,
    /// Nobody may see it, and nothing that somebody may see is made from it.
    pub(crate) held_out: bool,
}

impl Known {
    /// Not held out yet.
    pub(crate) fn new(case: Case, seconds: f64) -> Self {
        Self {
            case,
            seconds,
            held_out: false,
        }
    }

    fn may_be_visible(&self) -> bool {
        self.seconds <= VISIBLE_SECONDS && self.case.input.len() <= VISIBLE_BYTES
    }

    fn is_made_here(&self) -> bool {
        self.case.origin == Origin::BuiltIn
    }
}

/// Decides which of the tests that were given are held out, before others are made of the rest. The first and the last stay
/// visible: the last is often the largest, from which inputs to time are grown.
pub(crate) fn hold_out(known: &mut [Known], visible: usize) {
    let given = known.iter_mut().filter(|known| !known.is_made_here());
    let mut given: Vec<&mut Known> = given.collect();
    let is_enough = given.len() >= ONE_IN;
    let mut shown = 0;
    for (at, known) in given.iter_mut().enumerate() {
        let its_turn = is_enough && at % ONE_IN == 1;
        known.held_out = its_turn || shown >= visible || !known.may_be_visible();
        shown += usize::from(!known.held_out);
    }
}

/// Inputs to time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timing {
    pub(crate) search: Vec<Case>,
    pub(crate) result: Vec<Case>,
}

/// Arguments and standard input of a case.
pub(crate) fn given(case: &Case) -> Given {
    (case.arguments.clone(), case.input.clone())
}

/// Keeps the inputs apart: what is timed is no test, and what agents see is nothing else. See [`hold_out`].
pub(crate) fn select(known: Vec<Known>, timing: Timing, options: &InputOptions) -> Inputs {
    let timed: BTreeSet<Given> = timing
        .search
        .iter()
        .chain(&timing.result)
        .map(given)
        .collect();
    let tests = known
        .into_iter()
        .filter(|known| known.seconds <= HELD_OUT_SECONDS && !timed.contains(&given(&known.case)));
    let (made, given): (Vec<Known>, Vec<Known>) = tests.partition(Known::is_made_here);
    let (mut visible, mut held_out) = (Vec::new(), Vec::new());
    for known in given {
        let list = if known.held_out {
            &mut held_out
        } else {
            &mut visible
        };
        list.push(known.case);
    }
    for (at, known) in made.into_iter().enumerate() {
        if at % ONE_IN == 0 && known.may_be_visible() && visible.len() < options.visible {
            visible.push(known.case);
        } else if held_out.len() < options.held_out {
            held_out.push(known.case);
        }
    }
    if visible.is_empty() && held_out.len() > 1 {
        visible.push(held_out.remove(0));
    }
    if held_out.is_empty() && visible.len() > 1 {
        held_out.extend(visible.pop());
    }
    let mut inputs = Inputs {
        visible,
        held_out,
        search_timing: timing.search,
        final_timing: timing.result,
        ..Inputs::default()
    };
    rename(&mut inputs);
    inputs
}

/// Every test is visible: where tests of inputs and outputs are all the evidence there is.
pub(crate) fn all_visible(known: Vec<Known>, timing: Timing) -> Inputs {
    let mut inputs = Inputs {
        visible: known.into_iter().map(|known| known.case).collect(),
        search_timing: timing.search,
        final_timing: timing.result,
        ..Inputs::default()
    };
    rename(&mut inputs);
    inputs
}

/// Gives every input a name of its own.
fn rename(inputs: &mut Inputs) {
    let mut names = BTreeSet::new();
    let lists = [
        &mut inputs.visible,
        &mut inputs.held_out,
        &mut inputs.search_timing,
        &mut inputs.final_timing,
    ];
    for case in lists.into_iter().flatten() {
        let base = case.name.clone();
        let mut number = 2;
        while !names.insert(case.name.clone()) {
            case.name = format!("{base}-{number}");
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Expected;

    fn known(name: &str, input: &str, seconds: f64, origin: Origin) -> Known {
        let case = Case {
            name: name.to_owned(),
            arguments: Vec::new(),
            input: input.into(),
            expected: Expected {
                stdout: Vec::new(),
                status: 0,
            },
            origin,
        };
        Known::new(case, seconds)
    }

    fn names(cases: &[Case]) -> Vec<&str> {
        cases.iter().map(|case| case.name.as_str()).collect()
    }

    #[test]
    fn some_of_the_users_tests_are_held_out_and_those_made_here_fill_up() {
        let mut all: Vec<Known> = (0..6)
            .map(|i| known(&format!("user-{i}"), &format!("{i}"), 0.001, Origin::User))
            .collect();
        all.push(known("slow", "slow", 0.5, Origin::User));
        all.push(known("too-slow", "too-slow", 5.0, Origin::User));
        all.extend((0..9).map(|i| {
            known(
                &format!("made-{i}"),
                &format!("m{i}"),
                0.001,
                Origin::BuiltIn,
            )
        }));
        let timing = Timing {
            search: vec![all[0].case.clone()],
            result: vec![all[8].case.clone()],
        };
        let options = InputOptions {
            visible: 5,
            held_out: 6,
            ..InputOptions::default()
        };
        hold_out(&mut all, options.visible);
        let inputs = select(all, timing, &options);
        assert_eq!(
            names(&inputs.visible),
            ["user-2", "user-3", "user-5", "made-1", "made-4"]
        );
        assert_eq!(
            names(&inputs.held_out),
            ["user-1", "user-4", "slow", "made-2", "made-3", "made-5"]
        );
        assert_eq!(names(&inputs.search_timing), ["user-0"]);
        assert_eq!(names(&inputs.final_timing), ["made-0"]);
    }

    #[test]
    fn few_tests_are_shared_out() {
        let one = |i: usize| known("same", &format!("{i}"), 0.5, Origin::BuiltIn);
        let inputs = select(
            vec![one(0), one(1)],
            Timing::default(),
            &InputOptions::default(),
        );
        assert_eq!((inputs.visible.len(), inputs.held_out.len()), (1, 1));
        let quick = |i: usize| known("same", &format!("{i}"), 0.001, Origin::User);
        let mut two = vec![quick(0), quick(1)];
        hold_out(&mut two, 5);
        assert!(two.iter().all(|known| !known.held_out));
        let inputs = select(two, Timing::default(), &InputOptions::default());
        assert_eq!((inputs.visible.len(), inputs.held_out.len()), (1, 1));
        assert_eq!(names(&inputs.visible), ["same"]);
        assert_eq!(names(&inputs.held_out), ["same-2"]);
    }
}
