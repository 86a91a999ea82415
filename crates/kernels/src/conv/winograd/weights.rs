//! Backward by weights: sums over tiles in the transformed domain, one inverse at the end.

use super::pictures::Pictures;
use super::product::{COLUMNS, Product, place};
use super::transform::{Gradient, Input, Places, Step, WeightGradient, Window, both, values};
use crate::buffer::Buffer;
use crate::conv::task::{Job, Runner};
use crate::conv::{ConvShape, sum_parts};
use crate::gemm::vector::Vector;
use crate::threads::Shared;

/// Tiles that are transformed before their products are added: enough for the products to be long chains.
pub(super) const BLOCK: usize = 128;
/// Filters whose gradients a task sums.
const FILTERS: usize = 128;
/// The most numbers in the sums of all parts of the batch.
const SUMS: usize = 5 << 20;
/// Channels a task of the inverse transform takes.
const INVERSE: usize = 8;

/// Sizes that follow from a shape.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Tiles along each axis of a picture, and of all pictures.
    tiles: [usize; 2],
    pub all: usize,
    /// C and F, padded.
    c: usize,
    f: usize,
    /// Parts of the batch whose sums are separate, and the tiles of one.
    parts: usize,
    pub part: usize,
}

impl Plan {
    pub fn new(s: &ConvShape) -> Plan {
        let tiles = [s.out_h().div_ceil(4), s.out_w().div_ceil(4)];
        let all = s.n * tiles[0] * tiles[1];
        let (c, f) = (s.c.next_multiple_of(COLUMNS), s.filters.next_multiple_of(COLUMNS));
        let most = (SUMS / (36 * c * f)).clamp(1, 16).min(all.div_ceil(BLOCK));
        let part = all.div_ceil(most).next_multiple_of(BLOCK);
        Plan { tiles, all, c, f, parts: all.div_ceil(part), part }
    }

    /// From one of 36 matrices of a block of transformed pixels to the next. A cache line more than the numbers need, for
    /// places at a distance of a power of two share few cache sets.
    fn slot(channels: usize) -> usize {
        BLOCK * channels + 16
    }
}

/// Numbers that the sums of all parts take, and a thread's block of tiles.
pub(super) fn working(shape: &ConvShape) -> [usize; 2] {
    let plan = Plan::new(shape);
    let own = Plan::slot(plan.c) + Plan::slot(FILTERS.min(plan.f));
    [plan.parts * 36 * plan.c * plan.f, 36 * own]
}

/// Writes `dw` (F, C, 3, 3).
pub(super) fn run(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (plan, runner) = (Plan::new(shape), Runner::new());
    let len = 36 * plan.c * plan.f;
    let [shared, scratch] = working(shape);
    let mut sums = Buffer::<f32>::dirty(shared);
    let zeros = Buffer::<f32>::zeroed(plan.c.max(plan.f));
    let picture = |data, h, w, c| Pictures { data, zeros: &zeros, h, w, c };
    let parts = Parts {
        shape,
        plan,
        x: picture(x, shape.h, shape.w, shape.c),
        dy: picture(dy, shape.out_h(), shape.out_w(), shape.filters),
        wide: runner.wide::<f32>(),
        sums: Shared(sums.make_mut().as_mut_ptr()),
    };
    runner.run(&parts, plan.parts * plan.f.div_ceil(FILTERS), scratch);
    let sums = sum_parts(sums.make_mut(), len);
    let inverse = Inverse { shape, plan, sums, dw: Shared(dw.as_mut_ptr()) };
    runner.run(&inverse, shape.c.div_ceil(INVERSE), 0);
}

/// Some filters of a part of the batch a task: pixels of x and of dy to their values at the points, a block of tiles at a time,
/// and the products of those of x, transposed, and those of dy: 36 matrices (C, F).
struct Parts<'a> {
    shape: &'a ConvShape,
    plan: Plan,
    x: Pictures<'a>,
    dy: Pictures<'a>,
    /// Columns of a panel of transformed gradients.
    wide: usize,
    sums: Shared<f32>,
}

