//! The CLIP vision tower (`transformers/models/clip/modeling_clip.py`): tiles in, patch features out.

use whittle_kernels::{Activation, DType, Elements, Heads, Kernels, KvView, Mask, bf16};

use crate::checkpoint::Checkpoint;
use crate::config::{ClipConfig, FeatureSelection};
use crate::error::ModelError;
use crate::layers::{LayerNorm, Linear, vector};

/// Colour channels of a tile.
const CHANNELS: usize = 3;

/// Rows of all tiles that go through a block together; bounds the activation memory.
const ROWS_TOGETHER: usize = 3072;

/// A vision transformer over square tiles with a class token and learned positions.
pub struct ClipTower {
    kernels: Kernels,
    hidden: usize,
    heads: Heads,
    tile: usize,
    patch: usize,
    patch_embedding: Linear,
    /// Class embedding plus its position, `[hidden]`.
    class_row: Vec<f32>,
    /// Positions of the patches, `[patches, hidden]`.
    positions: Vec<f32>,
    pre_norm: LayerNorm,
    /// Only the blocks that the selected features need.
    blocks: Vec<Block>,
    /// Indices into the hidden states (0: input of the first block), in the order of their concatenation.
    selected: Vec<usize>,
    keep_class_token: bool,
}

impl ClipTower {
    /// Takes the tower's tensors below `prefix` out of a checkpoint. `selected` are the hidden states to return (0: the
    /// input of the first block), in the order of their concatenation; blocks after the last of them are left out.
    ///
    /// # Errors
    /// A tensor is missing or has another shape than the configuration says.
    pub fn load(
        checkpoint: &Checkpoint,
        prefix: &str,
        config: &ClipConfig,
        selected: &[usize],
        selection: FeatureSelection,
        kernels: Kernels,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let used = selected.iter().copied().max().unwrap_or(0);

        let embeddings = format!("{prefix}.embeddings");
        let kernel = [hidden, CHANNELS, config.patch_size, config.patch_size];
        let patch_embedding = Linear::load_convolution(
            checkpoint,
            kernels,
            &format!("{embeddings}.patch_embedding"),
            kernel,
        )?;
        let mut class_row = vector(
            checkpoint,
            &format!("{embeddings}.class_embedding"),
            &[hidden],
        )?;
        let rows = config.patches() + 1;
        let mut class_position = vector(
            checkpoint,
            &format!("{embeddings}.position_embedding.weight"),
            &[rows, hidden],
        )?;
        let positions = class_position.split_off(hidden);
        kernels.add(&mut class_row, &class_position);

        let blocks = (0..used)
            .map(|layer| {
                Block::load(
                    checkpoint,
                    kernels,
                    &format!("{prefix}.encoder.layers.{layer}"),
                    config,
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            kernels,
            hidden,
            heads: Heads {
                query: config.heads,
                kv: config.heads,
                dim: hidden / config.heads,
            },
            tile: config.image_size,
            patch: config.patch_size,
            patch_embedding,
            class_row,
            positions,
            pre_norm: LayerNorm::load(
                checkpoint,
                &format!("{prefix}.pre_layrnorm"),
                hidden,
                config.layer_norm_eps,
            )?,
            blocks,
            selected: selected.to_vec(),
            keep_class_token: selection == FeatureSelection::Full,
        })
    }

    /// Number of blocks that are computed.
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// Features per tile, with the class token if it is kept.
    pub fn tokens_per_tile(&self) -> usize {
        self.patches() + usize::from(self.keep_class_token)
    }

    /// Width of a feature: that of the tower times the number of feature layers.
    pub fn feature_width(&self) -> usize {
        self.hidden * self.selected.len()
    }

    /// The selected features `[tiles, tokens_per_tile, feature_width]` of `pixels` `[tiles, 3, tile, tile]`.
    ///
    /// # Errors
    /// The pixels are not whole tiles.
    pub fn forward(&self, pixels: &[f32]) -> Result<Vec<f32>, ModelError> {
        let per_tile = CHANNELS * self.tile * self.tile;
        if !pixels.len().is_multiple_of(per_tile) {
            let (values, side) = (pixels.len(), self.tile);
            return Err(ModelError::Prompt(format!(
                "{values} pixel values are not whole tiles of {side} x {side} pixels"
            )));
        }
        let together = (ROWS_TOGETHER / (self.patches() + 1)).max(1);
        let mut features = Vec::with_capacity(
            pixels.len() / per_tile * self.tokens_per_tile() * self.feature_width(),
        );
        for tiles in pixels.chunks(together * per_tile) {
            self.forward_tiles(tiles, tiles.len() / per_tile, &mut features);
        }
        Ok(features)
    }

    fn patches(&self) -> usize {
        (self.tile / self.patch).pow(2)
    }

    /// Runs a few tiles through the blocks and appends their features.
    fn forward_tiles(&self, pixels: &[f32], tiles: usize, features: &mut Vec<f32>) {
        let rows = self.patches() + 1;
        let embedded = self.embed(pixels, tiles);
        let mut x = vec![0.0; embedded.len()];
        self.pre_norm.apply(self.kernels, &mut x, &embedded);

        let mut buffers = Buffers::default();
        let mut states = vec![Vec::new(); self.selected.len()];
        for layer in 0..=self.blocks.len() {
            for (state, _) in states
                .iter_mut()
                .zip(&self.selected)
                .filter(|(_, selected)| **selected == layer)
            {
                state.clone_from(&x);
            }
            if let Some(block) = self.blocks.get(layer) {
                block.apply(self.kernels, self.heads, rows, &mut x, &mut buffers);
            }
        }
        let first = usize::from(!self.keep_class_token);
        for tile in 0..tiles {
            for row in first..rows {
                let at = (tile * rows + row) * self.hidden;
                for state in &states {
                    features.extend_from_slice(&state[at..at + self.hidden]);
                }
            }
        }
    }

    /// Class token and patch embeddings with their positions, `[tiles, patches + 1, hidden]`.
    fn embed(&self, pixels: &[f32], tiles: usize) -> Vec<f32> {
        let patches = self.patches();
        let columns = patch_columns(pixels, CHANNELS, self.tile, self.patch);
        let mut embedded = vec![0.0; tiles * patches * self.hidden];
        self.patch_embedding
            .apply(self.kernels, &mut embedded, &columns);

        let mut x = Vec::with_capacity(tiles * (patches + 1) * self.hidden);
        for tile in embedded.chunks_exact_mut(patches * self.hidden) {
            self.kernels.add(tile, &self.positions);
            x.extend_from_slice(&self.class_row);
            x.extend_from_slice(tile);
        }
        x
    }
}

/// One pre-norm transformer block.
struct Block {
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    activation: Activation,
    fc2: Linear,
}

impl Block {
    fn load(
        checkpoint: &Checkpoint,
        kernels: Kernels,
        prefix: &str,
        config: &ClipConfig,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let linear = |name: &str, outputs, inputs| {
            Linear::load(
                checkpoint,
                kernels,
                &format!("{prefix}.{name}"),
                outputs,
                inputs,
                true,
            )
        };
        let norm = |name: &str| {
            LayerNorm::load(
                checkpoint,
                &format!("{prefix}.{name}"),
                hidden,
                config.layer_norm_eps,
            )
        };
        Ok(Self {
            norm1: norm("layer_norm1")?,
            q: linear("self_attn.q_proj", hidden, hidden)?,
            k: linear("self_attn.k_proj", hidden, hidden)?,
            v: linear("self_attn.v_proj", hidden, hidden)?,
            out: linear("self_attn.out_proj", hidden, hidden)?,
            norm2: norm("layer_norm2")?,
            fc1: linear("mlp.fc1", config.intermediate_size, hidden)?,
            activation: config.activation,
            fc2: linear("mlp.fc2", hidden, config.intermediate_size)?,
        })
    }

