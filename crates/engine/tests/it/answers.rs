//! What comes out of a request: policies, sampling, ends.

use whittle_engine::{FinishReason, Limits, PolicyChoice, Prefix, Sampling, merge_needs};

use crate::common::{LLAVA, Scripted, ask, case, engine, model};

#[test]
fn a_budget_of_one_is_the_full_cache() {
    let engine = engine(LLAVA);
    for number in 0..3 {
        for policy in ["vl-cache", "h2o", "snapkv", "streaming"] {
            let mut case = case(LLAVA, number);
            case.request.policy = PolicyChoice::new(policy, 1.0);
            let answer = ask(&engine, case.request);
            assert_eq!(answer.ids, case.ids, "{policy}, case {number}");
            let compression = answer.prefilled.compression;
            assert_eq!(compression.kept_entries(), compression.prompt_entries());
            assert!(
                compression
                    .mean_mass()
                    .is_none_or(|mass| (mass - 1.0).abs() < 1e-5),
                "{policy}"
            );
        }
    }
}

#[test]
fn every_policy_answers_and_keeps_about_its_budget() {
    let engine = engine(LLAVA);
    for entry in whittle_kv::registry() {
        let mut case = case(LLAVA, 2);
        case.request.policy = PolicyChoice::new(entry.name, 0.25);
        let answer = ask(&engine, case.request);
        assert_eq!(answer.ids.len(), 24, "{}", entry.name);
        assert_eq!(
            answer.ids[0], case.ids[0],
            "{}: the first token comes from the full prefill",
            entry.name
        );
        let compression = &answer.prefilled.compression;
        if entry.name == "full" {
            assert_eq!(compression.plan.kept_fraction(), 1.0);
        } else {
            let kept = compression.plan.kept_fraction();
            assert!((0.2..=0.27).contains(&kept), "{} keeps {kept}", entry.name);
            assert!(
                compression.bytes_after < compression.bytes_before,
                "{}",
                entry.name
            );
        }
    }
}

#[test]
fn a_floor_of_mass_raises_the_budget() {
    let engine = engine(LLAVA);
    let mut low = case(LLAVA, 1).request;
    low.policy = PolicyChoice::new("vl-cache", 0.1);
    let mut high = low.clone();
    high.policy.options.min_mass = Some(0.9);
    let (low, high) = (
        ask(&engine, low).prefilled.compression,
        ask(&engine, high).prefilled.compression,
    );
    assert!(
        low.plan.lowest_mass().unwrap() < 0.9,
        "else this test shows nothing"
    );
    assert!(high.plan.lowest_mass().unwrap() >= 0.9);
    assert!(high.kept_entries() > low.kept_entries() && high.plan.alpha() > 0.1);
}

#[test]
fn the_seed_decides_what_is_sampled() {
    let engine = engine(LLAVA);
    let sample = |seed| {
        let mut request = case(LLAVA, 0).request;
        request.limits.sampling = Sampling {
            temperature: 3.0,
            top_k: 50,
            seed,
            ..Sampling::default()
        };
        ask(&engine, request).ids
    };
    assert_eq!(sample(7), sample(7));
    assert_ne!(sample(7), sample(8));
}

#[test]
fn streamed_pieces_are_whole_characters() {
    // None of these characters is in the vocabulary: each comes as several byte tokens.
    let said = "Größe: 12 €, 漢字 🎉!";
    let engine = Scripted::engine(said);
    let mut request = case(LLAVA, 0).request;
    request.limits = Limits {
        max_tokens: 200,
        ..Limits::default()
    };
    let mut pieces = Vec::new();
    for event in engine.submit(request).unwrap() {
        if let whittle_engine::Event::Token { text, .. } = event.unwrap() {
            pieces.push(text);
        }
    }
    assert_eq!(pieces.concat(), said);
    assert!(
        pieces.iter().filter(|piece| piece.is_empty()).count() >= 10,
        "bytes are held back: {pieces:?}"
    );
}

#[test]
fn a_stop_string_across_tokens_and_bytes() {
    let engine = Scripted::engine("Summe 12 €\n漢字");
    for (stop, left) in [
        ("€\n漢", "Summe 12 "),
        ("字", "Summe 12 €\n漢"),
        ("1", "Summe "),
    ] {
        let mut request = case(LLAVA, 0).request;
        request.limits = Limits {
            max_tokens: 200,
            ..Limits::default()
        };
        request.limits.stop = vec![stop.to_owned()];
        let answer = ask(&engine, request);
        assert_eq!(
            (answer.text.as_str(), answer.done.reason),
            (left, FinishReason::Stop),
            "{stop:?}"
        );
    }
}

