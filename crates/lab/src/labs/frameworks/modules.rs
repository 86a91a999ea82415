//! The second and the third level: modules, and modules in a row.

use super::super::{Context, Found};
use super::bare::{scores_shapes, three_layer_convnet};
use super::data::loaders;
use super::run::{Bar, Run, Wording, told};
use anyhow::{Context as _, Result, bail};
use chainrule::models::{ThreeLayerConvModule, TwoLayerFc};
use chainrule::nn::init::{Fan, Gain, kaiming_normal};
use chainrule::nn::{Entry, EntryMut, Module, Params, Path, Sequential};
use chainrule::optim::{OptimConfig, UpdateRule, make};
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Order, Tensor};

// show: kaiming
/// Draws weights as He et al. do, and leaves biases as they are.
fn kaiming(net: &mut impl Module, rng: &mut Rng) {
    net.visit_mut(&mut Path::default(), &mut |_, entry| {
        if let EntryMut::Param(p) = entry
            && p.value().shape().len() >= 2
        {
            let shape = *p.value().shape();
            *p.value_mut() = kaiming_normal(&shape, Fan::In, Gain::Relu, rng);
        }
    });
}
// end

fn two_layer_fc(rng: &mut Rng) -> TwoLayerFc {
    let mut net = TwoLayerFc::new(3072, 4000, 10, rng);
    kaiming(&mut net, rng);
    net
}

fn three_layer_convnet_module(rng: &mut Rng) -> ThreeLayerConvModule {
    let mut net = ThreeLayerConvModule::new([3, 32, 16], [32, 32], 10, rng);
    kaiming(&mut net, rng);
    net
}

fn two_layers_in_a_row(rng: &mut Rng) -> Sequential {
    // show: two-layers-in-a-row
    Sequential::on([3, 32, 32], rng).flatten().linear(4000).relu().linear(10).build()
    // end
}

fn convnet_in_a_row(rng: &mut Rng) -> Sequential {
    // show: convnet-in-a-row
    Sequential::on([3, 32, 32], rng)
        .conv2d(32, 5)
        .relu()
        .conv2d(16, 3)
        .relu()
        .flatten()
        .linear(10)
        .build()
    // end
}

pub fn shapes(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let mut rng = Rng::new(0);
    // show: module-shapes
    let tape = Tape::eval();
    let x = tape.constant(Tensor::zeros([64, 50], DType::F32));
    let of_two_layers = x.apply(&TwoLayerFc::new(50, 42, 10, &mut rng));

    let x = tape.constant(Tensor::zeros([64, 3, 32, 32], DType::F32));
    let of_convnet = x.apply(&ThreeLayerConvModule::new([3, 12, 8], [32, 32], 10, &mut rng));
    // end
    scores_shapes(&mut found, [&of_two_layers, &of_convnet]);
    for (what, net, wanted) in [
        ("two layers", &two_layer_fc(&mut rng) as &dyn Module, 12_332_010),
        ("three layers of convolution", &three_layer_convnet_module(&mut rng), 170_906),
    ] {
        let n = net.num_params();
        found.check(format!("parameters, {what}"), n, wanted, n == wanted);
    }
    Ok(found)
}

pub fn agree(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let loaders = loaders(&context.splits()?, Order::ChannelsLast)?;
    let (x, labels) = loaders.train.epoch(0).next().context("there are no training pictures")?;
    // show: agree
    let net = three_layer_convnet_module(&mut Rng::new(0));
    let tape = Tape::train(0);
    let of_module = tape.constant(x.clone()).apply(&net).cross_entropy(&labels);
    let by_name = of_module.backward();

    let values: Vec<Tensor> = net.named_params().into_iter().map(|(_, value)| value).collect();
    let [w1, b1, w2, b2, w3, b3] = &values[..] else { bail!("the module has six parameters") };
    // Modules keep matrices as (outputs, inputs).
    let bare = [w1.clone(), b1.clone(), w2.clone(), b2.clone(), w3.transpose(), b3.clone()];
    let of_bare = three_layer_convnet(&tape.constant(x), &bare).cross_entropy(&labels);
    let by_variable = of_bare.backward();
    // end
    let (module, tensors) = (of_module.item(), of_bare.item());
    found.print(format!("loss of the module:       {module}"));
    found.print(format!("loss of the bare tensors: {tensors}"));
    found.check("loss of the bare tensors", tensors, format!("{module}"), tensors == module);
    let mut equal = Vec::new();
    net.visit(&mut Path::default(), &mut |name, entry| {
        let (Entry::Param(p), w) = (entry, &bare[equal.len()]) else { return };
        let (of_module, of_bare) = (&by_name[p], &by_variable[w]);
        let same = match of_module.shape() == of_bare.shape() {
            true => of_module.to_vec() == of_bare.to_vec(),
            false => of_module.to_vec() == of_bare.transpose().to_vec(),
        };
        equal.push((name.to_string(), same));
    });
    for (name, same) in &equal {
        let said = if *same { "equal" } else { "different" };
        found.check(format!("bits of the gradient of `{name}`"), said, "equal", *same);
    }
    found.check("gradients compared", equal.len(), "6", equal.len() == 6);
    Ok(found)
}

// show: train-module
fn train(
    run: &mut Run<'_, '_>,
    net: &mut impl Module,
    rule: &mut dyn UpdateRule,
    learning_rate: f64,
) {
    let tape = Tape::train(0);
    for (x, labels) in run.loaders.train.epoch(0) {
        let loss = tape.constant(x).apply(net).cross_entropy(&labels);
        let mut grads = loss.backward();
        rule.begin_step();
        let mut slot = 0;
        net.visit_mut(&mut Path::default(), &mut |_, entry| {
            if let EntryMut::Param(p) = entry
                && let Some(dp) = grads.take(p)
            {
                rule.update(slot, p.value_mut(), &dp, learning_rate, true);
                slot += 1;
            }
        });
        run.step(loss.item(), |x| x.apply(net));
    }
}
// end

