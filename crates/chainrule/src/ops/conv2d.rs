//! Convolution of pictures with learned filters (cross-correlation, as the field has it).
//!
//! ```text
//! y[n,f,i,j] = b[f] + sum over c,u,v of w[f,c,u,v] x[n, c, i s + u d - p, j s + v d - p]        (x is 0 in the padding)
//! x (N, C, H, W)   w (F, C/groups, KH, KW)   b (F) or none   y (N, F, H', W')   H' = floor((H + 2p - d (KH - 1) - 1) / s) + 1
//! dx = every dy w added where its x was read    dw = sum over N, i, j of dy x    db = sum over N, i, j of dy
//! ```
//! s, p and d are stride, padding and dilation. With groups, filters and channels are split into as many parts, and a filter
//! sees the channels of its own part; as many groups as channels make a depthwise convolution.
//!
//! Pictures in either memory order go in; they are worked on channels-last, and y and dx are channels-last. Saved: x
//! (channels-last, shared if it came so) and w (shared). Cost: N F H' W' KH KW C/groups multiply-adds forward, twice that
//! backward. [`naive`] does the same in explicit loops. Source: any textbook; K. O'Shea, R. Nash, "An introduction to
//! convolutional neural networks", 2015.

pub mod naive;

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::conv::{self, ConvShape};
use chainrule_kernels::reduce::column_sums;

/// The settings of a convolution. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dParams {
    /// Pixels from one window to the next, at least 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeroes on each side.
    pub pad: [usize; 2],
    /// Pixels from one tap of a filter to the next, at least 1.
    pub dilation: [usize; 2],
    /// Parts that channels and filters are split into.
    pub groups: usize,
}

impl Default for Conv2dParams {
    /// Every window, no padding, all channels.
    fn default() -> Self {
        Conv2dParams { stride: [1; 2], pad: [0; 2], dilation: [1; 2], groups: 1 }
    }
}

impl Conv2dParams {
    /// A stride and a padding, the same for both axes.
    pub fn new(stride: usize, pad: usize) -> Self {
        Conv2dParams { stride: [stride; 2], pad: [pad; 2], ..Self::default() }
    }

    /// Stride 1 and the padding that keeps the size of pictures under filters of odd size.
    pub fn same(filter_size: usize) -> Self {
        Self::new(1, filter_size.saturating_sub(1) / 2)
    }

    /// The sizes of a convolution of x (N, C, H, W) with filters (F, KH, KW).
    pub(crate) fn shape(
        &self,
        [n, c, h, w]: [usize; 4],
        [filters, kh, kw]: [usize; 3],
    ) -> ConvShape {
        let Conv2dParams { stride, pad, dilation, groups } = *self;
        ConvShape { n, c, h, w, filters, kh, kw, stride, pad, dilation, groups }
    }
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    x: Tensor,
    w: Tensor,
    has_bias: bool,
    shape: ConvShape,
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// (N, C, H, W), channels-last.
    pub dx: Tensor,
    /// (F, C/groups, KH, KW).
    pub dw: Tensor,
    /// (F); none without a bias.
    pub db: Option<Tensor>,
}

/// The convolution of x (N, C, H, W) with w (F, C/groups, KH, KW), plus b (F) if given: y (N, F, H', W'), channels-last.
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
    convolve("conv2d", [x, w], b, params, false)
}

/// The forward pass of this op and of the sandwiches that begin with it, with a ReLU behind the sum if wanted.
#[track_caller]
pub(super) fn convolve(
    op: &str,
    [x, w]: [&Tensor; 2],
    b: Option<&Tensor>,
    params: &Conv2dParams,
    relu: bool,
) -> (Tensor, Cache) {
    let (mut y, cache) = prepare(op, [x, w], b, params);
    float!(x.dtype(), T => {
        let (x, w, b) = (cache.x.data::<T>(), cache.w.data(), b.map(Tensor::data));
        conv::forward::<T>(&cache.shape, x, w, b, relu, y.data_mut());
    });
    (y, cache)
}

/// Looks at the operands and brings them into the order of the kernels: y, still unwritten, and the cache.
#[track_caller]
fn prepare(
    op: &str,
    [x, w]: [&Tensor; 2],
    b: Option<&Tensor>,
    params: &Conv2dParams,
) -> (Tensor, Cache) {
    let shape = sizes(op, [x, w], b, params);
    let x = x.to_order(Order::ChannelsLast);
    let cache = Cache { x, w: w.to_order(Order::RowMajor), has_bias: b.is_some(), shape };
    (Tensor::dirty(cache.output_shape(), cache.x.dtype(), Order::ChannelsLast), cache)
}

