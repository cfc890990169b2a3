//! What instructions with a VEX or EVEX prefix need: AVX and all that came after it.

use super::baseline::{find, has, is_sse2, without_type};
use super::table::{BOTH, EVEX_OF_SSE, EVEX_ONLY, INTEGER_PREDICATES, PREDICATES, SSE, VEX_ONLY};

/// Operations on masks, without the letter for their size.
const MASKS: &str = "kadd kand kandn kmov knot kor kortest kshiftl kshiftr ktest kxnor kxor";

/// Vector instructions that look at one element, or at one vector of 128 bits in every form.
const SINGLE: &str = "\
    vextractps vinsertps vmovd vmovhlps vmovhpd vmovhps vmovlhps vmovlpd vmovlps vmovq vmovw vpextrb vpextrd vpextrq vpextrw \
    vpinsrb vpinsrd vpinsrq vpinsrw";

/// How an instruction is encoded, if its text says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// It doesn't.
    Any,
    /// `{vex}`
    Vex,
    /// `{evex}`
    Evex,
}

/// A vector instruction.
struct Vector<'a> {
    mnemonic: &'a str,
    operands: &'a str,
    encoding: Encoding,
    /// Whether a register of 256 or of 512 bits is among its operands.
    is_256: bool,
    is_512: bool,
}

/// The extensions that an instruction needs whose name begins with `v` or `k`; `None` if it is not known.
pub(super) fn needs(
    mnemonic: &str,
    operands: &str,
    encoding: Encoding,
) -> Option<Vec<&'static str>> {
    if let Some(mask) = mask(mnemonic) {
        return Some(vec![mask]);
    }
    let registers = || words(operands);
    let vector = Vector {
        mnemonic,
        operands,
        encoding,
        is_256: registers().any(|word| number(word, "ymm").is_some()),
        is_512: registers().any(|word| number(word, "zmm").is_some()),
    };
    vector.needs()
}

