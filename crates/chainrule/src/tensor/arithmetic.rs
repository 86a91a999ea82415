//! Arithmetic in place.

use super::{Tensor, float};
use crate::check;
use chainrule_kernels::{Real, elementwise};

impl Tensor {
    /// `self += factor other`, in place unless the storage is shared: `w.add_scaled(-learning_rate, &grads[&w])`.
    ///
    /// # Panics
    /// If the shapes or types differ.
    #[track_caller]
    pub fn add_scaled(&mut self, factor: f64, other: &Tensor) {
        let operands = [("self", &*self, ""), ("other", other, "")];
        if self.shape() != other.shape() {
            check::fail("add_scaled", "the shapes must be equal", &operands, "");
        }
        check::same_dtype("add_scaled", &operands);
        let other = other.to_order(self.order());
        float!(self.dtype(), T => {
            elementwise::add_scaled(T::from_f64(factor), other.data::<T>(), self.data_mut());
        });
    }
}
