//! Normalisation and losses against naive twins: every level, odd shapes, any number of threads, bit for bit.

use chainrule_kernels::norm::{
    Affine, Downstream, ROW_BLOCK, Stats, Upstream, batch_norm, batch_norm_backward,
    batch_norm_backward_graph, layer_norm, layer_norm_backward, normalise,
};
use chainrule_kernels::simd::with_level;
use chainrule_kernels::threads::set_threads;
use chainrule_kernels::{Level, Real};
use std::fmt::Debug;

/// Numbers in (-1, 1) that depend on the index alone.
fn numbers<T: Real>(n: usize, salt: u64) -> Vec<T> {
    (0..n as u64)
        .map(|i| {
            let bits = (i + salt * 1000).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            T::from_f64(bits as f64 / f64::from(1u32 << 23) - 1.0)
        })
        .collect()
}

/// `f` gives the same at every level, on one thread and on three: `want`.
fn everywhere<R: PartialEq + Debug>(want: &R, what: &str, f: impl Fn() -> R) {
    for level in Level::available() {
        with_level(level, || {
            for threads in [1, 3] {
                set_threads(threads);
                assert!(f() == *want, "{what} at {} on {threads} threads", level.name());
            }
        });
    }
}

/// The sum of `f(i)` down N rows: blocks in order.
fn down<T: Real>(n: usize, f: impl Fn(usize, T) -> T) -> T {
    let blocks = (0..n.max(1))
        .step_by(ROW_BLOCK)
        .map(|start| (start..n.min(start + ROW_BLOCK)).fold(T::ZERO, |sum, i| f(i, sum)));
    blocks.reduce(|total, part| total + part).unwrap_or(T::ZERO)
}

/// The sum of `f(j)` along D columns: 32 lanes, then pairwise.
fn along<T: Real>(d: usize, f: impl Fn(usize, T) -> T) -> T {
    let mut lanes = [T::ZERO; 32];
    (0..d).for_each(|j| lanes[j % 32] = f(j, lanes[j % 32]));
    let mut width = 16;
    while width > 0 {
        (0..width).for_each(|l| lanes[l] += lanes[l + width]);
        width /= 2;
    }
    lanes[0]
}

fn clip<T: Real>(relu: bool, v: T) -> T {
    if relu && v < T::ZERO { T::ZERO } else { v }
}

struct Inputs<T> {
    n: usize,
    d: usize,
    x: Vec<T>,
    dy: Vec<T>,
    gamma: Vec<T>,
    beta: Vec<T>,
    eps: T,
    relu: bool,
}

impl<T: Real> Inputs<T> {
    fn new(n: usize, d: usize, relu: bool) -> Self {
        let [x, dy] = [1, 2].map(|salt| numbers(n * d, salt));
        let [gamma, beta] = [3, 4].map(|salt| numbers(d, salt));
        Inputs { n, d, x, dy, gamma, beta, eps: T::from_f64(1e-5), relu }
    }

