//! A two-layer net on real pictures, every step by hand: forward, loss, backward, update.
//!
//!     cargo run --release -p chainrule --example 01_explicit

use chainrule::Result;
use chainrule::data::{Normalization, Pictures, embedded, mean_image};
use chainrule::ops::{affine, affine_relu, softmax_cross_entropy};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::{Examples, argmax_rows};

fn main() -> Result<()> {
    let splits = embedded()?;
    let normalization = Normalization::MeanImage(mean_image(&splits.train));
    let train = Pictures::new(splits.train, normalization.clone());
    let val = Pictures::new(splits.val, normalization);

    let mut rng = Rng::new(0);
    let mut w1 = Tensor::randn([3072, 100], 1e-3, DType::F32, &mut rng);
    let mut b1 = Tensor::zeros([100], DType::F32);
    let mut w2 = Tensor::randn([100, 10], 1e-1, DType::F32, &mut rng);
    let mut b2 = Tensor::zeros([10], DType::F32);

    let (batch, learning_rate) = (100, 1e-3);
    let mut order = Vec::new();
    for epoch in 0..5 {
        rng.at(epoch, 0);
        rng.epoch_order(train.len(), &mut order);
        let mut total = 0.0;
        for indices in order.chunks(batch) {
            let x = train.batch(indices, DType::F32, Order::RowMajor);
            let labels: Vec<usize> = indices.iter().map(|i| train.label(*i)).collect();

            // Forward: each op returns what its backward will need.
            let (hidden, first) = affine_relu::forward(&x, &w1, &b1);
            let (scores, second) = affine::forward(&hidden, &w2, &b2);
            let (loss, top) = softmax_cross_entropy::forward(&scores, &labels, &Default::default());
            total += loss;

            // Backward: the same ops in reverse. Nobody needs the gradient of the pictures.
            let dscores = softmax_cross_entropy::backward(&top);
            let affine::Grads { dx: dhidden, dw: dw2, db: db2 } =
                affine::backward(&dscores, &second);
            let [_, Some(dw1), Some(db1)] =
                affine_relu::backward_for([false, true, true], &dhidden, &first)
            else {
                unreachable!("both were asked for")
            };

            // Stochastic gradient descent.
            for (w, dw) in [(&mut w1, dw1), (&mut b1, db1), (&mut w2, dw2), (&mut b2, db2)] {
                let pairs = w.data_mut::<f32>().iter_mut().zip(dw.data::<f32>());
                pairs.for_each(|(w, dw)| *w -= learning_rate * dw);
            }
        }
        let all: Vec<usize> = (0..val.len()).collect();
        let x = val.batch(&all, DType::F32, Order::RowMajor);
        let (hidden, _) = affine_relu::forward(&x, &w1, &b1);
        let (scores, _) = affine::forward(&hidden, &w2, &b2);
        let right =
            argmax_rows(&scores).iter().enumerate().filter(|(i, c)| val.label(*i) == **c).count();
        let loss = total / train.len().div_ceil(batch) as f64;
        println!(
            "epoch {}: loss {loss:.3}, validation accuracy {:.1}%",
            epoch + 1,
            right as f64 / 10.0
        );
    }
    Ok(())
}
