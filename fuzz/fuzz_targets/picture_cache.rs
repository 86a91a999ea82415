//! The file that decoded pictures are kept in, with the key and the sum that it should have, for else these are all that is ever
//! seen. Whatever else it holds, it is used as pictures of the files that are there, or made again.
#![no_main]
use chainrule::data::{self, Request};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Pictures a class, two of which validate or may.
const EACH: usize = 2;
const SIDE: usize = 2;

struct Folder {
    path: PathBuf,
    /// What the cache of its pictures begins with.
    key: Vec<u8>,
}

fn read(path: &PathBuf) -> chainrule::Result<data::Splits> {
    data::open(path, &Request { size: Some(SIDE), skip_bad: true, ..Request::default() })
}

impl Folder {
    fn cache(&self) -> PathBuf {
        self.path.join(format!(".chainrule-pictures-{SIDE}"))
    }
}

static FOLDER: LazyLock<Folder> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("chainrule-fuzz-cache-{}", std::process::id()));
    let pixel = include_bytes!("../seeds/images/tiny-RGB.png");
    for class in ["a", "b"] {
        fs::create_dir_all(path.join(class)).expect("a scratch directory");
        (0..EACH).for_each(|i| {
            fs::write(path.join(class).join(format!("{i}.png")), pixel).expect("a scratch file");
        });
    }
    read(&path).expect("four pictures");
    let mut folder = Folder { path, key: Vec::new() };
    folder.key = fs::read(folder.cache()).expect("a cache")[..32].to_vec();
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let mut file = [&FOLDER.key, bytes].concat();
    let sum = Sha256::digest(&file);
    file.extend_from_slice(&sum);
    fs::write(FOLDER.cache(), file).expect("a scratch file");
    if let Ok(splits) = read(&FOLDER.path) {
        assert!(splits.train.len() + splits.val.len() <= 2 * EACH);
        assert_eq!(splits.train.shape(), &[3, SIDE, SIDE]);
    }
});
