//! Weights in a file: safetensors, written so that a crash leaves either the old file or the new one.

use super::checkpoint::{System, replace};
use crate::data::files;
use crate::error::{Error, Result};
use crate::models::Model;
use crate::tensor::{DType, Order, Tensor, float};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Writes a file so that it is complete or absent: a temporary neighbour is written, flushed to disk and renamed, and the
/// directory is flushed too.
///
/// # Errors
/// What the file system says, with the path.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<()> {
    replace(&System, path, None, &|out| out.write_all(contents)).map_err(Error::io("write", path))
}

/// The most bytes before the numbers of a file of weights.
const LONGEST_HEAD: u64 = 1 << 20;

/// Every tensor of a model by name: parameters, then buffers.
fn tensors(model: &dyn Model) -> Vec<(String, Tensor)> {
    let params = model.params().iter().map(|p| (p.name.clone(), p.value.clone()));
    params.chain(model.buffers()).collect()
}

/// Writes a model's parameters and buffers, and `notes` as the file's metadata.
///
/// # Errors
/// If the file cannot be written.
pub fn save_weights(model: &dyn Model, notes: HashMap<String, String>, path: &Path) -> Result<()> {
    let bytes: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors(model)
        .into_iter()
        .map(|(name, t)| {
            let t = t.to_order(Order::RowMajor);
            let (dtype, bytes) = match t.dtype() {
                DType::F32 => {
                    (Dtype::F32, t.data::<f32>().iter().flat_map(|v| v.to_le_bytes()).collect())
                }
                DType::F64 => {
                    (Dtype::F64, t.data::<f64>().iter().flat_map(|v| v.to_le_bytes()).collect())
                }
            };
            (name, dtype, t.shape().to_vec(), bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, dtype, shape, data)| {
        TensorView::new(*dtype, shape.clone(), data).map(|view| (name.as_str(), view))
    });
    let broken = |e: safetensors::SafeTensorError| {
        Error::file(path, format!("cannot be put together ({e})"), "report this as a bug")
    };
    let views: Vec<_> = views.collect::<std::result::Result<_, _>>().map_err(broken)?;
    let contents = serialize(views, Some(notes)).map_err(broken)?;
    write_atomically(path, &contents)
}

/// Reads a file of [`save_weights`] into a model. Every tensor must be there with the model's shape and type, and no other.
///
/// # Errors
/// If the file cannot be read, is damaged, or is of another model. The model is then unchanged.
pub fn load_weights(model: &mut dyn Model, path: &Path) -> Result<()> {
    let wanted = tensors(model);
    let numbers: usize = wanted.iter().map(|(_, t)| t.len() * t.dtype().size()).sum();
    let room = LONGEST_HEAD + numbers as u64;
    let source = fs::File::open(path).map_err(Error::io("read", path))?;
    let contents = files::read_at_most(source, room).map_err(|fault| fault.of(path))?;
    let file = SafeTensors::deserialize(&contents).map_err(|e| {
        Error::file(
            path,
            format!("not a readable safetensors file ({e})"),
            "expected weights written by `chainrule train`",
        )
    })?;
    if let Some(name) = file.names().into_iter().find(|n| wanted.iter().all(|(w, _)| w != n)) {
        return Err(Error::file(
            path,
            format!("holds a tensor {name:?} that the model does not have"),
            "expected the weights of this model",
        ));
    }
    let mut loaded = Vec::with_capacity(wanted.len());
    for (name, old) in &wanted {
        loaded.push(
            read_tensor(&file, name, old)
                .map_err(|found| Error::file(path, found, "expected the weights of this model"))?,
        );
    }
    let buffers = loaded.split_off(model.params().len());
    model.params_mut().iter_mut().zip(loaded).for_each(|(p, t)| p.value = t);
    for ((name, _), t) in wanted[model.params().len()..].iter().zip(&buffers) {
        assert!(model.set_buffer(name, t), "{name}: a buffer the model just named");
    }
    Ok(())
}

fn read_tensor(
    file: &SafeTensors,
    name: &str,
    like: &Tensor,
) -> std::result::Result<Tensor, String> {
    let view = file.tensor(name).map_err(|_| format!("holds no tensor {name:?}"))?;
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        other => return Err(format!("{name} holds {other:?}")),
    };
    if view.shape() != &like.shape()[..] || dtype != like.dtype() {
        let (want, is) = (like.shape(), view.shape());
        return Err(format!(
            "{name} is {} {is:?}, the model's is {} {want:?}",
            dtype.name(),
            like.dtype().name()
        ));
    }
    let values: Vec<f64> = match dtype {
        DType::F32 => view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect(),
        DType::F64 => {
            view.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
        }
    };
    let mut t = Tensor::dirty(*like.shape(), dtype, Order::RowMajor);
    float!(dtype, T => {
        use chainrule_kernels::Real;
        t.data_mut::<T>().iter_mut().zip(values).for_each(|(t, v)| *t = T::from_f64(v));
    });
    Ok(t)
}
