//! The modes: who takes part in a run, and who guides it.

use clap::ValueEnum;
use whittle_optimizer::agents;
use whittle_optimizer::candidate::Level;

/// A way to optimize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Mode {
    /// Built-in agents alone, the bandit as guide
    Builtin,
    /// Model agents and built-in agents under the full ladder, the model as guide
    Default,
    /// The same with the bandit as guide
    Bandit,
    /// The same with a fixed schedule
    Fixed,
    /// The same by chance
    Random,
    /// The paper's system: model agents at all levels, tests as the only evidence
    Paper,
    /// The paper's system with the source agent alone
    Source,
    /// The paper's system with the IR agent alone
    Ir,
    /// The paper's system with the assembly agent alone
    Asm,
}

impl Mode {
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) fn needs_model(self) -> bool {
        matches!(
            self,
            Self::Default | Self::Paper | Self::Source | Self::Ir | Self::Asm
        )
    }

    pub(crate) fn is_papers(self) -> bool {
        matches!(self, Self::Paper | Self::Source | Self::Ir | Self::Asm)
    }

    pub(crate) fn guide(self) -> &'static str {
        match self {
            Self::Builtin | Self::Bandit => "thompson",
            Self::Fixed => "fixed",
            Self::Random => "random",
            _ => "model",
        }
    }

    /// The agents of this mode.
    pub(crate) fn agents(self, with_model: bool) -> Vec<String> {
        let level = match self {
            Self::Source => Some(Level::Source),
            Self::Ir => Some(Level::Ir),
            Self::Asm => Some(Level::Assembly),
            _ => None,
        };
        agents::registry()
            .iter()
            .filter(|entry| {
                if entry.needs_model {
                    with_model && self != Self::Builtin
                } else {
                    !self.is_papers()
                }
            })
            .filter(|entry| level.is_none_or(|level| level.name() == entry.name))
            .map(|entry| entry.name.to_owned())
            .collect()
    }
}
