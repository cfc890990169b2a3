//! Comparing two programs in the sandbox.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::MeasureError;
use super::blocks::{Observer, compare_blocks};
use super::run::{Outcome, Runs};
use super::types::{Arm, ArmName, CompareOptions, Comparison, Workload};
use crate::sandbox::Sandbox;

/// Whether an output of the candidate may stand for another one of the baseline: workload, baseline's output, candidate's.
pub type Accept<'a> = dyn Fn(&Workload, &[u8], &[u8]) -> bool + 'a;

/// Compares the running times of two programs: see the module's own words for how.
///
/// Before anything is timed both programs run once with each workload. The candidate's exit status and standard output must
/// be the baseline's, and those of every later run what they were then; else the comparison ends with an error. So it does
/// if a run does not end by itself within the limits. With five layouts or fewer the interval is wide because Student's t
/// is; eight and more are better.
pub fn compare(
    sandbox: &Sandbox,
    baseline: &Arm<'_>,
    candidate: &Arm<'_>,
    workloads: &[Workload],
    options: &CompareOptions,
    observer: &mut Observer<'_>,
) -> Result<Comparison, MeasureError> {
    compare_accepting(
        sandbox,
        baseline,
        candidate,
        workloads,
        options,
        &|_, _, _| false,
        observer,
    )
}

/// [`compare`] for candidates whose output may differ, within a numeric tolerance say: `accept` is asked about outputs that
/// are not the same bytes.
pub fn compare_accepting(
    sandbox: &Sandbox,
    baseline: &Arm<'_>,
    candidate: &Arm<'_>,
    workloads: &[Workload],
    options: &CompareOptions,
    accept: &Accept<'_>,
    observer: &mut Observer<'_>,
) -> Result<Comparison, MeasureError> {
    if workloads.is_empty() || baseline.layouts.is_empty() {
        return Err(MeasureError::Nothing);
    }
    if baseline.layouts.len() != candidate.layouts.len() {
        return Err(MeasureError::Unpaired {
            baseline_name: baseline.name.to_owned(),
            baseline: baseline.layouts.len(),
            candidate_name: candidate.name.to_owned(),
            candidate: candidate.layouts.len(),
        });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(2);
    let mut runs = Runs {
        sandbox,
        limits: options.limits,
        rng,
    };
    let mut expected = Vec::with_capacity(workloads.len());
    for workload in workloads {
        let old = runs.run(baseline.name, &baseline.layouts[0], workload)?;
        let new = runs.run(candidate.name, &candidate.layouts[0], workload)?;
        let accepted = old.status == new.status && accept(workload, &old.output, &new.output);
        let (old, new) = (old.outcome(), new.outcome());
        if !accepted && old != new {
            // Who is to blame? Perhaps the baseline gives something else every time.
            let again = runs.run(baseline.name, &baseline.layouts[0], workload)?;
            agree(baseline.name, workload, &old, &again.outcome())?;
            agree(candidate.name, workload, &old, &new)?;
        }
        expected.push([old, new]);
    }
    let mut runner = |arm: ArmName, layout: usize, workload: usize| {
        let (which, arm) = if arm == ArmName::Baseline {
            (0, baseline)
        } else {
            (1, candidate)
        };
        let run = runs.run(arm.name, &arm.layouts[layout], &workloads[workload])?;
        agree(
            arm.name,
            &workloads[workload],
            &expected[workload][which],
            &run.outcome(),
        )?;
        Ok(run.times)
    };
    let names: Vec<String> = workloads.iter().map(|w| w.name.clone()).collect();
    let comparison = compare_blocks(
        &names,
        baseline.layouts.len(),
        options,
        2 * workloads.len(),
        &mut runner,
        observer,
    )?;
    let outputs_equal = expected.iter().all(|[old, new]| old == new);
    Ok(Comparison {
        outputs_equal,
        ..comparison
    })
}

/// An error unless the outcome is the expected one.
fn agree(
    arm: &str,
    workload: &Workload,
    expected: &Outcome,
    found: &Outcome,
) -> Result<(), MeasureError> {
    expected.difference(found).map_or(Ok(()), |difference| {
        Err(MeasureError::OutputsDiffer {
            workload: workload.name.clone(),
            arm: arm.to_owned(),
            difference,
        })
    })
}
