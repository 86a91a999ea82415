//! The published data sets in every form they come in, and archives that mean harm.

mod packing;

use chainrule::data::archive::members;
use chainrule::data::files::read_at_most;
use chainrule::data::{Dataset, Request, idx, open, pickle};
use packing::{Member, gzip, tar};
use std::fs;
use std::path::Path;

/// What Python writes for `{'labels': [1, 2], 'data': arange(12, dtype=uint8).reshape(2, 6) * 20}` and a name or two, in the ways
/// that occur: as Python 2 wrote the published files, and as Python 3 writes them again with protocols 2, 3 and 4, with keys of
/// bytes or of text.
const PICKLES: [&[u8]; 5] = [
    b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x01xq\x03U\x06labelsq\x04]q\x05(K\x01K\x02eU\x04dataq\x06cnumpy.core.multiarray\n\
      _reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01K\x02K\x06\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\
      \x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c\x00\x14(<Pdx\x8c\xa0\xb4\xc8\xdctbU\x09filenames\
      q\x0c]q\x0d(U\x05a.pngU\x05b.pngeu.",
    b"\x80\x02}q\x00(c_codecs\nencode\nq\x01X\x0b\x00\x00\x00batch_labelq\x02X\x06\x00\x00\x00latin1q\x03\x86q\x04Rq\x05h\x01X\
      \x01\x00\x00\x00xq\x06h\x03\x86q\x07Rq\x08h\x01X\x06\x00\x00\x00labelsq\x09h\x03\x86q\x0aRq\x0b]q\x0c(K\x01K\x02eh\x01X\x04\
      \x00\x00\x00dataq\x0dh\x03\x86q\x0eRq\x0fcnumpy._core.multiarray\n_reconstruct\nq\x10cnumpy\nndarray\nq\x11K\x00\x85q\x12h\
      \x01X\x01\x00\x00\x00bq\x13h\x03\x86q\x14Rq\x15\x87q\x16Rq\x17(K\x01K\x02K\x06\x86q\x18cnumpy\ndtype\nq\x19X\x02\x00\x00\
      \x00u1q\x1a\x89\x88\x87q\x1bRq\x1c(K\x03X\x01\x00\x00\x00|q\x1dNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x1eb\x89h\x01X\
      \x11\x00\x00\x00\x00\x14(<Pdx\xc2\x8c\xc2\xa0\xc2\xb4\xc3\x88\xc3\x9cq\x1fh\x03\x86q Rq!tq\x22bh\x01X\x09\x00\x00\x00filenam\
      esq#h\x03\x86q$Rq%]q&(h\x01X\x05\x00\x00\x00a.pngq'h\x03\x86q(Rq)h\x01X\x05\x00\x00\x00b.pngq*h\x03\x86q+Rq,eu.",
    b"\x80\x03}q\x00(C\x0bbatch_labelq\x01C\x01xq\x02C\x06labelsq\x03]q\x04(K\x01K\x02eC\x04dataq\x05cnumpy._core.multiarray\n\
      _reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85q\x08C\x01bq\x09\x87q\x0aRq\x0b(K\x01K\x02K\x06\x86q\x0ccnumpy\ndtype\nq\
      \x0dX\x02\x00\x00\x00u1q\x0e\x89\x88\x87q\x0fRq\x10(K\x03X\x01\x00\x00\x00|q\x11NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00\
      tq\x12b\x89C\x0c\x00\x14(<Pdx\x8c\xa0\xb4\xc8\xdcq\x13tq\x14bC\x09filenamesq\x15]q\x16(C\x05a.pngq\x17C\x05b.pngq\x18eu.",
    b"\x80\x04\x95\xe5\x00\x00\x00\x00\x00\x00\x00}\x94(C\x0bbatch_label\x94C\x01x\x94C\x06labels\x94]\x94(K\x01K\x02eC\x04data\
      \x94\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\
      \x94C\x01b\x94\x87\x94R\x94(K\x01K\x02K\x06\x86\x94h\x09\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\
      \x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x0c\x00\x14(<Pdx\x8c\xa0\xb4\xc8\xdc\x94t\x94bC\x09filen\
      ames\x94]\x94(C\x05a.png\x94C\x05b.png\x94eu.",
    b"\x80\x04\x95\xb3\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x06labels\x94]\x94(K\x01K\x02e\x8c\x04data\x94\x8c\x16numpy._core.mu\
      ltiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\
      \x94(K\x01K\x02K\x06\x86\x94h\x07\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\
      \xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x0c\x00\x14(<Pdx\x8c\xa0\xb4\xc8\xdc\x94t\x94bu.",
];

#[test]
fn every_spelling_of_the_pickle_is_read() {
    let pixels: Vec<u8> = (0..12).map(|i| i * 20).collect();
    for (i, bytes) in PICKLES.iter().enumerate() {
        let batch = pickle::batch(bytes).unwrap_or_else(|e| panic!("spelling {i}: {e}"));
        assert_eq!((batch.shape, &batch.labels[..]), ([2, 6], &[1, 2][..]), "spelling {i}");
        assert_eq!(batch.pixels, pixels, "spelling {i}");
    }
}

/// Cut anywhere, a pickle is refused; with any byte changed it is refused or read, never worse.
#[test]
fn a_damaged_pickle_never_does_harm() {
    for bytes in PICKLES {
        (0..bytes.len()).for_each(|n| assert!(pickle::batch(&bytes[..n]).is_err(), "{n} bytes"));
        for i in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = bytes.to_vec();
                changed[i] ^= flip;
                let _ = pickle::batch(&changed);
            }
        }
    }
}

