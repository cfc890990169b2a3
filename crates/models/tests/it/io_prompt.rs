//! From messages and images to the token ids of the reference data.

use serde_json::Value;
use whittle_models::config::{ConfigFile, LlavaNextConfig};
use whittle_models::image::{ImageLimits, ImageProcessor, load_image};
use whittle_models::{ChatTemplate, Message, TextTokenizer};
use whittle_testing::golden;

use crate::io_common::{Tensors, json};

struct Case {
    about: Value,
    tensors: Tensors,
}

impl Case {
    fn open(name: &str) -> Self {
        Self {
            about: json(&format!("{name}.json")),
            tensors: Tensors::open(&format!("{name}.safetensors")),
        }
    }

    fn text(&self, key: &str) -> &str {
        self.about[key].as_str().unwrap()
    }

    fn ids(&self, key: &str) -> Vec<u32> {
        self.tensors
            .i64(key)
            .iter()
            .map(|id| u32::try_from(*id).unwrap())
            .collect()
    }

    fn images(&self) -> Vec<&str> {
        self.about["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| image.as_str().unwrap())
            .collect()
    }
}

/// Template, tokenizer and expansion of one image placeholder after the other.
fn prompt_ids(model: &str, case: &Case, expansions: &[usize]) -> Vec<u32> {
    let dir = golden(&format!("models/{model}"));
    let tokenizer = TextTokenizer::open(&dir).unwrap();
    let template = ChatTemplate::open(&dir, &tokenizer).unwrap();
    let message = Message::user(case.text("user_text"), expansions.len());
    let prompt = template.render(&[message], true).unwrap();
    assert_eq!(prompt, case.text("prompt_after_chat_template"));
    let placeholder = tokenizer.token_id("<image>");
    let mut expansions = expansions.iter();
    let mut ids = Vec::new();
    for id in tokenizer.encode_prompt(&prompt).unwrap() {
        let times = if Some(id) == placeholder {
            *expansions.next().unwrap()
        } else {
            1
        };
        ids.extend(std::iter::repeat_n(id, times));
    }
    assert!(expansions.next().is_none());
    ids
}

#[test]
fn llama_prompts_become_the_reference_ids() {
    for name in ["llama/case_0", "llama/case_1"] {
        let case = Case::open(name);
        assert_eq!(
            prompt_ids("llama", &case, &[]),
            case.ids("input_ids"),
            "{name}"
        );
    }
}

#[test]
fn llava_next_prompts_become_the_reference_ids_and_pixels() {
    let dir = golden("models/llava-next-mistral");
    let config = LlavaNextConfig::read(&ConfigFile::open(&dir).unwrap()).unwrap();
    let processor = ImageProcessor::open(&dir, &config).unwrap();
    let mut worst = 0.0_f32;
    for name in [
        "llava-next-mistral/case_0",
        "llava-next-mistral/case_1",
        "llava-next-mistral/case_2",
    ] {
        let case = Case::open(name);
        let wanted = case.tensors.f32("pixel_values");
        let images = case.images();
        let room = wanted.len() / images.len();
        let mut expansions = Vec::new();
        for (i, file) in images.iter().enumerate() {
            let image = load_image(&golden(file), &ImageLimits::default()).unwrap();
            let (tiles, layout) = processor
                .process(file, &image, config.vision.patch_size)
                .unwrap();
            expansions.push(layout.tokens.len());
            // The reference fills up with zero tiles to the image with most tiles.
            let (wanted, padding) = wanted[i * room..(i + 1) * room].split_at(tiles.pixels.len());
            assert!(padding.iter().all(|x| *x == 0.0));
            for (x, y) in tiles.pixels.iter().zip(wanted) {
                worst = worst.max((x - y).abs());
            }
        }
        assert_eq!(
            prompt_ids("llava-next-mistral", &case, &expansions),
            case.ids("input_ids"),
            "{name}"
        );
    }
    println!("pixel values: largest deviation {worst:e}");
    assert!(worst <= 1e-5, "{worst}");
}

#[test]
fn generated_ids_decode_to_the_reference_text() {
    for (model, cases) in [("llama", 2), ("llava-next-mistral", 3)] {
        let tokenizer = TextTokenizer::open(&golden(&format!("models/{model}"))).unwrap();
        for k in 0..cases {
            let case = Case::open(&format!("{model}/case_{k}"));
            let text = tokenizer
                .decode_with_special(&case.ids("generated_ids"))
                .unwrap();
            assert_eq!(text, case.text("generated_text"), "{model} case {k}");
        }
    }
}
