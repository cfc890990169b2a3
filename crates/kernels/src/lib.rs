//! Numeric kernels for the CPU: matrix products, norms, activations, rotary embedding, attention, and the attention
//! statistics that KV-cache compression needs.
//!
//! One portable binary holds several paths, one per instruction set ([`Isa`]); [`Kernels::detect`] takes the fastest
//! one that the machine has. The environment variable `WHITTLE_ISA` (`scalar`, `neon`, `avx2`, `avx512`, `avx512bf16`)
//! forces another one. Every path is tested against the scalar one.
//!
//! All work runs on threads that the kernels share: see [`set_threads`]. Results don't depend on how many there are.
//!
//! Shapes are written [rows, columns] in row-major order. Only this crate of the workspace contains unsafe code.
#![allow(unsafe_code)]
// Generic code has to be inlined into the entry point of an instruction set to be compiled for it.
#![allow(clippy::inline_always)]

mod aligned;
mod arch;
mod attention;
mod elementwise;
mod error;
mod isa;
mod matmul;
pub mod measure;
pub mod mmap;
mod outer;
mod rotary;
mod scratch;
mod shared;
mod threads;
mod types;

pub use error::KernelError;
pub use half::{bf16, f16};
pub use isa::Isa;
pub use matmul::{PackedMatrix, Product};
pub use rotary::{Rotary, RotaryScaling};
pub use threads::{serially, set_threads, threads};
pub use types::{
    AttentionStatistics, DType, Elements, Heads, KvChunk, KvView, Mask, Matrix, RowStatistics,
};

use arch::scalar;

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x * sigmoid(x).
    Silu,
    /// x * Phi(x), with the error function.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// x * sigmoid(1.702 x), as in CLIP.
    QuickGelu,
}

/// Elements of a sum that one task handles.
const ADD_ELEMENTS: usize = 1 << 15;

/// The kernels of one instruction-set path. Small and `Copy`: hand it around by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    isa: Isa,
}

impl Default for Kernels {
    fn default() -> Self {
        Self::detect()
    }
}

impl Kernels {
    /// The fastest path that this machine has, or the one that the environment variable `WHITTLE_ISA` names, if the
    /// machine has it; any other value of the variable is ignored.
    pub fn detect() -> Self {
        let forced = std::env::var("WHITTLE_ISA")
            .ok()
            .and_then(|name| Isa::from_name(&name));
        forced
            .and_then(Self::with_isa)
            .unwrap_or(Self { isa: Isa::best() })
    }

    /// The given path, or `None` if this machine cannot run it.
    pub fn with_isa(isa: Isa) -> Option<Self> {
        isa.is_available().then_some(Self { isa })
    }

    /// The path in use.
    pub const fn isa(&self) -> Isa {
        self.isa
    }

    /// Copies a weight matrix into the order in which [`Kernels::matmul`] reads it. Fails if memory is missing.
    pub fn pack(&self, w: Matrix) -> Result<PackedMatrix, KernelError> {
        PackedMatrix::new(self.isa, w)
    }

    /// `out` [m, w.rows] = `x` [m, w.cols] * w transposed + `bias` [w.rows].
    ///
    /// m follows from the length of `x`; few rows read the weights at memory speed. The bf16 path rounds `x` to bf16
    /// when the weights are bf16; all others compute in f32. Every row's result is the same however many other rows
    /// there are, and however many threads.
    ///
    /// # Panics
    /// If the lengths disagree, or if `w` was packed for another path.
    pub fn matmul(&self, out: &mut [f32], x: &[f32], w: &PackedMatrix, bias: Option<&[f32]>) {
        self.matmul_all(x, &mut [Product { out, w, bias }]);
    }

    /// Several products of the same `x`: as [`Kernels::matmul`] for each of them, but `x` is prepared once, and threads
    /// go on from one product to the next.
    ///
    /// # Panics
    /// As [`Kernels::matmul`].
    pub fn matmul_all(&self, x: &[f32], products: &mut [Product]) {
        let Some(first) = products.first() else {
            return;
        };
        let k = first.w.cols();
        assert!(
            k > 0 && x.len().is_multiple_of(k),
            "x holds rows of {k}, found {}",
            x.len()
        );
        let m = x.len() / k;
        for Product { out, w, bias } in products.iter() {
            let n = w.rows();
            assert_eq!(
                w.isa(),
                self.isa,
                "the weights were packed for another path"
            );
            assert_eq!(w.cols(), k, "all weights have the columns of x");
            assert_eq!(out.len(), m * n, "out is [{m}, {n}]");
            if let Some(bias) = bias {
                assert_eq!(bias.len(), n, "one bias for each output feature");
            }
        }
        match self.isa {
            _ if m == 0 => {}
            Isa::Scalar => {
                for Product { out, w, bias } in products.iter_mut().filter(|p| !p.out.is_empty()) {
                    scalar::matmul(out, x, w.plain(), *bias);
                }
            }
            isa => matmul::matmul(isa, x, k, products),
        }
    }

