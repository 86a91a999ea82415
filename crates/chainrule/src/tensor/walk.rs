//! How tensors of different shapes walk side by side: broadcasting, sums over axes, permutations, parts.

use super::{MAX_AXES, Order, Shape, Tensor, float};
use crate::check::{self, Operand};
use chainrule_kernels::reduce::middle_sums;
use chainrule_kernels::strided::{self, Strided};

/// The axes from the outermost in memory to the innermost.
pub(crate) fn memory_axes(order: Order, axes: usize) -> impl DoubleEndedIterator<Item = usize> {
    let last: [usize; MAX_AXES] = match order {
        Order::RowMajor => [0, 1, 2, 3, 4, 5],
        Order::ChannelsLast => [0, 2, 3, 1, 4, 5],
    };
    last.into_iter().take(axes)
}

/// The shape that two shapes are broadcast to: aligned at their last axes, sizes are equal or one of them is 1.
///
/// # Panics
/// If they do not fit, as the op that has these operands.
#[track_caller]
pub(crate) fn broadcast(op: &str, a: &Shape, b: &Shape, operands: &[Operand]) -> Shape {
    let axes = a.len().max(b.len());
    let mut sizes = [1; MAX_AXES];
    for (i, size) in sizes[..axes].iter_mut().enumerate() {
        let of = |s: &Shape| (i + s.len()).checked_sub(axes).map_or(1, |i| s[i]);
        *size = match (of(a), of(b)) {
            (a, b) if a == b || b == 1 => a,
            (1, b) => b,
            (a, b) => {
                let reason = format!(
                    "sizes {a} and {b} do not go together; aligned at the last axis, sizes must be equal or one of them 1"
                );
                check::fail(op, reason, operands, "")
            }
        };
    }
    Shape::new(&sizes[..axes])
}

impl Tensor {
    /// The distance in memory between neighbours along each axis of `shape`, which this tensor is broadcast to: 0 where it is
    /// repeated.
    pub(crate) fn strides_in(&self, shape: &Shape) -> [usize; MAX_AXES] {
        let own = self.order().strides(self.shape());
        let before = shape.len() - self.shape().len();
        let mut strides = [0; MAX_AXES];
        for (axis, size) in self.shape().iter().enumerate() {
            strides[before + axis] = if *size == 1 { 0 } else { own[axis] };
        }
        strides
    }

    /// This tensor repeated to a shape that it can be broadcast to, in the memory order asked for.
    pub(crate) fn spread_to(&self, shape: &Shape, order: Order) -> Tensor {
        if self.shape() == shape {
            return if shape.len() == 4 { self.to_order(order) } else { self.clone() };
        }
        let mut y = Tensor::dirty(*shape, self.dtype(), order);
        let strides = self.strides_in(shape);
        let (sizes, [steps]) = in_memory_order(y.order(), shape, [strides]);
        let at = Strided::new(&sizes[..shape.len()], [&steps[..shape.len()]]);
        float!(self.dtype(), T => strided::read(&at, self.data::<T>(), y.data_mut()));
        y
    }

    /// The sum over the axes for which `over` is true; these have size 1 in the result, which keeps the memory order.
    pub(crate) fn sum_axes(&self, over: [bool; MAX_AXES]) -> Tensor {
        let shape = *self.shape();
        // Axes side by side in memory that are all summed, or all kept, are one.
        let (mut sizes, mut groups) = ([(1, false); MAX_AXES], 0);
        for axis in memory_axes(self.order(), shape.len()) {
            if groups == 0 || sizes[groups - 1].1 != over[axis] {
                groups += 1;
                sizes[groups - 1] = (1, over[axis]);
            }
            sizes[groups - 1].0 *= shape[axis];
        }
        let mut kept = [1; MAX_AXES];
        (0..shape.len()).filter(|a| !over[*a]).for_each(|a| kept[a] = shape[a]);
        let kept = Shape::new(&kept[..shape.len()]);
        let mut x = self.clone();
        // From the innermost group of summed axes out.
        while let Some(i) = sizes.iter().rposition(|(_, summed)| *summed) {
            let (n, _) = std::mem::replace(&mut sizes[i], (1, false));
            let size = |part: &[(usize, bool)]| part.iter().map(|(s, _)| s).product::<usize>();
            let (outer, inner) = (size(&sizes[..i]), size(&sizes[i..]));
            let mut y = Tensor::dirty([outer * inner], x.dtype(), Order::RowMajor);
            float!(x.dtype(), T => middle_sums(x.data::<T>(), n, inner, y.data_mut()));
            x = y;
        }
        x.seen_as(kept, self.order())
    }

    /// The same memory under a shape and order that describe it.
    fn seen_as(mut self, shape: Shape, order: Order) -> Tensor {
        self.order = if shape.len() == 4 { order } else { Order::RowMajor };
        self.shape = shape;
        self
    }

    /// The sum of what was repeated when a tensor of `shape` was broadcast to this one's: the gradient's way back.
    pub(crate) fn sum_to(&self, shape: &Shape) -> Tensor {
        if self.shape() == shape {
            return self.clone();
        }
        let before = self.shape().len() - shape.len();
        let mut over = [false; MAX_AXES];
        for axis in 0..self.shape().len() {
            over[axis] = axis < before || (shape[axis - before] == 1 && self.shape()[axis] != 1);
        }
        self.sum_axes(over).reshape(*shape)
    }
}

/// Sizes and strides from the outermost axis in memory to the innermost.
pub(crate) fn in_memory_order<const K: usize>(
    order: Order,
    shape: &Shape,
    strides: [[usize; MAX_AXES]; K],
) -> ([usize; MAX_AXES], [[usize; MAX_AXES]; K]) {
    let (mut sizes, mut sorted) = ([1; MAX_AXES], [[0; MAX_AXES]; K]);
    for (to, axis) in memory_axes(order, shape.len()).enumerate() {
        sizes[to] = shape[axis];
        (0..K).for_each(|k| sorted[k][to] = strides[k][axis]);
    }
    (sizes, sorted)
}
