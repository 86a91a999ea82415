//! Tensors one after the other along an axis.
//!
//! ```text
//! y = [x_1, x_2, ...] along the axis        dx_i = that part of dy        x_i: equal shapes but for the axis
//! ```
//! Saved: sizes. Cost: a copy either way. Pictures that are all channels-last stay so; otherwise the result is row-major.

use super::extremum::around;
use super::slice::with_axis;
use crate::check;
use crate::gradcheck::{Backward, Case};
use crate::tape::{Var, record_many};
use crate::tensor::{Order, Shape, Tensor, float};
use chainrule_kernels::Buffer;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    axis: usize,
    /// Of the parts along the axis.
    sizes: Buffer<usize>,
    y: Shape,
    order: Order,
    like: Tensor,
}

/// The sizes before the axis, of it, and behind it, as the numbers lie in memory.
fn around_stored(shape: &Shape, order: Order, axis: usize) -> [usize; 3] {
    match (order, &shape[..]) {
        (Order::ChannelsLast, &[n, c, h, w]) => {
            around(&Shape::from([n, h, w, c]), [0, 3, 1, 2][axis])
        }
        _ => around(shape, axis),
    }
}

/// The tensors one after the other along `axis`.
///
/// # Panics
/// If there is none, they differ in more than that axis, or the types differ.
#[track_caller]
pub fn forward(parts: &[&Tensor], axis: usize) -> (Tensor, Cache) {
    joined(parts.iter().copied(), axis)
}

#[track_caller]
fn joined<'a>(parts: impl Iterator<Item = &'a Tensor> + Clone, axis: usize) -> (Tensor, Cache) {
    let fail = |reason: String| -> ! {
        let operands: Vec<check::Operand> = parts.clone().map(|t| ("x", t, "")).collect();
        check::fail("concat", reason, &operands, "")
    };
    let Some(first) = parts.clone().next().filter(|t| axis < t.shape().len()) else {
        fail(format!("there must be a tensor with an axis {axis}"));
    };
    let shape = |t: &Tensor, size| {
        (t.shape().len() == first.shape().len()).then(|| with_axis(t.shape(), axis, size))
    };
    if parts.clone().any(|t| shape(t, 0) != shape(first, 0)) {
        fail(format!("shapes may differ in axis {axis} alone"));
    }
    if parts.clone().any(|t| t.dtype() != first.dtype()) {
        fail("the operands must hold the same type".to_string());
    }
    let last = parts.clone().all(|t| t.order() == Order::ChannelsLast);
    let order = if last { Order::ChannelsLast } else { Order::RowMajor };
    let mut sizes = Buffer::<usize>::dirty(parts.clone().count());
    sizes.make_mut().iter_mut().zip(parts.clone()).for_each(|(to, t)| *to = t.shape()[axis]);
    let y = with_axis(first.shape(), axis, sizes.iter().sum());
    let mut joined = Tensor::dirty(y, first.dtype(), order);
    let [outer, n, inner] = around_stored(&y, order, axis);
    float!(first.dtype(), T => {
        let to = joined.data_mut::<T>();
        let mut start = 0;
        for part in parts {
            let part = part.to_order(order);
            let rows = part.shape()[axis] * inner;
            for o in 0..outer {
                let from = &part.data::<T>()[o * rows..][..rows];
                to[o * n * inner + start..][..rows].copy_from_slice(from);
            }
            start += rows;
        }
    });
    let cache = Cache { axis, sizes, y, order, like: Tensor::zeros([0], first.dtype()) };
    (joined, cache)
}

/// The gradients of the parts, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Vec<Tensor> {
    let needs = vec![true; cache.sizes.len()];
    backward_for(&needs, dy, cache).into_iter().flatten().collect()
}

/// The gradients of the parts that are needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: &[bool], dy: &Tensor, cache: &Cache) -> Vec<Option<Tensor>> {
    let mut grads = vec![None; needs.len()];
    backward_to(needs, dy, cache, &mut grads);
    grads
}

/// The same into places that are there.
#[track_caller]
fn backward_to(needs: &[bool], dy: &Tensor, cache: &Cache, grads: &mut [Option<Tensor>]) {
    check::upstream("concat", dy, &cache.y, &cache.like);
    let dy = dy.to_order(cache.order);
    let [_, n, inner] = around_stored(&cache.y, cache.order, cache.axis);
    let mut start = 0;
    for ((grad, needed), size) in grads.iter_mut().zip(needs).zip(cache.sizes.iter()) {
        let (from, rows) = (start * inner, size * inner);
        start += size;
        *grad = needed.then(|| {
            let shape = with_axis(&cache.y, cache.axis, *size);
            let mut dx = Tensor::dirty(shape, dy.dtype(), cache.order);
            float!(dy.dtype(), T => {
                let all = dy.data::<T>().chunks_exact((n * inner).max(1));
                let to = dx.data_mut::<T>().chunks_exact_mut(rows.max(1));
                to.zip(all).for_each(|(to, all)| to.copy_from_slice(&all[from..][..rows]));
            });
            dx
        });
    }
}