    /// Root-mean-square norm (arXiv 1910.07467): each row of `x`, divided by sqrt(mean square + eps), times `weight`.
    ///
    /// # Panics
    /// If `x` and `out` are not both rows of `weight.len()`.
    pub fn rms_norm(&self, out: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
        check_rows(out, x, weight.len());
        if out.is_empty() {
            return;
        }
        match self.isa {
            Isa::Scalar => scalar::rms_norm(out, x, weight, eps),
            isa => elementwise::rms_norm(isa, out, x, weight, eps),
        }
    }

    /// Layer norm: each row of `x`, less its mean, divided by sqrt(variance + eps), times `weight`, plus `bias`.
    ///
    /// # Panics
    /// If `x` and `out` are not both rows of `weight.len()`, or if `bias` has another length than `weight`.
    pub fn layer_norm(&self, out: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32], eps: f32) {
        check_rows(out, x, weight.len());
        assert_eq!(bias.len(), weight.len(), "one bias for each weight");
        if out.is_empty() {
            return;
        }
        match self.isa {
            Isa::Scalar => scalar::layer_norm(out, x, weight, bias, eps),
            isa => elementwise::layer_norm(isa, out, x, weight, bias, eps),
        }
    }

    /// `gate` = silu(`gate`) * `up`. Panics if the lengths differ.
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) {
        self.activate_mul(Activation::Silu, gate, up);
    }

    /// `gate` = gelu(`gate`) * `up`, with the error function. Panics if the lengths differ.
    pub fn gelu_mul(&self, gate: &mut [f32], up: &[f32]) {
        self.activate_mul(Activation::Gelu, gate, up);
    }

    /// `gate` = activation(`gate`) * `up`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn activate_mul(&self, activation: Activation, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "gate and up have one length");
        match self.isa {
            Isa::Scalar => scalar::activate(activation, gate, Some(up)),
            isa => elementwise::activate(isa, activation, gate, Some(up)),
        }
    }

    /// `x` = activation(`x`).
    pub fn activate(&self, activation: Activation, x: &mut [f32]) {
        match self.isa {
            Isa::Scalar => scalar::activate(activation, x, None),
            isa => elementwise::activate(isa, activation, x, None),
        }
    }

    /// `x` = x * sigmoid(x).
    pub fn silu(&self, x: &mut [f32]) {
        self.activate(Activation::Silu, x);
    }

    /// `x` = x * Phi(x), with the error function.
    pub fn gelu(&self, x: &mut [f32]) {
        self.activate(Activation::Gelu, x);
    }

    /// The tanh approximation of GELU.
    pub fn gelu_tanh(&self, x: &mut [f32]) {
        self.activate(Activation::GeluTanh, x);
    }

    /// `x` = x * sigmoid(1.702 x), as in CLIP.
    pub fn quick_gelu(&self, x: &mut [f32]) {
        self.activate(Activation::QuickGelu, x);
    }

    /// `x` += `y`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        assert_eq!(x.len(), y.len(), "both operands have one length");
        // The compiler vectorises this loop, and memory bounds it.
        let add = |(x, y): (&mut [f32], &[f32])| x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
        if x.len() <= ADD_ELEMENTS {
            add((x, y)); // not worth waking a thread for
        } else {
            threads::for_each_chunk(x, ADD_ELEMENTS, |i, x| {
                let y = &y[i * ADD_ELEMENTS..i * ADD_ELEMENTS + x.len()];
                add((x, y));
            });
        }
    }

    /// Attention of m query rows, streaming over the keys: scores of all rows are never held together.
    ///
    /// `q` and `out` are [m, query heads, dim]; query head h reads `kv[h / (query / kv)]`; scores are multiplied by
    /// `scale`. A row that sees no key gets zeros. `statistics` receives the softmax maximum and sum of the last
    /// `statistics.rows` rows.
    ///
    /// # Panics
    /// If the shapes disagree, if the KV heads differ in length, or if `statistics` asks for more than m rows.
    #[allow(clippy::too_many_arguments)] // the operands of the operation
    pub fn prefill_attention(
        &self,
        out: &mut [f32],
        q: &[f32],
        kv: &[KvView],
        heads: Heads,
        mask: Mask,
        scale: f32,
        statistics: Option<&mut RowStatistics>,
    ) {
        let rows = check_attention(q, kv, heads);
        assert_eq!(out.len(), q.len(), "out has the shape of q");
        check_equal_lengths(kv);
        if let Some(s) = &statistics {
            check_statistics(s, heads);
            assert!(
                s.rows <= rows,
                "statistics of {} rows, but q has {rows}",
                s.rows
            );
        }
        match self.isa {
            Isa::Scalar => scalar::prefill_attention(out, q, kv, heads, mask, scale, statistics),
            isa => {
                attention::prefill_attention(isa, Some(out), q, kv, heads, mask, scale, statistics);
            }
        }
    }

    /// Attention of one query row per sequence over all its keys; each KV head has a length of its own, as compression
    /// leaves it.
    ///
    /// `q` and `out` are [sequences, query heads, dim], `kv` holds the KV heads of the first sequence, then those of the
    /// second, and so on. A head without keys gets zeros. Every sequence's result is the one that it gets alone.
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn decode_attention(
        &self,
        out: &mut [f32],
        q: &[f32],
        kv: &[KvView],
        heads: Heads,
        scale: f32,
    ) {
        let row = heads.query * heads.dim;
        assert!(
            row > 0 && q.len().is_multiple_of(row),
            "q holds rows of {row}, found {}",
            q.len()
        );
        let sequences = q.len() / row;
        assert_eq!(
            kv.len(),
            sequences * heads.kv,
            "one view for each KV head of each sequence"
        );
        for kv in kv.chunks_exact(heads.kv.max(1)) {
            heads.check(kv);
        }
        assert_eq!(out.len(), q.len(), "out has the shape of q");
        match self.isa {
            Isa::Scalar => {
                let rows = out.chunks_exact_mut(row).zip(q.chunks_exact(row));
                for ((out, q), kv) in rows.zip(kv.chunks_exact(heads.kv)) {
                    scalar::decode_attention(out, q, kv, heads, scale);
                }
            }
            isa => attention::decode_attention(isa, out, q, kv, heads, scale),
        }
    }

    /// How much attention each key receives from some query rows, and how many entries pass the threshold filter
    /// (VL-Cache, arXiv 2410.23317, section 4: post-vision attention): both in one walk over the keys.
    ///
    /// `q` is [rows, query heads, dim], its first row at position `offset` among the keys: row i sees the keys
    /// 0..=offset + i. `statistics`, the softmax maximum and sum of exactly these rows as `prefill_attention` found
    /// them, saves a first walk. Memory beyond the result is O(query heads * keys), never O(rows * keys).
    ///
    /// An entry passes if A >= filter * max A of its row, rounded to f32. Scores that are not finite are an error.
    ///
    /// # Panics
    /// If the shapes disagree or if the KV heads differ in length.
    #[allow(clippy::too_many_arguments)] // the operands of the operation
    pub fn attention_statistics(
        &self,
        q: &[f32],
        offset: usize,
        kv: &[KvView],
        heads: Heads,
        scale: f32,
        filter: f32,
        statistics: Option<&RowStatistics>,
    ) -> Result<AttentionStatistics, KernelError> {
        let rows = check_attention(q, kv, heads);
        check_equal_lengths(kv);
        if let Some(s) = statistics {
            check_statistics(s, heads);
            assert_eq!(s.rows, rows, "statistics of exactly the rows of q");
        }
        let found = match self.isa {
            Isa::Scalar => {
                scalar::attention_statistics(q, offset, kv, heads, scale, filter, statistics)
            }
            isa => attention::attention_statistics(
                isa, q, offset, kv, heads, scale, filter, statistics,
            ),
        };
        match found.scores.iter().position(|s| !s.is_finite()) {
            None => Ok(found),
            Some(i) => Err(KernelError::NotFinite {
                kv_head: i / kv[0].len(),
                position: i % kv[0].len(),
            }),
        }
    }
}

fn check_rows(out: &[f32], x: &[f32], n: usize) {
    assert!(
        n > 0 && x.len().is_multiple_of(n),
        "x holds rows of {n}, found {}",
        x.len()
    );
    assert_eq!(out.len(), x.len(), "out has the shape of x");
}

/// Checks the shapes and returns the number of query rows.
fn check_attention(q: &[f32], kv: &[KvView], heads: Heads) -> usize {
    heads.check(kv);
    let row = heads.query * heads.dim;
    assert!(
        row > 0 && q.len().is_multiple_of(row),
        "q holds rows of {row}, found {}",
        q.len()
    );
    q.len() / row
}

fn check_equal_lengths(kv: &[KvView]) {
    let len = kv[0].len();
    assert!(
        kv.iter().all(|v| v.len() == len),
        "all KV heads have one length in prefill"
    );
}

fn check_statistics(statistics: &RowStatistics, heads: Heads) {
    let n = statistics.rows * heads.query;
    assert!(
        statistics.max.len() == n && statistics.sum.len() == n,
        "statistics are [rows, query heads]"
    );
}
