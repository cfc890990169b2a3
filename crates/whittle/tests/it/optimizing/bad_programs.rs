//! Programs that cannot be optimized: exit code 3 and a message that says why.

use super::Place;
use crate::common::failure;

/// The message about a program that is refused.
#[track_caller]
fn refused(program: &str) -> String {
    let place = Place::new(program);
    let (code, text) = failure(&mut place.optimize(&[]));
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("error: "), "{text}");
    assert!(!place.path("prog.whittle").exists(), "{text}");
    text
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn does_not_compile() {
    let text = refused("int main(void) { return x; }\n");
    says(
        &text,
        &[
            "does not compile",
            "prog.c:1:25",
            "use of undeclared identifier 'x'",
        ],
    );
}

#[test]
fn does_not_link() {
    let text = refused("int missing(void);\nint main(void) { return missing(); }\n");
    says(&text, &["does not compile", "missing"]);
}

#[test]
fn loops_for_ever() {
    says(&refused("int main(void) { for (;;); }\n"), &["10"]);
}

#[test]
fn crashes() {
    let text = refused("#include <stdlib.h>\nint main(void) { abort(); }\n");
    says(&text, &["crashes", "SIGABRT"]);
}

#[test]
fn forks() {
    let text = refused(
        "#include <unistd.h>\n#include <stdio.h>\nint main(void) { return fork() == 0; }\n",
    );
    says(&text, &["fork"]);
}

#[test]
fn prints_gigabytes() {
    let text = refused(
        "#include <stdio.h>\nint main(void) { for (unsigned long i = 0; i < 400000000; i++) puts(\"0123456789\"); }\n",
    );
    says(&text, &["writes more than 64 MiB"]);
}

#[test]
fn has_undefined_behaviour() {
    let text = refused(
        "#include <stdio.h>\nint main(int argc, char **argv) {\n    int x = 2147483647;\n    printf(\"%d\\n\", x + argc);\n}\n",
    );
    says(&text, &["overflow", "prog.c:4"]);
}

#[test]
fn reads_memory_that_it_has_not_written() {
    let text = refused(
        "#include <stdio.h>\n#include <stdlib.h>\nint main(void) {\n    int *p = malloc(400);\n    if (p[7]) puts(\"x\"); else puts(\"y\");\n}\n",
    );
    says(&text, &["uninit"]);
}

#[test]
fn prints_the_time() {
    let text = refused(
        "#include <stdio.h>\n#include <time.h>\nint main(void) {\n    struct timespec t;\n    clock_gettime(CLOCK_MONOTONIC, &t);\n    printf(\"%ld\\n\", t.tv_nsec);\n}\n",
    );
    says(&text, &["not deterministic", "clock_gettime"]);
}

#[test]
fn prints_chance() {
    let text = refused(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\nint main(void) {\n    srand(time(NULL));\n    printf(\"%d\\n\", rand());\n}\n",
    );
    says(&text, &["not deterministic", "rand"]);
}

#[test]
fn prints_addresses() {
    let text = refused(
        "#include <stdio.h>\nint main(void) {\n    int x;\n    printf(\"%p\\n\", (void *)&x);\n}\n",
    );
    says(&text, &["not deterministic", "0x"]);
}

#[test]
fn needs_a_file() {
    let text = refused(
        "#include <stdio.h>\nint main(void) {\n    FILE *file = fopen(\"data.txt\", \"r\");\n    if (!file) { puts(\"no data\"); return 1; }\n    puts(\"data\");\n}\n",
    );
    says(&text, &["needs files", "fopen"]);
}

#[test]
fn needs_the_network() {
    let text = refused(
        "#include <stdio.h>\n#include <sys/socket.h>\nint main(void) { printf(\"%d\\n\", socket(AF_INET, SOCK_STREAM, 0)); }\n",
    );
    says(&text, &["socket"]);
}

#[test]
fn fails_its_own_test() {
    let place = Place::with_tests();
    place.write("tests/small.out", "1 2\n");
    let (code, text) = failure(&mut place.optimize(&["--tests", "tests"]));
    assert_eq!(code, 3, "{text}");
    says(
        &text,
        &["test small", "does not print what small.out says", "1 2"],
    );
}

#[test]
fn is_no_c_program() {
    let place = Place::new("");
    place.write("prog.py", "print()\n");
    let (code, text) = failure(&mut place.command(&["optimize", "prog.py"]));
    assert_eq!(code, 2, "{text}");
    says(&text, &["prog.py", "must end in .c"]);
    let (code, text) = failure(&mut place.command(&["optimize", "nowhere.c"]));
    assert_eq!(code, 1, "{text}");
    says(&text, &["nowhere.c", "No such file"]);
    place.write("prog.c", [0xff, 0xfe]);
    let (code, text) = failure(&mut place.optimize(&[]));
    assert_eq!(code, 3, "{text}");
    says(&text, &["prog.c", "not UTF-8"]);
}
