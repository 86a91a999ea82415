//! Batch and layer normalization: statistics, gradients, and what they do for a training.

mod layers;
mod sizes;
mod training;

use super::{Cell, Lab};

pub const LAB: Lab = Lab {
    name: "batch-normalization",
    about: "statistics, gradients, weight scales, batch sizes",
    title: "Batch and layer normalization",
    sources: &[
        include_str!("mod.rs"),
        include_str!("layers.rs"),
        include_str!("training.rs"),
        include_str!("sizes.rs"),
        include_str!("../gradients.rs"),
    ],
    seed: 231,
    cells: &[
        Cell {
            name: "batch-norm-in-training",
            title: "Batch norm in training: means and standard deviations",
            prose: &[
                "Two hundred random inputs go through two layers; the three features that come out have all kinds of means and spreads. \
                 Batch norm must bring them to mean 0 and standard deviation 1, and then to the shift and scale it is given.",
            ],
            code: &["normalise"],
            run: layers::batch_in_training,
        },
        Cell {
            name: "batch-norm-in-testing",
            title: "Batch norm in testing: running averages",
            prose: &[
                "After fifty batches the running averages stand for mean and variance of all inputs, so that a batch in test mode comes out \
                 with means near 0 and deviations near 1, but not exactly.",
            ],
            code: &["fifty-batches"],
            run: layers::batch_in_testing,
        },
        Cell {
            name: "batch-norm-gradients",
            title: "The gradients of batch norm, and two ways to them",
            prose: &[
                "The derivatives for each input, scale and shift against numerical ones. Then the way back along the graph of \
                 computation, step by step, against the formula that remains when everything that cancels is cancelled: the same numbers, \
                 in less time.",
            ],
            code: &["two-ways"],
            run: layers::batch_gradients,
        },
        Cell {
            name: "network-gradients",
            title: "A whole network with batch norm",
            prose: &[
                "Every derivative of a network of two hidden layers with batch norm on two inputs. The errors of the first layers are \
                 large for a gradient check: with two inputs batch norm leaves only signs, and the true derivatives are tiny.",
            ],
            code: &["net-with-norm", "gradient-errors"],
            run: training::network_gradients,
        },
        Cell {
            name: "deep-network",
            title: "A deep network with and without",
            prose: &[
                "Six layers, 1,000 pictures, ten epochs with Adam. With batch norm the training accuracy rises faster.",
            ],
            code: &["with-and-without"],
            run: training::deep_network,
        },
        Cell {
            name: "weight-scales",
            title: "Batch norm and the scale of the first weights",
            prose: &[
                "Eight layers of 50 units, with and without batch norm, from weights of twenty scales between 0.0001 and 1.",
            ],
            code: &["scales"],
            run: training::weight_scales,
        },
        Cell {
            name: "batch-sizes",
            title: "Batch norm and the size of a batch",
            prose: &[
                "The statistics of a batch are the noisier the fewer examples it has. Batches of 5, 10 and 50, and without batch norm \
                 a batch of 5.",
            ],
            code: &["sizes"],
            run: sizes::batch,
        },
        Cell {
            name: "layer-norm",
            title: "Layer norm: means and standard deviations of rows",
            prose: &[
                "Layer norm takes its statistics from the features of one example, so that it knows no batch and has no mode.",
            ],
            code: &["layer-norm"],
            run: layers::layer_statistics,
        },
        Cell {
            name: "layer-norm-gradients",
            title: "The gradients of layer norm",
            prose: &["The derivatives for each input, scale and shift against numerical ones."],
            code: &["layer-norm-gradients"],
            run: layers::layer_gradients,
        },
        Cell {
            name: "layer-norm-batch-sizes",
            title: "Layer norm and the size of a batch",
            prose: &["The experiment with batch sizes once more, with layer norm."],
            code: &["sizes"],
            run: sizes::layer,
        },
    ],
};
