//! How far Winograd's results are from exact ones, beside the way by rows.
//!
//! `cargo test --release -p chainrule-kernels --lib winograd::errors -- --nocapture` prints the figures that the
//! documentation of [`crate::conv`] states.

use crate::conv::{ConvShape, direct, naive, rows};

/// Computes one pass.
type Way<'a> = &'a dyn Fn(&mut [f32]);

/// Numbers whose sum of twelve uniform ones is nearly normal, of variance 1.
fn normal(n: usize, salt: u64) -> Vec<f64> {
    let uniform = |i: u64| {
        let mut z = i.wrapping_add(salt << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    // Rounded to f32, so that both types convolve the same numbers.
    let sum = |i: u64| (0..12).map(|k| uniform(i * 12 + k)).sum::<f64>() - 6.0;
    (0..n as u64).map(|i| f64::from(sum(i) as f32)).collect()
}

fn rms(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = numbers.fold((0.0, 0.0), |(sum, n), v| (v.mul_add(v, sum), n + 1.0));
    (sum / n).sqrt()
}

/// The root of the mean square of the errors, and the largest, in units of the root of the mean square of the results.
fn errors(got: &[f32], want: &[f64]) -> [f64; 2] {
    let far = || got.iter().zip(want).map(|(g, w)| f64::from(*g) - w);
    let unit = rms(want.iter().copied());
    [rms(far()) / unit, far().fold(0.0f64, |a, b| a.max(b.abs())) / unit]
}

#[test]
fn results_are_exact_to_six_digits() {
    for c in [32, 96] {
        let s = ConvShape {
            n: 2,
            c,
            h: 16,
            w: 16,
            filters: c,
            kh: 3,
            kw: 3,
            stride: [1; 2],
            pad: [1; 2],
            dilation: [1; 2],
            groups: 1,
        };
        let exact = [normal(s.x_len(), 1), normal(s.w_len(), 2), normal(s.y_len(), 3)];
        let [x, w, dy] = &exact;
        let (mut y, mut dx, mut dw) =
            (vec![0.0; s.y_len()], vec![0.0; s.x_len()], vec![0.0; s.w_len()]);
        naive::forward(&s, x, w, None, false, &mut y);
        naive::backward_data(&s, dy, w, &mut dx);
        naive::backward_weights(&s, x, dy, &mut dw);
        let [x, w, dy] = exact.each_ref().map(|v| v.iter().map(|v| *v as f32).collect::<Vec<_>>());
        let measure = |name: &str, want: &[f64], ways: [Way; 2]| {
            let [winograd, plain] = ways.map(|way| {
                let mut got = vec![0.0; want.len()];
                way(&mut got);
                errors(&got, want)
            });
            println!(
                "{c} channels, {name}: rms {:.1e}, largest {:.1e}; plain {:.1e}, {:.1e}",
                winograd[0], winograd[1], plain[0], plain[1]
            );
            assert!(winograd[0] < 1.5e-6 && winograd[1] < 2e-5, "{name} of {c} channels");
        };
        measure(
            "forward",
            &y,
            [&|y| super::forward(&s, &x, &w, None, false, y), &|y| {
                rows::forward(&s, &x, &w, None, false, y)
            }],
        );
        measure(
            "backward by data",
            &dx,
            [&|dx| super::backward_data(&s, &dy, &w, dx), &|dx| {
                direct::backward_data(&s, &dy, &w, dx)
            }],
        );
        measure(
            "backward by weights",
            &dw,
            [&|dw| super::backward_weights(&s, &x, &dy, dw), &|dw| {
                rows::backward_weights(&s, &x, &dy, dw)
            }],
        );
    }
}
