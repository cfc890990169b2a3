//! LLaVA-NeXT (`transformers/models/llava_next/modeling_llava_next.py`): a CLIP tower over the tiles of an image, a
//! projector into the decoder's space, and a Llama or Mistral decoder.

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use image::DynamicImage;
use whittle_kernels::{Activation, Kernels};
use whittle_kv::{KvCache, Needs, PromptInfo};

use crate::assets::Assets;
use crate::checkpoint::Checkpoint;
use crate::clip::ClipTower;
use crate::config::{ConfigFile, FeatureSelection, LlavaNextConfig};
use crate::decoder::{Decoder, Inputs};
use crate::error::ModelError;
use crate::image::{ImageProcessor, TokenSource};
use crate::layers::{Linear, vector};
use crate::model::{
    ImageInput, LoadOptions, Message, Model, ModelDescription, Part, Prefill, PrefillObserver,
    Prompt, VisionDescription,
};
use crate::tokenizer::TextTokenizer;

/// A `LlavaNextForConditionalGeneration` checkpoint.
pub struct LlavaNext {
    assets: Assets,
    kernels: Kernels,
    processor: ImageProcessor,
    patch: usize,
    image_token: u32,
    tower: ClipTower,
    projector: Projector,
    newline: Vec<f32>,
    decoder: Decoder,
}

/// From the tower's features to the decoder's embeddings.
struct Projector {
    linear1: Linear,
    activation: Activation,
    linear2: Linear,
}

impl LlavaNext {
    /// Loads a checkpoint folder.
    pub fn load(dir: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let file = ConfigFile::open(dir)?;
        let config = LlavaNextConfig::read(&file)?;
        if config.feature_selection == FeatureSelection::Full {
            // The class token of a tile has no place in the grid that the tiles form; the reference fails as well.
            let problem = "full is not possible with a CLIP tower, whose class token has no place among the tiles";
            return Err(file
                .fields()
                .error("vision_feature_select_strategy", problem));
        }
        let processor = ImageProcessor::open(dir, &config)?;
        let checkpoint = Checkpoint::open(dir)?;
        let (layers, selection) = (&config.feature_layers, config.feature_selection);
        let prefix = "vision_tower.vision_model";
        let tower = ClipTower::load(
            &checkpoint,
            prefix,
            &config.vision,
            layers,
            selection,
            options.kernels,
        )?;
        let projector =
            Projector::load(&checkpoint, options.kernels, tower.feature_width(), &config)?;
        let newline = vector(&checkpoint, "image_newline", &[config.text.hidden_size])?;
        let decoder = Decoder::load(&checkpoint, "language_model.", &config.text, options)?;
        let vision = VisionDescription {
            layers: tower.depth(),
            hidden: config.vision.hidden_size,
            tile: config.vision.image_size,
            patch: config.vision.patch_size,
        };
        Ok(Self {
            assets: Assets::open(
                dir,
                &file,
                &config.text,
                Some(vision),
                checkpoint,
                &decoder,
                options,
            )?,
            kernels: options.kernels,
            processor,
            patch: config.vision.patch_size,
            image_token: config.image_token_id,
            tower,
            projector,
            newline,
            decoder,
        })
    }

    /// The vision tower's selected features `[tiles, patches, width]` of `pixels` `[tiles, 3, side, side]`.
    ///
    /// # Errors
    /// The pixels are not whole tiles.
    pub fn vision_features(&self, pixels: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.tower.forward(pixels)
    }

    /// Vision features `[rows, width]` projected into the decoder's space, `[rows, hidden]`.
    ///
    /// # Panics
    /// If `features` are not whole rows.
    pub fn project(&self, features: &[f32]) -> Vec<f32> {
        self.projector.apply(self.kernels, features)
    }

    /// The embeddings of an image's visual tokens, `[tokens, hidden]`: patches of the whole image, then those of the
    /// tiles row by row without padding, each row with a newline embedding at its end.
    ///
    /// # Errors
    /// The pixels are not the tiles that the layout speaks of.
    pub fn image_features(&self, image: &ImageInput) -> Result<Vec<f32>, ModelError> {
        let projected = self.project(&self.vision_features(&image.pixels.pixels)?);
        let hidden = self.newline.len();
        let patches = self.tower.tokens_per_tile();
        let mut packed = Vec::with_capacity(image.layout.tokens.len() * hidden);
        for token in &image.layout.tokens {
            let embedding = match token.source {
                TokenSource::Newline => Some(self.newline.as_slice()),
                TokenSource::Patch { tile, patch } => {
                    projected.chunks_exact(hidden).nth(tile * patches + patch)
                }
            };
            packed.extend_from_slice(embedding.ok_or_else(|| {
                let tiles = image.layout.tile_count();
                ModelError::Prompt(format!(
                    "an image of {tiles} tiles has pixels of {}",
                    image.pixels.tiles
                ))
            })?);
        }
        Ok(packed)
    }

