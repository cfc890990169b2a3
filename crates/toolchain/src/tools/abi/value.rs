//! What the checker knows of a number in a register or in memory.

/// A general register, by its number: `rax` is 0, `rsp` 4, `r15` 15.
pub(super) type Register = usize;
pub(super) const RAX: Register = 0;
pub(super) const RCX: Register = 1;
pub(super) const RDX: Register = 2;
pub(super) const RBX: Register = 3;
pub(super) const RSP: Register = 4;
pub(super) const RBP: Register = 5;
pub(super) const RSI: Register = 6;
pub(super) const RDI: Register = 7;
/// The registers of the caller, which a function must leave as they were.
pub(super) const SAVED: [Register; 6] = [RBX, RBP, 12, 13, 14, 15];
/// The registers that a call overwrites.
pub(super) const SCRATCH: [Register; 9] = [RAX, RCX, RDX, RSI, RDI, 8, 9, 10, 11];

const NAMES: [&str; 16] = [
    "%rax", "%rcx", "%rdx", "%rbx", "%rsp", "%rbp", "%rsi", "%rdi", "%r8", "%r9", "%r10", "%r11",
    "%r12", "%r13", "%r14", "%r15",
];

/// The name of a register.
pub(super) fn name(register: Register) -> &'static str {
    NAMES.get(register).copied().unwrap_or("%rip")
}

/// A number of which the lowest bits are known: none, all 64, or some, as in "a multiple of 16".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bits {
    known: u32,
    value: u64,
}

impl Bits {
    pub(super) const UNKNOWN: Self = Self { known: 0, value: 0 };

    pub(super) fn new(known: u32, value: u64) -> Self {
        let known = known.min(64);
        Self {
            known,
            value: value & low(known),
        }
    }

    pub(super) fn constant(value: i64) -> Self {
        Self::new(64, value as u64)
    }

    /// The number, if it is known wholly.
    pub(super) fn exact(self) -> Option<i64> {
        (self.known == 64).then_some(self.value as i64)
    }

    /// The remainder by 16, and whether all of it is known.
    pub(super) fn modulo16(self) -> (u64, bool) {
        (self.value & 15, self.known >= 4)
    }

    pub(super) fn add(self, other: Self) -> Self {
        Self::new(
            self.known.min(other.known),
            self.value.wrapping_add(other.value),
        )
    }

    pub(super) fn negated(self) -> Self {
        Self::new(self.known, self.value.wrapping_neg())
    }

    pub(super) fn shifted_left(self, count: u32) -> Self {
        let value = self.value.checked_shl(count).unwrap_or(0);
        Self::new(self.known.saturating_add(count), value)
    }

    pub(super) fn multiplied(self, other: Self) -> Self {
        let zeros = |bits: Self| bits.value.trailing_zeros().min(bits.known);
        let known =
            (self.known.saturating_add(zeros(other))).min(other.known.saturating_add(zeros(self)));
        let known = if self.known == 64 && other.known == 64 {
            64
        } else {
            known
        };
        Self::new(known, self.value.wrapping_mul(other.value))
    }

    pub(super) fn and(self, other: Self) -> Self {
        let zero = |bits: Self, at: u32| at < bits.known && bits.value >> at & 1 == 0;
        let known = (0..64).take_while(|at| {
            *at < self.known.min(other.known) || zero(self, *at) || zero(other, *at)
        });
        Self::new(known.count() as u32, self.value & other.value)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self::new(self.known.min(other.known), self.value | other.value)
    }

    pub(super) fn xor(self, other: Self) -> Self {
        Self::new(self.known.min(other.known), self.value ^ other.value)
    }

    /// What is known whichever of two it is.
    pub(super) fn join(self, other: Self) -> Self {
        let same = (self.value ^ other.value).trailing_zeros();
        Self::new(self.known.min(other.known).min(same), self.value)
    }

    /// The lower 32 bits, the upper ones zero.
    fn lower_half(self) -> Self {
        let known = if self.known >= 32 { 64 } else { self.known };
        Self::new(known, self.value & 0xffff_ffff)
    }
}

fn low(bits: u32) -> u64 {
    u64::MAX.checked_shr(64 - bits.min(64)).unwrap_or(0)
}

/// An address that others are measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Base {
    /// 0 for the stack pointer at entry; otherwise 1 more than the number of the instruction that made it.
    pub(super) at: usize,
    /// Its lowest bits.
    pub(super) bits: Bits,
}

