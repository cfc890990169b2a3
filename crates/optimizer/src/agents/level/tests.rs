use super::*;

fn shown(focus: Option<&str>) -> Shown {
    Shown {
        messages: Vec::new(),
        prompt: "source 1",
        focus: focus.map(str::to_owned),
    }
}

#[test]
fn the_change_is_what_the_model_says_in_one_line() {
    let reply = "Let me see.\n  CHANGE: hoists\u{7} the malloc\nBecause.\nCHANGE: no\n";
    assert_eq!(change(reply, &shown(None)), "hoists the malloc");
    assert_eq!(change("nothing said", &shown(Some("f"))), "rewrites f");
    assert_eq!(change("CHANGE:   \n", &shown(None)), "rewrites the program");
    let long = format!("CHANGE: {}", "é".repeat(500));
    assert_eq!(
        change(&long, &shown(None)).chars().count(),
        edit::LONGEST_LINE
    );
}

#[test]
fn notes_of_others_are_empty() {
    let note = LevelNote {
        label: "turn 3/ir/sample 1/round 2".to_owned(),
        turn: 3,
        prompt: "ir 1".to_owned(),
        focus: Some("f".to_owned()),
    };
    let value = serde_json::to_value(&note).unwrap();
    assert_eq!(serde_json::from_value::<LevelNote>(value).unwrap(), note);
    let others: LevelNote = serde_json::from_value(serde_json::json!({"changes": ["x"]})).unwrap();
    assert_eq!(others, LevelNote::default());
}
