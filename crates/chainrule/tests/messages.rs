//! What a user reads who makes a mistake with modules: over forty wrong shapes, types and settings, each message beside its mistake in
//! messages.txt. On a difference the messages of now are written beside the build, to be looked at and copied over.

use chainrule::models::ModuleModel;
use chainrule::nn::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm1d, BatchNorm2d, Concat, Conv2d, Dropout, GroupNorm,
    LayerNorm, Linear, MaxPool2d, Module, PRelu, Params, Residual, Sequential,
};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Params)]
struct Block {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl Module for Block {
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.conv).apply(&self.norm).relu()
    }
}

#[derive(Params)]
struct Net {
    blocks: Vec<Block>,
    fc: Linear,
}

impl Module for Net {
    fn forward(&self, x: &Var) -> Var {
        let x = x.apply(&self.blocks[0]).apply(&self.blocks[1]);
        x.flatten().apply(&self.fc)
    }
}

/// A net whose blocks take so many channels, and whose last layer takes so many features.
fn net(channels: [usize; 2], norm: usize, features: usize) -> Net {
    let rng = &mut Rng::new(0);
    let mut block = |inputs, norm| {
        let conv = Conv2d::new(inputs, 4, 3, Conv2dParams::same(3), rng).no_bias();
        Block { conv, norm: BatchNorm2d::new(norm) }
    };
    let blocks = vec![block(channels[0], 4), block(channels[1], norm)];
    let mut net = Net { blocks, fc: Linear::new(features, 10, &mut Rng::new(1)) };
    net.set_names();
    net
}

/// A layer deep inside of a net: `body.layers.1`.
#[derive(Params)]
struct Deep<M> {
    body: Inside<M>,
}

#[derive(Params)]
struct Inside<M> {
    layers: Vec<M>,
}

impl<M: Module> Module for Deep<M> {
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.body.layers[1])
    }
}

/// Runs a layer deep inside of a net on numbers of this shape and type.
fn deep(shape: &[usize], dtype: DType, layer: impl Fn() -> Box<dyn Module>) -> Var {
    let mut net = Deep { body: Inside { layers: vec![layer(), layer()] } };
    net.set_names();
    Tape::train(0).constant(Tensor::zeros(shape, dtype)).apply(&net)
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32)
}

/// Runs a module on zeroes of this shape.
fn on(shape: &[usize], module: impl Module) -> Var {
    Tape::train(0).constant(zeros(shape)).apply(&module)
}

