//! The instructions that every x86-64 processor has: general, x87, MMX, SSE and SSE2.

/// General instructions that may carry a letter for their size (`b`, `w`, `l`, `q`).
const SIZED: &str = "\
    adc add and bsf bsr bswap bt btc btr bts call cmp cmps cmpxchg dec div enter idiv imul inc ins jmp lea leave lods mov movabs \
    movnti movs mul neg nop not or outs pop popf push pushf rcl rcr ret rol ror sal sar sbb scas shl shld shr shrd stos sub test \
    ud1 xadd xchg xor";

/// General instructions without such a letter, and prefixes. `endbr` and `rdssp` are hints that older processors pass over.
const PLAIN: &str = "\
    cbtw cbw cdq cdqe clc cld clflush cltd cltq cmc cmpxchg8b cpuid cqo cqto cwd cwde cwtd cwtl endbr32 endbr64 fxrstor \
    fxrstor64 fxsave fxsave64 hlt int int1 int3 jcxz jecxz jrcxz ldmxcsr lfence loop loope loopne loopnz loopz mfence movsbl \
    movsbq movsbw movslq movswl movswq movsx movsxd movzbl movzbq movzbw movzwl movzwq movzx pause prefetchnta prefetcht0 \
    prefetcht1 prefetcht2 rdpmc rdsspd rdsspq rdtsc sfence stc std stmxcsr syscall sysenter ud0 ud2 xlat xlatb \
    data16 lock notrack rep repe repne repnz repz";

/// Instructions of the x87 unit that may carry a letter for their size (`s`, `l`, `t`, `ll`, `q`).
const X87_SIZED: &str = "\
    fadd fcom fcomp fdiv fdivr fiadd ficom ficomp fidiv fidivr fild fimul fist fistp fisub fisubr fld fmul fst fstp fsub fsubr";

/// The others of the x87 unit, and MMX.
const X87_AND_MMX: &str = "\
    f2xm1 fabs faddp fbld fbstp fchs fclex fcmovb fcmovbe fcmove fcmovnb fcmovnbe fcmovne fcmovnu fcmovu fcomi fcomip fcompi \
    fcompp fcos fdecstp fdivp fdivrp ffree ffreep fincstp finit fld1 fldcw fldenv fldl2e fldl2t fldlg2 fldln2 fldpi fldz fmulp \
    fnclex fninit fnop fnsave fnstcw fnstenv fnstsw fpatan fprem fprem1 fptan frndint frstor fsave fscale fsin fsincos fsqrt \
    fstcw fstenv fstsw fsubp fsubrp ftst fucom fucomi fucomip fucomp fucompi fucompp fwait fxam fxch fxtract fyl2x fyl2xp1 wait \
    cvtpd2pi cvtpi2pd cvtpi2ps cvtps2pi cvttpd2pi cvttps2pi emms maskmovq movdq2q movntq movq2dq pshufw";

/// SSE and SSE2, as AVX has it with a `v` in front.
const SSE2: &str = "\
    addpd addps addsd addss andnpd andnps andpd andps cmppd cmpps cmpsd cmpss comisd comiss cvtdq2pd cvtdq2ps cvtpd2dq \
    cvtpd2ps cvtps2dq cvtps2pd cvtsd2ss cvtss2sd cvttpd2dq cvttps2dq divpd divps divsd divss ldmxcsr maskmovdqu maxpd maxps \
    maxsd maxss minpd minps minsd minss movapd movaps movd movdqa movdqu movhlps movhpd movhps movlhps movlpd movlps movmskpd \
    movmskps movntdq movntpd movntps movq movsd movss movupd movups mulpd mulps mulsd mulss orpd orps packssdw packsswb packuswb \
    paddb paddd paddq paddsb paddsw paddusb paddusw paddw pand pandn pavgb pavgw pcmpeqb pcmpeqd pcmpeqw pcmpgtb pcmpgtd pcmpgtw \
    pextrw pinsrw pmaddwd pmaxsw pmaxub pminsw pminub pmovmskb pmulhuw pmulhw pmullw pmuludq por psadbw pshufd pshufhw pshuflw \
    pslld pslldq psllq psllw psrad psraw psrld psrldq psrlq psrlw psubb psubd psubq psubsb psubsw psubusb psubusw psubw \
    punpckhbw punpckhdq punpckhqdq punpckhwd punpcklbw punpckldq punpcklqdq punpcklwd pxor rcpps rcpss rsqrtps rsqrtss shufpd \
    shufps sqrtpd sqrtps sqrtsd sqrtss stmxcsr subpd subps subsd subss ucomisd ucomiss unpckhpd unpckhps unpcklpd unpcklps xorpd \
    xorps";

/// Conversions between general and vector registers, which may carry a letter for the size of the general one.
const CONVERSIONS: &str = "cvtsd2si cvtsi2sd cvtsi2ss cvtss2si cvttsd2si cvttss2si";

/// What a conditional jump, move or set may depend on.
const CONDITIONS: &str = "\
    a ae b be c e g ge l le na nae nb nbe nc ne ng nge nl nle no np ns nz o p pe po s z";

/// Predicates of comparisons in SSE.
const PREDICATES: &str = "eq lt le unord neq nlt nle ord";

/// Whether every x86-64 processor has this instruction.
pub(super) fn is_baseline(mnemonic: &str) -> bool {
    let lists = [PLAIN, SIZED, X87_AND_MMX];
    if lists.iter().any(|list| has(list, mnemonic)) || is_sse2(mnemonic) || is_x87(mnemonic) {
        return true;
    }
    let sized = mnemonic.strip_suffix(['b', 'w', 'l', 'q']);
    let depends = |prefix: &str| {
        let whole = mnemonic.strip_prefix(prefix);
        whole.is_some_and(|condition| has(CONDITIONS, condition))
    };
    let moves = sized.and_then(|short| short.strip_prefix("cmov"));
    let predicate = mnemonic.strip_prefix("cmp").and_then(without_type);
    ["j", "set", "cmov"].iter().any(|prefix| depends(prefix))
        || moves.is_some_and(|condition| has(CONDITIONS, condition))
        || predicate.is_some_and(|predicate| has(PREDICATES, predicate))
        || sized.is_some_and(|short| has(SIZED, short))
}

/// Whether this is an instruction of SSE or SSE2 that AVX has, too.
pub(super) fn is_sse2(mnemonic: &str) -> bool {
    let short = mnemonic.strip_suffix(['l', 'q']).unwrap_or(mnemonic);
    has(SSE2, mnemonic) || has(CONVERSIONS, mnemonic) || has(CONVERSIONS, short)
}

fn is_x87(mnemonic: &str) -> bool {
    let sizes = ["", "s", "l", "t", "ll", "q"];
    let mut short = sizes.iter().filter_map(|size| mnemonic.strip_suffix(size));
    short.any(|short| has(X87_SIZED, short))
}

/// What stands before the type of floating-point numbers.
pub(super) fn without_type(text: &str) -> Option<&str> {
    let types = ["ps", "pd", "ss", "sd"];
    types.iter().find_map(|end| text.strip_suffix(end))
}

/// Whether a word is in a list.
pub(super) fn has(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split_ascii_whitespace().any(|known| known == word)
}

/// The extension in whose list a word is.
pub(super) fn find(table: &[(&'static str, &str)], word: &str) -> Option<&'static str> {
    let mut lines = table.iter();
    Some(lines.find(|(_, list)| has(list, word))?.0)
}
