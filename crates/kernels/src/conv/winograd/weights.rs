//! Backward by weights: sums over tiles in the transformed domain, one inverse at the end.

use super::pictures::Pictures;
use super::product::{COLUMNS, Product, place};
use super::transform::{Gradient, Input, Places, Step, WeightGradient, both, values};
use crate::buffer::Buffer;
use crate::conv::ConvShape;
use crate::conv::task::{Job, Runner};
use crate::gemm::vector::Vector;
use crate::threads::Shared;

/// Tiles a task transforms.
const TILES: usize = 4;
/// Channels a task of the products takes.
const CHANNELS: usize = 64;
/// Channels a task of the inverse transform takes.
const INVERSE: usize = 8;

/// What every task needs to know.
struct Plan<'a> {
    shape: &'a ConvShape,
    /// Tiles along each axis of a picture.
    tiles: [usize; 2],
    /// C and F, padded.
    c: usize,
    f: usize,
    /// Tiles that are transformed before their products are added.
    block: usize,
    /// Columns of a panel of transformed gradients.
    wide: usize,
}

/// Tiles that are transformed before their products are added: 4 MB of values, for they pass from core to core through the
/// third-level cache, but enough for the products to be long chains.
pub(super) fn block(c: usize, f: usize) -> usize {
    ((1 << 20) / (36 * (c + f))).clamp(128, 256)
}

/// Writes `dw` (F, C, 3, 3).
pub(super) fn run(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let tiles = [shape.out_h().div_ceil(4), shape.out_w().div_ceil(4)];
    let all = shape.n * tiles[0] * tiles[1];
    let (c, f) = (shape.c.next_multiple_of(COLUMNS), shape.filters.next_multiple_of(COLUMNS));
    let (block, runner) = (block(c, f).min(all), Runner::new());
    let plan = &Plan { shape, tiles, c, f, block, wide: runner.wide() };
    let mut values = Buffer::<f32>::dirty(36 * (plan.slot(c) + plan.slot(f)));
    let mut sums = Buffer::<f32>::dirty(36 * c * f);
    let zeros = Buffer::<f32>::zeroed(c.max(f));
    let (gradients, sums_at) = (36 * plan.slot(c), Shared(sums.make_mut().as_mut_ptr()));
    let values = Shared(values.make_mut().as_mut_ptr());
    let picture = |data, h, w, c| Pictures { data, zeros: &zeros, h, w, c };
    let x = picture(x, shape.h, shape.w, shape.c);
    let dy = picture(dy, shape.out_h(), shape.out_w(), shape.filters);
    for first in (0..all).step_by(block) {
        let count = block.min(all - first);
        let transforms = Transforms { plan, x, dy, first, count, values, gradients };
        runner.run(&transforms, count.div_ceil(TILES), 0);
        let products = Products { plan, count, values, gradients, sums: sums_at, add: first > 0 };
        runner.run(&products, 36 * c.div_ceil(CHANNELS), 0);
    }
    let inverse = Inverse { plan, sums: &sums, dw: Shared(dw.as_mut_ptr()) };
    runner.run(&inverse, shape.c.div_ceil(INVERSE), 0);
}

impl Plan<'_> {
    /// From one of 36 matrices of transformed pixels to the next. A cache line more than the numbers need, for places at a
    /// distance of a power of two share few cache sets.
    fn slot(&self, channels: usize) -> usize {
        self.block * channels + 16
    }
}

/// Pixels of x and of dy to their values at the points.
struct Transforms<'a> {
    plan: &'a Plan<'a>,
    x: Pictures<'a>,
    dy: Pictures<'a>,
    first: usize,
    count: usize,
    values: Shared<f32>,
    /// Where those of dy begin in `values`.
    gradients: usize,
}

