//! Weights in files: safetensors, or NumPy's .npz, by the name's ending. Written so that a crash leaves either the old file or the
//! new one.
//!
//! Names, shapes and layouts are the model's: those of modules are PyTorch's, so that its `load_state_dict(..., strict=True)`
//! takes what is written here. What counts (`num_batches_tracked`) is an `i64` in files, as it is there.

mod npz;

use super::checkpoint::{System, replace};
use crate::data::files;
use crate::error::{Error, Result};
use crate::models::Model;
use crate::nn::{Entry, EntryMut, Params, Path as Within};
use crate::tensor::{DType, Order, Tensor, float};
use npz::Npz;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::HashMap;
use std::path::Path;

/// The most bytes of a file of weights that are not their numbers.
const LONGEST_HEAD: u64 = 1 << 20;

/// Writes a file so that it is complete or absent: a temporary neighbour is written, flushed to disk and renamed, and the
/// directory is flushed too.
///
/// # Errors
/// What the file system says, with the path.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<()> {
    replace(&System, path, None, &|out| out.write_all(contents)).map_err(Error::io("write", path))
}

/// Every tensor of a model by name: parameters, then buffers.
fn tensors(model: &dyn Model) -> Vec<(String, Tensor)> {
    let params = model.params().iter().map(|p| (p.name.clone(), p.value.clone()));
    params.chain(model.buffers()).collect()
}

/// Writes a model's parameters and buffers, and `notes` as the file's metadata (safetensors; .npz has no place for them).
///
/// # Errors
/// If the file cannot be written, or its name ends in neither `.safetensors` nor `.npz`.
pub fn save_weights(model: &dyn Model, notes: HashMap<String, String>, path: &Path) -> Result<()> {
    write(&tensors(model), notes, path)
}

/// Reads a file of [`save_weights`] into a model, or one that another program wrote with the model's names. Every tensor must be
/// there with the model's shape and type, and no other.
///
/// # Errors
/// If the file cannot be read, is damaged, or is of another model. The model is then unchanged.
pub fn load_weights(model: &mut dyn Model, path: &Path) -> Result<()> {
    let wanted = tensors(model);
    let mut loaded = read(&wanted, path)?;
    let buffers = loaded.split_off(model.params().len());
    model.params_mut().iter_mut().zip(loaded).for_each(|(p, t)| p.value = t);
    for ((name, _), t) in wanted[model.params().len()..].iter().zip(&buffers) {
        assert!(model.set_buffer(name, t), "{name}: a buffer the model just named");
    }
    Ok(())
}

/// Every tensor of a module by name, in the order of a visit.
fn tensors_of(module: &dyn Params) -> Vec<(String, Tensor)> {
    let mut found = Vec::new();
    module.visit(&mut Within::default(), &mut |name, entry| match entry {
        Entry::Param(p) => found.push((name.to_string(), p.value().clone())),
        Entry::Buffer(b) => found.push((name.to_string(), b.get())),
        Entry::Place(_) => {}
    });
    found
}

/// Writes a module's parameters and buffers, as [`save_weights`] does a model's.
///
/// # Errors
/// As [`save_weights`].
pub fn save_module(module: &dyn Params, path: &Path) -> Result<()> {
    write(&tensors_of(module), HashMap::new(), path)
}

/// Reads a file into a module, as [`load_weights`] does into a model.
///
/// # Errors
/// As [`load_weights`]. The module is then unchanged.
pub fn load_module(module: &mut dyn Params, path: &Path) -> Result<()> {
    let mut loaded = read(&tensors_of(module), path)?.into_iter();
    let mut next = || loaded.next().expect("one for each that was asked for");
    module.visit_mut(&mut Within::default(), &mut |_, entry| match entry {
        EntryMut::Param(p) => *p.value_mut() = next(),
        EntryMut::Buffer(b) => b.set(next()),
        EntryMut::Place(_) => {}
    });
    Ok(())
}

/// Whether a tensor counts, so that it is whole numbers in files.
fn counts(name: &str) -> bool {
    name.rsplit('.').next() == Some("num_batches_tracked")
}

/// The two forms of files.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    SafeTensors,
    Npz,
}

fn form(path: &Path) -> Result<Form> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("safetensors") => Ok(Form::SafeTensors),
        Some("npz") => Ok(Form::Npz),
        _ => {
            let want = "expected a name that ends in .safetensors or .npz";
            Err(Error::file(path, "has no ending that says its format", want))
        }
    }
}

