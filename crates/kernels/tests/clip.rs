//! Clipping: every level and any number of threads give the bits of the naive twins.

use chainrule_kernels::simd::with_level;
use chainrule_kernels::threads::set_threads;
use chainrule_kernels::{Level, Real, clip, reduce};

/// Numbers of both signs and many sizes that depend on the index alone, with a NaN, an infinity and a zero among them.
fn numbers<T: Real>(n: usize) -> Vec<T> {
    let number = |i: usize| match i {
        3 => f64::NAN,
        5 => f64::INFINITY,
        6 => -f64::INFINITY,
        7 => 0.0,
        _ => ((i * 7919 % 2001) as f64 - 1000.0) / 64.0,
    };
    (0..n).map(|i| T::from_f64(number(i))).collect()
}

fn bits<T: Real>(x: &[T]) -> Vec<u64> {
    x.iter().map(|v| v.to_f64().to_bits()).collect()
}

/// The definition of the sum, element by element: blocks of 8192, in each 16 lanes, each lane a chain.
fn naive_squares<T: Real>(x: &[T]) -> f64 {
    let block = |block: &[T]| {
        let mut lanes = [0.0f64; 16];
        for (i, v) in block.iter().enumerate() {
            lanes[i % 16] = v.to_f64().mul_add(v.to_f64(), lanes[i % 16]);
        }
        lanes.iter().sum::<f64>()
    };
    x.chunks(reduce::BLOCK).map(block).sum()
}

fn agree<T: Real>() {
    for n in [0, 1, 3, 17, 1000, 8192, 8193, 40_000, 100_001] {
        let x = numbers::<T>(n);
        let finite: Vec<T> = x.iter().copied().filter(|v| v.to_f64().is_finite()).collect();
        let factor = T::from_f64(0.3);
        let scaled: Vec<T> = x.iter().map(|v| *v * factor).collect();
        let bound = |v: f64| if v.is_nan() { v } else { v.clamp(-2.5, 2.5) };
        let clamped: Vec<T> = x.iter().map(|v| T::from_f64(bound(v.to_f64()))).collect();
        let squares = naive_squares(&finite);
        for level in Level::available() {
            for threads in [1, 2, 3, 8] {
                set_threads(threads);
                with_level(level, || {
                    let (mut a, mut b) = (x.clone(), x.clone());
                    clip::scale(&mut a, 0.3);
                    clip::clamp(&mut b, 2.5);
                    assert_eq!(bits(&a), bits(&scaled), "scale {n} {level:?} {threads}");
                    assert_eq!(bits(&b), bits(&clamped), "clamp {n} {level:?} {threads}");
                    let sum = reduce::sum_squares(&finite);
                    assert_eq!(sum.to_bits(), squares.to_bits(), "sum {n} {level:?} {threads}");
                });
            }
        }
    }
}

#[test]
fn every_level_and_thread_count_gives_the_bits_of_the_definition() {
    agree::<f32>();
    agree::<f64>();
}
