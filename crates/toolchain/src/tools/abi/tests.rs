use proptest::prelude::*;

use super::*;

/// A file with one function.
fn file(body: &str) -> String {
    let lines = body.lines().map(|line| format!("\t{}\n", line.trim()));
    let lines = lines.map(|line| {
        if line.trim().ends_with(':') {
            line.trim_start().to_owned()
        } else {
            line
        }
    });
    let body: String = lines.collect();
    format!("\t.text\n\t.type\tf,@function\nf:\n{body}.Lfunc_end0:\n\t.size\tf, .Lfunc_end0-f\n")
}

fn problems(body: &str) -> Vec<AbiProblem> {
    check_abi(&file(body), "f")
}

fn kinds(body: &str) -> Vec<AbiKind> {
    problems(body)
        .into_iter()
        .map(|problem| problem.kind)
        .collect()
}

/// Functions that keep the convention, in ways in which compilers seldom write them.
const RIGHT: [&str; 16] = [
    "ret",
    "pushq %rbx
     callq g
     popq %rbx
     ret",
    "subq $24, %rsp
     movq %r12, 8(%rsp)
     movq %rbx, 16(%rsp)
     xorl %ebx, %ebx
     movl $5, %r12d
     callq g
     movq 8(%rsp), %r12
     movq 16(%rsp), %rbx
     addq $24, %rsp
     jmp g@PLT",
    // Saved in another register, or in the red zone.
    "movq %rbx, %rax
     movq %r12, -8(%rsp)
     movl $1, %ebx
     movl $2, %r12d
     movq %rax, %rbx
     movq -8(%rsp), %r12
     ret",
    "movq %rbx, -8(%rsp)
     subq $8, %rsp
     callq g
     popq %rbx
     ret",
    "push %rbp
     mov %rsp, %rbp
     push %rbx
     and $-32, %rsp
     sub $64, %rsp
     vmovaps %ymm0, (%rsp)
     call g
     lea -8(%rbp), %rsp
     pop %rbx
     pop %rbp
     ret",
    // A frame of unknown size.
    "pushq %rbp
     movq %rsp, %rbp
     leaq 15(,%rdi,4), %rax
     andq $-16, %rax
     subq %rax, %rsp
     movq %rsp, %rdi
     callq g
     leave
     retq",
    // The same in a loop.
    "pushq %rbp
     movq %rsp, %rbp
     pushq %rbx
     pushq %rax
     movl %edi, %ebx
     .L1:
     shlq $4, %rsi
     subq %rsi, %rsp
     callq g
     decl %ebx
     jne .L1
     leaq -8(%rbp), %rsp
     popq %rbx
     popq %rbp
     retq",
    "1:
     decl %edi
     jne 1b
     jmp 2f
     1:
     ret
     2:
     jmp 1b",
    "std
     rep movsb
     cld
     ret",
    "stmxcsr -4(%rsp)
     movl -4(%rsp), %eax
     orl $0x8040, %eax
     movl %eax, -8(%rsp)
     ldmxcsr -8(%rsp)
     mulss %xmm0, %xmm0
     ldmxcsr -4(%rsp)
     ret",
    "movq (%rdi), %mm0
     paddw %mm0, %mm0
     movq %mm0, (%rdi)
     emms
     ret",
    "fldt 8(%rsp)
     fld1
     faddp %st, %st(1)
     ret",
    // Pages of a large frame are touched in a loop.
    "movq %rsp, %r11
     subq $40960, %r11
     .L1:
     subq $4096, %rsp
     movq $0, (%rsp)
     cmpq %r11, %rsp
     jne .L1
     addq $40960, %rsp
     ret",
    "testl %edi, %edi
     je g
     ret",
    "xchgq %rbx, %rax
     xchgq %rax, %rbx
     enter $16, $0
     leave
     ret",
];

/// A vectorized loop behind a check that it is never reached with this index.
const OUT_OF_BOUNDS: &str = "pushq %rbx
     subq $32, %rsp
     movl $1, %ebx
     xorl %edx, %edx
     vmovdqu %ymm0, 16(%rsp,%rdx)
     addq $32, %rsp
     popq %rbx
     ret";

