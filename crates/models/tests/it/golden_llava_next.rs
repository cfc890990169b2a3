//! LLaVA-NeXT against `golden/llava-next-mistral`, both layouts of config.json, every kernel path.

use whittle_kv::Needs;
use whittle_models::llava_next::LlavaNext;
use whittle_models::{Message, Model, ModelError, Part, Role};

use crate::golden::{Case, Deviations, LAYOUTS, model_folder, model_folder_with};
use crate::parity::{check, every_isa, new_cache, prefill};

const MODEL: &str = "llava-next-mistral";
const CASES: [&str; 3] = [
    "llava-next-mistral/case_0",
    "llava-next-mistral/case_1",
    "llava-next-mistral/case_2",
];

fn question(case: &Case) -> [Message; 1] {
    [Message::user(case.user_text(), case.images().len())]
}

#[test]
fn every_case_is_reproduced_with_both_layouts_on_every_kernel_path() {
    for layout in LAYOUTS {
        let folder = model_folder_with(MODEL, layout);
        for options in every_isa() {
            let model = LlavaNext::load(folder.path(), &options).unwrap();
            let mut deviations = Deviations::default();
            for case in CASES.map(Case::open) {
                let prompt = model.prompt(&question(&case), &case.images()).unwrap();
                check_vision(&model, &prompt, &case, &mut deviations);
                check(&model, &prompt, &case, &mut deviations);
            }
            deviations.print(&format!("{MODEL} {layout} {:?}", options.kernels.isa()));
        }
    }
}

fn check_vision(
    model: &LlavaNext,
    prompt: &whittle_models::Prompt,
    case: &Case,
    deviations: &mut Deviations,
) {
    let shape = case.shape("pixel_values");
    let (slots, tile) = (shape[1], shape[2..].iter().product::<usize>());
    let pixel_values = case.floats("pixel_values");
    let mut features = Vec::new();
    let mut placeholders = 0;
    for (image, expected) in prompt
        .images
        .iter()
        .zip(pixel_values.chunks_exact(slots * tile))
    {
        // The reference pads the images of a prompt to the same number of tiles; here there is nothing to pad.
        let pixels = &image.pixels.pixels;
        deviations.compare(
            "pixel_values",
            pixels,
            &expected[..pixels.len()],
            case.atol("pixel_values"),
        );
        assert!(
            expected[pixels.len()..].iter().all(|&v| v == 0.0),
            "only padding is left out"
        );

        if case.has("vision_selected") {
            let selected = model.vision_features(pixels).unwrap();
            deviations.compare(
                "vision_selected",
                &selected,
                &case.floats("vision_selected"),
                case.atol("vision_selected"),
            );
            let projected = model.project(&selected);
            let name = "projector_output";
            deviations.compare(name, &projected, &case.floats(name), case.atol(name));
        }
        features.extend(model.image_features(image).unwrap());
        assert!(
            prompt.ids[image.tokens.clone()].iter().all(|&id| id == 382),
            "visual tokens are placeholders"
        );
        placeholders += image.tokens.len();
    }
    deviations.compare(
        "image_features",
        &features,
        &case.floats("image_features"),
        case.atol("image_features"),
    );
    assert_eq!(
        placeholders,
        prompt.ids.iter().filter(|&&id| id == 382).count()
    );
    let spans: Vec<_> = prompt
        .images
        .iter()
        .map(|image| image.tokens.clone())
        .collect();
    assert_eq!(prompt.info.visual, spans);
}

/// Sums of the golden attention over the last `rows` query rows and the query heads of a KV head: `[KV heads, m]`.
fn column_sums(case: &Case, layer: usize, rows: usize, kv_heads: usize) -> Vec<f32> {
    let name = format!("attention.{layer}");
    let (shape, attention) = (case.shape(&name), case.floats(&name));
    let (heads, m) = (shape[0], shape[2]);
    let mut sums = vec![0.0; kv_heads * m];
    for head in 0..heads {
        for row in m - rows..m {
            for column in 0..m {
                sums[head / (heads / kv_heads) * m + column] +=
                    attention[(head * m + row) * m + column];
            }
        }
    }
    sums
}

