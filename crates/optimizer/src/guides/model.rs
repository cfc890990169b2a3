//! A language model as the guide: the actions are its tools (arXiv 2604.04238).
//!
//! Each decision is a conversation of its own: what the model needs to know is in the tree and in the last actions, so
//! that a resumed run decides as it would have. A model that gives no usable answer is stood in for by the bandit.

use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::{Value, json};
use whittle_chat::{ChatReply, ChatRequest, Message, Tool, ToolCall};

use crate::agents;
use crate::budget::Resource;
use crate::evidence::insight::Insight;
use crate::guides::thompson::Thompson;
use crate::guides::{Action, Ask, Brief, Guide, GuideEntry, GuideError, View};
use crate::prompts::{self, cut};
use crate::tree::{Node, NodeId};

pub(super) const ENTRY: GuideEntry = GuideEntry {
    name: "model",
    summary: "a language model, with the compiler's parts and the agents as its tools",
    needs_model: true,
    build: || Box::new(ModelGuide),
};

/// Answers that may be unusable before the bandit decides.
const TRIES: u32 = 3;
/// Most tokens of an answer: a tool call and a thought.
const MAX_TOKENS: u32 = 1500;
/// Nodes and actions that are shown, the last ones and the best.
const NODES: usize = 40;
const ACTIONS: usize = 8;
const LONGEST_RESULT: usize = 1500;
/// Most inputs of a test action.
const MOST_INPUTS: u64 = 2000;

struct ModelGuide;

#[derive(Serialize)]
struct Values<'a> {
    program: &'a str,
    hot: String,
    tree: Vec<String>,
    current: u32,
    best: String,
    budget: String,
    actions: Vec<String>,
}

impl Guide for ModelGuide {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    /// Without a model: as the bandit.
    fn next(&mut self, view: &View<'_>, random: &mut ChaCha8Rng) -> Action {
        Thompson.next(view, random)
    }

    fn consult(
        &mut self,
        view: &View<'_>,
        random: &mut ChaCha8Rng,
        ask: &mut Ask<'_>,
    ) -> Result<Action, GuideError> {
        let [system, user] = prompts::GUIDE.fill(&values(view));
        let mut messages = vec![
            Message::System { text: system },
            Message::User { text: user },
        ];
        for attempt in 1..=TRIES {
            let request = ChatRequest {
                label: format!("decision {}/try {attempt}", view.actions.len() + 1),
                messages: messages.clone(),
                tools: tools(view),
                max_tokens: MAX_TOKENS,
                temperature: None,
                seed: None,
            };
            let Some(Ok(reply)) = ask(request)? else {
                break;
            };
            match decide(view, &reply) {
                Ok(action) => return Ok(action),
                Err(why) => complain(&mut messages, reply, &why),
            }
        }
        Ok(self.next(view, random))
    }
}

/// Adds an unusable answer to the conversation, and what is wrong with it.
fn complain(messages: &mut Vec<Message>, reply: ChatReply, why: &str) {
    let calls = reply.tool_calls.clone();
    messages.push(Message::Assistant {
        text: reply.text,
        tool_calls: reply.tool_calls,
    });
    if calls.is_empty() {
        messages.push(Message::User {
            text: why.to_owned(),
        });
    }
    for call in calls {
        messages.push(Message::ToolResult {
            id: call.id,
            text: why.to_owned(),
        });
    }
}

fn values<'a>(view: &'a View<'_>) -> Values<'a> {
    let hot = view.insight.map_or_else(String::new, Insight::hot_names);
    let ranked = view.tree.ranked();
    let skip = view.tree.nodes().len().saturating_sub(NODES);
    let shown = |node: &&Node| {
        node.id.0 as usize >= skip || ranked.iter().take(5).any(|best| best.id == node.id)
    };
    let skip_actions = view.actions.len().saturating_sub(ACTIONS);
    Values {
        program: view.program,
        hot: if hot.is_empty() {
            "not known".to_owned()
        } else {
            hot
        },
        tree: view
            .tree
            .nodes()
            .iter()
            .filter(shown)
            .map(|node| view.tree.line(node))
            .collect(),
        current: current(view).0,
        best: ranked.first().map_or_else(String::new, |node| {
            format!("{} at {:.3} times", node.id, node.speedup().unwrap_or(1.0))
        }),
        budget: budget(view),
        actions: view.actions[skip_actions..]
            .iter()
            .map(|record| {
                let result = record.result.as_deref().unwrap_or_default();
                format!(
                    "{}: {}",
                    record.action.in_words(),
                    cut(result, LONGEST_RESULT)
                )
            })
            .collect(),
    }
}

