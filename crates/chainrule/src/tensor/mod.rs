//! Tensors: dense arrays of `f32` or `f64` with up to six axes.
//!
//! A [`Tensor`] knows its type, shape and memory order at run time. Its storage is reference-counted: a clone is cheap, writing
//! to an unshared tensor happens in place, writing to a shared one copies first. To the user a batch of pictures is
//! (N, C, H, W) whatever its [`Order`]; kernels pick the order that is fastest, and elementwise operations keep it.

mod arithmetic;
mod create;
mod layout;
mod print;
mod shape;
mod storage;
pub(crate) mod walk;

use chainrule_kernels::Real;
pub use shape::{MAX_AXES, Order, Shape};
use storage::{Storage, Stored};

/// The type of a tensor's elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DType {
    /// 32-bit floating point: training.
    F32,
    /// 64-bit floating point: checking.
    F64,
}

impl DType {
    /// The name as options and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// Bytes an element takes.
    pub fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::F64 => 8,
        }
    }
}

/// A type that tensors can hold: `f32` or `f64`.
#[allow(private_bounds)]
pub trait Float: Real + Stored {}
impl Float for f32 {}
impl Float for f64 {}

/// A dense array of numbers. See the [module](self).
#[derive(Clone)]
pub struct Tensor {
    storage: Storage,
    shape: Shape,
    order: Order,
}

impl Tensor {
    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.elements()
    }

    /// Whether there are no elements: an axis has size 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        match self.storage {
            Storage::F32(_) => DType::F32,
            Storage::F64(_) => DType::F64,
        }
    }

    /// How the elements lie in memory.
    pub fn order(&self) -> Order {
        self.order
    }

    /// The elements in memory order.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    #[track_caller]
    pub fn data<T: Float>(&self) -> &[T] {
        match T::get(&self.storage) {
            Some(buffer) => buffer,
            None => wrong_type::<T>(self),
        }
    }

    /// The elements in memory order, for writing. Copies first if the storage is shared.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    #[track_caller]
    pub fn data_mut<T: Float>(&mut self) -> &mut [T] {
        if self.dtype() != T::DTYPE {
            wrong_type::<T>(self);
        }
        match T::get_mut(&mut self.storage) {
            Some(buffer) => buffer.make_mut(),
            None => unreachable!("the type was checked"),
        }
    }

    /// The sizes of the first axis and of all others together: how fully connected layers see a batch. (N, D).
    ///
    /// # Panics
    /// If the tensor is a scalar.
    #[track_caller]
    pub fn rows(&self) -> (usize, usize) {
        assert!(!self.shape.is_empty(), "a scalar has no rows");
        (self.shape[0], self.shape[1..].iter().product())
    }

    /// The only element.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(&self) -> f64 {
        assert_eq!(self.len(), 1, "item() needs one element; the shape is {:?}", self.shape);
        float!(self.dtype(), T => self.data::<T>()[0].to_f64())
    }

    /// Whether all elements are finite numbers.
    pub fn is_finite(&self) -> bool {
        float!(self.dtype(), T => chainrule_kernels::reduce::all_finite(self.data::<T>()))
    }

    /// The element at these indices, whatever the memory order.
    ///
    /// # Panics
    /// If there are not as many indices as axes, or one is too large.
    #[track_caller]
    pub fn at(&self, index: &[usize]) -> f64 {
        let inside = index.len() == self.shape.len()
            && index.iter().zip(&self.shape[..]).all(|(i, s)| i < s);
        assert!(inside, "index {index:?} is outside of {:?}", self.shape);
        let strides = self.order.strides(&self.shape);
        let at: usize = index.iter().zip(strides).map(|(i, s)| i * s).sum();
        float!(self.dtype(), T => self.data::<T>()[at].to_f64())
    }
}

#[track_caller]
#[cold]
fn wrong_type<T: Float>(t: &Tensor) -> ! {
    panic!("the tensor holds {}, not {}", t.dtype().name(), T::DTYPE.name())
}

/// Runs an expression with `T` standing for the element type of a [`DType`]: `float!(x.dtype(), T => x.data::<T>().len())`.
/// The one place where a type known at run time becomes a type of the program.
#[macro_export]
macro_rules! float {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::tensor::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::tensor::DType::F64 => {
                type $t = f64;
                $body
            }
        }
    };
}
pub use float;

#[cfg(test)]
mod tests;
