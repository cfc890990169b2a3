//! What a scanner does to a page: sensor noise and specks.

use image::RgbImage;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Adds noise of a random strength; a quarter of the pages stay clean.
pub(crate) fn apply(image: &mut RgbImage, rng: &mut ChaCha8Rng) {
    if rng.random_bool(0.25) {
        return;
    }
    let strength = rng.random_range(1..=14);
    let specks = if rng.random_bool(0.3) {
        rng.random_range(1..=80)
    } else {
        0
    };
    for pixel in image.pixels_mut() {
        // The sum of three uniform draws is near enough to a normal one.
        let shift: i32 = (0..3).map(|_| rng.random_range(-strength..=strength)).sum();
        pixel.0 = pixel.0.map(|v| (i32::from(v) + shift).clamp(0, 255) as u8);
    }
    for _ in 0..specks {
        let (x, y) = (
            rng.random_range(0..image.width()),
            rng.random_range(0..image.height()),
        );
        image.put_pixel(x, y, image::Rgb([rng.random_range(0..=255); 3]));
    }
}
