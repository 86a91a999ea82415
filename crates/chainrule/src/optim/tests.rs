use super::*;
use crate::tensor::{DType, Order};

/// Numbers in (-1, 1) that depend on the index alone.
fn numbers(n: usize, salt: u64) -> Vec<f64> {
    (0..n as u64)
        .map(|i| {
            let bits = (i + 1000 * salt + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
            bits as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

const NONE: OptimConfig = OptimConfig::NONE;

/// A naive twin: one number, the formulas as the sources write them. `s` is its memory, `t` the step from 1.
type Twin = fn(w: f64, g: f64, s: &mut [f64; 3], t: i32, lr: f64, h: &Hyper) -> f64;

fn sgd_twin(w: f64, dw: f64, s: &mut [f64; 3], t: i32, lr: f64, h: &Hyper) -> f64 {
    let g = dw + h.weight_decay * w;
    if h.momentum == 0.0 {
        return w - lr * g;
    }
    s[0] = if t == 1 { g } else { h.momentum * s[0] + (1.0 - h.dampening) * g };
    w - lr * if h.nesterov { g + h.momentum * s[0] } else { s[0] }
}

fn momentum_twin(w: f64, dw: f64, s: &mut [f64; 3], _t: i32, lr: f64, h: &Hyper) -> f64 {
    s[0] = h.momentum * s[0] - lr * (dw + h.weight_decay * w);
    w + s[0]
}

fn rmsprop_twin(w: f64, dw: f64, s: &mut [f64; 3], _t: i32, lr: f64, h: &Hyper) -> f64 {
    let g = dw + h.weight_decay * w;
    s[0] = h.decay_rate * s[0] + (1.0 - h.decay_rate) * g * g;
    s[1] = h.decay_rate * s[1] + (1.0 - h.decay_rate) * g;
    let d = if h.centered { (s[0] - s[1] * s[1]).sqrt() } else { s[0].sqrt() } + h.eps;
    s[2] = h.momentum * s[2] + g / d;
    if h.momentum > 0.0 { w - lr * s[2] } else { w - lr * g / d }
}

fn adagrad_twin(w: f64, dw: f64, s: &mut [f64; 3], t: i32, lr: f64, h: &Hyper) -> f64 {
    let g = dw + h.weight_decay * w;
    if t == 1 {
        s[0] = h.initial_accumulator;
    }
    s[0] += g * g;
    w - lr / (1.0 + f64::from(t - 1) * h.lr_decay) * g / (s[0].sqrt() + h.eps)
}

fn adam_twin(w: f64, dw: f64, s: &mut [f64; 3], t: i32, lr: f64, h: &Hyper) -> f64 {
    let g = dw + h.weight_decay * w;
    s[0] = h.beta1 * s[0] + (1.0 - h.beta1) * g;
    s[1] = h.beta2 * s[1] + (1.0 - h.beta2) * g * g;
    s[2] = s[2].max(s[1]);
    let mhat = s[0] / (1.0 - h.beta1.powi(t));
    let vhat = if h.amsgrad { s[2] } else { s[1] } / (1.0 - h.beta2.powi(t));
    w - lr * mhat / (vhat.sqrt() + h.eps)
}

fn adamw_twin(w: f64, dw: f64, s: &mut [f64; 3], t: i32, lr: f64, h: &Hyper) -> f64 {
    let shrunk = w * (1.0 - lr * h.weight_decay);
    adam_twin(shrunk, dw, s, t, lr, &Hyper { weight_decay: 0.0, ..h.clone() })
}

fn lion_twin(w: f64, dw: f64, s: &mut [f64; 3], _t: i32, lr: f64, h: &Hyper) -> f64 {
    let direction = h.beta1 * s[0] + (1.0 - h.beta1) * dw;
    s[0] = h.beta2 * s[0] + (1.0 - h.beta2) * dw;
    w - lr * (direction.signum() + h.weight_decay * w)
}

/// Muon on a matrix of 5 x 7 in loops: the only rule whose numbers depend on each other. `v` is its velocity.
fn muon_twin(w: &mut [f64], dw: &[f64], v: &mut [f64], lr: f64, h: &Hyper) {
    v.iter_mut().zip(dw).for_each(|(v, g)| *v = h.momentum * *v + g);
    let look = |(v, g): (&f64, &f64)| if h.nesterov { g + h.momentum * v } else { *v };
    let mut x: Vec<f64> = v.iter().zip(dw).map(look).collect();
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-7;
    x.iter_mut().for_each(|x| *x /= norm);
    let product = |a: &[f64], b: &dyn Fn(usize, usize) -> f64, inner: usize, columns: usize| {
        let row = |i: usize, j: usize| (0..inner).map(|k| a[i * inner + k] * b(k, j)).sum::<f64>();
        (0..5 * columns).map(|i| row(i / columns, i % columns)).collect::<Vec<f64>>()
    };
    for _ in 0..5 {
        let a = product(&x, &|k, j| x[j * 7 + k], 7, 5);
        let squared = product(&a, &|k, j| a[k * 5 + j], 5, 5);
        let b: Vec<f64> = a.iter().zip(&squared).map(|(a, s)| -4.7750 * a + 2.0315 * s).collect();
        let bx = product(&b, &|k, j| x[k * 7 + j], 5, 7);
        x.iter_mut().zip(bx).for_each(|(x, bx)| *x = 3.4445 * *x + bx);
    }
    w.iter_mut().zip(&x).for_each(|(w, x)| *w -= lr * (x + h.weight_decay * *w));
}

fn twin(name: &str) -> Twin {
    match name {
        "sgd" => sgd_twin,
        "momentum" => momentum_twin,
        "rmsprop" => rmsprop_twin,
        "adagrad" => adagrad_twin,
        "adam" => adam_twin,
        "adamw" => adamw_twin,
        "lion" => lion_twin,
        other => panic!("{other} has no twin: write one"),
    }
}

/// Every rule with its defaults, and with every key away from its default.
fn cases() -> Vec<(&'static str, OptimConfig)> {
    let decay = OptimConfig { weight_decay: Some(0.1), ..NONE };
    let mut cases: Vec<_> = RULES.iter().map(|r| (r.name, NONE)).collect();
    cases.extend(RULES.iter().map(|r| (r.name, decay.clone())));
    let heavy = OptimConfig { momentum: Some(0.8), ..decay.clone() };
    let centered = OptimConfig { centered: Some(true), decay_rate: Some(0.9), ..decay.clone() };
    let betas =
        OptimConfig { beta1: Some(0.8), beta2: Some(0.9), eps: Some(1e-3), ..decay.clone() };
    let amsgrad = OptimConfig { amsgrad: Some(true), ..betas.clone() };
    cases.extend([
        ("sgd", heavy.clone()),
        ("sgd", OptimConfig { nesterov: Some(true), ..heavy.clone() }),
        ("sgd", OptimConfig { dampening: Some(0.3), ..heavy.clone() }),
        ("momentum", heavy.clone()),
        ("rmsprop", OptimConfig { eps: Some(1e-3), ..heavy.clone() }),
        ("rmsprop", centered.clone()),
        ("rmsprop", OptimConfig { momentum: Some(0.5), ..centered }),
        ("adagrad", OptimConfig { lr_decay: Some(0.2), initial_accumulator: Some(0.3), ..decay }),
        ("adam", betas.clone()),
        ("adam", amsgrad.clone()),
        ("adamw", betas.clone()),
        ("adamw", amsgrad),
        ("lion", OptimConfig { eps: None, ..betas }),
        ("muon", OptimConfig { nesterov: Some(false), ..heavy }),
    ]);
    cases
}

/// The twin's weights after `steps` steps, or a clear panic.
fn by_twin(name: &str, config: &OptimConfig, start: &[f64], steps: usize, lr: f64) -> Vec<f64> {
    let hyper = Rule::named(name).unwrap().effective(config).unwrap().values();
    let mut state = vec![[0.0; 3]; start.len()];
    let (mut w, mut velocity) = (start.to_vec(), vec![0.0; start.len()]);
    for t in 1..=steps {
        let g = numbers(w.len(), t as u64);
        if name == "muon" {
            muon_twin(&mut w, &g, &mut velocity, lr, &hyper);
            continue;
        }
        for ((w, g), s) in w.iter_mut().zip(g).zip(&mut state) {
            *w = twin(name)(*w, g, s, t as i32, lr, &hyper);
        }
    }
    w
}

/// Steps `from + 1` to `to` of a rule on one parameter.
fn run(rule: &mut dyn UpdateRule, w: &mut Tensor, from: usize, to: usize, lr: f64) {
    for t in from + 1..=to {
        let g = Tensor::from_f64(*w.shape(), &numbers(w.len(), t as u64)).to_dtype(w.dtype());
        rule.begin_step();
        rule.update(0, w, &g, lr, true);
    }
}

#[track_caller]
fn near(got: &Tensor, want: &[f64], tolerance: f64, what: &str) {
    for (g, w) in got.to_vec().iter().zip(want) {
        assert!((g - w).abs() <= tolerance * w.abs().max(1.0), "{what}: {g}, not {w}");
    }
}

#[test]
fn every_rule_agrees_with_its_naive_twin() {
    for (name, config) in cases() {
        let start = numbers(35, 77);
        let mut w = Tensor::from_f64([5, 7], &start);
        run(make(name, &config).unwrap().as_mut(), &mut w, 0, 8, 0.05);
        let want = by_twin(name, &config, &start, 8, 0.05);
        near(&w, &want, 1e-12, &format!("{name} {config:?}"));

        let mut w = Tensor::from_f64([5, 7], &start).to_dtype(DType::F32);
        run(make(name, &config).unwrap().as_mut(), &mut w, 0, 8, 0.05);
        near(&w, &want, 1e-4, &format!("{name} {config:?} in f32"));
    }
}

#[test]
fn every_rule_finds_the_bottom_of_a_bowl() {
    // f(w) = sum of a_i (w_i - c_i)^2 / 2 with curvatures from 0.5 to 2; dw = a (w - c).
    let (a, c) = ([0.5, 1.0, 1.5, 2.0], [0.3, -0.2, 0.5, 0.1]);
    // Adagrad with a falling rate takes more steps than a test should.
    for (name, config) in cases().into_iter().filter(|(_, c)| c.lr_decay.is_none()) {
        // With decay the bottom lies elsewhere.
        let decay = false;
        let mut rule = make(name, &config).unwrap();
        let mut w = Tensor::from_f64([4], &[1.0, 1.0, -1.0, -1.0]);
        // Steps of rules that divide by the gradient's size end only with the learning rate.
        let cosine = Schedule::by_name("cosine", &ScheduleConfig::NONE).unwrap();
        for s in 0..1000 {
            let g: Vec<f64> = (0..4).map(|i| a[i] * (w.at(&[i]) - c[i])).collect();
            rule.begin_step();
            let lr = cosine.lr(0.2, Progress::new(s, 1000, 1000));
            rule.update(0, &mut w, &Tensor::from_f64([4], &g), lr, decay);
        }
        near(&w, &c, 1e-3, &format!("{name} {config:?}"));
    }
}

#[test]
fn a_loaded_state_goes_on_bit_for_bit() {
    for (name, config) in cases() {
        for dtype in [DType::F32, DType::F64] {
            let mut rule = make(name, &config).unwrap();
            let mut w = Tensor::from_f64([5, 7], &numbers(35, 7)).to_dtype(dtype);
            run(rule.as_mut(), &mut w, 0, 3, 0.05);
            let (saved, mut w2) = (rule.state(), w.clone());
            saved.check([&w]).unwrap();
            run(rule.as_mut(), &mut w, 3, 6, 0.05);

            let mut other = make(name, &config).unwrap();
            other.load_state(saved).unwrap();
            run(other.as_mut(), &mut w2, 3, 6, 0.05);
            assert_eq!(w.to_vec(), w2.to_vec(), "{name} {config:?}");
            assert_eq!(rule.state().step, other.state().step);
            let (one, two) = (rule.state().slots, other.state().slots);
            for ((n1, t1), (n2, t2)) in one.iter().flatten().zip(two.iter().flatten()) {
                assert_eq!((n1, t1.to_vec()), (n2, t2.to_vec()), "{name}");
            }
        }
    }
}

#[test]
fn a_parameter_without_updates_has_no_state() {
    let mut rule = make("adam", &NONE).unwrap();
    let mut w = Tensor::ones([2], DType::F32);
    rule.begin_step();
    rule.update(2, &mut w.clone(), &w, 0.1, true);
    let state = rule.state();
    assert_eq!(state.slots.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 2]);
    assert!(state.check([&w, &w]).unwrap_err().to_string().contains("of 3 parameters"));
    rule.load_state(state).unwrap();
    rule.begin_step();
    rule.update(0, &mut w, &Tensor::ones([2], DType::F32), 0.1, true);
    assert_eq!(rule.state().slots[0].len(), 2);
}

#[test]
fn decay_is_for_those_that_ask_for_it() {
    for rule in RULES {
        let config = OptimConfig { weight_decay: Some(0.1), ..NONE };
        let after = |config: &OptimConfig, decay| {
            let mut w = Tensor::ones([3], DType::F64);
            let mut rule = rule.make(config).unwrap();
            for t in 0..2 {
                rule.begin_step();
                rule.update(0, &mut w, &Tensor::from_f64([3], &numbers(3, t)), 0.1, decay);
            }
            w.to_vec()
        };
        let none = OptimConfig { weight_decay: Some(0.0), ..NONE };
        assert_eq!(after(&config, false), after(&none, true), "{}", rule.name);
        assert_ne!(after(&config, true), after(&none, true), "{}", rule.name);
    }
}

#[test]
fn memory_orders_may_differ() {
    let (x, g) = (numbers(24, 1), numbers(24, 2));
    for (name, config) in cases() {
        let step = |orders: [Order; 3]| {
            let tensor = |v: &[f64], o| Tensor::from_f64([2, 3, 2, 2], v).to_order(o);
            let mut w = tensor(&x, orders[0]);
            let mut rule = make(name, &config).unwrap();
            for order in [orders[1], orders[2]] {
                rule.begin_step();
                rule.update(0, &mut w, &tensor(&g, order), 0.1, true);
                // A parameter may change its order between steps; its state follows.
                w = w.to_order(order);
            }
            w.to_vec()
        };
        let (row, last) = (Order::RowMajor, Order::ChannelsLast);
        assert_eq!(step([row, row, row]), step([last, row, last]), "{name}");
    }
}

#[test]
fn steady_updates_take_no_memory() {
    for (name, config) in cases() {
        let mut rule = make(name, &config).unwrap();
        let (mut w, g) = (Tensor::ones([64, 9], DType::F32), Tensor::ones([64, 9], DType::F32));
        rule.begin_step();
        rule.update(0, &mut w, &g, 0.1, true);
        let places = |rule: &dyn UpdateRule, w: &Tensor| {
            let state = rule.state();
            let tensors = state.slots.iter().flatten().map(|(_, t)| t.data::<f32>().as_ptr());
            tensors.chain([w.data::<f32>().as_ptr()]).collect::<Vec<_>>()
        };
        let before = places(rule.as_ref(), &w);
        for _ in 0..3 {
            rule.begin_step();
            rule.update(0, &mut w, &g, 0.1, true);
        }
        assert_eq!(before, places(rule.as_ref(), &w), "{name}: in place");
    }
}

#[test]
fn names_and_defaults() {
    let names: Vec<_> = RULES.iter().map(|r| r.name).collect();
    assert_eq!(names, ["sgd", "momentum", "rmsprop", "adagrad", "adam", "adamw", "lion", "muon"]);
    for rule in RULES {
        assert_eq!(rule.make(&NONE).unwrap().name(), rule.name);
        assert_eq!(rule.effective(&NONE).unwrap(), rule.defaults);
        assert!(rule.keys().contains(&"weight_decay"));
    }
    assert_eq!(make("sgd_momentum", &NONE).unwrap().name(), "momentum");
}

#[test]
fn errors_name_the_key_and_what_would_be_right() {
    let error = |name, config| make(name, &config).err().map(|e| e.to_string()).unwrap_or_default();
    let text = error("adma", NONE);
    let known = "sgd, momentum, rmsprop, adagrad, adam, adamw, lion, muon";
    assert_eq!(text, format!("optim: \"adma\" is unknown; did you mean adam? known are {known}"));
    let text = error("momentum", OptimConfig { beta1: Some(0.5), ..NONE });
    assert_eq!(text, "beta1: momentum does not take it; it takes momentum, weight_decay");
    let text = error("adam", OptimConfig { beta2: Some(1.0), ..NONE });
    assert_eq!(text, "beta2: it is 1.0; it must be at least 0 and below 1");
    let text = error("adam", OptimConfig { eps: Some(f64::INFINITY), ..NONE });
    assert!(text.starts_with("eps: it is inf;"), "{text}");
    let text = error("sgd", OptimConfig { nesterov: Some(true), ..NONE });
    assert_eq!(text, "nesterov: momentum is 0; it needs a momentum above 0");
    let text = error("sgd", OptimConfig { dampening: Some(0.5), ..NONE });
    assert_eq!(text, "dampening: momentum is 0; it needs a momentum above 0");
}

#[test]
fn a_foreign_state_is_an_error_and_changes_nothing() {
    let (mut adam, mut sgd) = (make("adam", &NONE).unwrap(), make("momentum", &NONE).unwrap());
    let (mut w, g) = (Tensor::ones([2], DType::F32), Tensor::ones([2], DType::F32));
    for rule in [&mut adam, &mut sgd] {
        rule.begin_step();
        rule.update(0, &mut w, &g, 0.1, true);
    }
    let error = adam.load_state(State { step: 9, ..sgd.state() }).unwrap_err().to_string();
    let want = "parameter 0 has velocity; adam with this configuration keeps m, v";
    assert_eq!(error, format!("optimizer state: {want}"));
    assert_eq!((adam.state().step, adam.state().slots[0].len()), (1, 2));
    let error = adam.state().check([&Tensor::ones([3], DType::F32)]).unwrap_err().to_string();
    assert_eq!(error, "optimizer state: m of parameter 0 is [2] f32; the parameter is [3] f32");
}

#[test]
#[should_panic(expected = "sgd: w and dw must have one shape and type")]
fn shapes_must_agree() {
    let mut rule = make("sgd", &NONE).unwrap();
    rule.begin_step();
    rule.update(0, &mut Tensor::ones([2], DType::F32), &Tensor::ones([3], DType::F32), 0.1, true);
}

#[test]
#[should_panic(expected = "adam: begin_step must come before the first update")]
fn a_step_must_begin() {
    let w = Tensor::ones([2], DType::F32);
    make("adam", &NONE).unwrap().update(0, &mut w.clone(), &w, 0.1, true);
}