impl Job<f32> for Parts<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [f32],
    ) {
        let plan = &self.plan;
        let (part, first) = (number % plan.parts, number / plan.parts * FILTERS);
        let filters = FILTERS.min(plan.f - first);
        let (values, gradients) = scratch.split_at_mut(36 * Plan::slot(plan.c));
        let (values, gradients) = (values.as_mut_ptr(), gradients.as_mut_ptr());
        let end = plan.all.min((part + 1) * plan.part);
        for start in (part * plan.part..end).step_by(BLOCK) {
            let tiles = start..end.min(start + BLOCK);
            // SAFETY: the caller's promise; a task has its own columns of its part's sums.
            unsafe {
                for tile in tiles.clone() {
                    self.transforms::<V>(tile, tile - start, (first, filters), values, gradients);
                }
                for p in 0..36 {
                    let slots = [Plan::slot(plan.c), Plan::slot(FILTERS.min(plan.f))];
                    let mut product = Product {
                        a: values.add(p * slots[0]),
                        row: 1,
                        step: COLUMNS,
                        b: gradients.add(p * slots[1]),
                        panel: BLOCK,
                        k: tiles.len(),
                        out: self.sums.at((part * 36 + p) * plan.c * plan.f + first),
                        out_row: plan.f,
                        add: start > part * plan.part,
                    };
                    for _ in (0..plan.c).step_by(COLUMNS) {
                        product.run::<V, R, C>(COLUMNS, filters);
                        product.a = product.a.add(COLUMNS * BLOCK);
                        product.out = product.out.add(COLUMNS * plan.f);
                    }
                }
            }
        }
    }
}

impl Parts<'_> {
    /// One tile's pixels to row `row` of the matrices of values.
    #[inline(always)]
    unsafe fn transforms<V: Vector<f32>>(
        &self,
        tile: usize,
        row: usize,
        (first, filters): (usize, usize),
        values: *mut f32,
        gradients: *mut f32,
    ) {
        let plan = &self.plan;
        let [rows, columns] = plan.tiles;
        let (n, i, j) = (tile / (rows * columns), tile / columns % rows, tile % columns);
        let [i, j] = [(i * 4) as isize, (j * 4) as isize];
        let [up, left] = self.shape.pad.map(|p| p as isize);
        // SAFETY: the caller's promise.
        unsafe {
            let window = self.x.window::<6>(n, i - up, j - left);
            transform::<V, Input, 6>(&window, (0, self.x.c), (plan.c, COLUMNS), row, values);
            let window = self.dy.window::<4>(n, i, j);
            let to = (filters, self.wide);
            transform::<V, Gradient, 4>(&window, (first, self.dy.c), to, row, gradients);
        }
    }
}

/// The values at the points of a window's channels from `first` on, into row `row` of 36 matrices of `columns` columns in panels
/// of `wide`.
#[inline(always)]
unsafe fn transform<V: Vector<f32>, S: Step<I, 6>, const I: usize>(
    window: &Window<I>,
    (first, channels): (usize, usize),
    (columns, wide): (usize, usize),
    row: usize,
    to: *mut f32,
) {
    // SAFETY: the caller's promise; `place` lies within a matrix.
    unsafe {
        for column in (0..columns).step_by(V::LANES) {
            let values = values::<V, S, I>(window, first + column, channels);
            let to = to.add(place(wide, columns, BLOCK, row, column));
            for (p, v) in values.iter().flatten().enumerate() {
                v.store(to.add(p * Plan::slot(columns)));
            }
        }
    }
}

/// The 36 sums of each weight to its gradient.
struct Inverse<'a> {
    shape: &'a ConvShape,
    plan: Plan,
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
        let (plan, channels) = (&self.plan, self.shape.c);
        for c in number * INVERSE..channels.min((number + 1) * INVERSE) {
            for f in (0..self.shape.filters).step_by(V::LANES) {
                // SAFETY: the caller's promise; a task writes the gradients of its own channels.
                unsafe {
                    let sums = Places(self.sums[c * plan.f + f..].as_ptr(), plan.c * plan.f);
                    let out = both::<V, WeightGradient, 6, 3>(&sums);
                    let mut taps = [[0.0f32; 16]; 9];
                    for (lanes, v) in taps.iter_mut().zip(out.iter().flatten()) {
                        v.store(lanes.as_mut_ptr());
                    }
                    for lane in 0..V::LANES.min(self.shape.filters - f) {
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
