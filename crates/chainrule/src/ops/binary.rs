//! Sums, differences, products and quotients of two tensors, the smaller of which is repeated (broadcast) to fit.
//!
//! ```text
//! y = a + b      da = dy       db = dy           a, b: shapes aligned at the last axis, sizes equal or 1
//! y = a - b      da = dy       db = -dy          y: the larger size of each axis, in the memory order of the first
//! y = a b        da = dy b     db = dy a         operand that has its shape
//! y = a / b      da = dy / b   db = -da y        da, db are summed over what was repeated
//! ```
//! Saved: nothing but shapes for sums; a and b for a product, b and y for a quotient (shared). Cost: one pass forward, up to two
//! and the sums backward. On the tape these are the operators `+ - * /`.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::walk::{broadcast, in_memory_order};
use crate::tensor::{Order, Shape, Tensor, float};
use chainrule_kernels::Real;
use chainrule_kernels::strided::{Binary, Strided, zip};

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a b.
    Mul,
    /// a / b.
    Div,
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    kind: Kind,
    shapes: [Shape; 2],
    y: Shape,
    like: Tensor,
    /// a and b of a product, y and b of a quotient.
    kept: Option<[Tensor; 2]>,
}

/// The gradients of the operands, in their shapes.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Of the left one.
    pub da: Tensor,
    /// Of the right one.
    pub db: Tensor,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Add => "add",
            Kind::Sub => "sub",
            Kind::Mul => "mul",
            Kind::Div => "div",
        }
    }
}

macro_rules! binary {
    ($($name:ident($a:ident, $b:ident) = $value:expr;)+) => {
        $(struct $name;
        impl Binary for $name {
            #[inline(always)]
            fn value<T: Real>($a: T, $b: T) -> T {
                $value
            }
        })+
    };
}
binary! {
    Add(a, b) = a + b;
    Sub(a, b) = a - b;
    Mul(a, b) = a * b;
    Div(a, b) = a / b;
    Greater(a, b) = if a > b { T::ONE } else { T::ZERO };
    AtLeast(a, b) = if a >= b { T::ONE } else { T::ZERO };
    Equal(a, b) = if a == b { T::ONE } else { T::ZERO };
}

/// `y = f(a, b)`, broadcast.
#[track_caller]
fn map<F: Binary>(op: &str, a: &Tensor, b: &Tensor) -> Tensor {
    let operands = [("a", a, ""), ("b", b, "")];
    check::same_dtype(op, &operands);
    let shape = broadcast(op, a.shape(), b.shape(), &operands);
    let order =
        [a, b].into_iter().find(|t| *t.shape() == shape).map_or(Order::RowMajor, Tensor::order);
    let mut y = Tensor::dirty(shape, a.dtype(), order);
    let strides = [a.strides_in(&shape), b.strides_in(&shape)];
    let (sizes, strides) = in_memory_order(y.order(), &shape, strides);
    let n = shape.len();
    let at = Strided::new(&sizes[..n], strides.each_ref().map(|s| &s[..n]));
    float!(a.dtype(), T => zip::<F, T>(&at, a.data(), b.data(), y.data_mut()));
    y
}

/// The value alone.
#[track_caller]
fn value(a: &Tensor, b: &Tensor, kind: Kind) -> Tensor {
    match kind {
        Kind::Add => map::<Add>(kind.name(), a, b),
        Kind::Sub => map::<Sub>(kind.name(), a, b),
        Kind::Mul => map::<Mul>(kind.name(), a, b),
        Kind::Div => map::<Div>(kind.name(), a, b),
    }
}

/// a and b with `kind` between them, broadcast.
///
/// # Panics
/// If the shapes do not go together, or the types differ.
#[track_caller]
pub fn forward(a: &Tensor, b: &Tensor, kind: Kind) -> (Tensor, Cache) {
    let y = value(a, b, kind);
    let kept = match kind {
        Kind::Add | Kind::Sub => None,
        Kind::Mul => Some([a.clone(), b.clone()]),
        Kind::Div => Some([y.clone(), b.clone()]),
    };
    let like = Tensor::zeros([0], a.dtype());
    let cache = Cache { kind, shapes: [*a.shape(), *b.shape()], y: *y.shape(), like, kept };
    (y, cache)
}

