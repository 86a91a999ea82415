//! Pooling layers.

use super::{Module, Params, Place, misfit, too_large};
use crate::ops::avg_pool2d::AvgPool2dParams;
use crate::ops::max_pool2d::MaxPool2dParams;
use crate::tape::Var;

/// The largest number of each window. `torch.nn.MaxPool2d`.
#[derive(Clone, Debug, Params)]
pub struct MaxPool2d {
    /// Window, stride and padding.
    #[params(skip)]
    pub params: MaxPool2dParams,
    #[params(flat)]
    place: Place,
}

impl MaxPool2d {
    /// Square windows that touch.
    pub fn new(size: usize) -> MaxPool2d {
        MaxPool2d::with(MaxPool2dParams::new(size, size))
    }

    /// Windows with settings.
    pub fn with(params: MaxPool2dParams) -> MaxPool2d {
        MaxPool2d { params, place: Place::default() }
    }
}

impl Module for MaxPool2d {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let MaxPool2dParams { kernel, pad, .. } = self.params;
        check("max_pool2d", x, [kernel, pad], self);
        x.max_pool2d(&self.params)
    }

    fn describe(&self) -> String {
        windows("MaxPool2d", self.params.kernel, self.params.stride)
    }
}

/// The mean of each window. `torch.nn.AvgPool2d`.
#[derive(Clone, Debug, Params)]
pub struct AvgPool2d {
    /// Window, stride and padding.
    #[params(skip)]
    pub params: AvgPool2dParams,
    #[params(flat)]
    place: Place,
}

impl AvgPool2d {
    /// Square windows that touch.
    pub fn new(size: usize) -> AvgPool2d {
        AvgPool2d::with(AvgPool2dParams::new(size, size))
    }

    /// Windows with settings.
    pub fn with(params: AvgPool2dParams) -> AvgPool2d {
        AvgPool2d { params, place: Place::default() }
    }
}

impl Module for AvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let AvgPool2dParams { kernel, pad, .. } = self.params;
        check("avg_pool2d", x, [kernel, pad], self);
        x.avg_pool2d(&self.params)
    }

    fn describe(&self) -> String {
        windows("AvgPool2d", self.params.kernel, self.params.stride)
    }
}

/// The mean of each of so many bins, whatever the size of the pictures. `torch.nn.AdaptiveAvgPool2d`.
#[derive(Clone, Debug, Params)]
pub struct AdaptiveAvgPool2d {
    /// Rows and columns of bins; one of each is global averaging.
    #[params(skip)]
    pub output: [usize; 2],
    #[params(flat)]
    place: Place,
}

impl AdaptiveAvgPool2d {
    /// So many rows and columns of bins.
    pub fn new(output: [usize; 2]) -> AdaptiveAvgPool2d {
        AdaptiveAvgPool2d { output, place: Place::default() }
    }
}

impl Module for AdaptiveAvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        check("adaptive_avg_pool2d", x, [[1; 2], [0; 2]], self);
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

/// Panics unless x are pictures with room for a window.
#[track_caller]
fn check(op: &str, x: &Var, [kernel, pad]: [[usize; 2]; 2], module: &dyn Module) {
    let reason = match x.shape()[..] {
        [_, _, h, w] => match too_large(kernel, [h, w], pad) {
            None => return,
            Some(reason) => format!("a window of {reason}"),
        },
        _ => "x must be pictures (N, C, H, W)".to_string(),
    };
    misfit(op, reason, (x, "N C H W"), module);
}
