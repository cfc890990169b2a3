//! Whether the parts, put together, are as good as the whole: source → IR → assembly → executable by our own tools must run
//! as fast as what `clang -O3` builds. If not, every speed-up found by them would be measured against the wrong thing.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ToolError, Toolchain, Unit, normalized_assembly};
use crate::measure::{
    Arm, CompareOptions, Comparison, MeasureError, Observer, Verdict, Workload, compare,
};
use crate::sandbox::{Limits, SealedInput};

const NAME: &str = "self_check.c";
const PROGRAM: &str = include_str!("self_check.c");

/// How the self-check measures.
#[derive(Debug, Clone)]
pub struct SelfCheckOptions {
    /// Link layouts of each of the two programs.
    pub layouts: u32,
    /// Work of one run: about 2 ms each.
    pub rounds: u32,
    /// Run the two even if they are the same bytes under every layout, which says more of the machine than of them.
    pub even_if_identical: bool,
    /// How the two are compared.
    pub compare: CompareOptions,
}

impl SelfCheckOptions {
    /// A few seconds; the parts may be off by 2 %, or by this machine's noise if that is more.
    pub fn new(seed: u64, noise_floor: f64) -> Self {
        let compare = CompareOptions {
            margin: 0.02,
            noise_floor,
            min_blocks: 16,
            max_blocks: 96,
            target_half_width: 0.01,
            time_limit: std::time::Duration::from_secs(15),
            ..CompareOptions::new(Limits::RUN, seed)
        };
        Self {
            layouts: 8,
            rounds: 5,
            even_if_identical: true,
            compare,
        }
    }
}

/// What the self-check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// The assembly is the same, comments apart.
    pub listing_identical: bool,
    /// Time of clang's program over time of ours; it ought to be 1. `None` when the programs are the same and were not run.
    pub ratio: Option<f64>,
    /// Interval of the ratio.
    pub interval: Option<[f64; 2]>,
    /// Runs measured.
    pub runs: usize,
}

/// Why the parts can't be relied on.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// Our program is slower or faster than clang's.
    #[error(
        "self-check: what the compiler's parts build runs at {ratio:.3} of the speed of clang -O3 (interval {:.3} to {:.3}){}",
        .interval[0], .interval[1], explain(*.listing_identical)
    )]
    Differs {
        /// Time of clang's program over time of ours.
        ratio: f64,
        /// Its interval.
        interval: [f64; 2],
        /// Whether the assembly is the same, so that only the measurement can be to blame.
        listing_identical: bool,
    },
    /// A tool failed.
    #[error("self-check: {0}")]
    Tool(#[from] ToolError),
    /// The measurement failed: the programs' outputs differ, for example.
    #[error("self-check: {0}")]
    Measure(#[from] MeasureError),
}

fn explain(listing_identical: bool) -> &'static str {
    if listing_identical {
        ", although both are the same code: times on this machine can't be trusted now"
    } else {
        ""
    }
}

/// Builds a small program by `clang -O3` and by our own front, middle and back end, and compares listings and times.
pub fn self_check(
    toolchain: &Toolchain,
    options: &SelfCheckOptions,
    observer: &mut Observer<'_>,
) -> Result<SelfCheck, SelfCheckError> {
    let pipeline = toolchain.clang_pipeline(&flags())?;
    check_pipeline(toolchain, &pipeline, options, observer)
}

fn check_pipeline(
    toolchain: &Toolchain,
    pipeline: &str,
    options: &SelfCheckOptions,
    observer: &mut Observer<'_>,
) -> Result<SelfCheck, SelfCheckError> {
    let units = [Unit::new(NAME, PROGRAM)];
    let expected = toolchain.compile_assembly(&units, NAME, &flags())?.output;
    let ir = toolchain.front_end(&units, NAME, &flags())?.output;
    let ir = toolchain.middle_end(&ir, pipeline, &[])?.output;
    let ours = toolchain.back_end(&ir, &[])?.output;
    let listing_identical = normalized_assembly(&expected) == normalized_assembly(&ours);
    let builds = [
        build(toolchain, &expected, options)?,
        build(toolchain, &ours, options)?,
    ];
    if builds[0] == builds[1] && !options.even_if_identical {
        return Ok(SelfCheck {
            listing_identical,
            ratio: None,
            interval: None,
            runs: 0,
        });
    }
    let found = measure(toolchain, &builds, options, observer)?;
    let Comparison {
        ratio,
        interval,
        runs,
        verdict,
        ..
    } = found;
    if matches!(verdict, Verdict::Faster | Verdict::Slower) {
        return Err(SelfCheckError::Differs {
            ratio,
            interval,
            listing_identical,
        });
    }
    Ok(SelfCheck {
        listing_identical,
        ratio: Some(ratio),
        interval: Some(interval),
        runs,
    })
}