fn untrained<M: Module + 'static>(run: &mut Run<'_, '_>, net: fn(&mut Rng) -> M) {
    run.untrained(|rng| {
        let net = net(rng);
        move |x: &Var| x.apply(&net)
    });
}

pub fn two_layers(context: &mut Context<'_>) -> Result<Found> {
    let loaders = loaders(&context.splits()?, Order::RowMajor)?;
    let mut run = Run::new(context, "two layers, a module", Wording::Modules, &loaders);
    untrained(&mut run, two_layer_fc);
    // show: two-layer-module
    let mut net = two_layer_fc(&mut Rng::new(0));
    let mut rule = make("sgd", &OptimConfig::NONE)?;
    train(&mut run, &mut net, &mut *rule, 1e-2);
    // end
    let bar = Bar { excerpt: 0.2, all: 0.4 };
    told("PT[18] module two-layer", run, bar)
}

pub fn convnet(context: &mut Context<'_>) -> Result<Found> {
    let loaders = loaders(&context.splits()?, Order::ChannelsLast)?;
    let mut run = Run::new(context, "convnet, a module", Wording::Modules, &loaders);
    untrained(&mut run, three_layer_convnet_module);
    // show: convnet-module
    let mut net = three_layer_convnet_module(&mut Rng::new(0));
    let mut rule = make("sgd", &OptimConfig::NONE)?;
    train(&mut run, &mut net, &mut *rule, 3e-3);
    // end
    let bar = Bar { excerpt: 0.2, all: 0.45 };
    told("PT[19] module convnet", run, bar)
}

/// Gradient descent with Nesterov's momentum.
fn nesterov() -> Result<Box<dyn UpdateRule>> {
    // show: nesterov
    let momentum = OptimConfig { momentum: Some(0.9), nesterov: Some(true), ..OptimConfig::NONE };
    let rule = make("sgd", &momentum)?;
    // end
    Ok(rule)
}

pub fn two_layers_sequential(context: &mut Context<'_>) -> Result<Found> {
    let loaders = loaders(&context.splits()?, Order::RowMajor)?;
    let mut run = Run::new(context, "two layers in a row", Wording::Modules, &loaders);
    untrained(&mut run, two_layers_in_a_row);
    train(&mut run, &mut two_layers_in_a_row(&mut Rng::new(0)), &mut *nesterov()?, 1e-2);
    let bar = Bar { excerpt: 0.2, all: 0.4 };
    told("PT[20] sequential two-layer nesterov", run, bar)
}

pub fn convnet_sequential(context: &mut Context<'_>) -> Result<Found> {
    let loaders = loaders(&context.splits()?, Order::ChannelsLast)?;
    let mut run = Run::new(context, "convnet in a row", Wording::Modules, &loaders);
    untrained(&mut run, convnet_in_a_row);
    train(&mut run, &mut convnet_in_a_row(&mut Rng::new(0)), &mut *nesterov()?, 1e-2);
    let bar = Bar { excerpt: 0.3, all: 0.55 };
    let mut found = told("PT[21] sequential convnet nesterov", run, bar)?;
    compare(context, &mut found);
    Ok(found)
}

/// All six trainings in a table, and what follows from it.
fn compare(context: &Context<'_>, found: &mut Found) {
    const ALL: [(&str, &str); 5] = [
        ("bare-two-layers", "two layers, bare"),
        ("bare-convnet", "convnet, bare"),
        ("module-two-layers", "two layers, a module"),
        ("module-convnet", "convnet, a module"),
        ("sequential-two-layers", "two layers in a row, momentum"),
    ];
    let here = |name: &str| found.kept(name).map_or(Vec::new(), <[f64]>::to_vec);
    let of = |cell: &str, name: &str| context.kept(cell, name).to_vec();
    let measured = ALL.map(|(cell, what)| (what, of(cell, "untrained"), of(cell, "best")));
    let all = [&measured[..], &[("convnet in a row, momentum", here("untrained"), here("best"))]];
    let all = all.concat();
    let rows = all.iter().map(|(what, untrained, best)| {
        let [mean, std] = [0, 1].map(|i| untrained.get(i).copied().unwrap_or(f64::NAN));
        let best = 100.0 * best.first().copied().unwrap_or(f64::NAN);
        [what.to_string(), format!("{mean:.2} +- {std:.2}"), format!("{best:.1}%")]
    });
    found.table("All six", ["training", "loss untrained", "best validation accuracy"], rows);
    let first = |i: usize| all[i].1.first().copied().unwrap_or(f64::NAN);
    let best = |i: usize| 100.0 * all[i].2.first().copied().unwrap_or(f64::NAN);
    found.question(
        "Why do four of the six begin with a loss far above ln 10 = 2.303, and does that hold them back?",
        format!(
            "Weights with a deviation of sqrt(2 / inputs) make scores about as large as the pixels, so that an untrained network is sure of \
             a class, and mostly wrong: its loss is {:.2} and {:.2} at level one. PyTorch's own weights are smaller, scores are near 0, \
             and the loss is {:.2} and {:.2}, that of ten equal classes. The start matters less than the steps: with momentum the \
             convnet reaches {:.1}% in this epoch, without {:.1}% and {:.1}%, though its learning rate is larger too, and the course changed \
             both at once.",
            first(0),
            first(1),
            first(4),
            first(5),
            best(5),
            best(1),
            best(3),
        ),
    );
}
