//! Our own engine as the model, with random weights: what it says is rubbish.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use whittle_chat::{ChatError, ChatModel, ChatReply, ChatRequest, Control, Price, ToolCall};
use whittle_optimizer::session;

use super::programs::SAMPLES;
use super::script::open;
use super::{model_options, model_use, run};
use crate::common::Scratch;

/// Rubbish has no end of its own.
const LONGEST_REPLY: u32 = 32;

/// The tiny checkpoint with room for long prompts: positions are computed, so that it needs no other weights.
fn roomy(scratch: &Scratch) -> PathBuf {
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/golden/models/llama"
    );
    let folder = scratch.path("checkpoint");
    std::fs::create_dir(&folder).unwrap();
    for entry in Path::new(golden).read_dir().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let file = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["max_position_embeddings"] = json!(32_768);
    std::fs::write(&file, config.to_string()).unwrap();
    folder
}

/// The engine is asked for everything, briefly. So that every agent has a turn, some of its decisions are taken to be
/// others.
struct Steered(Arc<dyn ChatModel>);

impl ChatModel for Steered {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn complete(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, ChatError> {
        let mut short = request.clone();
        short.max_tokens = LONGEST_REPLY;
        let mut reply = self.0.complete(&short, control)?;
        let optimize = |agent: &str| ("optimize", json!({"node": 0, "agent": agent}));
        let (name, arguments) = match request.label.as_str() {
            "decision 2/try 1" => optimize("source"),
            "decision 3/try 1" => optimize("ir"),
            "decision 4/try 1" => optimize("assembly"),
            "decision 5/try 1" => optimize("flags"),
            "decision 6/try 1" => ("stop", json!({})),
            _ => return Ok(reply),
        };
        reply.tool_calls = vec![ToolCall {
            id: "steered".to_owned(),
            name: name.to_owned(),
            arguments,
        }];
        Ok(reply)
    }

    fn price(&self) -> Option<Price> {
        self.0.price()
    }
}

#[test]
fn our_own_engine_takes_part_in_everything_and_its_rubbish_is_used_nowhere() {
    let sample = &SAMPLES[0];
    let scratch = Scratch::new();
    let engine = open(&format!("local:{}", roomy(&scratch).display()));
    let mut using = model_use(engine.name());
    using.rounds = 2;
    using.testing = Some(session::TestingUse::default());
    let mut options = model_options(90, using);
    options.agents.push("flags".to_owned());
    let (finished, record) = run(&scratch, sample, options, Arc::new(Steered(engine))).unwrap();

    // Nothing of what it says is used, and the best of the built-in agents is what the run returns.
    let from_model = ["source", "ir", "assembly"];
    let agents: Vec<&str> = record
        .tree
        .nodes()
        .iter()
        .map(|n| n.agent.as_str())
        .collect();
    assert!(agents.contains(&"flags"), "{agents:?}");
    assert!(
        !from_model.iter().any(|agent| agents.contains(agent)),
        "{agents:?}"
    );
    assert!(record.tree.get(record.conclusion.unwrap().winner).is_some());

    // Every call is in the report, with what of its prompt was kept.
    let calls = &finished.report.calls;
    for agent in ["testing", "guide"].iter().chain(&from_model) {
        assert!(calls.iter().any(|call| call.agent == *agent), "{agent}");
    }
    for call in calls {
        let kept = call.compressed.as_ref().unwrap();
        assert!(
            kept.kept_tokens < kept.tokens as f64,
            "{}: {kept:?}",
            call.label
        );
        assert!(kept.kept_bytes < kept.bytes, "{}: {kept:?}", call.label);
    }
}
