//! Assembly as text, in the forms that LLVM writes for x86-64 and `AArch64`.

use serde::{Deserialize, Serialize};

use super::FunctionLines;

/// How much of what there is in a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssemblyStatistics {
    /// Functions.
    pub functions: usize,
    /// Instructions.
    pub instructions: usize,
    /// Jumps, conditional or not.
    pub branches: usize,
    /// Calls.
    pub calls: usize,
    /// Instructions on several numbers at once.
    pub vector_instructions: usize,
    /// Registers stored for want of room, as the compiler's comments say.
    pub spills: usize,
    /// Loads of what was spilled.
    pub reloads: usize,
}

/// Counts what is in a listing.
pub fn assembly_statistics(asm: &str) -> AssemblyStatistics {
    let marks = comment_marks(asm);
    let mut statistics = AssemblyStatistics {
        functions: assembly_functions(asm).len(),
        ..Default::default()
    };
    for line in asm.lines() {
        let code = without_comment(line, marks);
        let comment = &line[code.len()..];
        statistics.spills += usize::from(comment.contains("Spill"));
        statistics.reloads += usize::from(comment.contains("Reload"));
        if let Some((mnemonic, operands)) = instruction(code) {
            statistics.instructions += 1;
            statistics.branches += usize::from(is_branch(mnemonic));
            statistics.calls += usize::from(is_call(mnemonic));
            statistics.vector_instructions += usize::from(is_vector(mnemonic, operands));
        }
    }
    statistics
}

/// Assembly without comments and blank lines: two listings with this in common assemble to the same
/// bytes. The comments of `clang -S` and `llc` differ, as they name blocks.
pub fn normalized_assembly(asm: &str) -> String {
    let marks = comment_marks(asm);
    let mut normalized = String::with_capacity(asm.len());
    for line in asm.lines() {
        let code = without_comment(line, marks).trim_end();
        if !code.is_empty() {
            normalized.push_str(code);
            normalized.push('\n');
        }
    }
    normalized
}

/// The functions in their order, each from its label to its `.size`.
pub fn assembly_functions(asm: &str) -> Vec<FunctionLines> {
    let marks = comment_marks(asm);
    let mut announced: Vec<&str> = Vec::new();
    let mut functions: Vec<FunctionLines> = Vec::new();
    let mut open = false;
    for (number, line) in asm.lines().enumerate() {
        let code = without_comment(line, marks).trim();
        if let Some(name) = type_directive(code) {
            announced.push(name);
        } else if let Some(label) = code.strip_suffix(':') {
            if announced.contains(&label) {
                functions.push(FunctionLines {
                    name: label.to_owned(),
                    lines: number..number + 1,
                });
                open = true;
            } else if label.starts_with(".Lfunc_end") {
                open = false;
            }
        } else if code.starts_with(".size") {
            open = false;
        }
        if open && let Some(function) = functions.last_mut() {
            function.lines.end = number + 1;
        }
    }
    functions
}

/// The `f` of `.type f,@function`.
fn type_directive(code: &str) -> Option<&str> {
    let (name, kind) = code.strip_prefix(".type")?.trim_start().split_once(',')?;
    matches!(kind.trim(), "@function" | "%function" | "STT_FUNC").then_some(name.trim())
}

/// What begins a comment: `//` on `AArch64`, where `#` marks a constant; `#` as well on x86-64.
fn comment_marks(asm: &str) -> &'static [&'static str] {
    let is_x86 = asm.lines().any(|line| {
        let code = without_comment(line, &["//"]).trim_start();
        let names_register = !code.starts_with('.') && code.contains('%');
        code.starts_with('#') || names_register
    });
    let is_aarch64 = !is_x86 && asm.lines().any(|line| line.contains("//"));
    if is_aarch64 { &["//"] } else { &["#", "//"] }
}

/// The line up to a comment; a mark within quotes begins none.
fn without_comment<'a>(line: &'a str, marks: &[&str]) -> &'a str {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else if !quoted && marks.iter().any(|mark| line[at..].starts_with(mark)) {
            return &line[..at];
        }
    }
    line
}

/// Mnemonic and operands; `None` for labels, directives and blank lines.
fn instruction(code: &str) -> Option<(&str, &str)> {
    let code = code.trim();
    if code.is_empty() || code.starts_with('.') || code.ends_with(':') || code.contains(" = ") {
        return None;
    }
    let (first, rest) = code
        .split_once(|c: char| c.is_whitespace())
        .unwrap_or((code, ""));
    match first {
        "lock" | "rep" | "repe" | "repz" | "repne" | "notrack" => {
            instruction(rest).or(Some((first, "")))
        }
        _ => Some((first, rest.trim_start())),
    }
}

fn is_branch(mnemonic: &str) -> bool {
    mnemonic.starts_with('j')
        || matches!(mnemonic, "b" | "br" | "cbz" | "cbnz" | "tbz" | "tbnz")
        || mnemonic.starts_with("b.")
}

fn is_call(mnemonic: &str) -> bool {
    mnemonic.starts_with("call") || matches!(mnemonic, "bl" | "blr")
}

