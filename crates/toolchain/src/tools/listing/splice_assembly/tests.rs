use proptest::prelude::*;

use super::super::{assembly_callees, assembly_excerpt, assembly_functions};
use super::*;

const FILE: &str = "\t.text
\t.globl\tf                               # -- Begin function f
\t.type\tf,@function
f:                                      # @f
\t.cfi_startproc
# %bb.0:
\tcmpl\t$1, %edi
\tja\t.LBB0_2
# %bb.1:
\tleaq\t.LJTI0_0(%rip), %rax
\tmovslq\t(%rax,%rdi,4), %rcx
\taddq\t%rax, %rcx
\tjmpq\t*%rcx
.LBB0_1:
\tleaq\t.L.str(%rip), %rdi
\tjmp\tputs@PLT                          # TAILCALL
.LBB0_2:
\tmovsd\t.LCPI0_0(%rip), %xmm0
\tjmp\tg
.Lfunc_end0:
\t.size\tf, .Lfunc_end0-f
\t.cfi_endproc
\t.section\t.rodata,\"a\",@progbits
\t.p2align\t2, 0x0
.LJTI0_0:
\t.long\t.LBB0_1-.LJTI0_0
\t.long\t.LBB0_2-.LJTI0_0
                                        # -- End function
\t.section\t.rodata.cst8,\"aM\",@progbits,8
.LCPI0_0:
\t.quad\t0x3ff8000000000000              # double 1.5
\t.text
\t.type\tg,@function
g:                                      # @g
\t.cfi_startproc
.LBB1_1:
\tdecl\t%edi
\tjne\t.LBB1_1
\tretq
.Lfunc_end1:
\t.size\tg, .Lfunc_end1-g
\t.cfi_endproc
\t.section\t.rodata.str1.1,\"aMS\",@progbits,1
.L.str:
\t.asciz\t\"a;#\"
\t.section\t\".note.GNU-stack\",\"\",@progbits
";

const NEW: &str = "\t.section .rodata.cst16,\"aM\",@progbits,16
.LCPI0_0:
\t.long 1, 2, 3, 4
\t.section .rodata
.Lbits:
\t.byte 0, 1, 1, 2
f:
\tmovl %edi, %eax // count
.LBB1_1: decl %eax; jne .LBB1_1
1:\tmovdqa .LCPI0_0(%rip), %xmm0 # ones
\tjne 1b
\tleaq .Lbits(%rip), %rdx
\tjmp puts@PLT
\t.size f, .-f
";

/// The last line of `f`.
const END: &str = ".size\tf, .Lfunc_end0-f\n";

fn refusal(new: &str) -> String {
    splice_assembly(FILE, "f", new).unwrap_err().to_string()
}

#[test]
fn an_excerpt_has_what_the_function_reads() {
    let excerpt = assembly_excerpt(FILE, "f").unwrap();
    let (code, data) = excerpt.split_at(excerpt.find(END).unwrap() + END.len());
    assert!(FILE.contains(code));
    assert!(code.starts_with("f:"));
    insta::assert_snapshot!(data.replace('\t', " "));
    assert_eq!(assembly_callees(FILE, "f"), ["g"]);
    assert!(assembly_callees(FILE, "g").is_empty());
    assert_eq!(assembly_excerpt(FILE, "puts"), None);
}

#[test]
fn long_tables_are_cut() {
    let long = "\t.long\t7\n".repeat(100);
    let file = FILE.replace(".LCPI0_0:\n", &format!(".LCPI0_0:\n{long}"));
    let excerpt = assembly_excerpt(&file, "f").unwrap();
    assert!(excerpt.contains("# … and 62 lines more of .LCPI0_0"));
}

#[test]
fn a_function_takes_the_place_of_the_old_one() {
    let spliced = splice_assembly(FILE, "f", NEW).unwrap();
    insta::assert_snapshot!(spliced.replace('\t', " "));
    let functions = |asm| {
        assembly_functions(asm)
            .into_iter()
            .map(|found| found.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(functions(&spliced), functions(FILE));
    let again = splice_assembly(&spliced, "f", NEW).unwrap();
    assert_eq!(functions(&again), functions(FILE));
}

#[test]
fn a_whole_excerpt_can_be_given_back() {
    let excerpt = assembly_excerpt(FILE, "f").unwrap();
    let code = &excerpt[..excerpt.find(END).unwrap() + END.len()];
    let spliced = splice_assembly(FILE, "f", code).unwrap();
    assert_eq!(
        super::super::normalized_assembly(&spliced),
        super::super::normalized_assembly(FILE)
    );
    assert_eq!(splice_assembly(FILE, "f", &excerpt).unwrap(), spliced);
}

#[test]
fn a_table_in_use_needs_its_labels() {
    let new = "f:\n\tleaq .LJTI0_0(%rip), %rax\n\tretq\n\t.size f, .-f\n";
    insta::assert_snapshot!(refusal(new), @"the label `.LBB0_1` is gone, but `.LJTI0_0` still refers to it: keep the label, or use a table of your own");
}

#[test]
fn refusals_say_what_to_do() {
    let with = |line: &str| refusal(&NEW.replace("f:\n", &format!("f:\n{line}\n")));
    let among_constants =
        |line: &str| refusal(&NEW.replace(".Lbits:\n", &format!("{line}\n.Lbits:\n")));
    let all = [
        splice_assembly(FILE, "h", NEW).unwrap_err().to_string(),
        refusal(""),
        refusal("f:\n\tretq\n"),
        refusal("g:\n\tretq\n\t.size g, .-g\n"),
        refusal(&format!("{NEW}\tretq\n")),
        refusal(&format!("\tretq\n{NEW}")),
        with("\tsyscall"),
        with("\tlock rdtsc"),
        with("\tnop; cpuid"),
        with("\t.globl f"),
        with("\t.byte 15, 5"),
        with("\t.incbin \"/etc/passwd\""),
        with("\t.macro x"),
        with("\t.set g, f"),
        with("g = f"),
        with("\t.text"),
        with("\t.section .init_array"),
        with("\t.section .rodata.cst16"),
        with("loop:"),
        with("f:"),
        with(".Lx: .Lx:"),
        with("/* nop */"),
        with("\tjmp .LBB7_7"),
        with("\tcallq system"),
        among_constants("\tnop"),
        among_constants("\t.weak f"),
        among_constants("x:"),
        among_constants("\t.quad .Lnone"),
    ]
    .join("\n");
    insta::assert_snapshot!(all);
}

proptest! {
    #[test]
    fn any_text_is_read(
        text in "(f:\n|\t.type f,@function\n|\t.size f\n|.L1:|\t.section .rodata\n|\t.long .L1\n|ret|[\"#/:;=.\\n\\t ]|\\PC){0,40}"
    ) {
        let _ = splice_assembly(FILE, "f", &text);
        let _ = splice_assembly(&text, "f", &text);
        assembly_excerpt(&text, "f");
        assembly_callees(&text, "f");
    }
}
