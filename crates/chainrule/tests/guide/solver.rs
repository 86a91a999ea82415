use crate::Snippet;
use chainrule::data::{Normalization, Pictures, embedded};
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Model};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order};
use chainrule::train::{Examples, Quiet, Solver, SolverOptions};

pub const SNIPPETS: &[Snippet] = &[("first-loss", first_loss), ("overfit", overfit)];

fn first_loss() -> chainrule::Result<()> {
    let splits = embedded()?;
    let normalization = Normalization::of("channels", &splits.train)?;
    let train = Pictures::new(splits.train, normalization);
    // show: first-loss
    let config = FullyConnectedConfig { hidden: vec![100, 100], ..Default::default() };
    let mut net = FullyConnectedNet::new(config, &mut Rng::new(0));
    for p in net.params() {
        println!("{:3} {:?}", p.name, p.value.shape());
    }
    let indices: Vec<usize> = (0..100).collect();
    let x = train.batch(&indices, DType::F32, Order::RowMajor);
    let labels: Vec<usize> = indices.iter().map(|i| train.label(*i)).collect();
    let mut grads = Vec::new();
    let loss = net.loss(&x, &labels, &mut Rng::new(0), &mut grads);
    println!("loss {loss:.2}, ln 10 = {:.2}, {} gradients", 10f64.ln(), grads.len());
    // end
    Ok(())
}

fn overfit() -> chainrule::Result<()> {
    // show: overfit
    let splits = embedded()?;
    let normalization = Normalization::of("channels", &splits.train)?;
    let few = Pictures::new(splits.train.slice(0..50), normalization.clone());
    let val = Pictures::new(splits.val, normalization);

    let config = FullyConnectedConfig {
        hidden: vec![100, 100],
        weight_scale: None, // sqrt(2 / inputs) in each layer
        ..Default::default()
    };
    let mut net = FullyConnectedNet::new(config, &mut Rng::new(0));
    let options =
        SolverOptions { batch_size: 25, epochs: 20, learning_rate: 1e-3, ..Default::default() };
    let rule = make("adam", &OptimConfig::NONE)?;
    let history =
        Solver::new(&mut net, rule, &few, &val, options).train(&mut Rng::new(0), &mut Quiet)?;

    let last = history.train_accuracy.last().expect("a check after the last step");
    println!("50 pictures: {:.0}% right after {} epochs", 100.0 * last, history.epoch);
    println!("others: {}", if history.best_val_accuracy < 0.35 { "hardly" } else { "well" });
    // end
    Ok(())
}
