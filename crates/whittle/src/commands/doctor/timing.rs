//! How even this machine's times are: a small program, run often.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use whittle_toolchain::measure::{
    CompareOptions, MachineNoise, NoiseFloor, Workload, machine_noise, noise_floor,
};
use whittle_toolchain::sandbox::{Limits, SealedInput};
use whittle_toolchain::tools::{Toolchain, Unit};

/// Some hundredths of a second of arithmetic that no compiler can shorten.
const PROGRAM: &str = "\
#include <stdio.h>
int main(void) {
    unsigned x = 1;
    for (int i = 0; i < 12000000; i++) x = (x ^ (x >> 13)) * 1664525u + 1013904223u;
    printf(\"%u\\n\", x);
    return 0;
}
";
/// Runs that show how much single times differ.
const RUNS: usize = 30;
/// Link layouts, as in the measurements of a run.
const LAYOUTS: u32 = 5;
/// Time for the comparison with itself.
pub(super) const TIME: Duration = Duration::from_secs(4);

/// What came out.
#[derive(Serialize)]
pub(super) struct Timing {
    /// How much single times differ.
    pub(super) runs: MachineNoise,
    /// What a comparison of the program with itself cannot tell apart.
    pub(super) floor: NoiseFloor,
}

/// Measures.
pub(super) fn measure(toolchain: &Toolchain) -> Result<Timing> {
    let unit = Unit {
        name: "main.c".to_owned(),
        text: PROGRAM.to_owned(),
    };
    let assembly = toolchain.compile_assembly(&[unit], "main.c", &["-O3".to_owned()])?;
    let object = toolchain.assemble(&assembly.output)?;
    let layouts = (0..LAYOUTS)
        .map(|layout| {
            Ok(toolchain
                .link(std::slice::from_ref(&object), layout, &[])?
                .path)
        })
        .collect::<Result<Vec<PathBuf>>>()?;
    let workload = Workload {
        name: "arithmetic".to_owned(),
        arguments: Vec::new(),
        input: SealedInput::new(&[])?,
    };
    let limits = Limits {
        wall: Duration::from_secs(10),
        cpu: Duration::from_secs(10),
        memory: Some(1 << 30),
        processes: 1,
        output: 1 << 16,
    };
    let sandbox = toolchain.sandbox();
    let runs = machine_noise(sandbox, &layouts[0], &workload, limits, RUNS)?;
    let options = CompareOptions {
        time_limit: TIME,
        ..CompareOptions::new(limits, 0)
    };
    let floor = noise_floor(sandbox, &layouts, &[workload], &options, &mut |_| {
        ControlFlow::Continue(())
    })?;
    Ok(Timing { runs, floor })
}
