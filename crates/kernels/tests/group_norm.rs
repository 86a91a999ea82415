//! Group norm against its naive twin: every level, odd shapes, any number of threads, bit for bit.

use chainrule_kernels::norm::{
    Affine, Downstream, GroupShape, ROW_BLOCK, Upstream, group_norm, group_norm_backward,
};
use chainrule_kernels::simd::with_level;
use chainrule_kernels::threads::set_threads;
use chainrule_kernels::{Level, Real};

/// Numbers in (-1, 1) that depend on the index alone.
fn numbers<T: Real>(n: usize, salt: usize) -> Vec<T> {
    (0..n)
        .map(|i| T::from_f64(((i * 7919 + salt * 104_729) % 2003) as f64 / 1001.5 - 1.0))
        .collect()
}

/// The sum of `f` over pixels (blocks in order), then over the channels of group g, in order.
fn channel_sum<T: Real>(pixels: usize, f: impl Fn(usize, T) -> T) -> T {
    let blocks = (0..pixels.max(1))
        .step_by(ROW_BLOCK)
        .map(|start| (start..pixels.min(start + ROW_BLOCK)).fold(T::ZERO, |sum, i| f(i, sum)));
    blocks.reduce(|total, part| total + part).unwrap_or(T::ZERO)
}

struct Twin<T> {
    shape: GroupShape,
    x: Vec<T>,
    dy: Vec<T>,
    gamma: Vec<T>,
    beta: Vec<T>,
    relu: bool,
}

impl<T: Real> Twin<T> {
    /// y, mean, rstd.
    fn forward(&self) -> [Vec<T>; 3] {
        let GroupShape { pictures, pixels, channels: d, groups } = self.shape;
        let width = d / groups;
        let (mut y, mut mean, mut rstd) = (self.x.clone(), Vec::new(), Vec::new());
        let count = T::from_f64((pixels * width) as f64);
        for n in 0..pictures {
            for g in 0..groups {
                let x = |i: usize, c: usize| self.x[(n * pixels + i) * d + c];
                let over = |f: &dyn Fn(usize, usize, T) -> T| {
                    let each = (g * width..(g + 1) * width)
                        .map(|c| channel_sum(pixels, |i, s| f(i, c, s)));
                    each.fold(T::ZERO, |total, s| total + s)
                };
                let m = over(&|i, c, s| s + x(i, c)) / count;
                let var = over(&|i, c, s| (x(i, c) - m).mul_add(x(i, c) - m, s)) / count;
                let r = T::ONE / (var + T::from_f64(1e-5)).sqrt();
                for i in 0..pixels {
                    for c in g * width..(g + 1) * width {
                        let v = (x(i, c) - m).mul_add(self.gamma[c] * r, self.beta[c]);
                        let v = if self.relu && v < T::ZERO { T::ZERO } else { v };
                        y[(n * pixels + i) * d + c] = v;
                    }
                }
                mean.push(m);
                rstd.push(r);
            }
        }
        [y, mean, rstd]
    }

    /// dx, dgamma, dbeta.
    fn backward(&self, mean: &[T], rstd: &[T]) -> [Vec<T>; 3] {
        let GroupShape { pictures, pixels, channels: d, groups } = self.shape;
        let width = d / groups;
        let count = T::from_f64((pixels * width) as f64);
        let mut dx = self.x.clone();
        let [mut dgammas, mut dbetas] = [(); 2].map(|()| vec![T::ZERO; pictures * d]);
        for n in 0..pictures {
            for g in 0..groups {
                let (m, r) = (mean[n * groups + g], rstd[n * groups + g]);
                let off = |i: usize, c: usize| self.x[(n * pixels + i) * d + c] - m;
                let dy = |i: usize, c: usize| {
                    let value = off(i, c).mul_add(self.gamma[c] * r, self.beta[c]);
                    let passed = !self.relu || value > T::ZERO;
                    if passed { self.dy[(n * pixels + i) * d + c] } else { T::ZERO }
                };
                let own = g * width..(g + 1) * width;
                let (mut shift, mut slope) = (T::ZERO, T::ZERO);
                for c in own.clone() {
                    let ones = channel_sum(pixels, |i, s: T| s + dy(i, c));
                    let products = channel_sum(pixels, |i, s: T| dy(i, c).mul_add(off(i, c), s));
                    let scale = self.gamma[c] * r;
                    (shift, slope) = (shift + ones * scale, slope + products * scale);
                    (dbetas[n * d + c], dgammas[n * d + c]) = (ones, products * r);
                }
                let (shift, slope) = (shift / count, slope / count * r * r);
                for i in 0..pixels {
                    for c in own.clone() {
                        let scaled = self.gamma[c] * r * dy(i, c) - shift;
                        dx[(n * pixels + i) * d + c] = off(i, c).mul_add(-slope, scaled);
                    }
                }
            }
        }
        let sum = |parts: &[T]| {
            (0..d).map(|c| channel_sum(pictures, |n, s: T| s + parts[n * d + c])).collect()
        };
        [dx, sum(&dgammas), sum(&dbetas)]
    }

    fn compare(&self) {
        let Self { shape, x, dy, gamma, beta, relu } = self;
        let after = Affine { gamma, beta, relu: *relu };
        let [want, mean, rstd] = self.forward();
        let [dx, dgamma, dbeta] = self.backward(&mean, &rstd);
        for level in Level::available() {
            with_level(level, || {
                for threads in [1, 3] {
                    set_threads(threads);
                    let what = format!("{shape:?} {} {threads} {relu}", level.name());
                    let nan = |len| vec![T::from_f64(f64::NAN); len];
                    let [mut y, mut m, mut r] = [x.len(), mean.len(), mean.len()].map(nan);
                    let eps = T::from_f64(1e-5);
                    group_norm(*shape, x, after, eps, [&mut m, &mut r], &mut y);
                    assert!(y == want && m == mean && r == rstd, "{what}");
                    let [mut got, mut scale, mut place] =
                        [x.len(), gamma.len(), gamma.len()].map(nan);
                    let up = Upstream { x: &x[..], dy, mean: &mean, rstd: &rstd };
                    let to =
                        Downstream { dx: Some(&mut got), dgamma: &mut scale, dbeta: &mut place };
                    group_norm_backward(*shape, up, after, to);
                    assert!(got == dx && scale == dgamma && place == dbeta, "{what}");
                    let to = Downstream { dx: None, dgamma: &mut scale, dbeta: &mut place };
                    group_norm_backward(*shape, up, after, to);
                    assert!(scale == dgamma && place == dbeta, "{what}, without dx");
                }
            });
        }
    }
}

#[test]
fn group_norm_equals_its_twin() {
    fn at<T: Real>(pictures: usize, pixels: usize, channels: usize, groups: usize, relu: bool) {
        let shape = GroupShape { pictures, pixels, channels, groups };
        let len = pictures * pixels * channels;
        let [x, dy] = [1, 2].map(|salt| numbers(len, salt));
        let [gamma, beta] = [3, 4].map(|salt| numbers(channels, salt));
        Twin::<T> { shape, x, dy, gamma, beta, relu }.compare();
    }
    for (pictures, pixels, channels, groups) in [
        (1, 1, 1, 1),
        (2, 20, 6, 2),
        (3, 9, 17, 17),
        (3, 9, 17, 1),
        (2, 600, 34, 2),
        (5, 64, 200, 4),
        (0, 4, 4, 2),
        (300, 2, 4, 2),
    ] {
        for relu in [false, true] {
            at::<f32>(pictures, pixels, channels, groups, relu);
            at::<f64>(pictures, pixels, channels, groups, relu);
        }
    }
}
