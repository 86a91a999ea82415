//! Pictures in channels-last order, seen through square windows.

use super::transform::Window;

/// N pictures of H x W pixels with C channels, and C zeroes for what lies outside.
#[derive(Clone, Copy)]
pub(super) struct Pictures<'a> {
    pub data: &'a [f32],
    pub zeros: &'a [f32],
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

impl Pictures<'_> {
    /// The `S` x `S` pixels of picture `n` from row `y` and column `x` on, which may lie outside.
    #[inline(always)]
    pub fn window<const S: usize>(&self, n: usize, y: isize, x: isize) -> Window<S> {
        let mut window = [[self.zeros.as_ptr(); S]; S];
        for (i, row) in window.iter_mut().enumerate() {
            let y = y + i as isize;
            if y < 0 || y >= self.h as isize {
                continue;
            }
            let first = (n * self.h + y as usize) * self.w * self.c;
            let pixels = self.data[first..first + self.w * self.c].as_ptr();
            for (j, pixel) in row.iter_mut().enumerate() {
                let x = x + j as isize;
                if x >= 0 && x < self.w as isize {
                    *pixel = pixels.wrapping_add(x as usize * self.c);
                }
            }
        }
        window
    }
}
