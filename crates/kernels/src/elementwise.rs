//! Norms and activations.

use crate::arch::{self, Operation, Vector, math};
use crate::{Activation, Isa, threads};

/// Elements that one task handles at least.
const TASK_ELEMENTS: usize = 1 << 14;

/// See [`crate::Kernels::rms_norm`].
pub(crate) fn rms_norm(isa: Isa, out: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    for_rows(isa, out, x, weight, None, eps);
}

/// See [`crate::Kernels::layer_norm`].
pub(crate) fn layer_norm(
    isa: Isa,
    out: &mut [f32],
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
) {
    for_rows(isa, out, x, weight, Some(bias), eps);
}

fn for_rows(isa: Isa, out: &mut [f32], x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f32) {
    let n = weight.len();
    let block = TASK_ELEMENTS.div_ceil(n) * n;
    let work = |(out, x): (&mut [f32], &[f32])| {
        let norm = Norm {
            out,
            x,
            weight,
            bias,
            eps,
        };
        // SAFETY: `isa` is one that the machine has.
        unsafe { arch::run(isa, norm) }
    };
    if x.len() <= block {
        work((out, x)); // not worth waking a thread for
    } else {
        threads::for_each_chunk(out, block, |i, out| {
            let x = &x[i * block..i * block + out.len()];
            work((out, x));
        });
    }
}

/// Normalises rows of `weight.len()`: as layer norm with a bias, as RMS norm without.
struct Norm<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    eps: f32,
}

impl Operation for Norm<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let n = self.weight.len();
        for (out, x) in self.out.chunks_exact_mut(n).zip(self.x.chunks_exact(n)) {
            // SAFETY: the caller grants the instruction set; all rows have n elements.
            unsafe {
                let mean = if self.bias.is_some() {
                    sum::<V>(x, 0.0, false) / n as f32
                } else {
                    0.0
                };
                let scale = 1.0 / (sum::<V>(x, mean, true) / n as f32 + self.eps).sqrt();
                let (mean, scale) = (V::splat(mean), V::splat(scale));
                for i in (0..n).step_by(V::LANES) {
                    let y = load::<V>(x, i).sub(mean).mul(scale);
                    let y = match self.bias {
                        Some(bias) => y.mul_add(load(self.weight, i), load(bias, i)),
                        None => y.mul(load(self.weight, i)),
                    };
                    store(y, out, i);
                }
            }
        }
    }
}

/// The sum of x - mean, or of its square, over a row.
///
/// # Safety
/// The CPU has V's instruction set.
#[inline(always)]
unsafe fn sum<V: Vector>(x: &[f32], mean: f32, squared: bool) -> f32 {
    // SAFETY: passed on to the caller; loads stay inside the row.
    unsafe {
        let whole = x.len() - x.len() % (4 * V::LANES);
        let shift = V::splat(mean);
        let mut sums = [V::splat(0.0); 4];
        for chunk in x[..whole].chunks_exact(4 * V::LANES) {
            for (i, sum) in sums.iter_mut().enumerate() {
                let y = V::load(chunk.as_ptr().add(i * V::LANES)).sub(shift);
                *sum = if squared {
                    y.mul_add(y, *sum)
                } else {
                    sum.add(y)
                };
            }
        }
        let mut rest = 0.0;
        for x in &x[whole..] {
            let y = x - mean;
            rest += if squared { y * y } else { y };
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum() + rest
    }
}

/// Reads up to LANES elements from `i` on.
///
/// # Safety
/// The CPU has V's instruction set.
#[inline(always)]
unsafe fn load<V: Vector>(x: &[f32], i: usize) -> V {
    let x = &x[i..];
    // SAFETY: as many elements as there are.
    unsafe {
        if x.len() >= V::LANES {
            V::load(x.as_ptr())
        } else {
            V::load_partial(x.as_ptr(), x.len())
        }
    }
}

/// Writes up to LANES elements from `i` on.
#[inline(always)]
fn store<V: Vector>(v: V, x: &mut [f32], i: usize) {
    let x = &mut x[i..];
    // SAFETY: as many elements as there are.
    unsafe {
        if x.len() >= V::LANES {
            v.store(x.as_mut_ptr());
        } else {
            v.store_partial(x.as_mut_ptr(), x.len());
        }
    }
}

/// See [`crate::Kernels::activate_mul`]; without `up` nothing is multiplied.
pub(crate) fn activate(isa: Isa, activation: Activation, x: &mut [f32], up: Option<&[f32]>) {
    let work = |i: usize, x: &mut [f32]| {
        let up = up.map(|up| &up[i * TASK_ELEMENTS..i * TASK_ELEMENTS + x.len()]);
        // SAFETY: `isa` is one that the machine has.
        unsafe { arch::run(isa, Activate { activation, x, up }) }
    };
    if x.len() <= TASK_ELEMENTS {
        work(0, x); // not worth sharing
    } else {
        threads::for_each_chunk(x, TASK_ELEMENTS, work);
    }
}

struct Activate<'a> {
    activation: Activation,
    x: &'a mut [f32],
    up: Option<&'a [f32]>,
}

impl Activate<'_> {
    /// # Safety
    /// The CPU has V's instruction set.
    #[inline(always)]
    unsafe fn map<V: Vector, F: Function>(self) {
        for i in (0..self.x.len()).step_by(V::LANES) {
            // SAFETY: passed on to the caller.
            unsafe {
                let y = F::apply::<V>(load(self.x, i));
                let y = match self.up {
                    Some(up) => y.mul(load(up, i)),
                    None => y,
                };
                store(y, self.x, i);
            }
        }
    }
}

impl Operation for Activate<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: passed on to the caller.
        unsafe {
            match self.activation {
                Activation::Silu => self.map::<V, Silu>(),
                Activation::QuickGelu => self.map::<V, QuickGelu>(),
                Activation::Gelu => self.map::<V, Gelu>(),
                Activation::GeluTanh => self.map::<V, GeluTanh>(),
            }
        }
    }
}

/// A function of each element.
trait Function {
    /// # Safety
    /// The CPU has V's instruction set.
    unsafe fn apply<V: Vector>(x: V) -> V;
}

struct Silu;
struct QuickGelu;
struct Gelu;
struct GeluTanh;

/// x / (1 + e^-y).
///
/// # Safety
/// The CPU has V's instruction set.
#[inline(always)]
unsafe fn times_sigmoid<V: Vector>(x: V, y: V) -> V {
    // SAFETY: passed on to the caller.
    unsafe { x.div(V::splat(1.0).add(math::exp(V::splat(0.0).sub(y)))) }
}

impl Function for Silu {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: passed on to the caller.
        unsafe { times_sigmoid(x, x) }
    }
}

impl Function for QuickGelu {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: passed on to the caller.
        unsafe { times_sigmoid(x, x.mul(V::splat(1.702))) }
    }
}

impl Function for Gelu {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: passed on to the caller.
        unsafe {
            let phi =
                V::splat(1.0).add(math::erf(x.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2))));
            x.mul(V::splat(0.5)).mul(phi)
        }
    }
}

impl Function for GeluTanh {
    /// (1 + tanh y) / 2 is the sigmoid of 2 y.
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: passed on to the caller.
        unsafe {
            let cubic = x.mul(x).mul(V::splat(0.044_715)).mul_add(x, x);
            times_sigmoid(x, cubic.mul(V::splat(1.595_769)))
        }
    }
}
