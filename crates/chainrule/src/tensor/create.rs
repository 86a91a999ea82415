//! Making tensors.

use super::{DType, Float, Order, Shape, Stored, Tensor, float};
use crate::rng::Rng;
use chainrule_kernels::{Buffer, Real};

impl Tensor {
    /// A row-major tensor with the values of `data`, in row-major order.
    ///
    /// # Panics
    /// If the number of values is not the number of elements of the shape.
    #[track_caller]
    pub fn new<T: Float>(shape: impl Into<Shape>, data: &[T]) -> Tensor {
        let shape = shape.into();
        assert_eq!(
            data.len(),
            shape.elements(),
            "the number of values for a tensor of shape {shape:?}"
        );
        Tensor { storage: T::wrap(Buffer::from_slice(data)), shape, order: Order::RowMajor }
    }

    /// A row-major tensor of `f64`.
    ///
    /// # Panics
    /// As [`Tensor::new`].
    #[track_caller]
    pub fn from_f64(shape: impl Into<Shape>, data: &[f64]) -> Tensor {
        Tensor::new(shape, data)
    }

    /// A scalar.
    pub fn scalar(value: f64, dtype: DType) -> Tensor {
        Tensor::full([], value, dtype)
    }

    /// A tensor of zeroes.
    pub fn zeros(shape: impl Into<Shape>, dtype: DType) -> Tensor {
        Tensor::full(shape, 0.0, dtype)
    }

    /// A tensor of ones.
    pub fn ones(shape: impl Into<Shape>, dtype: DType) -> Tensor {
        Tensor::full(shape, 1.0, dtype)
    }

    /// A tensor filled with one value.
    pub fn full(shape: impl Into<Shape>, value: f64, dtype: DType) -> Tensor {
        let mut t = Tensor::dirty(shape, dtype, Order::RowMajor);
        float!(dtype, T => t.data_mut::<T>().fill(T::from_f64(value)));
        t
    }

    /// For each label a row (classes) with 1 at its place and 0 elsewhere: (N, classes).
    ///
    /// # Panics
    /// If a label is not below `classes`.
    #[track_caller]
    pub fn one_hot(labels: &[usize], classes: usize, dtype: DType) -> Tensor {
        let mut t = Tensor::zeros([labels.len(), classes], dtype);
        float!(dtype, T => {
            for (row, label) in t.data_mut::<T>().chunks_exact_mut(classes.max(1)).zip(labels) {
                assert!(*label < classes, "one_hot: label {label} is not below {classes}");
                row[*label] = T::ONE;
            }
        });
        t
    }

    /// A tensor whose values are unspecified, for results that are about to be written in full.
    pub(crate) fn dirty(shape: impl Into<Shape>, dtype: DType, order: Order) -> Tensor {
        let shape = shape.into();
        let storage = float!(dtype, T => T::wrap(Buffer::dirty(shape.elements())));
        let order = if shape.len() == 4 { order } else { Order::RowMajor };
        Tensor { storage, shape, order }
    }

    /// A tensor of unspecified values like this one: shape, type and memory order.
    pub(crate) fn dirty_like(&self) -> Tensor {
        Tensor::dirty(self.shape, self.dtype(), self.order)
    }

    /// A tensor of zeroes like this one: shape, type and memory order.
    pub fn zeros_like(&self) -> Tensor {
        let mut t = self.dirty_like();
        float!(t.dtype(), T => t.data_mut::<T>().fill(T::ZERO));
        t
    }

    /// Normal values with mean 0 and standard deviation `std`, drawn in row-major order as `f64` and rounded to `dtype`.
    pub fn randn(shape: impl Into<Shape>, std: f64, dtype: DType, rng: &mut Rng) -> Tensor {
        let shape = shape.into();
        let mut values = vec![0.0; shape.elements()];
        rng.fill_normal(std, &mut values);
        Tensor::from_f64(shape, &values).to_dtype(dtype)
    }

    /// The same values as another type; `f64` to `f32` rounds to nearest.
    pub fn to_dtype(&self, dtype: DType) -> Tensor {
        if dtype == self.dtype() {
            return self.clone();
        }
        let mut to = Tensor::dirty(self.shape, dtype, self.order);
        float!(self.dtype(), S => float!(dtype, T => {
            let from = self.data::<S>();
            to.data_mut::<T>().iter_mut().zip(from).for_each(|(t, s)| *t = T::from_f64(s.to_f64()));
        }));
        to
    }

    /// The values as `f64` in row-major order, whatever the type and memory order.
    pub fn to_vec(&self) -> Vec<f64> {
        let t = self.to_order(Order::RowMajor);
        float!(t.dtype(), T => t.data::<T>().iter().map(|v| v.to_f64()).collect())
    }
}