/// The sizes of a convolution of these operands, if they fit.
#[track_caller]
fn sizes(op: &str, [x, w]: [&Tensor; 2], b: Option<&Tensor>, params: &Conv2dParams) -> ConvShape {
    let all = [("x", x, "N C H W"), ("w", w, "F C KH KW"), ("b", b.unwrap_or(x), "F")];
    let operands = if b.is_some() { &all[..] } else { &all[..2] };
    let Conv2dParams { stride, pad, dilation, groups } = *params;
    // Not a text yet: that would be a request for memory in every step.
    let settings =
        format_args!("stride {stride:?}, pad {pad:?}, dilation {dilation:?}, groups {groups}");
    let ([n, c, h, width], [filters, of_filter, kh, kw]) = (&x.shape()[..], &w.shape()[..]) else {
        check::fail(op, "x and w must have four axes", operands, settings)
    };
    if of_filter * groups != *c {
        let reason = format!("x has {c} channels, w expects {}", of_filter * groups);
        check::fail(op, reason, operands, settings);
    }
    if b.is_some_and(|b| b.shape()[..] != [*filters]) {
        let reason = format!("b must have one number for each of {filters} filters");
        check::fail(op, reason, operands, settings);
    }
    check::same_dtype(op, operands);
    let shape = params.shape([*n, *c, *h, *width], [*filters, *kh, *kw]);
    if let Some(problem) = shape.problem() {
        check::fail(op, problem, operands, settings);
    }
    shape
}

impl Cache {
    /// (N, F, H', W').
    pub(super) fn output_shape(&self) -> [usize; 4] {
        let ConvShape { n, filters, .. } = self.shape;
        [n, filters, self.shape.out_h(), self.shape.out_w()]
    }
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
    let Cache { x, w, has_bias, shape } = cache;
    check::upstream("conv2d", dy, &cache.output_shape(), x);
    let dy = dy.to_order(Order::ChannelsLast);
    let dx = needs[0].then(|| {
        let mut dx = x.dirty_like();
        float!(x.dtype(), T => conv::backward_data::<T>(shape, dy.data(), w.data(), dx.data_mut()));
        dx
    });
    let dw = needs[1].then(|| {
        let mut dw = w.dirty_like();
        float!(x.dtype(), T => conv::backward_weights::<T>(shape, x.data(), dy.data(), dw.data_mut()));
        dw
    });
    let db = (needs[2] && *has_bias).then(|| {
        let mut db = Tensor::dirty([shape.filters], x.dtype(), Order::RowMajor);
        float!(x.dtype(), T => column_sums(dy.data::<T>(), db.data_mut()));
        db
    });
    [dx, dw, db]
}

impl Var {
    /// The convolution with w (F, C/groups, KH, KW) and b (F) if given on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn conv2d(&self, w: &dyn OnTape, b: Option<&dyn OnTape>, params: &Conv2dParams) -> Var {
        // Without a bias w stands in its place, and gets no gradient there.
        let on = Operands::of([self, w, b.unwrap_or(w)]);
        let [x, w, bias] = &on.values;
        let (y, cache) = forward(x, w, b.is_some().then_some(bias), params);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, x: &[usize], w: &[usize], params: Conv2dParams, order: Order| {
        Case::new("conv2d", name)
            .input("x", x)
            .input("w", w)
            .input("b", &w[..1])
            .run(move |[x, w, b]| {
                let (y, cache) = forward(&x.to_order(order), w, Some(b), &params);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x, w, b]| x.to_order(order).conv2d(w, Some(b), &params))
    };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    let at = |stride, pad| Conv2dParams { stride, pad, ..Conv2dParams::default() };
    let grouped = |groups, stride| Conv2dParams { groups, ..Conv2dParams::new(stride, 1) };
    let dilated = Conv2dParams { dilation: [2, 3], ..Conv2dParams::new(1, 2) };
    vec![
        case("same size", &[2, 3, 5, 4], &[4, 3, 3, 3], Conv2dParams::same(3), rows),
        case("channels last", &[2, 3, 5, 4], &[4, 3, 3, 3], Conv2dParams::same(3), last),
        case("strides, pads", &[2, 2, 7, 6], &[3, 2, 3, 2], at([2, 1], [1, 2]), last),
        case("stride > filter", &[2, 2, 7, 8], &[3, 2, 2, 2], at([3, 3], [0, 0]), rows),
        case("dilated", &[1, 2, 9, 8], &[3, 2, 3, 3], dilated, last),
        case("groups", &[2, 4, 5, 5], &[6, 2, 3, 3], grouped(2, 1), last),
        case("depthwise", &[2, 4, 6, 5], &[4, 1, 3, 3], grouped(4, 2), last),
        case("one by one", &[2, 5, 3, 3], &[17, 5, 1, 1], Conv2dParams::default(), last),
        case("one", &[1, 1, 1, 1], &[1, 1, 1, 1], Conv2dParams::default(), rows),
        case("17 filters", &[1, 17, 3, 3], &[17, 17, 3, 3], Conv2dParams::same(3), last),
        without_bias(),
    ]
}

fn without_bias() -> Case {
    let case = Case::new("conv2d", "no bias").input("x", &[2, 3, 4, 4]).input("w", &[2, 3, 2, 2]);
    case.run(|[x, w]| {
        let (y, cache) = forward(x, w, None, &Conv2dParams::new(2, 0));
        let back = move |[x, w]: [bool; 2], dy: &Tensor| {
            let [dx, dw, _] = backward_for([x, w, false], dy, &cache);
            [dx, dw]
        };
        (y, backward_pass(back))
    })
    .tape(|[x, w]| x.conv2d(w, None, &Conv2dParams::new(2, 0)))
}

#[cfg(test)]
mod tests;