    /// Replaces the placeholder of each image by one for each of its tokens; returns the ids and where they lie.
    fn expand(
        &self,
        ids: &[u32],
        tokens: &[usize],
    ) -> Result<(Vec<u32>, Vec<Range<usize>>), ModelError> {
        let placeholders = ids.iter().filter(|&&id| id == self.image_token).count();
        if placeholders != tokens.len() {
            let images = tokens.len();
            return Err(ModelError::Prompt(format!(
                "it has {placeholders} image placeholders for {images} images"
            )));
        }
        let mut expanded = Vec::with_capacity(ids.len() + tokens.iter().sum::<usize>());
        let mut spans = Vec::with_capacity(tokens.len());
        for &id in ids {
            match tokens.get(spans.len()) {
                Some(&count) if id == self.image_token => {
                    spans.push(expanded.len()..expanded.len() + count);
                    expanded.extend(std::iter::repeat_n(id, count));
                }
                _ => expanded.push(id),
            }
        }
        Ok((expanded, spans))
    }
}

/// The images that the messages show, in order.
///
/// # Errors
/// A message shows an image that is not there, or an image is not shown.
fn shown_images(messages: &[Message], images: usize) -> Result<Vec<usize>, ModelError> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let shown: Vec<usize> = parts
        .filter_map(|part| {
            if let Part::Image(image) = part {
                Some(*image)
            } else {
                None
            }
        })
        .collect();
    if let Some(missing) = shown.iter().find(|&&image| image >= images) {
        return Err(ModelError::Prompt(format!(
            "a message shows image {missing}, but {images} images were given"
        )));
    }
    match (0..images).find(|image| !shown.contains(image)) {
        Some(unused) => Err(ModelError::Prompt(format!(
            "no message shows image {unused}"
        ))),
        None => Ok(shown),
    }
}

impl Model for LlavaNext {
    fn description(&self) -> &ModelDescription {
        &self.assets.description
    }

    fn tokenizer(&self) -> &TextTokenizer {
        &self.assets.tokenizer
    }

    fn prompt(&self, messages: &[Message], images: &[DynamicImage]) -> Result<Prompt, ModelError> {
        let processed = shown_images(messages, images.len())?
            .into_iter()
            .map(|image| {
                self.processor
                    .process(&image.to_string(), &images[image], self.patch)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let tokens: Vec<usize> = processed
            .iter()
            .map(|(_, layout)| layout.tokens.len())
            .collect();
        let (ids, visual) = self.expand(&self.assets.encode(messages)?, &tokens)?;
        self.assets.check_length(ids.len())?;
        let images = processed
            .into_iter()
            .zip(&visual)
            .map(|((pixels, layout), tokens)| ImageInput {
                pixels,
                layout,
                tokens: tokens.clone(),
            })
            .collect();
        Ok(Prompt {
            info: PromptInfo {
                len: ids.len(),
                visual,
            },
            ids,
            images,
        })
    }

    fn prefill(
        &self,
        prompt: &Prompt,
        cache: &mut KvCache,
        needs: &Needs,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Prefill, ModelError> {
        let begin = Instant::now();
        let mut features = Vec::new();
        for image in &prompt.images {
            features.extend(self.image_features(image)?);
        }
        let vision = begin.elapsed();
        let inputs = Inputs {
            ids: &prompt.ids,
            features: &features,
            info: &prompt.info,
        };
        let mut prefill = self
            .decoder
            .prefill(inputs, cache, needs, observer)
            .map_err(|error| self.assets.explain(error))?;
        prefill.times.vision = vision;
        Ok(prefill)
    }

    fn decode(&self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError> {
        self.decode_batch(&[token], &mut [cache])
    }

    fn decode_batch(
        &self,
        tokens: &[u32],
        caches: &mut [&mut KvCache],
    ) -> Result<Vec<f32>, ModelError> {
        self.decoder
            .decode_batch(tokens, caches)
            .map_err(|error| self.assets.explain(error))
    }
}

impl Projector {
    fn load(
        checkpoint: &Checkpoint,
        kernels: Kernels,
        inputs: usize,
        config: &LlavaNextConfig,
    ) -> Result<Self, ModelError> {
        let hidden = config.text.hidden_size;
        let linear = |name: &str, inputs| {
            Linear::load(
                checkpoint,
                kernels,
                &format!("multi_modal_projector.{name}"),
                hidden,
                inputs,
                config.projector_bias,
            )
        };
        Ok(Self {
            linear1: linear("linear_1", inputs)?,
            activation: config.projector_activation,
            linear2: linear("linear_2", hidden)?,
        })
    }

    fn apply(&self, kernels: Kernels, features: &[f32]) -> Vec<f32> {
        let rows = features.len() / self.linear1.inputs();
        let mut wide = vec![0.0; rows * self.linear1.outputs()];
        self.linear1.apply(kernels, &mut wide, features);
        kernels.activate(self.activation, &mut wide);
        let mut out = vec![0.0; rows * self.linear2.outputs()];
        self.linear2.apply(kernels, &mut out, &wide);
        out
    }
}
