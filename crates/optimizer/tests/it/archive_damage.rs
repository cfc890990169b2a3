//! A damaged run store: an error or what was written, never a panic, never anything else, and the file stays as it is.

use std::fs;
use std::path::Path;

use whittle_optimizer::archive::{Archive, ArchiveError, RunRecord};

use crate::archive::{without_times, write};
use crate::report_example::{self as example, Chance};

/// The bytes of a store with a whole run in it, and the run.
fn sound() -> (Vec<u8>, RunRecord) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let record = example::record(5, 1, 1);
    let mut archive = Archive::open(&path).unwrap();
    write(&mut archive, &record);
    drop(archive);
    (fs::read(&path).unwrap(), without_times(record))
}

/// What comes of a store with these bytes.
fn read(path: &Path, bytes: &[u8]) -> Result<Vec<RunRecord>, ArchiveError> {
    fs::write(path, bytes).unwrap();
    let result = Archive::open(path).and_then(|archive| {
        let runs = archive.runs()?;
        runs.iter()
            .map(|run| archive.load(&run.id).map(without_times))
            .collect()
    });
    if let Err(error) = &result {
        let text = error.to_string();
        assert!(text.contains("runs.sqlite"), "{text}");
        assert!(
            fs::read(path).unwrap() == bytes,
            "the file was changed: {text}"
        );
    }
    result
}

#[test]
fn flipped_bits_never_go_unseen() {
    let (sound, record) = sound();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let mut chance = Chance::new(5);
    let mut noticed = 0;
    for round in 0..400 {
        let mut bytes = sound.clone();
        // Every other round in the first page, where the file's structure is.
        let range = if round % 2 == 0 {
            bytes.len()
        } else {
            4_096.min(bytes.len())
        };
        let at = (chance.next() * range as f64) as usize + (chance.next() * 97.0) as usize;
        let at = at.min(bytes.len() - 1);
        bytes[at] ^= 1 << (round % 8);
        match read(&path, &bytes) {
            Ok(runs) => assert!(
                runs == [record.clone()],
                "byte {at} of round {round} changed the run"
            ),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 100, "{noticed}");
}

#[test]
fn a_cut_off_file_is_damaged() {
    let (sound, record) = sound();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    for length in [
        1,
        15,
        16,
        99,
        100,
        511,
        4_095,
        4_096,
        5_000,
        sound.len() / 2,
        sound.len() - 4_096,
    ] {
        assert!(read(&path, &sound[..length]).is_err(), "{length}");
    }
    // The last bytes of a page may be of no use.
    assert!(read(&path, &sound[..sound.len() - 1]).map_or(true, |runs| runs == [record]));
    // A file without a byte is a store that was never written.
    assert_eq!(read(&path, &[]).unwrap(), []);
}

#[test]
fn noise_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let mut chance = Chance::new(3);
    let noise: Vec<u8> = (0..20_000).map(|_| (chance.next() * 256.0) as u8).collect();
    assert!(matches!(
        read(&path, &noise),
        Err(ArchiveError::Foreign { .. })
    ));
    assert!(matches!(
        read(&path, b"runs, mostly"),
        Err(ArchiveError::Foreign { .. })
    ));
    let with_header = [b"SQLite format 3\0".as_slice(), &noise].concat();
    assert!(read(&path, &with_header).is_err());
}
