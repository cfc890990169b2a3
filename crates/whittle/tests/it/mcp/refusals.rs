//! Calls that cannot be answered: the client reads why, and nothing else happens.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::{PROGRAM, Place};

#[test]
fn wrong_arguments_are_explained_to_the_client() {
    let place = Place::new();
    let mut client = place.connect(&["--budget-time", "30s"]);
    let text = |name: &str| json!({"name": name, "text": PROGRAM});
    let cases: [(&str, Value, &str); 19] = [
        ("profile", json!({}), "open_program comes first"),
        ("export", json!({}), "open_program comes first"),
        ("tree", json!({"depth": 1}), "unknown field `depth`"),
        ("verdict", json!({}), "missing field `candidate`"),
        ("verdict", json!({"candidate": "#1"}), "invalid type"),
        ("verdict", json!({"candidate": -1}), "invalid value"),
        (
            "show_level",
            json!({"candidate": 0, "level": "wasm"}),
            "`assembly`",
        ),
        (
            "submit_candidate",
            json!({"candidate": 0, "level": "ir"}),
            "missing field `edit`",
        ),
        (
            "lower",
            json!({"candidate": 0, "stage": "linker"}),
            "`back_end`",
        ),
        (
            "lower",
            json!({"candidate": 0, "stage": "back_end", "passes": "gvn"}),
            "for the stage middle_end",
        ),
        ("open_program", json!({}), "give the C files"),
        (
            "open_program",
            json!({"path": "bits.c"}),
            "unknown field `path`",
        ),
        (
            "open_program",
            json!({"paths": ["bits.c"], "files": [text("x.c")]}),
            "not both",
        ),
        (
            "open_program",
            json!({"paths": ["tests/a.in"]}),
            "must end in .c",
        ),
        (
            "open_program",
            json!({"files": [text("../x.c")]}),
            "cannot be the name",
        ),
        ("open_program", json!({"files": [text("x.h")]}), "no C file"),
        (
            "open_program",
            json!({"paths": ["bits.c"], "cflags": "-D'x"}),
            "cflags: a quote",
        ),
        (
            "open_program",
            json!({"paths": ["bits.c"], "budget_seconds": 31}),
            "at most 30",
        ),
        (
            "open_program",
            json!({"paths": ["bits.c"], "tests": "none"}),
            "there is no none",
        ),
    ];
    for (tool, arguments, message) in cases {
        let refused = client.call(tool, arguments.clone()).unwrap_err();
        assert!(refused.contains(message), "{tool} {arguments}: {refused}");
    }
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
    assert!(!place.path("out").exists());
}

#[test]
fn no_path_leads_out_of_the_roots() {
    let place = Place::new();
    for folder in ["secret", "more", "work/links"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    place.write("secret/key.c", "#define SECRET \"hushed\"\n");
    place.write("secret/key.h", "#define SECRET \"hushed\"\n");
    place.write("secret/a.in", "hushed\n");
    place.write(
        "work/quote.c",
        "#include \"key.h\"\nint main(void) { return 0; }\n",
    );
    place.write(
        "more/broken.c",
        "int main(void) { return hushed_no_more; }\n",
    );
    symlink(place.path("secret/key.c"), place.path("work/link.c")).unwrap();
    symlink(place.path("secret"), place.path("work/folder")).unwrap();
    symlink(place.path("secret/key.h"), place.path("work/key.h")).unwrap();
    symlink(place.path("secret/a.in"), place.path("work/links/a.in")).unwrap();
    let more = place.path("more");
    let mut client = place.connect(&["--root", more.to_str().unwrap()]);

    let absolute = place.path("secret/key.c");
    let paths = [
        "../secret/key.c",
        "tests/../../secret/key.c",
        "link.c",
        "folder/key.c",
        "quote.c",
    ];
    for path in paths
        .into_iter()
        .chain([absolute.to_str().unwrap(), "/etc/hostname"])
    {
        let refused = client
            .call("open_program", json!({"paths": [path]}))
            .unwrap_err();
        assert!(refused.contains("may read"), "{path}: {refused}");
    }
    for tests in ["../secret", "folder", "links", "/etc"] {
        let arguments = json!({"paths": ["bits.c"], "tests": tests});
        let refused = client.call("open_program", arguments).unwrap_err();
        assert!(refused.contains("may read"), "{tests}: {refused}");
    }
    // What the compiler is asked to read is as far away: it sees the program and the system's headers.
    for flags in [
        format!("-include {}", absolute.display()),
        format!("-I{}", place.path("secret").display()),
    ] {
        let text = "#include \"key.h\"\n#include <stdio.h>\nint main(void) { puts(SECRET); }\n";
        let arguments = json!({"files": [{"name": "spy.c", "text": text}], "cflags": flags});
        let refused = client.call("open_program", arguments).unwrap_err();
        assert!(refused.contains("key."), "{refused}");
    }
    // The other root is open, and a program that does not compile is the client's to mend.
    let refused = client
        .call("open_program", json!({"paths": ["../more/broken.c"]}))
        .unwrap_err();
    assert!(refused.contains("hushed_no_more"), "{refused}");
    assert!(
        !client.transcript.contains("hushed\\\""),
        "{}",
        client.transcript
    );
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
}