impl Base {
    /// The stack pointer at entry. It was a multiple of 16 before the call pushed the return address.
    pub(super) fn entry() -> Self {
        Self {
            at: 0,
            bits: Bits::new(4, 8),
        }
    }
}

/// What is in a register or a place in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Some number.
    Number(Bits),
    /// What a register held at entry.
    Saved(Register),
    /// An address on the stack: this far from a base.
    Stack(Base, i64),
    /// The address of a symbol.
    Address(&'a str),
    /// A number out of the table at a symbol.
    Entry(&'a str),
    /// The sum of a table's address and a number out of it.
    Target(&'a str),
    /// The control bits of SSE arithmetic (`true`) or x87 arithmetic (`false`) as at entry.
    Control(bool),
}

pub(super) const UNKNOWN: Value<'static> = Value::Number(Bits::UNKNOWN);

impl Value<'_> {
    pub(super) fn constant(value: i64) -> Self {
        Value::Number(Bits::constant(value))
    }

    pub(super) fn bits(self) -> Bits {
        match self {
            Value::Number(bits) => bits,
            Value::Stack(base, offset) => base.bits.add(Bits::constant(offset)),
            _ => Bits::UNKNOWN,
        }
    }

    /// What is known whichever of two it is.
    pub(super) fn join(self, other: Self) -> Self {
        if self == other {
            self
        } else {
            Value::Number(self.bits().join(other.bits()))
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Value::Stack(base, offset), Value::Number(bits))
            | (Value::Number(bits), Value::Stack(base, offset)) => match bits.exact() {
                Some(constant) => Value::Stack(base, offset.wrapping_add(constant)),
                None => Value::Number(self.bits().add(other.bits())),
            },
            (Value::Address(table), Value::Entry(entry))
            | (Value::Entry(entry), Value::Address(table))
                if table == entry =>
            {
                Value::Target(table)
            }
            (Value::Address(symbol), Value::Number(_)) => Value::Address(symbol),
            _ => Value::Number(self.bits().add(other.bits())),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        match (self, other) {
            (Value::Stack(one, from), Value::Stack(two, to)) if one == two => {
                Value::constant(from.wrapping_sub(to))
            }
            _ => self.plus(Value::Number(other.bits().negated())),
        }
    }

    /// The same cut down to this many bytes; what is above them is zero, or unknown for one or two bytes.
    pub(super) fn narrowed(self, bytes: u32) -> Self {
        match self {
            Value::Number(bits) if bytes == 4 => Value::Number(bits.lower_half()),
            Value::Control(_) | Value::Entry(_) if bytes == 4 => self,
            Value::Control(false) if bytes == 2 => self,
            _ if bytes >= 8 => self,
            _ => Value::Number(self.bits().and(Bits::new(64, low(bytes * 8)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(bits: Bits, number: u64) -> bool {
        number & low(bits.known) == bits.value
    }

    proptest! {
        /// Whatever is computed from what is known of two numbers is true of the numbers.
        #[test]
        fn arithmetic_is_sound(a: u64, b: u64, known_a in 0u32..=64, known_b in 0u32..=64, count in 0u32..70) {
            let (one, two) = (Bits::new(known_a, a), Bits::new(known_b, b));
            prop_assert!(holds(one.add(two), a.wrapping_add(b)));
            prop_assert!(holds(one.negated(), a.wrapping_neg()));
            prop_assert!(holds(one.multiplied(two), a.wrapping_mul(b)));
            prop_assert!(holds(one.and(two), a & b));
            prop_assert!(holds(one.or(two), a | b));
            prop_assert!(holds(one.xor(two), a ^ b));
            prop_assert!(holds(one.shifted_left(count), a.checked_shl(count).unwrap_or(0)));
            prop_assert!(holds(one.lower_half(), a & 0xffff_ffff));
            prop_assert!(holds(one.join(two), a) && holds(one.join(two), b));
        }
    }

    #[test]
    fn multiples_are_known() {
        let any = Bits::UNKNOWN;
        assert_eq!(any.and(Bits::constant(-16)).modulo16(), (0, true));
        assert_eq!(any.shifted_left(4).modulo16(), (0, true));
        assert_eq!(any.multiplied(Bits::constant(48)).modulo16(), (0, true));
        assert_eq!(any.shifted_left(3).modulo16(), (0, false));
        let entry = Value::Stack(Base::entry(), 0);
        assert_eq!(entry.plus(Value::constant(-8)).bits().modulo16(), (0, true));
        assert_eq!(
            entry.minus(Value::constant(-8)).minus(entry),
            Value::constant(8)
        );
    }
}
