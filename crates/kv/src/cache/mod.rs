//! The paged KV cache of one sequence.
//!
//! Each layer is a list of blocks; a block is one piece of anonymous memory that holds rows of all KV heads of its
//! layer. A prompt makes one large block per layer, compaction replaces a layer's blocks by one that fits exactly what
//! is kept, and decoded tokens go into pages of [`PAGE_ROWS`] rows. A block that nobody uses is unmapped at once.

use whittle_kernels::{DType, KvChunk, KvView};

mod block;
mod layer;
mod pool;

use block::Part;
use layer::Layer;
pub use pool::MemoryPool;

use crate::{CacheError, Plan};

/// Rows of a page, the least that is allocated for appended tokens.
const PAGE_ROWS: usize = 64;

/// Sizes of a KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Layers.
    pub layers: usize,
    /// Query heads per layer; the cache itself holds none, the statistics count by them.
    pub query_heads: usize,
    /// KV heads per layer.
    pub kv_heads: usize,
    /// Elements of a key or value.
    pub head_dim: usize,
    /// Element type of keys and values.
    pub dtype: DType,
}

impl CacheShape {
    /// Checks that nothing is zero, KV heads divide query heads and a token's bytes can be counted.
    pub fn validate(&self) -> Result<(), CacheError> {
        let Self {
            layers,
            query_heads,
            kv_heads,
            head_dim,
            dtype,
        } = *self;
        let bytes = [kv_heads, head_dim, 2 * dtype.size()]
            .into_iter()
            .try_fold(layers, usize::checked_mul);
        let divides = kv_heads > 0 && query_heads > 0 && query_heads.is_multiple_of(kv_heads);
        match bytes {
            Some(1..) if divides => Ok(()),
            _ => Err(CacheError::Shape {
                layers,
                query_heads,
                kv_heads,
                head_dim,
            }),
        }
    }

    /// Bytes of one token's keys and values over all layers; `c` in the design's bounds.
    pub fn bytes_per_token(&self) -> usize {
        2 * self.layers * self.kv_heads * self.head_dim * self.dtype.size()
    }
}

/// Keys and values of one sequence.
///
/// The logical length counts the tokens seen, and a new token takes that position; the physical length counts the rows
/// that are stored, and differs by layer and KV head once a [`Plan`] was applied.
///
/// Nothing that attention still reads can be evicted: the views borrow the cache, and compaction needs it for itself.
///
/// ```compile_fail
/// # fn step(cache: &mut whittle_kv::KvCache, plan: &whittle_kv::Plan) {
/// let views = cache.views(0);
/// cache.apply(plan).unwrap(); // error: `cache` is borrowed by `views`
/// assert_eq!(views.len(), 1);
/// # }
/// ```
#[derive(Debug)]
pub struct KvCache {
    shape: CacheShape,
    pool: MemoryPool,
    layers: Vec<Layer>,
}

impl KvCache {
    /// An empty cache with memory of its own.
    pub fn new(shape: CacheShape) -> Result<Self, CacheError> {
        Self::with_pool(shape, &MemoryPool::default())
    }

    /// An empty cache with memory from a pool that others use as well.
    pub fn with_pool(shape: CacheShape, pool: &MemoryPool) -> Result<Self, CacheError> {
        shape.validate()?;
        let layers = (0..shape.layers)
            .map(|_| Layer::new(shape.kv_heads))
            .collect();
        Ok(Self {
            shape,
            pool: pool.clone(),
            layers,
        })
    }

    /// The sizes that it was made with.
    pub fn shape(&self) -> &CacheShape {
        &self.shape
    }

    /// Appends `rows` tokens to one layer. `keys` (already rotated) and `values` are `[rows, KV heads, head dim]`.
    pub fn append(
        &mut self,
        layer: usize,
        keys: &[f32],
        values: &[f32],
        rows: usize,
    ) -> Result<(), CacheError> {
        let row = self.shape.kv_heads * self.shape.head_dim;
        let expected = rows.checked_mul(row).ok_or(CacheError::TooLong)?;
        for (what, found) in [("key", keys.len()), ("value", values.len())] {
            if found != expected {
                return Err(CacheError::Rows {
                    layer,
                    what,
                    rows,
                    expected,
                    found,
                });
            }
        }
        let (shape, pool) = (self.shape, self.pool.clone());
        self.layer_mut(layer)?
            .append(&shape, &pool, keys, values, rows)
    }