    /// `x` is `[tiles, rows, hidden]`; tiles do not see each other.
    fn apply(
        &self,
        kernels: Kernels,
        heads: Heads,
        rows: usize,
        x: &mut [f32],
        buffers: &mut Buffers,
    ) {
        let hidden = heads.query * heads.dim;
        let Buffers {
            normed,
            q,
            k,
            v,
            mixed,
            wide,
        } = buffers;
        for buffer in [&mut *normed, q, k, v, mixed] {
            buffer.resize(x.len(), 0.0);
        }
        wide.resize(x.len() / hidden * self.fc1.outputs(), 0.0);

        self.norm1.apply(kernels, normed, x);
        let products = &mut [self.q.product(q), self.k.product(k), self.v.product(v)];
        kernels.matmul_all(normed, products);
        let tile = rows * hidden;
        for (((out, q), k), v) in mixed
            .chunks_exact_mut(tile)
            .zip(q.chunks_exact(tile))
            .zip(k.chunks_exact(tile))
            .zip(v.chunks_exact(tile))
        {
            // Keys and values in the type of the weights, as a decoder's cache holds them.
            if self.k.dtype() == DType::BF16 {
                full_attention(kernels, heads, out, q, [k, v], bf16::from_f32, |x| {
                    Elements::BF16(x)
                });
            } else {
                full_attention(kernels, heads, out, q, [k, v], |x| x, |x| Elements::F32(x));
            }
        }
        self.out.apply(kernels, normed, mixed);
        kernels.add(x, normed);

        self.norm2.apply(kernels, normed, x);
        self.fc1.apply(kernels, wide, normed);
        kernels.activate(self.activation, wide);
        self.fc2.apply(kernels, normed, wide);
        kernels.add(x, normed);
    }
}

/// Activations that all blocks share.
#[derive(Default)]
struct Buffers {
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
}

/// Attention of one tile; `q`, keys, values and `out` are `[rows, heads, dim]`. Keys and values are converted first.
fn full_attention<T: Copy>(
    kernels: Kernels,
    heads: Heads,
    out: &mut [f32],
    q: &[f32],
    [k, v]: [&[f32]; 2],
    convert: impl Fn(f32) -> T,
    elements: impl for<'a> Fn(&'a [T]) -> Elements<'a>,
) {
    let rows = q.len() / (heads.query * heads.dim);
    let keys = heads_first(k, heads, &convert);
    let values = heads_first(v, heads, &convert);
    let per_head = rows * heads.dim;
    let views: Vec<KvView> = keys
        .chunks_exact(per_head)
        .zip(values.chunks_exact(per_head))
        .map(|(k, v)| KvView::contiguous(elements(k), elements(v), rows))
        .collect();
    let scale = (heads.dim as f32).sqrt().recip();
    kernels.prefill_attention(out, q, &views, heads, Mask::Full, scale, None);
}

