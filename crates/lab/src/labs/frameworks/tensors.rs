//! Tensors, the way back, and how initial weights are drawn.

use super::super::found::numbers;
use super::super::{Context, Found};
use anyhow::Result;
use chainrule::gradcheck::{numerical_gradient, rel_error};
use chainrule::nn::init::{Fan, Gain, kaiming_normal};
use chainrule::nn::{Conv2d, Linear};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Tensor};

pub fn flatten(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: flatten
    let x = Tensor::from_f64([2, 1, 3, 2], &(0..12).map(f64::from).collect::<Vec<_>>());
    let flat = x.flatten();
    // end
    found.print(format!("before: {:?}", x.shape()));
    x.to_vec().chunks(2).for_each(|row| found.print(format!("    {row:?}")));
    found.print(format!("after: {:?}", flat.shape()));
    flat.to_vec().chunks(6).for_each(|row| found.print(format!("    {row:?}")));
    let rows: Vec<Vec<f64>> = flat.to_vec().chunks(6).map(<[f64]>::to_vec).collect();
    let wanted = [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]];
    let right = rows == wanted;
    let said = if right { "those above" } else { "others" };
    found.check("rows", said, "0 to 5 and 6 to 11, as the course printed", right);
    Ok(found)
}

pub fn way_back(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let mut rng = Rng::new(0);
    let mut randn = |shape: &[usize]| Tensor::randn(shape, 1.0, DType::F64, &mut rng);
    let (x, w, b) = (randn(&[4, 3]), randn(&[3]), randn(&[4, 1]));
    // show: way-back
    let f = |x: &Var, w: &Tensor, b: &Tensor| (x * w + b).tanh().mean() + (x * x).sum();
    let tape = Tape::train(0);
    let y = f(&tape.leaf(&x), &w, &b); // w and b are stretched to the shape of x
    let grads = y.backward();
    // end
    let value = |x: &Tensor, w: &Tensor, b: &Tensor| f(&Tape::eval().leaf(x), w, b).item();
    for (name, numerical, gradient) in [
        ("x, used three times", numerical_gradient(|x| value(x, &w, &b), &x, 1e-5), &grads[&x]),
        ("w, one row for all", numerical_gradient(|w| value(&x, w, &b), &w, 1e-5), &grads[&w]),
        ("b, one column for all", numerical_gradient(|b| value(&x, &w, b), &b, 1e-5), &grads[&b]),
    ] {
        let what = format!("error of the gradient of {name}, {:?}", gradient.shape());
        found.check_below(what, rel_error(gradient, &numerical), 1e-7);
    }
    let unused = Tensor::ones([2], DType::F64);
    let none = grads.get(&unused).is_none();
    found.check("gradient of what was not used", if none { "none" } else { "some" }, "none", none);
    let silent = !Tape::eval().leaf(&x).needs_grad();
    let said = if silent { "nothing" } else { "something" };
    found.check("what a tape for tests records", said, "nothing", silent);
    let ties = Tensor::from_f64([1, 4], &[1.0, 7.0, 7.0, 2.0]);
    let largest = tape.leaf(&ties).max_over(1).0.sum().backward()[&ties].to_vec();
    let first = largest == [0.0, 1.0, 0.0, 0.0];
    found.check(
        "gradient of a maximum that is there twice",
        numbers(&largest),
        "all to the first",
        first,
    );
    found.text(
        "PyTorch adds gradients up in `.grad` until they are set to zero, and needs a `no_grad` block around the update. Here gradients \
         are a value that `backward` returns, there is nothing to clear, and a plain tensor is changed like any other.",
    );
    Ok(found)
}

/// The root of the mean square, and the largest size, of a tensor's numbers.
fn size(t: &Tensor) -> (f64, f64) {
    let values = t.to_vec();
    let square = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
    (square.sqrt(), values.iter().fold(0.0, |m: f64, v| m.max(v.abs())))
}

/// Normal weights for a layer of so many inputs in front of a ReLU.
pub fn random_weight<const N: usize>(shape: [usize; N], inputs: usize, rng: &mut Rng) -> Tensor {
    // show: random-weight
    let deviation = (2.0 / inputs as f64).sqrt(); // He et al. 2015
    Tensor::randn(shape, deviation, DType::F32, rng)
    // end
}

pub fn initial_values(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let mut rng = Rng::new(0);
    let small = random_weight([3, 5], 3, &mut rng);
    small.to_vec().chunks(5).for_each(|row| found.print(numbers(row)));
    let mut rows = Vec::new();
    let mut row = |found: &mut Found,
                   what: &str,
                   t: &Tensor,
                   formula: &str,
                   deviation: f64,
                   bound: Option<f64>| {
        let (ours, largest) = size(t);
        // Four standard errors of a deviation of so many numbers.
        let near = 4.0 / (2.0 * t.len() as f64).sqrt();
        let passed = (ours / deviation - 1.0).abs() < near && bound.is_none_or(|b| largest <= b);
        found.check(
            format!("deviation, {what}"),
            format!("{ours:.6}"),
            format!("{deviation:.6}, within {:.2}%", 100.0 * near),
            passed,
        );
        let bound = bound.map_or(String::new(), |b| format!("{b:.6}"));
        rows.push([
            what.to_string(),
            formula.to_string(),
            format!("{deviation:.6}"),
            format!("{ours:.6}"),
            bound,
        ]);
    };
    // show: initial-values
    let bare = random_weight([3072, 4000], 3072, &mut rng);
    let by_default = Linear::new(3072, 4000, &mut rng).weight;
    let conv_by_default = Conv2d::new(3, 32, 5, Conv2dParams::same(5), &mut rng).weight;
    let kaiming = kaiming_normal(&[16, 32, 3, 3], Fan::In, Gain::Relu, &mut rng);
    let fan_out = kaiming_normal(&[128, 1, 3, 3], Fan::Out, Gain::Relu, &mut rng);
    // end
    let root = |fan: f64| fan.recip().sqrt();
    let uniform = |fan: f64| (root(fan) / 3f64.sqrt(), Some(root(fan) * (1.0 + 1e-6)));
    row(
        &mut found,
        "bare, 3072 to 4000",
        &bare,
        "sqrt(2 / inputs)",
        2f64.sqrt() * root(3072.0),
        None,
    );
    let (deviation, bound) = uniform(3072.0);
    row(
        &mut found,
        "linear by default",
        by_default.value(),
        "uniform, 1 / sqrt(inputs)",
        deviation,
        bound,
    );
    let (deviation, bound) = uniform(75.0);
    row(
        &mut found,
        "convolution by default",
        conv_by_default.value(),
        "uniform, 1 / sqrt(inputs)",
        deviation,
        bound,
    );
    row(
        &mut found,
        "Kaiming, 32 to 16, 3 x 3",
        &kaiming,
        "sqrt(2 / inputs)",
        2f64.sqrt() * root(288.0),
        None,
    );
    row(
        &mut found,
        "depthwise, 128, 3 x 3",
        &fan_out,
        "sqrt(2 / outputs)",
        2f64.sqrt() * root(1152.0),
        None,
    );
    found.table("", ["weights", "formula", "deviation wanted", "drawn", "bound"], rows);
    found.text(
        "PyTorch's stream of random numbers is its own, and the notebook seeds nothing, so single numbers cannot be compared: deviations \
         and bounds can. The last row is a quirk that the course's residual net inherits: the outputs of a depthwise convolution are \
         counted over all channels, although each weight reaches one, so that its weights begin some eleven times smaller than \
         they should.",
    );
    Ok(found)
}
