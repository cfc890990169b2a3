//! Checkpoints with random weights, for measurements.

use whittle_kernels::DType;
use whittle_kv::Needs;
use whittle_models::random::{
    RandomShape, RandomVision, write_random_checkpoint, write_random_llava_next,
};
use whittle_models::{LoadOptions, Message, load};

use crate::parity::{greedy, new_cache};

fn tiny() -> RandomShape {
    RandomShape {
        hidden: 32,
        layers: 2,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 8,
        intermediate: 48,
        vocabulary: 300,
    }
}

#[test]
fn a_random_checkpoint_loads_and_generates() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = (0, 0);
    write_random_checkpoint(folder.path(), &tiny(), 7, |done, total| {
        last = (done, total);
    })
    .unwrap();
    assert_eq!(last.0, last.1);
    let model = load(folder.path(), &LoadOptions::default()).unwrap();
    let description = model.description();
    assert_eq!(description.weight_bytes, last.1);
    assert_eq!(description.parameters, last.1 / 2);
    assert_eq!(
        description.cache.dtype,
        DType::BF16,
        "the cache has the type of the weights"
    );
    let prompt = model.prompt(&[Message::user("ab \u{e9}", 0)], &[]).unwrap();
    assert_eq!(prompt.ids.len(), 5, "one token per byte");
    assert_eq!(model.tokenizer().decode(&prompt.ids).unwrap(), "ab \u{e9}");
    let mut cache = new_cache(&*model);
    let prefill = model
        .prefill(&prompt, &mut cache, &Needs::default(), &mut ())
        .unwrap();
    assert_eq!(greedy(&*model, prefill.logits, &mut cache, 4).0.len(), 4);
}

#[test]
fn a_random_llava_next_sees_an_image() {
    let vision = RandomVision {
        hidden: 32,
        layers: 2,
        heads: 4,
        intermediate: 64,
        tile: 28,
        patch: 14,
    };
    let folder = tempfile::tempdir().unwrap();
    write_random_llava_next(folder.path(), &vision, &tiny(), 7, |_, _| ()).unwrap();
    let model = load(folder.path(), &LoadOptions::default()).unwrap();
    let image = image::DynamicImage::new_rgb8(56, 56);
    let prompt = model
        .prompt(&[Message::user("ab", 1)], std::slice::from_ref(&image))
        .unwrap();
    assert_eq!(prompt.images[0].pixels.tiles, 5, "the whole and four parts");
    let mut cache = new_cache(&*model);
    let prefill = model
        .prefill(&prompt, &mut cache, &Needs::default(), &mut ())
        .unwrap();
    assert!(!prefill.times.vision.is_zero());
    let generated = greedy(&*model, prefill.logits, &mut cache, 2).0;
    assert_eq!(generated.len(), 2);
}

#[test]
fn the_image_needs_room_in_the_vocabulary() {
    let small = RandomShape {
        vocabulary: 259,
        ..tiny()
    };
    let folder = tempfile::tempdir().unwrap();
    let written = write_random_llava_next(
        folder.path(),
        &RandomVision::LARGE_336,
        &small,
        0,
        |_, _| (),
    );
    assert_eq!(
        written.unwrap_err().to_string(),
        "the image's placeholder is token 259"
    );
}

#[test]
fn a_seed_determines_the_weights() {
    let weights = |seed| {
        let folder = tempfile::tempdir().unwrap();
        write_random_checkpoint(folder.path(), &tiny(), seed, |_, _| ()).unwrap();
        std::fs::read(folder.path().join("model.safetensors")).unwrap()
    };
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

#[test]
fn the_shapes_are_those_of_the_peer_measurements() {
    let m = RandomShape::named("m").unwrap();
    assert_eq!(m.parameters(), 567_314_432);
    assert!(RandomShape::named("s").unwrap().parameters() < m.parameters());
    assert!(RandomShape::named("xl").is_none());
}
