//! Convolutional networks: the layers in loops and as the library has them, their gradients, a network of three layers, and
//! normalization of pictures.

mod layers;
mod network;
mod norms;

use super::{Cell, Lab};

pub const LAB: Lab = Lab {
    name: "convolutional-networks",
    about: "convolution, pooling, three layers, normalization",
    title: "Convolutional networks",
    sources: &[
        include_str!("mod.rs"),
        include_str!("layers.rs"),
        include_str!("network.rs"),
        include_str!("norms.rs"),
        include_str!("../gradients.rs"),
    ],
    seed: 231,
    cells: &[
        Cell {
            name: "convolution",
            title: "Convolution in loops",
            prose: &[
                "Every output is a sum over a window of the picture, in seven nested loops. Small inputs with even spaces between \
                 their numbers make outputs that are known. What a convolution does to a photograph has a page of its own: \
                 `chainrule lab image-processing`.",
            ],
            code: &["convolution"],
            run: layers::convolution,
        },
        Cell {
            name: "convolution-gradients",
            title: "The gradients of convolution",
            prose: &["The derivatives for each input, filter and bias against numerical ones."],
            code: &["convolution-gradients"],
            run: layers::convolution_gradients,
        },
        Cell {
            name: "max-pooling",
            title: "Max pooling in loops",
            prose: &[
                "Of each window the largest number stays. The gradient goes to where it was; of equal ones to the first.",
            ],
            code: &["pooling"],
            run: layers::pooling,
        },
        Cell {
            name: "fast-layers",
            title: "Loops against the library's own",
            prose: &[
                "The same layers without loops over windows: convolution as products of matrices, pooling row by row. The results \
                 are the same up to rounding; the times are not.",
            ],
            code: &[],
            run: layers::fast,
        },
        Cell {
            name: "sandwiches",
            title: "Layers in one: convolution, ReLU, pooling",
            prose: &[
                "Layers that often follow one another are one op, and its gradients are checked as such.",
            ],
            code: &["sandwich"],
            run: layers::sandwiches,
        },
        Cell {
            name: "first-loss",
            title: "A network of three layers, and its first loss",
            prose: &[
                "A convolution with ReLU and pooling, a hidden layer, scores. With tiny weights all ten classes are equally likely, so \
                 that the loss is the logarithm of 10, and a little more with regularization.",
            ],
            code: &["first-loss"],
            run: network::first_loss,
        },
        Cell {
            name: "network-gradients",
            title: "The gradients of the network",
            prose: &[
                "Every derivative of a small one in double precision. With weights of 0.001 most of them are so small that rounding shows.",
            ],
            code: &["small-net", "gradient-errors"],
            run: network::gradients,
        },
        Cell {
            name: "overfit",
            title: "A hundred pictures by heart",
            prose: &[
                "A network that cannot learn a hundred pictures by heart has a mistake in it. Fifteen epochs; validation pictures gain little.",
            ],
            code: &["overfit"],
            run: network::overfit,
        },
        Cell {
            name: "one-epoch",
            title: "One epoch on all pictures, and the first filters",
            prose: &[
                "Five hundred hidden units, one pass over the training pictures. The filters of the first layer are pictures themselves.",
            ],
            code: &["one-epoch"],
            run: network::one_epoch,
        },
        Cell {
            name: "spatial-batch-norm",
            title: "Batch norm of pictures: means and standard deviations",
            prose: &[
                "For pictures the statistics are those of a channel, over all pictures and places: a filter looks for the same thing \
                 everywhere.",
            ],
            code: &["spatial-batch-norm"],
            run: norms::batch_in_training,
        },
        Cell {
            name: "spatial-batch-norm-in-testing",
            title: "Batch norm of pictures in testing",
            prose: &["After fifty batches the running averages stand for mean and variance."],
            code: &["fifty-batches"],
            run: norms::batch_in_testing,
        },
        Cell {
            name: "spatial-batch-norm-gradients",
            title: "The gradients of batch norm of pictures",
            prose: &["The derivatives for each input, scale and shift against numerical ones."],
            code: &["spatial-gradients"],
            run: norms::batch_gradients,
        },
        Cell {
            name: "group-norm",
            title: "Group norm: between layer and batch norm",
            prose: &[
                "Statistics of groups of channels of one picture: no batch is needed, and channels of another kind are left out.",
            ],
            code: &["group-norm"],
            run: norms::group_statistics,
        },
        Cell {
            name: "group-norm-gradients",
            title: "The gradients of group norm",
            prose: &["The derivatives for each input, scale and shift against numerical ones."],
            code: &["group-gradients"],
            run: norms::group_gradients,
        },
    ],
};
