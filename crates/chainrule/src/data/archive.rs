//! Archives that are read but never unpacked: the members one asks for, by name, out of a tar that may be packed with gzip.
//!
//! Nothing is written anywhere, so that no path in an archive, no link and no device can do harm; whatever is not asked for is
//! passed over. What is asked for must be there once, as a regular file. Source: POSIX.1-1988 `ustar`; RFC 1952.

use super::files::Fault;
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read, Take};

const BLOCK: u64 = 512;
/// An archive is given up after so many members, or bytes once unpacked: those we read have 10 and 190 MB.
const MOST_MEMBERS: usize = 10_000;
const MOST_BYTES: u64 = 1 << 30;

/// Bytes that may be packed with gzip.
enum Unpacked<R> {
    Gzip(GzDecoder<BufReader<R>>),
    Plain(BufReader<R>),
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Gzip(source) => source.read(buffer),
            Unpacked::Plain(source) => source.read(buffer),
        }
    }
}

/// The bytes behind a reader, unpacked if they are packed with gzip, at most `most` of them.
///
/// # Errors
/// If the first bytes cannot be read.
pub fn unpacked<R: Read>(source: R, most: u64) -> io::Result<Take<impl Read>> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let packed = source.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let bytes =
        if packed { Unpacked::Gzip(GzDecoder::new(source)) } else { Unpacked::Plain(source) };
    Ok(bytes.take(most))
}

/// Hands each member of `names` to `take`: its index, its size and its bytes. In the archive a name may stand in `folder`, or
/// alone. A browser may have unpacked the gzip on the way; that is as good.
///
/// # Errors
/// If it is no archive, is damaged or too large, lacks a member, has one twice or not as a regular file; or what `take` says.
pub fn members(
    source: impl Read,
    folder: &str,
    names: &[&str],
    mut take: impl FnMut(usize, u64, &mut dyn Read) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let expected = || format!("expected an archive of {}", names.join(", "));
    let mut bytes = unpacked(source, MOST_BYTES)?;
    let mut seen = vec![false; names.len()];
    for _ in 0..MOST_MEMBERS {
        let Some(header) = next_header(&mut bytes)? else {
            // To the end, because only there gzip's own checksum has been compared.
            io::copy(&mut bytes, &mut io::sink())?;
            return match seen.iter().position(|seen| !seen) {
                Some(i) => Err(Fault::new(format!("holds no {}", names[i]), expected())),
                None => Ok(()),
            };
        };
        let wanted = names.iter().position(|name| header.is(folder, name));
        let mut content = (&mut bytes).take(header.size);
        if let Some(i) = wanted {
            if !header.regular {
                let found = format!("holds {} not as a regular file", names[i]);
                return Err(Fault::new(found, expected()));
            }
            if std::mem::replace(&mut seen[i], true) {
                return Err(Fault::new(format!("holds {} twice", names[i]), expected()));
            }
            take(i, header.size, &mut content).map_err(|fault| fault.of_member(names[i]))?;
        }
        io::copy(&mut content, &mut io::sink())?;
        let padding = header.size.wrapping_neg() % BLOCK;
        let missing =
            content.limit() + padding - io::copy(&mut (&mut bytes).take(padding), &mut io::sink())?;
        if missing > 0 {
            return Err(ended(&bytes));
        }
    }
    Err(Fault::new(format!("has more than {MOST_MEMBERS} members"), expected()))
}

/// Why there are no more bytes.
fn ended(bytes: &Take<impl Read>) -> Fault {
    if bytes.limit() > 0 {
        return Fault::new("ends in the middle of a member", "fetch it again");
    }
    Fault::new(
        format!("unpacks to more than {MOST_BYTES} bytes"),
        "expected the archive as it was published",
    )
}

/// What is read of a member's header.
struct Header {
    name: Vec<u8>,
    size: u64,
    regular: bool,
}

impl Header {
    /// Whether the member is this file, alone or in this folder.
    fn is(&self, folder: &str, name: &str) -> bool {
        let own = self.name.strip_prefix(b"./").unwrap_or(&self.name);
        let inner = own.strip_prefix(folder.as_bytes()).and_then(|n| n.strip_prefix(b"/"));
        inner.unwrap_or(own) == name.as_bytes()
    }
}

/// The next header, or none at the block of zeros that ends an archive.
fn next_header(bytes: &mut Take<impl Read>) -> Result<Option<Header>, Fault> {
    let mut block = [0; BLOCK as usize];
    let mut filled = 0;
    while filled < block.len() {
        match bytes.read(&mut block[filled..])? {
            0 if filled == 0 && bytes.limit() > 0 => {
                return Err(Fault::new("has no end, as if it were cut short", "fetch it again"));
            }
            0 => return Err(ended(bytes)),
            n => filled += n,
        }
    }
    if block.iter().all(|b| *b == 0) {
        return Ok(None);
    }
    let text = |range: std::ops::Range<usize>| {
        let field = &block[range];
        field.split(|b| *b == 0).next().unwrap_or_default()
    };
    // The sum counts its own field as blanks.
    let sum: u64 = (0..block.len())
        .map(|i| if (148..156).contains(&i) { 32 } else { u64::from(block[i]) })
        .sum();
    if octal(&block[148..156]) != Some(sum) {
        let want = "expected a .tar.gz archive; fetch it again";
        return Err(Fault::new("is no tar archive, or is damaged", want));
    }
    let size = octal(&block[124..136]).ok_or_else(|| {
        Fault::new(
            "has a member whose size cannot be read",
            "expected the archive as it was published",
        )
    })?;
    let mut name = text(0..100).to_vec();
    if &block[257..262] == b"ustar" && block[345] != 0 && block[262] == 0 {
        name = [text(345..500), b"/", &name].concat();
    }
    // Links and devices have no content, whatever their header says.
    let size = if (b'1'..=b'6').contains(&block[156]) { 0 } else { size };
    Ok(Some(Header { name, size, regular: matches!(block[156], 0 | b'0') }))
}

/// A number as tar writes it: octal digits, with blanks and zero bytes around.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(|c| c == ' ' || c == '\0');
    u64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+'))
}
