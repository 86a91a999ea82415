//! The tools around the layers: numerical gradients, relative errors, pictures of weights.

use chainrule::gradcheck::{numerical_gradient, numerical_gradient_array, rel_error};
use chainrule::tensor::Tensor;
use chainrule::visualize;
use serde::Deserialize;

use super::{array, tensor};
use crate::compare::{Outputs, outputs};
use crate::draws::Inputs;
use crate::format::Case;

/// `map` of every element.
fn map(x: &Tensor, map: impl Fn(f64) -> f64) -> Tensor {
    let values: Vec<f64> = x.to_vec().into_iter().map(map).collect();
    Tensor::from_f64(*x.shape(), &values)
}

/// The scalar function sum(sin(x) x^2) and the array function 2 tanh(x).
pub fn numerical(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        h: f64,
    }
    let (Args { h }, inputs) = (case.args()?, Inputs::of(case)?);
    let (x, df) = (tensor(inputs.get("x")?), tensor(inputs.get("df")?));
    let sum = |x: &Tensor| x.to_vec().into_iter().map(|v| v.sin() * v * v).sum();
    let scalar = numerical_gradient(sum, &x, h);
    let of_array = numerical_gradient_array(|x| map(x, |v| 2.0 * v.tanh()), &x, &df, h);
    let exact = map(&x, |v| v.cos() * v * v + 2.0 * v * v.sin());
    Ok(outputs([
        ("rel_error", rel_error(&scalar, &exact).into()),
        ("grad_scalar", array(&scalar)),
        ("grad_array", array(&of_array)),
        ("exact_scalar", array(&exact)),
    ]))
}

/// The error of x against y, of x against itself, and of numbers so small that the floor of the denominator counts.
pub fn relative(case: &Case) -> Result<Outputs, String> {
    let inputs = Inputs::of(case)?;
    let (x, y) = (tensor(inputs.get("x")?), tensor(inputs.get("y")?));
    Ok(outputs([
        ("xy", rel_error(&x, &y).into()),
        ("xx", rel_error(&x, &x).into()),
        ("tiny", rel_error(&y, &y.zeros_like()).into()),
    ]))
}

/// Pictures in a grid.
pub fn grid(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        ubound: f64,
        padding: usize,
    }
    let Args { ubound, padding } = case.args()?;
    let x = tensor(Inputs::of(case)?.get("x")?);
    Ok(outputs([("grid", array(&visualize::grid(&x, ubound, padding)))]))
}