#[test]
fn a_stop_string_ends_the_answer_before_it() {
    let engine = engine(LLAVA);
    let whole = ask(&engine, case(LLAVA, 0).request);
    // Every stretch of the answer, most of which cross token boundaries.
    let characters: Vec<(usize, char)> = whole.text.char_indices().collect();
    for window in characters.windows(3) {
        let stop: String = window.iter().map(|(_, c)| c).collect();
        let mut request = case(LLAVA, 0).request;
        request.limits.stop = vec!["never there".to_owned(), stop.clone()];
        let answer = ask(&engine, request);
        assert_eq!(
            answer.text,
            whole.text[..whole.text.find(&stop).unwrap()],
            "stopped by {stop:?}"
        );
        assert_eq!(answer.done.reason, FinishReason::Stop);
        assert!(whole.ids.starts_with(&answer.ids));
    }
}

#[test]
fn text_held_back_for_a_stop_string_is_not_lost() {
    let engine = engine(LLAVA);
    let whole = ask(&engine, case(LLAVA, 0).request).text;
    let mut request = case(LLAVA, 0).request;
    // The end of the answer is the start of a stop string that never comes.
    let last: String = whole.chars().skip(whole.chars().count() - 4).collect();
    request.limits.stop = vec![format!("{last} and more")];
    let answer = ask(&engine, request);
    assert_eq!(
        (answer.text, answer.done.reason),
        (whole, FinishReason::MaxTokens)
    );
}

#[test]
fn the_end_token_ends_the_answer() {
    // The reference model's ids with one of them declared to be the end: the one that comes up latest.
    let case = case(LLAVA, 0);
    let folder = tempfile::tempdir().unwrap();
    let source = whittle_testing::golden(&format!("models/{LLAVA}"));
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        std::fs::write(
            folder.path().join(entry.file_name()),
            std::fs::read(entry.path()).unwrap(),
        )
        .unwrap();
    }
    let first_of = |id: &u32| case.ids.iter().position(|other| other == id).unwrap();
    let end = *case.ids.iter().max_by_key(|id| first_of(id)).unwrap();
    let json = format!("{{\"eos_token_id\": [{end}]}}");
    std::fs::write(folder.path().join("generation_config.json"), json).unwrap();
    let model =
        whittle_models::load(folder.path(), &whittle_models::LoadOptions::default()).unwrap();
    assert!(model.description().eos.contains(&end));
    let engine =
        whittle_engine::Engine::start(model.into(), whittle_engine::EngineOptions::default())
            .unwrap();
    let mut request = case.request;
    request.limits.ignore_eos = false;
    let answer = ask(&engine, request);
    assert_eq!(answer.done.reason, FinishReason::Eos);
    assert_eq!(answer.ids, case.ids[..=first_of(&end)]);
}

#[test]
fn requests_wait_for_each_other() {
    let engine = engine(LLAVA);
    let answers: Vec<_> = (0..3)
        .map(|number| engine.submit(case(LLAVA, number).request).unwrap())
        .collect();
    for (number, answer) in answers.into_iter().enumerate().rev() {
        let ids: Vec<u32> = answer
            .map(Result::unwrap)
            .filter_map(|event| match event {
                whittle_engine::Event::Token { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        assert_eq!(ids, case(LLAVA, number).ids);
    }
}

#[test]
fn forks_of_one_prefill_answer_like_requests_of_their_own() {
    let (model, engine) = (model(LLAVA), engine(LLAVA));
    let case = case(LLAVA, 2);
    let choices: Vec<PolicyChoice> = ["full", "vl-cache", "h2o", "snapkv", "pyramidkv"]
        .map(|name| PolicyChoice::new(name, 0.2))
        .into();
    let policies: Vec<_> = choices
        .iter()
        .map(|choice| choice.build().unwrap())
        .collect();
    let prompt = model
        .prompt(&case.request.messages, &case.request.images)
        .unwrap();
    let needs = policies
        .iter()
        .map(|policy| policy.needs(&prompt.info).unwrap())
        .reduce(|a, b| merge_needs(&a, &b).expect("the same budget needs the same rows"))
        .unwrap();
    let prefix = Prefix::new(
        &*model,
        prompt,
        &needs,
        None,
        std::time::Duration::ZERO,
        &mut (),
    )
    .unwrap();
    for (choice, policy) in choices.iter().zip(&policies) {
        let limits = Limits {
            max_tokens: 24,
            ignore_eos: true,
            ..Limits::default()
        };
        let (prefilled, mut sequence) = prefix.fork(&*model, &**policy, limits).unwrap();
        let mut ids = Vec::new();
        loop {
            let step = sequence.step().unwrap();
            ids.push(step.id);
            if step.finished.is_some() {
                break;
            }
        }
        let mut request = case.request.clone();
        request.policy = choice.clone();
        let alone = ask(&engine, request);
        assert_eq!(ids, alone.ids, "{}", choice.name);
        let (plan, own) = (
            &prefilled.compression.plan,
            &alone.prefilled.compression.plan,
        );
        for (layer, head) in
            (0..plan.layers()).flat_map(|layer| (0..plan.kv_heads()).map(move |head| (layer, head)))
        {
            assert_eq!(
                plan.kept(layer, head),
                own.kept(layer, head),
                "{}",
                choice.name
            );
        }
    }
}
