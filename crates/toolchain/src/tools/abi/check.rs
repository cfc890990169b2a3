//! Following a function along all its ways, and looking at what is known where it ends.

use std::collections::BTreeSet;

use super::AbiKind;
use super::flow::{Function, Next};
use super::instruction::Instruction;
use super::state::State;
use super::step::{Found, check_flags, step};
use super::value::{Base, RSP, Register, SAVED, Value, name};

/// A problem with its line, from 0, in the function.
pub(super) struct Placed {
    pub(super) line: usize,
    pub(super) kind: AbiKind,
    pub(super) what: String,
}

/// More visits of instructions than any real function needs.
const VISITS: usize = 400;

/// Checks a function.
pub(super) fn check(function: &Function) -> Vec<Placed> {
    if let Some((line, why)) = &function.obstacle {
        return vec![Placed {
            line: *line,
            kind: AbiKind::Unchecked,
            what: why.clone(),
        }];
    }
    let Some(states) = known_states(function) else {
        return vec![Placed {
            line: 0,
            kind: AbiKind::Unchecked,
            what: "the function is too intricate to be followed".to_owned(),
        }];
    };
    let mut found = Vec::new();
    for (at, state) in states.iter().enumerate() {
        if let (Some(state), Some(instruction)) = (state, function.instructions.get(at)) {
            inspect(function, at, instruction, state.clone(), &mut found);
        }
    }
    let line = |at: usize| {
        function
            .instructions
            .get(at)
            .map_or(0, |instruction| instruction.line)
    };
    let placed = found.into_iter().map(|Found { at, kind, what }| Placed {
        line: line(at),
        kind,
        what,
    });
    placed.collect()
}

/// What is known before each instruction that can be reached; `None` if that takes too long.
fn known_states<'a>(function: &Function<'a>) -> Option<Vec<Option<State<'a>>>> {
    let count = function.instructions.len();
    let mut states: Vec<Option<State>> = vec![None; count];
    let mut waiting = BTreeSet::new();
    if let Some(first) = states.first_mut() {
        *first = Some(State::at_entry());
        waiting.insert(0);
    }
    let mut visits = 0;
    while let Some(at) = waiting.pop_first() {
        visits += 1;
        if visits > VISITS * count.max(10) {
            return None;
        }
        let (Some(Some(before)), Some(instruction)) =
            (states.get(at), function.instructions.get(at))
        else {
            continue;
        };
        let mut state = before.clone();
        step(&mut state, instruction, at, &mut Vec::new());
        for (target, state) in successors(function, at, instruction, state) {
            let changed = match states.get_mut(target) {
                Some(Some(known)) => known.join(&state),
                Some(unknown) => {
                    *unknown = Some(state);
                    true
                }
                None => false,
            };
            if changed {
                waiting.insert(target);
            }
        }
    }
    Some(states)
}

/// The instructions that may come next, with what is known there.
fn successors<'a>(
    function: &Function<'a>,
    at: usize,
    instruction: &Instruction,
    state: State<'a>,
) -> Vec<(usize, State<'a>)> {
    let next = function.next(at, &state, || faults_at_end(&state, at).is_empty());
    let equal = |state: &State<'a>| {
        let mut state = state.clone();
        state.assume_equal();
        state
    };
    match next {
        Next::On | Next::TailCall(true) => vec![(at + 1, state)],
        Next::Jump(targets, on) => {
            let taken = if instruction.mnemonic == "je" {
                equal(&state)
            } else {
                state.clone()
            };
            let mut all: Vec<_> = targets
                .into_iter()
                .map(|target| (target, taken.clone()))
                .collect();
            if on {
                let state = if instruction.mnemonic == "jne" {
                    equal(&state)
                } else {
                    state
                };
                all.push((at + 1, state));
            }
            all
        }
        Next::TailCall(false) | Next::Return | Next::Stop | Next::Unclear(_) => Vec::new(),
    }
}

/// Notes everything that is wrong at an instruction.
fn inspect<'a>(
    function: &Function<'a>,
    at: usize,
    instruction: &Instruction<'a>,
    mut state: State<'a>,
    found: &mut Vec<Found>,
) {
    step(&mut state, instruction, at, found);
    let mut report = |kind, what: &str| {
        found.push(Found {
            at,
            kind,
            what: what.to_owned(),
        });
    };
    let is_last = at + 1 == function.instructions.len();
    let is_call = instruction.operation() == "call";
    match function.next(at, &state, || faults_at_end(&state, at).is_empty()) {
        Next::Unclear(why) => report(AbiKind::Unchecked, &why),
        // Calls at the end are of functions that don't return.
        Next::On if is_last && !is_call => {
            report(
                AbiKind::End,
                "the function runs past its end: the last instruction must be `retq` or a jump",
            );
        }
        Next::Return if !instruction.operands.is_empty() => {
            report(
                AbiKind::End,
                "the caller takes arguments off the stack, not `ret`",
            );
        }
        Next::Return | Next::TailCall(_) => found.extend(faults_at_end(&state, at)),
        Next::On | Next::Jump(..) | Next::Stop => {}
    }
}

/// What is not as the caller needs it, if the function is left here.
fn faults_at_end(state: &State, at: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut report = |kind, what: String| found.push(Found { at, kind, what });
    match state.get(RSP) {
        Value::Stack(base, 0) if base == Base::entry() => {}
        Value::Stack(base, offset) if base == Base::entry() => report(
            AbiKind::StackPointer,
            format!(
                "%rsp is {} bytes {} than at entry when the function is left here",
                offset.unsigned_abs(),
                if offset < 0 { "lower" } else { "higher" }
            ),
        ),
        _ => report(
            AbiKind::StackPointer,
            "%rsp is not known to be back at its value at entry when the function is left here"
                .to_owned(),
        ),
    }
    for register in SAVED {
        if state.get(register) != Value::Saved(register) {
            report(AbiKind::SavedRegister, lost(state, register));
        }
    }
    if state.mmx
        || state
            .x87_depth
            .is_some_and(|depth| !(0..=2).contains(&depth))
    {
        report(
            AbiKind::FloatingPoint,
            "x87 or MMX registers are left in use: pop every number that is not returned, and use `emms` after MMX".to_owned(),
        );
    }
    check_flags(state, at, "before the function is left here", &mut found);
    found
}

/// Says what became of a register of the caller.
fn lost(state: &State, register: Register) -> String {
    let own = name(register);
    if let Value::Saved(other) = state.get(register) {
        return format!(
            "{own} holds what {} held at entry: restore in the reverse order of saving",
            name(other)
        );
    }
    match state.whereabouts(register) {
        Some((base, offset)) if base == Base::entry() => format!(
            "{own} must hold its value at entry, which is still on the stack, {} bytes below the return address: restore it",
            offset.unsigned_abs()
        ),
        Some(_) => {
            format!("{own} must hold its value at entry, which is still on the stack: restore it")
        }
        None => format!(
            "{own} must hold its value at entry, but was overwritten on some way here: save it, as by `pushq {own}`, and restore it"
        ),
    }
}