#[test]
fn a_pickle_that_asks_for_more_is_refused() {
    let endless = [b"\x80\x02".as_slice(), &b"N".repeat(1 << 20)].concat();
    let rows: [(&[u8], &str); 9] = [
        (b"cposix\nsystem\n(U\x02lstR.", "asks for \"posix.system\", which pictures do not need"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "asks for \"builtins.eval\""),
        (b"\x80\x05N.", "is a pickle of protocol 5"),
        (b"\x80\x02]q\x01h\x01a.", "is no pickled dictionary"),
        (b"\x80\x02}.", "has no \"data\" in its dictionary"),
        (b"\x80\x02h\x07.", "remembers what it never saw"),
        (b"T\xff\xff\xff\x7f", "ends too early"),
        (b"i__main__\nX\n.", "has the instruction 0x69"),
        (&endless, "has more than 262144 instructions"),
    ];
    for (bytes, wanted) in rows {
        let message = pickle::batch(bytes).unwrap_err();
        assert!(message.contains(wanted), "{message:?} should contain {wanted:?}");
    }
}

/// The names, sizes and first bytes of what comes out of an archive, or why nothing does.
fn read(bytes: &[u8]) -> Result<Vec<(usize, Vec<u8>)>, String> {
    let mut all = Vec::new();
    members(bytes, "set", &["one.bin", "two.bin"], |i, size, source| {
        let content = read_at_most(source, size)?;
        all.push((i, content));
        Ok(())
    })
    .map(|()| all)
    .map_err(|fault| fault.to_string())
}

#[test]
fn only_the_members_that_are_asked_for_come_out_of_an_archive() {
    let good = tar(&[
        Member::folder("set/"),
        Member::file("set/two.bin", &[2; 700]),
        Member::file("../../etc/passwd", b"harm"),
        Member::file("/etc/passwd", b"harm"),
        Member::file("set/../one.bin", b"harm"),
        Member::kind("set/link", b'2', b""),
        Member::kind("dev/null", b'3', b""),
        Member::file("./set/one.bin", b"1"),
    ]);
    let want = vec![(1, vec![2; 700]), (0, b"1".to_vec())];
    assert_eq!(read(&good), Ok(want.clone()), "as a browser unpacks it");
    assert_eq!(read(&gzip(&good)), Ok(want), "as it is published");
}

