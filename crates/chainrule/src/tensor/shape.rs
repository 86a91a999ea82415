//! Shapes: up to six axes, kept in place, so that making a tensor allocates nothing but its numbers.

use std::fmt;
use std::ops::Deref;

/// The most axes a tensor can have.
pub const MAX_AXES: usize = 6;

/// The sizes of a tensor's axes. A scalar has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    sizes: [usize; MAX_AXES],
    axes: u8,
}

impl Shape {
    /// A shape with these sizes.
    ///
    /// # Panics
    /// If there are more than [`MAX_AXES`], or the number of elements overflows.
    #[track_caller]
    pub fn new(sizes: &[usize]) -> Shape {
        assert!(
            sizes.len() <= MAX_AXES,
            "a shape has at most {MAX_AXES} axes, not {}: {sizes:?}",
            sizes.len()
        );
        let elements = sizes.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        assert!(elements.is_some(), "the number of elements of {sizes:?} overflows");
        let mut shape = Shape { axes: sizes.len() as u8, ..Shape::default() };
        shape.sizes[..sizes.len()].copy_from_slice(sizes);
        shape
    }

    /// The number of elements: the product of the sizes, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.iter().product()
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.sizes[..usize::from(self.axes)]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<&[usize]> for Shape {
    #[track_caller]
    fn from(sizes: &[usize]) -> Shape {
        Shape::new(sizes)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[track_caller]
    fn from(sizes: [usize; N]) -> Shape {
        Shape::new(&sizes)
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    #[track_caller]
    fn from(sizes: &[usize; N]) -> Shape {
        Shape::new(sizes)
    }
}

/// How the elements of a tensor follow each other in memory. Always dense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Order {
    /// The last axis is contiguous.
    #[default]
    RowMajor,
    /// For four axes (N, C, H, W): stored as (N, H, W, C), so that a pixel's channels lie side by side.
    ChannelsLast,
}

impl Order {
    /// The distance in memory between neighbours along each axis.
    pub fn strides(self, shape: &Shape) -> [usize; MAX_AXES] {
        let mut strides = [0; MAX_AXES];
        let mut step = 1;
        let axes = shape.len();
        let last_to_first: &[usize] = match self {
            Order::ChannelsLast => &[1, 3, 2, 0],
            Order::RowMajor => &[5, 4, 3, 2, 1, 0],
        };
        for &axis in last_to_first.iter().filter(|a| **a < axes) {
            strides[axis] = step;
            step *= shape[axis];
        }
        strides
    }
}
