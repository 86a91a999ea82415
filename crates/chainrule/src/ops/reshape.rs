//! The same numbers under another shape, or in another memory order.
//!
//! ```text
//! y = x with other sizes, in row-major order        dx = dy with x's sizes          no number moves unless x is channels-last
//! y = x in another memory order                     dx = dy in x's memory order
//! ```
//! Saved: the shape and order. Cost: nothing, or a copy.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{MAX_AXES, Order, Shape, Tensor};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: Shape,
    order: Order,
    y: Shape,
    like: Tensor,
}

/// Stands for the one size of a new shape that follows from the others.
pub const INFER: usize = usize::MAX;

/// The shape with the inferred size filled in.
#[track_caller]
fn resolve(x: &Tensor, sizes: &[usize]) -> Shape {
    let mut resolved = [1; MAX_AXES];
    let known: usize = sizes.iter().filter(|s| **s != INFER).product();
    let open = sizes.iter().filter(|s| **s == INFER).count();
    let fits = sizes.len() <= MAX_AXES
        && match open {
            0 => known == x.len(),
            1 => known > 0 && x.len().is_multiple_of(known),
            _ => false,
        };
    if !fits {
        let shown: Vec<String> =
            sizes.iter().map(|s| if *s == INFER { "?".into() } else { s.to_string() }).collect();
        let reason = format!("{} numbers do not have the shape [{}]", x.len(), shown.join(", "));
        check::fail("reshape", reason, &[("x", x, "")], "");
    }
    for (to, size) in resolved.iter_mut().zip(sizes) {
        *to = if *size == INFER { x.len() / known } else { *size };
    }
    Shape::new(&resolved[..sizes.len()])
}

/// x under another shape, in row-major order. One size may be [`INFER`].
///
/// # Panics
/// If the numbers of elements differ.
#[track_caller]
pub fn forward(x: &Tensor, sizes: &[usize]) -> (Tensor, Cache) {
    let shape = resolve(x, sizes);
    (x.reshape(shape), cache(x, shape))
}

fn cache(x: &Tensor, y: Shape) -> Cache {
    Cache { shape: *x.shape(), order: x.order(), y, like: Tensor::zeros([0], x.dtype()) }
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    check::upstream("reshape", dy, &cache.y, &cache.like);
    if cache.y == cache.shape {
        return if cache.shape.len() == 4 { dy.to_order(cache.order) } else { dy.clone() };
    }
    dy.reshape(cache.shape)
}

impl Var {
    /// The same numbers under another shape, one size of which may be [`INFER`]: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn reshape(&self, sizes: &[usize]) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], sizes);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }

    /// Every axis but the first joined into one: (N, ...) to (N, D).
    ///
    /// # Panics
    /// If this is a scalar.
    #[track_caller]
    pub fn flatten(&self) -> Var {
        let (n, d) = self.value().rows();
        self.reshape(&[n, d])
    }

    /// With an axis of size 1 put in before axis `axis`.
    ///
    /// # Panics
    /// If there are fewer axes, or as many as there can be.
    #[track_caller]
    pub fn unsqueeze(&self, axis: usize) -> Var {
        self.reshape(&self.value().unsqueezed(axis))
    }

    /// The same numbers in another memory order.
    ///
    /// # Panics
    /// If channels-last is asked for and there are not four axes.
    #[track_caller]
    pub fn to_order(&self, order: Order) -> Var {
        if order == self.value().order() {
            return self.clone();
        }
        let on = Operands::of([self]);
        let x = &on.values[0];
        let (y, cache) = (x.to_order(order), cache(x, *x.shape()));
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

impl Tensor {
    /// The shape with an axis of size 1 put in before axis `axis`.
    #[track_caller]
    pub(super) fn unsqueezed(&self, axis: usize) -> Shape {
        if axis > self.shape().len() || self.shape().len() == MAX_AXES {
            let reason = format!("no axis can be put in before axis {axis}");
            check::fail("unsqueeze", reason, &[("x", self, "")], "");
        }
        let mut sizes = [1; MAX_AXES];
        let n = self.shape().len();
        sizes[..axis].copy_from_slice(&self.shape()[..axis]);
        sizes[axis + 1..=n].copy_from_slice(&self.shape()[axis..]);
        Shape::new(&sizes[..=n])
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], sizes: &'static [usize], order: Order| {
        let ordered = move |n: usize| if n == 4 { order } else { Order::RowMajor };
        Case::new("reshape", name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(&x.to_order(ordered(x.shape().len())), sizes);
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| x.to_order(ordered(x.shape().len())).reshape(sizes))
    };
    vec![
        case("inferred", &[2, 3, 4], &[4, INFER], Order::RowMajor),
        case("scalar", &[1, 1], &[], Order::RowMajor),
        case("pictures", &[2, 3, 2, 2], &[2, 12], Order::ChannelsLast),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;
    use crate::tensor::DType;

    #[test]
    fn flattening_counts_in_row_major_order() {
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        let x = Tensor::from_f64([2, 1, 3, 2], &values);
        let tape = Tape::train(0);
        let y = tape.leaf(&x).to_order(Order::ChannelsLast).flatten();
        assert_eq!((&y.shape()[..], y.value().to_vec()), (&[2, 6][..], values));
        assert_eq!(y.unsqueeze(1).shape()[..], [2, 1, 6]);
        assert_eq!(y.sum().backward()[&x].to_vec(), [1.0; 12]);
    }

    #[test]
    #[should_panic(expected = "reshape: 6 numbers do not have the shape [4, ?]\n    x  [2, 3]")]
    fn sizes_that_do_not_fit_panic() {
        forward(&Tensor::zeros([2, 3], DType::F32), &[4, INFER]);
    }
}