#[test]
fn statistics_are_the_sums_of_the_reference_attention() {
    let case = Case::open(CASES[0]);
    for options in every_isa() {
        let folder = model_folder(MODEL);
        let model = LlavaNext::load(folder.path(), &options).unwrap();
        let prompt = model.prompt(&question(&case), &case.images()).unwrap();
        let post_vision = prompt.info.post_vision(32);
        assert_eq!(post_vision, 22);
        let needs = Needs {
            post_vision: Some(post_vision),
            tail: Some(5),
            column_sums: true,
            filter: 0.01,
        };
        // The recorder computes every position, the unit type only what the next token needs: both paths count.
        let recorded = prefill(&model, &prompt, &needs).0.statistics;
        let plain = model
            .prefill(&prompt, &mut new_cache(&model), &needs, &mut ())
            .unwrap()
            .statistics;
        for statistics in [recorded, plain] {
            statistics.validate(&needs).unwrap();
            for (layer, found) in statistics.layers.iter().enumerate() {
                let windows = [
                    (&found.post_vision, 22),
                    (&found.tail, 5),
                    (&found.column_sums, prompt.ids.len()),
                ];
                for (scores, rows) in windows {
                    let scores = scores.as_ref().unwrap();
                    let expected = column_sums(&case, layer, rows, scores.kv_heads());
                    let got: Vec<f32> = (0..scores.kv_heads())
                        .flat_map(|head| scores.head(head).to_vec())
                        .collect();
                    // Two query heads share a KV head.
                    let atol = case.atol(&format!("attention.{layer}")) * 2.0 * rows as f32;
                    Deviations::default().compare("scores", &got, &expected, atol);
                }
            }
        }
    }
}

#[test]
fn a_conversation_keeps_its_images_in_order() {
    let folder = model_folder(MODEL);
    let model = LlavaNext::load(folder.path(), &every_isa().last().unwrap()).unwrap();
    let images = Case::open(CASES[2]).images();
    let turn = |role, text: &str, image: Option<usize>| Message {
        role,
        parts: image
            .map(Part::Image)
            .into_iter()
            .chain([Part::Text(text.to_owned())])
            .collect(),
    };
    let messages = [
        turn(Role::User, "first?", Some(0)),
        turn(Role::Assistant, "yes", None),
        turn(Role::User, "second?", Some(1)),
    ];
    let prompt = model.prompt(&messages, &images).unwrap();
    assert_eq!(prompt.images.len(), 2);
    let alone: Vec<usize> = [0, 1]
        .map(|i| {
            model
                .prompt(&[Message::user("x", 1)], &images[i..=i])
                .unwrap()
                .images[0]
                .tokens
                .len()
        })
        .to_vec();
    assert_eq!(
        prompt
            .info
            .visual
            .iter()
            .map(ExactSizeIterator::len)
            .collect::<Vec<_>>(),
        alone
    );
    assert!(
        prompt.info.visual[0].end < prompt.info.visual[1].start,
        "the turns lie between the images"
    );

    // The second image first: the prompt follows the messages, not the list of images.
    let swapped = [
        turn(Role::User, "first?", Some(1)),
        turn(Role::User, "second?", Some(0)),
    ];
    let prompt = model.prompt(&swapped, &images).unwrap();
    assert_eq!(prompt.images[0].tokens.len(), alone[1]);
}

#[test]
fn images_and_messages_have_to_match() {
    let folder = model_folder(MODEL);
    let model = LlavaNext::load(folder.path(), &every_isa().last().unwrap()).unwrap();
    let images = Case::open(CASES[2]).images();
    let missing = model.prompt(&[Message::user("x", 3)], &images).unwrap_err();
    assert!(missing.to_string().contains("image 2"), "{missing}");
    let unused = model.prompt(&[Message::user("x", 1)], &images).unwrap_err();
    assert!(unused.to_string().contains("image 1"), "{unused}");
    // A placeholder typed by the user is not an image.
    let typed = model.prompt(&[Message::user("what is <image> here?", 1)], &images[..1]);
    assert!(matches!(typed, Err(ModelError::Prompt(_))), "{typed:?}");
}
