//! NumPy's .npz: a zip archive with one .npy a tensor, as `numpy.savez` writes it and `numpy.load` reads it.
//!
//! Of zip we write members that are stored, and read those that are stored or deflated (`savez_compressed`), by the directory at
//! the end of the file; no encryption, no several disks, nothing of 4 GB. Of .npy: `f4`, `f8` and `i8`, little-endian, in either
//! order. Every length is checked against what is left, a member's checksum is compared, and a member is unpacked only as far as
//! the tensor that is asked for is long, so a small file cannot become a large one.
//!
//! Sources: PKWARE, APPNOTE.TXT 6.3.3, sections 4.3 and 4.4; NumPy Enhancement Proposal 1.

use super::Stored;
use flate2::read::DeflateDecoder;
use std::io::Read;

/// The longest header of a .npy that is read.
const LONGEST_HEADER: usize = 4096;
/// The most members of an archive.
const MOST_MEMBERS: usize = 65_535;

/// An archive that was read: what its directory says.
pub struct Npz<'a> {
    bytes: &'a [u8],
    members: Vec<Member>,
}

struct Member {
    name: String,
    method: u16,
    checksum: u32,
    packed: usize,
    unpacked: usize,
    offset: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    let size = u32_at(bytes, at)?;
    // The mark of a size that stands elsewhere because it is larger.
    (size != u32::MAX).then_some(size as usize)
}

impl<'a> Npz<'a> {
    /// Reads the directory.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(bytes: &'a [u8]) -> Result<Npz<'a>, String> {
        let members = directory(bytes).ok_or("not a whole zip archive of less than 4 GB")?;
        Ok(Npz { bytes, members })
    }

    /// The names of the tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|m| m.name.as_str())
    }

    /// The tensor of this name, if it has at most `most` numbers.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn tensor(&self, name: &str, most: usize) -> Result<Stored, String> {
        let member = self.members.iter().find(|m| m.name == name);
        let member = member.ok_or_else(|| format!("holds no tensor {name:?}"))?;
        let limit = most.saturating_mul(8).saturating_add(LONGEST_HEADER);
        if member.unpacked > limit {
            return Err(format!(
                "{name} has {} bytes, the model's at most {limit}",
                member.unpacked
            ));
        }
        let contents = self.unpack(member).ok_or_else(|| format!("{name} is damaged"))?;
        array(&contents, most).map_err(|what| format!("{name}: {what}"))
    }

    /// A member's contents, if they are as long as the directory says and have its checksum.
    fn unpack(&self, member: &Member) -> Option<Vec<u8>> {
        let header = self.bytes.get(member.offset..)?;
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        let names = usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
        let packed = header.get(30 + names..)?.get(..member.packed)?;
        let contents = match member.method {
            0 => packed.to_vec(),
            8 => {
                let mut contents = Vec::new();
                let most = member.unpacked as u64 + 1;
                DeflateDecoder::new(packed).take(most).read_to_end(&mut contents).ok()?;
                contents
            }
            _ => return None,
        };
        let whole = contents.len() == member.unpacked;
        (whole && crc32fast::hash(&contents) == member.checksum).then_some(contents)
    }
}

/// The members of the directory, found by the record at the end, which a comment may follow.
fn directory(bytes: &[u8]) -> Option<Vec<Member>> {
    let last = bytes.len().checked_sub(22)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let is_end = |at: &usize| {
        bytes[*at..].starts_with(b"PK\x05\x06")
            && u16_at(bytes, at + 20)
                .is_some_and(|comment| at + 22 + usize::from(comment) == bytes.len())
    };
    let end = (first..=last).rev().find(is_end)?;
    let (count, mut at) = (usize::from(u16_at(bytes, end + 10)?), size_at(bytes, end + 16)?);
    if count == MOST_MEMBERS {
        return None;
    }
    let mut members = Vec::new();
    for _ in 0..count {
        let entry = bytes.get(at..end)?;
        if !entry.starts_with(b"PK\x01\x02") {
            return None;
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| u16_at(entry, at).map(usize::from));
        let encrypted = u16_at(entry, 8)? & 1 != 0;
        let text = std::str::from_utf8(entry.get(46..46 + name?)?).ok()?;
        // What is no array is not ours to read.
        if let Some(text) = text.strip_suffix(".npy").filter(|_| !encrypted) {
            members.push(Member {
                name: text.to_string(),
                method: u16_at(entry, 10)?,
                checksum: u32_at(entry, 16)?,
                packed: size_at(entry, 20)?,
                unpacked: size_at(entry, 24)?,
                offset: size_at(entry, 42)?,
            });
        }
        at += 46 + name? + extra? + comment?;
    }
    Some(members)
}

