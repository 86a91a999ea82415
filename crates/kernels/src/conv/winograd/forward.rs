//! Forward, and backward by data, which is the same with turned and transposed weights.

use super::pictures::Pictures;
use super::product::{COLUMNS, Product, ROWS, place};
use super::transform::{Input, Lanes, Output, Places, Weights, both, values};
use crate::buffer::Buffer;
use crate::conv::finish;
use crate::conv::task::{Job, Runner};
use crate::gemm::vector::Vector;
use crate::threads::Shared;

/// A convolution with 3 x 3 filters and stride 1, by whichever of the two directions.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    /// (N, H, W, C), what is convolved.
    pub x: &'a [f32],
    pub n: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
    /// Channels, height and width of the result.
    pub f: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub pad: [usize; 2],
    pub weights: &'a [f32],
    /// Weight (f, c, u, v) is at `f * stride[0] + c * stride[1]`, plus `3 u + v`, or minus that from 8 if `turned`.
    pub stride: [usize; 2],
    pub turned: bool,
    pub bias: Option<&'a [f32]>,
    pub relu: bool,
}

/// Tiles times channels of a block: what keeps its 37 places, some 300 KB, in the second-level cache beside the weights that pass by.
const BLOCK: usize = 2048;
/// Rows of transformed weights a task makes.
const WEIGHT_ROWS: usize = 8;

/// Sizes that follow from a [`Layer`].
#[derive(Clone, Copy)]
struct Plan {
    /// Tiles along each axis of a picture.
    tiles: [usize; 2],
    /// Tiles in a block.
    block: usize,
    /// C and F, padded.
    c: usize,
    f: usize,
    /// From one of the 36 products to the next.
    slot: usize,
    /// From one of their 36 matrices of weights to the next.
    share: usize,
}

impl Layer<'_> {
    fn plan(&self) -> Plan {
        let (c, f) = (self.c.next_multiple_of(COLUMNS), self.f.next_multiple_of(COLUMNS));
        let tiles = [self.out_h.div_ceil(4), self.out_w.div_ceil(4)];
        let most = (BLOCK / c.max(f) / ROWS * ROWS).max(ROWS);
        let all = (self.n * tiles[0] * tiles[1]).max(1);
        let block = all.div_ceil(all.div_ceil(most)).next_multiple_of(ROWS);
        // A cache line more than the numbers need, for 36 places at a distance of a power of two share few cache sets.
        let (slot, share) = (block * c.max(f) + 16, self.c * f + 16);
        Plan { tiles, block, c, f, slot, share }
    }

    /// Numbers that the transformed weights take, and a thread's block of tiles.
    pub fn working(&self) -> [usize; 2] {
        let plan = self.plan();
        [36 * plan.share, 37 * plan.slot]
    }

    /// Computes `y` (N, H', W', F).
    pub fn run(&self, y: &mut [f32]) {
        let (plan, runner) = (self.plan(), Runner::new());
        let all = self.n * plan.tiles[0] * plan.tiles[1];
        let [shared, own] = self.working();
        let mut u = Buffer::<f32>::dirty(shared);
        let weights = WeightTransform {
            layer: self,
            columns: plan.f,
            wide: runner.wide::<f32>(),
            share: plan.share,
            to: Shared(u.make_mut().as_mut_ptr()),
        };
        runner.run(&weights, self.c.div_ceil(WEIGHT_ROWS), 0);
        let zeros = Buffer::<f32>::zeroed(self.c);
        let blocks = Blocks { layer: self, plan, u: &u, zeros: &zeros, y: Shared(y.as_mut_ptr()) };
        runner.run(&blocks, all.div_ceil(plan.block), own);
    }
}

/// The transformed weights, some channels a task.
struct WeightTransform<'a> {
    layer: &'a Layer<'a>,
    columns: usize,
    wide: usize,
    /// From one of the 36 matrices to the next.
    share: usize,
    to: Shared<f32>,
}

impl Job<f32> for WeightTransform<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        number: usize,
        _: &mut [f32],
    ) {
        for c in number * WEIGHT_ROWS..self.layer.c.min((number + 1) * WEIGHT_ROWS) {
            for f in (0..self.columns).step_by(V::LANES) {
                // SAFETY: the caller's promise; a task writes the rows of its own channels.
                unsafe { self.vector::<V>(c, f) };
            }
        }
    }
}

impl WeightTransform<'_> {
    /// The values for channel `c` and a vector of filters from `f` on.
    #[inline(always)]
    unsafe fn vector<V: Vector<f32>>(&self, c: usize, f: usize) {
        let layer = self.layer;
        let mut taps = Lanes([[[0.0; 16]; 3]; 3]);
        for f in f..layer.f.min(f + V::LANES) {
            let (lane, from) = (f % V::LANES, f * layer.stride[0] + c * layer.stride[1]);
            for (tap, w) in layer.weights[from..from + 9].iter().enumerate() {
                let tap = if layer.turned { 8 - tap } else { tap };
                taps.0[tap / 3][tap % 3][lane] = *w;
            }
        }
        // SAFETY: `place` lies within a product's share of `to`.
        unsafe {
            let values = both::<V, Weights, 3, 6>(&taps);
            let at = place(self.wide, self.columns, layer.c, c, f);
            for (i, v) in values.iter().flatten().enumerate() {
                v.store(self.to.at(i * self.share + at));
            }
        }
    }
}

