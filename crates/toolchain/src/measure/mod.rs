//! Times of programs and what may be said of them.
//!
//! The timer stands outside the program: wall time and CPU time come from the sandbox, every run is a fresh process, and all
//! runs, timed or not, see the same kind of environment ([`environment`]). Two arms are compared in randomised ABBA blocks
//! ([`compare`]); several link layouts of the same program are samples, because where code comes to lie moves its time by
//! more than many an optimization does. The interval comes from a bootstrap over those layouts, is looked at a few planned
//! times only, and the verdict claims nothing below the noise floor that an A/A run ([`noise_floor`]) has shown.

mod blocks;
mod compare;
mod counts;
mod error;
mod estimate;
mod looks;
mod noise;
mod run;
#[cfg(test)]
mod simulation;
pub mod statistics;
mod types;
mod verdict;

pub use blocks::Observer;
pub use compare::{Accept, compare, compare_accepting};
pub use counts::{instruction_count, instruction_counts};
pub use error::{Difference, MeasureError};
pub use noise::{MachineNoise, machine_noise, noise_floor};
pub use run::{environment, program_job};
pub use types::{
    Arm, ArmName, CompareOptions, Comparison, NoiseFloor, Progress, Sample, Verdict, Workload,
    WorkloadComparison,
};
