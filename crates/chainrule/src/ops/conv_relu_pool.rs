//! A convolution, a ReLU and max pooling, in two passes.
//!
//! ```text
//! y = maxpool(max(0, conv(x, w) + b))     x (N, C, H, W)   w (F, C/groups, KH, KW)   b (F) or none   y (N, F, H'', W'')
//! dp = dy where y > 0, else 0    da = dp at the places that the pooling chose, 0 elsewhere
//! dx, dw, db: those of conv2d for the upstream gradient da
//! ```
//! A window whose largest number the ReLU has cut to 0 passes no gradient on, whichever place it chose. So the ReLU's derivative
//! is applied to the pooled gradient, which is smaller, and the picture between ReLU and pooling need not be kept.
//!
//! Saved: x, w and y (shared), and the places that the pooling chose. Cost: that of [`conv2d`] and [`max_pool2d`]. Source: the
//! course's sandwich layers.

use super::conv2d::{self, Conv2dParams};
use super::elementwise::{self, relu};
use super::max_pool2d::{self, MaxPool2dParams};
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Tensor};

pub use conv2d::Grads;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    conv: conv2d::Cache,
    pool: max_pool2d::Cache,
    relu: elementwise::Cache,
}

/// `y = maxpool(max(0, conv(x, w) + b))`: x (N, C, H, W), w (F, C/groups, KH, KW), b (F) if given, to y (N, F, H'', W''),
/// channels-last.
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    params: &Conv2dParams,
    pool: &MaxPool2dParams,
) -> (Tensor, Cache) {
    let (a, conv) = conv2d::convolve("conv_relu_pool", [x, w], b, params, true);
    let (y, pool) = max_pool2d::pooled("conv_relu_pool", &a, pool);
    let relu = elementwise::Cache { kept: y.clone(), activation: relu::ACTIVATION };
    (y, Cache { conv, pool, relu })
}

/// The gradients, given the upstream gradient dy (N, F, H'', W'').
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
    check::upstream("conv_relu_pool", dy, cache.relu.kept.shape(), &cache.relu.kept);
    let da = max_pool2d::backward(&elementwise::backward(dy, &cache.relu), &cache.pool);
    conv2d::backward_for(needs, &da, &cache.conv)
}

impl Var {
    /// A convolution, a ReLU and max pooling on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn conv_relu_pool(
        &self,
        w: &dyn OnTape,
        b: Option<&dyn OnTape>,
        conv: &Conv2dParams,
        pool: &MaxPool2dParams,
    ) -> Var {
        // Without a bias w stands in its place, and gets no gradient there.
        let on = Operands::of([self, w, b.unwrap_or(w)]);
        let [x, w, bias] = &on.values;
        let (y, cache) = forward(x, w, b.is_some().then_some(bias), conv, pool);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case =
        |name, x: &[usize], w: &[usize], settings: (Conv2dParams, MaxPool2dParams), order| {
            let case = Case::new("conv_relu_pool", name).input("x", x).input("w", w);
            case.input("b", &w[..1])
                .run(move |[x, w, b]| {
                    let (conv, pool) = &settings;
                    let (y, cache) = forward(&x.to_order(order), w, Some(b), conv, pool);
                    (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
                })
                .tape(move |[x, w, b]| {
                    let (conv, pool) = &settings;
                    x.to_order(order).conv_relu_pool(w, Some(b), conv, pool)
                })
        };
    let same = (Conv2dParams::same(3), MaxPool2dParams::default());
    let overlapping = MaxPool2dParams { pad: [1, 1], ..MaxPool2dParams::new(3, 2) };
    vec![
        case("course", &[2, 3, 4, 6], &[4, 3, 3, 3], same, Order::RowMajor),
        case("channels last", &[1, 2, 5, 5], &[5, 2, 3, 3], same, Order::ChannelsLast),
        case(
            "overlapping",
            &[1, 2, 6, 5],
            &[3, 2, 2, 2],
            (Conv2dParams::new(1, 1), overlapping),
            Order::ChannelsLast,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn the_same_bits_as_the_three_layers_one_after_the_other() {
        let mut rng = Rng::new(2);
        let mut normal = |shape: &[usize]| Tensor::randn(shape, 1.0, DType::F32, &mut rng);
        let (x, w, b) = (normal(&[2, 3, 8, 9]), normal(&[5, 3, 3, 3]), normal(&[5]));
        let overlapping = MaxPool2dParams { pad: [1, 1], ..MaxPool2dParams::new(3, 2) };
        for pool in [MaxPool2dParams::default(), overlapping] {
            let params = Conv2dParams::same(3);
            let (y, cache) = forward(&x, &w, Some(&b), &params, &pool);
            let dy = Tensor::randn(*y.shape(), 1.0, DType::F32, &mut Rng::new(3));
            let Grads { dx, dw, db } = backward(&dy, &cache);

            let (a, first) = conv2d::forward(&x, &w, Some(&b), &params);
            let (h, second) = relu::forward(&a);
            let (want, third) = max_pool2d::forward(&h, &pool);
            let da = relu::backward(&max_pool2d::backward(&dy, &third), &second);
            let apart = conv2d::backward(&da, &first);
            assert_eq!(y.to_vec(), want.to_vec());
            assert_eq!(dx.to_vec(), apart.dx.to_vec());
            assert_eq!(dw.to_vec(), apart.dw.to_vec());
            assert_eq!(db.map(|d| d.to_vec()), apart.db.map(|d| d.to_vec()));
        }
    }

    #[test]
    fn the_cases_lie_away_from_kinks_and_ties() {
        for case in checks() {
            let value = |i: usize| &case.inputs[i].1;
            let conv = match case.name {
                "overlapping" => Conv2dParams::new(1, 1),
                _ => Conv2dParams::same(3),
            };
            let (a, _) = conv2d::forward(value(0), value(1), Some(value(2)), &conv);
            let nearest = a.to_vec().iter().fold(f64::MAX, |m, v| m.min(v.abs()));
            assert!(nearest > 2e-3, "{}: {nearest} from the kink", case.name);
            let [n, c, h, w] = a.shape()[..] else { panic!("four axes") };
            for plane in 0..n * c {
                let at = |i, j| a.at(&[plane / c, plane % c, i, j]).max(0.0);
                // Neighbours up to two pixels apart are in one window at most.
                for (i, j) in (0..h * w).map(|k| (k / w, k % w)) {
                    for (p, q) in (i..h.min(i + 3)).flat_map(|p| (0..w).map(move |q| (p, q))) {
                        let close = (at(i, j) - at(p, q)).abs() < 2e-3 && at(i, j) > 0.0;
                        let other = (p, q) != (i, j) && q.abs_diff(j) < 3;
                        assert!(!(close && other), "{}: a tie", case.name);
                    }
                }
            }
        }
    }
}
