//! The built-in agents with the real compilers and made-up speed-ups.
#![allow(clippy::unwrap_used)] // clippy allows it in test functions, but not in their helpers

mod flags;
mod passes;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::{Sandbox, SandboxOptions, SealedInput};
use whittle_toolchain::tools::{Found, Store, Toolchain, Unit};

use super::recipes::{self, Experience, Note};
use super::*;
use crate::candidate::Artifact;
use crate::evidence::build::{BuildError, Builder};
use crate::evidence::portable::Demands;
use crate::tree::Outcome;

const PROGRAM: &str = r#"
#include <math.h>
#include <stdio.h>
static double a[64][64], b[64][64], c[64][64];
static int count(const char *s) {
  int n = 0;
  for (; *s; s++) {
    switch (*s) {
    case 'a': n += 1; break;
    case 'b': n += 7; break;
    case 'c': n ^= 5; break;
    case 'd': n *= 3; break;
    default: n -= 2;
    }
  }
  return n;
}
int main(void) {
  int n = 0;
  char text[64];
  if (scanf("%d %63s", &n, text) != 2 || n > 64) return 1;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) a[i][j] = i + j, b[j][i] = sqrt(i * j);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      for (int k = 0; k < n; k++) c[i][j] += a[i][k] * b[k][j];
  printf("%g %d\n", c[n - 1][n / 2], count(text));
}
"#;

fn toolchain(folder: &tempfile::TempDir) -> Toolchain {
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    Toolchain::new(Found::find(None).unwrap(), sandbox, store).unwrap()
}

fn program(files: &[(&str, &str)]) -> Program {
    let unit = |(name, text): &(&str, &str)| Unit {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    Program {
        name: "program".to_owned(),
        units: files.iter().map(unit).collect(),
        flags: Vec::new(),
        link_flags: Vec::new(),
    }
}

fn agent(name: &str, host: bool) -> Box<dyn Agent> {
    let entry = registry().iter().find(|entry| entry.name == name).unwrap();
    (entry.build)(&AgentOptions { host })
}

/// A workbench that really builds what is proposed, and makes up how fast it is.
struct Bench<'a> {
    program: &'a Program,
    toolchain: &'a Toolchain,
    builder: Builder<'a>,
    tree: Tree,
    node: NodeId,
    agent: &'static str,
    random: ChaCha8Rng,
    speedup: fn(&Candidate) -> f64,
    /// Whether candidates are built; else all of them count as timed.
    builds: bool,
    left: usize,
    refused: Vec<String>,
    hot: std::cell::OnceCell<Vec<whittle_toolchain::tools::HotFunction>>,
}

impl<'a> Bench<'a> {
    fn new(toolchain: &'a Toolchain, program: &'a Program) -> Self {
        let training = Workload {
            name: "some".to_owned(),
            arguments: Vec::new(),
            input: SealedInput::new(b"20 abcd").unwrap(),
        };
        let mut bench = Self {
            program,
            toolchain,
            builder: Builder::new(toolchain, program, vec![training]),
            tree: Tree::default(),
            node: NodeId::ROOT,
            agent: "",
            random: ChaCha8Rng::seed_from_u64(1),
            speedup: |_| 1.0,
            builds: true,
            left: usize::MAX,
            refused: Vec::new(),
            hot: std::cell::OnceCell::new(),
        };
        let artifact = Artifact {
            level: Level::Source,
            units: program.units.clone(),
        };
        bench.add(Candidate {
            artifact,
            recipe: Recipe::default(),
        });
        bench
    }

    /// Takes candidates as they are.
    fn unbuilt(toolchain: &'a Toolchain, program: &'a Program) -> Self {
        let mut bench = Self::new(toolchain, program);
        bench.builds = false;
        bench
    }

    /// A candidate under the current node that no agent proposed.
    fn add(&mut self, candidate: Candidate) -> NodeId {
        self.agent = "";
        let (change, note) = (String::new(), serde_json::Value::Null);
        self.push(Proposal {
            candidate,
            change,
            note,
        })
    }

