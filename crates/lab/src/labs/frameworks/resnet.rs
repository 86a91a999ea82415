//! The course's own network: its parts, its gradients, its training.

use super::super::{Context, Found, going_on};
use super::outcome::Outcome;
use anyhow::{Context as _, Result};
use chainrule::data::{Normalization, Pictures};
use chainrule::gradcheck::check;
use chainrule::models::{ModuleModel, ResNetCe, checked_models};
use chainrule::nn::{Params, trace};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{Group, Solver, SolverOptions, accuracy};

/// The parts of the network, with their names and how many parameters the course's have.
const PARTS: [(&str, &str, usize); 13] = [
    ("first convolution", "conv1", 1_728),
    ("its batch norm", "bn1", 128),
    ("residual block, 64 channels", "stage1.0", 74_564),
    ("residual block, 64 channels", "stage1.1", 74_564),
    ("transition from 64 to 128", "transition1", 9_152),
    ("residual block, 128 channels", "stage2.0", 297_608),
    ("residual block, 128 channels", "stage2.1", 297_608),
    ("residual block, 128 channels", "stage2.2", 297_608),
    ("transition from 128 to 256", "transition2", 34_688),
    ("residual block, 256 channels", "stage3.0", 1_189_136),
    ("residual block, 256 channels", "stage3.1", 1_189_136),
    ("last batch norm", "bn_final", 512),
    ("linear layer", "fc", 2_570),
];

/// Deviations with which the course draws some of the weights.
const DEVIATIONS: [(&str, f64); 6] = [
    ("stage1.0.conv1.weight", 0.058926),
    ("stage2.1.conv2.weight", 0.041667),
    ("stage3.1.conv1.weight", 0.029463),
    ("transition2.pointwise.weight", 0.088388),
    ("stage3.0.se.squeeze_excite.2.weight", 0.01),
    ("fc.weight", 0.01),
];

pub fn parts(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: resnet-parts
    let net = ResNetCe::new(10, 0.3, &mut Rng::new(0));
    let applied = trace(&net, Tensor::zeros([1, 3, 32, 32], DType::F32));
    // end
    let named = net.named_params();
    let size = |part: &str| -> usize {
        let within = |name: &str| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
        named.iter().filter(|(name, _)| within(name)).map(|(_, t)| t.len()).sum()
    };
    let shape = |part: &str| {
        let row = applied.iter().find(|row| row.path.as_deref() == Some(part));
        row.map_or(String::new(), |row| format!("{:?}", &row.output[1..]))
    };
    let rows = PARTS.map(|(what, part, wanted)| {
        let (wanted, ours) = (wanted.to_string(), size(part).to_string());
        [what.to_string(), part.to_string(), shape(part), wanted, ours]
    });
    found.table("", ["part", "name", "output", "parameters, the course's", "ours"], rows);
    let right = PARTS.iter().filter(|(_, part, wanted)| size(part) == *wanted).count();
    let all = PARTS.len();
    found.check("parts of the right size", right, format!("all {all}"), right == all);
    let (n, tensors) = (net.num_params(), named.len());
    found.check("parameters", n, "3469002 as the course's has", n == 3_469_002);
    found.check("tensors of parameters", tensors, "89 as the course's has", tensors == 89);
    let adds: usize = applied.iter().map(|row| row.multiply_adds).sum();
    let millions = adds as f64 / 1e6;
    found.check(
        "multiplications for a picture",
        format!("{millions:.0} million"),
        "about 535 million",
        (530.0..540.0).contains(&millions),
    );
    for (name, wanted) in DEVIATIONS {
        let values = named.iter().find(|(n, _)| n == name).map_or(Vec::new(), |(_, t)| t.to_vec());
        let n = values.len().max(1) as f64;
        let ours = (values.iter().map(|v| v * v).sum::<f64>() / n).sqrt();
        let near = 4.0 / (2.0 * n).sqrt();
        found.check(
            format!("deviation of `{name}`"),
            format!("{ours:.6}"),
            format!("{wanted}, within {:.1}%", 100.0 * near),
            (ours / wanted - 1.0).abs() < near,
        );
    }
    Ok(found)
}

pub fn gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: resnet-gradients
    let net = checked_models().find(|model| model.name == "resnet-ce");
    let cases = (net.context("resnet-ce is not in the list of models")?.checks)();
    let outcomes = cases.iter().flat_map(check);
    // end
    let (mut rows, mut right) = (Vec::new(), 0);
    for outcome in outcomes {
        context.doing("the gradients of a small one", rows.len(), rows.len() + 1);
        right += usize::from(outcome.passed());
        let [error, allowed] = [outcome.error, outcome.tolerance].map(|e| format!("{e:.0e}"));
        rows.push([
            outcome.input.to_string(),
            error,
            allowed,
            format!("{:.0e}", outcome.error_f32),
        ]);
    }
    let all = rows.len();
    found.table("", ["gradient of", "error", "allowed", "off in 32 bits"], rows);
    found.check("gradients that are right", right, format!("all {all}"), right == all && all > 0);
    Ok(found)
}

/// How long the training is: passes over how many pictures, and how many an accuracy looks at.
struct Length {
    epochs: usize,
    pictures: usize,
    looked_at: usize,
}

pub fn training(context: &mut Context<'_>) -> Result<Found> {
    let splits = context.splits()?;
    // A few steps show that it learns. Ten epochs take minutes on the excerpt, and hours on all pictures.
    let Length { epochs, pictures, looked_at } = match context.quick {
        true => Length { epochs: 1, pictures: 1536, looked_at: 300 },
        false => Length { epochs: 10, pictures: splits.train.len(), looked_at: 1000 },
    };
    let learned = splits.train.slice(0..pictures.min(splits.train.len()));
    // show: resnet-training
    let normalization = Normalization::of("cifar10", &splits.train)?;
    let seen = |data| Pictures::new(data, normalization.clone());
    let (train, val, test) = (seen(learned), seen(splits.val), seen(splits.test.clone()));

    let mut rng = Rng::new(0);
    let mut model = ModuleModel::new(ResNetCe::new(10, 0.3, &mut rng), [3, 32, 32]);
    let rule = make("adamw", &OptimConfig { weight_decay: Some(0.05), ..OptimConfig::NONE })?;
    let options = SolverOptions {
        batch_size: 64,
        epochs,
        learning_rate: 1e-3,
        groups: vec![Group::decay_all()], // as PyTorch: biases, scales and shifts too
        train_samples: looked_at,
        val_samples: Some(looked_at),
        ..SolverOptions::default()
    };
    let mut solver = Solver::new(&mut model, rule, &train, &val, options);
    // end
    let an_epoch = solver.steps_per_epoch();
    let history = going_on::train(context, "resnet-ce", &mut solver, &mut rng)?;
    let tested = if context.quick { looked_at } else { splits.test.len() };
    context.doing("test pictures", 0, 1);
    let tested: Vec<usize> = (0..tested.min(splits.test.len())).collect();
    let test = accuracy(&model, &test, &tested);
    let outcome = Outcome { quick: context.quick, history, an_epoch, test, tested: tested.len() };
    outcome.told()
}
