//! The matrix product, of two matrices or of batches of them.
//!
//! ```text
//! y = a b             a (..., M, K)   b (K, N) or (..., K, N) with the same leading axes   y (..., M, N)
//! da = dy b^T         db = a^T dy, summed over the leading axes if b has none
//! ```
//! Saved: a and b (shared). Cost: M K N multiply-adds a matrix forward, twice that backward. Nothing is transposed in memory.
//! Source: any textbook.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{MAX_AXES, Order, Shape, Tensor, float};
use chainrule_kernels::gemm::{Epilogue, Mat, gemm};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    a: Tensor,
    b: Tensor,
    y: Shape,
}

/// The gradients of the operands, in their shapes.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Of the left one.
    pub da: Tensor,
    /// Of the right one.
    pub db: Tensor,
}

/// How many products of which sizes: one of all rows together if b is a single matrix.
fn sizes(a: &Tensor, b: &Tensor) -> (usize, [usize; 3]) {
    let axes = a.shape().len();
    let (k, n) = (a.shape()[axes - 1], b.shape()[b.shape().len() - 1]);
    let batches: usize =
        if b.shape().len() == 2 { 1 } else { a.shape()[..axes - 2].iter().product() };
    let rows: usize = a.shape()[..axes - 1].iter().product();
    (batches, [rows / batches.max(1), k, n])
}

/// `y = a b`: a (..., M, K), b (K, N) or (..., K, N), y (..., M, N).
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(a: &Tensor, b: &Tensor) -> (Tensor, Cache) {
    let operands = [("a", a, "... M K"), ("b", b, "... K N")];
    let (of_a, of_b) = (a.shape().len(), b.shape().len());
    if of_a < 2 || of_b < 2 {
        check::fail("matmul", "both operands need two axes or more", &operands, "");
    }
    if of_b > 2 && a.shape()[..of_a - 2] != b.shape()[..of_b - 2] {
        check::fail("matmul", "batches of matrices need the same leading axes", &operands, "");
    }
    let (inner_a, inner_b) = (a.shape()[of_a - 1], b.shape()[of_b - 2]);
    if inner_a != inner_b {
        let reason = format!("rows of a have {inner_a} numbers, columns of b {inner_b}");
        check::fail("matmul", reason, &operands, "");
    }
    check::same_dtype("matmul", &operands);
    let (a, b) = (a.to_order(Order::RowMajor), b.to_order(Order::RowMajor));
    let (batches, [m, k, n]) = sizes(&a, &b);
    let mut shape = [0; MAX_AXES];
    shape[..of_a].copy_from_slice(a.shape());
    shape[of_a - 1] = n;
    let mut y = Tensor::dirty(Shape::new(&shape[..of_a]), a.dtype(), Order::RowMajor);
    let shape = *y.shape();
    float!(a.dtype(), T => {
        let (a, b, y) = (a.data::<T>(), b.data(), y.data_mut());
        for i in 0..batches {
            let (a, b) = (Mat::new(part(a, i, m * k), m, k), Mat::new(part(b, i, k * n), k, n));
            gemm(a, b, &mut y[i * m * n..][..m * n], Epilogue::None);
        }
    });
    (y, Cache { a, b, y: shape })
}

/// The `i`-th part of `size` numbers.
fn part<T>(x: &[T], i: usize, size: usize) -> &[T] {
    &x[i * size..][..size]
}

/// The gradients, given the upstream gradient dy (..., M, N).
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(da), Some(db)] = backward_for([true; 2], dy, cache) else {
        unreachable!("both were asked for")
    };
    Grads { da, db }
}

/// The gradients of a and b that are needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 2], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 2] {
    let Cache { a, b, y } = cache;
    check::upstream("matmul", dy, y, a);
    let dy = dy.to_order(Order::RowMajor);
    let (batches, [m, k, n]) = sizes(a, b);
    let [mut da, mut db] = [(needs[0], a), (needs[1], b)].map(|(n, t)| n.then(|| t.dirty_like()));
    float!(a.dtype(), T => {
        let (a, b, dy) = (a.data::<T>(), b.data::<T>(), dy.data::<T>());
        for i in 0..batches {
            let dy = Mat::new(part(dy, i, m * n), m, n);
            if let Some(da) = &mut da {
                let to = &mut da.data_mut()[i * m * k..][..m * k];
                gemm(dy, Mat::new(part(b, i, k * n), k, n).t(), to, Epilogue::None);
            }
            if let Some(db) = &mut db {
                let to = &mut db.data_mut()[i * k * n..][..k * n];
                gemm(Mat::new(part(a, i, m * k), m, k).t(), dy, to, Epilogue::None);
            }
        }
    });
    [da, db]
}

impl Var {
    /// The matrix product `x b` on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn matmul(&self, b: &dyn OnTape) -> Var {
        let on = Operands::of([self, b]);
        let [a, b] = &on.values;
        let (y, cache) = forward(a, b);
        on.record(y, cache, backward_for)
    }
}

impl Tensor {
    /// The matrix product: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn matmul(&self, b: &Tensor) -> Tensor {
        forward(self, b).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, a: &[usize], b: &[usize]| {
        Case::new("matmul", name)
            .input("a", a)
            .input("b", b)
            .run(|[a, b]| {
                let (y, cache) = forward(a, b);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(|[a, b]| a.matmul(b))
    };
    vec![
        case("matrices", &[4, 5], &[5, 3]),
        case("one matrix for a batch", &[2, 3, 4], &[4, 5]),
        case("batch", &[2, 3, 4], &[2, 4, 5]),
        case("batches of batches", &[2, 2, 3, 1], &[2, 2, 1, 4]),
        case("long", &[3, 300], &[300, 2]),
    ]
}
