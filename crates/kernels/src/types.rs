//! Element types, views of weights, and views of keys and values.

use std::ops::Range;

use half::{bf16, f16};

use crate::KernelError;

/// An element type that weights and caches are stored in. All arithmetic accumulates in f32 or wider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16: the upper half of an f32.
    BF16,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

/// A borrowed run of elements of one of the element types.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision.
    F16(&'a [f16]),
    /// bfloat16.
    BF16(&'a [bf16]),
}

impl<'a> Elements<'a> {
    /// Reads little-endian bytes (a tensor of a mapped checkpoint) in place.
    ///
    /// Fails if the number of bytes is not a multiple of the element size, or if the bytes are not aligned for the
    /// type; then copy them.
    pub fn from_bytes(dtype: DType, bytes: &'a [u8]) -> Result<Self, KernelError> {
        let wrong = |e: bytemuck::PodCastError| KernelError::Bytes {
            bytes: bytes.len(),
            dtype,
            reason: e.to_string(),
        };
        Ok(match dtype {
            DType::F32 => Self::F32(bytemuck::try_cast_slice(bytes).map_err(wrong)?),
            DType::F16 => Self::F16(bytemuck::try_cast_slice(bytes).map_err(wrong)?),
            DType::BF16 => Self::BF16(bytemuck::try_cast_slice(bytes).map_err(wrong)?),
        })
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::BF16(x) => x.len(),
        }
    }

    /// Whether there are no elements.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub const fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F16(_) => DType::F16,
            Self::BF16(_) => DType::BF16,
        }
    }

    /// The elements in `range`. Panics if it is out of bounds, as a slice does.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::F32(x) => Self::F32(&x[range]),
            Self::F16(x) => Self::F16(&x[range]),
            Self::BF16(x) => Self::BF16(&x[range]),
        }
    }

    /// Element `i` as f32. Panics if it is out of bounds.
    pub fn get(&self, i: usize) -> f32 {
        match self {
            Self::F32(x) => x[i],
            Self::F16(x) => x[i].to_f32(),
            Self::BF16(x) => x[i].to_f32(),
        }
    }

    /// Writes all elements as f32 to `out`. Panics if the lengths differ.
    pub fn copy_to_f32(&self, out: &mut [f32]) {
        use half::slice::HalfFloatSliceExt;
        match self {
            Self::F32(x) => out.copy_from_slice(x),
            Self::F16(x) => x.convert_to_f32_slice(out),
            Self::BF16(x) => x.convert_to_f32_slice(out),
        }
    }

    /// All elements as f32.
    pub fn to_f32_vec(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        self.copy_to_f32(&mut out);
        out
    }
}

/// A weight matrix [rows, cols], row-major: `rows` output features of `cols` input features, as checkpoints store it.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    elements: Elements<'a>,
    rows: usize,
    cols: usize,
}

impl<'a> Matrix<'a> {
    /// A view of `elements` as [rows, cols]; an error if there are not rows * cols of them.
    pub fn new(elements: Elements<'a>, rows: usize, cols: usize) -> Result<Self, KernelError> {
        match rows.checked_mul(cols) {
            Some(expected) if expected == elements.len() => Ok(Self {
                elements,
                rows,
                cols,
            }),
            expected => Err(KernelError::Length {
                what: "matrix",
                shape: vec![rows, cols],
                expected: expected.unwrap_or(usize::MAX),
                found: elements.len(),
            }),
        }
    }

    /// Output features.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Input features.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// All elements, row after row.
    pub const fn elements(&self) -> Elements<'a> {
        self.elements
    }

    /// The rows in `range` (one of several matrices stored as one). Panics if it is out of bounds.
    #[must_use]
    pub fn row_range(&self, range: Range<usize>) -> Self {
        Self {
            elements: self
                .elements
                .slice(range.start * self.cols..range.end * self.cols),
            rows: range.len(),
            cols: self.cols,
        }
    }
}