impl Var {
    /// Variables one after the other along an axis: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`], and if they are on different tapes.
    #[track_caller]
    pub fn concat(parts: &[Var], axis: usize) -> Var {
        let (y, cache) = joined(parts.iter().map(Var::value), axis);
        record_many(parts, y, move |needs, dy, grads| backward_to(needs, dy, &cache, grads))
    }

    /// Variables of one shape as the entries of a new axis.
    ///
    /// # Panics
    /// As [`Var::concat`], and if there are as many axes as there can be.
    #[track_caller]
    pub fn stack(parts: &[Var], axis: usize) -> Var {
        let mut with_axis = Vec::with_capacity(parts.len());
        for part in parts {
            with_axis.push(part.unsqueeze(axis));
        }
        Var::concat(&with_axis, axis)
    }
}

impl Tensor {
    /// Tensors one after the other along an axis.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn concat(parts: &[&Tensor], axis: usize) -> Tensor {
        forward(parts, axis).0
    }

    /// Tensors of one shape as the entries of a new axis.
    ///
    /// # Panics
    /// As [`Tensor::concat`], and if there are as many axes as there can be.
    #[track_caller]
    pub fn stack(parts: &[&Tensor], axis: usize) -> Tensor {
        let mut with_axis = Vec::with_capacity(parts.len());
        for part in parts {
            with_axis.push(part.reshape(part.unsqueezed(axis)));
        }
        Tensor::concat(&with_axis.iter().collect::<Vec<_>>(), axis)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shapes: [&[usize]; 3], axis: usize| {
        let case = Case::new("concat", name).input("a", shapes[0]).input("b", shapes[1]);
        case.input("c", shapes[2])
            .run_slice(move |inputs| {
                let (y, cache) = forward(&inputs.iter().collect::<Vec<_>>(), axis);
                let back: Backward = Box::new(move |needs, dy| backward_for(needs, dy, &cache));
                (y, back)
            })
            .tape_slice(move |inputs| Var::concat(inputs, axis))
    };
    vec![
        case("rows", [&[2, 3], &[1, 3], &[4, 3]], 0),
        case("columns", [&[2, 3], &[2, 1], &[2, 2]], 1),
        case("channels", [&[2, 1, 2, 2], &[2, 3, 2, 2], &[2, 2, 2, 2]], 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tape::Tape;
    use crate::tensor::DType;

    #[test]
    fn stacking_makes_an_axis() {
        let (a, b) = (Tensor::from_f64([2], &[1.0, 2.0]), Tensor::from_f64([2], &[3.0, 4.0]));
        assert_eq!(Tensor::stack(&[&a, &b], 1).to_vec(), [1.0, 3.0, 2.0, 4.0]);
        let tape = Tape::train(0);
        let y = Var::stack(&[tape.leaf(&a), tape.leaf(&b), tape.leaf(&a)], 0);
        assert_eq!(y.shape()[..], [3, 2]);
        let grads = y.backward_from(&Tensor::from_f64([3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!((grads[&a].to_vec(), grads[&b].to_vec()), (vec![6.0, 8.0], vec![3.0, 4.0]));
    }

    #[test]
    fn pictures_keep_their_memory_order() {
        let mut rng = Rng::new(0);
        let mut normal = |shape: &[usize]| Tensor::randn(shape, 1.0, DType::F64, &mut rng);
        for axis in 0..4 {
            let mut sizes = [2, 3, 4, 5];
            let a = normal(&sizes);
            sizes[axis] = 2;
            let b = normal(&sizes);
            let [c, d] = [&a, &b].map(|t| t.to_order(Order::ChannelsLast));
            let ((y, rows), (z, last)) = (forward(&[&a, &b], axis), forward(&[&c, &d], axis));
            assert_eq!([y.order(), z.order()], [Order::RowMajor, Order::ChannelsLast]);
            assert_eq!(y.to_vec(), z.to_vec());
            assert_eq!(forward(&[&a, &d], axis).0.order(), Order::RowMajor);
            let dy = normal(y.shape());
            for (one, other) in backward(&dy, &rows).iter().zip(backward(&dy, &last)) {
                assert_eq!((one.to_vec(), other.order()), (other.to_vec(), Order::ChannelsLast));
            }
        }
    }

    #[test]
    #[should_panic(expected = "concat: shapes may differ in axis 0 alone\n    x  [2]")]
    fn other_differences_panic() {
        Tensor::concat(
            &[&Tensor::from_f64([2], &[0.0; 2]), &Tensor::from_f64([1, 2], &[0.0; 2])],
            0,
        );
    }
}