#[test]
fn hostile_archives_are_refused_in_a_sentence() {
    let one = || Member::file("set/one.bin", b"1");
    let two = || Member::file("set/two.bin", b"2");
    let good = tar(&[one(), two()]);
    let mut flipped = gzip(&good);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let mut wrong_sum = good.clone();
    wrong_sum[0] ^= 1;
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "a link in a file's place",
            tar(&[Member::kind("set/one.bin", b'2', b""), two()]),
            "not as a regular file",
        ),
        (
            "a hard link",
            tar(&[Member::kind("set/one.bin", b'1', b""), two()]),
            "not as a regular file",
        ),
        (
            "a device",
            tar(&[Member::kind("set/one.bin", b'3', b""), two()]),
            "not as a regular file",
        ),
        ("a pipe", tar(&[Member::kind("set/one.bin", b'6', b""), two()]), "not as a regular file"),
        ("a member twice", tar(&[one(), one(), two()]), "holds one.bin twice"),
        (
            "a member missing",
            tar(&[one()]),
            "holds no two.bin; expected an archive of one.bin, two.bin",
        ),
        ("a member elsewhere", tar(&[Member::file("x/one.bin", b"1"), two()]), "holds no one.bin"),
        (
            "a huge size",
            tar(&[Member::sized("set/one.bin", "77777777777", b"1"), two()]),
            "ends in the middle",
        ),
        (
            "a huge size outside",
            tar(&[Member::sized("x", "77777777777", b"1"), two()]),
            "ends in the middle",
        ),
        (
            "a size that is none",
            tar(&[Member::sized("set/one.bin", "-1", b"1"), two()]),
            "size cannot be read",
        ),
        (
            "a binary size",
            tar(&[Member::sized("set/one.bin", "\u{7f}\u{1}", b"1"), two()]),
            "size cannot be read",
        ),
        ("a wrong sum", wrong_sum, "is no tar archive, or is damaged"),
        ("no archive", b"<!DOCTYPE html><html>not found</html>".repeat(30), "is no tar archive"),
        ("nothing", Vec::new(), "cut short"),
        ("cut in a header", good[..300].to_vec(), "ends in the middle"),
        ("cut in a member", good[..700].to_vec(), "ends in the middle"),
        ("cut before the end", good[..2048].to_vec(), "has no end"),
        ("gzip cut short", gzip(&good)[..60].to_vec(), "is damaged"),
        ("gzip with a bit changed", flipped, "damaged"),
        (
            "too many members",
            tar(&vec![Member::file("x", b""); 10_001]),
            "has more than 10000 members",
        ),
        ("a bomb", packing::bomb(), "unpacks to more than 1073741824 bytes"),
    ];
    for (what, bytes, wanted) in rows {
        let message = read(&bytes).expect_err(what);
        assert!(message.contains(wanted), "{what}: {message:?} should contain {wanted:?}");
    }
}

/// The four files of a set like MNIST: 24 pictures of 3 x 2 for training, 5 for the test.
fn write_idx(directory: &Path, dot: &str, pack: bool, first_labels: &[u8]) {
    fs::create_dir_all(directory).unwrap();
    for (part, n) in [("train", 24u32), ("t10k", 5)] {
        let mut images =
            [0u32.to_be_bytes(), n.to_be_bytes(), 3u32.to_be_bytes(), 2u32.to_be_bytes()].concat();
        images[2..4].copy_from_slice(&[8, 3]);
        images.extend((0..n * 6).map(|i| i as u8));
        let mut labels = [[0, 0, 8, 1], n.to_be_bytes()].concat();
        labels
            .extend((0..n as usize).map(|i| first_labels.get(i).copied().unwrap_or(i as u8 % 10)));
        for (kind, axes, bytes) in [("images", 3, images), ("labels", 1, labels)] {
            let name =
                format!("{part}-{kind}{dot}idx{axes}-ubyte{}", if pack { ".gz" } else { "" });
            fs::write(directory.join(name), if pack { gzip(&bytes) } else { bytes }).unwrap();
        }
    }
}