/// The node that the last action was about or led to.
fn current(view: &View<'_>) -> NodeId {
    let Some(last) = view.actions.last() else {
        return NodeId::ROOT;
    };
    let made = view
        .tree
        .nodes()
        .get(last.first_node.0 as usize..)
        .unwrap_or_default();
    let best = made
        .iter()
        .filter(|node| node.speedup().is_some())
        .max_by(|a, b| {
            a.speedup()
                .partial_cmp(&b.speedup())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    best.map(|node| node.id)
        .or(last.action.node())
        .unwrap_or(NodeId::ROOT)
}

fn budget(view: &View<'_>) -> String {
    let (budget, ledger) = view.budget;
    let left: Vec<String> = Resource::ALL
        .into_iter()
        .filter_map(|resource| {
            let left = ledger.left(budget, resource)?;
            Some(match resource {
                Resource::Dollars => format!("{left:.2} {}", resource.name()),
                _ => format!("{left:.0} {}", resource.name()),
            })
        })
        .collect();
    if left.is_empty() {
        "no limit".to_owned()
    } else {
        left.join(", ")
    }
}

/// The tools: the compiler's parts, the agents of this run, and what looks or goes somewhere.
fn tools(view: &View<'_>) -> Vec<Tool> {
    let summary = |name: &str| {
        let entry = agents::registry().iter().find(|entry| entry.name == name);
        entry.map_or("", |entry| entry.summary)
    };
    let agents = view.agents.iter().map(|agent| agent.name());
    let agents: Vec<Value> = agents
        .map(|name| json!({"name": name, "summary": summary(name)}))
        .collect();
    prompts::guide_tools(&json!({"agents": agents}))
}

/// The action that a reply asks for, or what is wrong with it, for the model.
fn decide(view: &View<'_>, reply: &ChatReply) -> Result<Action, String> {
    let [call, ..] = reply.tool_calls.as_slice() else {
        return Err("You called no tool. Call exactly one.".to_owned());
    };
    let node = node(view, call)?;
    Ok(match call.name.as_str() {
        "front_end" => Action::FrontEnd { node },
        "middle_end" => Action::MiddleEnd {
            node,
            pipeline: text(call, "passes"),
        },
        "back_end" => Action::BackEnd { node },
        "optimize" => Action::Optimize {
            node,
            agent: agent(view, call)?,
            brief: Brief {
                samples: number(call, "samples").map(|n| n.clamp(1, 8) as u32),
                rounds: number(call, "rounds").map(|n| n.clamp(1, 8) as u32),
                focus: text(call, "focus"),
                instructions: text(call, "instructions").map(|text| cut(&text, 2000)),
            },
        },
        "analyze" => Action::Analyze { node },
        "test" => Action::Test {
            node,
            inputs: number(call, "inputs").unwrap_or(100).clamp(1, MOST_INPUTS) as u32,
        },
        "measure" => Action::Measure { node },
        "go_to" => Action::GoTo { node },
        "stop" => Action::Stop,
        other => return Err(format!("There is no tool named {other:?}.")),
    })
}

fn node(view: &View<'_>, call: &ToolCall) -> Result<NodeId, String> {
    let wanted = match call.arguments.get("node") {
        None | Some(Value::Null) => return Ok(current(view)),
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_str()?.trim_start_matches('#').parse().ok()),
    };
    let id = wanted
        .and_then(|number| u32::try_from(number).ok())
        .map(NodeId);
    let known = id.filter(|id| view.tree.get(*id).is_some());
    known.ok_or_else(|| format!("There is no such node: {}.", call.arguments))
}

fn agent(view: &View<'_>, call: &ToolCall) -> Result<String, String> {
    let wanted = text(call, "agent").unwrap_or_default();
    let names: Vec<&str> = view.agents.iter().map(|agent| agent.name()).collect();
    if names.contains(&wanted.as_str()) {
        return Ok(wanted);
    }
    Err(format!(
        "There is no agent named {wanted:?}; there are: {}.",
        names.join(", ")
    ))
}

fn text(call: &ToolCall, name: &str) -> Option<String> {
    let text = call.arguments.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn number(call: &ToolCall, name: &str) -> Option<u64> {
    call.arguments.get(name)?.as_u64()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use whittle_chat::{Finish, Usage};

    use super::*;
    use crate::guides::testing::{agents, tree, view};

    fn reply(name: &str, arguments: Value) -> ChatReply {
        let call = ToolCall {
            id: "1".to_owned(),
            name: name.to_owned(),
            arguments,
        };
        ChatReply {
            text: String::new(),
            tool_calls: if name.is_empty() {
                Vec::new()
            } else {
                vec![call]
            },
            finish: Finish::ToolCalls,
            usage: Usage::default(),
            cost: None,
            compressed: None,
        }
    }

    /// What comes of these replies, one after the other, and what was asked.
    fn consult(replies: Vec<ChatReply>) -> (Action, Vec<ChatRequest>) {
        let (tree, agents) = (tree(&[(0, "a", 1.1), (1, "b", 1.3)]), agents(&["a", "b"]));
        let view = view(&tree, &agents);
        let (mut asked, mut replies) = (Vec::new(), replies.into_iter());
        let action = ModelGuide.consult(&view, &mut ChaCha8Rng::seed_from_u64(1), &mut |request| {
            asked.push(request);
            Ok(replies.next().map(Ok))
        });
        (action.unwrap(), asked)
    }

    #[test]
    fn tools_become_actions() {
        let node = NodeId(1);
        let brief = Brief {
            rounds: Some(4),
            focus: Some("f".to_owned()),
            ..Brief::default()
        };
        for (name, arguments, action) in [
            (
                "front_end",
                json!({}),
                Action::FrontEnd { node: NodeId::ROOT },
            ),
            (
                "middle_end",
                json!({"node": 1}),
                Action::MiddleEnd {
                    node,
                    pipeline: None,
                },
            ),
            (
                "middle_end",
                json!({"node": "#1", "passes": "gvn"}),
                Action::MiddleEnd {
                    node,
                    pipeline: Some("gvn".to_owned()),
                },
            ),
            ("back_end", json!({"node": 1}), Action::BackEnd { node }),
            (
                "optimize",
                json!({"node": 1, "agent": "b", "rounds": 4, "focus": "f", "instructions": " "}),
                Action::Optimize {
                    node,
                    agent: "b".to_owned(),
                    brief,
                },
            ),
            ("analyze", json!({"node": 1}), Action::Analyze { node }),
            (
                "test",
                json!({"node": 1, "inputs": 1e12 as u64}),
                Action::Test { node, inputs: 2000 },
            ),
            ("measure", json!({"node": 1}), Action::Measure { node }),
            ("go_to", json!({"node": 1}), Action::GoTo { node }),
            ("stop", json!({"reason": "enough"}), Action::Stop),
        ] {
            assert_eq!(consult(vec![reply(name, arguments)]).0, action, "{name}");
        }
    }

    #[test]
    fn a_wrong_answer_is_sent_back_and_the_bandit_stands_in_at_last() {
        let wrong = || {
            vec![
                reply("", Value::Null),
                reply("optimize", json!({"agent": "nobody"})),
                reply("measure", json!({"node": 77})),
            ]
        };
        let (action, asked) = consult(wrong());
        assert!(matches!(action, Action::Optimize { .. }));
        assert_eq!(asked.len(), 3);
        let said = serde_json::to_string(&asked[2].messages).unwrap();
        assert!(
            said.contains("called no tool") && said.contains("no agent named"),
            "{said}"
        );
        let labels: Vec<&str> = asked.iter().map(|request| request.label.as_str()).collect();
        assert_eq!(
            labels,
            ["decision 1/try 1", "decision 1/try 2", "decision 1/try 3"]
        );
        let mut corrected = wrong();
        corrected[1] = reply("stop", json!({}));
        assert_eq!(consult(corrected).0, Action::Stop);
    }

    #[test]
    fn it_sees_the_tree_the_best_and_the_budget() {
        let (_, asked) = consult(vec![reply("stop", json!({}))]);
        let Message::User { text } = &asked[0].messages[1] else {
            panic!("{:?}", asked[0].messages);
        };
        for part in [
            "#0 (source)",
            "    #2 (source, by b)",
            "#2 at 1.300 times",
            "no limit",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        let names: Vec<&str> = asked[0]
            .tools
            .iter()
            .map(|tool| tool.name.as_str())
            .collect();
        assert!(
            names.contains(&"front_end") && names.contains(&"stop"),
            "{names:?}"
        );
    }
}
