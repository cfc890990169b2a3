//! The names that transformers gave the same weight over time.
//!
//! Published checkpoints are named as the first version of a model's class had its modules; later versions of
//! transformers nest them otherwise and save them so (`conversion_mapping.py`). Code asks for published names.

/// Beginnings of published names, and what stands there in checkpoints saved by other versions.
const ALIASES: &[(&str, &[&str])] = &[
    ("language_model.lm_head.", &["lm_head.", "model.lm_head."]),
    (
        "language_model.model.",
        &[
            "model.language_model.",
            "language_model.",
            "model.language_model.model.",
        ],
    ),
    (
        "vision_tower.vision_model.",
        &[
            "model.vision_tower.vision_model.",
            "vision_tower.",
            "model.vision_tower.",
        ],
    ),
    ("multi_modal_projector.", &["model.multi_modal_projector."]),
    ("image_newline", &["model.image_newline"]),
    // A decoder saved without its output layer.
    ("model.", &[""]),
];

/// Other names of the weight that published checkpoints call `name`, the likeliest first.
pub(super) fn aliases(name: &str) -> impl Iterator<Item = String> {
    ALIASES
        .iter()
        .filter_map(move |(published, others)| Some((name.strip_prefix(published)?, others)))
        .flat_map(|(rest, others)| others.iter().map(move |other| format!("{other}{rest}")))
}

#[cfg(test)]
mod tests {
    use super::aliases;

    #[test]
    fn published_names_map_to_those_of_later_versions() {
        let of = |name| aliases(name).collect::<Vec<_>>();
        assert!(
            of("language_model.model.layers.0.mlp.up_proj.weight")
                .contains(&"model.language_model.layers.0.mlp.up_proj.weight".to_owned())
        );
        assert!(
            of("vision_tower.vision_model.pre_layrnorm.bias")
                .contains(&"model.vision_tower.pre_layrnorm.bias".to_owned())
        );
        assert_eq!(of("language_model.lm_head.weight")[0], "lm_head.weight");
        assert_eq!(of("image_newline"), ["model.image_newline"]);
        assert_eq!(of("model.norm.weight"), ["norm.weight"]);
        assert!(of("lm_head.weight").is_empty());
    }
}
