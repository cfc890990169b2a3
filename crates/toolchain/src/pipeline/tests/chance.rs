//! Catalogue, mutations, crossing.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;

#[test]
fn code_that_a_profile_must_match_is_left_alone() {
    let pipeline: Pipeline = REAL[5].parse().unwrap();
    let early = Edit::Drop {
        at: find(&pipeline, "sroa", 0),
    };
    assert_eq!(early.apply(&pipeline), Err(EditError::BeforeProfile));
    let late = Edit::Drop {
        at: find(&pipeline, "gvn", 0),
    };
    assert!(late.apply(&pipeline).is_ok());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let prefix = REAL[5].split("pgo-instr-use").next().unwrap();
    for _ in 0..200 {
        let (changed, edit) = mutate(&pipeline, &mut random, &installed()).unwrap();
        assert!(changed.to_string().starts_with(prefix), "{edit:?}");
    }
}

#[test]
fn mutations_keep_what_is_fixed_and_reach_every_kind_of_edit() {
    let fixed = |pipeline: &Pipeline| {
        fixed::sequence_of_all(&pipeline.root)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let start = o3();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut kinds = std::collections::BTreeMap::new();
    let mut pipeline = start.clone();
    for step in 0..400 {
        if step % 20 == 0 {
            pipeline = start.clone();
        }
        let (changed, edit) = mutate(&pipeline, &mut random, &installed()).unwrap();
        assert_eq!(fixed(&changed), fixed(&start), "{edit:?}");
        assert_eq!(edit.apply(&pipeline), Ok(changed.clone()));
        assert_eq!(parse(&changed.to_string()), changed);
        let words = edit.describe(&pipeline);
        assert!(!words.contains("nothing"), "{words}");
        *kinds
            .entry(words.split(' ').next().unwrap().to_owned())
            .or_insert(0) += 1;
        pipeline = changed;
    }
    for kind in ["adds", "runs", "drops", "moves", "swaps", "sets"] {
        assert!(kinds.get(kind) > Some(&5), "{kinds:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_mutations() {
    let run = || {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        (0..20).fold(o3(), |pipeline, _| {
            mutate(&pipeline, &mut random, &installed()).unwrap().0
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn where_nothing_can_be_changed_nothing_is() {
    let none = Catalogue::known_to("Module passes:\n  verify\n");
    assert!(none.extras().is_empty());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    assert!(mutate(&parse("coro-early,verify"), &mut random, &none).is_none());
}

#[test]
fn the_catalogue_is_what_the_installed_llvm_has() {
    let full = Catalogue::full();
    let names = |catalogue: &Catalogue| {
        catalogue
            .extras()
            .iter()
            .map(Extra::name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&installed()), names(&full));
    let old = Catalogue::known_to(
        "Function passes with params:\n  gvn<pre>\nMachine function passes (WIP):\n  sink\nFunction analyses:\n  slsr\n",
    );
    assert_eq!(names(&old), ["gvn"]);
    // Only parameters that are listed, or that the pipeline has already.
    let options = |text: &str| {
        let node: Node = text.parse().unwrap();
        old.options(&node).into_iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(options("gvn"), [PassOption::Flag("pre")]);
    assert_eq!(
        options("gvn<no-memdep>"),
        [PassOption::Flag("pre"), PassOption::Flag("memdep")]
    );
    assert_eq!(options("licm"), []);
}

#[test]
fn passes_bring_the_flags_that_they_need() {
    let catalogue = Catalogue::full();
    assert!(catalogue.flags_of(&o3()).is_empty());
    let jam = parse("function(loop(loop-unroll-and-jam),loop(loop-unroll-and-jam))");
    assert_eq!(catalogue.flags_of(&jam), ["-allow-unroll-and-jam"]);
}

#[test]
fn alternatives_differ_in_the_one_parameter_alone() {
    for pass in options::ALL {
        for option in pass.options {
            let set = |text: &str| {
                let items = text.split(';').filter(|item| option.is_set_by(item));
                items.map(str::to_owned).collect::<Vec<_>>()
            };
            for start in ["x;y", "x;no-y"] {
                for first in option.alternatives(Some(start)).into_iter().flatten() {
                    assert!(set(&first).len() <= 1, "{first}");
                    let others = option.alternatives(Some(&first));
                    assert!(!others.is_empty(), "{first}");
                    for other in others.into_iter().flatten() {
                        assert!(other.starts_with(start), "{other}");
                        assert_ne!(set(&other), set(&first));
                    }
                }
            }
        }
    }
    let word = PassOption::Word("memssa");
    assert_eq!(word.alternatives(None), [Some("memssa".to_owned())]);
    assert_eq!(word.alternatives(Some("memssa")), [Some(String::new())]);
    let number = PassOption::Number("n", &[1, 2]);
    assert_eq!(
        number.alternatives(Some("a;n=1;b")),
        [Some("a;n=2;b".to_owned())]
    );
}

#[test]
fn crossing_two_descendants_mixes_their_changes() {
    let base = o3();
    let a = Edit::Drop {
        at: find(&base, "gvn", 0),
    }
    .apply(&base)
    .unwrap();
    let b = Edit::Repeat {
        at: find(&base, "loop-unroll", 0),
        times: 2,
    }
    .apply(&base)
    .unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut both, mut neither) = (0, 0);
    for _ in 0..64 {
        let child = crossover(&a, &b, &mut random).to_string();
        let (has_gvn, has_repeat) = (
            child.contains("gvn<>"),
            child.contains("loop-unroll<O3>,loop-unroll<O3>"),
        );
        both += usize::from(!has_gvn && has_repeat);
        neither += usize::from(has_gvn && !has_repeat);
    }
    assert!(both > 0 && neither > 0 && both + neither < 64);
    assert_eq!(crossover(&a, &a, &mut random), a);
}

#[test]
fn crossing_distant_pipelines_gives_a_pipeline() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for text in REAL {
        for other in REAL {
            let (first, second) = (parse(text), parse(other));
            let child = crossover(&first, &second, &mut random);
            assert_eq!(parse(&child.to_string()), child);
            assert_eq!(
                fixed::sequence_of_all(&child.root),
                fixed::sequence_of_all(&first.root)
            );
        }
    }
}

#[test]
fn changes_are_carried_over_to_a_pipeline_with_a_profile() {
    let plain = o3();
    let profiled: Pipeline = REAL[5].parse().unwrap();
    assert_eq!(transplant(&plain, &profiled), profiled);
    let drop = Edit::Drop {
        at: find(&plain, "loop-vectorize", 0),
    };
    let jam: Node = "loop(loop-unroll-and-jam)".parse().unwrap();
    let insert = Edit::Insert {
        at: find(&plain, "loop-unroll", 0),
        node: jam,
    };
    let changed = drop.apply(&insert.apply(&plain).unwrap()).unwrap();
    let carried = transplant(&changed, &profiled).to_string();
    let expected = REAL[5]
        .trim_end()
        .replace(
            "loop-vectorize<no-interleave-forced-only;no-vectorize-forced-only;>,",
            "",
        )
        .replace(
            "loop-unroll<O3>",
            "loop(loop-unroll-and-jam),loop-unroll<O3>",
        );
    assert_eq!(carried, expected);
}

#[test]
fn suggestions_are_where_the_catalogue_says() {
    let pipeline = o3();
    let catalogue = installed();
    let suggested = |name: &str| {
        let extra = catalogue.extras().iter().find(|extra| extra.name() == name);
        let edit = suggestion(&pipeline, extra.unwrap()).unwrap();
        edit.apply(&pipeline).unwrap().to_string()
    };
    assert!(suggested("loop-interchange").contains("loop(loop-interchange),loop-distribute"));
    assert!(suggested("internalize").contains("internalize,ipsccp"));
    // All of the catalogue has a place in -O3, and none of them twice in a row.
    for extra in catalogue.extras() {
        if let Some(edit) = suggestion(&pipeline, extra) {
            assert!(edit.apply(&pipeline).is_ok(), "{extra:?}");
        } else {
            panic!("{} is nowhere suggested", extra.name());
        }
    }
}