#[test]
fn right_functions_are_clean() {
    for body in RIGHT.iter().chain([&OUT_OF_BOUNDS]) {
        assert_eq!(problems(body), [], "{body}");
    }
}

/// Functions with one thing wrong each, and of what kind it is.
const WRONG: [(AbiKind, &str); 33] = [
    (
        AbiKind::StackPointer,
        "pushq %rbx\nmovl $1, %ebx\npopq %rbx\npushq %rax\nretq",
    ),
    (
        AbiKind::StackPointer,
        "pushq %rax\ncallq g\npopq %rcx\naddq $8, %rsp\nretq",
    ),
    (
        AbiKind::StackPointer,
        "subq %rdi, %rsp\naddq %rdi, %rsp\nretq",
    ),
    (AbiKind::StackPointer, "subq $24, %rsp\njmp g"),
    (
        AbiKind::StackPointer,
        "pushq %rax\ntestl %edi, %edi\nje .L1\ncallq g\npopq %rax\n.L1:\nretq",
    ),
    (
        AbiKind::StackPointer,
        "testl %edi, %edi\npushq %rax\njne g\npopq %rax\nretq",
    ),
    (AbiKind::SavedRegister, "movl $1, %ebx\nretq"),
    (AbiKind::SavedRegister, "xorl %r12d, %r12d\nretq"),
    (AbiKind::SavedRegister, "movb $1, %r15b\nretq"),
    (
        AbiKind::SavedRegister,
        "pushq %rbx\npushq %r12\npushq %rax\nincl %ebx\nincl %r12d\ncallq g\npopq %rax\npopq %rbx\npopq %r12\nretq",
    ),
    (
        AbiKind::SavedRegister,
        "pushq %rbx\nmovl $1, %ebx\naddq $8, %rsp\nretq",
    ),
    (
        AbiKind::SavedRegister,
        "pushq %rbx\nmovl %edi, %ebx\nmovl $0, (%rsp)\npopq %rbx\nretq",
    ),
    (
        AbiKind::SavedRegister,
        "movq %rbx, -8(%rsp)\nmovl $1, %ebx\nmovl -8(%rsp), %ebx\nretq",
    ),
    (
        AbiKind::SavedRegister,
        "movq %r12, %rcx\nmovl $1, %r12d\npushq %rax\ncallq g\npopq %rax\nmovq %rcx, %r12\nretq",
    ),
    (
        AbiKind::SavedRegister,
        "testl %edi, %edi\nje .L1\nmovl $1, %ebp\n.L1:\nretq",
    ),
    (AbiKind::SavedRegister, "movl $0, %eax\ncpuid\nretq"),
    (AbiKind::SavedRegister, "cmovel %edi, %ebx\nretq"),
    (AbiKind::Alignment, "callq g\nretq"),
    (
        AbiKind::Alignment,
        "pushq %rbx\npushq %rax\ncallq g\npopq %rax\npopq %rbx\nretq",
    ),
    (
        AbiKind::Alignment,
        "subq $20, %rsp\ncallq *%rax\naddq $20, %rsp\nretq",
    ),
    (
        AbiKind::Unchecked,
        "pushq %rbp\nmovq %rsp, %rbp\nsubq %rdi, %rsp\ncallq g\nleave\nretq",
    ),
    (AbiKind::RedZone, "movq %rdi, -136(%rsp)\nretq"),
    (
        AbiKind::RedZone,
        "movq %rdi, -24(%rsp)\npushq %rax\ncallq g\npopq %rax\nmovq -24(%rsp), %rax\nretq",
    ),
    (AbiKind::ReturnAddress, "movq %rdi, (%rsp)\nretq"),
    (AbiKind::Direction, "std\nretq"),
    (
        AbiKind::Direction,
        "testl %edi, %edi\nje .L1\nstd\nrep movsb\n.L1:\njmp g",
    ),
    (
        AbiKind::Direction,
        "pushq %rax\nstd\ncallq g\ncld\npopq %rax\nretq",
    ),
    (AbiKind::FloatingPoint, "ldmxcsr (%rdi)\nretq"),
    (
        AbiKind::FloatingPoint,
        "stmxcsr -4(%rsp)\nldmxcsr -8(%rsp)\ntestl %edi, %edi\nje .L1\nldmxcsr -4(%rsp)\n.L1:\nretq",
    ),
    (AbiKind::FloatingPoint, "fnstcw -2(%rsp)\nfninit\nretq"),
    (AbiKind::FloatingPoint, "movq %mm0, %mm1\nretq"),
    (AbiKind::FloatingPoint, "fld1\nfld1\nfld1\nretq"),
    (AbiKind::End, "movl $1, %eax"),
];

