//! The affine map with PyTorch's layout of the weights, on the last axis of any batch.
//!
//! ```text
//! y = x w^T + b        x (..., D)   w (M, D)   b (M) or none   y (..., M)
//! dx = dy w            dw = dy^T x  db = sum over all but the last axis of dy
//! ```
//! [`affine`](super::affine) with w transposed, and the same bits; nothing is transposed in memory. Saved: x and w (shared).
//! Cost: N D M multiply-adds forward, twice that backward. Source: `torch.nn.functional.linear`.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{MAX_AXES, Order, Shape, Tensor, float};
use chainrule_kernels::gemm::{Epilogue, Mat, gemm};
use chainrule_kernels::reduce::column_sums;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    x: Tensor,
    w: Tensor,
    has_bias: bool,
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Shape of x.
    pub dx: Tensor,
    /// (M, D).
    pub dw: Tensor,
    /// (M); none without a bias.
    pub db: Option<Tensor>,
}

/// x's shape with another last axis.
fn with_last(x: &Shape, last: usize) -> Shape {
    let mut sizes = [0; MAX_AXES];
    sizes[..x.len()].copy_from_slice(x);
    sizes[x.len() - 1] = last;
    Shape::new(&sizes[..x.len()])
}

/// `y = x w^T + b`: x (..., D), w (M, D), b (M) or none, y (..., M).
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> (Tensor, Cache) {
    product("linear", [x, w], b, false)
}

/// The forward pass of this op and of the one with a ReLU behind it, which takes a bias.
#[track_caller]
pub(super) fn product(
    op: &str,
    [x, w]: [&Tensor; 2],
    b: Option<&Tensor>,
    relu: bool,
) -> (Tensor, Cache) {
    let with_bias = [("x", x, "... D"), ("w", w, "M D"), ("b", b.unwrap_or(w), "M")];
    let operands = &with_bias[..2 + usize::from(b.is_some())];
    let &[m, d] = &w.shape()[..] else {
        check::fail(op, "w needs two axes", operands, "");
    };
    let Some(&features) = x.shape().last() else {
        check::fail(op, "x needs an axis", operands, "");
    };
    if features != d {
        check::fail(op, format!("x has {features} features, w expects {d}"), operands, "");
    }
    if b.is_some_and(|b| b.shape()[..] != [m]) {
        check::fail(op, "b needs one number a row of w", operands, "");
    }
    check::same_dtype(op, operands);
    let x = x.to_order(Order::RowMajor);
    let mut y = Tensor::dirty(with_last(x.shape(), m), x.dtype(), Order::RowMajor);
    let n = x.len() / d.max(1);
    float!(x.dtype(), T => {
        let epilogue = match b.map(Tensor::data::<T>) {
            None => Epilogue::None,
            Some(b) if relu => Epilogue::BiasRelu(b),
            Some(b) => Epilogue::Bias(b),
        };
        let w = Mat::new(w.data::<T>(), m, d).t();
        gemm(Mat::new(x.data::<T>(), n, d), w, y.data_mut(), epilogue);
    });
    (y, Cache { x, w: w.clone(), has_bias: b.is_some() })
}

/// The gradients, given the upstream gradient dy (..., M).
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
    let Cache { x, w, has_bias } = cache;
    let [m, d] = [w.shape()[0], w.shape()[1]];
    check::upstream("linear", dy, &with_last(x.shape(), m), x);
    let (dy, n) = (dy.to_order(Order::RowMajor), x.len() / d.max(1));
    let dx = needs[0].then(|| {
        let mut dx = x.dirty_like();
        float!(x.dtype(), T => {
            let w = Mat::new(w.data::<T>(), m, d);
            gemm(Mat::new(dy.data::<T>(), n, m), w, dx.data_mut(), Epilogue::None);
        });
        dx
    });
    let dw = needs[1].then(|| {
        let mut dw = w.dirty_like();
        float!(x.dtype(), T => {
            let x = Mat::new(x.data::<T>(), n, d);
            gemm(Mat::new(dy.data::<T>(), n, m).t(), x, dw.data_mut(), Epilogue::None);
        });
        dw
    });
    let db = (needs[2] && *has_bias).then(|| {
        let mut db = Tensor::dirty([m], x.dtype(), Order::RowMajor);
        float!(x.dtype(), T => column_sums(dy.data::<T>(), db.data_mut()));
        db
    });
    [dx, dw, db]
}

impl Var {
    /// `x w^T + b` on the tape, w (M, D): see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn linear(&self, w: &dyn OnTape, b: Option<&dyn OnTape>) -> Var {
        // Without a bias w stands in its place, and gets no gradient there.
        let on = Operands::of([self, w, b.unwrap_or(w)]);
        let [x, w, bias] = &on.values;
        let (y, cache) = forward(x, w, b.is_some().then_some(bias));
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, x: &[usize], m: usize| {
        let d = x[x.len() - 1];
        Case::new("linear", name)
            .input("x", x)
            .input("w", &[m, d])
            .input("b", &[m])
            .run(|[x, w, b]| {
                let (y, cache) = forward(x, w, Some(b));
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(|[x, w, b]| x.linear(w, Some(b)))
    };
    let no_bias = Case::new("linear", "no bias")
        .input("x", &[4, 3])
        .input("w", &[5, 3])
        .run(|[x, w]| {
            let (y, cache) = forward(x, w, None);
            let back = move |[x, w]: [bool; 2], dy: &Tensor| {
                let [dx, dw, _] = backward_for([x, w, false], dy, &cache);
                [dx, dw]
            };
            (y, backward_pass(back))
        })
        .tape(|[x, w]| x.linear(w, None));
    vec![
        case("matrix", &[5, 4], 3),
        case("sequence", &[2, 3, 5], 7),
        case("one vector", &[6], 2),
        case("wide", &[3, 300], 17),
        no_bias,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::affine;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn the_same_bits_as_affine_with_the_transposed_weights() {
        let mut rng = Rng::new(2);
        for (n, d, m) in [(5, 4, 3), (100, 3072, 100), (64, 700, 10), (1, 1, 1), (20, 300, 600)] {
            let mut normal = |shape: &[usize]| Tensor::randn(shape, 1.0, DType::F32, &mut rng);
            let (x, w, b, dy) = (normal(&[n, d]), normal(&[m, d]), normal(&[m]), normal(&[n, m]));
            let (y, cache) = forward(&x, &w, Some(&b));
            let Grads { dx, dw, db } = backward(&dy, &cache);
            let (want, cache) = affine::forward(&x, &w.transpose(), &b);
            let grads = affine::backward(&dy, &cache);
            assert_eq!(y.to_vec(), want.to_vec());
            assert_eq!(dx.to_vec(), grads.dx.to_vec());
            assert_eq!(dw.to_vec(), grads.dw.transpose().to_vec());
            assert_eq!(db.map(|db| db.to_vec()), Some(grads.db.to_vec()));
        }
    }
}
