//! A checkpoint's bytes.
//!
//! ```text
//! offset    bytes
//! 0         8       "CHAINCKP"
//! 8         4       version of this format: 1
//! 12        4       h, the length of the head
//! 16        8       length of the whole file
//! 24        h       the head: JSON, everything but the large arrays, and a list of these
//! 24 + h            the arrays, one after the other, in the order of the list: f32 or f64
//! at end    4       CRC-32 (IEEE 802.3) of all bytes before it
//! ```
//! All numbers are little-endian. A file that is shorter or longer than it says, or whose checksum is another, is damaged: a
//! CRC-32 finds every flipped bit, every run of up to 32 wrong bits, and of anything else all but one in four thousand millions.
//! A cryptographic hash would find forgeries only if it were kept elsewhere, and take several times as long. Nothing is
//! allocated for what a file says beyond the length that it has.

use super::Checkpoint;
use crate::rng::RngState;
use crate::tensor::{DType, MAX_AXES, Order, Tensor, float};
use crate::train::{Best, SolverState};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Seek, SeekFrom, Write};

const MAGIC: &[u8; 8] = b"CHAINCKP";
const VERSION: u32 = 1;
/// Bytes before the head.
const START: u64 = 24;
/// Bytes of the checksum.
const END: u64 = 4;

/// Everything but the large arrays.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    program: String,
    config: String,
    model: String,
    rule: (String, String),
    rule_step: u64,
    options: Vec<(String, String)>,
    examples: [usize; 2],
    rng: RngState,
    waited: usize,
    has_best: bool,
    order: Vec<usize>,
    arrays: Vec<Entry>,
}

/// An array in the list.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    of: Part,
    name: String,
    f64: bool,
    channels_last: bool,
    shape: Vec<usize>,
}

/// What an array is part of.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Param,
    Buffer,
    Average,
    /// Of the update rule's memory of the parameter with this number.
    Rule(usize),
    BestParam,
    BestBuffer,
    Loss,
    TrainAccuracy,
    ValAccuracy,
}

impl Entry {
    fn of(part: Part, name: &str, t: &Tensor) -> Entry {
        Entry {
            of: part,
            name: name.to_string(),
            f64: t.dtype() == DType::F64,
            channels_last: t.order() == Order::ChannelsLast,
            shape: t.shape().to_vec(),
        }
    }

    fn dtype(&self) -> DType {
        if self.f64 { DType::F64 } else { DType::F32 }
    }

    /// The bytes it takes, if it can be a tensor.
    fn bytes(&self) -> Option<u64> {
        if self.shape.len() > MAX_AXES || (self.channels_last && self.shape.len() != 4) {
            return None;
        }
        let elements = self.shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s))?;
        u64::try_from(elements.checked_mul(self.dtype().size())?).ok()
    }
}

/// The arrays of a state with their places in the list.
fn arrays(state: &SolverState) -> Vec<(Entry, Tensor)> {
    let mut all = Vec::new();
    let mut add = |of: Part, name: &str, t: &Tensor| all.push((Entry::of(of, name, t), t.clone()));
    state.params.iter().for_each(|(name, t)| add(Part::Param, name, t));
    state.buffers.iter().for_each(|(name, t)| add(Part::Buffer, name, t));
    state.averages.iter().for_each(|t| add(Part::Average, "", t));
    for (i, slot) in state.optim.slots.iter().enumerate() {
        slot.iter().for_each(|(name, t)| add(Part::Rule(i), name, t));
    }
    if let Some(Best { params, buffers }) = &state.best {
        params.iter().for_each(|t| add(Part::BestParam, "", t));
        buffers.iter().for_each(|(name, t)| add(Part::BestBuffer, name, t));
    }
    let lists = [
        (Part::Loss, &state.losses),
        (Part::TrainAccuracy, &state.train_accuracy),
        (Part::ValAccuracy, &state.val_accuracy),
    ];
    lists.into_iter().for_each(|(of, v)| add(of, "", &Tensor::from_f64([v.len()], v)));
    all
}

