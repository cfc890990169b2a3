//! What the checker knows at one point of a function.

use std::collections::BTreeMap;

use super::value::{Base, RSP, Register, UNKNOWN, Value};

/// Bytes below the stack pointer that signal handlers leave alone.
pub(super) const RED_ZONE: i64 = 128;

/// Something written to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot<'a> {
    pub(super) bytes: i64,
    pub(super) value: Value<'a>,
    /// The line that wrote it below the stack pointer, if it was below.
    pub(super) below: Option<usize>,
}

/// What may have been switched since entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Modes {
    /// The direction flag.
    pub(super) backwards: bool,
    /// The control bits of SSE arithmetic.
    pub(super) sse_changed: bool,
    /// Those of x87 arithmetic.
    pub(super) x87_changed: bool,
}

/// Everything known at a point, over all paths that lead there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State<'a> {
    registers: [Value<'a>; 16],
    slots: BTreeMap<(Base, i64), Slot<'a>>,
    pub(super) modes: Modes,
    /// Whether MMX registers may be in use.
    pub(super) mmx: bool,
    /// Numbers on the x87 stack, if it is known.
    pub(super) x87_depth: Option<i32>,
    /// Two registers that were just compared.
    pub(super) compared: Option<(Register, Register)>,
}

impl<'a> State<'a> {
    pub(super) fn at_entry() -> Self {
        let mut registers = [UNKNOWN; 16];
        for (register, value) in registers.iter_mut().enumerate() {
            *value = Value::Saved(register);
        }
        registers[RSP] = Value::Stack(Base::entry(), 0);
        Self {
            registers,
            slots: BTreeMap::new(),
            modes: Modes::default(),
            mmx: false,
            x87_depth: Some(0),
            compared: None,
        }
    }

    pub(super) fn get(&self, register: Register) -> Value<'a> {
        self.registers.get(register).copied().unwrap_or(UNKNOWN)
    }

    /// Sets a register. A stack pointer that can't be told from an old one becomes a base of its own, made by instruction `at`.
    pub(super) fn set(&mut self, register: Register, value: Value<'a>, at: usize) {
        let value = match value {
            Value::Number(bits) if register == RSP => {
                let base = Base { at: at + 1, bits };
                self.forget(base.at);
                Value::Stack(base, 0)
            }
            value => value,
        };
        if let Some(place) = self.registers.get_mut(register) {
            *place = value;
        }
    }

    /// Forgets what was measured from a base that is made anew.
    fn forget(&mut self, base: usize) {
        self.slots.retain(|(of, _), _| of.at != base);
        let registers = self.registers.iter_mut();
        let in_slots = self.slots.values_mut().map(|slot| &mut slot.value);
        for value in registers.chain(in_slots) {
            if matches!(value, Value::Stack(of, _) if of.at == base) {
                *value = Value::Number(value.bits());
            }
        }
    }

    /// Where the stack pointer is, if that is known.
    pub(super) fn top(&self) -> Option<(Base, i64)> {
        match self.get(RSP) {
            Value::Stack(base, offset) => Some((base, offset)),
            _ => None,
        }
    }

    /// What is in memory at an address.
    pub(super) fn load(&self, address: Value<'a>, bytes: i64) -> Value<'a> {
        match address {
            Value::Stack(base, offset) => {
                let slot = self.slots.get(&(base, offset));
                slot.filter(|slot| slot.bytes == bytes)
                    .map_or(UNKNOWN, |slot| slot.value)
            }
            Value::Address(table) => Value::Entry(table),
            _ => UNKNOWN,
        }
    }

    /// Writes to memory. Writes to unknown places are taken to leave saved registers alone.
    pub(super) fn store(&mut self, address: Value<'a>, bytes: i64, value: Value<'a>, line: usize) {
        let Value::Stack(base, offset) = address else {
            return;
        };
        let (start, end) = (offset.saturating_sub(64), offset.saturating_add(bytes));
        let overlapping: Vec<(Base, i64)> = self
            .slots
            .range((base, start)..(base, end))
            .filter(|((_, from), slot)| from.saturating_add(slot.bytes) > offset)
            .map(|(place, _)| *place)
            .collect();
        for place in overlapping {
            self.slots.remove(&place);
        }
        let below = self
            .top()
            .filter(|(top, height)| *top == base && offset < *height)
            .map(|_| line);
        let slot = Slot {
            bytes,
            value,
            below,
        };
        self.slots.insert((base, offset), slot);
    }

    /// Whether a write to this address would change the return address.
    pub(super) fn hits_return_address(address: Value, bytes: i64) -> bool {
        matches!(address, Value::Stack(base, offset) if base == Base::entry() && offset < 8 && offset.saturating_add(bytes) > 0)
    }

    /// What is below the stack pointer is lost when a function is called. Returns the line that wrote something there on
    /// purpose.
    pub(super) fn lose_below(&mut self) -> Option<usize> {
        let (base, height) = self.top()?;
        let lost: Vec<(Base, i64)> = self
            .slots
            .range((base, i64::MIN)..(base, height))
            .map(|(place, _)| *place)
            .collect();
        let slots = lost
            .into_iter()
            .filter_map(|place| self.slots.remove(&place));
        slots.filter_map(|slot| slot.below).min()
    }

    /// Where the value that a register had at entry is now.
    pub(super) fn whereabouts(&self, register: Register) -> Option<(Base, i64)> {
        let mut slots = self.slots.iter();
        slots.find_map(|(place, slot)| (slot.value == Value::Saved(register)).then_some(*place))
    }

    /// Takes in what is known on another path; says whether that changed anything.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers) {
            *mine = mine.join(theirs);
        }
        self.join_slots(other);
        self.modes.backwards |= other.modes.backwards;
        self.modes.sse_changed |= other.modes.sse_changed;
        self.modes.x87_changed |= other.modes.x87_changed;
        self.mmx |= other.mmx;
        if self.x87_depth != other.x87_depth {
            self.x87_depth = None;
        }
        if self.compared != other.compared {
            self.compared = None;
        }
        *self != before
    }

    /// Slots on both paths stay; of others only that they may have been written below the stack pointer.
    fn join_slots(&mut self, other: &Self) {
        for (place, mine) in &mut self.slots {
            match other
                .slots
                .get(place)
                .filter(|theirs| theirs.bytes == mine.bytes)
            {
                Some(theirs) => {
                    mine.value = mine.value.join(theirs.value);
                    mine.below = mine.below.min(theirs.below).or(mine.below).or(theirs.below);
                }
                None => mine.value = UNKNOWN,
            }
        }
        self.slots
            .retain(|place, slot| slot.below.is_some() || other.slots.contains_key(place));
        for (place, theirs) in &other.slots {
            if theirs.below.is_some() {
                let value = UNKNOWN;
                self.slots
                    .entry(*place)
                    .or_insert(Slot { value, ..*theirs });
            }
        }
    }

    /// After a jump that is made only when the compared registers are equal: where a loop lowers the stack pointer page by page,
    /// its end is known.
    pub(super) fn assume_equal(&mut self) {
        let Some((RSP, other) | (other, RSP)) = self.compared else {
            return;
        };
        if let Value::Stack(base, _) = self.get(other)
            && base == Base::entry()
        {
            self.registers[RSP] = self.get(other);
        }
    }
}
