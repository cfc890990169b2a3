//! What the help says.

use crate::common::{stdout, whittle};

#[test]
fn help_of_everything() {
    insta::assert_snapshot!("whittle", stdout(&mut whittle(&["--help"])));
    for command in ["ask", "compare", "eval", "inspect", "bench", "pages"] {
        insta::assert_snapshot!(command, stdout(&mut whittle(&[command, "--help"])));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn help_of_the_optimizing_half() {
    for command in [
        "optimize", "suite", "mcp", "runs", "show", "verify", "doctor",
    ] {
        insta::assert_snapshot!(command, stdout(&mut whittle(&[command, "--help"])));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn every_agent_and_guide_is_in_the_help() {
    let help = stdout(&mut whittle(&["optimize", "--help"]));
    let agents = whittle_optimizer::agents::registry()
        .iter()
        .map(|entry| entry.name);
    let guides = whittle_optimizer::guides::registry()
        .iter()
        .map(|entry| entry.name);
    for name in agents.chain(guides) {
        assert!(help.contains(&format!("- {name}:")), "{name}");
    }
}

#[test]
fn version() {
    assert_eq!(
        stdout(&mut whittle(&["--version"])),
        concat!("whittle ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn every_policy_is_in_the_help() {
    let help = stdout(&mut whittle(&["ask", "--help"]));
    for entry in whittle_kv::registry() {
        assert!(
            help.contains(&format!("- {}:", entry.name)),
            "{}",
            entry.name
        );
    }
}
