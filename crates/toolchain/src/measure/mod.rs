//! Times of programs and what may be said of them.
//!
//! The timer stands outside the program: wall time and CPU time come from the sandbox, every run is a fresh process, and all
//! runs, timed or not, see the same kind of environment ([`environment`]). Two arms are compared in randomised ABBA blocks
//! ([`compare`]); several link layouts of the same program are samples, because where code comes to lie moves its time by
//! more than many an optimization does. The interval comes from a bootstrap over those layouts, is looked at a few planned
//! times only, and the verdict claims nothing below the noise floor that an A/A run ([`noise_floor`]) has shown.

pub mod statistics;
mod types;

pub use types::{
    Arm, ArmName, CompareOptions, Comparison, NoiseFloor, Progress, Sample, Verdict, Workload,
    WorkloadComparison,
};
