//! The transforms of Winograd's convolution, one vector of channels at a time.
//!
//! Each is the same one-dimensional step along both axes of a square. The steps belong to the points 0, +-a, +-2a and infinity
//! with a = 3/4: the errors are about half of those of the customary a = 1, and most constants stay exact.

use crate::gemm::vector::Vector;

/// The point a.
pub(super) const A: f32 = 0.75;
/// The point 2a.
pub(super) const B: f32 = 2.0 * A;
/// a squared.
pub(super) const AA: f32 = A * A;
/// The square of 2a.
pub(super) const BB: f32 = B * B;
/// The reciprocals of the products of a point's distances to the others: of 0, +-a, +-2a.
pub(super) const SCALE: [f32; 3] =
    [1.0 / (AA * BB), 1.0 / (2.0 * AA * (AA - BB)), 1.0 / (2.0 * BB * (BB - AA))];

/// A step along one axis, from I numbers to O.
pub(super) trait Step<const I: usize, const O: usize> {
    /// # Safety
    /// As [`Vector`]'s methods.
    unsafe fn step<V: Vector<f32>>(d: [V; I]) -> [V; O];
}

/// A square of vectors in memory. It is fetched a column at a time, for registers do not hold all of it.
pub(super) trait Square {
    /// # Safety
    /// As [`Vector`]'s methods; `i` and `j` must lie within the square.
    unsafe fn at<V: Vector<f32>>(&self, i: usize, j: usize) -> V;
}

/// The step along the columns, then along the rows.
#[inline(always)]
pub(super) unsafe fn both<V, S, const I: usize, const O: usize>(d: &impl Square) -> [[V; O]; O]
where
    V: Vector<f32>,
    S: Step<I, O>,
{
    // SAFETY: the caller's promise.
    unsafe {
        let zero = V::splat(0.0);
        let mut half = [[zero; I]; O];
        for j in 0..I {
            let mut column = [zero; I];
            for (i, v) in column.iter_mut().enumerate() {
                *v = d.at(i, j);
            }
            for (row, v) in half.iter_mut().zip(&S::step(column)) {
                row[j] = *v;
            }
        }
        let mut out = [[zero; O]; O];
        for (out, row) in out.iter_mut().zip(&half) {
            *out = S::step(*row);
        }
        out
    }
}

/// `k * x + y` with a number k.
#[inline(always)]
unsafe fn fma<V: Vector<f32>>(k: f32, x: V, y: V) -> V {
    // SAFETY: the caller's promise.
    unsafe { V::splat(k).fma(x, y) }
}

/// `k * x`.
#[inline(always)]
unsafe fn scale<V: Vector<f32>>(k: f32, x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe { fma(k, x, V::splat(0.0)) }
}

/// Six inputs to their values at the points (Lavin and Gray's B transposed).
pub(super) struct Input;

impl Step<6, 6> for Input {
    #[inline(always)]
    unsafe fn step<V: Vector<f32>>(d: [V; 6]) -> [V; 6] {
        // SAFETY: the caller's promise.
        unsafe {
            let near = [fma(-BB, d[2], d[4]), fma(-BB, d[1], d[3])];
            let far = [fma(-AA, d[2], d[4]), fma(-AA, d[1], d[3])];
            [
                fma(AA * BB, d[0], fma(-(AA + BB), d[2], d[4])),
                fma(A, near[1], near[0]),
                fma(-A, near[1], near[0]),
                fma(B, far[1], far[0]),
                fma(-B, far[1], far[0]),
                fma(AA * BB, d[1], fma(-(AA + BB), d[3], d[5])),
            ]
        }
    }
}

/// Values at the points to four outputs (A transposed).
pub(super) struct Output;

impl Step<6, 4> for Output {
    #[inline(always)]
    unsafe fn step<V: Vector<f32>>(m: [V; 6]) -> [V; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            let near = [m[1].add(m[2]), fma(-1.0, m[2], m[1])];
            let far = [m[3].add(m[4]), fma(-1.0, m[4], m[3])];
            [
                m[0].add(near[0]).add(far[0]),
                fma(B, far[1], scale(A, near[1])),
                fma(BB, far[0], scale(AA, near[0])),
                fma(B * BB, far[1], fma(A * AA, near[1], m[5])),
            ]
        }
    }
}

/// Three weights to their values at the points (G).
pub(super) struct Weights;

