use crate::Snippet;
use chainrule::gradcheck::rel_error;
use chainrule::ops::batch_norm::{BatchNormParams, RunningStats};
use chainrule::ops::layer_norm::LayerNormParams;
use chainrule::ops::{Mode, batch_norm, layer_norm};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};

pub const SNIPPETS: &[Snippet] =
    &[("batch", batch), ("running", running), ("two-ways", two_ways), ("layer", layer)];

fn batch() -> chainrule::Result<()> {
    // show: batch
    let x = Tensor::new([4, 2], &[1.0, 100.0, 2.0, 300.0, 3.0, 100.0, 4.0, 300.0]);
    let (gamma, beta) = (Tensor::ones([2], DType::F64), Tensor::zeros([2], DType::F64));
    let mut seen = RunningStats::zeros(2, DType::F64);
    let params = BatchNormParams::default();
    let (y, _) = batch_norm::forward(&x, &gamma, &beta, &params, Mode::Train, &mut seen);
    println!("{y:.3}");
    // end
    Ok(())
}

fn running() -> chainrule::Result<()> {
    // show: running
    let mut rng = Rng::new(0);
    let (gamma, beta) = (Tensor::ones([1], DType::F64), Tensor::zeros([1], DType::F64));
    let mut seen = RunningStats::zeros(1, DType::F64);
    let params = BatchNormParams::default();
    for _ in 0..50 {
        let x = Tensor::randn([200, 1], 3.0, DType::F64, &mut rng); // deviation 3
        batch_norm::forward(&x, &gamma, &beta, &params, Mode::Train, &mut seen);
    }
    let one = Tensor::new([1, 1], &[6.0]);
    let (y, _) = batch_norm::forward(&one, &gamma, &beta, &params, Mode::Test, &mut seen);
    println!("two deviations above the mean: {y:.1}");
    // end
    Ok(())
}

fn two_ways() -> chainrule::Result<()> {
    // show: two-ways
    let mut rng = Rng::new(0);
    let x = Tensor::randn([50, 8], 2.0, DType::F64, &mut rng);
    let gamma = Tensor::randn([8], 1.0, DType::F64, &mut rng);
    let beta = Tensor::randn([8], 1.0, DType::F64, &mut rng);
    let dy = Tensor::randn([50, 8], 1.0, DType::F64, &mut rng);
    let mut seen = RunningStats::zeros(8, DType::F64);
    let params = BatchNormParams::default();
    let (_, cache) = batch_norm::forward(&x, &gamma, &beta, &params, Mode::Train, &mut seen);

    let node_by_node = batch_norm::backward_graph(&dy, &cache);
    let in_one_line = batch_norm::backward(&dy, &cache);
    println!("same: {}", rel_error(&node_by_node.dx, &in_one_line.dx) < 1e-9);
    println!("sums of dx over the batch: {:.6}", in_one_line.dx.sum().item().abs());
    // end
    Ok(())
}

fn layer() -> chainrule::Result<()> {
    // show: layer
    let x = Tensor::new([2, 4], &[1.0, 2.0, 3.0, 4.0, 100.0, 200.0, 300.0, 400.0]);
    let (gamma, beta) = (Tensor::ones([4], DType::F64), Tensor::zeros([4], DType::F64));
    let (y, _) = layer_norm::forward(&x, &gamma, &beta, &LayerNormParams::default());
    println!("{y:.3}");
    // end
    Ok(())
}
