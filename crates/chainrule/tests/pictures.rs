//! Pictures of one's own: formats, orientations, splits, broken files, the cache.

use chainrule::data::pictures::check::{Finding, check};
use chainrule::data::pictures::decode::{Picture, decode};
use chainrule::data::pictures::{fit, list};
use chainrule::data::{Dataset, Request, Splits, open};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

fn sample(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name))
        .expect("a sample")
}

fn square(bytes: &[u8], side: usize) -> Vec<u8> {
    let picture = decode(bytes).expect("a good picture");
    let mut out = vec![0; 3 * side * side];
    fit(&picture, side, &mut out);
    out
}

fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// Beside torchvision: a level apart where the decoding is exact, because Pillow rounds between the axes; a few where the format
/// leaves the decoder some freedom.
#[test]
fn every_format_is_what_torchvision_makes_of_it() {
    for (name, mode, near) in [
        ("rgb.png", "png RGB", 1),
        ("palette.png", "png RGB", 1),
        ("rgb.bmp", "bmp RGB", 1),
        ("lossless.webp", "webp RGB", 1),
        ("lossy.webp", "webp RGB", 3),
        ("exif.jpg", "jpeg RGB", 3),
        ("progressive.jpg", "jpeg RGB", 3),
        ("gray.jpg", "jpeg gray", 2),
        ("cmyk.jpg", "jpeg CMYK", 3),
    ] {
        let bytes = sample(name);
        let picture = decode(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((picture.width, picture.height, picture.mode), (50, 37, mode), "{name}");
        let off = largest_difference(&square(&bytes, 16), &sample(&format!("{name}.planes")));
        assert!(off <= near, "{name} differs by {off}, at most {near}");
    }
}

/// How the pixel at (x, y) of an upright picture of w x h lies in the file with each orientation, after the EXIF standard.
fn lies(orientation: u8, x: usize, y: usize, w: usize, h: usize) -> (usize, usize) {
    match orientation {
        1 => (x, y),
        2 => (w - 1 - x, y),
        3 => (w - 1 - x, h - 1 - y),
        4 => (x, h - 1 - y),
        5 => (y, x),
        6 => (y, w - 1 - x),
        7 => (h - 1 - y, w - 1 - x),
        _ => (h - 1 - y, x),
    }
}

/// A picture that lies in any of the eight ways is the upright one, to the bit, whichever side is cut.
#[test]
fn a_picture_stands_upright_whichever_way_it_lies() {
    for (w, h) in [(50, 37), (37, 50), (9, 9), (64, 10), (5, 8)] {
        let pixel = |x: usize, y: usize, c: usize| (x * 37 + y * 91 + c * 50 + x * y) as u8;
        let picture = |orientation: u8| {
            let (wide, high) = if orientation > 4 { (h, w) } else { (w, h) };
            let mut pixels = vec![0; 3 * w * h];
            for (x, y) in (0..w).flat_map(|x| (0..h).map(move |y| (x, y))) {
                let (i, j) = lies(orientation, x, y, w, h);
                (0..3).for_each(|c| pixels[(j * wide + i) * 3 + c] = pixel(x, y, c));
            }
            let orientation = image::metadata::Orientation::from_exif(orientation).expect("1 to 8");
            Picture { width: wide, height: high, channels: 3, pixels, orientation, mode: "test" }
        };
        for side in [1, 4, 7] {
            let fitted = |orientation| {
                let mut out = vec![0; 3 * side * side];
                fit(&picture(orientation), side, &mut out);
                out
            };
            let upright = fitted(1);
            for orientation in 2..=8 {
                let off = largest_difference(&fitted(orientation), &upright);
                // Sums in another order may round to another level.
                assert!(off <= 1, "{w} x {h} to {side}, orientation {orientation}: {off}");
            }
        }
    }
}

#[test]
fn the_orientation_of_a_jpeg_is_obeyed() {
    let upright = sample("exif.jpg");
    let at = upright.windows(4).position(|b| b == [0x01, 0x12, 0x00, 0x03]).expect("the entry") + 9;
    assert_eq!(upright[at], 1);
    // To 12, as much is cut from the left as from the right.
    let (first, mut turned) = (square(&upright, 12), upright);
    turned[at] = 3;
    let mut half_turn = square(&turned, 12);
    half_turn.chunks_exact_mut(144).for_each(<[u8]>::reverse);
    assert!(largest_difference(&first, &half_turn) <= 1);
    turned[at] = 99;
    assert_eq!(square(&turned, 12), first, "nonsense is no orientation");
}

#[test]
fn transparent_and_deep_pixels_become_plain_ones() {
    use image::{DynamicImage, ImageFormat};
    let encode = |image: DynamicImage| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).expect("memory takes it");
        decode(&bytes.into_inner()).expect("a good picture")
    };
    let pixel = image::Rgba([200u8, 100, 0, 128]);
    let blended = encode(DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(1, 1, pixel)));
    // (200 * 128 + 255 * 127) / 255 and so on.
    assert_eq!((blended.channels, &blended.pixels[..]), (3, &[227, 177, 127][..]));
    let gray = encode(DynamicImage::ImageLumaA8(image::ImageBuffer::from_pixel(
        1,
        1,
        image::LumaA([77u8, 0]),
    )));
    assert_eq!((gray.channels, &gray.pixels[..]), (1, &[255][..]), "what is not seen is white");
    let deep = encode(DynamicImage::ImageRgb16(image::ImageBuffer::from_pixel(
        1,
        1,
        image::Rgb([0x1234u16, 0xff00, 0x00ff]),
    )));
    assert_eq!((deep.mode, &deep.pixels[..]), ("png RGB 16-bit", &[0x12, 0xff, 0][..]));
    let mut out = [0; 12];
    fit(&gray, 2, &mut out);
    assert_eq!(out, [255; 12], "one pixel fills a square");
}

