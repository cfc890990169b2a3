//! `whittle optimize --model`: killed between any two steps, resumed, estimated, refused.

use serde_json::{Value, json};

use super::Place;

/// A program with an allocation per row.
const ROWS: &str = "\
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    int rows, n;
    if (scanf(\"%d %d\", &rows, &n) != 2 || rows < 0 || n < 1 || n > 64) return 1;
    unsigned sum = 0;
    for (int r = 0; r < rows; r++) {
        unsigned *row = malloc(n * sizeof *row);
        if (!row) return 2;
        for (int i = 0; i < n; i++) row[i] = (unsigned)(r * n + i) * 2654435761u;
        for (int i = 0; i < n; i++) sum = sum * 31 + row[n - 1 - i];
        free(row);
    }
    printf(\"%u\\n\", sum);
    return 0;
}
";

/// Answers by label, and kills whittle the first time that a label is asked for which a file `kill` is there.
const MODEL: &str = r#"
request=$(cat)
label=$(printf %s "$request" | sed -n 's/.*"label":"\([^"]*\)".*/\1/p' | head -n 1 | tr '/ ' '__')
echo "$label" >> "$0/asked"
if [ -f "$0/kill/$label" ]; then
    rm "$0/kill/$label"
    process=$$
    while [ "$(cat /proc/$process/comm)" != whittle ]; do
        process=$(sed 's/.*) [A-Z] \([0-9]*\) .*/\1/' /proc/$process/stat)
    done
    kill -9 $process
    exit 1
fi
cat "$0/replies/$label" 2>/dev/null || echo '{"text": "NO CHANGE", "tool_calls": [{"id": "1", "name": "stop", "arguments": {}}]}'
"#;

/// The calls of the run, in their order.
const LABELS: [&str; 6] = [
    "testing_round_1",
    "decision_1_try_1",
    "turn_1_source_sample_1_round_1",
    "turn_1_source_sample_1_round_2",
    "decision_2_try_1",
    "decision_3_try_1",
];

fn place() -> (Place, String) {
    let place = Place::new(ROWS);
    for folder in ["model", "model/replies", "model/kill"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    place.write("model/model.sh", MODEL);
    let usage = json!({"input": 100, "output": 10});
    let reply = |label: &str, value: Value| {
        place.write(&format!("model/replies/{label}"), value.to_string());
    };
    let text = |text: &str| json!({"text": text, "usage": usage});
    let call = |name: &str, arguments: Value| json!({"text": "", "tool_calls": [{"id": "1", "name": name, "arguments": arguments}], "usage": usage});
    let generator = "#include <stdio.h>\n#include <stdlib.h>\nint main(int c, char **v) {\n  printf(\"%d %d\\n\", atoi(v[2]), \
                     1 + atoi(v[1]) % 7);\n  return c < 3;\n}\n";
    reply(
        LABELS[0],
        text(&format!(
            "```generator\n{generator}```\nSIZES: 1000 100000 2000000\n```case\n0 1\n```\n"
        )),
    );
    reply(
        LABELS[1],
        call("optimize", json!({"node": 0, "agent": "source"})),
    );
    reply(
        LABELS[2],
        text(
            "CHANGE: forgets the sum\n<<<<<<< SEARCH\n    unsigned sum = 0;\n=======\n    unsigned sum = 1;\n>>>>>>> REPLACE\n",
        ),
    );
    reply(
        LABELS[3],
        text(
            "CHANGE: one row for all\n<<<<<<< SEARCH\n        unsigned *row = malloc(n * sizeof *row);\n        if (!row) return 2;\n\
              =======\n        unsigned row[64];\n>>>>>>> REPLACE\n<<<<<<< SEARCH\n        free(row);\n=======\n>>>>>>> REPLACE\n",
        ),
    );
    reply(LABELS[4], call("back_end", json!({"node": 2})));
    reply(LABELS[5], call("stop", json!({})));
    let model = place.path("model");
    let spec = format!("command:sh -c \"$(cat {0}/model.sh)\" {0}", model.display());
    (place, spec)
}

#[test]
fn killed_before_each_call_it_pays_for_none_twice() {
    let (place, spec) = place();
    for label in LABELS {
        place.write(&format!("model/kill/{label}"), "");
    }
    let mut arguments = vec![
        "optimize",
        "prog.c",
        "--model",
        &spec,
        "--budget-time",
        "30s",
        "--quiet",
    ];
    arguments.extend([
        "--agents",
        "source",
        "--portable",
        "--correctness-inputs",
        "6",
        "--large-inputs",
        "3",
    ]);
    let mut killed = 0;
    loop {
        let status = place.command(&arguments).output().unwrap().status;
        if status.success() {
            break;
        }
        // By SIGKILL, not by an exit code.
        assert_eq!(status.code(), None, "{status:?}");
        killed += 1;
        assert!(killed <= LABELS.len());
        arguments = vec!["optimize", "--resume", "--quiet"];
    }
    assert_eq!(killed, LABELS.len());

    let asked = std::fs::read_to_string(place.path("model/asked")).unwrap();
    for label in LABELS {
        // Once when it was killed, which was never answered, and once more.
        let times = asked.lines().filter(|line| *line == label).count();
        assert_eq!(times, 2, "{label} in\n{asked}");
    }
    let report: Value =
        serde_json::from_slice(&std::fs::read(place.path("prog.whittle/report.json")).unwrap())
            .unwrap();
    let calls = report["calls"].as_array().unwrap();
    let mut labels: Vec<String> = calls
        .iter()
        .map(|call| call["label"].as_str().unwrap().replace(['/', ' '], "_"))
        .collect();
    labels.sort();
    let mut expected = LABELS.map(str::to_owned).to_vec();
    expected.extend(
        labels
            .iter()
            .filter(|label| label.starts_with("testing") && *label != LABELS[0])
            .cloned(),
    );
    expected.sort();
    assert_eq!(labels, expected);
    // The wrong one and the right one, each once, and the right one's assembly.
    let changes: Vec<&str> = report["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["change"].as_str().unwrap())
        .collect();
    assert_eq!(
        changes,
        [
            "the original",
            "forgets the sum",
            "one row for all",
            "lowered to assembly"
        ]
    );
    let spent = report["budget"]
        .as_array()
        .unwrap()
        .iter()
        .find(|b| b["resource"] == "agent-calls")
        .unwrap();
    assert_eq!(spent["spent"], 1.0);
}

#[test]
fn an_estimate_asks_nobody_and_starts_nothing() {
    let (place, spec) = place();
    let dry = |more: &[&str]| {
        let mut arguments = vec!["optimize", "prog.c", "--model", &spec, "--dry-run"];
        arguments.extend(more);
        let output = place.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = dry(&["--paper", "10", "2", "3"]);
    assert!(
        text.contains("about 10 agent calls") && text.contains("price of the model is not known"),
        "{text}"
    );
    let estimate: Value = serde_json::from_str(&dry(&["--budget-calls", "5", "--json"])).unwrap();
    assert_eq!(estimate["agent_calls"], 5.0);
    assert!(!place.path("model/asked").exists());
    assert!(!place.path("prog.whittle").exists());
}

#[test]
fn a_budget_of_money_for_an_unknown_price_and_a_wrong_model_are_refused() {
    let (place, spec) = place();
    let refused = |arguments: &[&str]| {
        let output = place.command(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let text = refused(&["optimize", "prog.c", "--model", &spec, "--budget-usd", "1"]);
    assert!(
        text.contains("price") && text.contains("not known"),
        "{text}"
    );
    let text = refused(&["optimize", "prog.c", "--model", "gpt"]);
    assert!(text.contains("is no model"), "{text}");
    let text = refused(&["optimize", "prog.c", "--guide", "model"]);
    assert!(text.contains("--model"), "{text}");
    let text = refused(&["optimize", "prog.c", "--paper", "1", "2", "3"]);
    assert!(text.contains("--model"), "{text}");
}
