//! A convolution with a ReLU behind it, in one pass.
//!
//! ```text
//! y = max(0, conv(x, w) + b)      x (N, C, H, W)   w (F, C/groups, KH, KW)   b (F) or none   y (N, F, H', W')
//! da = dy where y > 0, else 0     dx, dw, db: those of conv2d for the upstream gradient da
//! ```
//! The bias and the ReLU are applied to each block of the sums while it is in the cache. NaN comes through the ReLU.
//!
//! Saved: x, w and y (shared). Cost: that of [`conv2d`]; one pass over dy and y more in backward. Source: the course's sandwich
//! layers.

use super::conv2d::{self, Conv2dParams};
use super::elementwise::{self, relu};
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Tensor};

pub use conv2d::Grads;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    conv: conv2d::Cache,
    relu: elementwise::Cache,
}

/// `y = max(0, conv(x, w) + b)`: x (N, C, H, W), w (F, C/groups, KH, KW), b (F) if given, to y (N, F, H', W'), channels-last.
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    params: &Conv2dParams,
) -> (Tensor, Cache) {
    let (y, conv) = conv2d::convolve("conv_relu", [x, w], b, params, true);
    let relu = elementwise::Cache { kept: y.clone(), activation: relu::ACTIVATION };
    (y, Cache { conv, relu })
}

/// The gradients, given the upstream gradient dy (N, F, H', W').
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(dx), Some(dw), db] = backward_for([true; 3], dy, cache) else {
        unreachable!("all were asked for")
    };
    Grads { dx, dw, db }
}

/// The gradients of x, w and b that are needed, the last if there is a bias. A first layer does not need that of x.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 3], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 3] {
    check::upstream("conv_relu", dy, &cache.conv.output_shape(), &cache.relu.kept);
    conv2d::backward_for(needs, &elementwise::backward(dy, &cache.relu), &cache.conv)
}

impl Var {
    /// A convolution and a ReLU on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn conv_relu(&self, w: &dyn OnTape, b: Option<&dyn OnTape>, params: &Conv2dParams) -> Var {
        // Without a bias w stands in its place, and gets no gradient there.
        let on = Operands::of([self, w, b.unwrap_or(w)]);
        let [x, w, bias] = &on.values;
        let (y, cache) = forward(x, w, b.is_some().then_some(bias), params);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    use super::affine_relu::quarters;
    let case = |name, x: &[usize], w: &[usize], params: Conv2dParams, order: Order| {
        Case::new("conv_relu", name)
            .input_with("x", x, quarters)
            .input_with("w", w, quarters)
            .input_with("b", &w[..1], |v| quarters(v) + 1.0 / 32.0)
            .run(move |[x, w, b]| {
                let (y, cache) = forward(&x.to_order(order), w, Some(b), &params);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x, w, b]| x.to_order(order).conv_relu(w, Some(b), &params))
    };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    vec![
        case("same size", &[2, 3, 4, 5], &[4, 3, 3, 3], Conv2dParams::same(3), rows),
        case("channels last", &[2, 3, 5, 5], &[17, 3, 2, 2], Conv2dParams::new(2, 1), last),
        case("one", &[1, 1, 1, 1], &[1, 1, 1, 1], Conv2dParams::default(), last),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn the_same_bits_as_the_two_layers_one_after_the_other() {
        for (shape, filters, params) in [
            ([2, 3, 8, 8], [5, 3, 3, 3], Conv2dParams::same(3)),
            ([1, 16, 6, 5], [32, 16, 1, 1], Conv2dParams::default()),
        ] {
            let mut rng = Rng::new(2);
            let mut normal = |shape: &[usize]| Tensor::randn(shape, 1.0, DType::F32, &mut rng);
            let (x, w, b) = (normal(&shape), normal(&filters), normal(&filters[..1]));
            for b in [Some(&b), None] {
                let (y, cache) = forward(&x, &w, b, &params);
                let dy = Tensor::randn(*y.shape(), 1.0, DType::F32, &mut Rng::new(3));
                let Grads { dx, dw, db } = backward(&dy, &cache);

                let (a, below) = conv2d::forward(&x, &w, b, &params);
                let (want, above) = relu::forward(&a);
                let apart = conv2d::backward(&relu::backward(&dy, &above), &below);
                assert_eq!(y.to_vec(), want.to_vec());
                assert_eq!(dx.to_vec(), apart.dx.to_vec());
                assert_eq!(dw.to_vec(), apart.dw.to_vec());
                assert_eq!(db.map(|d| d.to_vec()), apart.db.map(|d| d.to_vec()));
            }
        }
    }

    #[test]
    fn nan_comes_through() {
        let x = Tensor::full([1, 2, 3, 3], f64::NAN, DType::F32);
        let (y, _) =
            forward(&x, &Tensor::ones([4, 2, 3, 3], DType::F32), None, &Conv2dParams::same(3));
        assert!(y.to_vec().iter().all(|v| v.is_nan()));
    }
}
