//! A whole search through the server, and that nothing of what is held out comes out of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Client, Place, RIGHT, TESTS, number};

#[test]
fn a_client_optimizes_a_program_and_never_sees_what_is_held_out() {
    let place = Place::new();
    let mut client = place.connect(&["--budget-time", "2m"]);
    let opened = client.request(
        "tools/call",
        json!({
            "name": "open_program",
            "arguments": {"paths": ["bits.c"], "tests": "tests", "budget_seconds": 50},
            "_meta": {"progressToken": "opening"}
        }),
    );
    let opened = super::read(&opened).unwrap();
    assert!(
        opened.contains("Candidate #0") && opened.contains("visible tests"),
        "{opened}"
    );
    assert!(
        opened.contains("ones in bits.c") && opened.contains("seconds: "),
        "{opened}"
    );
    check_progress(&client);
    let refused = client
        .call("open_program", json!({"paths": ["bits.c"]}))
        .unwrap_err();
    assert!(refused.contains("bits is open"), "{refused}");

    let source = client
        .call("show_level", json!({"candidate": 0, "level": "source"}))
        .unwrap();
    assert!(
        source.contains("static unsigned ones(unsigned bits) {"),
        "{source}"
    );
    let right = client.submit(RIGHT, "count bits at once").unwrap();
    assert!(right.contains("times the original's speed"), "{right}");
    wrong_edits(&mut client);
    look_around(&mut client, number(&right));

    let tree = client.call("tree", json!({})).unwrap();
    assert!(
        tree.contains("count bits at once") && tree.contains("rejected"),
        "{tree}"
    );
    let result = client.call("export", json!({})).unwrap();
    assert!(result.contains("faster than clang -O3"), "{result}");
    assert!(result.contains("bits.whittle/report.html"), "{result}");
    // Said again, and then over.
    assert_eq!(client.call("export", json!({})).unwrap(), result);
    let late = client.submit(RIGHT, "again").unwrap_err();
    assert!(late.contains("bits is exported"), "{late}");

    // Its IR is a candidate, too, and as fast.
    let winner = ["bits.c", "bits.ll"]
        .map(|file| place.path("out/bits.whittle/winner").join(file))
        .map(|file| std::fs::read_to_string(file).unwrap_or_default())
        .concat();
    assert!(
        winner.contains("__builtin_popcount") || winner.contains("@llvm.ctpop"),
        "{winner}"
    );
    nothing_leaked(&place, &client);

    // Then another program may come, here as text.
    let broken = json!({"files": [{"name": "other.c", "text": "int main(void) { return x; }"}]});
    let refused = client.call("open_program", broken).unwrap_err();
    assert!(refused.contains("other cannot be optimized"), "{refused}");
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
}

/// While the program was opened, the client heard of it.
fn check_progress(client: &Client) {
    let progress: Vec<&Value> = client
        .notifications
        .iter()
        .map(|message| &message["params"])
        .collect();
    assert!(!progress.is_empty());
    let mut last = 0.0;
    for notification in progress {
        assert_eq!(notification["progressToken"], "opening");
        assert!(!notification["message"].as_str().unwrap().is_empty());
        let now = notification["progress"].as_f64().unwrap();
        assert!(now > last, "{now} after {last}");
        last = now;
    }
}

