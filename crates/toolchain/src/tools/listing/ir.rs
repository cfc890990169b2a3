//! LLVM IR as text.

use serde::{Deserialize, Serialize};

use super::FunctionLines;

/// How much of what there is in a module's functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IrStatistics {
    /// Functions with a body.
    pub functions: usize,
    /// Basic blocks.
    pub basic_blocks: usize,
    /// Instructions, debug records left out.
    pub instructions: usize,
    /// Loads.
    pub loads: usize,
    /// Stores.
    pub stores: usize,
    /// Calls of functions; intrinsics are none.
    pub calls: usize,
    /// Instructions on vectors.
    pub vector_operations: usize,
    /// Variables on the stack.
    pub allocas: usize,
}

/// Instructions without a result, by their first word.
const WITHOUT_RESULT: [&str; 17] = [
    "br",
    "call",
    "callbr",
    "catchret",
    "cleanupret",
    "fence",
    "indirectbr",
    "invoke",
    "musttail",
    "notail",
    "resume",
    "ret",
    "store",
    "switch",
    "tail",
    "unreachable",
    "va_arg",
];

/// Counts what is in a module.
pub fn ir_statistics(ir: &str) -> IrStatistics {
    let mut statistics = IrStatistics::default();
    for function in ir_functions(ir) {
        statistics.functions += 1;
        // The first block often has no label.
        let mut labelled = false;
        let body = function.text(ir).lines().skip(1);
        for line in body.map(str::trim) {
            if is_label(line) {
                statistics.basic_blocks += 1;
                labelled = true;
            } else if let Some(opcode) = opcode(line) {
                statistics.basic_blocks += usize::from(!labelled);
                labelled = true;
                statistics.count(opcode, line);
            }
        }
    }
    statistics
}

impl IrStatistics {
    fn count(&mut self, opcode: &str, line: &str) {
        self.instructions += 1;
        self.vector_operations += usize::from(names_vector(line));
        match opcode {
            "load" => self.loads += 1,
            "store" => self.stores += 1,
            "alloca" => self.allocas += 1,
            "call" | "invoke" | "tail" | "musttail" | "notail" if !line.contains(" @llvm.") => {
                self.calls += 1;
            }
            _ => {}
        }
    }
}

/// The functions with a body, in their order.
pub fn ir_functions(ir: &str) -> Vec<FunctionLines> {
    let mut functions = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for (number, line) in ir.lines().enumerate() {
        match &open {
            None if line.starts_with("define ") => {
                open = defined_name(line).map(|name| (name, number));
            }
            Some((name, start)) if line.trim_end() == "}" => {
                functions.push(FunctionLines {
                    name: name.clone(),
                    lines: *start..number + 1,
                });
                open = None;
            }
            _ => {}
        }
    }
    functions
}

/// IR without the lines that state the order of uses. They are no part of the program's meaning, are hard to read, and are
/// refused once a use was added or removed.
pub fn without_use_lists(ir: &str) -> String {
    let lines = ir.split_inclusive('\n');
    lines
        .filter(|line| !line.trim_start().starts_with("uselistorder"))
        .collect()
}

/// The name after the first `@` of a `define` line.
fn defined_name(line: &str) -> Option<String> {
    let (_, after) = line.split_once('@')?;
    match after.strip_prefix('"') {
        Some(quoted) => Some(quoted.split_once('"')?.0.to_owned()),
        None => Some(after.split_once('(')?.0.to_owned()),
    }
}

/// `entry:` or `12:   ; preds = %3`.
fn is_label(line: &str) -> bool {
    let code = line.split(';').next().unwrap_or_default().trim_end();
    code.strip_suffix(':')
        .is_some_and(|name| !name.is_empty() && !name.contains([' ', '(']))
}

/// The operation of an instruction; `None` for anything else, such as the cases of a switch.
fn opcode(line: &str) -> Option<&str> {
    let operation = match line.strip_prefix('%') {
        Some(_) => line.split_once(" = ")?.1,
        None => line,
    };
    let word = operation.split([' ', '(']).next()?;
    (line.starts_with('%') || WITHOUT_RESULT.contains(&word)).then_some(word)
}

/// Whether there is a type `<4 x …>` or `<vscale x 4 x …>` in it.
fn names_vector(line: &str) -> bool {
    line.split('<').skip(1).any(|after| {
        let after = after.strip_prefix("vscale x ").unwrap_or(after);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && after[digits..].starts_with(" x ")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODULE: &str = r#"; ModuleID = 'a.c'
@.str = private constant [5 x i8] c"%ld\0A\00"

define dso_local i32 @f(i32 %0) #0 {
  %2 = alloca [4 x i32], align 16
  store i32 %0, ptr %2, align 4
  %3 = load i32, ptr %2, align 4
  switch i32 %3, label %6 [
    i32 0, label %4
    i32 1, label %5
  ]

4:                                                ; preds = %1
  br label %6

5:                                                ; preds = %1
  %v = load <4 x i32>, ptr %2, align 16
  %w = add <4 x i32> %v, %v
  %r = tail call i32 @llvm.vector.reduce.add.v4i32(<4 x i32> %w)
  call void @llvm.lifetime.end.p0(i64 16, ptr %2)
    #dbg_value(i32 %r, !1, !DIExpression(), !2)
  %s = tail call i32 @g(i32 %r)
  br label %6

6:                                                ; preds = %5, %4, %1
  %7 = phi i32 [ %s, %5 ], [ 0, %4 ], [ 1, %1 ]
  ret i32 %7

; uselistorder directives
  uselistorder label %6, { 2, 0, 1 }
}

declare i32 @g(i32)

define internal void @"odd name"() {
entry:
  ret void
}
"#;

    #[test]
    fn counts() {
        let expected = IrStatistics {
            functions: 2,
            basic_blocks: 5,
            instructions: 14,
            loads: 2,
            stores: 1,
            calls: 1,
            vector_operations: 3,
            allocas: 1,
        };
        assert_eq!(ir_statistics(MODULE), expected);
    }

    #[test]
    fn functions_have_their_lines() {
        let functions = ir_functions(MODULE);
        let names: Vec<&str> = functions
            .iter()
            .map(|function| function.name.as_str())
            .collect();
        assert_eq!(names, ["f", "odd name"]);
        assert_eq!(
            functions[1].text(MODULE),
            "define internal void @\"odd name\"() {\nentry:\n  ret void\n}\n"
        );
    }

    #[test]
    fn use_lists_go() {
        let without = without_use_lists(MODULE);
        assert!(!without.contains("uselistorder label"));
        assert_eq!(without.lines().count() + 1, MODULE.lines().count());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(define @f\\(\\) \\{|[%}<:= \\n]|\\PC){0,60}") {
            ir_statistics(&text);
            for function in ir_functions(&text) {
                prop_assert!(text.contains(function.text(&text)));
            }
            without_use_lists(&text);
        }
    }
}
