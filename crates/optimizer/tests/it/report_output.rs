//! The output folder: whole or not at all, and never over what is not whittle's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use whittle_optimizer::archive::RunRecord;
use whittle_optimizer::report::{self, OutputError};
use whittle_toolchain::tools::Unit;

use crate::common::Scratch;
use crate::report::report;
use crate::report_example as example;

fn write(scratch: &Scratch, output: &Path, record: &RunRecord) -> Result<(), OutputError> {
    report::write(
        output,
        &report(record),
        record,
        &example::texts(),
        None,
        &scratch.toolchain(),
    )
}

/// Every file below, by its path from there.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        for entry in fs::read_dir(folder.join(&relative)).unwrap() {
            let path = relative.join(entry.unwrap().file_name());
            if folder.join(&path).is_dir() {
                pending.push(path);
            } else {
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[test]
fn everything_that_the_report_names_is_there() {
    let scratch = Scratch::new();
    let output = scratch.path("deep/er/signatures.whittle");
    let record = example::record(12, 1, 1);
    report::check_output(&output).unwrap();
    write(&scratch, &output, &record).unwrap();

    let text = fs::read(output.join("report.json")).unwrap();
    let read: report::Report = serde_json::from_slice(&text).unwrap();
    assert_eq!(read, report(&record));
    let found = files(&output);
    for name in [
        "report.html",
        "rebuild.sh",
        "winner.mk",
        "winner/signatures.c",
        "original/signatures.c",
    ] {
        assert!(found.contains(name), "{name}");
    }
    let inputs = record.inputs.as_ref().unwrap();
    let cases = [
        &inputs.visible,
        &inputs.held_out,
        &inputs.search_timing,
        &inputs.final_timing,
    ];
    for (case, wire) in cases
        .into_iter()
        .flatten()
        .zip(&read.inputs.as_ref().unwrap().cases)
    {
        assert_eq!(
            (&case.name, &case.arguments, case.expected.status),
            (&wire.name, &wire.arguments, wire.status)
        );
        let bytes =
            |extension: &str| fs::read(output.join(format!("{}.{extension}", wire.path))).unwrap();
        assert_eq!(
            (bytes("in"), bytes("out")),
            (case.input.clone(), case.expected.stdout.clone())
        );
        if !case.arguments.is_empty() {
            assert_eq!(bytes("args"), b"-v\ntwo words\n");
        }
    }
    assert_eq!(
        found
            .iter()
            .filter(|name| name.starts_with("inputs/"))
            .count(),
        2 * read.inputs.unwrap().cases.len() + 1
    );
    // Nothing is left beside it.
    let parent = fs::read_dir(output.parent().unwrap()).unwrap();
    assert_eq!(parent.count(), 1);
}

#[test]
fn an_earlier_output_is_replaced_whole() {
    let scratch = Scratch::new();
    let output = scratch.path("out");
    fs::create_dir(&output).unwrap();
    let mut record = example::record(12, 1, 1);
    // An empty folder is as good as none.
    write(&scratch, &output, &record).unwrap();
    let before = files(&output);
    fs::create_dir(output.join("build")).unwrap();
    record.inputs = None;
    report::check_output(&output).unwrap();
    write(&scratch, &output, &record).unwrap();
    let after = files(&output);
    assert!(after.is_subset(&before) && !after.iter().any(|name| name.starts_with("inputs")));
    assert!(!output.join("build").exists());
}

#[test]
fn what_is_not_whittles_is_left_alone() {
    let scratch = Scratch::new();
    let record = example::record(8, 1, 1);
    let refused = |output: &Path| {
        let error = write(&scratch, output, &record).unwrap_err();
        assert!(matches!(error, OutputError::Taken { .. }), "{error:?}");
        assert!(report::check_output(output).is_err());
        error.to_string()
    };
    let mine = scratch.file("mine/thesis.tex", "text");
    let text = refused(mine.parent().unwrap());
    assert!(
        text.contains("mine") && text.contains("no output of whittle") && text.contains("--out"),
        "{text}"
    );
    assert_eq!(fs::read(&mine).unwrap(), b"text");

    assert!(refused(&mine).contains("is a file"));
    refused(Path::new("/"));

    let other = scratch.file("other/report.json", "{\"tool\": \"lint\"}");
    refused(other.parent().unwrap());

    let output = scratch.path("output");
    write(&scratch, &output, &record).unwrap();
    fs::write(output.join("notes.txt"), "keep me").unwrap();
    assert!(refused(&output).contains("notes.txt"));
    assert_eq!(fs::read(output.join("notes.txt")).unwrap(), b"keep me");
    assert!(output.join("report.html").exists());

    // A link is followed to the folder, not replaced.
    std::os::unix::fs::symlink(mine.parent().unwrap(), scratch.path("link")).unwrap();
    refused(&scratch.path("link"));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    let error = report::check_output(&file.join("out")).unwrap_err();
    assert!(matches!(error, OutputError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn a_unit_cannot_leave_the_folder_and_nothing_half_done_stays() {
    let scratch = Scratch::new();
    for name in ["../escaped.c", "/tmp/whittle-escaped.c", "a/../../b.c", ""] {
        let mut record = example::record(8, 1, 1);
        record.header.program.units.push(Unit::new(name, "int x;"));
        let output = scratch.path("deep/out");
        let error = write(&scratch, &output, &record).unwrap_err();
        assert!(matches!(error, OutputError::UnitName(_)), "{error:?}");
        assert_eq!(fs::read_dir(scratch.path("deep")).unwrap().count(), 0);
        assert!(
            !scratch.path("escaped.c").exists() && !Path::new("/tmp/whittle-escaped.c").exists()
        );
    }
}