/// x86: packed arithmetic and moves, anything on ymm or zmm; `AArch64`: a register with an arrangement such as `v0.4s`.
fn is_vector(mnemonic: &str, operands: &str) -> bool {
    if operands.contains("%ymm") || operands.contains("%zmm") {
        return true;
    }
    if operands.contains("%xmm") {
        let plain = mnemonic.strip_prefix('v').unwrap_or(mnemonic);
        let moves = [
            "movap", "movup", "movdq", "movddup", "movshdup", "movsldup", "lddqu",
        ];
        return plain.starts_with('p')
            || plain.ends_with("ps")
            || plain.ends_with("pd")
            || plain.starts_with("cvtdq2")
            || moves.iter().any(|prefix| plain.starts_with(prefix));
    }
    let arrangements = [".16b", ".8b", ".8h", ".4h", ".4s", ".2s", ".2d"];
    arrangements
        .iter()
        .any(|arrangement| operands.contains(arrangement))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LISTING: &str = "\t.text
\t.file\t\"a#b.c\"
\t.globl\tmain                            # -- Begin function main
\t.type\tmain,@function
main:                                   # @main
\t.cfi_startproc
# %bb.0:
\tpushq\t%rbx
\tmovq\t%rax, 8(%rsp)                   # 8-byte Spill
\tjmp\t.LBB0_2
.LBB0_1:                                # %loop
\tpaddd\t%xmm0, %xmm1
\taddsd\t%xmm0, %xmm1
\tvaddps\t%ymm0, %ymm1, %ymm2
\tmovq\t8(%rsp), %rax                   # 8-byte Reload
\tlock\tincl\t(%rax)
.LBB0_2:
\tcallq\tf@PLT
\tjne\t.LBB0_1
\tretq
.Lfunc_end0:
\t.size\tmain, .Lfunc_end0-main
\t.cfi_endproc
\t.type\tf,@function
f:
\tretq
.Lfunc_end1:
\t.size\tf, .Lfunc_end1-f
\t.type\ttable,@object
table:
\t.asciz\t\"a \\\"# b\"
";

    #[test]
    fn counts() {
        let expected = AssemblyStatistics {
            functions: 2,
            instructions: 12,
            branches: 2,
            calls: 1,
            vector_instructions: 2,
            spills: 1,
            reloads: 1,
        };
        assert_eq!(assembly_statistics(LISTING), expected);
    }

    #[test]
    fn functions_have_their_lines() {
        let functions = assembly_functions(LISTING);
        let shown: Vec<(&str, usize)> = functions
            .iter()
            .map(|function| (function.name.as_str(), function.lines.len()))
            .collect();
        assert_eq!(shown, [("main", 16), ("f", 2)]);
        assert_eq!(functions[1].text(LISTING), "f:\n\tretq\n");
    }

    #[test]
    fn comments_go_and_quotes_stay() {
        let normalized = normalized_assembly(
            "\t.file\t\"a#b.c\" # c\n# only\n\n\tnop   # \"\n\t.asciz\t\"a \\\"# b\"\n",
        );
        assert_eq!(
            normalized,
            "\t.file\t\"a#b.c\"\n\tnop\n\t.asciz\t\"a \\\"# b\"\n"
        );
    }

    #[test]
    fn slashes_do_not_make_it_aarch64() {
        let asm = LISTING
            .replace(
                "\tpushq",
                "\t#APP\n\tnop\t// as inline assembly may say\n\t#NO_APP\n\tpushq",
            )
            .replace("\t.asciz\t", "\t.asciz\t\"\t// text\"\n\t.asciz\t");
        let names: Vec<String> = assembly_functions(&asm)
            .into_iter()
            .map(|function| function.name)
            .collect();
        assert_eq!(names, ["main", "f"]);
        let expected = normalized_assembly(LISTING)
            .replace("\tpushq", "\tnop\n\tpushq")
            .replace("\t.asciz\t", "\t.asciz\t\"\t// text\"\n\t.asciz\t");
        assert_eq!(normalized_assembly(&asm), expected);
        let plain =
            "\t.type\tf,@function\nf:\n\tmovl\t%edi, %eax\t// it\n\tretq\t# it\n\t.size\tf, .-f\n";
        assert_eq!(assembly_functions(plain).len(), 1);
        assert!(!normalized_assembly(plain).contains("it"));
    }

    #[test]
    fn aarch64_constants_are_no_comments() {
        let asm = "// %bb.0:\n\tadd\tx0, x0, #1   // one\n\tfadd\tv0.4s, v0.4s, v1.4s\n\tb.ne\t.L1\n\tbl\tf\n";
        assert!(normalized_assembly(asm).starts_with("\tadd\tx0, x0, #1\n"));
        let statistics = assembly_statistics(asm);
        assert_eq!(
            (statistics.instructions, statistics.vector_instructions),
            (4, 1)
        );
        assert_eq!((statistics.branches, statistics.calls), (1, 1));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\.type f,@function|f:|\\.size|[\"#\\\\\\n\\t/]|\\PC){0,60}") {
            assembly_statistics(&text);
            for function in assembly_functions(&text) {
                prop_assert!(text.contains(function.text(&text)));
            }
        }

        #[test]
        fn normalizing_twice_changes_nothing(text in "([\"#\\\\\\n\\t/ ]|\\PC){0,60}") {
            let once = normalized_assembly(&text);
            // A listing that has lost its only `//` reads `#` as a comment.
            prop_assume!(comment_marks(&once) == comment_marks(&text));
            prop_assert_eq!(normalized_assembly(&once), once);
        }
    }
}