impl Step<3, 6> for Weights {
    #[inline(always)]
    unsafe fn step<V: Vector<f32>>(g: [V; 3]) -> [V; 6] {
        // SAFETY: the caller's promise.
        unsafe {
            let (near, far) = (fma(AA, g[2], g[0]), fma(BB, g[2], g[0]));
            [
                scale(SCALE[0], g[0]),
                scale(SCALE[1], fma(A, g[1], near)),
                scale(SCALE[1], fma(-A, g[1], near)),
                scale(SCALE[2], fma(B, g[1], far)),
                scale(SCALE[2], fma(-B, g[1], far)),
                g[2],
            ]
        }
    }
}

/// Four gradients of outputs to their values at the points. [`WeightGradient`] scales.
pub(super) struct Gradient;

impl Step<4, 6> for Gradient {
    #[inline(always)]
    unsafe fn step<V: Vector<f32>>(d: [V; 4]) -> [V; 6] {
        // SAFETY: the caller's promise.
        unsafe {
            let near = [fma(AA, d[2], d[0]), fma(AA, d[3], d[1])];
            let far = [fma(BB, d[2], d[0]), fma(BB, d[3], d[1])];
            [
                d[0],
                fma(A, near[1], near[0]),
                fma(-A, near[1], near[0]),
                fma(B, far[1], far[0]),
                fma(-B, far[1], far[0]),
                d[3],
            ]
        }
    }
}

/// Values at the points to the gradients of three weights.
pub(super) struct WeightGradient;

impl Step<6, 3> for WeightGradient {
    #[inline(always)]
    unsafe fn step<V: Vector<f32>>(m: [V; 6]) -> [V; 3] {
        // SAFETY: the caller's promise.
        unsafe {
            let near = [scale(SCALE[1], m[1].add(m[2])), scale(SCALE[1], fma(-1.0, m[2], m[1]))];
            let far = [scale(SCALE[2], m[3].add(m[4])), scale(SCALE[2], fma(-1.0, m[4], m[3]))];
            [
                fma(SCALE[0], m[0], near[0]).add(far[0]),
                fma(B, far[1], scale(A, near[1])),
                fma(BB, far[0], fma(AA, near[0], m[5])),
            ]
        }
    }
}

/// `S` x `S` pixels, each with its channels.
pub(super) type Window<const S: usize> = [[*const f32; S]; S];

/// Channels `.1` and following of every pixel of a window.
struct Pixels<'a, const S: usize>(&'a Window<S>, usize);

impl<const S: usize> Square for Pixels<'_, S> {
    #[inline(always)]
    unsafe fn at<V: Vector<f32>>(&self, i: usize, j: usize) -> V {
        // SAFETY: the caller's promise; the channels are there.
        unsafe { V::load(self.0[i][j].add(self.1)) }
    }
}

/// Vectors side by side.
pub(super) struct Lanes<const S: usize>(pub [[[f32; 16]; S]; S]);

impl<const S: usize> Square for Lanes<S> {
    #[inline(always)]
    unsafe fn at<V: Vector<f32>>(&self, i: usize, j: usize) -> V {
        // SAFETY: the caller's promise; 16 numbers hold any vector.
        unsafe { V::load(self.0[i][j].as_ptr()) }
    }
}

/// Vectors at a distance of `.1` numbers.
pub(super) struct Places(pub *const f32, pub usize);

impl Square for Places {
    #[inline(always)]
    unsafe fn at<V: Vector<f32>>(&self, i: usize, j: usize) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load(self.0.add((i * 6 + j) * self.1)) }
    }
}

/// The values at the points of channels `from..from + LANES` of a window of pixels with `channels` channels; beyond the last
/// channel those of zeroes.
///
/// # Safety
/// Each pointer must reach over `channels` numbers; and as [`Vector`]'s methods.
#[inline(always)]
pub(super) unsafe fn values<V: Vector<f32>, S: Step<I, 6>, const I: usize>(
    window: &Window<I>,
    from: usize,
    channels: usize,
) -> [[V; 6]; 6] {
    // SAFETY: full vectors lie within the channels; the others are copied number by number.
    unsafe {
        if from + V::LANES <= channels {
            return both::<V, S, I, 6>(&Pixels(window, from));
        }
        let mut tail = Lanes([[[0.0; 16]; I]; I]);
        for (to, pixel) in tail.0.iter_mut().flatten().zip(window.iter().flatten()) {
            for c in from..channels {
                to[c - from] = *pixel.add(c);
            }
        }
        both::<V, S, I, 6>(&tail)
    }
}
