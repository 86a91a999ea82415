//! The sizes of a convolution.

/// The sizes of a convolution: x is (N, H, W, C) and w is (F, C/groups, KH, KW). Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// N, pictures in the batch.
    pub n: usize,
    /// C, channels of the input.
    pub c: usize,
    /// H, height of the input.
    pub h: usize,
    /// W, width of the input.
    pub w: usize,
    /// F, filters: channels of the output.
    pub filters: usize,
    /// KH, height of a filter.
    pub kh: usize,
    /// KW, width of a filter.
    pub kw: usize,
    /// From one output pixel to the next, in input pixels.
    pub stride: [usize; 2],
    /// Rows and columns of zeroes on each side.
    pub pad: [usize; 2],
    /// From one tap of a filter to the next, in input pixels.
    pub dilation: [usize; 2],
    /// Filters and channels fall into this many groups; a filter sees the channels of its own group.
    pub groups: usize,
}

/// Output pixels along one axis: `(size + 2 pad - dilation (kernel - 1) - 1) / stride + 1`, rounded down; `None` if the filter
/// does not fit into the padded input.
pub fn output_size(
    size: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    dilation: usize,
) -> Option<usize> {
    let span = dilation * (kernel - 1) + 1;
    Some((size + 2 * pad).checked_sub(span)? / stride + 1)
}

impl ConvShape {
    /// What is wrong with these sizes, if anything: the end of a sentence.
    pub fn problem(&self) -> Option<String> {
        let Self { c, filters, kh, kw, stride, dilation, groups, .. } = *self;
        if stride.contains(&0) || dilation.contains(&0) {
            return Some("stride and dilation must be at least 1".into());
        }
        if kh == 0 || kw == 0 || c == 0 || filters == 0 {
            return Some(format!(
                "{filters} filters of {kh} x {kw} on {c} channels are no filters"
            ));
        }
        if groups == 0 || c % groups != 0 || filters % groups != 0 {
            return Some(format!(
                "{c} channels and {filters} filters do not fall into {groups} groups"
            ));
        }
        let fits = |size, k, axis: usize| {
            output_size(size, k, stride[axis], self.pad[axis], dilation[axis]).is_some()
        };
        if !fits(self.h, kh, 0) || !fits(self.w, kw, 1) {
            let span = |k: usize, axis: usize| dilation[axis] * (k - 1) + 1;
            return Some(format!(
                "a filter that spans {} x {} does not fit into {} x {} with padding",
                span(kh, 0),
                span(kw, 1),
                self.h + 2 * self.pad[0],
                self.w + 2 * self.pad[1],
            ));
        }
        None
    }

    /// H', height of the output.
    pub fn out_h(&self) -> usize {
        output_size(self.h, self.kh, self.stride[0], self.pad[0], self.dilation[0]).unwrap_or(0)
    }

    /// W', width of the output.
    pub fn out_w(&self) -> usize {
        output_size(self.w, self.kw, self.stride[1], self.pad[1], self.dilation[1]).unwrap_or(0)
    }

    /// Numbers of x, (N, H, W, C).
    pub fn x_len(&self) -> usize {
        self.n * self.h * self.w * self.c
    }

    /// Numbers of w, (F, C/groups, KH, KW).
    pub fn w_len(&self) -> usize {
        self.filters * self.patch()
    }

    /// Numbers of y, (N, H', W', F).
    pub fn y_len(&self) -> usize {
        self.n * self.out_pixels() * self.filters
    }

    /// Pixels of one picture of the output.
    pub(super) fn out_pixels(&self) -> usize {
        self.out_h() * self.out_w()
    }

    /// Inputs that one output number sees: KH KW C/groups.
    pub(super) fn patch(&self) -> usize {
        self.kh * self.kw * self.c_group()
    }

    /// Channels of a group.
    pub(super) fn c_group(&self) -> usize {
        self.c / self.groups
    }

    /// Filters of a group.
    pub(super) fn f_group(&self) -> usize {
        self.filters / self.groups
    }

    /// The input row (`axis` 0) or column (`axis` 1) under tap `tap` of output `out`; `None` in the padding.
    #[inline(always)]
    pub(super) fn under(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let size = if axis == 0 { self.h } else { self.w };
        let place = out * self.stride[axis] + tap * self.dilation[axis];
        place.checked_sub(self.pad[axis]).filter(|i| *i < size)
    }

    /// Panics unless the sizes are sound and the slices have them.
    pub(super) fn check(&self, x: usize, w: usize, y: usize) {
        if let Some(problem) = self.problem() {
            panic!("convolution: {problem}");
        }
        assert_eq!(x, self.x_len(), "x is (N, H, W, C)");
        assert_eq!(w, self.w_len(), "w is (F, C/groups, KH, KW)");
        assert_eq!(y, self.y_len(), "y is (N, H', W', F)");
    }
}
