//! Weights in files: both formats there and back, what is refused, and PyTorch and NumPy on the other side.

use chainrule::Result;
use chainrule::models::ResNetCe;
use chainrule::nn::{Buffer, Module, Params, Sequential};
use chainrule::rng::Rng;
use chainrule::tape::Tape;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::{load_module, save_module};
use std::fs;
use std::path::Path;
use std::process::Command;

fn dense(seed: u64) -> Sequential {
    Sequential::on([12], &mut Rng::new(seed)).linear(8).batch_norm().relu().linear(3).build()
}

fn convnet(seed: u64) -> Sequential {
    Sequential::on([3, 16, 16], &mut Rng::new(seed))
        .conv2d(32, 5)
        .relu()
        .conv2d(16, 3)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .flatten()
        .linear(10)
        .build()
}

/// A batch, and a step of training on it, so that running averages are not those of the beginning.
fn used(net: &impl Module, shape: &[usize]) -> Tensor {
    let x = Tensor::randn(shape, 1.0, DType::F32, &mut Rng::new(4));
    let x = if shape.len() == 4 { x.to_order(Order::ChannelsLast) } else { x };
    let tape = Tape::train(0);
    tape.constant(x.clone()).apply(net);
    tape.constant(&x * 0.5).apply(net);
    x
}

fn scores(net: &impl Module, x: &Tensor) -> Tensor {
    Tape::eval().constant(x.clone()).apply(net).value().clone()
}

#[test]
fn both_formats_keep_every_bit() -> Result<()> {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let net = convnet(0);
    let x = used(&net, &[4, 3, 16, 16]);
    for ending in ["safetensors", "npz"] {
        let (file, again) =
            (dir.path().join(format!("w.{ending}")), dir.path().join(format!("v.{ending}")));
        save_module(&net, &file)?;
        let mut other = convnet(1);
        load_module(&mut other, &file)?;
        assert_eq!(scores(&other, &x).to_vec(), scores(&net, &x).to_vec(), "{ending}");
        let counted = other.named_buffers().into_iter().find(|(name, _)| name.ends_with("tracked"));
        assert_eq!(counted.expect("batch norm counts").1.item(), 2.0);
        save_module(&other, &again)?;
        assert!(
            fs::read(&file).expect("written") == fs::read(&again).expect("written"),
            "{ending}"
        );
        let mut of_f64 = convnet(1);
        of_f64.convert(DType::F64);
        let error = load_module(&mut of_f64, &file).expect_err("another type").to_string();
        assert!(error.contains("is f32"), "{error}");
        save_module(&of_f64, &file)?;
        load_module(&mut of_f64, &file)?;
        let error = load_module(&mut dense(0), &file).expect_err("another net").to_string();
        assert!(error.contains("that the model does not have"), "{error}");
    }
    Ok(())
}

/// Changes to a good file of which each must be refused or harmless, and none may panic or take much memory.
#[test]
fn damaged_archives_are_refused_and_leave_the_module_alone() -> Result<()> {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("w.npz");
    save_module(&dense(0), &file)?;
    let good = fs::read(&file).expect("written");
    let mut net = dense(1);
    let before = net.named_params();
    let mut refused = 0;
    let mut attempt = |bytes: &[u8]| {
        fs::write(&file, bytes).expect("room");
        if load_module(&mut net, &file).is_err() {
            refused += 1;
            let same =
                |((_, a), (_, b)): (&(String, Tensor), &(String, Tensor))| a.to_vec() == b.to_vec();
            assert!(net.named_params().iter().zip(&before).all(same), "unchanged");
        } else {
            load_module(&mut net, &file).expect("it loads again");
            before.iter().for_each(|(name, t)| assert!(net.set_value(name, t)));
        }
    };
    (0..good.len()).step_by(7).for_each(|n| attempt(&good[..n]));
    let cut = good.len().div_ceil(7);
    let flipped = good.len().div_ceil(3);
    for at in (0..good.len()).step_by(3) {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        attempt(&bytes);
    }
    // Changed are also times, versions and attributes, which mean nothing here; every number is under a checksum.
    assert!(refused > cut + flipped * 7 / 10, "{refused} of {} refused", cut + flipped);
    Ok(())
}

#[test]
fn a_name_says_the_format() {
    for name in ["w.pt", "w", "w.NPZ"] {
        let error = save_module(&dense(0), Path::new(name)).expect_err("refused").to_string();
        assert!(error.contains("ends in .safetensors or .npz"), "{error}");
    }
}

/// A batch and the scores of it, in a file of two tensors.
#[derive(Params)]
struct Io {
    x: Buffer,
    y: Buffer,
}

impl Io {
    fn of(x: &Tensor, y: &Tensor) -> Io {
        Io { x: Buffer::new(x.clone()), y: Buffer::new(y.clone()) }
    }
}

fn write(net: &impl Module, name: &str, shape: &[usize], dir: &Path) {
    let x = used(net, shape);
    let file = |ending: &str| dir.join(format!("{name}.{ending}"));
    save_module(net, &file("safetensors")).expect("room");
    save_module(net, &file("npz")).expect("room");
    save_module(&Io::of(&x, &scores(net, &x)), &file("io.npz")).expect("room");
}

fn read_back(mut net: impl Module, name: &str, shape: &[usize], dir: &Path) {
    let mut io =
        Io::of(&Tensor::zeros(shape, DType::F32), &scores(&net, &Tensor::zeros(shape, DType::F32)));
    load_module(&mut io, &dir.join(format!("BACK_{name}.io.npz"))).expect("NumPy's file");
    for ending in ["safetensors", "npz"] {
        load_module(&mut net, &dir.join(format!("BACK_{name}.{ending}"))).expect("PyTorch's file");
        let (ours, theirs) = (scores(&net, &io.x.get()).to_vec(), io.y.get().to_vec());
        let worst = ours.iter().zip(&theirs).fold(0.0f64, |w, (a, b)| w.max((a - b).abs()));
        println!("BACK_{name}.{ending}: scores differ by at most {worst:.1e}");
        assert!(worst <= 1e-5, "{name}.{ending}: {worst}");
    }
}

/// Needs Python with torch, numpy and safetensors, which CHAINRULE_PYTHON names (python3 without):
///
///     cargo test --release -p chainrule --test weights -- --ignored --nocapture
#[test]
#[ignore = "needs PyTorch"]
fn weights_go_to_pytorch_and_back() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let dir = dir.path();
    let resnet = |seed| {
        let mut net = ResNetCe::new(10, 0.3, &mut Rng::new(seed));
        net.set_names();
        net
    };
    let (flat, small, full) = ([6, 12], [4, 3, 16, 16], [4, 3, 32, 32]);
    write(&dense(0), "dense", &flat, dir);
    write(&convnet(0), "convnet", &small, dir);
    write(&resnet(0), "resnet_ce", &full, dir);
    let python = std::env::var("CHAINRULE_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/peers/weights.py");
    let status = Command::new(&python).arg(script).arg(dir).status();
    assert!(status.expect("Python starts").success());
    read_back(dense(1), "dense", &flat, dir);
    read_back(convnet(1), "convnet", &small, dir);
    read_back(resnet(1), "resnet_ce", &full, dir);
}
