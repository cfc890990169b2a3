//! The programs that are called.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! tools {
    ($($variant:ident $name:literal $doc:literal),* $(,)?) => {
        /// A program that is called.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Tool {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        impl Tool {
            /// Every tool, the required ones first.
            pub const ALL: &'static [Tool] = &[$(Tool::$variant),*];

            /// What it is called, without a version.
            pub fn name(self) -> &'static str {
                match self { $(Tool::$variant => $name,)* }
            }
        }
    };
}

tools! {
    Clang "clang" "C and C++ compiler, assembler, linker driver.",
    Opt "opt" "LLVM's middle end.",
    Llc "llc" "LLVM's back end.",
    LlvmLink "llvm-link" "Merges modules.",
    LlvmMca "llvm-mca" "Machine code analyzer.",
    LlvmProfdata "llvm-profdata" "Merges and shows profiles.",
    LlvmCov "llvm-cov" "Shows coverage.",
    LlvmNm "llvm-nm" "Lists symbols.",
    LlvmObjdump "llvm-objdump" "Disassembles.",
    LlvmSymbolizer "llvm-symbolizer" "Finds the source place of an address.",
    AliveTv "alive-tv" "Translation validator.",
    Gcc "gcc" "A second compiler.",
    Valgrind "valgrind" "Counts instructions.",
    Perf "perf" "Counts instructions where the hardware lets it.",
    Bubblewrap "bwrap" "A layer of the sandbox.",
}

impl Tool {
    /// Whether nothing works without it.
    pub fn is_required(self) -> bool {
        self <= Tool::LlvmSymbolizer
    }

    /// Debian's package; `LLVM` packages carry the major version.
    pub(crate) fn package(self, llvm: u32) -> Option<String> {
        Some(match self {
            Tool::Clang => format!("clang-{llvm}"),
            tool if tool.is_required() => format!("llvm-{llvm}"),
            Tool::Gcc => "gcc".into(),
            Tool::Valgrind => "valgrind".into(),
            Tool::Perf => "linux-perf".into(),
            Tool::Bubblewrap => "bubblewrap".into(),
            _ => return None,
        })
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

pub(crate) fn is_tool_name(text: &str) -> bool {
    Tool::ALL.iter().any(|tool| tool.name() == text)
}