#[test]
fn what_is_no_good_picture_is_refused_with_a_reason() {
    let jpeg = sample("exif.jpg");
    let png = sample("rgb.png");
    let mut huge = png.clone();
    huge[16..24].copy_from_slice(&[0, 0, 64, 1, 0, 0, 64, 1]);
    let sum = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&sum.to_be_bytes());
    let mut flipped = png.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    let rows: [(&str, Vec<u8>, &str); 9] = [
        ("nothing", Vec::new(), "is empty"),
        ("text", b"not a picture at all".to_vec(), "is not png, jpeg, webp or bmp"),
        (
            "a gif",
            b"GIF89a\x01\x00\x01\x00\x00\x00\x00".to_vec(),
            "is gif, not png, jpeg, webp or bmp",
        ),
        ("half a jpeg", jpeg[..jpeg.len() / 2].to_vec(), "is cut short"),
        ("a jpeg without its end", jpeg[..jpeg.len() - 1].to_vec(), "is cut short"),
        ("half a png", png[..png.len() / 2].to_vec(), "is damaged"),
        ("a png with a bit changed", flipped, "is damaged"),
        (
            "a png that says it is huge",
            huge,
            "has 16385 x 16385 pixels; at most 16384 a side and 34000000 in all are read",
        ),
        ("half a webp", sample("lossy.webp")[..200].to_vec(), "is damaged"),
    ];
    for (what, bytes, wanted) in rows {
        let message = decode(&bytes).expect_err(what);
        assert!(message.contains(wanted), "{what}: {message:?} should contain {wanted:?}");
    }
}

/// The sum that PNG puts after each chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |c: u32, _: i32| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
    !bytes.iter().fold(!0u32, |crc, b| (0..8).fold(crc ^ u32::from(*b), step))
}

/// Writes a picture of one colour, its own for each number.
fn write(directory: &Path, name: &str, number: u8) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).unwrap();
    image::RgbImage::from_pixel(6, 5, image::Rgb([number, 255 - number, 7])).save(path).unwrap();
}

fn first_bytes(data: &Dataset) -> Vec<(usize, u8)> {
    (0..data.len()).map(|i| (data.label(i), data.picture(i)[0])).collect()
}

