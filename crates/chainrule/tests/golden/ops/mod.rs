//! What runs each op of the files.

mod cells;
mod conv_net;
mod framework;
mod layers;
mod metrics;
mod net;
mod optim;
mod picture_cells;
mod pictures;
mod random;
mod solver;
mod tools;
mod torch;
mod torch_pictures;

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
        "fn.affine" => layers::affine,
        "fn.relu" => layers::relu,
        "fn.affine_relu" => layers::affine_relu,
        "fn.softmax_loss" => layers::softmax_loss,
        "fn.svm_loss" => layers::svm_loss,
        "fn.batchnorm" => layers::batchnorm,
        "fn.layernorm" => layers::layernorm,
        "fn.dropout" => layers::dropout,
        "fn.conv" => pictures::conv,
        "fn.conv_relu" | "fn.conv_relu_pool" => pictures::conv_relu_pool,
        "fn.conv_bn_relu" => pictures::conv_bn_relu,
        "fn.spatial_groupnorm" => pictures::spatial_groupnorm,
        "fn.im2col" => pictures::im2col,
        "fn.max_pool" => pictures::max_pool,
        "fn.max_pool_ties" => pictures::max_pool_ties,
        "fn.spatial_batchnorm" => pictures::spatial_batchnorm,
        "nb.filters_demo" => pictures::filters_demo,
        "nb.batchnorm_train_stats" => cells::batchnorm_train,
        "nb.batchnorm_test_stats" => cells::batchnorm_test,
        "nb.layernorm_stats" => cells::layernorm,
        "nb.spatial_batchnorm_stats" => picture_cells::spatial_batchnorm,
        "nb.spatial_batchnorm_test_stats" => picture_cells::spatial_batchnorm_test,
        "nb.groupnorm_stats" => picture_cells::groupnorm,
        "nb.dropout_stats" => cells::dropout_stats,
        "fn.numerical_gradient" => tools::numerical,
        "fn.rel_error" => tools::relative,
        "fn.visualize_grid" => tools::grid,
        "optim.step" => optim::step,
        "optim.sequence" => optim::sequence,
        "torch.optim" => optim::torch,
        "net.fully_connected_cell" => net::fully_connected,
        "net.conv_cell" => conv_net::cell,
        "solver.run/FullyConnectedNet" => solver::fully_connected,
        "solver.run/ThreeLayerConvNet" => solver::three_layer_conv,
        "metrics.classes" => metrics::classes,
        "torch.linear" => torch::linear,
        "torch.conv2d" => torch_pictures::conv2d,
        "torch.avg_pool2d" => torch_pictures::avg_pool2d,
        "torch.adaptive_avg_pool2d" => torch_pictures::adaptive_avg_pool2d,
        "torch.block.dwsep" => torch_pictures::dwsep,
        "torch.group_norm" => torch_pictures::group_norm,
        "torch.max_pool2d" => torch_pictures::max_pool2d,
        "torch.batch_norm2d" => torch_pictures::batch_norm2d,
        "torch.layer_norm" => torch::layer_norm,
        "torch.batch_norm1d" => torch::batch_norm1d,
        "torch.cross_entropy" => torch::cross_entropy,
        "torch.cross_entropy/sum" | "torch.cross_entropy/none" | "torch.cross_entropy/weighted" => {
            framework::cross_entropy
        }
        "torch.act.softmax" | "torch.act.log_softmax" => framework::softmax,
        "torch.autograd" => framework::autograd,
        "torch.transforms" => framework::transforms,
        "torch.block.se" | "torch.block.residual" => framework::block,
        "torch.train/TwoLayerFC" | "torch.train/ThreeLayerConvNet" | "torch.train/ResNetCE" => {
            framework::train
        }
        "torch.act.prelu" => torch::prelu,
        "torch.act.maxout" => torch::maxout,
        "torch.act.relu"
        | "torch.act.leaky_relu"
        | "torch.act.elu"
        | "torch.act.gelu"
        | "torch.act.silu"
        | "torch.act.sigmoid"
        | "torch.act.tanh" => torch::activation,
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
pub const NOT_YET: &[&str] = &[];
