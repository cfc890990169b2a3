use proptest::prelude::*;

use super::*;

/// A file with this code in a function.
fn file(code: &str) -> String {
    format!("\t.text\n\t.type f,@function\nf:\n{code}\n\tretq\n\t.size f, .-f\n")
}

/// What code needs, by name; what is not known begins with `?`.
fn needed(code: &str) -> String {
    let name = |found: ExtensionUse| match found.extension {
        Extension::Known(name) => name,
        Extension::Unknown(what) => format!("?{what}"),
    };
    let found = extensions_needed(&file(code)).unwrap();
    found.into_iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_extension_is_known_by_its_instructions() {
    let cases = [
        ("movshdup %xmm0, %xmm1", "sse3"),
        ("fisttpll (%rax)", "sse3"),
        ("pshufb %xmm0, %xmm1", "ssse3"),
        ("pmulld %xmm0, %xmm1", "sse4.1"),
        ("pextrw $1, %xmm0, (%rax)", "sse4.1"),
        ("pcmpgtq %xmm0, %xmm1", "sse4.2"),
        ("movntsd %xmm0, (%rax)", "sse4a"),
        ("popcntl %edi, %eax", "popcnt"),
        ("lzcntq %rdi, %rax", "lzcnt"),
        ("rep bsrq %rdi, %rax", "lzcnt"),
        ("tzcntl %edi, %eax", "bmi"),
        ("andnl %edi, %esi, %eax", "bmi"),
        ("mulxq %rdi, %rsi, %rax", "bmi2"),
        ("shlxq %rdi, %rsi, %rax", "bmi2"),
        ("adcxq %rdi, %rsi", "adx"),
        ("movbel (%rdi), %eax", "movbe"),
        ("crc32q %rdi, %rax", "crc32"),
        ("lock cmpxchg16b (%rdi)", "cx16"),
        ("sahf", "sahf"),
        ("aesenc %xmm0, %xmm1", "aes"),
        ("pclmulqdq $0, %xmm0, %xmm1", "pclmul"),
        ("gf2p8mulb %xmm0, %xmm1", "gfni"),
        ("sha256rnds2 %xmm0, %xmm1", "sha"),
        ("rdrand %eax", "rdrnd"),
        ("rdseed %eax", "rdseed"),
        ("rdfsbase %rax", "fsgsbase"),
        ("prefetchw (%rax)", "prfchw"),
        ("clflushopt (%rax)", "clflushopt"),
        ("clwb (%rax)", "clwb"),
        ("xsave (%rax)", "xsave"),
        ("xbegin .L1", "rtm"),
        ("tilezero %tmm0", "amx-tile"),
        ("tdpbssd %tmm0, %tmm1, %tmm2", "amx-int8"),
        ("vaddps %xmm0, %xmm1, %xmm2", "avx"),
        ("vaddps %ymm0, %ymm1, %ymm2", "avx"),
        ("vpaddd %xmm0, %xmm1, %xmm2", "avx"),
        ("vpaddd %ymm0, %ymm1, %ymm2", "avx2"),
        ("vpaddd %YMM0, %YMM1, %YMM2", "avx2"),
        ("vptest %ymm0, %ymm1", "avx"),
        ("vpermilps $1, %ymm0, %ymm1", "avx"),
        ("vbroadcastss (%rax), %ymm0", "avx"),
        ("vbroadcastss %xmm0, %ymm0", "avx2"),
        ("vpbroadcastd %xmm0, %ymm0", "avx2"),
        ("vgatherdps %ymm0, (%rax,%ymm1,4), %ymm2", "avx2"),
        ("vcmpltps %ymm0, %ymm1, %ymm2", "avx"),
        ("vzeroupper", "avx"),
        ("vfmadd231sd %xmm0, %xmm1, %xmm2", "fma"),
        ("vcvtph2ps %xmm0, %ymm0", "f16c"),
        ("vaesenc %xmm0, %xmm1, %xmm2", "aes avx"),
        ("vaesenc %ymm0, %ymm1, %ymm2", "vaes avx"),
        ("vpclmulqdq $0, %ymm0, %ymm1, %ymm2", "vpclmulqdq avx"),
        ("{vex} vpdpbusd %ymm0, %ymm1, %ymm2", "avxvnni"),
        ("vpdpbusd %ymm0, %ymm1, %ymm2", "avx512vnni avx512vl"),
        ("vaddps %zmm0, %zmm1, %zmm2", "avx512f"),
        ("vaddps %xmm16, %xmm1, %xmm2", "avx512f avx512vl"),
        ("vaddsd %xmm16, %xmm1, %xmm2", "avx512f"),
        ("vaddps %ymm0, %ymm1, %ymm2 {%k1} {z}", "avx512f avx512vl"),
        ("vpaddb %zmm0, %zmm1, %zmm2", "avx512bw"),
        ("vpcmpeqb %ymm0, %ymm1, %k0", "avx512bw avx512vl"),
        ("vpcmpltud %zmm0, %zmm1, %k0", "avx512f"),
        ("vandps %zmm0, %zmm1, %zmm2", "avx512dq"),
        ("vpermq %ymm0, %ymm1, %ymm2", "avx512f avx512vl"),
        ("vpbroadcastd %eax, %ymm0", "avx512f avx512vl"),
        ("vpternlogd $1, %zmm0, %zmm1, %zmm2", "avx512f"),
        ("vpconflictd %zmm0, %zmm1", "avx512cd"),
        ("vpermb %zmm0, %zmm1, %zmm2", "avx512vbmi"),
        ("vpcompressb %zmm0, %zmm1 {%k1}", "avx512vbmi2"),
        ("vpopcntb %zmm0, %zmm1", "avx512bitalg"),
        ("vpopcntq %zmm0, %zmm1", "avx512vpopcntdq"),
        ("vdpbf16ps %zmm0, %zmm1, %zmm2", "avx512bf16"),
        ("vaddph %zmm0, %zmm1, %zmm2", "avx512fp16"),
        ("kmovd %k0, %eax", "avx512bw"),
        ("kmovb %k0, %eax", "avx512dq"),
        ("kandw %k0, %k1, %k2", "avx512f"),
    ];
    for (code, expected) in cases {
        assert_eq!(needed(code), expected, "{code}");
    }
}

#[test]
fn the_baseline_needs_nothing() {
    let code = "
        .cfi_startproc
        pushq %rbp
        .cfi_def_cfa_offset 16
        rep bsfl %edi, %eax
        bsrl %edi, %ecx
        lock xaddl %eax, (%rdi)
        movabsq $81985529216486895, %rax
        movslq %edi, %rax; movzbl %al, %eax; cltq; cqto
        cmovbq %rax, %rcx
        setae %al
        rep movsq
        fldt 8(%rsp)
        fstpl (%rsp)
        cvtsi2sdl %edi, %xmm0
        cmpltps %xmm0, %xmm1
        paddd %xmm0, %xmm1
        pextrw $1, %xmm0, %eax
        movq %xmm0, %rax
        endbr64
        notrack jmpq *%rax
        .p2align 4, 0x90
        .cg_profile f, g, 1
        {disp32} jmp .L1
        .L1:
        ud2";
    assert_eq!(needed(code), "");
}

#[test]
fn what_is_not_known_is_named() {
    let cases = [
        ("vnewps %ymm0, %ymm1", "?vnewps"),
        ("vpcomb $1, %xmm0, %xmm1, %xmm2, %xmm3", "?vpcomb"),
        (
            ".byte 0xc5, 0xfc, 0x58, 0xc0",
            "?.byte 0xc5, 0xfc, 0x58, 0xc0",
        ),
        (".intel_syntax noprefix", "?.intel_syntax noprefix"),
        (".incbin \"code\"", "?.incbin \"code\""),
        (".macro addl x", "?.macro addl x"),
        ("\\op %ymm0, %ymm1", "?\\op"),
        (".p2align 4, 0xc5", "?.p2align 4, 0xc5"),
        ("{evil} addl %eax, %eax", "?{evil}"),
    ];
    for (code, expected) in cases {
        assert_eq!(needed(code), expected, "{code}");
    }
}

#[test]
fn the_first_place_of_each_is_named() {
    let asm = file(
        "\tnop\n.L1:\n\tvpaddd\t%ymm0, %ymm1, %ymm2\n\tvpaddd\t%ymm0, %ymm1, %ymm3\n\tpopcntl %eax, %eax",
    );
    let found: Vec<String> = extensions_needed(&asm)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "line 4 of f, `vpaddd %ymm0, %ymm1, %ymm2`: needs avx2",
            "line 6 of f, `popcntl %eax, %eax`: needs popcnt",
        ]
    );
}

