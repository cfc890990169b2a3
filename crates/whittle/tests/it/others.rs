//! `whittle compare`, `eval`, `inspect` and `pages`.

use crate::common::{QUESTION, image, json, stdout, whittle, with_model};

#[test]
fn compare_has_a_row_per_setting() {
    let flags = [
        "compare",
        "--image",
        &image(),
        QUESTION,
        "--max-tokens",
        "6",
        "--budgets",
        "0.2,1",
    ];
    let rows = json(with_model(&flags).arg("--json"));
    let rows = rows.as_array().unwrap();
    let others = whittle_kv::registry().len() - 1;
    assert_eq!(rows.len(), 1 + 2 * others);
    assert_eq!(rows[0]["policy"]["name"], "full");
    for row in rows {
        assert_eq!(row["same_tokens"][1], 6);
        // All of them start with the token that the full prefill gave.
        assert!(row["same_tokens"][0].as_u64().unwrap() >= 1);
        if row["policy"]["budget"] == 1.0 && row["cache"]["kept_fraction"] == 1.0 {
            assert_eq!(row["same_tokens"][0], 6, "{}", row["policy"]["name"]);
        }
    }
    let table = stdout(with_model(&flags).args(["--policies", "snapkv"]));
    let lines: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("full") || line.contains("snapkv"))
        .collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].contains(" all "), "{table}");
}

#[test]
fn eval_counts_every_question_once_per_setting() {
    let folder = tempfile::tempdir().unwrap();
    let (report, plot) = (
        folder.path().join("eval.json"),
        folder.path().join("eval.svg"),
    );
    let flags = [
        "eval",
        "--pages",
        "3",
        "--questions-per-page",
        "2",
        "--max-tokens",
        "3",
    ];
    let mut command = with_model(&flags);
    command.args(["--budgets", "0.1,0.3", "--policies", "vl-cache,h2o,snapkv"]);
    command.arg("--json").arg(&report).arg("--plot").arg(&plot);
    let table = stdout(&mut command);
    assert!(table.contains("about 3 pages"), "{table}");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let settings = report["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 1 + 3 * 2);
    let questions = report["questions"].as_u64().unwrap();
    assert!((3..=6).contains(&questions));
    for setting in settings {
        assert_eq!(setting["all"]["asked"], questions);
        let asked: u64 = setting["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["asked"].as_u64().unwrap())
            .sum();
        assert_eq!(asked, questions);
        let kept = setting["kept_fraction"].as_f64().unwrap();
        let budget = setting["budget"].as_f64().unwrap();
        assert!(kept <= budget + 1e-9 && kept > 0.8 * budget, "{setting}");
    }
    assert_eq!(settings[0]["same_as_full"], 1.0);
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg"));
}

#[test]
fn eval_does_not_depend_on_threads() {
    let numbers = |threads: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("eval.json");
        let flags = [
            "eval",
            "--pages",
            "3",
            "--questions-per-page",
            "1",
            "--max-tokens",
            "3",
            "--policies",
            "h2o",
        ];
        stdout(
            with_model(&flags)
                .args(["--threads", threads, "--json"])
                .arg(&file),
        );
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let settings = report["settings"].as_array().unwrap().clone();
        settings
            .iter()
            .map(|s| (s["all"]["exact"].clone(), s["same_as_full"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers("1"), numbers("3"));
}

#[test]
fn inspect_shows_the_checkpoint() {
    let shown = stdout(&mut with_model(&["inspect", "--context", "100,1000"]));
    // The first line is the folder, which differs between machines.
    insta::assert_snapshot!(shown.split_once('\n').unwrap().1);
    let report = json(&mut with_model(&[
        "inspect",
        "--context",
        "1000",
        "--kv-budget",
        "0.25",
        "--json",
    ]));
    assert_eq!(report["architecture"], "LlavaNextForConditionalGeneration");
    // 3 layers x 2 KV heads x keys and values of 16 f32.
    assert_eq!(
        report["contexts"][0]["full_cache_bytes"],
        1000 * 3 * 2 * 2 * 16 * 4
    );
    assert_eq!(
        report["contexts"][0]["compressed_cache_bytes"],
        250 * 3 * 2 * 2 * 16 * 4
    );
}

#[test]
fn pages_are_written_with_their_questions() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/pages");
    stdout(whittle(&["pages", "--seed", "5", "--count", "3", "--out"]).arg(&out));
    let lines = std::fs::read_to_string(out.join("questions.jsonl")).unwrap();
    let page = whittle_pages::Page::generate(6);
    let written = image::open(out.join("page-6.png")).unwrap().to_rgb8();
    assert_eq!(written, page.image);
    let of_page: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|l: &serde_json::Value| l["seed"] == 6)
        .collect();
    assert_eq!(of_page.len(), page.questions.len());
    assert_eq!(of_page[0]["question"], page.questions[0].text);
    assert_eq!(of_page[0]["answer"], page.questions[0].answer);
    assert_eq!(of_page[0]["image"], "page-6.png");
}
