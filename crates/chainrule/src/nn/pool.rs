//! Pooling layers.

use super::{Module, Params};
use crate::ops::avg_pool2d::AvgPool2dParams;
use crate::ops::max_pool2d::MaxPool2dParams;
use crate::tape::Var;

/// The largest number of each window. `torch.nn.MaxPool2d`.
#[derive(Clone, Copy, Debug, Params)]
pub struct MaxPool2d {
    /// Window, stride and padding.
    #[params(skip)]
    pub params: MaxPool2dParams,
}

impl MaxPool2d {
    /// Square windows that touch.
    pub fn new(size: usize) -> MaxPool2d {
        MaxPool2d { params: MaxPool2dParams::new(size, size) }
    }
}

impl Module for MaxPool2d {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        x.max_pool2d(&self.params)
    }

    fn describe(&self) -> String {
        windows("MaxPool2d", self.params.kernel, self.params.stride)
    }
}

/// The mean of each window. `torch.nn.AvgPool2d`.
#[derive(Clone, Copy, Debug, Params)]
pub struct AvgPool2d {
    /// Window, stride and padding.
    #[params(skip)]
    pub params: AvgPool2dParams,
}

impl AvgPool2d {
    /// Square windows that touch.
    pub fn new(size: usize) -> AvgPool2d {
        AvgPool2d { params: AvgPool2dParams::new(size, size) }
    }
}

impl Module for AvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        x.avg_pool2d(&self.params)
    }

    fn describe(&self) -> String {
        windows("AvgPool2d", self.params.kernel, self.params.stride)
    }
}

/// The mean of each of so many bins, whatever the size of the pictures. `torch.nn.AdaptiveAvgPool2d`.
#[derive(Clone, Copy, Debug, Params)]
pub struct AdaptiveAvgPool2d {
    /// Rows and columns of bins; one of each is global averaging.
    #[params(skip)]
    pub output: [usize; 2],
}

impl Module for AdaptiveAvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        x.adaptive_avg_pool2d(self.output)
    }

    fn describe(&self) -> String {
        format!("AdaptiveAvgPool2d({}x{})", self.output[0], self.output[1])
    }
}

/// A pooling layer by its windows.
fn windows(name: &str, [h, w]: [usize; 2], stride: [usize; 2]) -> String {
    let stride = if stride == [h, w] { String::new() } else { format!(", stride {}", stride[0]) };
    format!("{name}({h}x{w}{stride})")
}
