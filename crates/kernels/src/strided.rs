//! Loops over several arrays of one shape with strides of their own: broadcasting, permutations, slices.
//!
//! The output is dense; an operand that is broadcast along an axis has stride 0 there. Axes that all operands walk in one go are
//! joined first, so that the innermost loop is as long as it can be. Work is split by rows of that loop, which shapes alone fix.

use crate::elementwise::PIECE;
use crate::real::Real;
use crate::threads::parallel_chunks;

/// The most axes.
pub const MAX_AXES: usize = 6;

/// The shape of a dense output and, for each of `K` operands, the distance between neighbours along each axis.
#[derive(Clone, Copy, Debug)]
pub struct Strided<const K: usize> {
    axes: usize,
    sizes: [usize; MAX_AXES],
    strides: [[usize; MAX_AXES]; K],
}

impl<const K: usize> Strided<K> {
    /// Sizes from the outermost axis in, and each operand's strides.
    ///
    /// # Panics
    /// If there are more than [`MAX_AXES`] sizes, or strides do not have as many.
    pub fn new(sizes: &[usize], strides: [&[usize]; K]) -> Self {
        assert!(sizes.len() <= MAX_AXES, "at most {MAX_AXES} axes");
        let mut joined = Strided { axes: 0, sizes: [1; MAX_AXES], strides: [[0; MAX_AXES]; K] };
        for (axis, &size) in sizes.iter().enumerate().filter(|(_, size)| **size != 1) {
            let last = joined.axes.wrapping_sub(1);
            let step = |k: usize| strides[k][axis];
            if joined.axes > 0 && (0..K).all(|k| joined.strides[k][last] == step(k) * size) {
                joined.sizes[last] *= size;
                (0..K).for_each(|k| joined.strides[k][last] = step(k));
            } else {
                joined.sizes[joined.axes] = size;
                (0..K).for_each(|k| joined.strides[k][joined.axes] = step(k));
                joined.axes += 1;
            }
        }
        joined.axes = joined.axes.max(1);
        joined
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.sizes[..self.axes].iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of the innermost loop.
    fn inner(&self) -> usize {
        self.sizes[self.axes - 1]
    }

    /// Operand `k`'s step in the innermost loop.
    fn step(&self, k: usize) -> usize {
        self.strides[k][self.axes - 1]
    }

    /// Panics unless operand `k`, with `len` elements, holds everything that the loops read.
    fn check(&self, k: usize, len: usize) {
        if !self.is_empty() {
            let last: usize =
                (0..self.axes).map(|a| (self.sizes[a] - 1) * self.strides[k][a]).sum();
            assert!(last < len, "strides that leave an operand");
        }
    }

    /// Elements a task covers: whole rows, or a part of the only row.
    fn task(&self) -> usize {
        let inner = self.inner().max(1);
        let rows = self.len() / inner;
        if rows <= 1 { PIECE } else { (PIECE / inner).max(1) * inner }
    }

    /// Calls `f` with each operand's place for every row, or part of the only row, of the output elements from `first` on,
    /// `len` of them, and with the row's place among those.
    #[inline(always)]
    fn rows(
        &self,
        first: usize,
        len: usize,
        mut f: impl FnMut([usize; K], std::ops::Range<usize>),
    ) {
        let inner = self.inner().max(1);
        let mut index = [0; MAX_AXES];
        let mut rest = first / inner;
        for axis in (0..self.axes - 1).rev() {
            index[axis] = rest % self.sizes[axis];
            rest /= self.sizes[axis];
        }
        let skip = first % inner;
        let mut at: [usize; K] = std::array::from_fn(|k| {
            (0..self.axes - 1).map(|a| index[a] * self.strides[k][a]).sum::<usize>()
                + skip * self.step(k)
        });
        let mut done = 0;
        while done < len {
            let n = inner.min(len - done);
            f(at, done..done + n);
            done += n;
            for axis in (0..self.axes - 1).rev() {
                index[axis] += 1;
                (0..K).for_each(|k| at[k] += self.strides[k][axis]);
                if index[axis] < self.sizes[axis] {
                    break;
                }
                index[axis] = 0;
                (0..K).for_each(|k| at[k] -= self.strides[k][axis] * self.sizes[axis]);
            }
        }
    }
}

/// A function of two numbers. It must be `#[inline(always)]` and free of branches that a selection could replace.
pub trait Binary {
    /// f(a, b).
    fn value<T: Real>(a: T, b: T) -> T;
}

crate::multiversion! {
    fn zip_piece<F: Binary, T: Real>(at: &Strided<2>, first: usize, a: &[T], b: &[T], y: &mut [T]) {
        let (step_a, step_b) = (at.step(0), at.step(1));
        at.rows(first, y.len(), |[from_a, from_b], row| {
            let y = &mut y[row];
            match (step_a, step_b) {
                (1, 1) => {
                    let pairs = a[from_a..][..y.len()].iter().zip(&b[from_b..][..y.len()]);
                    y.iter_mut().zip(pairs).for_each(|(y, (a, b))| *y = F::value(*a, *b));
                }
                (1, 0) => {
                    let b = b[from_b];
                    y.iter_mut().zip(&a[from_a..]).for_each(|(y, a)| *y = F::value(*a, b));
                }
                (0, 1) => {
                    let a = a[from_a];
                    y.iter_mut().zip(&b[from_b..]).for_each(|(y, b)| *y = F::value(a, *b));
                }
                _ => y.iter_mut().enumerate().for_each(|(i, y)| {
                    *y = F::value(a[from_a + i * step_a], b[from_b + i * step_b]);
                }),
            }
        });
    }
}

/// `y = f(a, b)` for every element of y, with a and b read where `at` says.
///
/// # Panics
/// If y does not have the shape's number of elements, or the strides leave an operand.
pub fn zip<F: Binary, T: Real>(at: &Strided<2>, a: &[T], b: &[T], y: &mut [T]) {
    assert_eq!(y.len(), at.len(), "the elements of the shape");
    at.check(0, a.len());
    at.check(1, b.len());
    let task = at.task();
    parallel_chunks(y, task, |i, y| zip_piece::<F, T>(at, i * task, a, b, y));
}

/// `y = x` for every element of y, with x read where `at` says: a permutation, a part, or a repetition of x.
///
/// # Panics
/// As [`zip`].
pub fn read<T: Real>(at: &Strided<1>, x: &[T], y: &mut [T]) {
    assert_eq!(y.len(), at.len(), "the elements of the shape");
    at.check(0, x.len());
    let (task, step) = (at.task(), at.step(0));
    parallel_chunks(y, task, |i, y| {
        at.rows(i * task, y.len(), |[from], row| {
            let y = &mut y[row];
            match step {
                1 => y.copy_from_slice(&x[from..][..y.len()]),
                0 => y.fill(x[from]),
                _ => y.iter_mut().enumerate().for_each(|(i, y)| *y = x[from + i * step]),
            }
        });
    });
}

/// `y = x` for every element of the dense x, with y written where `at` says: the part of y that x is. On one thread.
///
/// # Panics
/// If x does not have the shape's number of elements, or the strides leave y.
pub fn write<T: Real>(at: &Strided<1>, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), at.len(), "the elements of the shape");
    at.check(0, y.len());
    let step = at.step(0);
    at.rows(0, x.len(), |[to], row| {
        let x = &x[row];
        match step {
            1 => y[to..][..x.len()].copy_from_slice(x),
            _ => x.iter().enumerate().for_each(|(i, x)| y[to + i * step] = *x),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::threads::set_threads;

    struct Blend;
    impl Binary for Blend {
        #[inline(always)]
        fn value<T: Real>(a: T, b: T) -> T {
            a.mul_add(b, a - b)
        }
    }

    fn index(mut i: usize, sizes: &[usize]) -> Vec<usize> {
        let mut index = vec![0; sizes.len()];
        for axis in (0..sizes.len()).rev() {
            index[axis] = i % sizes[axis];
            i /= sizes[axis];
        }
        index
    }

    fn place(index: &[usize], strides: &[usize]) -> usize {
        index.iter().zip(strides).map(|(i, s)| i * s).sum()
    }

    #[test]
    fn every_pattern_of_strides_agrees_with_the_definition() {
        let cases: [(&[usize], &[usize], &[usize]); 8] = [
            (&[4, 5, 6], &[30, 6, 1], &[30, 6, 1]),
            (&[4, 5, 6], &[30, 6, 1], &[0, 0, 1]),
            (&[4, 5, 6], &[0, 6, 1], &[30, 6, 0]),
            (&[3, 1, 7], &[7, 7, 1], &[0, 0, 0]),
            (&[2, 3, 4, 5], &[60, 1, 15, 3], &[0, 1, 0, 0]),
            (&[70_001], &[1], &[0]),
            (&[300, 131], &[131, 1], &[1, 300]),
            (&[2, 0, 3], &[0, 3, 1], &[0, 3, 1]),
        ];
        let a: Vec<f32> = (0..80_000).map(|i| (i % 977) as f32 * 0.25 - 100.0).collect();
        let b: Vec<f32> = (0..80_000).map(|i| (i % 313) as f32 * 0.5 + 1.0).collect();
        for (sizes, of_a, of_b) in cases {
            let n: usize = sizes.iter().product();
            let want: Vec<f32> = (0..n)
                .map(|i| index(i, sizes))
                .map(|i| Blend::value(a[place(&i, of_a)], b[place(&i, of_b)]))
                .collect();
            let moved: Vec<f32> = (0..n).map(|i| a[place(&index(i, sizes), of_a)]).collect();
            for level in Level::available() {
                for threads in [1, 3] {
                    set_threads(threads);
                    let (mut y, mut copy) = (vec![0.0; n], vec![0.0; n]);
                    with_level(level, || {
                        zip::<Blend, f32>(&Strided::new(sizes, [of_a, of_b]), &a, &b, &mut y);
                        read(&Strided::new(sizes, [of_a]), &a, &mut copy);
                    });
                    assert_eq!((&y, &copy), (&want, &moved), "{sizes:?} {}", level.name());
                }
            }
        }
    }

    #[test]
    fn writing_undoes_reading() {
        let (sizes, strides) = ([3, 4, 5], [5, 15, 1]);
        let x: Vec<f64> = (0..60).map(f64::from).collect();
        let (mut there, mut back) = (vec![0.0; 60], vec![0.0; 60]);
        read(&Strided::new(&sizes, [&strides]), &x, &mut there);
        write(&Strided::new(&sizes, [&strides]), &there, &mut back);
        assert_ne!(there, x);
        assert_eq!(back, x);
    }

    #[test]
    #[should_panic(expected = "strides that leave an operand")]
    fn strides_stay_inside() {
        read(&Strided::new(&[2, 3], [&[4, 1]]), &[0.0f32; 6], &mut [0.0; 6]);
    }
}