    /// Takes memory for `rows` more tokens in every layer, in one piece each, so that appending them in chunks does not
    /// scatter them.
    pub fn reserve(&mut self, rows: usize) -> Result<(), CacheError> {
        let (shape, pool) = (self.shape, self.pool.clone());
        let mut layers = self.layers.iter_mut();
        layers.try_for_each(|layer| layer.reserve(&shape, &pool, rows))
    }

    /// Keys and values of every KV head of a layer, in the order of their positions.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn views(&self, layer: usize) -> Vec<KvView<'_>> {
        let blocks = &self.layers[layer].blocks;
        let chunks = |head: usize| {
            let filled = blocks.iter().filter(move |(_, rows)| rows[head] > 0);
            filled.map(move |(block, rows)| KvChunk {
                keys: block.rows(head, Part::Keys, rows[head]),
                values: block.rows(head, Part::Values, rows[head]),
                rows: rows[head],
            })
        };
        (0..self.shape.kv_heads)
            .map(|head| KvView {
                chunks: chunks(head).collect(),
            })
            .collect()
    }

    /// Keeps what the plan says and gives the rest back to the operating system, layer by layer: beside the cache there
    /// is never more than one compacted layer. Afterwards the next position is still [`KvCache::logical_len`].
    ///
    /// The plan's positions are logical ones, so a plan can be applied to an already compacted cache, as long as all it
    /// keeps is still there. All of that is checked before anything changes.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), CacheError> {
        for (what, expected, found) in [
            ("layers", self.shape.layers, plan.layers()),
            ("KV heads", self.shape.kv_heads, plan.kv_heads()),
        ] {
            if expected != found {
                return Err(CacheError::Plan {
                    what,
                    expected,
                    found,
                });
            }
        }
        for (index, layer) in self.layers.iter().enumerate() {
            layer.check(index, plan)?;
        }
        let (shape, pool) = (self.shape, self.pool.clone());
        self.layers
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, layer)| layer.compact(&shape, &pool, index, plan))
    }

    /// Forgets all tokens from logical position `len` on, for example after a step that failed half-way.
    pub fn truncate(&mut self, len: usize) -> Result<(), CacheError> {
        let compressed = self.layers.iter().map(Layer::compressed).max().unwrap_or(0);
        if len < compressed {
            return Err(CacheError::Compressed { len, compressed });
        }
        self.layers.iter_mut().for_each(|layer| layer.truncate(len));
        Ok(())
    }

    /// Forgets everything and frees all memory.
    pub fn clear(&mut self) {
        self.layers.fill_with(|| Layer::new(self.shape.kv_heads));
    }

    /// A second sequence that starts with the same tokens. The rows are shared, not copied; compacting, truncating or
    /// clearing one of the two never touches the other.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            shape: self.shape,
            pool: self.pool.clone(),
            layers: self.layers.clone(),
        }
    }

    /// Tokens seen by every layer, dropped ones included: the position of the next token.
    pub fn logical_len(&self) -> usize {
        self.layers
            .iter()
            .map(Layer::logical_len)
            .min()
            .unwrap_or(0)
    }

    /// Rows stored for one layer and KV head.
    ///
    /// # Panics
    /// If there is no such layer or head.
    pub fn physical_len(&self, layer: usize, kv_head: usize) -> usize {
        self.layers[layer].physical_len(kv_head)
    }

    /// Logical positions of the rows stored for one layer and KV head, in order.
    ///
    /// # Panics
    /// If there is no such layer or head.
    pub fn positions(&self, layer: usize, kv_head: usize) -> Vec<u32> {
        self.layers[layer].positions(kv_head)
    }

    /// Bytes allocated from the operating system, unused rows of pages included. Forked caches each count what they
    /// share; [`MemoryPool::used`] counts it once.
    pub fn bytes(&self) -> usize {
        self.layers
            .iter()
            .flat_map(|layer| &layer.blocks)
            .map(|(block, _)| block.bytes())
            .sum()
    }

    fn layer_mut(&mut self, layer: usize) -> Result<&mut Layer, CacheError> {
        let layers = self.shape.layers;
        self.layers
            .get_mut(layer)
            .ok_or(CacheError::Layer { layer, layers })
    }
}
