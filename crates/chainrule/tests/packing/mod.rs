//! Archives as tests want them, good and bad.

use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// A member of an archive to be made.
#[derive(Clone)]
pub struct Member {
    name: String,
    kind: u8,
    size: String,
    content: Vec<u8>,
}

impl Member {
    /// A regular file.
    pub fn file(name: &str, content: &[u8]) -> Member {
        Member::kind(name, b'0', content)
    }

    /// A folder.
    pub fn folder(name: &str) -> Member {
        Member::kind(name, b'5', b"")
    }

    /// A link, a device, a pipe.
    pub fn kind(name: &str, kind: u8, content: &[u8]) -> Member {
        let size = format!("{:011o}", content.len());
        Member { name: name.into(), kind, size, content: content.into() }
    }

    /// A file whose header says another size.
    pub fn sized(name: &str, size: &str, content: &[u8]) -> Member {
        Member { size: size.into(), ..Member::file(name, content) }
    }
}

/// An archive of these members, in the format `ustar`.
pub fn tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        let mut header = [0u8; 512];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, member.name.as_bytes());
        put(124, member.size.as_bytes());
        put(156, &[member.kind]);
        put(257, b"ustar\x0000");
        put(148, b"        ");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(&member.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// These bytes packed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("memory takes it");
    out.finish().expect("memory takes it")
}

/// A megabyte that unpacks to more than a gigabyte: a member of zeros without an end. Stored once, repeated as it is packed.
pub fn bomb() -> Vec<u8> {
    let head = tar(&[Member::sized("x", "77777777777", b"")]);
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(&head[..512]).expect("memory takes it");
    let zeros = vec![0; 1 << 20];
    (0..1100).for_each(|_| out.write_all(&zeros).expect("memory takes it"));
    out.finish().expect("memory takes it")
}
