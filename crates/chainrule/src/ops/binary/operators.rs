//! The operators `+ - * /` and unary `-` of variables, tensors and numbers.

use super::super::elementwise::Activation;
use super::super::functions::{add_scalar, div_scalar, mul_scalar, neg, reciprocal};
use super::{Kind, on_tape, value};
use crate::tape::Var;
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Variables and tensors, which both meet numbers.
trait Values {
    fn map(&self, row: Activation) -> Self;
}

impl Values for Var {
    fn map(&self, row: Activation) -> Var {
        self.activation(row)
    }
}

impl Values for Tensor {
    fn map(&self, row: Activation) -> Tensor {
        self.activation(row)
    }
}

/// x and a number.
fn x_number<X: Values>(x: &X, number: f64, kind: Kind) -> X {
    x.map(match kind {
        Kind::Add => add_scalar::ACTIVATION.with(number),
        Kind::Sub => add_scalar::ACTIVATION.with(-number),
        Kind::Mul => mul_scalar::ACTIVATION.with(number),
        Kind::Div => div_scalar::ACTIVATION.with(number),
    })
}

/// A number and x.
fn number_x<X: Values>(number: f64, x: &X, kind: Kind) -> X {
    match kind {
        Kind::Add | Kind::Mul => x_number(x, number, kind),
        Kind::Sub => x_number(&x.map(neg::ACTIVATION), number, Kind::Add),
        Kind::Div => x_number(&x.map(reciprocal::ACTIVATION), number, Kind::Mul),
    }
}

/// An operator of two kinds of values, each by value or by reference.
macro_rules! pair {
    ($trait:ident $method:ident: $a:ty, $b:ty => $y:ty, $f:path) => {
        pair!(@ $trait $method: $a, $b, $y, |a, b| $f(&a, &b, Kind::$trait));
        pair!(@ $trait $method: &$a, $b, $y, |a, b| $f(a, &b, Kind::$trait));
        pair!(@ $trait $method: $a, &$b, $y, |a, b| $f(&a, b, Kind::$trait));
        pair!(@ $trait $method: &$a, &$b, $y, |a, b| $f(a, b, Kind::$trait));
    };
    (@ $trait:ident $method:ident: $a:ty, $b:ty, $y:ty, |$x:ident, $z:ident| $f:expr) => {
        impl $trait<$b> for $a {
            type Output = $y;
            #[track_caller]
            fn $method(self, other: $b) -> $y {
                let ($x, $z) = (self, other);
                $f
            }
        }
    };
}

/// An operator with a number on one side.
macro_rules! number {
    ($trait:ident $method:ident: $x:ty) => {
        pair!(@ $trait $method: $x, f64, $x, |x, c| x_number(&x, c, Kind::$trait));
        pair!(@ $trait $method: &$x, f64, $x, |x, c| x_number(x, c, Kind::$trait));
        pair!(@ $trait $method: f64, $x, $x, |c, x| number_x(c, &x, Kind::$trait));
        pair!(@ $trait $method: f64, &$x, $x, |c, x| number_x(c, x, Kind::$trait));
    };
}

macro_rules! operators {
    ($($trait:ident $method:ident),+) => {$(
        pair!($trait $method: Var, Var => Var, on_tape);
        pair!($trait $method: Var, Tensor => Var, on_tape);
        pair!($trait $method: Tensor, Var => Var, on_tape);
        pair!($trait $method: Tensor, Tensor => Tensor, value);
        number!($trait $method: Var);
        number!($trait $method: Tensor);
    )+};
}
operators!(Add add, Sub sub, Mul mul, Div div);

impl Neg for Var {
    type Output = Var;
    fn neg(self) -> Var {
        self.map(neg::ACTIVATION)
    }
}

impl Neg for &Var {
    type Output = Var;
    fn neg(self) -> Var {
        self.map(neg::ACTIVATION)
    }
}

impl Neg for Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        self.map(neg::ACTIVATION)
    }
}

impl Neg for &Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        self.map(neg::ACTIVATION)
    }
}
