//! The embedded pictures are CIFAR-10's, byte for byte; files of the official size are read; batches have the right bits.
//!
//! The checksums were computed with NumPy from the grid the excerpt was cut from, not with this library.

use chainrule::data::{
    CIFAR10_CLASSES, Dataset, Normalization, Pictures, Splits, cifar10, embedded, mean_image,
};
use chainrule::tensor::{DType, Order};
use chainrule::train::Examples;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::OnceLock;

const RECORD: u64 = 3073;

fn excerpt() -> &'static Splits {
    static EXCERPT: OnceLock<Splits> = OnceLock::new();
    EXCERPT.get_or_init(|| embedded().expect("the excerpt decodes"))
}

fn sha256(bytes: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    bytes.into_iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn pictures_hash(data: &Dataset) -> String {
    sha256((0..data.len()).map(|i| data.picture(i)))
}

fn labels(data: &Dataset, n: usize) -> Vec<usize> {
    (0..n).map(|i| data.label(i)).collect()
}

#[test]
fn the_excerpt_is_exact() {
    let Splits { train, val, test, name } = excerpt();
    assert_eq!((train.len(), val.len(), test.len()), (4000, 1000, 1000));
    assert_eq!(name, "excerpt of CIFAR-10");
    for (part, pictures, all_labels) in [
        (
            train,
            "b90805f589dbf887c7718f18316edc819032a0c1ab704b4408dc764bae3f7df7",
            "e8dd3198a4eeb418b321c89c32c6a9f9b19a61d19bdc677437af34b5880c18e8",
        ),
        (
            val,
            "fae9e46a88bf226e77d4afa1fd7674aceadaeaf70c5ec566b12c32ab5f7e52aa",
            "6ac85fb32a544cda52c6d28b8f30007599fc896f6824e58f16a099bdbe6cfe39",
        ),
        (
            test,
            "f167149948fc8fe0b9a76ba86421e987817f98b63761ba9415c5d42664d51f03",
            "636a087e604331a0b9dafc94b6e9ade0c9cec72c4400d12473ccdb3e264474c1",
        ),
    ] {
        assert_eq!(part.shape(), &[3, 32, 32]);
        assert_eq!(part.classes(), CIFAR10_CLASSES);
        assert_eq!(pictures_hash(part), pictures);
        assert_eq!(sha256((0..part.len()).map(|i| [part.label(i) as u8])), all_labels);
    }
}

/// What is known of CIFAR-10 from other sources: the first labels, the first red bytes, the classes of the first 1,000 test
/// pictures.
#[test]
fn the_excerpt_agrees_with_published_facts() {
    let Splits { train, val, test, .. } = excerpt();
    assert_eq!(labels(train, 10), [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
    assert_eq!(labels(test, 10), [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
    assert_eq!(train.picture(0)[..6], [59, 43, 50, 68, 98, 119]);
    assert_eq!(test.picture(0)[..6], [158, 159, 165, 166, 160, 156]);
    assert_eq!(test.class_counts(), [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]);
    assert_eq!(train.class_counts(), [404, 421, 384, 396, 420, 373, 397, 409, 414, 382]);
    assert_eq!(val.class_counts(), [104, 94, 94, 88, 107, 96, 100, 103, 104, 110]);
    assert_eq!(train.classes()[train.label(0)], "frog");
}

#[test]
fn slices_share_memory_and_begin_where_they_should() {
    let train = &excerpt().train;
    let part = train.slice(1000..1003).slice(1..3);
    assert_eq!(part.len(), 2);
    assert_eq!(part.picture(1).as_ptr(), train.picture(1002).as_ptr());
    assert_eq!(part.label(0), train.label(1001));
    assert!(part.slice(2..2).is_empty());
}

#[test]
#[should_panic(expected = "picture 2 of 2")]
fn a_slice_ends_where_it_should() {
    excerpt().train.slice(5..7).picture(2);
}

/// Sums of integers are exact, so each mean is the exact one rounded once: 530271 / 4000 and so on.
#[test]
fn the_mean_image_is_exact() {
    let mean = mean_image(&excerpt().train);
    let sums = [(0, 530_271.0), (1, 526_646.0), (1024, 550_462.0), (3071, 466_376.0)];
    sums.iter().for_each(|&(i, sum)| assert_eq!(mean[i], sum / 4000.0));
    let hash = sha256(mean.iter().map(|m| m.to_le_bytes()));
    assert_eq!(hash, "d43e837a3f008f578be0289a54fd9bb2860b99d9df6041d11bc77ea7807ecd49");
    let few = mean_image(&excerpt().train.slice(0..3));
    let sum: u32 = (0..3).map(|i| u32::from(excerpt().train.picture(i)[2000])).sum();
    assert_eq!(few[2000], f64::from(sum) / 3.0, "a part's mean is of that part");
}

/// Each number is computed in f64 and rounded once to its type, as NumPy does in `(x - mean).astype(dtype)`.
#[test]
fn batches_have_the_right_bits() {
    let train = &excerpt().train;
    let by_image = Normalization::MeanImage(mean_image(train));
    let by_channel = Normalization::Channels {
        mean: vec![0.4914, 0.4822, 0.4465],
        std: vec![0.2023, 0.1994, 0.2010],
    };
    for (normalization, in_f32, in_f64) in [
        (
            by_image,
            "ab8f99b6b9d483e52a6444fb1a35b5ae212a378088cbc451770327d21282786a",
            "6f6d0c728a787a7f2186c70846304b4bf6ecbed76d5e1554dffbd86d43f14268",
        ),
        (
            by_channel,
            "313e3818e83d39ee4c0088e583295792f764e79cc4b8c1d143a52532416defcc",
            "3d3eb3dc84c2d58a89b633e30a10d6268410ead9edf77fb436221eea46a5e792",
        ),
    ] {
        let pictures = Pictures::new(train.clone(), normalization);
        let single = pictures.batch(&[3999, 0, 17, 17], DType::F32, Order::RowMajor);
        assert_eq!(single.shape()[..], [4, 3, 32, 32]);
        assert_eq!(sha256(single.data::<f32>().iter().map(|v| v.to_le_bytes())), in_f32);
        let double = pictures.batch(&[3999, 0, 17, 17], DType::F64, Order::RowMajor);
        assert_eq!(sha256(double.data::<f64>().iter().map(|v| v.to_le_bytes())), in_f64);
    }
}

/// A batch larger than what one thread makes at a time is the pictures one by one.
#[test]
fn a_batch_is_its_pictures() {
    let normalization = Normalization::MeanImage(mean_image(&excerpt().train));
    let pictures = Pictures::new(excerpt().val.clone(), normalization);
    let indices: Vec<usize> = (0..37).map(|i| (i * 271) % 1000).collect();
    let batch = pictures.batch(&indices, DType::F32, Order::RowMajor);
    for (row, &i) in batch.data::<f32>().chunks_exact(3072).zip(&indices) {
        assert_eq!(
            row,
            pictures.batch(&[i], DType::F32, Order::RowMajor).data::<f32>(),
            "picture {i}"
        );
        assert_eq!(pictures.label(i), excerpt().val.label(i));
    }
    assert_eq!(pictures.batch(&[], DType::F32, Order::RowMajor).shape()[..], [0, 3, 32, 32]);
}

/// Batches made channels-last are the row-major ones, stored otherwise.
#[test]
fn both_memory_orders_hold_the_same_batch() {
    for name in Normalization::NAMES {
        let normalization = Normalization::of(name, &excerpt().train).expect("a known name");
        let pictures = Pictures::new(excerpt().val.clone(), normalization);
        let rows = pictures.batch(&[5, 999, 5], DType::F32, Order::RowMajor);
        let last = pictures.batch(&[5, 999, 5], DType::F32, Order::ChannelsLast);
        assert_eq!(last.order(), Order::ChannelsLast);
        assert_eq!(last.to_order(Order::RowMajor).data::<f32>(), rows.data::<f32>(), "{name}");
    }
}

/// Seen through its own mean and standard deviation, every channel has mean 0 and variance 1.
#[test]
fn channels_are_standardized_by_their_own_statistics() {
    let data = excerpt().val.slice(0..200);
    let normalization = Normalization::of("channels", &data).expect("a known name");
    let all: Vec<usize> = (0..200).collect();
    let x = Pictures::new(data, normalization).batch(&all, DType::F64, Order::ChannelsLast);
    for channel in 0..3 {
        let values: Vec<f64> = x.data::<f64>().iter().skip(channel).step_by(3).copied().collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / n;
        assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-12, "{mean} {variance}");
    }
}

#[test]
#[should_panic(expected = "another shape than [3, 32, 32]")]
fn a_mean_of_another_shape_is_refused() {
    Pictures::new(excerpt().val.clone(), Normalization::MeanImage(vec![0.0; 784]));
}

/// Six files of the official size, black airplanes but for one marked record a file; holes cost no disk.
fn official_files(directory: &Path) {
    let names = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"];
    let marked = [0, 9_999, 5_000, 1, 8_999];
    for (i, name) in names.into_iter().enumerate() {
        write_marked(&directory.join(format!("{name}.bin")), marked[i], i as u8 + 1);
    }
    write_marked(&directory.join("test_batch.bin"), 1_000, 9);
}

/// A file of 10,000 zero records, save that `record` has this label and 255 in its last byte.
fn write_marked(path: &Path, record: u64, label: u8) {
    let mut file = File::create(path).expect("a file");
    file.set_len(10_000 * RECORD).expect("a size");
    file.seek(SeekFrom::Start(record * RECORD)).expect("a place");
    file.write_all(&[label]).expect("a label");
    file.seek(SeekFrom::Start((record + 1) * RECORD - 1)).expect("a place");
    file.write_all(&[255]).expect("a byte");
}

#[test]
fn files_of_the_official_size_are_split_as_the_course_does() {
    let dir = tempfile::tempdir().expect("a directory");
    official_files(dir.path());
    let splits = cifar10::read(dir.path(), false).expect("good files");
    let Splits { train, val, test, .. } = &splits;
    assert_eq!((train.len(), val.len(), test.len()), (49_000, 1_000, 1_000));
    for (i, label) in [(0, 1), (19_999, 2), (25_000, 3), (30_001, 4), (48_999, 5)] {
        assert_eq!((train.label(i), train.picture(i)[3071]), (label, 255), "record {i}");
    }
    assert_eq!(train.class_counts(), [48_995, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
    assert_eq!(val.class_counts()[0], 1_000, "the last record that is marked belongs to training");
    assert_eq!(test.class_counts()[0], 1_000);
    let mean = mean_image(train);
    assert_eq!(mean[3071], 5.0 * 255.0 / 49_000.0);
    assert!(mean[..3071].iter().all(|m| *m == 0.0));

    let all = cifar10::read(dir.path(), true).expect("good files").test;
    assert_eq!((all.len(), all.label(1_000), all.picture(1_000)[3071]), (10_000, 9, 255));
}

/// What can be said of a path that is no directory of CIFAR-10.
#[test]
fn wrong_directories_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("cifar-10-binary.tar.gz");
    std::fs::write(&file, b"packed").expect("a file");
    let layout = "expected CIFAR-10 (cifar-10-batches-bin, cifar-10-batches-py, or either's .tar.gz), the idx files of \
                  MNIST or Fashion-MNIST, or pictures in a folder for each class";
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("a directory");
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, b"words").expect("a file");
    for (path, found) in [
        (dir.path().join("none"), "cannot read PATH: there is no such file or directory; LAYOUT"),
        (text, "PATH: is a file, not an archive of CIFAR-10; LAYOUT"),
        (empty, "PATH: holds no data set that is known; LAYOUT"),
        (file, "PATH: ends in the middle of a member; fetch it again"),
    ] {
        let wanted = found.replace("PATH", &path.display().to_string()).replace("LAYOUT", layout);
        let message = cifar10::read(&path, false).expect_err("nothing to read").to_string();
        assert_eq!(message, wanted);
    }
}
