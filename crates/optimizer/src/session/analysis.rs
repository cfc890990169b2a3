//! What can be said of a node's code without running it.

use whittle_toolchain::tools::{Remark, RemarkKind, Toolchain, assembly_statistics, ir_statistics};

use crate::evidence::build::Built;

/// Remarks that are shown.
const SHOWN: usize = 12;

/// Statistics of the listings and what the machine model thinks of them, a line each.
pub(crate) fn describe(toolchain: &Toolchain, built: &Built) -> String {
    let mut lines = Vec::new();
    for module in &built.ir {
        let counts = ir_statistics(&module.text);
        lines.push(format!(
            "{}: {} functions, {} basic blocks, {} instructions, {} loads, {} stores, {} calls, {} vector operations",
            module.name,
            counts.functions,
            counts.basic_blocks,
            counts.instructions,
            counts.loads,
            counts.stores,
            counts.calls,
            counts.vector_operations,
        ));
    }
    for module in &built.assembly {
        let counts = assembly_statistics(&module.text);
        let model = match toolchain.machine_code_analysis(&module.text, None) {
            Ok(analysis) => format!(
                "{:.2} instructions per cycle expected on {}",
                analysis.ipc, analysis.cpu
            ),
            Err(error) => format!("no machine model: {error}"),
        };
        lines.push(format!(
            "{}: {} instructions, {} branches, {} calls, {} vector instructions, {} spills; {model}",
            module.name,
            counts.instructions,
            counts.branches,
            counts.calls,
            counts.vector_instructions,
            counts.spills,
        ));
    }
    lines.join("\n")
}

/// What the passes wanted and could not do, the first few of it.
pub(crate) fn describe_remarks(remarks: &[Remark]) -> String {
    let missed = remarks
        .iter()
        .filter(|remark| remark.kind == RemarkKind::Missed);
    let mut lines = vec![format!("{} optimizations missed", missed.clone().count())];
    lines.extend(missed.take(SHOWN).map(Remark::to_string));
    lines.join("\n")
}