/// Writes a checkpoint.
pub fn write(checkpoint: &Checkpoint, out: &mut dyn Write) -> io::Result<()> {
    let Checkpoint { state, config } = checkpoint;
    // No `..`: what is new in a state must get a place in the file. The arrays are listed above.
    let SolverState {
        model,
        params: _,
        buffers: _,
        averages: _,
        rule,
        optim,
        options,
        examples,
        rng,
        losses: _,
        train_accuracy: _,
        val_accuracy: _,
        best,
        waited,
        order,
    } = state;
    let (entries, tensors): (Vec<Entry>, Vec<Tensor>) = arrays(state).into_iter().unzip();
    let payload: u64 = entries.iter().filter_map(Entry::bytes).sum();
    let head = serde_json::to_vec(&Head {
        program: env!("CARGO_PKG_VERSION").to_string(),
        config: config.clone(),
        model: model.clone(),
        rule: rule.clone(),
        rule_step: optim.step,
        options: options.clone(),
        examples: *examples,
        rng: rng.clone(),
        waited: *waited,
        has_best: best.is_some(),
        order: order.clone(),
        arrays: entries,
    })?;
    let head_len = u32::try_from(head.len()).map_err(io::Error::other)?;
    let mut out = Summed { out, crc: crc32fast::Hasher::new() };
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&head_len.to_le_bytes())?;
    out.write_all(&(START + u64::from(head_len) + payload + END).to_le_bytes())?;
    out.write_all(&head)?;
    tensors.iter().try_for_each(|t| write_numbers(t, &mut out))?;
    let Summed { out, crc } = out;
    out.write_all(&crc.finalize().to_le_bytes())
}

/// Numbers that are turned into bytes at a time; they fit the first cache.
const CHUNK: usize = 1024;

fn write_numbers(t: &Tensor, out: &mut dyn Write) -> io::Result<()> {
    float!(t.dtype(), T => {
        let mut bytes = [0; CHUNK * size_of::<T>()];
        for part in t.data::<T>().chunks(CHUNK) {
            let room = bytes.as_chunks_mut::<{ size_of::<T>() }>().0;
            room.iter_mut().zip(part).for_each(|(b, v)| *b = v.to_le_bytes());
            out.write_all(&bytes[..size_of_val(part)])?;
        }
        Ok(())
    })
}

/// Passes bytes on and sums them up.
struct Summed<'a> {
    out: &'a mut dyn Write,
    crc: crc32fast::Hasher,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.crc.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// That a file has the length and the checksum that it should have. Returns its first bytes and its length.
pub fn verify(file: &mut (impl Read + Seek)) -> Result<([u8; START as usize], u64), String> {
    let len = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    if len < START + END {
        return Err(format!("is damaged: it is only {len} bytes long"));
    }
    let mut start = [0; START as usize];
    file.read_exact(&mut start).map_err(unreadable)?;
    if !start.starts_with(MAGIC) {
        return Err("is not a checkpoint, or damaged: it does not begin like one".to_string());
    }
    let said = u64::from(word(&start, 16)) | u64::from(word(&start, 20)) << 32;
    if said != len {
        return Err(format!("is damaged: it is {len} bytes long and should be {said}"));
    }
    if !has_its_sum(file, &start, len).map_err(unreadable)? {
        return Err("is damaged: its checksum is wrong".to_string());
    }
    Ok((start, len))
}

fn unreadable(e: io::Error) -> String {
    format!("cannot be read ({e})")
}

/// The number in bytes `at` to `at` + 3.
fn word(start: &[u8; START as usize], at: usize) -> u32 {
    u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]])
}

