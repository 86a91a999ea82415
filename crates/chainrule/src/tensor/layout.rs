//! Shape and memory order: the same numbers seen or stored in another way.

use super::{Order, Shape, Tensor, float};
use chainrule_kernels::counting::count_reordering;
use chainrule_kernels::layout::transpose_all;

impl Tensor {
    /// The same values under another shape, in row-major order. Shares storage if this tensor is row-major.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        assert_eq!(
            shape.elements(),
            self.len(),
            "reshape of {:?} to {shape:?}: the number of elements",
            self.shape
        );
        let mut t = self.to_order(Order::RowMajor);
        t.shape = shape;
        t
    }

    /// Every axis but the first joined into one: (N, ...) to (N, D).
    ///
    /// # Panics
    /// If the tensor is a scalar.
    #[track_caller]
    pub fn flatten(&self) -> Tensor {
        let (n, d) = self.rows();
        self.reshape([n, d])
    }

    /// The first `n` entries of the first axis, copied.
    ///
    /// # Panics
    /// If there are fewer, or the tensor is a scalar.
    #[track_caller]
    pub fn first(&self, n: usize) -> Tensor {
        let (all, d) = self.rows();
        assert!(n <= all, "the first {n} of {:?}", self.shape);
        let shape = Shape::new(&[&[n], &self.shape[1..]].concat());
        let mut to = Tensor::dirty(shape, self.dtype(), self.order);
        float!(self.dtype(), T => to.data_mut::<T>().copy_from_slice(&self.data::<T>()[..n * d]));
        to
    }

    /// The same tensor stored in another order: a cheap clone if it is in that order already, else a copy.
    ///
    /// # Panics
    /// If channels-last is asked for and there are not four axes.
    #[track_caller]
    pub fn to_order(&self, order: Order) -> Tensor {
        if order == self.order {
            return self.clone();
        }
        assert_eq!(
            self.shape.len(),
            4,
            "only (N, C, H, W) has a channels-last order; the shape is {:?}",
            self.shape
        );
        let [c, hw] = [self.shape[1], self.shape[2] * self.shape[3]];
        if c <= 1 || hw <= 1 {
            // One channel or one pixel: both orders are the same.
            return Tensor { order, ..self.clone() };
        }
        count_reordering();
        let mut to = Tensor::dirty(self.shape, self.dtype(), order);
        // Per picture, either direction is the transposition of a matrix: (C, HW) to (HW, C) or back.
        let (rows, cols) = if order == Order::ChannelsLast { (c, hw) } else { (hw, c) };
        float!(self.dtype(), T => transpose_all(self.data::<T>(), to.data_mut::<T>(), rows, cols));
        to
    }

    /// Channels-last pictures (N, C, H, W) as a matrix (N H W, C) of one row a pixel. Shares storage.
    ///
    /// # Panics
    /// If they are in another order.
    #[track_caller]
    pub(crate) fn pixels(&self) -> Tensor {
        assert_eq!(self.order, Order::ChannelsLast, "pixels are rows of channels-last pictures");
        let [n, c, h, w] = self.shape[..] else { unreachable!("channels-last has four axes") };
        Tensor {
            storage: self.storage.clone(),
            shape: [n * h * w, c].into(),
            order: Order::RowMajor,
        }
    }

    /// Every axis but the first joined into one, in the order in which the numbers lie. Shares storage.
    ///
    /// # Panics
    /// If the tensor is a scalar.
    #[track_caller]
    pub(crate) fn rows_as_stored(&self) -> Tensor {
        let (n, d) = self.rows();
        Tensor { storage: self.storage.clone(), shape: [n, d].into(), order: Order::RowMajor }
    }

    /// A matrix of pixels (N H W, C), or of pictures (N, H W C), as channels-last pictures of this shape (N, C, H, W). Takes the
    /// storage over.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    #[track_caller]
    pub(crate) fn into_pictures(self, shape: Shape) -> Tensor {
        assert_eq!((shape.len(), shape.elements()), (4, self.len()), "pictures of these pixels");
        Tensor { storage: self.storage, shape, order: Order::ChannelsLast }
    }

    /// The matrix with rows and columns exchanged: (M, N) to (N, M).
    ///
    /// # Panics
    /// If there are not two axes.
    #[track_caller]
    pub fn transpose(&self) -> Tensor {
        assert_eq!(self.shape.len(), 2, "transpose needs a matrix; the shape is {:?}", self.shape);
        let (rows, cols) = (self.shape[0], self.shape[1]);
        let mut to = Tensor::dirty([cols, rows], self.dtype(), Order::RowMajor);
        float!(self.dtype(), T => transpose_all(self.data::<T>(), to.data_mut::<T>(), rows, cols));
        to
    }
}