fn flags() -> [String; 1] {
    ["-O3".to_owned()]
}

/// The executables of a listing, one for each layout. As they are named by their content, equal paths are equal programs.
fn build(
    toolchain: &Toolchain,
    listing: &str,
    options: &SelfCheckOptions,
) -> Result<Vec<PathBuf>, ToolError> {
    let object = [toolchain.assemble(listing)?];
    let layouts = 0..options.layouts.max(1);
    layouts
        .map(|layout| Ok(toolchain.link(&object, layout, &[])?.path))
        .collect()
}

fn measure(
    toolchain: &Toolchain,
    builds: &[Vec<PathBuf>; 2],
    options: &SelfCheckOptions,
    observer: &mut Observer<'_>,
) -> Result<Comparison, SelfCheckError> {
    let workload = Workload {
        name: "self-check".to_owned(),
        arguments: vec![options.rounds.to_string()],
        input: SealedInput::new(b"").map_err(MeasureError::Scratch)?,
    };
    let arms = ["clang -O3", "the compiler's parts"];
    let [baseline, candidate] = [0, 1].map(|arm| Arm {
        name: arms[arm],
        layouts: &builds[arm],
    });
    Ok(compare(
        toolchain.sandbox(),
        &baseline,
        &candidate,
        &[workload],
        &options.compare,
        observer,
    )?)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::sandbox::{Sandbox, SandboxOptions};
    use crate::tools::{Found, Store};

    fn options(margin: f64) -> SelfCheckOptions {
        let options = SelfCheckOptions::new(1, 0.0);
        let compare = CompareOptions {
            margin,
            min_blocks: 4,
            max_blocks: 8,
            warm_up: 0,
            ..options.compare.clone()
        };
        SelfCheckOptions {
            layouts: 2,
            rounds: 2,
            compare,
            ..options
        }
    }

    fn toolchain(folder: &tempfile::TempDir) -> Toolchain {
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        Toolchain::new(
            Found::find(None).unwrap(),
            sandbox,
            Store::open(folder.path()).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn the_parts_are_as_good_as_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        // The margin is wide because other tests run beside this one.
        let toolchain = toolchain(&folder);
        let check = self_check(
            &toolchain,
            &options(9.0),
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
        assert!(check.listing_identical);
        let ([low, high], ratio) = (check.interval.unwrap(), check.ratio.unwrap());
        assert!(check.runs > 0 && low <= ratio && ratio <= high, "{check:?}");
        // The same bytes: nothing to measure unless asked for.
        let options = SelfCheckOptions {
            even_if_identical: false,
            ..options(9.0)
        };
        let check = self_check(&toolchain, &options, &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!(
            check,
            SelfCheck {
                listing_identical: true,
                ratio: None,
                interval: None,
                runs: 0
            }
        );
    }

    #[test]
    fn another_pipeline_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let toolchain = toolchain(&folder);
        let mut options = options(0.2);
        options.layouts = 6;
        options.compare.min_blocks = 12;
        options.compare.max_blocks = 24;
        // Every variable stays in memory: several times slower.
        let found = check_pipeline(&toolchain, "no-op-module", &options, &mut |_| {
            ControlFlow::Continue(())
        });
        let Err(SelfCheckError::Differs {
            ratio,
            listing_identical,
            ..
        }) = found
        else {
            panic!("{found:?}")
        };
        assert!(ratio < 1.0 && !listing_identical);
        let broken = check_pipeline(&toolchain, "no-such-pass", &options, &mut |_| {
            ControlFlow::Continue(())
        });
        assert!(matches!(
            broken,
            Err(SelfCheckError::Tool(ToolError::Failed { .. }))
        ));
        let cancelled = check_pipeline(&toolchain, "no-op-module", &options, &mut |_| {
            ControlFlow::Break(())
        });
        assert!(matches!(
            cancelled,
            Err(SelfCheckError::Measure(MeasureError::Cancelled))
        ));
    }

    #[test]
    fn what_the_error_says() {
        let error = |listing_identical| SelfCheckError::Differs {
            ratio: 0.912,
            interval: [0.9, 0.93],
            listing_identical,
        };
        insta::assert_snapshot!(format!("{}\n{}", error(false), error(true)), @r"
        self-check: what the compiler's parts build runs at 0.912 of the speed of clang -O3 (interval 0.900 to 0.930)
        self-check: what the compiler's parts build runs at 0.912 of the speed of clang -O3 (interval 0.900 to 0.930), although both are the same code: times on this machine can't be trusted now
        ");
    }
}
