//! TensorBoard's event files, written.
//!
//! A file is a row of records, each `length (u64), masked crc of the length, data, masked crc of the data`, little-endian; the
//! crc is CRC-32C (Castagnoli), rotated and shifted by a constant. The data of a record is an `Event` in protocol buffers:
//! wall time, step, and a summary of one tagged value (a scalar, an image, or a histogram). Field numbers are those of
//! TensorFlow's `event.proto`, `summary.proto` and `histogram.proto`. TensorBoard finds files whose names contain `tfevents`.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A histogram has so many buckets of equal width, unless all values are the same.
const BUCKETS: usize = 64;

/// An event file that is being written.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
    /// The event that is being put together, kept for its allocation.
    event: Vec<u8>,
}

impl EventWriter {
    /// Starts a new file in a directory, which may hold other ones: TensorBoard shows all of them as one run. Steps after
    /// `first_step` that an earlier file of the directory holds are no longer shown; 0 for a training that starts anew.
    ///
    /// # Errors
    /// If the file cannot be created or written.
    pub fn create(directory: &Path, first_step: u64) -> Result<EventWriter> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Ten digits of seconds sort by time; the rest tells files of one second apart.
        let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
        let name = format!("events.out.tfevents.{seconds:010}.{nanos:09}.{}", std::process::id());
        let path = directory.join(name);
        let file = BufWriter::new(File::create(&path).map_err(Error::io("create", &path))?);
        let mut writer = EventWriter { path, file, event: Vec::new() };
        writer.record(0, |event| proto::bytes(event, 3, b"brain.Event:2"))?;
        if first_step > 0 {
            // SessionLog { status: START }, from which TensorBoard forgets what came later before.
            writer.record(first_step, |event| {
                proto::message(event, 7, |log| proto::varint_field(log, 1, 1))
            })?;
        }
        Ok(writer)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One number of a curve. Slashes in the tag make groups.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.value(tag, step, |summary| proto::float(summary, 2, value as f32))
    }

    /// A picture, as the bytes of a PNG file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn image(
        &mut self,
        tag: &str,
        step: u64,
        width: u32,
        height: u32,
        png: &[u8],
    ) -> Result<()> {
        self.value(tag, step, |summary| {
            proto::message(summary, 4, |image| {
                proto::varint_field(image, 1, u64::from(height));
                proto::varint_field(image, 2, u64::from(width));
                proto::varint_field(image, 3, 3); // red, green, blue
                proto::bytes(image, 4, png);
            });
        })
    }

    /// How values are spread. Those that are not finite are left out; nothing is written if none is left.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn histogram(&mut self, tag: &str, step: u64, values: &[f64]) -> Result<()> {
        let Some(h) = Histogram::of(values) else { return Ok(()) };
        self.value(tag, step, |summary| {
            proto::message(summary, 5, |histo| {
                let sums =
                    [h.min, h.max, h.counts.iter().sum::<u64>() as f64, h.sum, h.sum_squares];
                sums.into_iter()
                    .enumerate()
                    .for_each(|(i, v)| proto::double(histo, 1 + i as u64, v));
                proto::doubles(histo, 6, &h.limits);
                let counts: Vec<f64> = h.counts.iter().map(|n| *n as f64).collect();
                proto::doubles(histo, 7, &counts);
            });
        })
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(Error::io("write", &self.path))
    }

    /// An event whose summary holds one value.
    fn value(&mut self, tag: &str, step: u64, kind: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.record(step, |event| {
            proto::message(event, 5, |summary| {
                proto::message(summary, 1, |value| {
                    proto::bytes(value, 1, tag.as_bytes());
                    kind(value);
                });
            });
        })
    }

    fn record(&mut self, step: u64, what: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = std::mem::take(&mut self.event);
        event.clear();
        proto::double(&mut event, 1, now.as_secs_f64());
        proto::varint_field(&mut event, 2, step);
        what(&mut event);
        let length = (event.len() as u64).to_le_bytes();
        let parts = [&length[..], &masked_crc(&length), &event, &masked_crc(&event)];
        let written = parts.into_iter().try_for_each(|part| self.file.write_all(part));
        self.event = event;
        written.map_err(Error::io("write", &self.path))
    }
}

/// Counts of values in buckets of equal width.
struct Histogram {
    min: f64,
    max: f64,
    sum: f64,
    sum_squares: f64,
    /// The upper edge of each bucket.
    limits: Vec<f64>,
    counts: Vec<u64>,
}

impl Histogram {
    fn of(values: &[f64]) -> Option<Histogram> {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let (min, max) =
            finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if min > max {
            return None;
        }
        let buckets = if min < max { BUCKETS } else { 1 };
        // Halves keep the width finite when the values span the whole range of numbers.
        let half = (0.5 * max - 0.5 * min) / buckets as f64;
        let mut counts = vec![0; buckets];
        for v in finite() {
            let place = if half > 0.0 { (0.5 * v - 0.5 * min) / half } else { 0.0 };
            counts[(place as usize).min(buckets - 1)] += 1;
        }
        let edge = |i: usize| {
            let part = i as f64 / buckets as f64;
            min * (1.0 - part) + max * part
        };
        Some(Histogram {
            min,
            max,
            sum: finite().sum(),
            sum_squares: finite().map(|v| v * v).sum(),
            limits: (1..=buckets).map(edge).collect(),
            counts,
        })
    }
}

/// The wire format of protocol buffers, as far as events need it.
mod proto {
    fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
        varint(out, field << 3 | wire);
    }

    fn varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    pub fn varint_field(out: &mut Vec<u8>, field: u64, value: u64) {
        key(out, field, 0);
        varint(out, value);
    }

    pub fn double(out: &mut Vec<u8>, field: u64, value: f64) {
        key(out, field, 1);
        out.extend(value.to_le_bytes());
    }

    pub fn float(out: &mut Vec<u8>, field: u64, value: f32) {
        key(out, field, 5);
        out.extend(value.to_le_bytes());
    }

    pub fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
        key(out, field, 2);
        varint(out, value.len() as u64);
        out.extend(value);
    }

    /// Several doubles, packed.
    pub fn doubles(out: &mut Vec<u8>, field: u64, values: &[f64]) {
        key(out, field, 2);
        varint(out, 8 * values.len() as u64);
        values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    }

    /// A message within a message: its length is known once it is written, so that it moves up to make room for it.
    pub fn message(out: &mut Vec<u8>, field: u64, fill: impl FnOnce(&mut Vec<u8>)) {
        key(out, field, 2);
        let start = out.len();
        fill(out);
        let mut length = Vec::with_capacity(10);
        varint(&mut length, (out.len() - start) as u64);
        out.splice(start..start, length);
    }
}

/// CRC-32C with the polynomial 0x1EDC6F41, bits reversed, a byte at a time.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, byte| CRC_TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize] ^ crc >> 8)
}

/// The crc as records hold it: a crc of data that holds crcs would be weak.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes()
}

#[cfg(test)]
mod tests;
