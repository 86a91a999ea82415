//! The matrix product against its naive twin: every level, every strategy, odd shapes, any number of threads, bit for bit.

use chainrule_kernels::gemm::{Epilogue, Mat, gemm, naive};
use chainrule_kernels::simd::with_level;
use chainrule_kernels::threads::set_threads;
use chainrule_kernels::{Level, Real};

/// Numbers in (-1, 1) that depend on the index alone.
fn numbers<T: Real>(n: usize, salt: u64) -> Vec<T> {
    (0..n as u64)
        .map(|i| {
            let bits = (i + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            T::from_f64(bits as f64 / f64::from(1u32 << 23) - 1.0)
        })
        .collect()
}

fn agree<T: Real>(m: usize, n: usize, k: usize, transposed: (bool, bool), epilogue: u8) {
    let (a, b, bias) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2), numbers::<T>(n, 3));
    let a = if transposed.0 { Mat::new(&a, k, m).t() } else { Mat::new(&a, m, k) };
    let b = if transposed.1 { Mat::new(&b, n, k).t() } else { Mat::new(&b, k, n) };
    let scaled = numbers::<T>(m * n, 4);
    let epilogue = match epilogue {
        0 => Epilogue::None,
        1 => Epilogue::Bias(&bias[..]),
        3 => Epilogue::Scaled(T::from_f64(0.3), &scaled[..]),
        _ => Epilogue::BiasRelu(&bias[..]),
    };
    let mut want = vec![T::ZERO; m * n];
    naive::gemm(a, b, &mut want, epilogue);
    for level in Level::available() {
        with_level(level, || {
            for threads in [1, 3] {
                set_threads(threads);
                let mut got = vec![T::from_f64(f64::NAN); m * n];
                gemm(a, b, &mut got, epilogue);
                assert!(
                    got == want,
                    "{m} x {k} x {n} {transposed:?} at {} on {threads}",
                    level.name()
                );
            }
        });
    }
}

#[test]
fn odd_shapes_agree_with_the_naive_twin() {
    let sizes = [0, 1, 3, 6, 7, 16, 17, 33, 100];
    for m in sizes {
        for n in sizes {
            for k in [0, 1, 5, 16, 257] {
                let bits = m + n + k;
                agree::<f32>(m, n, k, (bits % 2 == 0, bits % 3 == 0), (bits % 4) as u8);
            }
        }
    }
}

#[test]
fn every_width_and_height_of_a_tile_agrees_with_the_naive_twin() {
    for m in 1..=17 {
        for n in 1..=58 {
            agree::<f32>(m, n, 9, (false, m % 2 == 0), 0);
            agree::<f64>(m, n, 7, (m % 2 == 0, false), 0);
        }
    }
}

#[test]
fn any_strides_will_do() {
    let (m, n, k) = (33, 41, 50);
    let (a, b) = (numbers::<f32>(2 * m * k, 1), numbers::<f32>(3 * k * n, 2));
    let a = Mat { data: &a, rows: m, cols: k, row: 2 * k, col: 2 };
    let b = Mat { data: &b, rows: k, cols: n, row: 3, col: 3 * k };
    let mut want = vec![0.0; m * n];
    naive::gemm(a, b, &mut want, Epilogue::None);
    for level in Level::available() {
        let mut got = vec![f32::NAN; m * n];
        with_level(level, || gemm(a, b, &mut got, Epilogue::None));
        assert!(got == want, "{}", level.name());
    }
}

#[test]
fn every_strategy_agrees_with_the_naive_twin() {
    for transposed in [(false, false), (true, false), (false, true), (true, true)] {
        agree::<f32>(50, 100, 1600, transposed, 2);
        agree::<f32>(20, 600, 500, transposed, 1);
        agree::<f32>(260, 400, 20, transposed, 1);
        agree::<f32>(700, 40, 70, transposed, 0);
        agree::<f64>(50, 30, 1200, transposed, 1);
        agree::<f64>(20, 520, 30, transposed, 2);
        agree::<f64>(300, 20, 450, transposed, 0);
        // Every way a product is spread, with a matrix added.
        agree::<f32>(30, 40, 1600, transposed, 3);
        agree::<f32>(50, 515, 390, transposed, 3);
        agree::<f32>(5, 515, 1600, transposed, 1);
        agree::<f64>(257, 40, 390, transposed, 3);
    }
    // A packed, B too, in two chunks.
    agree::<f32>(257, 384, 386, (false, true), 2);
}

#[test]
fn infinities_and_nan_are_not_lost() {
    let a = [1.0f32, f32::INFINITY, 0.0, f32::NAN];
    let b = [1.0f32; 4];
    let mut c = [0.0; 4];
    gemm(Mat::new(&a, 2, 2), Mat::new(&b, 2, 2), &mut c, Epilogue::None);
    assert!(c[0].is_infinite() && c[2].is_nan());
}
