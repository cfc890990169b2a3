//! Whether a run ended because the user wanted it to: then it is no failure, and it can be resumed.

use whittle_toolchain::measure::MeasureError;
use whittle_toolchain::tools::ToolError;

use crate::evidence::build::BuildError;
use crate::evidence::ladder::CheckError;
use crate::evidence::reference::ReferenceError;
use crate::inputs::{GeneratorError, InputError};
use crate::session::SessionError;

impl SessionError {
    /// Whether the run ended because the user wanted it to.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Cancelled
            | Self::Measure(MeasureError::Cancelled)
            | Self::Check(CheckError::Cancelled)
            | Self::Inputs(
                InputError::Cancelled | InputError::Generator(GeneratorError::Cancelled),
            ) => true,
            Self::Tool(error)
            | Self::Build(BuildError::Tool(error))
            | Self::Check(CheckError::Tool(error))
            | Self::Inputs(InputError::Tool(error)) => of_tool(error),
            Self::Reference(error)
            | Self::Check(CheckError::Reference(error))
            | Self::Inputs(InputError::Reference(error)) => of_reference(error),
            _ => false,
        }
    }
}

fn of_reference(error: &ReferenceError) -> bool {
    match error {
        ReferenceError::Cancelled => true,
        ReferenceError::Compile(error) | ReferenceError::Tool(error) => of_tool(error),
        _ => false,
    }
}

fn of_tool(error: &ToolError) -> bool {
    matches!(error, ToolError::Cancelled { .. })
}