    fn push(&mut self, proposal: Proposal) -> NodeId {
        let outcome = self.outcome(&proposal);
        let id = self.tree.next_id();
        self.tree.push(Node {
            id,
            parent: (id != NodeId::ROOT).then_some(self.node),
            agent: self.agent.to_owned(),
            change: proposal.change,
            note: proposal.note,
            candidate: proposal.candidate,
            outcome,
            extensions: Vec::new(),
            at_s: 0.0,
        });
        id
    }

    fn outcome(&mut self, proposal: &Proposal) -> Outcome {
        let candidate = &proposal.candidate;
        let timed = |code| Outcome::Timed {
            code,
            speedup: (self.speedup)(candidate),
            seconds: Vec::new(),
        };
        if !self.builds {
            return timed(candidate.digest());
        }
        match self.builder.build(candidate) {
            Ok(built) => {
                // What built-in agents propose without this host's instruction set is portable.
                let demands = self.builder.demands(candidate, &built).unwrap();
                assert_eq!(demands, Demands::default(), "{}", proposal.change);
                match self.tree.with_code(&built.code) {
                    Some(twin) => Outcome::Duplicate { of: twin.id },
                    None => timed(built.code),
                }
            }
            Err(BuildError::Rejected(rejection)) => {
                let refused = format!("{}: {}", proposal.change, rejection.reason);
                self.refused.push(refused);
                Outcome::Rejected { rejection }
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Turns of an agent, as long as it applies.
    fn turns(&mut self, agent: &mut dyn Agent, turns: usize) {
        self.agent = agent.name();
        for _ in 0..turns {
            if !agent.applies(self.node(), &self.tree) {
                break;
            }
            agent.work(self).unwrap();
        }
    }

    /// What agents proposed.
    fn proposed(&self) -> Vec<&Node> {
        let nodes = self.tree.nodes().iter();
        nodes.filter(|node| !node.agent.is_empty()).collect()
    }
}

impl Workbench for Bench<'_> {
    fn program(&self) -> &Program {
        self.program
    }

    fn node(&self) -> &Node {
        self.tree.get(self.node).unwrap()
    }

    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn toolchain(&self) -> &Toolchain {
        self.toolchain
    }

    fn pipeline(&self, recipe: &Recipe) -> Result<String, TurnEnded> {
        Ok(self.builder.pipeline(recipe).unwrap())
    }

    fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.random
    }

    fn budget_left(&self) -> f64 {
        1.0
    }

    fn agent(&self) -> &'static str {
        self.agent
    }

    fn brief(&self) -> &Brief {
        static NOTHING: Brief = Brief {
            samples: None,
            rounds: None,
            focus: None,
            instructions: None,
        };
        &NOTHING
    }

    fn turn(&self) -> u32 {
        1
    }

    fn editable(&self, level: Level) -> Result<Result<Candidate, String>, TurnEnded> {
        let editable = self.builder.editable(&self.node().candidate, level);
        Ok(editable.map_err(|error| error.to_string()))
    }

    fn insight(&self) -> Insight<'_> {
        Insight::new(&self.builder, &self.hot)
    }

    fn model(&self) -> Option<&ModelUse> {
        None
    }

    fn ask(&mut self, _: Vec<ChatRequest>) -> Result<Vec<Result<ChatReply, ChatError>>, TurnEnded> {
        Err(TurnEnded::Over)
    }

    fn unusable(&mut self, _: &str, _: &str) -> Result<(), TurnEnded> {
        Ok(())
    }

    fn visible_test(&self, _: &str) -> Option<&Case> {
        None
    }

    fn submit(&mut self, proposal: Proposal) -> Result<NodeId, TurnEnded> {
        if self.left == 0 {
            return Err(TurnEnded::Over);
        }
        self.left -= 1;
        Ok(self.push(proposal))
    }
}

#[test]
fn names_are_told_apart() {
    let names: std::collections::BTreeSet<_> = registry().iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), registry().len());
    for entry in registry() {
        assert_eq!(agent(entry.name, true).name(), entry.name);
        assert!(!entry.summary.is_empty());
    }
}