impl Vector<'_> {
    fn needs(&self) -> Option<Vec<&'static str>> {
        let mnemonic = self.mnemonic;
        if mnemonic.starts_with("vcvtneps2bf16") && self.encoding == Encoding::Vex {
            return Some(vec!["avxneconvert"]);
        }
        if let Some(extension) = find(&EVEX_ONLY, mnemonic) {
            return Some(self.evex(&[extension]));
        }
        if let Some(extension) = find(&VEX_ONLY, mnemonic) {
            return Some(vec![extension]);
        }
        if let Some(half) = fused(mnemonic) {
            let extension = if half { "avx512fp16" } else { "avx512f" };
            return Some(self.either("fma", extension, half || self.has_evex()));
        }
        if let Some((vex, evex, _)) = BOTH.iter().find(|(_, _, list)| has(list, mnemonic)) {
            return Some(self.both(vex, evex));
        }
        if let Some(comparison) = mnemonic.strip_prefix("vcmp") {
            return self.compares(comparison);
        }
        if let Some(extension) = mnemonic.strip_prefix("vpcmp").and_then(into_mask) {
            return Some(self.evex(&[extension]));
        }
        self.as_in_sse(mnemonic.strip_prefix('v')?)
    }

    /// An instruction that SSE has without the `v`.
    fn as_in_sse(&self, plain: &str) -> Option<Vec<&'static str>> {
        let sse = find(&SSE, plain);
        if sse.is_none() && !is_sse2(plain) {
            return None;
        }
        let is_wide = self.is_256 || self.is_512;
        let own = match sse {
            Some("aes") if is_wide || self.has_evex() => Some("vaes"),
            Some("pclmul") if is_wide || self.has_evex() => Some("vpclmulqdq"),
            Some(own @ ("aes" | "pclmul" | "gfni")) => Some(own),
            _ => None,
        };
        if self.has_evex() || self.is_shift_of_memory() || self.is_narrowing_of_memory() {
            let base = find(&EVEX_OF_SSE, plain).unwrap_or("avx512f");
            return Some(self.evex(&[own.unwrap_or(base), base]));
        }
        // Integers came to 256 bits later than floating-point numbers.
        let is_integer =
            plain.starts_with('p') && plain != "ptest" || matches!(plain, "mpsadbw" | "movntdqa");
        let avx = if self.is_256 && is_integer && own.is_none() {
            "avx2"
        } else {
            "avx"
        };
        Some(own.into_iter().chain([avx]).collect())
    }

    /// A comparison of floating-point numbers, by what follows `vcmp`.
    fn compares(&self, comparison: &str) -> Option<Vec<&'static str>> {
        let half = ["ph", "sh"]
            .iter()
            .find_map(|end| comparison.strip_suffix(end));
        let predicate = half.or_else(|| without_type(comparison))?;
        if !predicate.is_empty() && !has(PREDICATES, predicate) {
            return None;
        }
        let extension = half.map_or("avx512f", |_| "avx512fp16");
        Some(self.either("avx", extension, half.is_some() || self.has_evex()))
    }

    /// An instruction with both forms.
    fn both(&self, vex: &'static str, evex: &'static str) -> Vec<&'static str> {
        let first = self.operands.split(',').next().unwrap_or_default();
        let from_register = first.trim_start().starts_with('%');
        let by_general_register = from_register && !first.contains("mm");
        let needs_evex = match self.mnemonic {
            "vpermq" | "vpermpd" => !first.contains('$'),
            "vpbroadcastb" | "vpbroadcastw" | "vpbroadcastd" | "vpbroadcastq" => {
                by_general_register
            }
            // Where both forms are the same instruction an assembler takes the older one, the EVEX one, unless told.
            _ => matches!(vex, "avxvnni" | "avxifma") && self.encoding != Encoding::Vex,
        };
        if matches!(self.mnemonic, "vbroadcastss" | "vbroadcastsd") && from_register {
            return self.either("avx2", evex, self.has_evex());
        }
        self.either(vex, evex, needs_evex || self.has_evex())
    }

    fn either(&self, vex: &'static str, evex: &'static str, is_evex: bool) -> Vec<&'static str> {
        if is_evex {
            self.evex(&[evex])
        } else {
            vec![vex]
        }
    }

    /// With an EVEX prefix: vectors below 512 bits are an extension of their own.
    fn evex(&self, extensions: &[&'static str]) -> Vec<&'static str> {
        let mut needs = extensions.to_vec();
        needs.dedup();
        if !self.is_512 && !self.is_single() {
            needs.push("avx512vl");
        }
        needs
    }

    /// Whether anything asks for an EVEX prefix: 512 bits, a register beyond the first 16, a mask, broadcast or rounding.
    fn has_evex(&self) -> bool {
        let asks = |word: &str| {
            let vector = ["xmm", "ymm", "zmm"]
                .iter()
                .find_map(|kind| number(word, kind));
            vector.is_some_and(|number| number > 15) || number(word, "k").is_some()
        };
        self.encoding == Encoding::Evex
            || self.is_512
            || self.operands.contains('{')
            || words(self.operands).any(asks)
    }

    /// A shift of something in memory by a constant, which AVX has for registers only.
    fn is_shift_of_memory(&self) -> bool {
        let is_shift = self.mnemonic.starts_with("vpsll") || self.mnemonic.starts_with("vpsr");
        is_shift && self.operands.contains('$') && self.operands.contains('(')
    }

    /// A conversion to half the size whose result has 256 bits: what is in memory has 512.
    fn is_narrowing_of_memory(&self) -> bool {
        let is_narrowing = matches!(self.mnemonic, "vcvtpd2dq" | "vcvtpd2ps" | "vcvttpd2dq");
        let to_256 = words(self.operands)
            .last()
            .is_some_and(|word| number(word, "ymm").is_some());
        is_narrowing && to_256 && self.operands.contains('(')
    }

    fn is_single(&self) -> bool {
        let name = self.mnemonic;
        let converts = ["2si", "2usi", "si2s"]
            .iter()
            .any(|part| name.contains(part));
        let last = ["ss", "sd", "sh"].iter().any(|end| name.ends_with(end));
        let is_packed = name.starts_with("vp") || name.starts_with("vbroadcast");
        has(SINGLE, name) || name.starts_with("vcvt") && converts || last && !is_packed
    }
}

/// Operations on masks; the last letter tells their size.
fn mask(mnemonic: &str) -> Option<&'static str> {
    match mnemonic {
        "kaddw" | "ktestw" => return Some("avx512dq"),
        "kunpckbw" => return Some("avx512f"),
        "kunpckwd" | "kunpckdq" => return Some("avx512bw"),
        _ => {}
    }
    let last = mnemonic.chars().last()?;
    let extension = match last {
        'b' => "avx512dq",
        'w' => "avx512f",
        'd' | 'q' => "avx512bw",
        _ => return None,
    };
    has(MASKS, mnemonic.strip_suffix(last)?).then_some(extension)
}

/// Whether a fused operation is one of half precision; `None` if it is none.
fn fused(mnemonic: &str) -> Option<bool> {
    let (operation, rest) = mnemonic.split_at_checked(mnemonic.len().checked_sub(5)?)?;
    let (order, kind) = rest.split_at_checked(3)?;
    let is_known = has(
        "vfmadd vfmaddsub vfmsub vfmsubadd vfnmadd vfnmsub",
        operation,
    ) && matches!(order, "132" | "213" | "231");
    match kind {
        "ps" | "pd" => is_known.then_some(false),
        "ss" | "sd" if !operation.ends_with("addsub") && !operation.ends_with("subadd") => {
            is_known.then_some(false)
        }
        "ph" | "sh" => is_known.then_some(true),
        _ => None,
    }
}

/// The extension of a comparison of integers with a mask as its result, by what follows `vpcmp`.
fn into_mask(comparison: &str) -> Option<&'static str> {
    let last = comparison.chars().last()?;
    let predicate = comparison.strip_suffix(last)?;
    let is_known = |predicate: &str| predicate.is_empty() || has(INTEGER_PREDICATES, predicate);
    let signed = predicate.strip_suffix('u').unwrap_or(predicate);
    // `vpcmpeqb` and the like into vectors are SSE2's.
    let is_in_sse = matches!(predicate, "eq" | "gt");
    if is_in_sse || !is_known(signed) {
        return None;
    }
    match last {
        'b' | 'w' => Some("avx512bw"),
        'd' | 'q' => Some("avx512f"),
        _ => None,
    }
}

/// The words of operands: registers, symbols, numbers.
fn words(operands: &str) -> impl Iterator<Item = &str> {
    operands.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// The number of a register of this kind.
fn number(word: &str, kind: &str) -> Option<u32> {
    word.strip_prefix(kind)?.parse().ok()
}