/// An array of a .npy file, row-major.
fn array(bytes: &[u8], most: usize) -> Result<Stored, String> {
    let broken = || "not a .npy array".to_string();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(broken)?;
    let (length, start) = match rest.first() {
        Some(1) => (u16_at(rest, 2).map(usize::from), 4),
        Some(2 | 3) => (u32_at(rest, 2).map(|n| n as usize), 6),
        _ => (None, 0),
    };
    let length = length.filter(|n| *n <= LONGEST_HEADER).ok_or_else(broken)?;
    let header = rest.get(start..start + length).ok_or_else(broken)?;
    let header = std::str::from_utf8(header).map_err(|_| broken())?;
    let (kind, transposed, mut shape) = described(header).ok_or_else(broken)?;
    let count = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
    let count = count.filter(|n| *n <= most).ok_or_else(|| format!("its shape is {shape:?}"))?;
    let data = rest.get(start + length..).unwrap_or_default();
    let size = match kind {
        "<f4" => 4,
        "<f8" | "<i8" => 8,
        other => return Err(format!("it holds {other}; f4, f8 and i8 are read")),
    };
    if count.checked_mul(size) != Some(data.len()) {
        return Err(format!("{} bytes for a shape of {shape:?}", data.len()));
    }
    let mut values: Vec<f64> = match kind {
        "<f4" => data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        "<f8" => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        _ => data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
    };
    if transposed {
        values = row_major(&values, &shape);
    }
    Ok(Stored { kind: kind[1..].to_string(), shape: std::mem::take(&mut shape), values })
}

/// Values that lie with their first axis closest together, brought into row-major order.
fn row_major(values: &[f64], shape: &[usize]) -> Vec<f64> {
    let place = |mut i: usize| {
        let mut at = 0;
        let mut stride = values.len();
        for size in shape.iter().rev() {
            stride /= size;
            at += i % size * stride;
            i /= size;
        }
        at
    };
    (0..values.len()).map(|i| values[place(i)]).collect()
}

/// The type, whether it is in Fortran's order, and the shape: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn described(header: &str) -> Option<(&str, bool, Vec<usize>)> {
    let inside = header.trim().strip_prefix('{')?.strip_suffix('}')?;
    let value = |key: &str| Some(inside.split_once(&format!("'{key}':"))?.1.trim_start());
    let kind = value("descr")?.strip_prefix('\'')?.split_once('\'')?.0;
    let order = value("fortran_order")?;
    let transposed = match (order.starts_with("True"), order.starts_with("False")) {
        (transposed, plain) if transposed != plain => transposed,
        _ => return None,
    };
    let sizes = value("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape: Vec<usize> = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
    (kind.len() == 3 && shape.len() <= crate::tensor::MAX_AXES).then_some((kind, transposed, shape))
}

/// An archive of these tensors: name, NumPy's type, shape and little-endian bytes of each.
///
/// # Errors
/// If it would be 4 GB or more, or has too many members: zip's numbers end there.
pub fn write(tensors: &[(String, &'static str, Vec<usize>, Vec<u8>)]) -> Result<Vec<u8>, String> {
    let too_large = || "is too large for an .npz archive".to_string();
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, kind, shape, data) in tensors {
        let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        // A tuple of one has its comma, others have none at their end.
        let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
        let text = format!("{{'descr': '<{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
        // The numbers begin at a multiple of 64 bytes of the member, as NumPy has it.
        let width = (10 + text.len() + 1).next_multiple_of(64) - 10;
        let mut member = b"\x93NUMPY\x01\x00".to_vec();
        member.extend(u16::try_from(width).map_err(|_| too_large())?.to_le_bytes());
        member.extend(format!("{text:<fill$}\n", fill = width - 1).bytes());
        member.extend(data);
        let file = format!("{name}.npy");
        let size = u32::try_from(member.len()).map_err(|_| too_large())?;
        let offset = u32::try_from(out.len()).map_err(|_| too_large())?;
        let length = u16::try_from(file.len()).map_err(|_| too_large())?;
        // Version 2.0; bit 11: the name is UTF-8; stored; midnight of 1 January 1980, so that equal weights are equal files.
        let mut common = Vec::new();
        for field in [20u16, 1 << 11, 0, 0, 0x21] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc32fast::hash(&member), size, size] {
            common.extend(field.to_le_bytes());
        }
        common.extend(length.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend([0; 2]);
        out.extend(file.bytes());
        out.extend(member);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 12]);
        directory.extend(offset.to_le_bytes());
        directory.extend(file.bytes());
    }
    let count = u16::try_from(tensors.len()).ok().filter(|n| usize::from(*n) < MOST_MEMBERS);
    let count = count.ok_or_else(too_large)?.to_le_bytes();
    let offset = u32::try_from(out.len()).map_err(|_| too_large())?;
    let size = u32::try_from(directory.len()).map_err(|_| too_large())?;
    out.extend(directory);
    out.extend(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend(count);
    out.extend(count);
    out.extend(size.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend([0; 2]);
    if out.len() >= u32::MAX as usize { Err(too_large()) } else { Ok(out) }
}
