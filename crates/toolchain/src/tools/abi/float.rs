//! What floating-point instructions do to the state that a function must leave as it was.

use super::instruction::{Instruction, Operand};
use super::state::State;
use super::value::{UNKNOWN, Value};

/// x87 instructions that push a number.
const PUSHES: [&str; 20] = [
    "fld", "flds", "fldl", "fldt", "fild", "filds", "fildl", "fildll", "fildq", "fbld", "fld1",
    "fldz", "fldpi", "fldl2e", "fldl2t", "fldlg2", "fldln2", "fptan", "fxtract", "fsincos",
];
/// Beginnings of those that pop one.
const POPS: [&str; 16] = [
    "fstp", "fistp", "fisttp", "fbstp", "faddp", "fmulp", "fsubp", "fsubrp", "fdivp", "fdivrp",
    "fcomp", "fcomip", "fucomp", "fucomip", "ficomp", "fyl2x",
];
/// Instructions after which nobody knows.
const UNCLEAR: [&str; 8] = [
    "ffree", "ffreep", "fincstp", "fdecstp", "frstor", "fldenv", "fxrstor", "xrstor",
];

/// Follows an instruction; `address` is that of its memory operand. Says whether the instruction was one of these.
pub(super) fn step<'a>(
    state: &mut State<'a>,
    instruction: &Instruction<'a>,
    address: Option<Value<'a>>,
) -> bool {
    let mnemonic = instruction.mnemonic.trim_start_matches('v');
    if instruction.operands.iter().any(is_mmx) {
        state.mmx = true;
    }
    let place = address.unwrap_or(UNKNOWN);
    let line = instruction.line;
    match mnemonic {
        "emms" | "femms" => {
            state.mmx = false;
            state.x87_depth = Some(0);
        }
        "stmxcsr" => state.store(place, 4, control(true, state.modes.sse_changed), line),
        "fnstcw" | "fstcw" => state.store(place, 2, control(false, state.modes.x87_changed), line),
        "ldmxcsr" => state.modes.sse_changed = state.load(place, 4) != Value::Control(true),
        "fldcw" => state.modes.x87_changed = state.load(place, 2) != Value::Control(false),
        "fninit" | "finit" => {
            state.modes.x87_changed = true;
            state.x87_depth = Some(0);
        }
        "frstor" | "fldenv" => state.modes.x87_changed = true,
        _ if mnemonic.starts_with("fxrstor") || mnemonic.starts_with("xrstor") => {
            (state.modes.x87_changed, state.modes.sse_changed) = (true, true);
        }
        _ if mnemonic.starts_with('f') && instruction.mnemonic.starts_with('f') => {}
        _ => return false,
    }
    let depth = state.x87_depth.filter(|_| !UNCLEAR.contains(&mnemonic));
    state.x87_depth = depth.map(|depth| depth + growth(mnemonic));
    if is_store(mnemonic) {
        state.store(place, 2, UNKNOWN, line);
    }
    true
}

fn control(sse: bool, changed: bool) -> Value<'static> {
    if changed {
        UNKNOWN
    } else {
        Value::Control(sse)
    }
}

fn is_mmx(operand: &Operand) -> bool {
    matches!(operand, Operand::Other(register) if register.starts_with("%mm"))
}

/// By how many numbers the x87 stack grows.
fn growth(mnemonic: &str) -> i32 {
    if PUSHES.contains(&mnemonic) {
        1
    } else if matches!(mnemonic, "fcompp" | "fucompp") {
        -2
    } else if matches!(mnemonic, "fcompi" | "fucompi" | "fpatan") || pops_by_name(mnemonic) {
        -1
    } else {
        0
    }
}

fn pops_by_name(mnemonic: &str) -> bool {
    POPS.iter().any(|pop| {
        mnemonic
            .strip_prefix(pop)
            .is_some_and(|rest| rest.len() <= 3)
    })
}

/// Whether it writes to its memory operand.
fn is_store(mnemonic: &str) -> bool {
    let stores = ["fst", "fist", "fbst", "fnst", "fsave", "fnsave", "fxsave"];
    let controls = matches!(mnemonic, "fnstcw" | "fstcw");
    !controls && stores.iter().any(|store| mnemonic.starts_with(store))
}
