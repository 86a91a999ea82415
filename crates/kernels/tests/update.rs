//! The update rules: every level and any number of threads give the same bits, and `f32` is near `f64`.
//! The formulas themselves are compared with naive twins where the rules are, in chainrule's `optim`.

use chainrule_kernels::simd::with_level;
use chainrule_kernels::threads::set_threads;
use chainrule_kernels::update::{
    Adagrad, Adam, Lion, Momentum, RmsProp, SERIAL, SgdVelocity, adagrad, adam, adam_max, lion,
    momentum, rmsprop, rmsprop_centered, rmsprop_centered_velocity, rmsprop_velocity, sgd,
    sgd_velocity,
};
use chainrule_kernels::{Level, Real};

/// Multiples of 2^-10 in (-1, 1) that depend on the index alone; `f32` holds them exactly.
fn numbers<T: Real>(n: usize, salt: u64) -> Vec<T> {
    (0..n as u64)
        .map(|i| {
            let bits = (i + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53;
            T::from_f64((bits as f64 - 1024.0) / 1024.0)
        })
        .collect()
}

const LAST: usize = 11;

/// Three steps of a rule from state that is not zero; w and the state one after the other.
fn run<T: Real>(rule: usize, n: usize) -> Vec<T> {
    let mut w = numbers::<T>(n, 1);
    let mean: Vec<T> = numbers::<T>(n, 2).iter().map(|v| *v * T::from_f64(0.5)).collect();
    // Larger than any mean square of the gradients, so that no variance is near zero.
    let square: Vec<T> = numbers::<T>(n, 3).iter().map(|v| v.abs() + T::ONE).collect();
    let (mut a, mut b, mut c) = (mean.clone(), square, mean);
    for step in 0..3 {
        let g = numbers::<T>(n, 10 + step);
        let rms =
            RmsProp { lr: 0.01, decay_rate: 0.9, eps: 1e-8, momentum: 0.5, weight_decay: 0.1 };
        let moments = Adam {
            step: 0.02,
            root: 1.5,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            shrink: 0.01,
        };
        let velocity = SgdVelocity {
            lr: 0.1,
            momentum: 0.9,
            gain: 0.5,
            nesterov: rule == 3,
            weight_decay: 0.1,
        };
        match rule {
            0 => sgd(&mut w, &g, 0.1, 0.1),
            1 => {
                momentum(&mut w, &g, &mut a, Momentum { lr: 0.1, momentum: 0.9, weight_decay: 0.1 })
            }
            2 | 3 => sgd_velocity(&mut w, &g, &mut a, velocity),
            4 => rmsprop(&mut w, &g, &mut b, rms),
            5 => rmsprop_velocity(&mut w, &g, &mut b, &mut a, rms),
            6 => rmsprop_centered(&mut w, &g, &mut b, &mut a, rms),
            7 => rmsprop_centered_velocity(&mut w, &g, &mut b, &mut a, &mut c, rms),
            8 => adam(&mut w, &g, &mut a, &mut b, moments),
            9 => adam_max(&mut w, &g, &mut a, &mut b, &mut c, moments),
            10 => {
                let p = Lion { lr: 0.01, beta1: 0.9, beta2: 0.99, shrink: 0.01 };
                lion(&mut w, &g, &mut a, p);
            }
            _ => adagrad(&mut w, &g, &mut b, Adagrad { lr: 0.1, eps: 1e-10, weight_decay: 0.1 }),
        }
    }
    [w, a, b, c].concat()
}

fn same_bits<T: Real>() {
    for rule in 0..=LAST {
        for n in [0, 1, 17, 1000, SERIAL, SERIAL + 1, 100_003] {
            set_threads(1);
            let want = with_level(Level::Portable, || run::<T>(rule, n));
            assert!(want.iter().all(|v| v.is_finite()));
            for level in Level::available() {
                for threads in [1, 2, 3, 8] {
                    set_threads(threads);
                    let got = with_level(level, || run::<T>(rule, n));
                    assert!(got == want, "rule {rule}, {n}, {} on {threads}", level.name());
                }
            }
        }
    }
}

#[test]
fn levels_and_threads_do_not_change_a_bit() {
    same_bits::<f32>();
    same_bits::<f64>();
}

#[test]
fn a_number_does_not_depend_on_its_place() {
    for rule in 0..=LAST {
        let (n, few) = (SERIAL + 100, 100);
        let (long, short) = (run::<f32>(rule, n), run::<f32>(rule, few));
        for state in 0..4 {
            assert_eq!(long[state * n..][..few], short[state * few..][..few], "rule {rule}");
        }
    }
}

#[test]
fn f32_is_near_f64() {
    for rule in 0..=LAST {
        let (single, double) = (run::<f32>(rule, 1000), run::<f64>(rule, 1000));
        for (s, d) in single.iter().zip(&double) {
            assert!((f64::from(*s) - d).abs() <= 2e-6, "rule {rule}: {s} and {d}");
        }
    }
}

#[test]
#[should_panic(expected = "a parameter of 3 elements, a gradient of 2")]
fn lengths_must_agree() {
    sgd(&mut [1.0f32; 3], &[1.0; 2], 0.1, 0.0);
}
