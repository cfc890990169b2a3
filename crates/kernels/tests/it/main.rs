//! Every path against the scalar one, and that one against formulas, over random shapes.
#![allow(clippy::unwrap_used)] // clippy allows it in test functions, but not in their helpers

mod attention;
mod elementwise;
mod matmul;
mod statistics;
mod threads;

use whittle_kernels::{Elements, Heads, Isa, Kernels, KvChunk, KvView, bf16, f16};

/// All paths of this machine except the scalar one.
fn fast() -> Vec<Kernels> {
    let paths = Isa::available()
        .into_iter()
        .filter(|isa| *isa != Isa::Scalar);
    paths.map(|isa| Kernels::with_isa(isa).unwrap()).collect()
}

fn scalar() -> Kernels {
    Kernels::with_isa(Isa::Scalar).unwrap()
}

/// Reproducible noise in [-1, 1).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        // Knuth's MMIX generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn take(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// Elements of each type, stored with a few elements in front so that vectors are not aligned.
struct Stored {
    f32: Vec<f32>,
    f16: Vec<f16>,
    bf16: Vec<bf16>,
    front: usize,
}

/// 0, 1, 2 for f32, f16, bf16.
type Kind = usize;

impl Stored {
    fn new(values: &[f32], front: usize) -> Self {
        let all = || std::iter::repeat_n(f32::NAN, front).chain(values.iter().copied());
        Self {
            f32: all().collect(),
            f16: all().map(f16::from_f32).collect(),
            bf16: all().map(bf16::from_f32).collect(),
            front,
        }
    }

    fn elements(&self, kind: Kind) -> Elements<'_> {
        match kind {
            0 => Elements::F32(&self.f32[self.front..]),
            1 => Elements::F16(&self.f16[self.front..]),
            _ => Elements::BF16(&self.bf16[self.front..]),
        }
    }
}

/// Keys and values of some KV heads.
struct Cache {
    heads: Heads,
    keys: Vec<Stored>,
    values: Vec<Stored>,
    lengths: Vec<usize>,
}

impl Cache {
    fn new(noise: &mut Noise, heads: Heads, lengths: Vec<usize>, front: usize) -> Self {
        let mut some = || -> Vec<Stored> {
            lengths
                .iter()
                .map(|len| Stored::new(&noise.take(len * heads.dim), front))
                .collect()
        };
        Self {
            heads,
            keys: some(),
            values: some(),
            lengths,
        }
    }

    /// Views in chunks of the given sizes, repeated as long as there are rows; sizes may be 0.
    fn views(&self, kind: Kind, sizes: &[usize]) -> Vec<KvView<'_>> {
        let dim = self.heads.dim;
        (0..self.heads.kv)
            .map(|head| {
                let mut view = KvView::default();
                let mut sizes = sizes.iter().cycle();
                let mut at = 0;
                while at < self.lengths[head] {
                    let rows = (*sizes.next().unwrap()).min(self.lengths[head] - at);
                    let range = at * dim..(at + rows) * dim;
                    view.chunks.push(KvChunk {
                        keys: self.keys[head].elements(kind).slice(range.clone()),
                        values: self.values[head].elements(kind).slice(range),
                        rows,
                    });
                    at += rows;
                }
                view
            })
            .collect()
    }
}

/// Asserts that all elements agree to `tolerance`.
fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    for (i, (a, b)) in got.iter().zip(want).enumerate() {
        assert!(
            (a - b).abs() <= tolerance,
            "{what}: element {i} is {a}, expected {b} within {tolerance}"
        );
    }
}
