//! What a processor would make of some machine code, by llvm-mca's model of it.

use serde::{Deserialize, Serialize};

use super::call::{Call, Done};
use super::{Tool, ToolError, Toolchain};

const LISTING: &str = "code.s";

/// Estimates for code taken as the body of an endless loop, with every load a hit and every branch foreseen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineCodeAnalysis {
    /// The processor that was modelled.
    pub cpu: String,
    /// Instructions in the code.
    pub instructions: usize,
    /// Iterations that were simulated.
    pub iterations: u64,
    /// Cycles that all iterations took.
    pub total_cycles: u64,
    /// Micro-operations of all iterations.
    pub total_uops: u64,
    /// Instructions per cycle.
    pub ipc: f64,
    /// Micro-operations per cycle.
    pub uops_per_cycle: f64,
    /// Micro-operations that can be dispatched per cycle.
    pub dispatch_width: u64,
    /// Cycles an iteration takes at the least, by the busiest resource.
    pub block_throughput: f64,
    /// Cycles per iteration each resource is busy, the busiest first; idle ones are left out.
    pub pressure: Vec<ResourcePressure>,
}

impl MachineCodeAnalysis {
    /// Cycles per iteration.
    pub fn cycles_per_iteration(&self) -> f64 {
        self.total_cycles as f64 / self.iterations.max(1) as f64
    }
}

/// How busy one of the processor's resources is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourcePressure {
    /// The resource's name in LLVM's model.
    pub resource: String,
    /// Cycles per iteration.
    pub cycles: f64,
}

impl Toolchain {
    /// Analyzes code: a function of a listing, or any run of instructions. Without a processor it is this machine's. Calls
    /// and branches are modelled coarsely: a loop's body tells more than a whole function.
    pub fn machine_code_analysis(
        &self,
        asm: &str,
        cpu: Option<&str>,
    ) -> Result<MachineCodeAnalysis, ToolError> {
        let done = self.mca(asm, cpu, &["-json"])?;
        parse(&done.stdout).map_err(|what| ToolError::Parse {
            tool: Tool::LlvmMca,
            what,
        })
    }

    /// The same as text for people: summary, each instruction's latency, and a timeline of the first iterations.
    pub fn machine_code_view(&self, asm: &str, cpu: Option<&str>) -> Result<String, ToolError> {
        Ok(self
            .mca(asm, cpu, &["-timeline", "-timeline-max-iterations=3"])?
            .stdout)
    }

    fn mca(&self, asm: &str, cpu: Option<&str>, arguments: &[&str]) -> Result<Done, ToolError> {
        let cpu = format!("-mcpu={}", cpu.unwrap_or("native"));
        // A function's text may lack the end of its frame.
        let lines = asm
            .lines()
            .filter(|line| !line.trim_start().starts_with(".cfi_"));
        let code: String = lines.flat_map(|line| [line, "\n"]).collect();
        let call = Call::new(Tool::LlvmMca)
            .args([cpu])
            .args(arguments.iter().copied())
            .input(LISTING, code)
            .args([LISTING])
            .keep_stdout();
        self.call(call)
    }
}

/// The part of llvm-mca's JSON that is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    code_regions: Vec<Region>,
    target_info: TargetInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Region {
    instructions: Vec<String>,
    summary_view: Summary,
    resource_pressure_view: Pressure,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    #[serde(rename = "BlockRThroughput")]
    block_throughput: f64,
    dispatch_width: u64,
    #[serde(rename = "IPC")]
    ipc: f64,
    iterations: u64,
    total_cycles: u64,
    #[serde(rename = "TotaluOps")]
    total_uops: u64,
    #[serde(rename = "uOpsPerCycle")]
    uops_per_cycle: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pressure {
    resource_pressure_info: Vec<Usage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    instruction_index: usize,
    resource_index: usize,
    #[serde(rename = "ResourceUsage")]
    cycles: f64,
}

#[derive(Deserialize)]
struct TargetInfo {
    #[serde(rename = "CPUName")]
    cpu: String,
    #[serde(rename = "Resources")]
    resources: Vec<String>,
}

fn parse(json: &str) -> Result<MachineCodeAnalysis, String> {
    let output: Output = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let region = output
        .code_regions
        .into_iter()
        .next()
        .ok_or("no region of code")?;
    let summary = region.summary_view;
    Ok(MachineCodeAnalysis {
        cpu: output.target_info.cpu,
        instructions: region.instructions.len(),
        iterations: summary.iterations,
        total_cycles: summary.total_cycles,
        total_uops: summary.total_uops,
        ipc: summary.ipc,
        uops_per_cycle: summary.uops_per_cycle,
        dispatch_width: summary.dispatch_width,
        block_throughput: summary.block_throughput,
        pressure: pressure(
            &region.resource_pressure_view,
            region.instructions.len(),
            &output.target_info.resources,
        ),
    })
}

/// After the entries of the instructions come those of the whole, under the number of instructions as index.
fn pressure(view: &Pressure, instructions: usize, resources: &[String]) -> Vec<ResourcePressure> {
    let whole = view
        .resource_pressure_info
        .iter()
        .filter(|usage| usage.instruction_index == instructions);
    let mut pressure: Vec<ResourcePressure> = whole
        .filter_map(|usage| {
            // Copies of a resource are told apart by a byte, as in "Zn4Load.\u{0}".
            let name = resources.get(usage.resource_index)?;
            let name = name.chars().map(|c| {
                if c.is_control() {
                    char::from(b'0' + (c as u8) % 10)
                } else {
                    c
                }
            });
            Some(ResourcePressure {
                resource: name.collect(),
                cycles: usage.cycles,
            })
        })
        .collect();
    pressure.sort_by(|a, b| {
        b.cycles
            .total_cmp(&a.cycles)
            .then_with(|| a.resource.cmp(&b.resource))
    });
    pressure
}
