//! PReLU: a leaky ReLU whose slope is learned, one for all or one a channel.
//!
//! ```text
//! y = x where x > 0, else a x          x, y (N, C, ...) or any shape with one slope    a (1) or (C)
//! dx = dy where x > 0, else a dy       da = sum of dy x where x <= 0, over all or over each channel
//! ```
//! Saved: x and a (shared, not copied). Cost: one pass forward, two backward. At 0 the derivative is that from the left, a.
//! Source: K. He et al., "Delving deep into rectifiers", ICCV 2015; its initial slope is [`INITIAL`].

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::elementwise::{self as kernels, Channels};

/// The slope at the beginning of the training.
pub const INITIAL: f64 = 0.25;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    x: Tensor,
    slope: Tensor,
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Shape of x.
    pub dx: Tensor,
    /// (1) or (C), as the slope.
    pub dslope: Tensor,
}

/// `y = x` where `x > 0`, else `slope x`: x (N, C, ...) and slope (C), or x of any shape and slope (1). Keeps the memory order.
///
/// # Panics
/// If there is neither one slope nor one for each channel, or the types differ.
#[track_caller]
pub fn forward(x: &Tensor, slope: &Tensor) -> (Tensor, Cache) {
    let operands = [("x", x, "N C..."), ("slope", slope, "C")];
    let channels = x.shape().get(1).copied();
    if slope.shape().len() != 1 || (slope.len() != 1 && Some(slope.len()) != channels) {
        check::fail(
            "prelu",
            "there must be one slope, or one for each channel of x",
            &operands,
            "",
        );
    }
    check::same_dtype("prelu", &operands);
    let mut y = x.dirty_like();
    float!(x.dtype(), T => {
        kernels::prelu::<T>(x.data(), x.data(), slope.data(), channels_of(x), y.data_mut());
    });
    (y, Cache { x: x.clone(), slope: slope.clone() })
}

/// How the channels of x lie in memory.
fn channels_of(x: &Tensor) -> Channels {
    let channels = x.shape().get(1).copied().unwrap_or(1);
    let inner = match x.order() {
        Order::RowMajor => x.shape().iter().skip(2).product(),
        Order::ChannelsLast => 1,
    };
    Channels { channels, inner }
}

/// The gradients, given the upstream gradient dy of x's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(dx), Some(dslope)] = backward_for([true; 2], dy, cache) else {
        unreachable!("both were asked for")
    };
    Grads { dx, dslope }
}

/// The gradients of x and of the slope that are needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 2], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 2] {
    let Cache { x, slope } = cache;
    check::upstream("prelu", dy, x.shape(), x);
    let (dy, at) = (dy.to_order(x.order()), channels_of(x));
    let dx = needs[0].then(|| {
        let mut dx = x.dirty_like();
        float!(x.dtype(), T => kernels::prelu::<T>(dy.data(), x.data(), slope.data(), at, dx.data_mut()));
        dx
    });
    let dslope = needs[1].then(|| {
        let mut dslope = slope.dirty_like();
        float!(x.dtype(), T => kernels::prelu_slope::<T>(dy.data(), x.data(), at, dslope.data_mut()));
        dslope
    });
    [dx, dslope]
}

impl Var {
    /// `x where x > 0, else slope x` on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn prelu(&self, slope: &dyn OnTape) -> Var {
        let on = Operands::of([self, slope]);
        let [x, slope] = &on.values;
        let (y, cache) = forward(x, slope);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check, away from the kink at 0.
pub fn checks() -> Vec<Case> {
    let case = |name, x: &[usize], slopes: usize, order: Order| {
        let off_kink = |v: f64| v + 0.02f64.copysign(v);
        Case::new("prelu", name)
            .input_with("x", x, off_kink)
            .input("slope", &[slopes])
            .run(move |[x, slope]| {
                let (y, cache) = forward(&x.to_order(order), slope);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x, slope]| {
                let x = if x.shape().len() == 4 { x.to_order(order) } else { x.clone() };
                x.prelu(slope)
            })
    };
    vec![
        case("features", &[6, 5], 5, Order::RowMajor),
        case("one slope", &[3, 7], 1, Order::RowMajor),
        case("vector", &[17], 1, Order::RowMajor),
        case("pictures", &[2, 3, 4, 5], 3, Order::RowMajor),
        case("channels last", &[2, 3, 4, 5], 3, Order::ChannelsLast),
        case("long", &[3, 4, 37], 4, Order::RowMajor),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn each_channel_has_its_slope_in_either_memory_order() {
        let x = Tensor::randn([2, 3, 4, 5], 1.0, DType::F64, &mut Rng::new(1));
        let slope = Tensor::from_f64([3], &[0.25, -1.0, 0.0]);
        for order in [Order::RowMajor, Order::ChannelsLast] {
            let (y, cache) = forward(&x.to_order(order), &slope);
            let Grads { dx, dslope } = backward(&Tensor::ones([2, 3, 4, 5], DType::F64), &cache);
            assert_eq!((y.order(), dx.order()), (order, order));
            let mut sums = [0.0; 3];
            for (i, v) in x.to_vec().into_iter().enumerate() {
                let (at, c) = ([i / 60, i / 20 % 3, i / 5 % 4, i % 5], i / 20 % 3);
                let a = if v > 0.0 { 1.0 } else { slope.at(&[c]) };
                assert_eq!((y.at(&at), dx.at(&at)), (a * v, a));
                sums[c] += v.min(0.0);
            }
            for (got, want) in dslope.to_vec().iter().zip(sums) {
                assert!((got - want).abs() < 1e-12, "{got} {want}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "prelu: there must be one slope, or one for each channel of x\n    \
                               x      [2, 3]   N C...\n    slope  [2]      C")]
    fn slopes_that_do_not_fit_panic() {
        forward(&Tensor::zeros([2, 3], DType::F32), &Tensor::zeros([2], DType::F32));
    }
}
