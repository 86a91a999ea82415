//! Fully connected networks of any depth: gradients, overfitting, update rules, a search for hyperparameters.

mod overfit;
mod rules;
mod search;

use super::found::Found;
use super::{Cell, Context, Lab, gradients};
use anyhow::Result;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet};
use chainrule::tensor::{DType, Tensor};

pub const LAB: Lab = Lab {
    name: "fully-connected-nets",
    about: "gradients, overfitting, update rules, a search",
    title: "Fully connected networks",
    sources: &[
        include_str!("mod.rs"),
        include_str!("overfit.rs"),
        include_str!("rules.rs"),
        include_str!("search.rs"),
        include_str!("../gradients.rs"),
    ],
    seed: 231,
    cells: &[
        Cell {
            name: "initial-loss",
            title: "The first loss, and every gradient",
            prose: &[
                "A network of two hidden layers looks at two random inputs. Untrained, it knows nothing of ten classes, so its loss must \
                 be near ln 10 = 2.303; with regularization the squares of the weights come on top.",
                "Then each derivative is compared with a difference of two losses, a hundred-thousandth to either side. Only where a ReLU \
                 switches between the two may they disagree. What is left is rounding, which follows the order of additions: losses \
                 are the printed ones to the last digits, errors are of the printed size.",
            ],
            code: &["first-net", "gradient-errors"],
            run: initial_loss,
        },
        Cell {
            name: "overfit-three-layers",
            title: "Fifty pictures by heart, with three layers",
            prose: &[
                "A network that cannot learn fifty pictures by heart will not learn fifty thousand. Three layers of 100 units, plain \
                 stochastic gradient descent, twenty epochs: training accuracy must reach 100%.",
            ],
            code: &["overfit-three"],
            run: overfit::three_layers,
        },
        Cell {
            name: "overfit-five-layers",
            title: "Fifty pictures by heart, with five layers",
            prose: &[
                "The same with five layers. The scale of the first weights, 0.07 instead of 0.03, matters more than before.",
            ],
            code: &["overfit-five"],
            run: overfit::five_layers,
        },
        Cell {
            name: "update-rules",
            title: "Update rules, one step each",
            prose: &[
                "One step of momentum, RMSprop and Adam from a given state. The course compares with tables of eight decimals, so the error \
                 that it prints is the rounding of these tables: rounding our full numbers must give that very error again.",
            ],
            code: &["one-step"],
            run: rules::one_step,
        },
        Cell {
            name: "sgd-and-momentum",
            title: "Plain gradient descent and momentum",
            prose: &[
                "Six layers, 4,000 pictures, five epochs, the same learning rate: with and without momentum.",
            ],
            code: &["compare-rules"],
            run: rules::sgd_and_momentum,
        },
        Cell {
            name: "adam-and-rmsprop",
            title: "Adam and RMSprop",
            prose: &[
                "The same networks and pictures with rules that give each weight a step of its own size, beside the two before.",
            ],
            code: &["four-rules"],
            run: rules::adam_and_rmsprop,
        },
        Cell {
            name: "search",
            title: "Twenty-five random settings",
            prose: &[
                "Learning rate, weight scale and regularization are drawn evenly on a logarithmic scale, the share that dropout keeps on a \
                 linear one. Each setting trains a network of 200 and 150 units with batch normalization for fifteen epochs on 600 \
                 pictures, and is judged by its best validation accuracy.",
            ],
            code: &["draw", "trial"],
            run: search::search,
        },
        Cell {
            name: "best-model",
            title: "The best setting on all pictures",
            prose: &[
                "The course's best setting, with the full digits that it printed, on all training pictures.",
            ],
            code: &["best-model"],
            run: search::best_model,
        },
    ],
};

fn initial_loss(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let x = Tensor::from_f64([2, 15], &context.randn(2 * 15));
    let mut labels = Vec::new();
    context.rng.choice(10, 2, &mut labels);
    // The course's 3.14 is no pi.
    #[allow(clippy::approx_constant)]
    const PRINTED: [(f64, f64, [f64; 6]); 2] = [
        (0.0, 2.300479089768492, [1.03e-7, 2.21e-5, 4.56e-7, 4.66e-9, 2.09e-9, 1.69e-10]),
        (3.14, 7.052114776533016, [3.90e-9, 6.87e-8, 3.48e-8, 1.48e-8, 1.46e-9, 1.32e-10]),
    ];
    for (reg, loss, printed) in PRINTED {
        // show: first-net
        let config = FullyConnectedConfig {
            input_shape: vec![15],
            hidden: vec![20, 30],
            weight_scale: Some(5e-2),
            reg,
            dtype: DType::F64,
            ..FullyConnectedConfig::default()
        };
        let mut net = FullyConnectedNet::new(config, &mut context.rng);
        let errors = gradients::errors(&mut net, &x, &labels, 1e-5, &mut context.rng);
        // end
        errors.tell(&mut found, &format!("reg = {reg}"), loss, &printed);
    }
    Ok(found)
}
