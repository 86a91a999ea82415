use super::*;
use crate::simd::{Level, with_level};
use crate::threads::set_threads;

const LENGTHS: [usize; 7] = [0, 1, 3, 17, 1000, ALONE + 1, 5 * PIECE + 3];

/// Numbers between -4 and 4 with some zeroes, from a multiplicative sequence.
fn numbers<T: Real>(n: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(seed | 1);
        let v = (state >> 40) as f64 / f64::from(1 << 21) - 4.0;
        T::from_f64(f64::from(if v.abs() < 0.1 { 0.0 } else { v } as f32))
    };
    (0..n).map(|_| next()).collect()
}

fn bits<T: Real>(v: &[T]) -> Vec<u64> {
    v.iter().map(|v| v.to_f64().to_bits()).collect()
}

/// Runs `f` at every level and with one and three threads; every result must have the bits of `naive`.
fn compare<T: Real>(naive: &[T], what: &str, f: impl Fn() -> Vec<T>) {
    for level in Level::available() {
        for threads in [1, 3] {
            set_threads(threads);
            let got = with_level(level, &f);
            assert_eq!(bits(&got), bits(naive), "{what}, {}, {threads} threads", level.name());
        }
    }
}

struct Swish;
impl Function for Swish {
    #[inline(always)]
    fn value<T: Real>(x: T, p: T) -> T {
        (x * p).tanh().mul_add(x, x.exp())
    }
    #[inline(always)]
    fn slope<T: Real>(kept: T, p: T) -> T {
        if kept > T::ZERO { kept.exp_m1() } else { p * kept.erf() }
    }
}

fn functions<T: Real>() {
    let p = T::from_f64(0.3);
    for n in LENGTHS {
        let (x, dy) = (numbers::<T>(n, 1), numbers::<T>(n, 2));
        let naive: Vec<T> = x.iter().map(|x| Swish::value(*x, p)).collect();
        compare(&naive, "forward", || {
            let mut y = vec![T::ONE; n];
            forward::<Swish, T>(&x, p, &mut y);
            y
        });
        // Zeroes of x, where Swish is flat, stop an infinite gradient too.
        let infinite = T::ONE / T::ZERO;
        let dy: Vec<T> =
            dy.iter().zip(&x).map(|(d, x)| if *x == T::ZERO { infinite } else { *d }).collect();
        let back = |(x, d): (&T, &T)| {
            let slope = Swish::slope(*x, p);
            if slope == T::ZERO { T::ZERO } else { *d * slope }
        };
        let naive: Vec<T> = x.iter().zip(&dy).map(back).collect();
        compare(&naive, "backward", || {
            let mut dx = vec![T::ONE; n];
            backward::<Swish, T>(&dy, &x, p, &mut dx);
            dx
        });
    }
}

#[test]
fn functions_have_the_bits_of_a_plain_loop_at_every_level() {
    functions::<f32>();
    functions::<f64>();
}

/// Shapes (outer, channels, inner) as they occur, small and large, row-major and channels-last.
const SHAPES: [(usize, usize, usize); 8] = [
    (0, 3, 5),
    (1, 1, 1),
    (3, 5, 7),
    (17, 3, 1),
    (2, 6, 33),
    (700, 100, 1),
    (9, 4, 1024),
    (1, 2, 40_000),
];

fn prelus<T: Real>() {
    for (outer, channels, inner) in SHAPES {
        for slopes in [1, channels] {
            let n = outer * channels * inner;
            let (x, dy, a) = (numbers::<T>(n, 3), numbers::<T>(n, 4), numbers::<T>(slopes, 5));
            let slope = |i: usize| a[if slopes == 1 { 0 } else { i / inner % channels }];
            let naive: Vec<T> =
                (0..n).map(|i| if x[i] > T::ZERO { dy[i] } else { slope(i) * dy[i] }).collect();
            let at = Channels { channels, inner };
            compare(&naive, "prelu", || {
                let mut y = vec![T::ONE; n];
                prelu(&dy, &x, &a, at, &mut y);
                y
            });
            let run = || {
                let mut dslope = vec![T::ONE; slopes];
                prelu_slope(&dy, &x, at, &mut dslope);
                dslope
            };
            compare(&run(), "slope", run);
            // The order of the sum is the kernel's own, so the plain sum is compared by value.
            let mut exact = vec![0.0; slopes];
            for i in (0..n).filter(|i| x[*i] <= T::ZERO) {
                let c = if slopes == 1 { 0 } else { i / inner % channels };
                exact[c] += dy[i].to_f64() * x[i].to_f64();
            }
            for (got, want) in run().iter().zip(&exact) {
                let error = (got.to_f64() - want).abs() / (1.0 + want.abs() + (n as f64).sqrt());
                assert!(error < 1e-5, "{outer} {channels} {inner}: {got:?}, {want}");
            }
        }
    }
}

#[test]
fn prelu_has_the_bits_of_a_plain_loop_at_every_level() {
    prelus::<f32>();
    prelus::<f64>();
}

fn maxouts<T: Real>() {
    for (outer, units, inner) in SHAPES {
        for pieces in [1, 2, 5] {
            let n = outer * units * inner;
            // Rounded, so that there are ties.
            let x: Vec<T> = numbers::<T>(n * pieces, 6)
                .iter()
                .map(|v| T::from_f64(v.to_f64().round()))
                .collect();
            let dy = numbers::<T>(n, 7);
            let place = |i: usize, piece: usize| (i / inner * pieces + piece) * inner + i % inner;
            let mut naive = (vec![T::ZERO; n], vec![T::ZERO; n * pieces]);
            for i in 0..n {
                let best =
                    (1..pieces).fold(0, |b, p| if x[place(i, p)] > x[place(i, b)] { p } else { b });
                naive.0[i] = x[place(i, best)];
                naive.1[place(i, best)] = dy[i];
            }
            let run = || {
                let (mut y, mut which) = (vec![T::ONE; n], vec![9; n]);
                maxout(&x, pieces, inner, &mut y, &mut which);
                let mut dx = vec![T::ONE; n * pieces];
                maxout_back(&dy, &which, pieces, inner, &mut dx);
                (y, dx)
            };
            compare(&naive.0, "maxout", || run().0);
            compare(&naive.1, "maxout backward", || run().1);
        }
    }
}

#[test]
fn maxout_has_the_bits_of_a_plain_loop_at_every_level() {
    maxouts::<f32>();
    maxouts::<f64>();
}

#[test]
fn maxout_does_not_hide_a_nan() {
    let (mut y, mut which) = ([0.0f32; 2], [0; 2]);
    maxout(&[1.0, f32::NAN, 2.0, f32::NAN, 3.0, 4.0], 3, 1, &mut y, &mut which);
    assert!(y.iter().all(|y| y.is_nan()) && which == [1, 0]);
}