/// Some consecutive keys and values of one KV head: `rows` rows of head-dim elements each. Keys are already rotated.
#[derive(Clone, Copy, Debug)]
pub struct KvChunk<'a> {
    /// Keys, [rows, head dim].
    pub keys: Elements<'a>,
    /// Values, [rows, head dim].
    pub values: Elements<'a>,
    /// Number of positions.
    pub rows: usize,
}

/// All keys and values of one KV head in order, as a list of chunks (the pages of a cache).
#[derive(Clone, Debug, Default)]
pub struct KvView<'a> {
    /// The chunks in order; a chunk may have any number of rows.
    pub chunks: Vec<KvChunk<'a>>,
}

impl<'a> KvView<'a> {
    /// A view of one contiguous run of keys and values.
    pub fn contiguous(keys: Elements<'a>, values: Elements<'a>, rows: usize) -> Self {
        Self {
            chunks: vec![KvChunk { keys, values, rows }],
        }
    }

    /// Number of positions.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|c| c.rows).sum()
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(|c| c.rows == 0)
    }

    /// Panics unless each chunk holds rows * dim keys and values.
    pub(crate) fn check(&self, dim: usize) {
        for (i, c) in self.chunks.iter().enumerate() {
            assert_eq!(
                c.keys.len(),
                c.rows * dim,
                "keys of chunk {i}: {} rows of {dim}",
                c.rows
            );
            assert_eq!(
                c.values.len(),
                c.rows * dim,
                "values of chunk {i}: {} rows of {dim}",
                c.rows
            );
        }
    }
}

/// The head layout of an attention layer. Query head h reads KV head h / (query / kv).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key/value heads; divides `query`.
    pub kv: usize,
    /// Elements of a head.
    pub dim: usize,
}

impl Heads {
    /// Query heads that share a KV head.
    pub const fn group(&self) -> usize {
        self.query / self.kv
    }

    pub(crate) fn check(&self, views: &[KvView]) {
        assert!(
            self.kv > 0 && self.query > 0 && self.query.is_multiple_of(self.kv),
            "{} query heads cannot share {} KV heads evenly",
            self.query,
            self.kv
        );
        assert_eq!(views.len(), self.kv, "one view for each KV head");
        for v in views {
            v.check(self.dim);
        }
    }
}

/// Which keys a query row sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Row i sees the keys 0..=offset + i: `offset` keys were in the cache before the first row's own.
    Causal {
        /// Position of the first row among the keys.
        offset: usize,
    },
    /// Every row sees every key (a vision encoder).
    Full,
}

impl Mask {
    /// How many of `len` keys row `i` sees.
    pub(crate) fn visible(self, i: usize, len: usize) -> usize {
        match self {
            Self::Causal { offset } => (offset + i + 1).min(len),
            Self::Full => len,
        }
    }
}

/// Softmax maximum and sum of the last `rows` query rows, filled by `prefill_attention` and used by
/// `attention_statistics`, which then needs only one walk over the keys.
#[derive(Clone, Debug, PartialEq)]
pub struct RowStatistics {
    /// Number of query rows, counted from the end of the prompt (chunk).
    pub rows: usize,
    /// Largest scaled score, [rows, query heads].
    pub max: Vec<f32>,
    /// Sum of exp(score - max), [rows, query heads].
    pub sum: Vec<f32>,
}

impl RowStatistics {
    /// Room for the last `rows` query rows.
    pub fn new(rows: usize, query_heads: usize) -> Self {
        Self {
            rows,
            max: vec![f32::NEG_INFINITY; rows * query_heads],
            sum: vec![0.0; rows * query_heads],
        }
    }
}

/// What `attention_statistics` finds about some query rows.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionStatistics {
    /// Token scores, [KV heads, keys]: attention received, summed over the rows and over the query heads that share
    /// the KV head.
    pub scores: Vec<f32>,
    /// For each query head, how many entries pass the threshold filter: A >= filter * (largest A of the row).
    pub passing: Vec<u64>,
    /// Entries that the causal mask leaves, per query head.
    pub causal_entries: u64,
}