/// Blocks of tiles, one a task: inputs to values at 36 points, 36 products, and back.
struct Blocks<'a> {
    layer: &'a Layer<'a>,
    plan: Plan,
    u: &'a [f32],
    zeros: &'a [f32],
    y: Shared<f32>,
}

impl Job<f32> for Blocks<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [f32],
    ) {
        let plan = &self.plan;
        let all = self.layer.n * plan.tiles[0] * plan.tiles[1];
        let tiles = number * plan.block..all.min((number + 1) * plan.block);
        let scratch = scratch.as_mut_ptr();
        // SAFETY: the caller's promise; `scratch` has 37 places of `slot` numbers; tiles of different tasks write different
        // pixels of y.
        unsafe {
            for (i, tile) in tiles.clone().enumerate() {
                self.input::<V>(tile, scratch.add(plan.slot + i * plan.c));
            }
            self.products::<V, R, C>(tiles.len().next_multiple_of(ROWS), scratch);
            for (i, tile) in tiles.enumerate() {
                self.output::<V>(tile, scratch.add(i * plan.f));
            }
        }
    }
}

impl Blocks<'_> {
    /// A tile's 6 x 6 pixels to their values at the points.
    #[inline(always)]
    unsafe fn input<V: Vector<f32>>(&self, tile: usize, to: *mut f32) {
        let Layer { x, h, w, c, pad, .. } = *self.layer;
        let (n, i, j) = self.plan.at(tile);
        let corner = |tile: usize, axis: usize| (tile * 4) as isize - pad[axis] as isize;
        let pictures = Pictures { data: x, zeros: self.zeros, h, w, c };
        let window = pictures.window::<6>(n, corner(i, 0), corner(j, 1));
        for from in (0..c).step_by(V::LANES) {
            // SAFETY: windows reach over C numbers; `to` is a row of padded length in each of 36 places.
            unsafe {
                let values = values::<V, Input, 6>(&window, from, c);
                for (p, v) in values.iter().flatten().enumerate() {
                    v.store(to.add(p * self.plan.slot + from));
                }
            }
        }
    }

    /// The 36 products of a block of `rows` tiles.
    #[inline(always)]
    unsafe fn products<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        rows: usize,
        scratch: *mut f32,
    ) {
        let (plan, k) = (&self.plan, self.layer.c);
        for p in 0..36 {
            // Product p reads place p + 1 and writes place p, whose numbers have been used: half the memory.
            // SAFETY: the caller's promise; u has 36 matrices of C x F.
            unsafe {
                let product = Product {
                    a: scratch.add((p + 1) * plan.slot),
                    row: plan.c,
                    step: 1,
                    b: self.u[p * plan.share..].as_ptr(),
                    panel: k,
                    k,
                    out: scratch.add(p * plan.slot),
                    out_row: plan.f,
                    add: false,
                };
                product.run::<V, R, C>(rows, plan.f);
            }
        }
    }

    /// One tile's products to its 4 x 4 pixels of y, with the bias and the ReLU.
    #[inline(always)]
    unsafe fn output<V: Vector<f32>>(&self, tile: usize, products: *const f32) {
        let Layer { f: filters, out_h, out_w, bias, relu, .. } = *self.layer;
        let (n, i, j) = self.plan.at(tile);
        let first = (n * out_h + i * 4) * out_w + j * 4;
        let valid = [4.min(out_h - i * 4), 4.min(out_w - j * 4)];
        for f in (0..filters).step_by(V::LANES) {
            let lanes = V::LANES.min(filters - f);
            // SAFETY: the products have padded rows of F numbers; pixels within `valid` belong to this tile.
            unsafe {
                let products = Places(products.add(f), self.plan.slot);
                let out = both::<V, Output, 6, 4>(&products);
                for (i, row) in out.iter().enumerate().take(valid[0]) {
                    for (j, v) in row.iter().enumerate().take(valid[1]) {
                        let to = self.y.at((first + i * out_w + j) * filters + f);
                        let mut tail = [0.0; 16];
                        let direct = lanes == V::LANES;
                        v.store(if direct { to } else { tail.as_mut_ptr() });
                        let row = std::slice::from_raw_parts_mut(to, lanes);
                        if !direct {
                            row.copy_from_slice(&tail[..lanes]);
                        }
                        if bias.is_some() || relu {
                            finish(row, bias.map(|b| &b[f..]), relu);
                        }
                    }
                }
            }
        }
    }
}

impl Plan {
    /// A tile's picture, row and column.
    fn at(&self, tile: usize) -> (usize, usize, usize) {
        let [rows, columns] = self.tiles;
        (tile / (rows * columns), tile / columns % rows, tile % columns)
    }
}