#[test]
fn mnist_is_found_where_it_is_kept_and_split_at_its_end() {
    for (folder, dot, pack) in [
        ("", "-", true),
        ("MNIST/raw", "-", false),
        ("FashionMNIST/raw", "-", true),
        ("", ".", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write_idx(&dir.path().join(folder), dot, pack, &[]);
        let splits = open(dir.path(), &Request::default()).unwrap();
        let of = |d: &Dataset| (d.len(), d.label(0), d.picture(0).to_vec());
        assert_eq!(of(&splits.train), (22, 0, (0..6).collect()));
        assert_eq!(of(&splits.val), (2, 2, (132..138).collect()), "the last twelfth");
        assert_eq!(of(&splits.test).0, 5);
        assert_eq!((splits.train.shape(), splits.train.classes().len()), (&[1, 3, 2], 10));
        assert!(splits.name.starts_with("MNIST in "), "{}", splits.name);
    }
}

#[test]
fn fashion_mnist_is_known_by_its_first_labels() {
    let dir = tempfile::tempdir().unwrap();
    write_idx(dir.path(), "-", true, &[9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    let splits = open(dir.path(), &Request::default()).unwrap();
    assert!(splits.name.starts_with("Fashion-MNIST in "));
    assert_eq!(splits.train.classes()[splits.train.label(0)], "ankle boot");
}

#[test]
fn wrong_idx_files_are_refused_in_a_sentence() {
    let head = |n: u32, h: u32, w: u32| {
        [[0, 0, 8, 3], n.to_be_bytes(), h.to_be_bytes(), w.to_be_bytes()].concat()
    };
    let rows = [
        (
            b"PK\x03\x04 zip".to_vec(),
            "begins with [50, 4b, 03, 04]; expected an idx file of pictures ([00, 00, 08, 03])",
        ),
        (Vec::new(), "begins with []"),
        (head(1, 28, 28), "holds 16 bytes for 1 x 28 x 28 pictures; expected 800 bytes"),
        (head(u32::MAX, u32::MAX, u32::MAX), "expected fewer pictures"),
        (head(0, 0, 28), "holds pictures of 0 x 28; expected 1 to 4096 pixels a side"),
        ([head(1, 1, 1), vec![0, 0]].concat(), "holds 18 bytes"),
    ];
    for (bytes, wanted) in rows {
        let message = idx::pictures(bytes).unwrap_err().to_string();
        assert!(message.contains(wanted), "{message:?} should contain {wanted:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    write_idx(dir.path(), "-", false, &[]);
    fs::write(dir.path().join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 7]).unwrap();
    let message = open(dir.path(), &Request::default()).unwrap_err().to_string();
    assert!(message.contains("t10k-labels-idx1-ubyte: holds 1 labels; expected 5"), "{message}");
    fs::remove_file(dir.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let message = open(dir.path(), &Request::default()).unwrap_err().to_string();
    assert!(
        message.contains("holds no t10k-labels-idx1-ubyte; expected the files of MNIST"),
        "{message}"
    );
    let request = Request { size: Some(16), ..Request::default() };
    let message = open(dir.path(), &request).unwrap_err().to_string();
    assert!(message.starts_with("--size: the data are a published set"), "{message}");
}

/// Real data, from Debian: `apt-get install dataset-fashion-mnist`, or `apt-get download` and `dpkg-deb -x`; then
/// `FASHION_MNIST` is where it was unpacked. The package packs the published files anew, so their sums are others.
#[test]
#[ignore = "needs Debian's package dataset-fashion-mnist; run with --ignored"]
fn fashion_mnist_of_debian_is_read() {
    let root = std::env::var("FASHION_MNIST").unwrap_or_default();
    let directory = format!("{root}/usr/share/datasets/fashion-mnist");
    let request = Request { test_all: true, ..Request::default() };
    let splits = open(Path::new(&directory), &request).unwrap();
    assert!(splits.name.starts_with("Fashion-MNIST"), "{}", splits.name);
    let [train, val, test] = [&splits.train, &splits.val, &splits.test].map(Dataset::class_counts);
    assert_eq!(test, [1000; 10]);
    let all: Vec<usize> = train.iter().zip(&val).map(|(a, b)| a + b).collect();
    assert_eq!((all, val.iter().sum::<usize>()), (vec![6000; 10], 5000));
}
