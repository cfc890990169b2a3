//! Pipelines, edits and the catalogue against the installed clang and opt.
#![allow(clippy::unwrap_used)] // clippy allows it in test functions, but not in their helpers

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::pipeline::{Catalogue, Level, Node, Pipeline, crossover, mutate};
use whittle_toolchain::tools::{Found, Tool};

/// A program with something in it for every kind of pass.
const PROGRAM: &str = include_str!("pipeline.c");

/// clang, opt, and the program's IR as clang hands it to its middle end.
struct Llvm {
    clang: PathBuf,
    opt: PathBuf,
    folder: tempfile::TempDir,
}

impl Llvm {
    fn find() -> Self {
        let found = Found::find(None).unwrap();
        let llvm = Self {
            clang: found.path(Tool::Clang).unwrap().to_owned(),
            opt: found.path(Tool::Opt).unwrap().to_owned(),
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(llvm.path("program.c"), PROGRAM).unwrap();
        let flags = [
            "-O3",
            "-Xclang",
            "-disable-llvm-passes",
            "-S",
            "-emit-llvm",
            "program.c",
        ];
        expect(llvm.run(&llvm.clang, &flags));
        llvm
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    /// What clang says it runs.
    fn pipeline(&self, flags: &[&str]) -> String {
        let print = [
            "-mllvm",
            "-print-pipeline-passes",
            "-c",
            "program.c",
            "-o",
            "program.o",
        ];
        expect(self.run(&self.clang, &[flags, &print].concat()))
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue::known_to(&expect(self.run(&self.opt, &["--print-passes"])))
    }

    /// What opt complains of, or nothing.
    fn complaint(&self, pipeline: &Pipeline, catalogue: &Catalogue) -> Option<String> {
        self.complaint_about("program.ll", pipeline, catalogue)
    }

    fn complaint_about(
        &self,
        module: &str,
        pipeline: &Pipeline,
        catalogue: &Catalogue,
    ) -> Option<String> {
        let passes = format!("-passes={pipeline}");
        let out = format!("{module}.out");
        let mut arguments = vec!["-S", module, "-o", &out, &passes];
        arguments.extend(catalogue.flags_of(pipeline));
        let output = self.run(&self.opt, &arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        (!output.status.success()).then(|| text.lines().take(3).collect::<Vec<_>>().join("\n"))
    }
}

fn expect(output: Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_installed_clangs_pipelines_come_back_unchanged_and_are_taken() {
    let llvm = Llvm::find();
    let catalogue = llvm.catalogue();
    for level in ["-O1", "-O2", "-O3", "-Os", "-Oz"] {
        let text = llvm.pipeline(&[level]);
        let pipeline: Pipeline = text.parse().unwrap();
        assert_eq!(pipeline.to_string(), text.trim_end());
        assert_eq!(llvm.complaint(&pipeline, &catalogue), None, "{level}");
    }
    let text = llvm.pipeline(&["-O3", "-fprofile-generate"]);
    assert_eq!(
        text.parse::<Pipeline>().unwrap().to_string(),
        text.trim_end()
    );
}

#[test]
fn every_pass_of_the_catalogue_that_opt_knows_runs_wherever_it_may_stand() {
    let llvm = Llvm::find();
    let catalogue = llvm.catalogue();
    assert!(catalogue.extras().len() > Catalogue::full().extras().len() / 2);
    let o3: Pipeline = llvm.pipeline(&["-O3"]).parse().unwrap();
    assert_eq!(llvm.complaint(&o3, &catalogue), None);
    for extra in catalogue.extras() {
        for level in extra.levels {
            let node: Node = extra.text.parse().unwrap();
            let function = |node| Node::group("function", vec![node]);
            let alone = match level {
                Level::Module => node,
                Level::Cgscc => Node::group("cgscc", vec![node]),
                Level::Function => function(node),
                Level::Loop => function(Node::group("loop", vec![node])),
                Level::LoopMssa => function(Node::group("loop-mssa", vec![node])),
            };
            let pipeline = Pipeline { root: vec![alone] };
            // Plain code, and code that is optimized.
            for module in ["program.ll", "program.ll.out"] {
                let complaint = llvm.complaint_about(module, &pipeline, &catalogue);
                assert_eq!(complaint, None, "{} at {level}", extra.text);
            }
        }
    }
}

#[test]
fn opt_takes_mutated_pipelines() {
    let llvm = Llvm::find();
    let catalogue = llvm.catalogue();
    let o3: Pipeline = llvm.pipeline(&["-O3"]).parse().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(2026);
    let mut refused = Vec::new();
    for _ in 0..200 {
        let (pipeline, edit) = mutate(&o3, &mut random, &catalogue).unwrap();
        if let Some(complaint) = llvm.complaint(&pipeline, &catalogue) {
            refused.push(format!("{}: {complaint}", edit.describe(&o3)));
        }
    }
    println!(
        "{} of 200 mutations were refused: {refused:#?}",
        refused.len()
    );
    assert!(refused.len() <= 10, "{refused:#?}");
}

#[test]
fn opt_takes_pipelines_after_many_mutations_and_crossings() {
    let llvm = Llvm::find();
    let catalogue = llvm.catalogue();
    let o3: Pipeline = llvm.pipeline(&["-O3"]).parse().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let mut population = vec![o3; 2];
    let mut refused = Vec::new();
    for _ in 0..12 {
        for parent in &mut population {
            let (pipeline, edit) = mutate(parent, &mut random, &catalogue).unwrap();
            match llvm.complaint(&pipeline, &catalogue) {
                None => *parent = pipeline,
                Some(complaint) => refused.push(format!("{}: {complaint}", edit.describe(parent))),
            }
        }
        let child = crossover(&population[0], &population[1], &mut random);
        if let Some(complaint) = llvm.complaint(&child, &catalogue) {
            refused.push(format!("crossing: {complaint}"));
        }
    }
    println!("{} of 36 were refused: {refused:#?}", refused.len());
    assert!(refused.len() <= 3, "{refused:#?}");
}