/// Edits that cannot be applied are errors; edits that can are candidates, whatever comes of them.
fn wrong_edits(client: &mut Client) {
    let block = |search: &str, replace: &str| {
        format!("<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n")
    };
    let body = "    unsigned count = 0;";
    for (edit, message) in [
        (
            "make it faster, please".to_owned(),
            "neither a SEARCH/REPLACE block",
        ),
        ("<<<<<<< SEARCH\nx\n".to_owned(), "block 1 has no line"),
        (block("    int count = 0;", body), "does not occur"),
        (block(body, body), "changes nothing"),
        (
            "```c\nint twos(void) { return 2; }\n```".to_owned(),
            "has to define one of",
        ),
    ] {
        let refused = client.submit(&edit, "nothing").unwrap_err();
        assert!(refused.contains(message), "{edit}: {refused}");
    }
    for (edit, message) in [
        // It does not compile.
        (block(body, "    unsigned count = zero;"), "zero"),
        // It is wrong, and the visible tests say so.
        (
            block("    return count;", "    return count + (bits == 0);"),
            "rejected",
        ),
        // It wants to know what time it is.
        (
            block(
                "static unsigned values[4096];",
                "#include <time.h>\nstatic unsigned values[4096];\nstatic long began(void) { return (long)clock(); }",
            ) + &block("    unsigned sum = 0;", "    unsigned sum = began() < 0;"),
            "clock",
        ),
        // The compiler sees no difference from the right idea.
        (
            RIGHT.replace("bits);", "bits); /* all at once */"),
            "same machine code as #1",
        ),
    ] {
        let answer = client.submit(&edit, "an attempt").unwrap();
        assert!(answer.contains(message), "{edit}: {answer}");
        let again = client
            .call("verdict", json!({"candidate": number(&answer)}))
            .unwrap();
        assert!(answer.ends_with(&again), "{answer}: {again}");
    }
}

/// All that looks at the search without changing it, and the way down.
fn look_around(client: &mut Client, best: u32) {
    let mut ask = |tool: &str, arguments: Value| client.call(tool, arguments);
    assert!(
        ask("profile", json!({}))
            .unwrap()
            .contains("ones in bits.c")
    );
    assert!(!ask("remarks", json!({"candidate": 0})).unwrap().is_empty());
    assert!(ask("budget", json!({})).unwrap().contains("candidates: "));
    let show = |level: &str, function: &str| json!({"candidate": best, "level": level, "function": function});
    assert!(
        ask("show_level", show("ir", "ones"))
            .unwrap()
            .contains("llvm.ctpop")
    );
    assert!(
        ask("show_level", show("assembly", "main"))
            .unwrap()
            .contains("main:")
    );
    let missing = ask("show_level", show("source", "twos")).unwrap_err();
    assert!(missing.contains("twos"), "{missing}");
    assert!(
        ask("verdict", json!({"candidate": 999}))
            .unwrap_err()
            .contains("no candidate #999")
    );

    let lowered = ask("lower", json!({"candidate": best, "stage": "middle_end"})).unwrap();
    let ir = number(&lowered);
    let up = ask("show_level", json!({"candidate": ir, "level": "source"})).unwrap_err();
    assert!(up.contains("cannot be taken back"), "{up}");
    let main = ask(
        "show_level",
        json!({"candidate": ir, "level": "ir", "function": "main"}),
    )
    .unwrap();
    let same = json!({
        "candidate": ir, "level": "ir", "function": "main", "change": "nothing",
        "edit": format!("```llvm\n{}\n```", main.trim_end())
    });
    // What was shown can be submitted.
    let shown = ask("submit_candidate", same).unwrap();
    assert!(!shown.contains("rejected"), "{shown}");
}

/// No mark of a test that was held out stands in anything that the server wrote to the client.
fn nothing_leaked(place: &Place, client: &Client) {
    let report = std::fs::read_to_string(place.path("out/bits.whittle/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let cases = report["inputs"]["cases"].as_array().unwrap();
    let held_out: BTreeSet<&str> = cases
        .iter()
        .filter(|case| case["list"] == "held-out" && case["origin"] == "user")
        .map(|case| case["name"].as_str().unwrap())
        .collect();
    assert!(held_out.len() >= 2, "{held_out:?}");
    let mark = |input: &str| input.split_whitespace().last().unwrap().to_owned();
    for (name, input) in TESTS.iter().filter(|(name, _)| held_out.contains(name)) {
        assert!(
            !client.transcript.contains(&mark(input)),
            "{name} can be seen"
        );
    }
    // The wrong candidate was told of a visible one, so a mark would be seen.
    let seen = TESTS
        .iter()
        .any(|(_, input)| client.transcript.contains(&mark(input)));
    assert!(seen, "{}", client.transcript);
}
