//! Where a tensor's numbers are: one buffer of either type. Private to the tensor; `Float` is how others name the type.

use super::DType;
use chainrule_kernels::{Buffer, Element};

#[derive(Clone, Debug)]
pub enum Storage {
    F32(Buffer<f32>),
    F64(Buffer<f64>),
}

/// Access to the storage of one element type.
pub trait Stored: Sized + Element {
    const DTYPE: DType;
    fn get(storage: &Storage) -> Option<&Buffer<Self>>;
    fn get_mut(storage: &mut Storage) -> Option<&mut Buffer<Self>>;
    fn wrap(buffer: Buffer<Self>) -> Storage;
}

macro_rules! stored {
    ($t:ty, $name:ident) => {
        impl Stored for $t {
            const DTYPE: DType = DType::$name;
            fn get(storage: &Storage) -> Option<&Buffer<$t>> {
                if let Storage::$name(b) = storage { Some(b) } else { None }
            }
            fn get_mut(storage: &mut Storage) -> Option<&mut Buffer<$t>> {
                if let Storage::$name(b) = storage { Some(b) } else { None }
            }
            fn wrap(buffer: Buffer<$t>) -> Storage {
                Storage::$name(buffer)
            }
        }
    };
}
stored!(f32, F32);
stored!(f64, F64);