#[test]
fn a_turn_ends_with_its_first_success_and_with_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    for name in ["passes", "flags"] {
        let mut bench = Bench::unbuilt(&toolchain, &program);
        bench.speedup = |_| 1.2;
        bench.turns(agent(name, false).as_mut(), 1);
        let successes = bench
            .proposed()
            .iter()
            .filter(|node| node.speedup().is_some())
            .count();
        assert_eq!(successes, 1, "{name}");
        bench.left = 0;
        assert!(
            matches!(agent(name, false).work(&mut bench), Err(TurnEnded::Over)),
            "{name}"
        );
    }
}

#[test]
fn the_same_tree_and_chance_give_the_same_proposals() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let run = |name| {
        let mut bench = Bench::unbuilt(&toolchain, &program);
        // A new agent for every turn, as in a run that was interrupted after each.
        for _ in 0..3 {
            bench.turns(agent(name, false).as_mut(), 1);
        }
        bench.tree
    };
    for name in ["passes", "flags"] {
        assert_eq!(run(name), run(name));
    }
}

#[test]
fn what_paid_is_drawn_sooner() {
    let folder = tempfile::tempdir().unwrap();
    let (toolchain, program) = (toolchain(&folder), program(&[("program.c", PROGRAM)]));
    let mut bench = Bench::unbuilt(&toolchain, &program);
    bench.speedup = |candidate| {
        if candidate.recipe.back_end.is_empty() {
            0.9
        } else {
            1.1
        }
    };
    bench.agent = "flags";
    for (sort, flag) in [("good", "-disable-lsr"), ("bad", "")] {
        for value in 0..4 {
            let mut candidate = bench.node().candidate.clone();
            candidate.recipe.middle_end = vec![format!("-unroll-count={value}")];
            candidate
                .recipe
                .back_end
                .extend((!flag.is_empty()).then(|| flag.to_owned()));
            let note = Note {
                changes: vec![sort.to_owned()],
                edits: Vec::new(),
            }
            .to_json();
            let id = bench.push(Proposal {
                candidate,
                change: String::new(),
                note,
            });
            assert!(id > NodeId::ROOT);
        }
    }
    let experience = Experience::of(&bench.tree, "flags");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut mean = |sort, rank| {
        (0..200)
            .map(|_| experience.draw(sort, rank, &mut random))
            .sum::<f64>()
            / 200.0
    };
    let (good, bad, unknown, late) = (
        mean("good", 3),
        mean("bad", 3),
        mean("unknown", 3),
        mean("unknown", 30),
    );
    assert!(
        good > unknown && unknown > bad && unknown > late,
        "{good} {bad} {unknown} {late}"
    );
    let nobody = Experience::of(&bench.tree, "passes");
    assert!((0..50).any(|_| nobody.draw("bad", 0, &mut random) > 0.5));
}

#[test]
fn a_flag_replaces_the_one_that_sets_the_same() {
    let flags = ["-O3", "-inline-threshold=5", "-fno-plt"].map(str::to_owned);
    let joined = |flag: &str| recipes::with_flag(&flags, flag).join(" ");
    assert_eq!(
        joined("-inline-threshold=9"),
        "-O3 -fno-plt -inline-threshold=9"
    );
    assert_eq!(joined("-Os"), "-inline-threshold=5 -fno-plt -Os");
    assert_eq!(
        joined("-fno-pie"),
        "-O3 -inline-threshold=5 -fno-plt -fno-pie"
    );
}

#[test]
fn help_texts_tell_which_flags_there_are() {
    let help = "  --inline-threshold=<int>   - Control\n  --disable-lsr     - Disable\n    =pgo  - x\n  --unroll\n";
    for known in ["-inline-threshold=5", "-disable-lsr", "-unroll=1"] {
        assert!(recipes::explains(help, known), "{known}");
    }
    for unknown in ["-inline", "-lsr", "-disable-lsr-x", "-unroll-count=2"] {
        assert!(!recipes::explains(help, unknown), "{unknown}");
    }
}
