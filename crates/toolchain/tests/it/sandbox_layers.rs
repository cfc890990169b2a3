//! Which layers must hold for a sandbox to be one.

use whittle_toolchain::sandbox::{End, Layer, Layers, Sandbox, SandboxError, SandboxOptions};

use crate::sandbox::{job, output};

const ALL: [Layer; 5] = [
    Layer::Landlock,
    Layer::Seccomp,
    Layer::Namespaces,
    Layer::Bubblewrap,
    Layer::Limits,
];

fn options(disabled: &[Layer], allow_none: bool) -> SandboxOptions {
    SandboxOptions {
        disabled: disabled.to_vec(),
        allow_none,
        ..SandboxOptions::default()
    }
}

#[test]
fn every_combination_is_refused_or_works() {
    let here = Layers::detect();
    for bits in 0..1 << ALL.len() {
        let disabled: Vec<Layer> = ALL
            .iter()
            .enumerate()
            .filter(|(index, _)| bits >> index & 1 == 1)
            .map(|(_, &layer)| layer)
            .collect();
        let has = |layer: Layer, here: bool| here && !disabled.contains(&layer);
        let files = has(Layer::Landlock, here.landlock.is_some())
            || has(Layer::Bubblewrap, here.bubblewrap.is_some());
        let calls = has(Layer::Seccomp, here.seccomp) || has(Layer::Namespaces, here.namespaces);
        let enough = files && calls && has(Layer::Limits, here.limits);
        match Sandbox::new(options(&disabled, false)) {
            Ok(sandbox) => {
                assert!(enough, "{disabled:?}");
                assert_eq!(
                    output(&sandbox, &job(&["arguments", "a"])),
                    "a",
                    "{disabled:?}"
                );
                assert_ne!(
                    output(&sandbox, &job(&["open", "/etc/passwd"])),
                    "ok",
                    "{disabled:?}"
                );
            }
            Err(error) => {
                assert!(!enough, "{disabled:?} {error}");
                assert!(matches!(error, SandboxError::TooWeak { .. }), "{error}");
                assert!(error.to_string().contains("--unsafe-no-sandbox"), "{error}");
            }
        }
        let unsafe_one = Sandbox::new(options(&disabled, true)).unwrap();
        assert_eq!(
            output(&unsafe_one, &job(&["arguments", "a"])),
            "a",
            "{disabled:?}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let missing = |disabled: &[Layer]| {
        Sandbox::new(options(disabled, false))
            .unwrap_err()
            .to_string()
    };
    assert!(missing(&[Layer::Landlock, Layer::Bubblewrap]).contains("Landlock"));
    assert!(missing(&[Layer::Seccomp, Layer::Namespaces]).contains("seccomp"));
    assert!(missing(&[Layer::Limits]).contains("limits"));
    let none = Sandbox::new(options(&ALL, true)).unwrap();
    assert_eq!(none.layers().to_string(), "none");
}

#[test]
fn signals_are_told_under_bubblewrap_too() {
    let Ok(sandbox) = Sandbox::new(options(&[Layer::Landlock], false)) else {
        return;
    };
    for (arguments, end) in [
        (["abort", ""], End::Signalled(libc::SIGABRT)),
        (["segfault", ""], End::Signalled(libc::SIGSEGV)),
        (["socket", ""], End::Forbidden),
        (["exit", "3"], End::Exited(3)),
    ] {
        assert_eq!(
            sandbox.run(&job(&arguments)).unwrap().end,
            end,
            "{arguments:?}"
        );
    }
}