/// `[rows, heads, dim]` to `[heads, rows, dim]`.
fn heads_first<T>(x: &[f32], heads: Heads, convert: impl Fn(f32) -> T) -> Vec<T> {
    let width = heads.kv * heads.dim;
    let mut out = Vec::with_capacity(x.len());
    for head in 0..heads.kv {
        for row in x.chunks_exact(width) {
            let row = &row[head * heads.dim..][..heads.dim];
            out.extend(row.iter().map(|x| convert(*x)));
        }
    }
    out
}

/// The pixels of every patch as a row `[channels * patch * patch]`, patches of a tile in raster order: what turns the
/// strided convolution into a matrix product.
fn patch_columns(pixels: &[f32], channels: usize, tile: usize, patch: usize) -> Vec<f32> {
    let side = tile / patch;
    let mut rows = Vec::with_capacity(pixels.len());
    for image in pixels.chunks_exact(channels * tile * tile) {
        for (top, left) in (0..side).flat_map(|y| (0..side).map(move |x| (y * patch, x * patch))) {
            for channel in image.chunks_exact(tile * tile) {
                for y in top..top + patch {
                    rows.extend_from_slice(&channel[y * tile + left..][..patch]);
                }
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_come_in_raster_order_and_drop_the_rest() {
        // One channel, 5 x 5 pixels, patch 2: four patches, the fifth row and column fall away.
        let pixels: Vec<f32> = (0..25).map(|v| v as f32).collect();
        let rows = patch_columns(&pixels, 1, 5, 2);
        assert_eq!(
            rows,
            [
                0., 1., 5., 6., 2., 3., 7., 8., 10., 11., 15., 16., 12., 13., 17., 18.
            ]
        );
    }

    #[test]
    fn channels_follow_each_other_inside_a_patch() {
        let pixels: Vec<f32> = (0..8).map(|v| v as f32).collect();
        assert_eq!(
            patch_columns(&pixels, 2, 2, 1),
            [0., 4., 1., 5., 2., 6., 3., 7.]
        );
    }

    #[test]
    fn heads_are_gathered() {
        let heads = Heads {
            query: 2,
            kv: 2,
            dim: 1,
        };
        assert_eq!(
            heads_first(&[0., 1., 2., 3., 4., 5.], heads, |x| x),
            [0., 2., 4., 1., 3., 5.]
        );
    }
}
