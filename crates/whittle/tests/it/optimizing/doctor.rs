//! `whittle doctor`.

use super::Place;
use crate::common::json;

#[test]
fn says_what_is_there() {
    let place = Place::with_tests();
    let report = json(&mut place.command(&["doctor", "--json"]));
    assert_eq!(report["ready"], true, "{report}");
    let tools = report["tools"]["lines"].as_array().unwrap();
    for name in ["clang", "opt", "llc", "llvm-mca", "llvm-profdata"] {
        let line = tools.iter().find(|line| line["tool"] == name).unwrap();
        let path = line["located"]["path"].as_str().unwrap();
        assert!(std::path::Path::new(path).is_file(), "{line}");
    }
    assert!(
        report["sanitizers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|state| state["works"] == true)
    );
    assert_eq!(report["sandbox"]["holds"], true);
    assert!(
        report["timing"]["runs"]["coefficient_of_variation"]
            .as_f64()
            .unwrap()
            >= 0.0
    );
    assert!(report["timing"]["floor"]["half_width"].as_f64().unwrap() > 0.0);
    assert!(report["disks"][0]["free"].as_u64().unwrap() > 0);
}
