//! A model that gives no reply.

use whittle_optimizer::archive::RunRecord;
use whittle_optimizer::session::{self, Event};
use whittle_optimizer::tree::NodeId;

use super::programs::SAMPLES;
use super::script::Script;
use super::{inputs, model_options, model_use, program, run};
use crate::common::Scratch;

/// What a run says of a model that it has given up.
const GIVEN_UP: &str = "the model is not asked any more";

fn has_given_up(record: &RunRecord) -> bool {
    record.log.iter().any(|line| line.text.contains(GIVEN_UP))
}

#[test]
fn a_model_that_always_fails_is_given_up_and_a_resumed_run_tries_it_again() {
    let sample = &SAMPLES[0];
    let scratch = Scratch::new();
    let script = Script::new(scratch.path("script"));
    let asked = || {
        script
            .labels()
            .iter()
            .map(|(_, times)| times)
            .sum::<usize>()
    };
    let mut setup = scratch.setup();
    setup.model = Some(script.open());
    let mut options = model_options(120, model_use(&script.spec()));
    options.agents = vec!["flags".to_owned(), "source".to_owned()];
    // Killed when it goes on without the model.
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        session::optimize(
            &mut setup,
            program(&scratch, sample),
            options,
            &inputs(&scratch, sample),
            &mut |event| {
                if let Event::Node { node, .. } = event {
                    assert!(asked() < 3 || node.agent != "flags", "killed");
                }
            },
        )
    }));
    assert!(killed.is_err());
    assert_eq!(asked(), 3);
    let run = setup.archive.runs().unwrap()[0].id.clone();
    let before = setup.archive.load(&run).unwrap();
    assert!(has_given_up(&before), "{:?}", before.log);
    assert_eq!(before.calls, []);

    let script = Script::new(scratch.path("script")).decisions(&[]);
    drop(setup);
    let mut setup = scratch.setup();
    setup.model = Some(script.open());
    session::resume(&mut setup, &run, &mut |_| {}).unwrap();
    let after = setup.archive.load(&run).unwrap();
    assert!(after.conclusion.is_some());
    assert_eq!(after.calls.len(), 1, "it is asked again, and answers");
}

#[test]
fn a_run_that_has_nothing_but_a_failing_model_concludes() {
    let sample = &SAMPLES[0];
    let scratch = Scratch::new();
    let script = Script::new(scratch.path("script"));
    let model = script.open();
    let options = model_options(60, model_use(model.name()));
    let (finished, record) = run(&scratch, sample, options, model).unwrap();
    assert!(has_given_up(&record), "{:?}", record.log);
    let asked: usize = script.labels().iter().map(|(_, times)| times).sum();
    assert_eq!(asked, 3);
    assert_eq!(record.conclusion.unwrap().winner, NodeId::ROOT);
    let said = finished.report.log.iter();
    assert!(
        said.map(|line| &line.text)
            .any(|text| text.contains(GIVEN_UP))
    );
}
