//! The harness itself: that it sees what is wrong, and drops nothing.

use super::compare::{Out, Outputs, compare, outputs};
use super::format::{self, Array, Case};
use super::runner::{Outcome, run_case};

fn case(op: &str, expect: &str) -> Case {
    let text = format!(
        r#"{{"id":"a","op":"{op}","args":{{"seed":231,"steps":[]}},"expect":{expect},"rtol":1e-3,"atol":1e-6}}"#
    );
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn wrong(expect: &str, got: Outputs) -> Vec<String> {
    compare(&case("some.op", expect), &got).wrong
}

fn array(data: &[f64]) -> Out {
    Array::new(&[data.len()], data.to_vec()).into()
}

#[test]
fn an_array_must_have_the_shape_and_every_element() {
    let expect = r#"{"x":{"shape":[3],"data":[1.0,2.0,-100.0]}}"#;
    let judge = |data: &[f64]| wrong(expect, outputs([("x", array(data))]));
    assert!(judge(&[1.09, 2.0, -100.0]).is_empty(), "the tolerance is of the largest");
    assert!(judge(&[1.2, 2.0, -100.0])[0].starts_with("x at 0: got 1.2"));
    assert!(judge(&[1.0, f64::NAN, -100.0])[0].starts_with("x at 1: got NaN"));
    assert!(judge(&[1.0, 2.0, f64::NAN])[0].starts_with("x at 2: got NaN"));
    assert!(judge(&[1.0, 2.0])[0].contains("shape [2]"));
    let square = Array::new(&[3, 1], vec![1.0, 2.0, -100.0]);
    assert!(wrong(expect, outputs([("x", square.into())]))[0].contains("shape [3, 1]"));
    assert_eq!(wrong(expect, outputs([])), ["x: the op gave no such result"]);
}

#[test]
fn a_digest_sees_exchanged_elements() {
    let mut data: Vec<f64> = (0..401).map(|i| f64::from(i) * 0.25).collect();
    let sum =
        |f: &dyn Fn(usize, f64) -> f64| data.iter().enumerate().map(|(i, &v)| f(i, v)).sum::<f64>();
    let weight = |i: usize| (((i * 7919) % 1009) as f64 - 504.0) / 504.0;
    let places: Vec<usize> = (0..16).map(|k| k * 400 / 15).collect();
    let sample: Vec<f64> = places.iter().map(|&i| data[i]).collect();
    let expect = format!(
        r#"{{"x":{{"n":401,"sum":{},"sum_abs":{0},"sum_sq":{},"wsum":{},"sample_idx":{places:?},"sample":{sample:?}}}}}"#,
        sum(&|_, v| v),
        sum(&|_, v| v * v),
        sum(&|i, v| v * weight(i)),
    );
    let judge = |data: &[f64]| wrong(&expect, outputs([("x", array(data))]));
    assert!(judge(&data).is_empty());
    // Neither is a place of the sample.
    data.swap(1, 398);
    assert!(judge(&data)[0].starts_with("x weighted sum"), "{:?}", judge(&data));
    data.swap(1, 398);
    data[399] = f64::NAN;
    assert_eq!(judge(&data).len(), 3);
    assert!(judge(&data[1..])[0].contains("got 400 numbers"));
}

#[test]
fn numbers_lists_and_texts_must_be_equal() {
    let expect = r#"{"n":3,"f":0.5,"l":["a","b"],"m":{"k":1.0}}"#;
    let got = |n: usize, f: f64, l: Vec<&str>, k: f64| {
        let inner = outputs([("k", k.into())]);
        outputs([("n", n.into()), ("f", f.into()), ("l", l.into()), ("m", Out::Map(inner))])
    };
    let judge = |n, f, l: &[&str], k| wrong(expect, got(n, f, l.to_vec(), k)).join("; ");
    assert_eq!(judge(3, 0.5004, &["a", "b"], 1.0), "");
    assert!(judge(4, 0.5, &["a", "b"], 1.0).starts_with("n: got Int(4)"));
    assert!(judge(3, 0.51, &["a", "b"], 1.0).starts_with("f: got 5.1e-1"));
    assert!(judge(3, f64::NAN, &["a", "b"], 1.0).starts_with("f: got NaN"));
    assert!(judge(3, 0.5, &["a", "c"], 1.0).starts_with("l[1]: got Text"));
    assert!(judge(3, 0.5, &["a"], 1.0).starts_with("l: got 1 items"));
    assert!(judge(3, 0.5, &["a", "b"], 1.1).starts_with("m.k: got 1.1"));
}

#[test]
fn printed_numbers_are_compared_as_finely_as_the_tolerance_allows() {
    let judge = |want: &str, got: &str| {
        wrong(&format!(r#"{{"l":["{want}"]}}"#), outputs([("l", vec![got].into())])).is_empty()
    };
    // The tolerance of these cases is 1e-3, relative.
    assert!(judge("(Step 1 / 20) loss: 1.362558", "(Step 1 / 20) loss: 1.362557"));
    assert!(judge("acc: 0.300000; val: 1.0001", "acc: 0.300001; val: 1.0001"));
    assert!(!judge("loss: 1.362558", "loss: 1.365"));
    assert!(!judge("loss: 1.36", "loss: 1.361"), "the tolerance is finer than the print");
    assert!(!judge("(Step 1 / 20)", "(Step 2 / 20)"));
    assert!(!judge("loss: 1.362558", "loss: 1.362558 "));
    assert!(!judge("loss: 1.362558", "Loss: 1.362558"));
}

#[test]
fn bounds_and_noise_have_their_own_rules() {
    let bound = r#"{"db_abs_max":1e-10}"#;
    assert!(wrong(bound, outputs([("db", array(&[1e-11, -9e-11]))])).is_empty());
    assert_eq!(wrong(bound, outputs([("db", array(&[0.0, -2e-10]))])).len(), 1);
    assert_eq!(wrong(bound, outputs([("db", array(&[f64::NAN, 0.0]))])).len(), 1);
    let noise = r#"{"gradcheck_rel_error":{"W":1e-7,"b":1e-2}}"#;
    let judge = |w: f64, b: f64| {
        let errors = outputs([("W", w.into()), ("b", b.into())]);
        wrong(noise, outputs([("gradcheck_rel_error", Out::Map(errors))])).len()
    };
    assert_eq!(judge(1.9e-6, 0.9), 0);
    assert_eq!(judge(2.1e-6, 0.9), 1);
    assert_eq!(judge(f64::NAN, 0.0), 1);
}

#[test]
fn nothing_is_skipped_without_a_word() {
    let judge = |op: &str, expect: &str| match run_case(&case(op, expect)) {
        Outcome::Wrong(lines) => lines.join("; "),
        Outcome::Agreed(n) => format!("{n} agreed"),
        Outcome::NotYet => "not yet".into(),
    };
    assert_eq!(judge("fn.unheard_of", "{}"), r#"unknown op "fn.unheard_of""#);
    assert_eq!(judge("rng.program", "{}"), "the case expects nothing");
    assert_eq!(judge("rng.program", r#"{"other":1}"#), "other: the op gave no such result");
    let words = "[3356491351,2600961200,2509159060,1021729225,1832705803,581989062]";
    let expect = format!(r#"{{"first_words":{{"shape":[6],"data":{words}}}}}"#);
    assert_eq!(judge("rng.program", &expect), "1 agreed");
    assert!(judge("rng.hparam_search", r#"{"rows":1}"#).starts_with("args: "));
}

#[test]
fn a_file_that_is_not_one_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let judge = |text: &str| {
        let path = folder.path().join("x.json");
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{e}"));
        let error = format::read(&path).err().unwrap_or_default();
        assert!(error.contains("x.json"), "{error}");
        error
    };
    assert!(judge("{").contains("EOF"));
    assert!(judge(r#"{"format":"chainrule-goldens-2","cases":[]}"#).contains("goldens-2"));
    let one = r#"{"id":"a","op":"b","expect":{},"rtol":0,"atol":0}"#;
    let twice = format!(r#"{{"format":"chainrule-goldens-1","cases":[{one},{one}]}}"#);
    assert!(judge(&twice).contains("two cases are called a"));
    let odd = one.replace("rtol", "ftol");
    let odd = format!(r#"{{"format":"chainrule-goldens-1","cases":[{odd}]}}"#);
    assert!(judge(&odd).contains("unknown field `ftol`"));
    let missing = format::read(&folder.path().join("none.json")).err().unwrap_or_default();
    assert!(missing.starts_with("cannot read") && missing.contains("none.json"), "{missing}");
}