#[test]
fn every_wrong_function_is_found() {
    for (kind, body) in WRONG {
        let mut found = kinds(body);
        found.dedup();
        assert_eq!(found, [kind], "{body}\n{:#?}", problems(body));
    }
}

#[test]
fn problems_say_what_to_do() {
    let shown: Vec<String> = WRONG
        .iter()
        .flat_map(|(_, body)| problems(body))
        .map(|problem| problem.to_string())
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn jumps_go_through_tables() {
    let way = "\tleaq\t.LJTI0_0(%rip), %rax\n\tmovslq\t(%rax,%rdi,4), %rcx\n\taddq\t%rax, %rcx\n\tjmpq\t*%rcx\n.L1:\n\tmovl\t$1, %ebx\n.L2:\n\tretq";
    let table = "\t.section\t.rodata,\"a\",@progbits\n.LJTI0_0:\n\t.long\t.L2-.LJTI0_0\n";
    assert_eq!(check_abi(&(file(way) + table), "f"), []);
    let both = format!("{table}\t.long\t.L1-.LJTI0_0\n");
    assert_eq!(check_abi(&(file(way) + &both), "f").len(), 1);
    let direct = "\tjmpq\t*.LJTI0_0(,%rdi,8)\n.L1:\n\tmovl\t$1, %ebx\n.L2:\n\tretq";
    assert_eq!(check_abi(&(file(direct) + &both), "f").len(), 1);
    // Without a table it may be a tail call, if everything is in its place.
    assert_eq!(kinds("jmpq *%rdi"), []);
    assert_eq!(kinds("pushq %rax\njmpq *%rdi"), [AbiKind::Unchecked]);
    assert_eq!(
        kinds("pushq %rax\njmpq *%rdi # TAILCALL"),
        [AbiKind::StackPointer]
    );
}

#[test]
fn what_is_no_x86_64_cannot_be_checked() {
    let cases = [
        "stp x29, x30, [sp, #-16]!\nret",
        "mov x0, x1\nret",
        "pushl %ebp\nret",
        "push rbp\nmov rbp, [rsp+8]\nret",
        ".byte 0xc3",
        "jmp .L7",
        "popfq\npushq %rax\nretq",
    ];
    for body in cases {
        let found = kinds(body);
        assert!(
            found.first() == Some(&AbiKind::Unchecked),
            "{body} {found:?}"
        );
    }
    assert_eq!(check_abi("", "f")[0].kind, AbiKind::Unchecked);
    assert!(check_abi_all("").is_empty());
}

const WORDS: &str = "(push %rbx|popq %rbx|subq|addq|andq|movq|leaq| \\$-?[0-9]{1,20},| %rsp| %rbp| -?[0-9]{1,20}\\(%rsp\\)| \\(%rbp,%rax,8\\)|call g|jmp \\*%rax|jne .L1|\\.L1:|leave|ret|cmpq %rax, %rsp|fldt|ldmxcsr|[;,$%*(): \\t]|\n|\n|\n){0,40}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_function_is_read(body in WORDS) {
        check_abi_all(&format!("\t.type f,@function\nf:\n{body}\n\t.size f, .-f\n"));
    }

    #[test]
    fn any_text_is_read(text in "(\\.type f,@function\n|f:\n|\\.size|\\PC){0,40}") {
        check_abi_all(&text);
        check_abi(&text, "f");
    }
}
