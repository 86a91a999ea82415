use super::*;
use crate::ops::conv2d::Conv2dParams;
use crate::rng::Rng;
use crate::tape::{Mode, Tape};
use crate::tensor::{DType, Tensor};

#[derive(Params)]
struct Block {
    conv: Conv2d,
    norm: BatchNorm2d,
    extra: Option<Linear>,
}

impl Module for Block {
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.conv).apply(&self.norm).relu()
    }
}

#[derive(Params)]
struct Net {
    blocks: Vec<Block>,
    head: Linear,
    #[params(skip)]
    scale: f64,
}

impl Module for Net {
    fn forward(&self, x: &Var) -> Var {
        let mut x = x.clone();
        for block in &self.blocks {
            x = x.apply(block);
        }
        x.global_avg_pool().apply(&self.head) * self.scale
    }
}

fn net(rng: &mut Rng) -> Net {
    let mut block = |inputs, outputs| Block {
        conv: Conv2d::new(inputs, outputs, 3, Conv2dParams::same(3), rng).no_bias(),
        norm: BatchNorm2d::new(outputs),
        extra: None,
    };
    let blocks = vec![block(3, 4), block(4, 5)];
    Net { blocks, head: Linear::new(5, 2, rng), scale: 0.5 }
}

#[test]
fn names_follow_the_fields() {
    let net = net(&mut Rng::new(0));
    let names: Vec<String> = net.named_params().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "blocks.0.conv.weight",
            "blocks.0.norm.weight",
            "blocks.0.norm.bias",
            "blocks.1.conv.weight",
            "blocks.1.norm.weight",
            "blocks.1.norm.bias",
            "head.weight",
            "head.bias",
        ]
    );
    let buffers: Vec<String> = net.named_buffers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(buffers[..2], ["blocks.0.norm.running_mean", "blocks.0.norm.running_var"]);
    assert_eq!(net.num_params(), 3 * 4 * 9 + 8 + 4 * 5 * 9 + 10 + 12);
}

#[test]
fn values_are_set_by_name_and_frozen_ones_get_no_gradient() {
    let mut net = net(&mut Rng::new(0));
    assert!(net.set_value("head.bias", &Tensor::ones([2], DType::F32)));
    assert!(!net.set_value("head.bias", &Tensor::ones([3], DType::F32)));
    assert!(!net.set_value("foot.bias", &Tensor::ones([2], DType::F32)));
    net.freeze(&|name| name.starts_with("blocks"));
    let tape = Tape::train(0);
    let x = tape.constant(Tensor::ones([2, 3, 4, 4], DType::F32));
    let grads = x.apply(&net).cross_entropy(&[0, 1]).backward();
    assert_eq!(grads.len(), 2);
    assert!(grads.get(&net.head.weight).is_some());
    assert!(grads.get(&net.blocks[0].conv.weight).is_none());
}

#[test]
fn batch_norm_averages_as_pytorch_does() {
    let norm = BatchNorm1d::new(1);
    let tape = Tape::train(0);
    let x = tape.constant(Tensor::new([4, 1], &[1.0f32, 2.0, 3.0, 6.0]));
    x.apply(&norm);
    let [(_, mean), (_, var), (_, batches)] = &norm.named_buffers()[..] else { panic!("three") };
    // 0.9 * 1 + 0.1 * 14 / 3: the variance is divided by n - 1.
    assert!((mean.item() - 0.3).abs() < 1e-7 && (var.item() - (0.9 + 1.4 / 3.0)).abs() < 1e-6);
    assert_eq!(batches.item(), 1.0);
    tape.set_mode(Mode::Test);
    x.apply(&norm);
    assert_eq!(norm.named_buffers()[2].1.item(), 1.0);
}

#[test]
fn default_values_lie_within_pytorchs_bounds() {
    let mut rng = Rng::new(5);
    let linear = Linear::new(3072, 40, &mut rng);
    let conv = Conv2d::new(32, 16, 3, Conv2dParams::same(3), &mut rng);
    for (t, bound) in [(linear.weight.value(), 0.018042), (conv.weight.value(), 0.058926)] {
        let largest = t.to_vec().iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(largest <= 1.0001 * bound && largest > 0.99 * bound, "{largest} {bound}");
    }
}

#[test]
fn a_sequential_infers_sizes_and_prints_its_layers() {
    let net = Sequential::on([3, 8, 8], &mut Rng::new(0))
        .conv2d(6, 5)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .flatten()
        .linear(7)
        .layer_norm()
        .dropout(0.25)
        .linear(10)
        .build();
    let text = format!("{net:?}");
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "Sequential",
            "  0: Conv2d(3 -> 6, 5x5, pad 2)",
            "  1: BatchNorm2d(6)",
            "  2: relu",
            "  3: MaxPool2d(2x2)",
            "  4: Flatten",
            "  5: Linear(96 -> 7)",
            "  6: LayerNorm([7])",
            "  7: Dropout(p 0.25)",
            "  8: Linear(7 -> 10)",
        ]
    );
    let rows = trace(&net, Tensor::zeros([1, 3, 8, 8], DType::F32));
    assert_eq!(rows.len(), 10);
    assert_eq!((rows[1].output[..].to_vec(), rows[1].params), (vec![1, 6, 8, 8], 456));
    assert_eq!(rows[1].multiply_adds, 8 * 8 * 6 * 75);
    assert_eq!((rows[6].path.as_deref(), rows[6].depth), (Some("5"), 1));
    assert_eq!(rows[0].params, net.num_params());
}