    fn after(&self) -> Affine<'_, T> {
        Affine { gamma: &self.gamma, beta: &self.beta, relu: self.relu }
    }

    fn what(&self) -> String {
        format!("{} x {}, relu {}", self.n, self.d, self.relu)
    }

    fn hidden<const K: usize>(len: [usize; K]) -> [Vec<T>; K] {
        len.map(|len| vec![T::from_f64(f64::NAN); len])
    }

    fn batch_norm(&self) -> [Vec<T>; 4] {
        let (n, d) = (self.n, self.d);
        let [mut mean, mut var, mut rstd, mut y] = Self::hidden([d, d, d, n * d]);
        let stats = Stats { mean: &mut mean, var: &mut var, rstd: &mut rstd };
        batch_norm(&self.x, self.after(), self.eps, stats, &mut y);
        [mean, var, rstd, y]
    }

    fn naive_batch_norm(&self) -> [Vec<T>; 4] {
        let (n, d, x) = (self.n, self.d, &self.x);
        let [mut mean, mut var, mut rstd, mut y] = Self::hidden([d, d, d, n * d]);
        let count = T::from_f64(n as f64);
        for j in 0..d {
            mean[j] = down(n, |i, sum: T| sum + x[i * d + j]) / count;
            let off = |i: usize| x[i * d + j] - mean[j];
            var[j] = down(n, |i, sum: T| off(i).mul_add(off(i), sum)) / count;
            rstd[j] = T::ONE / (var[j] + self.eps).sqrt();
            for i in 0..n {
                let v = off(i).mul_add(self.gamma[j] * rstd[j], self.beta[j]);
                y[i * d + j] = clip(self.relu, v);
            }
        }
        [mean, var, rstd, y]
    }

    fn batch_norm_backward(&self, mean: &[T], rstd: &[T], train: bool) -> [Vec<T>; 3] {
        let [mut dx, mut dgamma, mut dbeta] = Self::hidden([self.n * self.d, self.d, self.d]);
        let up = Upstream { x: &self.x, dy: &self.dy, mean, rstd };
        let to = Downstream { dx: Some(&mut dx), dgamma: &mut dgamma, dbeta: &mut dbeta };
        batch_norm_backward(up, self.after(), train, to);
        [dx, dgamma, dbeta]
    }

    fn naive_batch_norm_backward(&self, mean: &[T], rstd: &[T], train: bool) -> [Vec<T>; 3] {
        let (n, d) = (self.n, self.d);
        let [mut dx, mut dgamma, mut dbeta] = Self::hidden([n * d, d, d]);
        let share = if train { T::ONE / T::from_f64(n as f64) } else { T::ZERO };
        for j in 0..d {
            let scale = self.gamma[j] * rstd[j];
            let off = |i: usize| self.x[i * d + j] - mean[j];
            let dy = |i: usize| {
                let passed = !self.relu || off(i).mul_add(scale, self.beta[j]) > T::ZERO;
                if passed { self.dy[i * d + j] } else { T::ZERO }
            };
            dbeta[j] = down(n, |i, sum: T| sum + dy(i));
            dgamma[j] = down(n, |i, sum: T| dy(i).mul_add(off(i), sum)) * rstd[j];
            let slope = dgamma[j] * rstd[j] * share;
            for i in 0..n {
                dx[i * d + j] = scale * off(i).mul_add(-slope, dy(i) - dbeta[j] * share);
            }
        }
        [dx, dgamma, dbeta]
    }

    fn layer_norm(&self) -> [Vec<T>; 3] {
        let [mut mean, mut rstd, mut y] = Self::hidden([self.n, self.n, self.n * self.d]);
        layer_norm(&self.x, self.after(), self.eps, &mut mean, &mut rstd, &mut y);
        [mean, rstd, y]
    }

    fn naive_layer_norm(&self) -> [Vec<T>; 3] {
        let (n, d) = (self.n, self.d);
        let [mut mean, mut rstd, mut y] = Self::hidden([n, n, n * d]);
        let count = T::from_f64(d as f64);
        for i in 0..n {
            let x = &self.x[i * d..][..d];
            mean[i] = along(d, |j, sum: T| sum + x[j]) / count;
            let off = |j: usize| x[j] - mean[i];
            let var = along(d, |j, sum: T| off(j).mul_add(off(j), sum)) / count;
            rstd[i] = T::ONE / (var + self.eps).sqrt();
            for j in 0..d {
                let v = (off(j) * rstd[i]).mul_add(self.gamma[j], self.beta[j]);
                y[i * d + j] = clip(self.relu, v);
            }
        }
        [mean, rstd, y]
    }

    fn layer_norm_backward(&self, mean: &[T], rstd: &[T]) -> [Vec<T>; 3] {
        let [mut dx, mut dgamma, mut dbeta] = Self::hidden([self.n * self.d, self.d, self.d]);
        let up = Upstream { x: &self.x, dy: &self.dy, mean, rstd };
        let to = Downstream { dx: Some(&mut dx), dgamma: &mut dgamma, dbeta: &mut dbeta };
        layer_norm_backward(up, self.after(), to);
        [dx, dgamma, dbeta]
    }

    fn naive_layer_norm_backward(&self, mean: &[T], rstd: &[T]) -> [Vec<T>; 3] {
        let (n, d) = (self.n, self.d);
        let [mut dx, mut dgamma, mut dbeta] = Self::hidden([n * d, d, d]);
        let count = T::from_f64(d as f64);
        let hat = |i: usize, j: usize| (self.x[i * d + j] - mean[i]) * rstd[i];
        let dy = |i: usize, j: usize| {
            let passed = !self.relu || hat(i, j).mul_add(self.gamma[j], self.beta[j]) > T::ZERO;
            if passed { self.dy[i * d + j] } else { T::ZERO }
        };
        for i in 0..n {
            let g = |j: usize| dy(i, j) * self.gamma[j];
            let mean_g = along(d, |j, sum: T| sum + g(j)) / count;
            let mean_product = along(d, |j, sum: T| g(j).mul_add(hat(i, j), sum)) / count;
            for j in 0..d {
                dx[i * d + j] = rstd[i] * hat(i, j).mul_add(-mean_product, g(j) - mean_g);
            }
        }
        let height = if n <= 1024 { 32 } else { ROW_BLOCK };
        for j in 0..d {
            let blocks = |f: &dyn Fn(usize, T) -> T| {
                let parts: Vec<T> = (0..n)
                    .step_by(height)
                    .map(|start| (start..n.min(start + height)).fold(T::ZERO, |s, i| f(i, s)))
                    .collect();
                down(parts.len(), |i, sum: T| sum + parts[i])
            };
            dbeta[j] = blocks(&|i, sum| sum + dy(i, j));
            dgamma[j] = blocks(&|i, sum| dy(i, j).mul_add(hat(i, j), sum));
        }
        [dx, dgamma, dbeta]
    }
}

