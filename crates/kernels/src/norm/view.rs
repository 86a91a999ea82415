//! Rectangles of a row-major matrix.

use crate::threads::Shared;
use std::marker::PhantomData;
use std::ops::Range;

/// Some rows and columns of a matrix that is only read.
#[derive(Clone, Copy)]
pub(super) struct View<'a, T> {
    data: &'a [T],
    stride: usize,
    first: usize,
    width: usize,
    rows: usize,
}

impl<'a, T> View<'a, T> {
    /// `rows` and `cols` of a matrix whose rows have `stride` numbers.
    pub fn new(data: &'a [T], stride: usize, rows: &Range<usize>, cols: &Range<usize>) -> Self {
        let first = rows.start * stride + cols.start;
        View { data, stride, first, width: cols.len(), rows: rows.len() }
    }

    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Row `i` of the rectangle.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.data[self.first + i * self.stride..][..self.width]
    }
}

/// Some rows and columns of a matrix that one task writes while other tasks write others.
pub(super) struct ViewMut<'a, T> {
    first: *mut T,
    stride: usize,
    width: usize,
    rows: usize,
    matrix: PhantomData<&'a mut [T]>,
}

impl<T> ViewMut<'_, T> {
    /// `rows` and `cols` of the matrix at `base`, whose rows have `stride` numbers.
    ///
    /// # Safety
    /// The rectangle must lie within a matrix that outlives the view, and nothing else may touch it meanwhile.
    pub unsafe fn new(
        base: Shared<T>,
        stride: usize,
        rows: &Range<usize>,
        cols: &Range<usize>,
    ) -> Self {
        // SAFETY: the caller's promise.
        let first = unsafe { base.at(rows.start * stride + cols.start) };
        ViewMut { first, stride, width: cols.len(), rows: rows.len(), matrix: PhantomData }
    }

    /// Row `i` of the rectangle.
    #[inline(always)]
    pub fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows, "a row of the rectangle");
        // SAFETY: row i lies within the rectangle, which is ours alone by the promise made to `new`.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(i * self.stride), self.width) }
    }
}
