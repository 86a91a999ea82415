//! Networks at three levels: bare tensors on a tape, modules, modules in a row; the course's residual network; an open challenge.

mod bare;
mod challenge;
mod data;
mod modules;
mod outcome;
mod resnet;
mod run;
mod tensors;

use super::{Cell, Lab};

pub const LAB: Lab = Lab {
    name: "frameworks",
    about: "three levels from tensors to Sequential, a residual net",
    title: "Networks at three levels",
    sources: &[
        include_str!("mod.rs"),
        include_str!("data.rs"),
        include_str!("tensors.rs"),
        include_str!("run.rs"),
        include_str!("bare.rs"),
        include_str!("modules.rs"),
        include_str!("resnet.rs"),
        include_str!("outcome.rs"),
        include_str!("challenge.rs"),
        include_str!("../../../../chainrule/src/models/course.rs"),
        include_str!("../../../../chainrule/src/models/resnet_ce.rs"),
    ],
    seed: 0,
    cells: &[
        Cell {
            name: "loading",
            title: "Pictures in batches of 64",
            prose: &[
                "The course's last notebook leaves its own layers for PyTorch's. Here we stay where we are: the tape, the modules and \
                 `Sequential` run the very layers of the other pages, and only the way to call them changes.",
                "Bytes become numbers between 0 and 1, less a mean and divided by a deviation for each channel. A loader shuffles and \
                 cuts them into batches.",
            ],
            code: &["loaders"],
            run: data::loading,
        },
        Cell {
            name: "flatten",
            title: "Pictures as rows",
            prose: &["A fully connected layer takes rows: all axes but the first become one."],
            code: &["flatten"],
            run: tensors::flatten,
        },
        Cell {
            name: "way-back",
            title: "The way back, found by itself",
            prose: &[
                "A tape remembers what was computed and how to go back. What is used several times gets the sum of its gradients, and \
                 what was stretched to a larger shape gets one of its own shape.",
            ],
            code: &["way-back"],
            run: tensors::way_back,
        },
        Cell {
            name: "initial-values",
            title: "How weights begin",
            prose: &[
                "Normal weights with a deviation of sqrt(2 / inputs) let signals pass a ReLU at the size they came with. PyTorch's layers \
                 begin smaller by default: uniform within 1 / sqrt(inputs), biases too.",
            ],
            code: &["random-weight", "initial-values"],
            run: tensors::initial_values,
        },
        Cell {
            name: "bare-shapes",
            title: "Level one: bare tensors",
            prose: &[
                "A network is a function of a batch and some tensors. Two layers without biases, and two convolutions below a linear \
                 layer; pictures of zeroes show that shapes fit.",
            ],
            code: &["two-layer-bare", "convnet-bare", "convnet-weights", "bare-shapes"],
            run: bare::shapes,
        },
        Cell {
            name: "bare-two-layers",
            title: "Level one: two layers, one epoch",
            prose: &[
                "Scores, loss, the way back, a step down each gradient: the whole loop. Four thousand hidden units, a learning rate of \
                 0.01.",
            ],
            code: &["train-bare", "check-accuracy", "two-layers-bare"],
            run: bare::two_layers,
        },
        Cell {
            name: "bare-convnet",
            title: "Level one: a convnet, one epoch",
            prose: &["The same loop with two convolutions of 32 and 16 filters, at 0.003."],
            code: &["convnet-bare-training"],
            run: bare::convnet,
        },
        Cell {
            name: "module-shapes",
            title: "Level two: modules",
            prose: &[
                "A module is a struct of layers that own their parameters, and a forward pass. Nothing is registered: \
                 `#[derive(Params)]` goes by the fields.",
            ],
            code: &[
                "struct TwoLayerFc",
                "impl Module for TwoLayerFc",
                "struct ThreeLayerConvModule",
                "impl Module for ThreeLayerConvModule",
                "module-shapes",
            ],
            run: modules::shapes,
        },
        Cell {
            name: "levels-agree",
            title: "Two levels, the same bits",
            prose: &[
                "A module and bare tensors of the same values on the same batch: loss and gradients must be equal, bit for bit, because \
                 the same layers compute them.",
            ],
            code: &["agree"],
            run: modules::agree,
        },
        Cell {
            name: "module-two-layers",
            title: "Level two: two layers, one epoch",
            prose: &[
                "An update rule takes the place of the step by hand. The loop no longer knows what it trains.",
            ],
            code: &["train-module", "kaiming", "two-layer-module"],
            run: modules::two_layers,
        },
        Cell {
            name: "module-convnet",
            title: "Level two: a convnet, one epoch",
            prose: &["The convnet as a module, at 0.003."],
            code: &["convnet-module"],
            run: modules::convnet,
        },
        Cell {
            name: "sequential-two-layers",
            title: "Level three: two layers in a row",
            prose: &[
                "What has one input and one output needs no struct. The chain infers each size, weights begin as PyTorch's do, and \
                 Nesterov's momentum makes the steps.",
            ],
            code: &["two-layers-in-a-row", "nesterov"],
            run: modules::two_layers_sequential,
        },
        Cell {
            name: "sequential-convnet",
            title: "Level three: a convnet in a row",
            prose: &["The best of the six: convolutions, and momentum."],
            code: &["convnet-in-a-row"],
            run: modules::convnet_sequential,
        },
        Cell {
            name: "resnet-parts",
            title: "ResNetCE, part by part",
            prose: &[
                "The course's answer to its open challenge: residual blocks with squeeze-and-excitation, and depthwise separable \
                 convolutions between the stages.",
            ],
            code: &[
                "impl Module for SqueezeExcite",
                "impl Module for ResidualBlock",
                "impl Module for DepthwiseSeparable",
                "impl Module for ResNetCe",
                "resnet-parts",
            ],
            run: resnet::parts,
        },
        Cell {
            name: "resnet-gradients",
            title: "The gradients of ResNetCE",
            prose: &[
                "The same network with a few channels, so that every number can be checked: against numerical derivatives, and 32 bits \
                 against 64.",
            ],
            code: &["resnet-gradients"],
            run: resnet::gradients,
        },
        Cell {
            name: "resnet-training",
            title: "ResNetCE, trained",
            prose: &[
                "AdamW at 0.001 with weight decay 0.05, batches of 64, ten epochs. Here a `Solver` has the loop: it measures, keeps the \
                 best, and writes checkpoints, so that a training that was stopped goes on.",
            ],
            code: &["resnet-training"],
            run: resnet::training,
        },
        Cell {
            name: "challenge",
            title: "The open challenge",
            prose: &[
                "At least 70% of the validation pictures within ten epochs, by any network. Ten epochs of the course's look at 490,000 \
                 pictures; ours may look at no more.",
            ],
            code: &["challenge"],
            run: challenge::challenge,
        },
    ],
};
