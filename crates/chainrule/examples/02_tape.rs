//! The same two-layer net on a tape: bare tensors, and the way back found by itself.
//!
//!     cargo run --release -p chainrule --example 02_tape

use chainrule::Result;
use chainrule::data::{Normalization, Pictures, embedded, mean_image};
use chainrule::rng::Rng;
use chainrule::tape::Tape;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::Examples;

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
    let tape = Tape::train(0);
    for epoch in 0..5 {
        rng.at(epoch, 0);
        rng.epoch_order(train.len(), &mut order);
        for indices in order.chunks(batch) {
            let x = train.batch(indices, DType::F32, Order::RowMajor);
            let labels: Vec<usize> = indices.iter().map(|i| train.label(*i)).collect();

            let hidden = (tape.constant(x.flatten()).matmul(&w1) + &b1).relu();
            let loss = (hidden.matmul(&w2) + &b2).cross_entropy(&labels);
            let mut grads = loss.backward();

            for w in [&mut w1, &mut b1, &mut w2, &mut b2] {
                if let Some(dw) = grads.take(&*w) {
                    w.add_scaled(-learning_rate, &dw);
                }
            }
        }
        // Tensors off the tape take the same operations.
        let all: Vec<usize> = (0..val.len()).collect();
        let x = val.batch(&all, DType::F32, Order::RowMajor).flatten();
        let predicted = ((x.matmul(&w1) + &b1).relu().matmul(&w2) + &b2).argmax(1);
        let right = all.iter().filter(|i| predicted[**i] == val.label(**i)).count();
        println!(
            "epoch {}: validation accuracy {:.1}%",
            epoch + 1,
            100.0 * right as f64 / val.len() as f64
        );
    }
    Ok(())
}
