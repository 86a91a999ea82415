//! The affine map of a fully connected layer.
//!
//! ```text
//! y = x w + b          x (N, D...) seen as (N, D)   w (D, M)   b (M)   y (N, M)
//! dx = dy w^T          dw = x^T dy                  db = sum over N of dy
//! ```
//! Saved: x and w (shared, not copied). Cost: N D M multiply-adds forward, twice that backward.
//! Source: any textbook; the layout of `w` (in, out) is the course's.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::Real;
use chainrule_kernels::gemm::{Epilogue, Mat, gemm};
use chainrule_kernels::reduce::column_sums;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    pub(super) x: Tensor,
    pub(super) w: Tensor,
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Shape of x.
    pub dx: Tensor,
    /// (D, M).
    pub dw: Tensor,
    /// (M).
    pub db: Tensor,
}

/// `y = x w + b`: x (N, D...), w (D, M), b (M) to y (N, M).
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(x: &Tensor, w: &Tensor, b: &Tensor) -> (Tensor, Cache) {
    product("affine", x, w, b, Activation::None)
}

/// What follows the sum inside the product's own loop.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Activation {
    None,
    Relu,
}

/// The forward pass of this op and of the sandwiches that begin with it.
#[track_caller]
pub(super) fn product(
    op: &str,
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    activation: Activation,
) -> (Tensor, Cache) {
    let operands = [("x", x, "N D..."), ("w", w, "D M"), ("b", b, "M")];
    let fits = !x.shape().is_empty() && w.shape().len() == 2 && b.shape()[..] == w.shape()[1..];
    if !fits {
        check::fail(
            op,
            "x needs a batch axis, w two axes, and b one number a column of w",
            &operands,
            "",
        );
    }
    let (n, d) = x.rows();
    if d != w.shape()[0] {
        check::fail(op, format!("x has {d} features, w expects {}", w.shape()[0]), &operands, "");
    }
    check::same_dtype(op, &operands);
    let m = w.shape()[1];
    let x = x.to_order(Order::RowMajor);
    let mut y = Tensor::dirty([n, m], x.dtype(), Order::RowMajor);
    float!(x.dtype(), T => {
        let bias = b.data::<T>();
        let epilogue = match activation {
            Activation::None => Epilogue::Bias(bias),
            Activation::Relu => Epilogue::BiasRelu(bias),
        };
        gemm(Mat::new(x.data::<T>(), n, d), Mat::new(w.data::<T>(), d, m), y.data_mut::<T>(), epilogue);
    });
    (y, Cache { x, w: w.clone() })
}

/// The gradients, given the upstream gradient dy (N, M).
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(dx), Some(dw), Some(db)] = backward_for([true; 3], dy, cache) else {
        unreachable!("all were asked for")
    };
    Grads { dx, dw, db }
}

/// The gradients of x, w and b that are needed. A first layer does not need that of x.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 3], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 3] {
    backward_l2(needs, dy, cache, 0.0)
}

/// [`backward_for`] with `reg w` added to dw inside of the product's own loop: the gradient of `0.5 reg sum(w^2)`.
#[track_caller]
pub(crate) fn backward_l2(
    needs: [bool; 3],
    dy: &Tensor,
    cache: &Cache,
    reg: f64,
) -> [Option<Tensor>; 3] {
    let Cache { x, w } = cache;
    let ((n, d), m) = (x.rows(), w.shape()[1]);
    check::upstream("affine", dy, &[n, m], x);
    let dx = needs[0].then(|| {
        let mut dx = x.dirty_like();
        float!(x.dtype(), T => {
            gemm(Mat::new(dy.data::<T>(), n, m), Mat::new(w.data(), d, m).t(), dx.data_mut(), Epilogue::None);
        });
        dx
    });
    let dw = needs[1].then(|| {
        let mut dw = w.dirty_like();
        float!(x.dtype(), T => {
            let l2 = Epilogue::Scaled(T::from_f64(reg), w.data());
            let epilogue = if reg == 0.0 { Epilogue::None } else { l2 };
            gemm(Mat::new(x.data::<T>(), n, d).t(), Mat::new(dy.data(), n, m), dw.data_mut(), epilogue);
        });
        dw
    });
    let db = needs[2].then(|| {
        let mut db = Tensor::dirty([m], x.dtype(), Order::RowMajor);
        float!(x.dtype(), T => column_sums(dy.data::<T>(), db.data_mut()));
        db
    });
    [dx, dw, db]
}

impl Var {
    /// `x w + b` on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn affine(&self, w: &dyn OnTape, b: &dyn OnTape) -> Var {
        let on = Operands::of([self, w, b]);
        let [x, w, b] = &on.values;
        let (y, cache) = forward(x, w, b);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, x: &[usize], m: usize| {
        let d = x[1..].iter().product();
        Case::new("affine", name)
            .input("x", x)
            .input("w", &[d, m])
            .input("b", &[m])
            .run(|[x, w, b]| {
                let (y, cache) = forward(x, w, b);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(|[x, w, b]| x.affine(w, b))
    };
    vec![
        case("matrix", &[5, 4], 3),
        case("pictures", &[2, 3, 4, 5], 7),
        case("one", &[1, 1], 1),
        case("wide", &[3, 300], 17),
    ]
}
