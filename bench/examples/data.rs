//! How fast a data set is read: `cargo run --release -p chainrule-bench --example data -- DIR [THREADS [SAMPLES]]`.
//!
//! DIR is whatever `chainrule train --data` takes. Pictures in folders are decoded anew each time: their cache is removed before.
//! Prints one JSON object; `bench/peers/pictures.py` makes 10,000 pictures and times PyTorch on them.

use chainrule::data::{Request, open};
use chainrule_bench::gate::{Options, measure};
use std::path::Path;
use std::time::Duration;

fn main() {
    let mut args = std::env::args().skip(1);
    let directory = args.next().expect("usage: data DIR [THREADS [SAMPLES]]");
    let directory = Path::new(&directory);
    if let Some(threads) = args.next().and_then(|n| n.parse().ok()) {
        chainrule_kernels::threads::set_threads(threads);
    }
    let samples = args.next().and_then(|n| n.parse().ok()).unwrap_or(5);
    let read = || {
        let _ = std::fs::remove_file(directory.join(".chainrule-pictures-32"));
        open(directory, &Request::default()).expect("a data set")
    };
    // Once before, which also brings the files into memory.
    let splits = read();
    let pictures = splits.train.len() + splits.val.len() + splits.test.len();
    drop(splits);
    let options =
        Options { warmup: 0, samples, budget: Duration::from_secs(40), ..Options::default() };
    let sample = measure(&format!("read {pictures} pictures"), &options, || drop(read()));
    println!("{}", serde_json::to_string(&sample).expect("numbers are JSON"));
}