impl Job<f32> for Transforms<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        number: usize,
        _: &mut [f32],
    ) {
        let plan = self.plan;
        let [rows, columns] = plan.tiles;
        for row in number * TILES..self.count.min((number + 1) * TILES) {
            let tile = self.first + row;
            let (n, i, j) = (tile / (rows * columns), tile / columns % rows, tile % columns);
            let [i, j] = [(i * 4) as isize, (j * 4) as isize];
            let [up, left] = plan.shape.pad.map(|p| p as isize);
            // SAFETY: the caller's promise; each tile has its own rows of the transformed matrices.
            unsafe {
                let window = self.x.window::<6>(n, i - up, j - left);
                let to = self.values;
                transform::<V, Input, 6>(&window, self.x.c, plan, (plan.c, COLUMNS), row, to.at(0));
                let window = self.dy.window::<4>(n, i, j);
                let to = to.at(self.gradients);
                transform::<V, Gradient, 4>(&window, self.dy.c, plan, (plan.f, plan.wide), row, to);
            }
        }
    }
}

/// The values of a window at the points, into row `row` of 36 matrices of `columns` columns in panels of `wide`.
#[inline(always)]
unsafe fn transform<V: Vector<f32>, S: Step<I, 6>, const I: usize>(
    window: &super::transform::Window<I>,
    channels: usize,
    plan: &Plan,
    (columns, wide): (usize, usize),
    row: usize,
    to: *mut f32,
) {
    // SAFETY: the caller's promise; `place` lies within a matrix.
    unsafe {
        for from in (0..columns).step_by(V::LANES) {
            let values = values::<V, S, I>(window, from, channels);
            let to = to.add(place(wide, columns, plan.block, row, from));
            for (p, v) in values.iter().flatten().enumerate() {
                v.store(to.add(p * plan.slot(columns)));
            }
        }
    }
}

/// The products of transformed x, transposed, and transformed dy: 36 times some rows of channels.
struct Products<'a> {
    plan: &'a Plan<'a>,
    count: usize,
    values: Shared<f32>,
    gradients: usize,
    sums: Shared<f32>,
    add: bool,
}

impl Job<f32> for Products<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        number: usize,
        _: &mut [f32],
    ) {
        let plan = self.plan;
        let blocks = plan.c.div_ceil(CHANNELS);
        let (p, first) = (number / blocks, number % blocks * CHANNELS);
        for c in (first..plan.c.min(first + CHANNELS)).step_by(COLUMNS) {
            // SAFETY: the caller's promise; a task writes its own rows of one of 36 matrices of C x F.
            unsafe {
                let product = Product {
                    a: self.values.at(p * plan.slot(plan.c) + c * plan.block),
                    row: 1,
                    step: COLUMNS,
                    b: self.values.at(self.gradients + p * plan.slot(plan.f)),
                    panel: plan.block,
                    k: self.count,
                    out: self.sums.at((p * plan.c + c) * plan.f),
                    out_row: plan.f,
                    add: self.add,
                };
                product.run::<V, R, C>(COLUMNS, plan.f);
            }
        }
    }
}

/// The 36 sums of each weight to its gradient.
struct Inverse<'a> {
    plan: &'a Plan<'a>,
    sums: &'a [f32],
    dw: Shared<f32>,
}

impl Job<f32> for Inverse<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        number: usize,
        _: &mut [f32],
    ) {
        let (plan, channels) = (self.plan, self.plan.shape.c);
        for c in number * INVERSE..channels.min((number + 1) * INVERSE) {
            for f in (0..plan.shape.filters).step_by(V::LANES) {
                // SAFETY: the caller's promise; a task writes the gradients of its own channels.
                unsafe {
                    let sums = Places(self.sums[c * plan.f + f..].as_ptr(), plan.c * plan.f);
                    let out = both::<V, WeightGradient, 6, 3>(&sums);
                    let mut taps = [[0.0f32; 16]; 9];
                    for (lanes, v) in taps.iter_mut().zip(out.iter().flatten()) {
                        v.store(lanes.as_mut_ptr());
                    }
                    for lane in 0..V::LANES.min(plan.shape.filters - f) {
                        let to = self.dw.at(((f + lane) * channels + c) * 9);
                        for (tap, lanes) in taps.iter().enumerate() {
                            *to.add(tap) = lanes[lane];
                        }
                    }
                }
            }
        }
    }
}
