use proptest::prelude::*;

use super::super::{ir_callees, ir_excerpt};
use super::*;

const MODULE: &str = r#"source_filename = "a.c"
target triple = "x86_64-pc-linux-gnu"

%struct.outer = type { %struct.inner, ptr }
%struct.inner = type { i64 }
%struct.other = type { i8 }

@table = internal global %struct.outer zeroinitializer
@.str = private unnamed_addr constant [3 x i8] c"a;\00"

define dso_local i32 @f(i32 noundef %0, ptr nocapture %1) local_unnamed_addr #0 {
  %3 = load i32, ptr @table, align 4, !tbaa !5
  %4 = call fastcc i32 @g(i32 %3) #1
  %5 = call i32 @puts(ptr %1)
  ret i32 %4

; uselistorder directives
  uselistorder i32 %0, { 1, 0 }
}

define internal fastcc i32 @g(i32 %0) unnamed_addr #0 {
  ret i32 %0
}

declare i32 @puts(ptr) #1
declare void @unused()

attributes #0 = { nounwind }
attributes #1 = { nofree }

!5 = !{!6, !6, i64 0}
!6 = !{!"int"}
"#;

const NEW: &str = "define dso_local i32 @f(i32 %x, ptr %p) {
  %c = call i32 @llvm.ctpop.i32(i32 %x) #1
  %g = tail call fastcc i32 @g(i32 %c), !tbaa !5
  ret i32 %g
}
declare i32 @llvm.ctpop.i32(i32)
";

fn refusal(new: &str) -> String {
    splice_ir(MODULE, "f", new).unwrap_err().to_string()
}

#[test]
fn an_excerpt_has_what_the_function_needs() {
    let excerpt = ir_excerpt(MODULE, "f").unwrap();
    let (head, body) = excerpt.split_once("\n\n").unwrap();
    assert!(MODULE.contains(body));
    insta::assert_snapshot!(head, @r#"
        target triple = "x86_64-pc-linux-gnu"
        %struct.outer = type { %struct.inner, ptr }
        %struct.inner = type { i64 }
        @table = internal global %struct.outer zeroinitializer
        ; defined in this module: declare internal fastcc i32 @g(i32 %0) unnamed_addr #0
        declare i32 @puts(ptr) #1
        attributes #0 = { nounwind }
        attributes #1 = { nofree }
        !5 = !{!6, !6, i64 0}
        "#);
    assert_eq!(ir_excerpt(MODULE, "puts"), None);
    assert_eq!(ir_callees(MODULE, "f"), ["g"]);
    assert!(ir_callees(MODULE, "g").is_empty());
}

#[test]
fn long_tables_are_cut() {
    let table = format!(
        "@table = internal constant [900 x i8] c\"{}\"",
        "é".repeat(450)
    );
    let module = MODULE.replace(
        "@table = internal global %struct.outer zeroinitializer",
        &table,
    );
    let excerpt = ir_excerpt(&module, "f").unwrap();
    assert!(excerpt.contains("; @table = internal constant"));
    assert!(excerpt.contains("bytes more"));
}

#[test]
fn a_function_takes_the_place_of_the_old_one() {
    let spliced = splice_ir(MODULE, "f", NEW).unwrap();
    let expected = MODULE
        .split_once("define dso_local")
        .map(|(before, _)| before.to_owned())
        .unwrap()
        + "declare i32 @llvm.ctpop.i32(i32)\n\n"
        + &NEW[..NEW.find("declare").unwrap()].replace("%p) {", "%p) local_unnamed_addr #0 {")
        + MODULE
            .split_once("}\n\ndefine internal")
            .map(|_| "")
            .unwrap()
        + &MODULE[MODULE.find("\ndefine internal").unwrap()..];
    assert_eq!(spliced, expected);
    let again = splice_ir(&spliced, "f", NEW).unwrap();
    assert_eq!(again, spliced);
}

#[test]
fn a_whole_excerpt_can_be_given_back() {
    let excerpt = ir_excerpt(MODULE, "f").unwrap();
    assert_eq!(
        splice_ir(MODULE, "f", &excerpt).unwrap(),
        without_use_lists(MODULE)
    );
}

#[test]
fn a_constant_can_be_brought() {
    let new =
        format!("@f.bits = internal unnamed_addr constant [2 x i8] c\"\\01\\02\", align 16\n{NEW}");
    let spliced = splice_ir(MODULE, "f", &new).unwrap();
    assert_eq!(spliced.matches("@f.bits").count(), 1);
}

#[test]
fn refusals_say_what_to_do() {
    let cases = [
        "",
        "define dso_local i32 @f(i32 %0, ptr %1) {\n  ret i32 0\n",
        "define dso_local i32 @f2(i32 %0, ptr %1) {\n  ret i32 0\n}\n",
        "define dso_local i64 @f(i32 %0, ptr %1) {\n  ret i64 0\n}\n",
        "define internal i32 @f(i32 %0, ptr %1) {\n  ret i32 0\n}\n",
        "define dso_local i32 @f(i32 %0, ptr %1) section \".init\" {\n  ret i32 0\n}\n",
    ];
    let with = |line: &str| refusal(&format!("{NEW}{line}\n"));
    let all = [
        splice_ir(MODULE, "h", NEW).unwrap_err().to_string(),
        refusal(cases[0]),
        refusal(cases[1]),
        refusal(cases[2]),
        refusal(cases[3]),
        refusal(cases[4]),
        refusal(cases[5]),
        with("declare i32 @strlen(ptr)"),
        with("declare i64 @llvm.readcyclecounter()"),
        with("declare i64 @puts(ptr)"),
        with("attributes #9 = { nounwind }"),
        with("!7 = !{}"),
        with("@table = internal constant i32 0"),
        with("@x = global i32 0"),
        with("%t = type { i8 }"),
        with("module asm \"nop\""),
        with("define void @evil() {\n  ret void\n}"),
        refusal(&NEW.replace("#1", "#8")),
        refusal(&NEW.replace("!5", "!8")),
        refusal(&NEW.replace("@g", "@h")),
        refusal(&NEW.replace("%c = ", "call void asm sideeffect \"nop\", \"\"()\n  %c = ")),
    ]
    .join("\n");
    insta::assert_snapshot!(all);
}

proptest! {
    #[test]
    fn any_text_is_read(
        text in "(define i32 @f\\(i32 %0\\) \\{\n|ret i32 0\n|\\}\n|declare |@f = |[%@!#\"(){};,\\n ]|\\PC){0,40}"
    ) {
        let _ = splice_ir(MODULE, "f", &text);
        let _ = splice_ir(&text, "f", &text);
        if let Some(excerpt) = ir_excerpt(&text, "f") {
            let function = &ir_functions(&text)[0];
            prop_assert!(function.name != "f" || excerpt.ends_with(function.text(&text)));
        }
        ir_callees(&text, "f");
    }
}
