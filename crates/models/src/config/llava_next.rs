//! LLaVA-NeXT: a CLIP tower, a projector and a decoder.

use whittle_kernels::Activation;

use super::{ConfigFile, Fields, TextConfig, limits, text};
use crate::error::ModelError;
use crate::image::Size;

/// Which positions of the vision tower's output are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureSelection {
    /// The patches without the class token.
    Default,
    /// All positions.
    Full,
}

/// Sizes of a CLIP vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Blocks in the checkpoint; the last ones are not needed where an earlier block's output is used.
    pub layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub heads: usize,
    /// Side of a tile in pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Added to the variance in layer norm.
    pub layer_norm_eps: f32,
    /// Of the MLP.
    pub activation: Activation,
}

impl ClipConfig {
    /// Patches along one side of a tile.
    pub fn patches_per_side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a tile, without the class token.
    pub fn patches(&self) -> usize {
        self.patches_per_side() * self.patches_per_side()
    }

    /// CLIP ViT-L/14 at 336 pixels, what LLaVA-NeXT has where `vision_config` is missing.
    fn large_336() -> Self {
        Self {
            hidden_size: 1024,
            intermediate_size: 4096,
            layers: 24,
            heads: 16,
            image_size: 336,
            patch_size: 14,
            layer_norm_eps: 1e-5,
            activation: Activation::QuickGelu,
        }
    }

    fn from_fields(fields: &Fields<'_>) -> Result<Self, ModelError> {
        match fields.string("model_type")? {
            None | Some("clip_vision_model") => {}
            Some(other) => {
                return Err(fields.error(
                    "model_type",
                    format!("unknown vision tower {other}; known is clip_vision_model"),
                ));
            }
        }
        if fields
            .size("num_channels", limits::WIDTH)?
            .is_some_and(|channels| channels != 3)
        {
            return Err(fields.error("num_channels", "only 3 is supported"));
        }
        let config = Self {
            hidden_size: fields.size("hidden_size", limits::WIDTH)?.unwrap_or(768),
            intermediate_size: fields
                .size("intermediate_size", limits::WIDTH)?
                .unwrap_or(3072),
            layers: fields
                .size("num_hidden_layers", limits::LAYERS)?
                .unwrap_or(12),
            heads: fields
                .size("num_attention_heads", limits::HEADS)?
                .unwrap_or(12),
            image_size: fields.size("image_size", limits::PIXELS)?.unwrap_or(224),
            patch_size: fields.size("patch_size", limits::PIXELS)?.unwrap_or(32),
            layer_norm_eps: fields.positive("layer_norm_eps")?.unwrap_or(1e-5) as f32,
            activation: text::read_activation(fields, "hidden_act", Activation::QuickGelu)?,
        };
        if !config.hidden_size.is_multiple_of(config.heads) {
            let problem = format!(
                "{} is not a multiple of the {} heads",
                config.hidden_size, config.heads
            );
            return Err(fields.error("hidden_size", problem));
        }
        // transformers drops the pixels that are left over; the tiling arithmetic assumes there are none.
        if !config.image_size.is_multiple_of(config.patch_size) {
            let problem = format!(
                "{} is not a multiple of patch_size, {}",
                config.image_size, config.patch_size
            );
            return Err(fields.error("image_size", problem));
        }
        Ok(config)
    }
}

/// Configuration of a LLaVA-NeXT model.
#[derive(Debug, Clone, PartialEq)]
pub struct LlavaNextConfig {
    /// The vision tower.
    pub vision: ClipConfig,
    /// The decoder.
    pub text: TextConfig,
    /// Id of the placeholder that visual tokens have in a prompt.
    pub image_token_id: u32,
    /// Sizes to which images are resized and padded; multiples of the tile's side.
    pub image_grid_pinpoints: Vec<Size>,
    /// Hidden states of the tower that are concatenated: 0 is what enters block 0, `i` what leaves block `i - 1`.
    pub feature_layers: Vec<usize>,
    /// Which positions of them are used.
    pub feature_selection: FeatureSelection,
    /// Between the projector's two layers.
    pub projector_activation: Activation,
    /// Whether the projector's layers have biases.
    pub projector_bias: bool,
}

