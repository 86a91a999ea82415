//! Convolution: the explicit loops against what one can work out by hand and against each other.

use chainrule_kernels::Real;
use chainrule_kernels::conv::{self, ConvShape, naive};

/// Numbers in (-1, 1) that depend on the index alone.
fn numbers<T: Real>(n: usize, salt: u64) -> Vec<T> {
    (0..n as u64)
        .map(|i| {
            let bits = (i + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            T::from_f64(bits as f64 / f64::from(1u32 << 23) - 1.0)
        })
        .collect()
}

/// `n` pictures of `size` with `c` channels, `f` filters of `k`; stride 1, no padding.
fn shape(n: usize, size: [usize; 2], c: usize, f: usize, k: [usize; 2]) -> ConvShape {
    let [h, w] = size;
    let [kh, kw] = k;
    ConvShape {
        n,
        c,
        h,
        w,
        filters: f,
        kh,
        kw,
        stride: [1, 1],
        pad: [0, 0],
        dilation: [1, 1],
        groups: 1,
    }
}

/// Shapes at which something is odd.
fn odd_shapes() -> Vec<ConvShape> {
    let plain = shape(2, [7, 5], 3, 4, [3, 3]);
    vec![
        plain,
        ConvShape { pad: [1, 1], ..plain },
        ConvShape { pad: [2, 1], stride: [2, 3], ..plain },
        ConvShape { dilation: [2, 1], pad: [1, 2], ..plain },
        ConvShape { stride: [4, 5], ..shape(3, [9, 17], 1, 1, [3, 1]) },
        ConvShape { c: 6, filters: 4, groups: 2, pad: [1, 1], ..plain },
        ConvShape { c: 5, filters: 5, groups: 5, stride: [2, 2], pad: [1, 1], ..plain },
        ConvShape { c: 3, filters: 6, groups: 3, ..plain },
        ConvShape { n: 0, ..plain },
        shape(1, [1, 1], 17, 3, [1, 1]),
    ]
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn one_by_hand() {
    // 2 x 3 pixels, one channel, a filter of 2 x 2, padding 1 on the left and right.
    let s = ConvShape { pad: [0, 1], ..shape(1, [2, 3], 1, 1, [2, 2]) };
    let (x, w) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 10.0, 100.0, 1000.0]);
    let mut y = [0.0; 4];
    naive::forward(&s, &x, &w, Some(&[-6000.0]), false, &mut y);
    assert_eq!(y, [4010.0 - 6000.0, 5421.0 - 6000.0, 6532.0 - 6000.0, 603.0 - 6000.0]);
    naive::forward(&s, &x, &w, Some(&[-6000.0]), true, &mut y);
    assert_eq!(y, [0.0, 0.0, 532.0, 0.0]);
    naive::forward(&s, &[f64::NAN; 6], &w, None, true, &mut y);
    assert!(y.iter().all(|v| v.is_nan()));
}

#[test]
fn gradients_are_the_transposes_of_forward() {
    for s in odd_shapes() {
        let x = numbers::<f64>(s.x_len(), 1);
        let w = numbers::<f64>(s.w_len(), 2);
        let dy = numbers::<f64>(s.y_len(), 3);
        let (mut y, mut dx, mut dw) =
            (vec![0.0; s.y_len()], vec![f64::NAN; s.x_len()], vec![f64::NAN; s.w_len()]);
        naive::forward(&s, &x, &w, None, false, &mut y);
        naive::backward_data(&s, &dy, &w, &mut dx);
        naive::backward_weights(&s, &x, &dy, &mut dw);
        // Forward is linear in x and in w, so <dy, y> = <dx, x> = <dw, w>.
        let want = dot(&dy, &y);
        assert!((dot(&dx, &x) - want).abs() < 1e-10, "{s:?}");
        assert!((dot(&dw, &w) - want).abs() < 1e-10, "{s:?}");
    }
}

#[test]
fn unsound_sizes_are_named() {
    let s = shape(1, [4, 4], 3, 4, [3, 3]);
    let problem = |s: ConvShape| s.problem().unwrap_or_default();
    assert_eq!(s.problem(), None);
    assert!(problem(ConvShape { groups: 2, ..s }).contains("3 channels and 4 filters"));
    assert!(problem(ConvShape { stride: [0, 1], ..s }).contains("stride"));
    assert!(problem(ConvShape { dilation: [1, 2], ..s }).contains("spans 3 x 5"));
    assert!(problem(ConvShape { kh: 0, ..s }).contains("no filters"));
    assert_eq!(conv::output_size(5, 3, 2, 1, 1), Some(3));
    assert_eq!(conv::output_size(2, 3, 1, 0, 1), None);
}
