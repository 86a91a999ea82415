use super::*;
use crate::real::Real;
use crate::simd::{Level, with_level};
use crate::threads::set_threads;

/// Numbers with many ties.
fn numbers<T: Real>(n: usize, salt: usize) -> Vec<T> {
    (0..n).map(|i| T::from_f64(((i * 7919 + salt * 31) % 23) as f64 - 11.0)).collect()
}

fn sliding(
    sizes: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 2],
) -> [Axis; 2] {
    [0, 1].map(|a| Axis::sliding(sizes[a], kernel[a], stride[a], pad[a]).expect("it fits"))
}

fn shapes() -> Vec<PoolShape> {
    let axes = [
        sliding([8, 8], [2, 2], [2, 2], [0, 0]),
        sliding([7, 9], [2, 2], [2, 2], [0, 0]),
        sliding([7, 9], [3, 3], [2, 2], [1, 1]),
        sliding([5, 8], [2, 4], [2, 1], [1, 2]),
        sliding([1, 1], [1, 1], [1, 1], [0, 0]),
        sliding([17, 3], [3, 1], [5, 2], [1, 0]),
        sliding([20, 19], [17, 18], [3, 1], [8, 9]),
        sliding([3, 40], [2, 3], [1, 3], [0, 0]),
        [(5, 2), (7, 3)].map(|(size, out)| Axis::bins(size, out).expect("some")),
        [(4, 1), (4, 1)].map(|(size, out)| Axis::bins(size, out).expect("some")),
        [(2, 5), (3, 3)].map(|(size, out)| Axis::bins(size, out).expect("some")),
    ];
    let sizes = [(1, 1), (2, 3), (1, 16), (3, 17), (2, 40), (0, 4), (2, 0)];
    axes.iter()
        .flat_map(|[h, w]| sizes.map(|(outer, inner)| PoolShape { outer, h: *h, w: *w, inner }))
        .chain([PoolShape {
            outer: 60,
            h: Axis::sliding(33, 2, 2, 0).expect("it fits"),
            w: Axis::sliding(32, 2, 2, 0).expect("it fits"),
            inner: 1,
        }])
        .collect()
}

fn everywhere(f: impl Fn()) {
    for level in Level::available() {
        with_level(level, || {
            for threads in [1, 2, 3] {
                set_threads(threads);
                f();
            }
        });
    }
}

fn compare_max<T: Real, I: Tap>(shape: &PoolShape) {
    let x = numbers::<T>(shape.input_len(), 1);
    let dy = numbers::<T>(shape.output_len(), 2);
    let (y, which) = naive::max_pool(&x, shape);
    let dx = naive::max_pool_back(&dy, &which, shape);
    let (mut got, mut taps) = (vec![T::ONE; y.len()], vec![I::new(1); y.len()]);
    max_pool(&x, shape, &mut got, &mut taps);
    assert!(got == y, "{shape:?}");
    assert!(taps.iter().map(|t| t.index()).eq(which.iter().copied()), "{shape:?}");
    let mut got = vec![T::ONE; dx.len()];
    max_pool_back(&dy, &taps, shape, &mut got);
    assert!(got == dx, "{shape:?}");
}

#[test]
fn max_equals_its_twin() {
    everywhere(|| {
        for shape in shapes() {
            if shape.taps() <= 256 {
                compare_max::<f32, u8>(&shape);
                compare_max::<f64, u8>(&shape);
            }
            compare_max::<f32, u32>(&shape);
        }
    });
}

#[test]
fn avg_equals_its_twin() {
    fn compare<T: Real>(shape: &PoolShape, count_pad: bool) {
        let (x, dy) = (numbers::<T>(shape.input_len(), 3), numbers::<T>(shape.output_len(), 4));
        let mut y = vec![T::ONE; dy.len()];
        avg_pool(&x, shape, count_pad, &mut y);
        assert!(y == naive::avg_pool(&x, shape, count_pad), "{shape:?}");
        let mut dx = vec![T::ONE; x.len()];
        avg_pool_back(&dy, shape, count_pad, &mut dx);
        assert!(dx == naive::avg_pool_back(&dy, shape, count_pad), "{shape:?}");
    }
    everywhere(|| {
        for shape in shapes() {
            for count_pad in [true, false] {
                compare::<f32>(&shape, count_pad);
                compare::<f64>(&shape, count_pad);
            }
        }
    });
}

#[test]
fn nan_is_the_largest() {
    for inner in [1, 3, 20] {
        for kernel in [2, 3] {
            let h = Axis::sliding(6, kernel, 2, 0).expect("it fits");
            let shape = PoolShape { outer: 1, h, w: h, inner };
            let mut x = vec![1.0f32; shape.input_len()];
            x[7 * inner] = f32::NAN;
            let mut y = vec![0.0; shape.output_len()];
            max_pool(&x, &shape, &mut y, &mut vec![0u8; shape.output_len()]);
            assert!(y[0].is_nan() && !y[shape.output_len() - 1].is_nan());
        }
    }
}

#[test]
fn windows_and_places_see_each_other() {
    for shape in shapes() {
        for axis in [shape.h, shape.w] {
            for i in 0..axis.out {
                assert!(!axis.window(i).is_empty());
                for p in 0..axis.size {
                    assert_eq!(
                        axis.window(i).contains(&p),
                        axis.seen_by(p).contains(&i),
                        "{axis:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_has_no_axis() {
    for (size, kernel, stride, pad) in
        [(4, 5, 1, 0), (4, 0, 1, 0), (4, 2, 0, 0), (4, 2, 1, 2), (0, 1, 1, 0)]
    {
        assert_eq!(Axis::sliding(size, kernel, stride, pad), None);
    }
    assert_eq!((Axis::bins(0, 1), Axis::bins(3, 0)), (None, None));
}
