//! The course's comparison of layers: explicit loops against the library's own, on the shapes of its notebook 'Fast layers'.

use chainrule::gradcheck::rel_error;
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::rng::NumpyRng;
use chainrule::tensor::Tensor;

/// The seed of the notebook's cells.
const SEED: u32 = 231;

/// A layer in one direction, twice.
pub struct Pair {
    /// Which: `conv forward`.
    pub name: &'static str,
    /// Its shapes, in words.
    pub shapes: &'static str,
    /// In explicit loops.
    pub naive: Box<dyn FnMut()>,
    /// As the library does it.
    pub fast: Box<dyn FnMut()>,
    /// The largest relative error between their results ([`rel_error`]).
    pub difference: f64,
}

/// The four pairs: convolution and max pooling, forward and backward, in `f64` on row-major pictures.
pub fn pairs() -> Vec<Pair> {
    conv().into_iter().chain(pool()).collect()
}

fn randn<const N: usize>(rng: &mut NumpyRng, shape: [usize; N]) -> Tensor {
    Tensor::from_f64(shape, &rng.randn(shape.iter().product()))
}

/// The largest error of some results against others.
fn largest<const N: usize>(got: [&Tensor; N], want: [&Tensor; N]) -> f64 {
    got.iter().zip(want).map(|(got, want)| rel_error(got, want)).fold(0.0, f64::max)
}

fn conv() -> [Pair; 2] {
    let mut rng = NumpyRng::new(SEED);
    let x = randn(&mut rng, [100, 3, 31, 31]);
    let w = randn(&mut rng, [25, 3, 3, 3]);
    let b = randn(&mut rng, [25]);
    let dy = randn(&mut rng, [100, 25, 16, 16]);
    let params = Conv2dParams::new(2, 1);
    let (y, cache) = conv2d::forward(&x, &w, Some(&b), &params);
    let (twin, of_twin) = conv2d::naive::forward(&x, &w, Some(&b), &params);
    let (grads, twins) = (conv2d::backward(&dy, &cache), conv2d::naive::backward(&dy, &of_twin));
    let bias = grads.db.iter().zip(&twins.db).map(|(a, b)| rel_error(a, b)).fold(0.0, f64::max);
    let backward = largest([&grads.dx, &grads.dw], [&twins.dx, &twins.dw]).max(bias);
    let shapes = "(100,3,31,31) * (25,3,3,3), stride 2, pad 1";
    let forward = {
        let [(x, w, b), other] = [(); 2].map(|()| (x.clone(), w.clone(), b.clone()));
        let naive = move || drop(conv2d::naive::forward(&x, &w, Some(&b), &params));
        let (x, w, b) = other;
        let fast = move || drop(conv2d::forward(&x, &w, Some(&b), &params));
        pair("conv forward", shapes, naive, fast, largest([&y], [&twin]))
    };
    let upstream = dy.clone();
    let naive = move || drop(conv2d::naive::backward(&upstream, &of_twin));
    let fast = move || drop(conv2d::backward(&dy, &cache));
    [forward, pair("conv backward", shapes, naive, fast, backward)]
}

fn pool() -> [Pair; 2] {
    let mut rng = NumpyRng::new(SEED);
    let x = randn(&mut rng, [100, 3, 32, 32]);
    let dy = randn(&mut rng, [100, 3, 16, 16]);
    let params = MaxPool2dParams::default();
    let (y, cache) = max_pool2d::forward(&x, &params);
    let (twin, of_twin) = max_pool2d::naive::forward(&x, &params);
    let (dx, dtwin) =
        (max_pool2d::backward(&dy, &cache), max_pool2d::naive::backward(&dy, &of_twin));
    let shapes = "(100,3,32,32), windows 2 x 2, stride 2";
    let (forward_error, backward_error) = (largest([&y], [&twin]), largest([&dx], [&dtwin]));
    let (other, upstream) = (x.clone(), dy.clone());
    let naive = move || drop(max_pool2d::naive::forward(&other, &params));
    let fast = move || drop(max_pool2d::forward(&x, &params));
    let forward = pair("pool forward", shapes, naive, fast, forward_error);
    let naive = move || drop(max_pool2d::naive::backward(&upstream, &of_twin));
    let fast = move || drop(max_pool2d::backward(&dy, &cache));
    [forward, pair("pool backward", shapes, naive, fast, backward_error)]
}

fn pair(
    name: &'static str,
    shapes: &'static str,
    naive: impl FnMut() + 'static,
    fast: impl FnMut() + 'static,
    difference: f64,
) -> Pair {
    Pair { name, shapes, naive: Box::new(naive), fast: Box::new(fast), difference }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_of_each_pair_give_the_same() {
        let names: Vec<&str> = pairs()
            .iter()
            .map(|pair| {
                let allowed = if pair.name.starts_with("pool") { 0.0 } else { 1e-8 };
                assert!(pair.difference <= allowed, "{}: {}", pair.name, pair.difference);
                pair.name
            })
            .collect();
        assert_eq!(names, ["conv forward", "conv backward", "pool forward", "pool backward"]);
    }
}
