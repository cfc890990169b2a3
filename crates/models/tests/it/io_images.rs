//! Image processing against the outputs of transformers (`golden/preprocess`).

use std::path::Path;

use serde_json::{Value, json};
use whittle_models::config::ConfigFile;
use whittle_models::image::{ImageLimits, ImageProcessor, load_image};
use whittle_testing::golden;

use crate::io_common::{Tensors, json as golden_json};

const CONFIGS: [(&str, usize); 2] = [("llava_tiny", 28), ("llava_336", 336)];
const IMAGES: [&str; 6] = [
    "rgb_640x480",
    "rgb_333x1000",
    "rgb_50x40",
    "rgb_1920x300",
    "gray_123x77",
    "rgba_90x131",
];
const PATCH: usize = 14;

/// Deviations of one backend's outputs from ours.
struct Deviation {
    largest: f32,
    sum: f64,
    elements: usize,
}

fn compare(backend: &str) -> Deviation {
    let about = golden_json(&format!("preprocess/{backend}.json"));
    let tensors = Tensors::open(&format!("preprocess/{backend}.safetensors"));
    let mut deviation = Deviation {
        largest: 0.0,
        sum: 0.0,
        elements: 0,
    };
    for (config, side) in CONFIGS {
        let text = about["configs"][config].clone();
        let text = if text.is_null() {
            golden_json("preprocess/pil.json")["configs"][config].clone()
        } else {
            text
        };
        let file =
            ConfigFile::parse(Path::new("preprocessor_config.json"), &text.to_string()).unwrap();
        let processor = ImageProcessor::read(&file).unwrap();
        for name in IMAGES {
            let image = load_image(
                &golden(&format!("preprocess/images/{name}.png")),
                &ImageLimits::default(),
            )
            .unwrap();
            let (tiles, layout) = processor.process(name, &image, PATCH).unwrap();
            let output = &about["outputs"][format!("{config}.{name}")];
            assert_eq!(
                output["pixel_values_shape"],
                json!([tiles.tiles, 3, side, side]),
                "{config}.{name}"
            );
            assert_eq!(
                output["image_size_height_width"],
                json!([layout.original.height, layout.original.width])
            );
            assert_eq!(output["tiles"], json!(layout.tile_count()));
            if backend == "pil" {
                check_moments(&tiles.pixels, output, &format!("{config}.{name}"));
            }
            let (key, stride) = match output["sample_stride"].as_u64() {
                Some(stride) => (format!("{config}.{name}.sample"), stride as usize),
                None => (format!("{config}.{name}.pixel_values"), 1),
            };
            let wanted = tensors.f32(&key);
            assert_eq!(wanted.len(), tiles.pixels.len().div_ceil(stride));
            for (x, y) in tiles.pixels.iter().step_by(stride).zip(&wanted) {
                deviation.largest = deviation.largest.max((x - y).abs());
                deviation.sum += f64::from((x - y).abs());
            }
            deviation.elements += wanted.len();
        }
    }
    println!(
        "{backend}: largest deviation {:e}, mean {:e}",
        deviation.largest,
        deviation.sum / deviation.elements as f64
    );
    deviation
}

/// Mean and extremes cover the elements that are not among the samples. The file rounds them to six places.
fn check_moments(pixels: &[f32], output: &Value, name: &str) {
    let mean = pixels.iter().map(|x| f64::from(*x)).sum::<f64>() / pixels.len() as f64;
    let (min, max) = pixels.iter().fold((f32::MAX, f32::MIN), |(min, max), x| {
        (min.min(*x), max.max(*x))
    });
    for (found, key) in [
        (mean, "mean"),
        (f64::from(min), "min"),
        (f64::from(max), "max"),
    ] {
        let wanted = output[key].as_f64().unwrap();
        assert!(
            (found - wanted).abs() < 2e-6,
            "{name}: {key} {found}, not {wanted}"
        );
    }
}

#[test]
fn tiles_equal_those_of_pillow() {
    let deviation = compare("pil");
    assert!(deviation.largest <= 1e-4, "{}", deviation.largest);
}

#[test]
fn tiles_are_within_two_steps_of_torchvision() {
    let deviation = compare("torchvision");
    assert!(deviation.largest <= 0.0300, "{}", deviation.largest);
}
