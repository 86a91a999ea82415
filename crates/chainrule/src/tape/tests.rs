use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn tensor(values: &[f64]) -> Tensor {
    Tensor::from_f64([values.len()], values)
}

/// The message of a panic, and where it happened.
fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    payload.downcast_ref::<String>().cloned().expect("a message")
}

#[test]
fn leaves_are_recognised_and_clones_are_leaves_of_their_own() {
    let a = tensor(&[1.0, 2.0]);
    let b = a.clone();
    let tape = Tape::train(0);
    let loss = (tape.constant(tensor(&[1.0, 1.0])) * &a * 3.0 + &b * (tape.leaf(&a) * &b)).sum();
    let grads = loss.backward();
    assert_eq!(grads[&a].to_vec(), [4.0, 7.0]);
    assert_eq!(grads[&b].to_vec(), [2.0, 8.0]);
    assert_eq!(grads.len(), 2);
}

#[test]
fn another_tensor_in_the_same_variable_is_another_leaf() {
    let tape = Tape::train(0);
    let mut y = tape.constant(tensor(&[1.0]));
    for factor in [2.0, 3.0, 5.0] {
        let w = tensor(&[factor]);
        y = y * &w;
    }
    assert_eq!((y.item(), y.sum().backward().len()), (30.0, 3));
}

#[test]
fn values_inside_have_gradients_on_request() {
    let w = tensor(&[1.0, -2.0]);
    let tape = Tape::train(0);
    let inside = tape.leaf(&w) * 3.0;
    inside.retain_grad();
    let dropped = inside.relu();
    let grads = (&dropped * &dropped).sum().backward();
    assert_eq!(grads[&inside].to_vec(), [6.0, 0.0]);
    assert_eq!(grads[&w].to_vec(), [18.0, 0.0]);
    assert!(grads.get(&dropped).is_none());
}

#[test]
fn constants_and_detached_values_stop_gradients() {
    let w = tensor(&[2.0]);
    let tape = Tape::train(0);
    let x = tape.leaf(&w);
    let y = x.square();
    assert_eq!((&x * y.detach()).sum().backward()[&w].to_vec(), [4.0]);
    assert!(!tape.constant(w.clone()).exp().needs_grad());
    assert!(tape.is_empty(), "backward ends the recording");
}

#[test]
fn an_eval_tape_keeps_nothing() {
    let w = tensor(&[2.0]);
    let tape = Tape::eval();
    let y = tape.leaf(&w).exp().dropout(0.5);
    assert!(tape.is_empty() && !y.needs_grad() && tape.mode() == Mode::Test);
    assert!(message(|| drop(y.backward())).contains("an eval tape records nothing"));
}

#[test]
fn randomness_belongs_to_the_step() {
    let x = Tensor::ones([64], DType::F32);
    let masks = |epoch, step| {
        let tape = Tape::train(3);
        tape.at(epoch, step);
        let x = tape.constant(x.clone());
        (x.dropout(0.5).value().to_vec(), x.dropout(0.5).value().to_vec())
    };
    let (first, second) = masks(0, 5);
    assert_ne!(first, second);
    assert_eq!(masks(0, 5), (first.clone(), second));
    assert_ne!(masks(0, 6).0, first);
}

#[test]
fn what_is_wrong_is_said() {
    let w = tensor(&[1.0, 2.0]);
    let tape = Tape::train(0);
    let x = tape.leaf(&w);
    let stale = x.exp();
    let text = message(|| drop(stale.backward()));
    assert!(text.starts_with("backward: only a single number has gradients"), "{text}");
    let grads = stale.sum().backward();
    let other = tensor(&[1.0, 2.0]);
    assert!(message(|| drop(grads[&other].clone())).starts_with("grads: there is no gradient"));
    assert!(message(|| drop(&stale + &w)).contains("a recording that has ended"));
    let elsewhere = Tape::train(0).leaf(&w);
    let text = message(|| drop(tape.leaf(&w) + elsewhere));
    assert!(text.starts_with("tape: two operands are on different tapes"), "{text}");
    let text = message(|| drop(tape.constant(w.clone()).sum().backward()));
    assert!(text.contains("computed from constants alone"), "{text}");
    let text = message(|| tape.constant(w.clone()).retain_grad());
    assert!(text.contains("a constant has no gradient"), "{text}");
}

#[test]
fn panics_point_to_the_caller() {
    use std::sync::Mutex;
    static WHERE: Mutex<Option<(String, u32)>> = Mutex::new(None);
    let before = std::panic::take_hook();
    let here = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == here {
            let at = info.location().map(|l| (l.file().to_string(), l.line()));
            *WHERE.lock().expect("no panic holds it") = at;
        }
    }));
    let tape = Tape::train(0);
    let x = tape.constant(Tensor::zeros([2, 3], DType::F32));
    let w = Tensor::zeros([4, 5], DType::F32);
    let line = line!() + 1;
    let result = catch_unwind(AssertUnwindSafe(|| x.matmul(&w)));
    let _ = std::panic::take_hook();
    std::panic::set_hook(before);
    assert!(result.is_err());
    let (file, at) = WHERE.lock().expect("no panic holds it").clone().expect("a panic");
    assert!(file.ends_with("tape/tests.rs") && at == line, "{file}:{at}");
}