/// A tensor as a file has it, in numbers that hold each of its values.
struct Stored {
    /// NumPy's name of the type: `f4`, `f8`, `i8`.
    kind: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// A tensor's type in files, its shape and its bytes, row-major.
fn packed(name: &str, t: &Tensor) -> (&'static str, Vec<usize>, Vec<u8>) {
    let t = t.to_order(Order::RowMajor);
    let (kind, bytes) = match t.dtype() {
        _ if counts(name) => {
            ("i8", t.to_vec().iter().flat_map(|v| (*v as i64).to_le_bytes()).collect())
        }
        DType::F32 => ("f4", t.data::<f32>().iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::F64 => ("f8", t.data::<f64>().iter().flat_map(|v| v.to_le_bytes()).collect()),
    };
    (kind, t.shape().to_vec(), bytes)
}

fn write(tensors: &[(String, Tensor)], notes: HashMap<String, String>, path: &Path) -> Result<()> {
    let form = form(path)?;
    let broken = |what: String| {
        Error::file(path, format!("cannot be put together ({what})"), "report this as a bug")
    };
    let packed = tensors.iter().map(|(name, t)| {
        let (kind, shape, bytes) = packed(name, t);
        (name.clone(), kind, shape, bytes)
    });
    let packed: Vec<_> = packed.collect();
    let contents = match form {
        Form::Npz => npz::write(&packed).map_err(broken)?,
        Form::SafeTensors => {
            let views = packed.iter().map(|(name, kind, shape, data)| {
                let dtype = match *kind {
                    "i8" => Dtype::I64,
                    "f4" => Dtype::F32,
                    _ => Dtype::F64,
                };
                TensorView::new(dtype, shape.clone(), data).map(|view| (name.as_str(), view))
            });
            let views: Vec<_> =
                views.collect::<std::result::Result<_, _>>().map_err(|e| broken(e.to_string()))?;
            serialize(views, Some(notes)).map_err(|e| broken(e.to_string()))?
        }
    };
    write_atomically(path, &contents)
}

/// The tensors of a file that are wanted, and that there are no others.
fn read(wanted: &[(String, Tensor)], path: &Path) -> Result<Vec<Tensor>> {
    let form = form(path)?;
    let numbers: usize = wanted.iter().map(|(_, t)| t.len() * t.dtype().size()).sum();
    let room = LONGEST_HEAD + numbers as u64;
    let source = files::regular(path, "expected a file of weights")?;
    let contents = files::read_at_most(source, room).map_err(|fault| fault.of(path))?;
    let unfit = |found: String| Error::file(path, found, "expected the weights of this model");
    let all = |names: &[&str],
               tensor: &dyn Fn(&str, usize) -> std::result::Result<Stored, String>| {
        if let Some(name) = names.iter().find(|n| wanted.iter().all(|(w, _)| w != **n)) {
            return Err(unfit(format!("holds a tensor {name:?} that the model does not have")));
        }
        let one = |(name, like): &(String, Tensor)| {
            tensor(name, like.len()).and_then(|stored| fitted(name, stored, like)).map_err(unfit)
        };
        wanted.iter().map(one).collect()
    };
    match form {
        Form::Npz => {
            let file = Npz::open(&contents).map_err(|found| {
                Error::file(path, found, "expected an archive as `numpy.savez` writes it")
            })?;
            all(&file.names().collect::<Vec<_>>(), &|name, most| file.tensor(name, most))
        }
        Form::SafeTensors => {
            let file = SafeTensors::deserialize(&contents).map_err(|e| {
                Error::file(
                    path,
                    format!("not a readable safetensors file ({e})"),
                    "expected weights written by `chainrule train`",
                )
            })?;
            let names = file.names();
            all(&names, &|name, _| from_safetensors(&file, name))
        }
    }
}

fn from_safetensors(file: &SafeTensors, name: &str) -> std::result::Result<Stored, String> {
    let view = file.tensor(name).map_err(|_| format!("holds no tensor {name:?}"))?;
    let data = view.data();
    let (kind, values) = match view.dtype() {
        Dtype::F32 => {
            ("f4", data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect())
        }
        Dtype::F64 => ("f8", data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
        Dtype::I64 => {
            ("i8", data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect())
        }
        other => return Err(format!("{name} holds {other:?}")),
    };
    Ok(Stored { kind: kind.to_string(), shape: view.shape().to_vec(), values })
}

/// A tensor of a file, if it is like the model's.
fn fitted(name: &str, stored: Stored, like: &Tensor) -> std::result::Result<Tensor, String> {
    let own = match like.dtype() {
        DType::F32 => "f4",
        DType::F64 => "f8",
    };
    // Counts are whole numbers in other programs, and were numbers of the model's type in our own once.
    let kinds: &[&str] = if counts(name) { &["i8", "f4", "f8"] } else { &[own] };
    if stored.shape[..] != like.shape()[..] || !kinds.contains(&&stored.kind[..]) {
        let kind = match &stored.kind[..] {
            "f4" => "f32",
            "f8" => "f64",
            _ => "i64",
        };
        let (is, want) = (&stored.shape, like.shape());
        return Err(format!(
            "{name} is {kind} {is:?}, the model's is {} {want:?}",
            like.dtype().name()
        ));
    }
    let mut t = Tensor::dirty(*like.shape(), like.dtype(), Order::RowMajor);
    float!(like.dtype(), T => {
        use chainrule_kernels::Real;
        t.data_mut::<T>().iter_mut().zip(stored.values).for_each(|(t, v)| *t = T::from_f64(v));
    });
    Ok(t)
}
