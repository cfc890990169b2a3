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
