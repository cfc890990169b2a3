//! The bundled model on the example pages, with the default policy and budget.

use serde_json::Value;
use whittle_testing::workspace;

use crate::common::{json, whittle};

#[test]
fn the_bundled_model_answers_about_the_example_pages() {
    let (model, images) = (
        workspace().join("models/reader"),
        workspace().join("examples/images"),
    );
    let lines = std::fs::read_to_string(images.join("questions.jsonl")).unwrap();
    let questions: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // What it was trained to be sure of; every third question will do.
    let asked: Vec<&Value> = questions
        .iter()
        .filter(|q| q["task"] == "form" || q["task"] == "grid")
        .step_by(3)
        .take(12)
        .collect();
    assert!(asked.len() >= 4);
    let mut wrong = Vec::new();
    for question in &asked {
        let image = images.join(question["image"].as_str().unwrap());
        let report = json(
            whittle(&[
                "ask",
                question["question"].as_str().unwrap(),
                "--json",
                "--model",
            ])
            .arg(&model)
            .arg("--image")
            .arg(&image),
        );
        assert!(report["visual_tokens"].as_u64().unwrap() >= 500);
        assert!(report["cache"]["kept_fraction"].as_f64().unwrap() <= 0.1);
        if report["answer"] != question["answer"] {
            wrong.push(format!(
                "{}: {} instead of {}",
                question["question"], report["answer"], question["answer"]
            ));
        }
    }
    assert!(
        wrong.len() * 5 <= asked.len(),
        "{} of {} wrong: {wrong:#?}",
        wrong.len(),
        asked.len()
    );
}
