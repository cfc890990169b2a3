//! The checks of the fuzz targets on randomly damaged seeds, so that they run with every test.

#[path = "../../../../fuzz/checks.rs"]
mod checks;

use std::sync::LazyLock;

use proptest::prelude::*;
use whittle_testing::workspace;

/// The seeds of a fuzz target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = workspace().join("fuzz/seeds").join(target);
    let found =
        std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

static CONFIG: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seeds("config"));
static HEADER: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seeds("header"));
static IMAGE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seeds("image"));

/// Some damage to a file.
#[derive(Debug, Clone)]
enum Damage {
    Overwrite(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
        2 => (at(), prop_oneof![prop::collection::vec(any::<u8>(), 1..5), "[-0-9a-z{}\\[\\]\",:.]{1,6}".prop_map(String::into_bytes)])
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (at(), 1_usize..20).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => at().prop_map(Damage::Cut),
    ]
}

fn damaged(seed: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for damage in damages {
        let length = bytes.len();
        if length == 0 {
            break;
        }
        match damage {
            Damage::Overwrite(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Damage::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

#[test]
fn undamaged_seeds_are_fine() {
    CONFIG.iter().for_each(|seed| checks::config(seed));
    HEADER.iter().for_each(|seed| checks::header(seed));
    IMAGE.iter().for_each(|seed| checks::image(seed));
}

proptest! {
    #[test]
    fn damaged_configurations_are_read_or_refused(
        seed in 0..CONFIG.len(), damages in prop::collection::vec(damage(), 1..6)
    ) {
        checks::config(&damaged(&CONFIG[seed], &damages));
    }

    #[test]
    fn damaged_headers_are_read_or_refused(
        seed in 0..HEADER.len(), damages in prop::collection::vec(damage(), 1..6)
    ) {
        checks::header(&damaged(&HEADER[seed], &damages));
    }

    #[test]
    fn damaged_images_are_decoded_or_refused(
        seed in 0..IMAGE.len(), damages in prop::collection::vec(damage(), 1..4)
    ) {
        checks::image(&damaged(&IMAGE[seed], &damages));
    }
}
