//! What stood before the example's search.

use whittle_optimizer::evidence::reference::Fitness;
use whittle_optimizer::session::Foundations;
use whittle_toolchain::measure::NoiseFloor;
use whittle_toolchain::sandbox::Layers;
use whittle_toolchain::tools::SelfCheck;

pub(super) fn foundations() -> Foundations {
    let strings = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<String>>()
    };
    Foundations {
        fitness: Fitness {
            sanitizers: strings(&["address", "undefined", "memory"]),
            optimization_levels: strings(&["-O0", "-O2", "-O3"]),
            second_compiler: Some("gcc (Debian 12.2.0-14) 12.2.0".to_owned()),
            layouts: 3,
            runs: 412,
            lowered: Vec::new(),
        },
        self_check: SelfCheck {
            listing_identical: true,
            ratio: Some(1.0004),
            interval: Some([0.9981, 1.0029]),
            runs: 392,
        },
        noise: NoiseFloor {
            half_width: 0.0041,
            ratio: 1.0002,
            interval: [0.9963, 1.0041],
            blocks: 60,
            runs: 248,
        },
        sandbox: Layers {
            landlock: Some(4),
            seccomp: true,
            namespaces: true,
            bubblewrap: Some("0.8.0".to_owned()),
            limits: true,
        },
    }
}