#[test]
fn data_is_no_code_wherever_it_stands() {
    let asm = format!(
        "\t.section .rodata,\"a\",@progbits\n.LC0:\n\t.byte 5\n{}\t.section .hot,\"ax\",@progbits\ng:\n\t.byte 5\n",
        file("\tnop")
    );
    let found = extensions_needed(&asm).unwrap();
    let places: Vec<&str> = found.iter().map(|found| found.function.as_str()).collect();
    assert_eq!(places, ["g"]);
}

#[test]
fn another_processors_code_cannot_be_judged() {
    assert_eq!(extensions_needed(&file("\tadd x0, x0, x1")), None);
    assert_eq!(extensions_needed(&file("\tldr w0, [sp, #12]")), None);
}

#[test]
fn attributes_of_functions_allow_extensions() {
    let ir = "attributes #0 = { nounwind \"target-features\"=\"+avx,-avx2,+sse4.2\" }\n\
              attributes #1 = { \"target-features\"=\"+popcnt\" }\n";
    let expected = ["avx", "popcnt", "sse4.2"].map(|name| Extension::Known(name.to_owned()));
    assert_eq!(extensions_declared(ir), BTreeSet::from(expected));
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(v[a-z0-9]{1,12} |k[a-z]{1,7} |%[xyz]mm[0-9]{1,2}|[a-z.]{1,4}:|[\"#;{}(),%$ \n]|\\PC){0,60}") {
        extensions_needed(&text);
        extensions_declared(&text);
    }
}
