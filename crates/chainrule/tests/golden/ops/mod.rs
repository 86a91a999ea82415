//! What runs each op of the files.

mod optim;
mod random;
mod tools;

use chainrule::tensor::Tensor;

use super::compare::{Out, Outputs};
use super::format::{Array, Case};

/// Runs a case: its results by name, or why it cannot be run.
pub type Run = fn(&Case) -> Result<Outputs, String>;

/// The runner of a kind of case, if it exists.
pub fn find(kind: &str) -> Option<Run> {
    Some(match kind {
        "rng.program" => random::program,
        "rng.hparam_search" => random::hparam_search,
        "fn.numerical_gradient" => tools::numerical,
        "fn.rel_error" => tools::relative,
        "fn.visualize_grid" => tools::grid,
        "optim.step" => optim::step,
        "optim.sequence" => optim::sequence,
        "torch.optim" => optim::torch,
        _ => return None,
    })
}

/// An input as a tensor (`f64`).
fn tensor(array: &Array) -> Tensor {
    Tensor::from_f64(&array.shape[..], &array.data)
}

/// A tensor as a result.
fn array(tensor: &Tensor) -> Out {
    Array::new(tensor.shape(), tensor.to_vec()).into()
}

/// Kinds of cases that wait for an op that the library does not have yet. They are counted and listed; any other unknown kind
/// fails.
pub const NOT_YET: &[&str] = &[
    "fn.affine",
    "fn.relu",
    "fn.affine_relu",
    "fn.softmax_loss",
    "fn.svm_loss",
    "fn.batchnorm",
    "fn.layernorm",
    "fn.dropout",
    "nb.batchnorm_train_stats",
    "nb.batchnorm_test_stats",
    "nb.layernorm_stats",
    "nb.dropout_stats",
    "net.fully_connected_cell",
    "solver.run/FullyConnectedNet",
    // Convolution and what goes with it.
    "fn.conv",
    "fn.conv_relu",
    "fn.conv_relu_pool",
    "fn.conv_bn_relu",
    "fn.max_pool",
    "fn.max_pool_ties",
    "fn.spatial_batchnorm",
    "fn.spatial_groupnorm",
    "fn.im2col",
    "nb.spatial_batchnorm_stats",
    "nb.spatial_batchnorm_test_stats",
    "nb.groupnorm_stats",
    "nb.filters_demo",
    "net.conv_cell",
    "solver.run/ThreeLayerConvNet",
    // The framework half.
    "torch.linear",
    "torch.conv2d",
    "torch.max_pool2d",
    "torch.avg_pool2d",
    "torch.adaptive_avg_pool2d",
    "torch.batch_norm1d",
    "torch.batch_norm2d",
    "torch.group_norm",
    "torch.layer_norm",
    "torch.cross_entropy",
    "torch.act.relu",
    "torch.act.leaky_relu",
    "torch.act.prelu",
    "torch.act.elu",
    "torch.act.gelu",
    "torch.act.silu",
    "torch.act.sigmoid",
    "torch.act.tanh",
    "torch.act.softmax",
    "torch.act.log_softmax",
    "torch.act.maxout",
    "torch.transforms",
    "torch.autograd",
    "torch.block.se",
    "torch.block.residual",
    "torch.block.dwsep",
    "torch.train/TwoLayerFC",
    "torch.train/ThreeLayerConvNet",
    "torch.train/ResNetCE",
];