#[test]
fn folders_are_parts_and_classes() {
    let dir = tempfile::tempdir().unwrap();
    for (name, number) in [
        ("train/dog/b.png", 2),
        ("train/dog/a.bmp", 1),
        ("train/cat/x.webp", 3),
        ("val/cat/y.png", 4),
        ("test/dog/z.png", 5),
    ] {
        write(dir.path(), name, number);
    }
    for litter in ["train/dog/.DS_Store", "train/dog/Thumbs.db", "train/README"] {
        fs::write(dir.path().join(litter), "x").unwrap();
    }
    let request = Request { size: Some(4), ..Request::default() };
    let Splits { train, val, test, name } = open(dir.path(), &request).unwrap();
    assert_eq!(train.classes(), ["cat", "dog"]);
    assert_eq!(train.shape(), &[3, 4, 4]);
    assert_eq!(first_bytes(&train), [(0, 3), (1, 1), (1, 2)], "by class, then by name");
    assert_eq!((first_bytes(&val), first_bytes(&test)), (vec![(0, 4)], vec![(1, 5)]));
    assert_eq!(name, format!("pictures in {}", dir.path().display()));
    for (request, wanted) in [
        (
            Request { val_fraction: Some(0.5), ..Request::default() },
            "--val-fraction: there is a folder that validates",
        ),
        (
            Request { test_all: true, ..Request::default() },
            "--test-all: the pictures in test/ are all used",
        ),
        (Request { size: Some(0), ..Request::default() }, "--size: 0; sizes go from 1 to 1024"),
    ] {
        let message = open(dir.path(), &request).unwrap_err().to_string();
        assert!(message.starts_with(wanted), "{message}");
    }
    write(dir.path(), "val/cow/z.png", 9);
    let message = open(dir.path(), &request).unwrap_err().to_string();
    assert!(message.contains("has a class \"cow\" that train has not"), "{message}");
}

/// Ten cats and four dogs without folders of parts.
fn pets(directory: &Path) {
    (0..10).for_each(|i| write(directory, &format!("cat/{i}.png"), i));
    (0..4).for_each(|i| write(directory, &format!("dog/{i}.png"), 100 + i));
}

#[test]
fn a_share_of_each_class_validates_and_the_seed_says_which() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path());
    let request =
        |seed| Request { seed, val_fraction: Some(0.3), size: Some(3), ..Request::default() };
    let split = |seed| open(dir.path(), &request(seed)).unwrap();
    let Splits { train, val, test, .. } = split(1);
    assert_eq!((train.class_counts(), val.class_counts()), (vec![7, 3], vec![3, 1]));
    assert!(test.is_empty(), "nothing is left for a last word");
    let mut all = [first_bytes(&train), first_bytes(&val)].concat();
    all.sort();
    assert_eq!(
        all,
        (0..10).map(|i| (0, i)).chain((0..4).map(|i| (1, 100 + i))).collect::<Vec<_>>()
    );
    assert_eq!(first_bytes(&split(1).val), first_bytes(&val), "the same seed, the same split");
    assert!((2..12).any(|seed| first_bytes(&split(seed).val) != first_bytes(&val)));
    // One file more: whoever validated either still does, or made room for the new one.
    write(dir.path(), "cat/new.png", 50);
    let more = first_bytes(&split(1).val);
    assert!(first_bytes(&val).iter().filter(|x| !more.contains(x)).count() <= 1);
    let request = Request { val_fraction: Some(1.0), ..Request::default() };
    let message = open(dir.path(), &request).unwrap_err().to_string();
    assert!(message.contains("--val-fraction: 1; it must be above 0 and below 1"), "{message}");
}

#[test]
fn broken_files_are_refused_by_name_or_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path());
    fs::write(dir.path().join("cat/5.png"), b"").unwrap();
    fs::write(dir.path().join("dog/note.txt"), b"good dog").unwrap();
    fs::create_dir(dir.path().join("dog/more")).unwrap();
    for _ in 0..2 {
        // The second time from the cache, which knows of broken files too.
        let message = open(dir.path(), &Request::default()).unwrap_err().to_string();
        for part in
            ["cat/5.png: is empty (and 2 more files are broken)", "data check", "--skip-bad"]
        {
            assert!(message.contains(part), "{message:?} should contain {part:?}");
        }
        let splits = open(dir.path(), &Request { skip_bad: true, ..Request::default() }).unwrap();
        assert_eq!(splits.train.len() + splits.val.len(), 13);
        assert!(splits.name.ends_with("without 3 broken files"), "{}", splits.name);
    }
    fs::remove_dir_all(dir.path().join("dog")).unwrap();
    fs::create_dir(dir.path().join("dog")).unwrap();
    fs::write(dir.path().join("dog/only.png"), b"broken").unwrap();
    let listing = list(dir.path()).unwrap();
    assert_eq!((listing.classes.len(), listing.entries.len()), (2, 11));
}