/// The gradients, given the upstream gradient dy of y's shape.
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
    check::upstream(cache.kind.name(), dy, &cache.y, &cache.like);
    let (da, db) = match (cache.kind, &cache.kept) {
        (Kind::Mul, Some([a, b])) => {
            (needs[0].then(|| value(dy, b, Kind::Mul)), needs[1].then(|| value(dy, a, Kind::Mul)))
        }
        (Kind::Div, Some([y, b])) => {
            let da = value(dy, b, Kind::Div);
            let db = needs[1].then(|| value(&da, y, Kind::Mul).neg());
            (needs[0].then_some(da), db)
        }
        (Kind::Sub, _) => (needs[0].then(|| dy.clone()), needs[1].then(|| dy.neg())),
        _ => (needs[0].then(|| dy.clone()), needs[1].then(|| dy.clone())),
    };
    let [of_a, of_b] = &cache.shapes;
    [da.map(|d| d.sum_to(of_a)), db.map(|d| d.sum_to(of_b))]
}

/// The op on the tape: one of the two is a variable.
#[track_caller]
fn on_tape(a: &dyn OnTape, b: &dyn OnTape, kind: Kind) -> Var {
    let on = Operands::of([a, b]);
    let [a, b] = &on.values;
    let (y, cache) = forward(a, b, kind);
    on.record(y, cache, backward_for)
}

/// Comparisons: 1 where it holds, else 0. They have no gradient.
impl Tensor {
    /// Where this is greater than `other`, broadcast.
    ///
    /// # Panics
    /// If the shapes do not go together, or the types differ; as all comparisons.
    #[track_caller]
    pub fn gt(&self, other: &Tensor) -> Tensor {
        map::<Greater>("gt", self, other)
    }

    /// Where this is at least `other`.
    #[track_caller]
    pub fn ge(&self, other: &Tensor) -> Tensor {
        map::<AtLeast>("ge", self, other)
    }

    /// Where this is less than `other`.
    #[track_caller]
    pub fn lt(&self, other: &Tensor) -> Tensor {
        map::<Greater>("lt", other, self)
    }

    /// Where this is at most `other`.
    #[track_caller]
    pub fn le(&self, other: &Tensor) -> Tensor {
        map::<AtLeast>("le", other, self)
    }

    /// Where the two are equal.
    #[track_caller]
    pub fn equals(&self, other: &Tensor) -> Tensor {
        map::<Equal>("equals", self, other)
    }
}

/// The cases of the gradient check. Divisors keep away from 0.
pub fn checks() -> Vec<Case> {
    let case = |kind: Kind, name, a: &[usize], b: &[usize], order: Order| {
        let away = |v: f64| if v < 0.0 { v - 0.5 } else { v + 0.5 };
        Case::new(kind.name(), name)
            .input("a", a)
            .input_with("b", b, away)
            .run(move |[a, b]| {
                let a = if a.shape().len() == 4 { a.to_order(order) } else { a.clone() };
                let (y, cache) = forward(&a, b, kind);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[a, b]| {
                let a = if a.shape().len() == 4 { a.to_order(order) } else { a.clone() };
                on_tape(&a, b, kind)
            })
    };
    [Kind::Add, Kind::Sub, Kind::Mul, Kind::Div]
        .into_iter()
        .flat_map(|kind| {
            [
                case(kind, "equal", &[3, 5], &[3, 5], Order::RowMajor),
                case(kind, "row", &[4, 3, 5], &[5], Order::RowMajor),
                case(kind, "column", &[4, 1], &[4, 7], Order::RowMajor),
                case(kind, "scalar", &[], &[2, 3], Order::RowMajor),
                case(kind, "both ways", &[3, 1, 4], &[2, 1], Order::RowMajor),
                case(kind, "channels", &[2, 3, 4, 5], &[3, 1, 1], Order::ChannelsLast),
                case(kind, "pictures", &[2, 3, 2, 5], &[2, 3, 2, 5], Order::ChannelsLast),
            ]
        })
        .collect()
}

mod operators;
#[cfg(test)]
mod tests;
