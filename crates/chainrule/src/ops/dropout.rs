//! Dropout: in training, units are dropped at random and the others scaled up, so that a test needs no change.
//!
//! ```text
//! training: y = x m       m = (u < keep) / keep, u uniform in [0, 1), one for each element       x, y, u, m of any shape
//!           dx = dy m
//! test:     y = x         dx = dy
//! ```
//! `keep` is the probability of *keeping* a unit. Saved: which units were kept, one byte each. Cost: one pass over x that draws,
//! scales and writes the mask; one over dy backward. Source: N. Srivastava et al., "Dropout: a simple way to prevent neural
//! networks from overfitting", JMLR 15, 2014; the scaling in training is called inverted dropout.
//!
//! A keyed generator gives each layer and step a key, and element i (row-major) the word i of that key, so the mask does not
//! depend on threads or memory order. NumPy's sequence draws one `f64` for each element in row-major order, as the course does.

use super::Mode;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::rng::{DropoutKey, Rng};
use crate::tape::{Operands, Var};
use crate::tensor::{DType, Order, Shape, Tensor, float};
use chainrule_kernels::dropout::{self as kernels, Keep};
use chainrule_kernels::layout::transpose_all;
use chainrule_kernels::{Buffer, Real};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: Shape,
    dtype: DType,
    order: Order,
    dropped: Option<Mask>,
}

/// The units that were kept (1) or dropped (0), in the memory order of x, and what the kept ones were multiplied with.
#[derive(Clone, Debug)]
struct Mask {
    kept: Buffer<u8>,
    scale: f64,
}

/// `y = x m` in training, `y = x` in a test, of x's shape, type and memory order. `keep` is the probability of keeping a unit.
///
/// Training takes one [`Rng::dropout_key`], or with NumPy's sequence one uniform for each element; a test draws nothing.
///
/// # Panics
/// If `keep` is not above 0 and at most 1.
#[track_caller]
pub fn forward(x: &Tensor, keep: f64, mode: Mode, rng: &mut Rng) -> (Tensor, Cache) {
    if !(keep > 0.0 && keep <= 1.0) {
        let reason = format!("keep is {keep}; a probability of keeping is above 0 and at most 1");
        check::fail("dropout", reason, &[("x", x, "")], "");
    }
    let cache = |dropped| Cache { shape: *x.shape(), dtype: x.dtype(), order: x.order(), dropped };
    if mode == Mode::Test {
        return (x.clone(), cache(None));
    }
    let (y, mask) = drop_units(x, keep, rng);
    (y, cache(Some(mask)))
}

/// As [`forward`], but the randomness of dropout starts over from `seed` in each call, in a test too, as the course's layers with
/// a seed have it: the same units are dropped every time (see [`Rng::seed_dropout`]).
///
/// # Panics
/// As [`forward`].
#[track_caller]
pub fn forward_seeded(
    x: &Tensor,
    keep: f64,
    seed: u32,
    mode: Mode,
    rng: &mut Rng,
) -> (Tensor, Cache) {
    rng.seed_dropout(seed);
    forward(x, keep, mode, rng)
}

/// Draws a mask and applies it.
fn drop_units(x: &Tensor, keep: f64, rng: &mut Rng) -> (Tensor, Mask) {
    let mut y = x.dirty_like();
    let mut mask = Mask { kept: Buffer::dirty(x.len()), scale: 1.0 / keep };
    if let Some(DropoutKey { key, counter }) = rng.dropout_key() {
        let keep = Keep { key, counter, threshold: DropoutKey::threshold(keep) };
        if x.order() == Order::RowMajor {
            float!(x.dtype(), T => {
                let scale = T::from_f64(mask.scale);
                kernels::forward::<T>(&keep, scale, x.data(), y.data_mut(), mask.kept.make_mut());
            });
            return (y, mask);
        }
        kernels::draw(&keep, mask.kept.make_mut());
    } else {
        let mut uniforms = Buffer::<f64>::dirty(x.len());
        let uniforms = uniforms.make_mut();
        rng.rand_fill(uniforms);
        let kept = mask.kept.make_mut().iter_mut().zip(uniforms);
        kept.for_each(|(kept, u)| *kept = (*u < keep).into());
    }
    if x.order() == Order::ChannelsLast {
        // Units are drawn in row-major order. The mask goes where the pictures lie: that moves one byte a unit, and no picture.
        let mut moved = Buffer::dirty(x.len());
        let pixels = x.shape()[2] * x.shape()[3];
        transpose_all(&mask.kept, moved.make_mut(), x.shape()[1], pixels);
        mask.kept = moved;
    }
    apply(x, &mask, &mut y);
    (y, mask)
}

/// `y = x m` for a tensor in the mask's memory order.
fn apply(x: &Tensor, mask: &Mask, y: &mut Tensor) {
    float!(x.dtype(), T => {
        kernels::apply::<T>(x.data(), &mask.kept, T::from_f64(mask.scale), y.data_mut());
    });
}

/// `dx = dy m`, or dy after a test's forward pass, in x's memory order.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { shape, dtype, order, dropped } = cache;
    check::upstream("dropout", dy, shape, &Tensor::zeros([0], *dtype));
    let Some(mask) = dropped else {
        return dy.to_order(*order);
    };
    let dy = dy.to_order(*order);
    let mut dx = dy.dirty_like();
    apply(&dy, mask, &mut dx);
    dx
}

impl Var {
    /// Dropout on the tape, with its mode and randomness; `keep` is the probability of keeping a unit: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn dropout(&self, keep: f64) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], keep, on.tape().mode(), &mut on.tape().rng());
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

/// The cases of the gradient check. Each run draws the same mask, or it would be another function each time.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], mode: Mode, rng: fn() -> Rng| {
        // Pictures lie channels-last.
        let order = if shape.len() == 4 { Order::ChannelsLast } else { Order::RowMajor };
        Case::new("dropout", name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(&x.to_order(order), 0.6, mode, &mut rng());
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| {
                x.tape().set_mode(mode);
                *x.tape().rng() = rng();
                x.to_order(order).dropout(0.6)
            })
    };
    vec![
        case("keyed", &[5, 13], Mode::Train, || Rng::new(3)),
        case("long", &[7, 100], Mode::Train, || Rng::new(4)),
        case("numpy", &[2, 3, 4], Mode::Train, || Rng::numpy(5)),
        case("pictures", &[2, 3, 4, 5], Mode::Train, || Rng::new(7)),
        case("test", &[4, 3], Mode::Test, || Rng::new(6)),
    ]
}

#[cfg(test)]
mod tests;
