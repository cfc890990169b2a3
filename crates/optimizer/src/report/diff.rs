//! What differs between two programs, function by function where there are functions.

use similar::{ChangeTag, TextDiff};
use whittle_toolchain::tools::{
    FunctionLines, Unit, assembly_functions, ir_functions, normalized_assembly,
};

use super::wire::{Change, Level};

/// Lines of one diff that are kept.
const MOST_LINES: usize = 400;
/// Diffs of one level that are kept.
const MOST_CHANGES: usize = 24;
/// Lines around a change.
const CONTEXT: usize = 3;
/// Texts with more lines than this are not compared line by line, since that may take for ever.
const LONGEST: usize = 20_000;

/// The differences at one level, the largest first.
pub(super) fn changes(level: Level, before: &[Unit], after: &[Unit]) -> Vec<Change> {
    let (before, after) = (parts(level, before), parts(level, after));
    let mut names: Vec<&str> = before
        .iter()
        .chain(&after)
        .map(|part| part.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let text = |parts: &[Unit], name: &str| {
        parts
            .iter()
            .find(|part| part.name == name)
            .map(|part| part.text.clone())
            .unwrap_or_default()
    };
    let mut changes: Vec<Change> = names
        .into_iter()
        .filter_map(|name| change(level, name, &text(&before, name), &text(&after, name)))
        .collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.added + change.removed));
    changes.truncate(MOST_CHANGES);
    changes
}

fn change(level: Level, name: &str, before: &str, after: &str) -> Option<Change> {
    if before == after {
        return None;
    }
    let lengths = [before, after].map(|text| text.lines().count());
    let mut change = Change {
        level,
        name: name.to_owned(),
        added: lengths[1] as u64,
        removed: lengths[0] as u64,
        diff: String::new(),
        cut_lines: 0,
    };
    if lengths.into_iter().max() > Some(LONGEST) {
        change.cut_lines = (lengths[0] + lengths[1]) as u64;
        return Some(change);
    }
    let diff = TextDiff::from_lines(before, after);
    let with = |tag| {
        diff.iter_all_changes()
            .filter(|change| change.tag() == tag)
            .count() as u64
    };
    (change.added, change.removed) = (with(ChangeTag::Insert), with(ChangeTag::Delete));
    let unified = diff
        .unified_diff()
        .context_radius(CONTEXT)
        .missing_newline_hint(false)
        .to_string();
    let mut lines = unified.lines();
    for line in lines.by_ref().take(MOST_LINES) {
        change.diff.push_str(line);
        change.diff.push('\n');
    }
    change.cut_lines = lines.count() as u64;
    Some(change)
}

/// What is compared: files of source, functions of IR and assembly without what no person reads.
fn parts(level: Level, units: &[Unit]) -> Vec<Unit> {
    match level {
        Level::Source => units.to_vec(),
        Level::Ir => units
            .iter()
            .flat_map(|unit| functions(&unit.text, &ir_functions(&unit.text), without_metadata))
            .collect(),
        Level::Assembly => units
            .iter()
            .map(|unit| normalized_assembly(&unit.text))
            .flat_map(|text| functions(&text, &assembly_functions(&text), without_directive))
            .collect(),
    }
}

fn functions(listing: &str, functions: &[FunctionLines], readable: fn(&str) -> &str) -> Vec<Unit> {
    functions
        .iter()
        .map(|function| {
            let lines = function.text(listing).lines().map(readable);
            let lines = lines
                .filter(|line| !line.is_empty())
                .flat_map(|line| [line, "\n"]);
            Unit::new(&function.name, lines.collect::<String>())
        })
        .collect()
}

/// A line of IR up to its metadata (", !tbaa !5"), attribute group (" #2") or comment ("; preds = %4").
fn without_metadata(line: &str) -> &str {
    let line = line.split_once(", !").map_or(line, |(line, _)| line);
    let line = line
        .split_once(" ; preds")
        .map_or(line, |(line, _)| line)
        .trim_end();
    match line.rsplit_once(" #") {
        Some((rest, group))
            if group
                .trim_end_matches(" {")
                .bytes()
                .all(|b| b.is_ascii_digit()) =>
        {
            rest
        }
        _ => line,
    }
}

/// A line of assembly, unless it is a directive.
fn without_directive(line: &str) -> &str {
    let word = line.trim_start();
    if word.starts_with('.') && !word.ends_with(':') {
        ""
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &str = "\
        define dso_local i32 @f(i32 noundef %0) local_unnamed_addr #0 {\n  %2 = load i32, ptr %1, align 4, !tbaa !5\n\
        \x20 ret i32 %2\n}\n\ndeclare i32 @g() #1\n\ndefine i32 @main() #2 {\n  ret i32 0\n}\n";

    fn ir(text: &str) -> Vec<Unit> {
        vec![Unit::new("a.ll", text)]
    }

    #[test]
    fn only_changed_functions_are_shown() {
        let after = BEFORE
            .replace("!tbaa !5", "!tbaa !7")
            .replace("#2 {", "#3 {")
            .replace("ret i32 %2", "ret i32 7");
        let found = changes(Level::Ir, &ir(BEFORE), &ir(&after));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].added, found[0].removed),
            ("f", 1, 1)
        );
        assert!(
            found[0].diff.contains("\n-  ret i32 %2\n+  ret i32 7\n"),
            "{}",
            found[0].diff
        );
        assert_eq!(changes(Level::Ir, &ir(BEFORE), &ir(BEFORE)), []);
    }

    #[test]
    fn functions_of_assembly_are_told_apart() {
        let text = |body: &str| {
            vec![Unit::new(
                "a.s",
                format!(
                    "\t.text\n\t.globl\tf\n\t.type\tf,@function\nf:    # @f\n\t.cfi_startproc\n{body}.LBB0_1:  # Loop\n\tretq\n\
                     .Lfunc_end0:\n\t.size\tf, .Lfunc_end0-f\n\t.section\t.rodata\n\t.long 7\n"
                ),
            )]
        };
        let found = changes(
            Level::Assembly,
            &text("\tincl\t%eax\n"),
            &text("\taddl\t$2, %eax  # two\n"),
        );
        insta::assert_snapshot!(found[0].diff, @r"
        @@ -1,4 +1,4 @@
         f:
        -	incl	%eax
        +	addl	$2, %eax
         .LBB0_1:
         	retq
        ");
    }

    #[test]
    fn long_diffs_are_cut_and_say_so() {
        let many = |word: &str, lines| vec![Unit::new("a.c", format!("{word}\n").repeat(lines))];
        let found = &changes(Level::Source, &many("a", 1_000), &many("b", 1_000))[0];
        assert_eq!(found.diff.lines().count(), MOST_LINES);
        assert_eq!(found.cut_lines, 2_001 - MOST_LINES as u64);
        assert_eq!((found.added, found.removed), (1_000, 1_000));
        let vast = &changes(Level::Source, &many("a", 1), &many("b", LONGEST + 1))[0];
        assert_eq!(
            (vast.diff.as_str(), vast.cut_lines),
            ("", LONGEST as u64 + 2)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_compared(before in "(?s).{0,200}", after in "(?s).{0,200}") {
            for level in [Level::Source, Level::Ir, Level::Assembly] {
                changes(level, &ir(&before), &ir(&after));
            }
        }
    }
}
