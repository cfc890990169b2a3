//! What has to hold for any bytes that Whittle reads. Used by the fuzz targets, and by tests with mutated seeds.

use std::path::Path;

use whittle_models::checkpoint::parse_header;
use whittle_models::config::{ConfigFile, LlavaNextConfig, TextConfig};
use whittle_models::image::{ImageLimits, ImageProcessor, decode_image};

/// A configuration is read or refused; what is read has usable sizes.
pub(crate) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(file) = ConfigFile::parse(Path::new("config.json"), &text) else {
        return;
    };
    let _ = file.architecture();
    if let Ok(text) = TextConfig::read(&file) {
        check_text(&text);
    }
    if let Ok(config) = LlavaNextConfig::read(&file) {
        check_text(&config.text);
        assert!(config.vision.patches() > 0);
        assert!(!config.image_grid_pinpoints.is_empty() && !config.feature_layers.is_empty());
        assert!(
            config
                .feature_layers
                .iter()
                .all(|layer| *layer <= config.vision.layers)
        );
    }
    if let Ok(processor) = ImageProcessor::read(&file) {
        assert!(processor.tile() > 0);
    }
}

fn check_text(config: &TextConfig) {
    assert!(config.layers > 0 && config.kv_heads > 0 && config.max_positions > 0);
    assert!(config.query_heads.is_multiple_of(config.kv_heads));
    assert!(config.head_dim > 0 && config.head_dim.is_multiple_of(2));
    assert!(config.rope_theta > 0.0 && config.rope_theta.is_finite());
    // Sizes that follow from a configuration fit 64 bits.
    let cache = [
        config.layers,
        2,
        config.kv_heads,
        config.head_dim,
        4,
        config.max_positions,
    ];
    assert!(
        cache
            .iter()
            .try_fold(1_u64, |product, size| product.checked_mul(*size as u64))
            .is_some()
    );
}

/// A header is read or refused; what is read describes tensors that lie side by side in the file.
pub(crate) fn header(bytes: &[u8]) {
    let Ok(tensors) = parse_header(Path::new("model.safetensors"), bytes) else {
        return;
    };
    let mut ranges: Vec<_> = tensors
        .values()
        .map(|tensor| tensor.bytes.clone())
        .collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    assert!(
        ranges
            .iter()
            .all(|range| range.start <= range.end && range.end <= bytes.len())
    );
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    for tensor in tensors.values() {
        if let Some(dtype) = tensor.dtype {
            assert_eq!(tensor.elements() * dtype.size(), tensor.bytes.len());
        }
    }
}

/// An image is refused, or it is decoded and tiled into finite numbers.
pub(crate) fn image(bytes: &[u8]) {
    // Small limits, for speed.
    let limits = ImageLimits {
        side: 4096,
        pixels: 1 << 18,
        memory: 16 << 20,
        file: 1 << 20,
    };
    let Ok(image) = decode_image("fuzzed", bytes, &limits) else {
        return;
    };
    assert!(u64::from(image.width()) * u64::from(image.height()) <= limits.pixels);
    let settings = r#"{"size": {"shortest_edge": 28}, "crop_size": 28, "image_grid_pinpoints": [[28, 56], [56, 28], [56, 56]]}"#;
    let Ok(processor) = ConfigFile::parse(Path::new("preprocessor_config.json"), settings)
        .and_then(|file| ImageProcessor::read(&file))
    else {
        panic!("the settings above are valid");
    };
    let Ok((tiles, layout)) = processor.process("fuzzed", &image, 14) else {
        panic!("a decoded image can be processed");
    };
    assert_eq!(tiles.tiles, layout.tile_count());
    assert!(tiles.pixels.iter().all(|value| value.is_finite()));
}