#[test]
fn ways_around_layers() {
    let mut rng = Rng::new(1);
    let tape = Tape::eval();
    let x = tape.constant(Tensor::ones([2, 3], DType::F32));
    let inner = Linear::new(3, 3, &mut rng);
    let y = x.apply(&inner).value() + x.value();
    let around = Residual::new(inner.clone());
    assert_eq!(x.apply(&around).value().to_vec(), y.to_vec());
    assert_eq!(around.named_params()[0].0, "body.weight");
    assert_eq!(x.apply(&Concat { body: inner }).shape()[..], [2, 6]);
    assert_eq!(x.apply(&Identity).value().to_vec(), x.value().to_vec());
    let negative = tape.constant(Tensor::full([1, 2], -2.0, DType::F32));
    assert_eq!(negative.apply(&PRelu::new(1)).value().to_vec(), [-0.5, -0.5]);
}

/// A layer and a ReLU behind it, one after the other and by `apply_relu`: the output, the gradients and the buffers.
fn behind_relu(make: impl Fn(&mut Rng) -> Box<dyn Module>, x: &[usize], mode: Mode) {
    let run = |joined: bool| {
        let mut rng = Rng::new(5);
        let layer = make(&mut rng);
        let tape = Tape::train(0);
        tape.set_mode(mode);
        let x = Tensor::randn(x, 1.0, DType::F32, &mut rng);
        let leaf = tape.leaf(&x);
        let y = if joined { leaf.apply_relu(&layer) } else { leaf.apply(&layer).relu() };
        let dy = Tensor::randn(*y.shape(), 1.0, DType::F32, &mut rng).to_order(y.value().order());
        let grads = y.backward_from(&dy);
        let mut found = vec![y.value().to_vec(), grads[&x].to_vec()];
        layer.visit(&mut Path::default(), &mut |_, entry| match entry {
            Entry::Param(p) => found.push(grads.get(p).expect("a gradient").to_vec()),
            Entry::Buffer(b) => found.push(b.get().to_vec()),
            Entry::Place(_) => {}
        });
        found
    };
    let (joined, apart) = (run(true), run(false));
    assert!(joined[0].contains(&0.0) && joined[0].iter().any(|v| *v > 0.0), "the ReLU matters");
    assert_eq!(joined, apart);
}

#[test]
fn a_relu_behind_a_layer_may_be_applied_by_the_layer() {
    for mode in [Mode::Train, Mode::Test] {
        behind_relu(|rng| Box::new(Linear::new(12, 7, rng)), &[9, 12], mode);
        behind_relu(|rng| Box::new(Linear::no_bias(12, 7, rng)), &[2, 9, 12], mode);
        let same = Conv2dParams::same(3);
        behind_relu(move |rng| Box::new(Conv2d::new(3, 5, 3, same, rng)), &[2, 3, 6, 5], mode);
        let conv = move |rng: &mut Rng| Conv2d::new(3, 5, 3, same, rng).no_bias();
        behind_relu(move |rng| Box::new(conv(rng)), &[2, 3, 6, 5], mode);
        behind_relu(|_| Box::new(BatchNorm2d::new(3)), &[2, 3, 6, 5], mode);
        behind_relu(|_| Box::new(BatchNorm1d::new(12)), &[9, 12], mode);
        behind_relu(|_| Box::new(GroupNorm::new(2, 4)), &[2, 4, 3, 3], mode);
    }
}

#[test]
fn sequential_lets_layers_apply_the_relu_behind_them() {
    let net = || {
        let mut rng = Rng::new(0);
        let net = Sequential::on([3, 6, 6], &mut rng).conv2d(4, 3).batch_norm().relu();
        net.flatten().linear(8).relu().linear(3).build()
    };
    let x = Tensor::randn([5, 3, 6, 6], 1.0, DType::F32, &mut Rng::new(1));
    let tape = Tape::train(0);
    let joined = tape.constant(x.clone()).apply(&net());
    let nodes = tape.len();
    tape.clear();
    let apart = net().layers().iter().fold(tape.constant(x), |x, layer| x.apply(layer.as_ref()));
    assert_eq!(joined.value().to_vec(), apart.value().to_vec());
    assert_eq!(nodes + 2, tape.len(), "two ReLUs are no nodes of their own");
}