/// Reads a checkpoint. An error is what was found, as half of a sentence.
pub fn read(file: &mut (impl Read + Seek)) -> Result<Checkpoint, String> {
    let (start, len) = verify(file)?;
    let version = word(&start, 8);
    if version != VERSION {
        return Err(format!("has format {version}; this program reads format {VERSION}"));
    }
    let head_len = u64::from(word(&start, 12));
    if head_len > len - START - END {
        return Err("is damaged: its head is longer than the file".to_string());
    }
    file.seek(SeekFrom::Start(START)).map_err(unreadable)?;
    let mut head = vec![0; head_len as usize];
    file.read_exact(&mut head).map_err(unreadable)?;
    let head: Head = serde_json::from_slice(&head)
        .map_err(|e| format!("is damaged: its head is wrong ({e})"))?;
    let payload = head.arrays.iter().try_fold(0u64, |sum, a| sum.checked_add(a.bytes()?));
    if payload != Some(len - START - END - head_len) {
        return Err("is damaged: its arrays do not have the length they should".to_string());
    }
    assemble(head, file).map_err(unreadable)?
}

/// Reads on from `start` to the end, and compares the checksum.
fn has_its_sum(file: &mut impl Read, start: &[u8], len: u64) -> io::Result<bool> {
    let mut crc = crc32fast::Hasher::new();
    crc.update(start);
    let mut left = len - START - END;
    let mut piece = [0; 16 * 1024];
    while left > 0 {
        let n = left.min(piece.len() as u64) as usize;
        file.read_exact(&mut piece[..n])?;
        crc.update(&piece[..n]);
        left -= n as u64;
    }
    let mut sum = [0; END as usize];
    file.read_exact(&mut sum)?;
    Ok(u32::from_le_bytes(sum) == crc.finalize())
}

/// Puts the arrays into their places.
fn assemble(head: Head, file: &mut impl Read) -> io::Result<Result<Checkpoint, String>> {
    let Head {
        program: _,
        config,
        model,
        rule,
        rule_step,
        options,
        examples,
        rng,
        waited,
        has_best,
        order,
        arrays,
    } = head;
    let mut best = Best { params: Vec::new(), buffers: Vec::new() };
    let mut state = SolverState {
        model,
        params: Vec::new(),
        buffers: Vec::new(),
        averages: Vec::new(),
        rule,
        optim: crate::optim::State { step: rule_step, slots: Vec::new() },
        options,
        examples,
        rng,
        losses: Vec::new(),
        train_accuracy: Vec::new(),
        val_accuracy: Vec::new(),
        best: None,
        waited,
        order,
    };
    let most_slots = arrays.iter().filter(|a| a.of == Part::Param).count();
    for entry in arrays {
        let t = read_numbers(&entry, file)?;
        match entry.of {
            Part::Param => state.params.push((entry.name, t)),
            Part::Buffer => state.buffers.push((entry.name, t)),
            Part::Average => state.averages.push(t),
            Part::Rule(slot) if slot < most_slots => {
                let slots = &mut state.optim.slots;
                slots.resize_with(slots.len().max(slot + 1), Vec::new);
                slots[slot].push((entry.name, t));
            }
            Part::Rule(slot) => {
                return Ok(Err(format!("is damaged: it has state of parameter {slot}")));
            }
            Part::BestParam => best.params.push(t),
            Part::BestBuffer => best.buffers.push((entry.name, t)),
            Part::Loss => state.losses = t.to_vec(),
            Part::TrainAccuracy => state.train_accuracy = t.to_vec(),
            Part::ValAccuracy => state.val_accuracy = t.to_vec(),
        }
    }
    state.best = has_best.then_some(best);
    Ok(Ok(Checkpoint { state, config }))
}

fn read_numbers(entry: &Entry, file: &mut impl Read) -> io::Result<Tensor> {
    let order = if entry.channels_last { Order::ChannelsLast } else { Order::RowMajor };
    let mut t = Tensor::dirty(&entry.shape[..], entry.dtype(), order);
    float!(entry.dtype(), T => {
        let mut bytes = [0; CHUNK * size_of::<T>()];
        for part in t.data_mut::<T>().chunks_mut(CHUNK) {
            let bytes = &mut bytes[..size_of_val(part)];
            file.read_exact(bytes)?;
            let numbers = bytes.as_chunks::<{ size_of::<T>() }>().0;
            part.iter_mut().zip(numbers).for_each(|(v, b)| *v = T::from_le_bytes(*b));
        }
    });
    Ok(t)
}