fn agree<T: Real>(n: usize, d: usize, relu: bool) {
    let inputs = Inputs::<T>::new(n, d, relu);
    let what = inputs.what();
    if n > 0 {
        let want = inputs.naive_batch_norm();
        everywhere(&want, &format!("batch norm {what}"), || inputs.batch_norm());
        let [mean, _, rstd, y] = &want;
        everywhere(y, &format!("normalise {what}"), || {
            let [mut y] = Inputs::hidden([n * d]);
            normalise(&inputs.x, mean, rstd, inputs.after(), &mut y);
            y
        });
        for train in [true, false] {
            let want = inputs.naive_batch_norm_backward(mean, rstd, train);
            everywhere(&want, &format!("batch norm backward {what} train {train}"), || {
                inputs.batch_norm_backward(mean, rstd, train)
            });
        }
    }
    if d > 0 {
        let want = inputs.naive_layer_norm();
        everywhere(&want, &format!("layer norm {what}"), || inputs.layer_norm());
        let [mean, rstd, _] = &want;
        let want = inputs.naive_layer_norm_backward(mean, rstd);
        everywhere(&want, &format!("layer norm backward {what}"), || {
            inputs.layer_norm_backward(mean, rstd)
        });
    }
}

#[test]
fn odd_shapes_agree_with_the_naive_twins() {
    for n in [0, 1, 2, 3, 5, 17, 31, 33] {
        for d in [0, 1, 3, 8, 17, 33, 97] {
            agree::<f32>(n, d, (n + d) % 2 == 0);
            agree::<f64>(n, d, (n + d) % 3 == 0);
        }
    }
}

#[test]
fn training_shapes_and_tall_ones_agree_with_the_naive_twins() {
    for (n, d) in [(50, 100), (256, 200), (257, 150), (600, 33), (1024, 17), (1025, 20), (3000, 7)]
    {
        agree::<f32>(n, d, false);
        agree::<f32>(n, d, true);
    }
    agree::<f64>(300, 100, true);
    agree::<f64>(1500, 100, false);
}

#[test]
fn the_graph_form_gives_the_closed_forms_gradients() {
    for (n, d) in [(1, 3), (4, 5), (100, 500), (1500, 3)] {
        let inputs = Inputs::<f64>::new(n, d, false);
        let [mean, _, rstd, _] = inputs.naive_batch_norm();
        let closed = inputs.batch_norm_backward(&mean, &rstd, true);
        let mut graph = Inputs::<f64>::hidden([n * d, d, d]);
        let [dx, dgamma, dbeta] = &mut graph;
        let up = Upstream { x: &inputs.x, dy: &inputs.dy, mean: &mean, rstd: &rstd };
        let to = Downstream { dx: Some(dx), dgamma, dbeta };
        batch_norm_backward_graph(up, inputs.after(), to);
        for (a, b) in closed.iter().zip(&graph) {
            let scale = a.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * scale), "{n} x {d}");
        }
    }
}

#[test]
fn tall_columns_keep_their_digits() {
    let (n, d) = (65536, 3);
    // A mean that is large beside the deviations, whose squares are known.
    let x: Vec<f32> = (0..n * d).map(|i| if (i / d) % 2 == 0 { 99.5 } else { 100.5 }).collect();
    let [mut mean, mut var, mut rstd, mut y] = Inputs::<f32>::hidden([d, d, d, n * d]);
    let after = Affine { gamma: &[1.0; 3], beta: &[0.0; 3], relu: false };
    let stats = Stats { mean: &mut mean, var: &mut var, rstd: &mut rstd };
    batch_norm(&x, after, 0.0, stats, &mut y);
    assert!(mean.iter().all(|m| (m - 100.0).abs() < 1e-4), "{mean:?}");
    assert!(var.iter().all(|v| (v - 0.25).abs() < 1e-6), "{var:?}");
    assert!(y.iter().all(|v| (v.abs() - 1.0).abs() < 1e-3));
}

#[test]
fn nan_is_not_lost_in_a_relu() {
    let mut inputs = Inputs::<f32>::new(8, 3, true);
    inputs.x[4] = f32::NAN;
    assert!(inputs.batch_norm()[3][1].is_nan());
    assert!(inputs.layer_norm()[2][4].is_nan());
}