impl LlavaNextConfig {
    /// Reads the configuration of a LLaVA-NeXT model.
    pub fn read(file: &ConfigFile) -> Result<Self, ModelError> {
        let fields = file.fields();
        super::reject_quantization(&fields)?;
        let vision = match fields.object("vision_config")? {
            Some(vision) => ClipConfig::from_fields(&vision)?,
            None => ClipConfig::large_336(),
        };
        let nothing = serde_json::Map::new();
        let text_fields = fields
            .object("text_config")?
            .unwrap_or_else(|| Fields::root(file.path(), &nothing));
        super::reject_quantization(&text_fields)?;
        let mut text = TextConfig::from_fields(&text_fields)?;
        text.tie_word_embeddings = fields.flag(
            "tie_word_embeddings",
            text_fields.flag("tie_word_embeddings", false)?,
        )?;
        let feature_selection = match fields.string("vision_feature_select_strategy")? {
            None | Some("default") => FeatureSelection::Default,
            // transformers accepts it, but CLIP's class tokens then shift the grid of patches.
            Some("full") => {
                let problem =
                    "full keeps the class token of CLIP, which has no place in a grid of tiles";
                return Err(fields.error("vision_feature_select_strategy", problem));
            }
            Some(other) => {
                let problem = format!("unknown strategy {other}; known are default, full");
                return Err(fields.error("vision_feature_select_strategy", problem));
            }
        };
        Ok(Self {
            image_token_id: match fields.token("image_token_index")? {
                Some(id) => id,
                None => fields.token("image_token_id")?.unwrap_or(32000),
            },
            image_grid_pinpoints: read_pinpoints(&fields, vision.image_size)?,
            feature_layers: read_feature_layers(&fields, vision.layers)?,
            feature_selection,
            projector_activation: text::read_activation(
                &fields,
                "projector_hidden_act",
                Activation::Gelu,
            )?,
            projector_bias: fields.flag("multimodal_projector_bias", true)?,
            vision,
            text,
        })
    }
}

fn read_feature_layers(fields: &Fields<'_>, layers: usize) -> Result<Vec<usize>, ModelError> {
    let key = "vision_feature_layer";
    let states = layers as i64 + 1;
    fields
        .integers(key)?
        .unwrap_or_else(|| vec![-2])
        .into_iter()
        .map(|layer| {
            let index = if layer < 0 {
                states.saturating_add(layer)
            } else {
                layer
            };
            if (0..states).contains(&index) {
                Ok(index as usize)
            } else {
                Err(fields.error(key, format!("{layer}: the tower has {layers} layers")))
            }
        })
        .collect()
}

/// Far above every published model; bounds the memory that an image takes.
const MAX_TILES: usize = 256;

/// Reads `image_grid_pinpoints` and checks that tiles of side `tile` cover each of them exactly.
pub(crate) fn read_pinpoints(fields: &Fields<'_>, tile: usize) -> Result<Vec<Size>, ModelError> {
    let key = "image_grid_pinpoints";
    let pairs = fields
        .pairs(key, limits::PIXELS)?
        .unwrap_or_else(|| vec![(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)]);
    if pairs.is_empty() {
        return Err(fields.error(key, "the list is empty"));
    }
    pairs
        .into_iter()
        .map(|(height, width)| {
            if (height / tile) * (width / tile) > MAX_TILES {
                return Err(fields.error(
                    key,
                    format!("[{height}, {width}] takes more than {MAX_TILES} tiles"),
                ));
            }
            if height.is_multiple_of(tile) && width.is_multiple_of(tile) {
                Ok(Size { height, width })
            } else {
                Err(fields.error(
                    key,
                    format!("[{height}, {width}] is not a multiple of the tile's side, {tile}"),
                ))
            }
        })
        .collect()
}