fn cache_of(directory: &Path) -> PathBuf {
    let names = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path());
    names
        .into_iter()
        .find(|p| p.to_string_lossy().contains(".chainrule-pictures"))
        .expect("a cache")
}

#[test]
fn the_cache_is_used_and_never_trusted() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path());
    let decoded = |size| {
        let count = AtomicUsize::new(0);
        let progress = |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let request = Request { size: Some(size), progress: &progress, ..Request::default() };
        let splits = open(dir.path(), &request).unwrap();
        (count.load(Ordering::Relaxed), first_bytes(&splits.train), first_bytes(&splits.val))
    };
    let (n, train, val) = decoded(8);
    assert_eq!(n, 14);
    assert_eq!(decoded(8), (0, train.clone(), val.clone()), "nothing is decoded twice");
    let cache = cache_of(dir.path());
    let good = fs::read(&cache).unwrap();
    for i in [0, 40, good.len() / 2, good.len() - 40, good.len() - 1] {
        let mut bad = good.clone();
        bad[i] ^= 1;
        fs::write(&cache, &bad).unwrap();
        assert_eq!(decoded(8), (14, train.clone(), val.clone()), "a bit of byte {i} changed");
    }
    for n in [0, 31, 64, good.len() - 1] {
        fs::write(&cache, &good[..n]).unwrap();
        assert_eq!(decoded(8).0, 14, "cut to {n} bytes");
    }
    assert_eq!(decoded(8).0, 0, "it was mended");
    assert_eq!(decoded(4).0, 14, "another size is another cache");
    write(dir.path(), "cat/3.png", 33);
    let changed = decoded(8);
    assert_eq!(changed.0, 14, "a file has changed");
    assert!(changed.1.contains(&(0, 33)) || changed.2.contains(&(0, 33)));
    fs::remove_file(dir.path().join("cat/3.png")).unwrap();
    assert_eq!(decoded(8).0, 13, "a file is gone");
}

#[test]
fn a_check_names_what_is_broken_and_what_is_there_twice() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train/cat/1.png", 1);
    write(dir.path(), "train/cat/2.png", 2);
    write(dir.path(), "val/cat/same.bmp", 1);
    fs::write(dir.path().join("val/cat/bad.jpg"), &sample("exif.jpg")[..300]).unwrap();
    let listing = list(dir.path()).unwrap();
    let findings = check(&listing, &|_, _| {});
    let names: Vec<&str> = listing.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(
        names,
        ["train/cat/1.png", "train/cat/2.png", "val/cat/bad.jpg", "val/cat/same.bmp"]
    );
    assert_eq!(findings.duplicates, [[0, 3]], "the same pixels, in whatever format");
    assert!(matches!(&findings.files[2], Finding::Broken(reason) if reason == "is cut short"));
    assert!(matches!(findings.files[1], Finding::Good { size: (6, 5), mode: "png RGB", .. }));
}

/// The order of the threads cannot matter.
#[test]
fn pictures_are_the_same_for_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path());
    for name in ["exif.jpg", "gray.jpg", "lossy.webp"] {
        fs::write(dir.path().join("cat").join(name), sample(name)).unwrap();
    }
    let mut all = Vec::new();
    for threads in [1, 2, 3, 8] {
        chainrule_kernels::threads::set_threads(threads);
        let splits = open(dir.path(), &Request { size: Some(16), ..Request::default() }).unwrap();
        all.push(
            (0..splits.train.len()).map(|i| splits.train.picture(i).to_vec()).collect::<Vec<_>>(),
        );
        fs::remove_file(cache_of(dir.path())).unwrap();
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}
