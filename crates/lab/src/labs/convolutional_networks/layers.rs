//! Convolution and pooling by themselves.

use super::super::{Context, Found};
use anyhow::Result;
use chainrule::gradcheck::rel_error;
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::ops::{conv_relu, conv_relu_pool};
use chainrule::tensor::Tensor;
use chainrule_bench::layers::pairs;
use std::time::Instant;

/// Normals of this shape from the lab's sequence.
pub fn randn<const N: usize>(context: &mut Context<'_>, shape: [usize; N]) -> Tensor {
    Tensor::from_f64(shape, &context.randn(shape.iter().product()))
}

/// Numbers from `low` to `high` with even spaces between them.
fn linspace<const N: usize>(low: f64, high: f64, shape: [usize; N]) -> Tensor {
    let n: usize = shape.iter().product();
    let step = (high - low) / (n - 1) as f64;
    let values: Vec<f64> = (0..n).map(|i| low + step * i as f64).collect();
    Tensor::from_f64(shape, &values)
}

pub fn convolution(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: convolution
    let x = linspace(-0.1, 0.5, [2, 3, 4, 4]);
    let w = linspace(-0.2, 0.3, [3, 3, 4, 4]);
    let b = linspace(-0.1, 0.2, [3]);
    let (y, _) = conv2d::naive::forward(&x, &w, Some(&b), &Conv2dParams::new(2, 1)); // stride 2, pad 1
    // end
    let known = Tensor::from_f64(
        [2, 3, 2, 2],
        &[
            -0.08759809,
            -0.10987781,
            -0.18387192,
            -0.2109216,
            0.21027089,
            0.21661097,
            0.22847626,
            0.23004637,
            0.50813986,
            0.54309974,
            0.64082444,
            0.67101435,
            -0.98053589,
            -1.03143541,
            -1.19128892,
            -1.24695841,
            0.69108355,
            0.66880383,
            0.59480972,
            0.56776003,
            2.36270298,
            2.36904306,
            2.38090835,
            2.38247847,
        ],
    );
    let difference = rel_error(&y, &known);
    found.print(format!("difference:  {difference:e}"));
    found.check_printed(
        "difference from eight known digits",
        difference,
        2.2121476417505994e-8,
        1e-3,
    );
    Ok(found)
}

pub fn convolution_gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = randn(context, [4, 3, 5, 5]);
    let (w, b) = (randn(context, [2, 3, 3, 3]), randn(context, [2]));
    let dout = randn(context, [4, 2, 5, 5]);
    // show: convolution-gradients
    let params = Conv2dParams::new(1, 1);
    let forward = |x: &Tensor, w: &Tensor, b: &Tensor| conv2d::forward(x, w, Some(b), &params);
    let (_, cache) = forward(&x, &w, &b);
    let conv2d::Grads { dx, dw, db } = conv2d::backward(&dout, &cache);
    // end
    let db = db.unwrap_or_else(|| b.zeros_like());
    found.gradient("dx", (&x, &dx, &dout), |x| forward(x, &w, &b).0, 1.159803161159293e-8);
    found.gradient("dw", (&w, &dw, &dout), |w| forward(&x, w, &b).0, 2.2471264748452487e-10);
    found.gradient("db", (&b, &db, &dout), |b| forward(&x, &w, b).0, 3.37264006649648e-11);
    Ok(found)
}

pub fn pooling(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: pooling
    let params = MaxPool2dParams::new(2, 2);
    let (y, _) = max_pool2d::naive::forward(&linspace(-0.3, 0.4, [2, 3, 4, 4]), &params);
    // end
    // Rows of 4 numbers, each 0.7 / 95 above the one before: the lower right of each window is its largest.
    let round = |v: f64| (v * 1e8).round() / 1e8;
    let corner = |i: usize| (i / 4) * 16 + (i / 2 % 2) * 8 + 4 + (i % 2) * 2 + 1;
    let known: Vec<f64> = (0..24).map(|i| round(-0.3 + 0.7 / 95.0 * corner(i) as f64)).collect();
    let difference = rel_error(&y, &Tensor::from_f64([2, 3, 2, 2], &known));
    found.print(format!("difference:  {difference:e}"));
    found.check_printed(
        "difference from eight known digits",
        difference,
        4.1666665157267834e-8,
        1e-3,
    );
    context.seed(231);
    let (x, dout) = (randn(context, [3, 2, 8, 8]), randn(context, [3, 2, 4, 4]));
    let dx = max_pool2d::backward(&dout, &max_pool2d::forward(&x, &params).1);
    let forward = |x: &Tensor| max_pool2d::forward(x, &params).0;
    found.gradient("dx", (&x, &dx, &dout), forward, 3.27562514223145e-12);
    Ok(found)
}