type Mistake = (&'static str, Box<dyn Fn()>);

fn mistake<R>(what: &'static str, f: impl Fn() -> R + 'static) -> Mistake {
    (what, Box::new(move || drop(f())))
}

fn layers() -> Vec<Mistake> {
    let rng = || Rng::new(0);
    vec![
        mistake("too many features", move || on(&[2, 10], Linear::new(12, 8, &mut rng()))),
        mistake("pictures not flattened", move || {
            on(&[2, 3, 2, 2], Linear::new(12, 8, &mut rng()))
        }),
        mistake("no axis", move || on(&[], Linear::no_bias(3, 2, &mut rng()))),
        mistake("too many channels", move || {
            on(&[2, 16, 8, 8], Conv2d::new(32, 64, 3, Conv2dParams::same(3), &mut rng()))
        }),
        mistake("features in a convolution", move || {
            on(&[2, 12], Conv2d::new(3, 4, 5, Conv2dParams::new(2, 1), &mut rng()))
        }),
        mistake("a picture smaller than a filter", move || {
            on(&[2, 3, 2, 2], Conv2d::new(3, 4, 5, Conv2dParams::new(2, 0), &mut rng()))
        }),
        mistake("channels of a batch norm", || on(&[2, 5, 4, 4], BatchNorm2d::new(4))),
        mistake("pictures in a batch norm of features", || on(&[2, 5, 4, 4], BatchNorm1d::new(5))),
        mistake("a layer norm of other axes", || on(&[2, 5, 4], LayerNorm::new(&[5]))),
        mistake("channels of a group norm", || on(&[2, 6, 4, 4], GroupNorm::new(2, 8))),
        mistake("groups that do not divide", || GroupNorm::new(3, 8)),
        mistake("dropping everything", || Dropout::new(1.0)),
        mistake("a window larger than the picture", || on(&[2, 3, 4, 4], MaxPool2d::new(5))),
        mistake("slopes that are no channels", || on(&[2, 3], PRelu::new(2))),
        mistake("a shortcut around another shape", move || {
            on(&[2, 3], Residual::new(Linear::new(3, 4, &mut rng())))
        }),
        mistake("other pictures side by side", move || {
            let body = Conv2d::new(3, 4, 3, Conv2dParams::new(2, 1), &mut rng());
            on(&[2, 3, 4, 4], Concat { body })
        }),
        mistake("numbers of another type", move || {
            let x = Tape::train(0).constant(Tensor::zeros([2, 12], DType::F64));
            x.apply(&Linear::new(12, 8, &mut rng()))
        }),
    ]
}

fn networks() -> Vec<Mistake> {
    let rng = || Rng::new(0);
    let scores = || Tape::train(0).constant(zeros(&[2, 3]));
    vec![
        mistake("inside of a net: channels", || on(&[2, 3, 4, 4], net([3, 5], 4, 64))),
        mistake("inside of a net: a norm", || on(&[2, 3, 4, 4], net([3, 4], 7, 64))),
        mistake("inside of a net: features", || on(&[2, 3, 4, 4], net([3, 4], 4, 60))),
        mistake("linear before flatten", move || {
            Sequential::on([3, 8, 8], &mut rng()).conv2d(4, 3).linear(10).build()
        }),
        mistake("a convolution of features", move || {
            Sequential::on([12], &mut rng()).linear(8).conv2d(4, 3).build()
        }),
        mistake("a batch norm of sequences", move || {
            Sequential::on([5, 6], &mut rng()).batch_norm().build()
        }),
        mistake("pooling too small a picture", move || {
            Sequential::on([3, 4, 4], &mut rng()).conv2d(2, 3).max_pool2d(8).build()
        }),
        mistake("other inputs than it was built for", move || {
            on(&[2, 3, 8, 8], Sequential::on([3, 4, 4], &mut rng()).flatten().linear(2).build())
        }),
        mistake("a model without scores", move || {
            drop(ModuleModel::new(MaxPool2d::new(2), [3, 4, 4]))
        }),
        mistake("labels that are missing", move || scores().cross_entropy(&[0])),
        mistake("a label too large", move || scores().cross_entropy(&[0, 3])),
        mistake("the gradient of many numbers", move || {
            let tape = Tape::train(0);
            let fc = Linear::new(3, 2, &mut rng());
            tape.constant(zeros(&[2, 3])).apply(&fc).backward()
        }),
        mistake("the gradient of nothing", move || scores().cross_entropy(&[0, 1]).backward()),
    ]
}

fn places() -> Vec<Mistake> {
    fn at(
        dtype: DType,
        what: &'static str,
        shape: &'static [usize],
        layer: impl Fn(&mut Rng) -> Box<dyn Module> + Copy + 'static,
    ) -> Mistake {
        mistake(what, move || deep(shape, dtype, || layer(&mut Rng::new(0))))
    }
    let (f32, f64) = (DType::F32, DType::F64);
    vec![
        at(f32, "inside: a window", &[2, 3, 4, 4], |_| Box::new(MaxPool2d::new(5))),
        at(f32, "inside: pooling features", &[2, 12], |_| Box::new(MaxPool2d::new(2))),
        at(f32, "inside: means of a window", &[2, 3, 4, 2], |_| Box::new(AvgPool2d::new(3))),
        at(f32, "inside: bins of features", &[2, 12], |_| Box::new(AdaptiveAvgPool2d::new([1, 1]))),
        at(f32, "inside: slopes", &[2, 3, 4, 4], |_| Box::new(PRelu::new(4))),
        at(f32, "inside: a filter", &[2, 3, 2, 2], |rng| {
            Box::new(Conv2d::new(3, 4, 5, Conv2dParams::new(1, 1), rng))
        }),
        at(f32, "inside: a shortcut", &[2, 3], |rng| {
            Box::new(Residual::new(Linear::new(3, 1, rng)))
        }),
        at(f32, "inside: side by side", &[2, 3, 4, 4], |_| {
            Box::new(Concat { body: MaxPool2d::new(2) })
        }),
        at(f64, "inside: a type, linear", &[2, 3], |rng| Box::new(Linear::new(3, 1, rng))),
        at(f64, "inside: a type, conv", &[2, 3, 4, 4], |rng| {
            Box::new(Conv2d::new(3, 4, 3, Conv2dParams::same(3), rng).no_bias())
        }),
        at(f64, "inside: a type, batch norm", &[2, 3, 4, 4], |_| Box::new(BatchNorm2d::new(3))),
        at(f64, "inside: a type, layer norm", &[2, 3], |_| Box::new(LayerNorm::new(&[3]))),
        at(f64, "inside: a type, group norm", &[2, 4, 3, 3], |_| Box::new(GroupNorm::new(2, 4))),
        at(f64, "inside: a type, prelu", &[2, 4], |_| Box::new(PRelu::new(1))),
        mistake("a pool of a Sequential", || {
            let rng = &mut Rng::new(0);
            let net = Sequential::on([3, 8, 8], rng).conv2d(4, 3).relu().max_pool2d(4).build();
            on(&[2, 3, 2, 2], net)
        }),
        mistake("groups of a convolution", || {
            let params = Conv2dParams { groups: 2, ..Conv2dParams::same(3) };
            Conv2d::new(3, 4, 3, params, &mut Rng::new(0))
        }),
    ]
}

#[test]
fn mistakes_are_told_with_the_layer_and_its_place() {
    let mut found = String::new();
    for (what, f) in layers().into_iter().chain(networks()).chain(places()) {
        let payload = catch_unwind(AssertUnwindSafe(f)).expect_err(what);
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("?");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        found += &format!("# {what}\n{}\n\n", lines.join("\n"));
    }
    let expected = include_str!("messages.txt");
    if found != expected {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/messages.txt");
        std::fs::write(path, &found).expect("the build's own folder can be written");
        let line = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
        panic!("{line:?} differ, or one text is longer; {path} has the messages of now");
    }
}
