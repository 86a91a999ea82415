//! Pooling: windows of pictures become one number each, their largest or their mean.
//!
//! Pictures are seen as (outer, H, W, inner), the last contiguous: channels-last batches as (N, H, W, C), row-major ones as
//! (N C, H, W, 1). Nothing is ever converted. Loops run over `inner` where there are channels side by side, and along a row
//! where there are none.

mod avg;
mod max;
pub mod naive;
mod pairs;

pub use avg::{avg_pool, avg_pool_back};
pub use max::{Tap, max_pool, max_pool_back};

use std::ops::Range;

/// How the windows lie along one axis of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// Windows of `kernel` numbers, each `stride` after the one before, the first `pad` before the picture.
    Sliding {
        /// Numbers in a window.
        kernel: usize,
        /// From one window to the next.
        stride: usize,
        /// What is missing of the picture in front of it, and behind it.
        pad: usize,
    },
    /// Bins that cover the picture: bin i of o holds `floor(i size / o) .. ceil((i + 1) size / o)`.
    Bins,
}

/// One axis: of the picture and of what pooling makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The picture's extent.
    pub size: usize,
    /// The result's extent.
    pub out: usize,
    /// What lies between them.
    pub windows: Windows,
}

impl Axis {
    /// An axis of sliding windows: as many as fit between the ends of the padding. None if not one fits, if there is nothing
    /// to slide, or if a window could see nothing but padding (`pad` above half of `kernel`).
    pub fn sliding(size: usize, kernel: usize, stride: usize, pad: usize) -> Option<Axis> {
        let fits = kernel > 0 && stride > 0 && size > 0 && pad <= kernel / 2;
        let room = (size + 2 * pad).checked_sub(kernel).filter(|_| fits)?;
        let windows = Windows::Sliding { kernel, stride, pad };
        Some(Axis { size, out: room / stride + 1, windows })
    }

    /// An axis of `out` bins. None if there is nothing to put into a bin.
    pub fn bins(size: usize, out: usize) -> Option<Axis> {
        (size > 0 && out > 0).then_some(Axis { size, out, windows: Windows::Bins })
    }

    /// What window `i` sees of the picture.
    #[inline(always)]
    pub fn window(&self, i: usize) -> Range<usize> {
        match self.windows {
            Windows::Sliding { kernel, stride, pad } => {
                let from = i * stride;
                from.saturating_sub(pad)..(from + kernel - pad).min(self.size)
            }
            Windows::Bins => i * self.size / self.out..((i + 1) * self.size).div_ceil(self.out),
        }
    }

    /// The windows that see place `p` of the picture.
    #[inline(always)]
    pub fn seen_by(&self, p: usize) -> Range<usize> {
        match self.windows {
            Windows::Sliding { kernel, stride, pad } => {
                let first = (p + pad + 1).saturating_sub(kernel).div_ceil(stride);
                first..((p + pad) / stride + 1).min(self.out).max(first)
            }
            Windows::Bins => p * self.out / self.size..((p + 1) * self.out).div_ceil(self.size),
        }
    }

    /// The numbers of a window, padding and all; of a bin, what is in it.
    #[inline(always)]
    fn extent(&self, i: usize) -> usize {
        match self.windows {
            Windows::Sliding { kernel, .. } => kernel,
            Windows::Bins => self.window(i).len(),
        }
    }

    /// Where in window `i` place `p` of the picture is.
    #[inline(always)]
    fn place(&self, i: usize, p: usize) -> usize {
        match self.windows {
            Windows::Sliding { stride, pad, .. } => p + pad - i * stride,
            Windows::Bins => p - self.window(i).start,
        }
    }

    /// The most places a window has.
    fn places(&self) -> usize {
        match self.windows {
            Windows::Sliding { kernel, .. } => kernel,
            Windows::Bins => self.size.div_ceil(self.out) + 1,
        }
    }

    /// The windows that see a number at their place `v`, which the picture may not have.
    #[inline(always)]
    fn column(&self, v: usize) -> Option<Column> {
        let Windows::Sliding { stride, pad, .. } = self.windows else { return None };
        let from = pad.saturating_sub(v).div_ceil(stride);
        let to = (self.size + pad).saturating_sub(v).div_ceil(stride).min(self.out);
        let first = (from * stride + v).checked_sub(pad)?;
        (from < to).then_some(Column { windows: from..to, first, stride })
    }

    /// Whether windows slide: all are the same size.
    fn slides(&self) -> bool {
        self.windows != Windows::Bins
    }

    /// Whether windows of two touch without overlap or padding: what deserves a loop of its own.
    fn is_pairs(&self) -> bool {
        self.windows == Windows::Sliding { kernel: 2, stride: 2, pad: 0 }
    }
}

/// What a place of all windows of an axis sees: `windows` see numbers there, the first of them number `first` of the picture and
/// each further one `stride` numbers on.
struct Column {
    windows: Range<usize>,
    first: usize,
    stride: usize,
}

/// The sizes of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Pictures, or planes of a row-major batch.
    pub outer: usize,
    /// Rows.
    pub h: Axis,
    /// Columns.
    pub w: Axis,
    /// Numbers side by side at one place: channels, or 1.
    pub inner: usize,
}

impl PoolShape {
    /// Numbers in the pictures.
    pub fn input_len(&self) -> usize {
        self.outer * self.picture()
    }

    /// Numbers in the result.
    pub fn output_len(&self) -> usize {
        self.outer * self.h.out * self.row_out()
    }

    fn picture(&self) -> usize {
        self.h.size * self.row_in()
    }

    fn row_in(&self) -> usize {
        self.w.size * self.inner
    }

    fn row_out(&self) -> usize {
        self.w.out * self.inner
    }

    /// Places of a window that are told apart.
    pub fn taps(&self) -> usize {
        self.h.places() * self.w.places()
    }

    /// Rows of `len` numbers that one task takes, out of `rows`, each of which costs `cost` numbers of the pictures.
    fn task_rows(&self, cost: usize) -> usize {
        const TASK: usize = 8 * 1024;
        const ALONE: usize = 2 * TASK;
        if self.input_len() <= ALONE { usize::MAX } else { (TASK / cost.max(1)).max(1) }
    }
}

#[cfg(test)]
mod tests;