pub fn fast(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    const PRINTED: [(f64, f64, &str); 4] = [
        (5.466913, 0.010290, "531x"),
        (8.859779, 0.010636, "833x"),
        (0.348268, 0.004785, "73x"),
        (1.319378, 0.014894, "89x"),
    ];
    let seconds = |f: &mut dyn FnMut()| {
        let started = Instant::now();
        f();
        started.elapsed().as_secs_f64()
    };
    let mut rows = Vec::new();
    for (i, (mut pair, printed)) in pairs().into_iter().zip(PRINTED).enumerate() {
        context.doing(pair.name, i, PRINTED.len());
        let (naive, fast) = (seconds(&mut pair.naive), seconds(&mut pair.fast));
        let text = |seconds: f64| format!("{seconds:.6} s");
        rows.push([
            pair.name.to_string(),
            text(naive),
            text(fast),
            format!("{:.0}x", naive / fast.max(1e-9)),
            format!("{:.1e}", pair.difference),
            text(printed.0),
            text(printed.1),
            printed.2.to_string(),
        ]);
        // The largest number of a window is the same however it is found; sums are rounded in their order.
        let bound = if pair.name.starts_with("pool") { 0.0 } else { 1e-8 };
        found.check_below(format!("difference, {}", pair.name), pair.difference, bound);
    }
    let head = [
        "layer",
        "loops",
        "library",
        "speed-up",
        "difference",
        "loops, printed",
        "fast, printed",
        "speed-up",
    ];
    found.table("One run of each", head, rows);
    found.text(
        "The course's loops are Python's and ours are Rust's, which explains most of the difference between the two speed-ups. \
         `chainrule bench layers` measures with care, many times and on a quiet machine.",
    );
    Ok(found)
}

pub fn sandwiches(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = randn(context, [2, 3, 16, 16]);
    let (w, b) = (randn(context, [3, 3, 3, 3]), randn(context, [3]));
    let dout = randn(context, [2, 3, 8, 8]);
    // show: sandwich
    let (conv, pool) = (Conv2dParams::new(1, 1), MaxPool2dParams::new(2, 2));
    let forward =
        |x: &Tensor, w: &Tensor, b: &Tensor| conv_relu_pool::forward(x, w, Some(b), &conv, &pool);
    let (_, cache) = forward(&x, &w, &b);
    let conv2d::Grads { dx, dw, db } = conv_relu_pool::backward(&dout, &cache);
    // end
    let db = db.unwrap_or_else(|| b.zeros_like());
    found.print("Testing conv_relu_pool");
    found.gradient("dx", (&x, &dx, &dout), |x| forward(x, &w, &b).0, 9.591132621921372e-9);
    found.gradient("dw", (&w, &dw, &dout), |w| forward(&x, w, &b).0, 5.802391137330214e-9);
    found.gradient("db", (&b, &db, &dout), |b| forward(&x, &w, b).0, 1.0146343411762047e-9);
    // The next cell takes the random numbers from here.
    context.seed(231);
    let x = randn(context, [2, 3, 8, 8]);
    let (w, b) = (randn(context, [3, 3, 3, 3]), randn(context, [3]));
    let dout = randn(context, [2, 3, 8, 8]);
    let forward = |x: &Tensor, w: &Tensor, b: &Tensor| conv_relu::forward(x, w, Some(b), &conv);
    let (_, cache) = forward(&x, &w, &b);
    let conv2d::Grads { dx, dw, db } = conv_relu::backward(&dout, &cache);
    let db = db.unwrap_or_else(|| b.zeros_like());
    found.print("Testing conv_relu");
    found.gradient("dx", (&x, &dx, &dout), |x| forward(x, &w, &b).0, 1.5218619980349303e-9);
    found.gradient("dw", (&w, &dw, &dout), |w| forward(&x, w, &b).0, 2.702022646099404e-10);
    found.gradient("db", (&b, &db, &dout), |b| forward(&x, &w, b).0, 1.451272393591721e-10);
    Ok(found)
}
