//! `report.html`.

use whittle_optimizer::report::{self, Report};
use whittle_toolchain::measure::Verdict;
use whittle_toolchain::tools::Unit;

use crate::report::{id, others, report};
use crate::report_example as example;

fn page(report: &Report) -> String {
    report::render(report).unwrap()
}

/// Where `WHITTLE_PAGES` says, the pages can be looked at.
#[test]
fn pages_of_all_kinds_are_well_formed() {
    let mut records = vec![example::record(64, 5, 4), example::record(5, 1, 1)];
    records.extend(others());
    for (number, record) in records.iter().enumerate() {
        let page = page(&report(record));
        assert_balanced(&page);
        if let Some(folder) = std::env::var_os("WHITTLE_PAGES") {
            std::fs::write(
                std::path::Path::new(&folder).join(format!("report{number}.html")),
                &page,
            )
            .unwrap();
        }
    }
}

/// Every element that is opened is closed, in the right order.
fn assert_balanced(page: &str) {
    let start = page.find("<body>").unwrap();
    let end = page.find("<script>").unwrap();
    let mut open: Vec<&str> = Vec::new();
    for part in page[start..end].split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag ends");
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n', '/'])
            .next()
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "in {tag:?}");
        } else if !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
    }
    assert_eq!(open, ["body"]);
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = page(&report(&example::record(24, 2, 2)));
    for elsewhere in [
        "http:",
        "https:",
        "src=",
        "@import",
        "url(",
        "<link",
        "<iframe",
        "fetch(",
        "XMLHttpRequest",
    ] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_page_says_what_was_found() {
    let record = example::record(64, 5, 4);
    let page = page(&report(&record));
    let wanted = [
        "1.31×",
        "faster than clang -O3",
        "2.10×",
        "1.51×",
        "3 of 4",
        "1,530 fuzzed inputs",
        "against -O2 -DNDEBUG",
        "count_bits counts with __builtin_popcountll",
        "grown 50",
        "AMD EPYC",
        "thompson",
        "±0.4 %",
        "sh rebuild.sh",
        "Considered and not taken",
        "96.2 %",
        "the run itself",
    ];
    for words in wanted {
        assert!(page.contains(words), "{words}");
    }
    for node in record.tree.nodes() {
        assert!(
            page.contains(&format!("<span class=\"id\">#{}</span>", node.id.0)),
            "{}",
            node.id
        );
    }
    let [none, _, open, failed] = others().map(|record| report::render(&report(&record)).unwrap());
    assert!(none.contains("No faster program found") && !none.contains("class=\"overview\""));
    assert!(open.contains("Not finished") && open.contains("--resume"));
    assert!(failed.contains("No result") && failed.contains("does not compile"));
}

#[test]
fn an_undecided_claim_is_not_shown_as_a_speedup() {
    let mut record = example::record(8, 1, 1);
    let claim = record
        .conclusion
        .as_mut()
        .unwrap()
        .user_flags
        .as_mut()
        .unwrap();
    claim.comparison.verdict = Verdict::Undecided;
    claim.comparison.ratio = 3.456;
    claim.comparison.interval = [0.0, 1e9];
    let page = page(&report(&record));
    let overview = &page[page.find("class=\"overview\"").unwrap()..page.find("</figure>").unwrap()];
    assert!(
        overview.contains(">undecided<") && !overview.contains("3.46×"),
        "{overview}"
    );
    assert!(page.contains("against your own flags: undecided</h3>"));
    // It does not press the others together either.
    assert!(
        overview.contains(">1.5×<") || overview.contains(">2×<"),
        "{overview}"
    );
}

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>{{ 7*7 }}";

#[test]
fn a_hostile_program_stays_text() {
    let mut record = example::record(24, 1, 1);
    record.header.program.name = HOSTILE.to_owned();
    record.header.program.flags = vec![HOSTILE.to_owned()];
    record.header.machine.cpu = HOSTILE.to_owned();
    record.message = Some(HOSTILE.to_owned());
    record.version = HOSTILE.to_owned();
    for line in &mut record.log {
        line.text = HOSTILE.to_owned();
    }
    let inputs = record.inputs.as_mut().unwrap();
    inputs.notes = vec![HOSTILE.to_owned()];
    inputs.dropped[0].name = HOSTILE.to_owned();
    inputs.dropped[0].reason = HOSTILE.to_owned();
    let foundations = record.foundations.as_mut().unwrap();
    foundations.fitness.lowered = vec![HOSTILE.to_owned()];
    foundations.fitness.second_compiler = Some(HOSTILE.to_owned());
    record
        .ledger
        .spend(HOSTILE, whittle_optimizer::budget::Resource::Runs, 10.0);
    let conclusion = record.conclusion.as_mut().unwrap();
    conclusion.passed_over[0].1 = HOSTILE.to_owned();
    for claim in [
        &mut conclusion.portable,
        &mut conclusion.host,
        &mut conclusion.user_flags,
    ]
    .into_iter()
    .flatten()
    {
        claim.baseline = HOSTILE.to_owned();
        claim.comparison.slower_on = vec![HOSTILE.to_owned()];
        claim.comparison.per_workload[0].name = HOSTILE.to_owned();
    }
    for evidence in conclusion.evidence.values_mut() {
        evidence.proof = Some(HOSTILE.to_owned());
    }
    let mut nodes = record.tree.nodes().to_vec();
    for node in &mut nodes {
        node.change = HOSTILE.to_owned();
        node.agent = HOSTILE.to_owned();
        node.candidate.recipe.pipeline = Some(HOSTILE.to_owned());
        node.candidate.artifact.units = vec![Unit::new(HOSTILE, HOSTILE)];
        if let whittle_optimizer::tree::Outcome::Rejected { rejection } = &mut node.outcome {
            rejection.reason = HOSTILE.to_owned();
        }
    }
    record.tree = whittle_optimizer::tree::Tree::from_nodes(nodes).unwrap();
    let mut texts = example::texts();
    texts.winner_ir[0].text = texts.winner_ir[0].text.replace("ret i32", HOSTILE);
    texts.winner_assembly[0].text = texts.winner_assembly[0].text.replace("retq", HOSTILE);

    let page = page(&Report::new(&id(), &record, &texts));
    assert_balanced(&page);
    // The page's own script, and no other element that could run one.
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    for element in ["<img", "<svg onload", "onerror=alert(2)>", ">49<"] {
        assert!(!page.contains(element), "{element}");
    }
    assert!(page.matches("&lt;script&gt;").count() > 50);
}
