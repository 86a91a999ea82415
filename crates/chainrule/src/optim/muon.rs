//! Muon: momentum whose matrices are made orthogonal before they are followed, so that no direction of a layer is neglected.
//!
//! ```text
//! v = momentum * v + dw             u = dw + momentum * v (nesterov) or v
//! X = u / |u|                       5 times:   A = X X^T,   X = a X + (b A + c A^2) X
//! w -= lr * weight_decay * w
//! w -= lr * sqrt(max(1, rows / columns)) * X
//! ```
//! A parameter of two axes or more is a matrix: a row a unit, the weights into it beside each other. With a = 3.4445, b = -4.7750,
//! c = 2.0315 the five iterations (Newton and Schulz) bring singular values from 0.01 up to between about 0.68 and 1.2. They run on the
//! smaller side of the matrix, in the parameter's own type. All other parameters go by [`adamw`](super::adamw) with
//! `lr * vector_rate`. Sources: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024;
//! `torch.optim.Muon`.

use super::adam::{Decay, moments, step};
use super::state::{Slots, State};
use super::{Hyper, OptimConfig, Rule, UpdateRule, decay_of};
use crate::error::{Error, Result};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::Real;
use chainrule_kernels::reduce::sum_squares;

pub(super) const RULE: Rule = Rule {
    name: "muon",
    aliases: &[],
    about: "momentum made orthogonal, for matrices; AdamW for the rest",
    learning_rate: 2e-2,
    defaults: OptimConfig {
        momentum: Some(0.95),
        nesterov: Some(true),
        beta1: Some(0.9),
        beta2: Some(0.999),
        eps: Some(1e-8),
        vector_rate: Some(0.1),
        weight_decay: Some(0.0),
        ..OptimConfig::NONE
    },
    make,
};

/// The factors of X, A X and A^2 X.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
const ITERATIONS: usize = 5;
/// Keeps a gradient of zero from a division by zero.
const LEAST: f64 = 1e-7;

struct Muon {
    hyper: Hyper,
    matrices: Slots,
    vectors: Slots,
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    if hyper.momentum == 0.0 && hyper.nesterov {
        return Err(Error::value("nesterov", "momentum is 0", "it needs a momentum above 0"));
    }
    let matrices = Slots::new(RULE.name, &["velocity"], 0.0);
    let hyper = Hyper { amsgrad: false, ..hyper.clone() };
    let vectors = moments(RULE.name, &hyper);
    Ok(Box::new(Muon { hyper, matrices, vectors }))
}

/// The nearest matrix with orthonormal rows, or columns if it has more rows than columns: singular values of about 1.
///
/// # Panics
/// If x does not have two axes.
#[track_caller]
pub fn orthogonal(x: &Tensor) -> Tensor {
    let [rows, columns] = x.shape()[..] else {
        panic!("a matrix has two axes, not {:?}", x.shape())
    };
    if rows > columns {
        return orthogonal(&x.permute(&[1, 0])).permute(&[1, 0]);
    }
    let norm = float!(x.dtype(), T => sum_squares(x.data::<T>())).sqrt();
    let mut x = x * (1.0 / (norm + LEAST));
    let [a, b, c] = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = x.matmul(&x.permute(&[1, 0]));
        let mut factor = &gram * b;
        factor.add_scaled(c, &gram.matmul(&gram));
        let mut next = factor.matmul(&x);
        next.add_scaled(a, &x);
        x = next;
    }
    x
}

impl Muon {
    fn update_matrix(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let dw = dw.to_order(w.order());
        let Hyper { momentum, nesterov, .. } = self.hyper;
        let ([v], _) = self.matrices.of(slot, w, &dw) else { unreachable!("one tensor is kept") };
        let mut direction = dw.zeros_like();
        float!(w.dtype(), T => {
            let momentum = T::from_f64(momentum);
            let numbers = v.data_mut::<T>().iter_mut().zip(dw.data::<T>());
            for (u, (v, g)) in direction.data_mut::<T>().iter_mut().zip(numbers) {
                *v = momentum * *v + *g;
                *u = if nesterov { *g + momentum * *v } else { *v };
            }
        });
        let rows = w.shape()[0];
        let columns = w.len() / rows.max(1);
        if columns == 0 {
            return;
        }
        let step = orthogonal(&direction.to_order(Order::RowMajor).reshape([rows, columns]));
        let step = step.reshape(*w.shape()).to_order(w.order());
        let scale = (rows as f64 / columns as f64).max(1.0).sqrt();
        let shrink = 1.0 - lr * decay_of(&self.hyper, decay);
        float!(w.dtype(), T => {
            let (shrink, lr) = (T::from_f64(shrink), T::from_f64(lr * scale));
            let numbers = w.data_mut::<T>().iter_mut().zip(step.data::<T>());
            numbers.for_each(|(w, x)| *w = shrink * *w - lr * *x);
        });
    }
}

impl UpdateRule for Muon {
    fn name(&self) -> &'static str {
        RULE.name
    }

    fn begin_step(&mut self) {
        self.matrices.begin_step();
        self.vectors.begin_step();
    }

    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        if w.shape().len() >= 2 {
            return self.update_matrix(slot, w, dw, lr, decay);
        }
        let lr = lr * self.hyper.vector_rate;
        let decay = Decay::Weights(lr * decay_of(&self.hyper, decay));
        step(&mut self.vectors, &self.hyper, slot, (w, dw), lr, decay);
    }

    fn hyperparameters(&self) -> String {
        format!("{:?}", self.hyper)
    }

    fn state(&self) -> State {
        let (mut all, vectors) = (self.matrices.save(), self.vectors.save());
        all.slots.resize_with(all.slots.len().max(vectors.slots.len()), Vec::new);
        for (slot, vector) in all.slots.iter_mut().zip(vectors.slots) {
            if slot.is_empty() {
                *slot = vector;
            }
        }
        all
    }

    fn load_state(&mut self, state: State) -> Result<()> {
        let is_matrix = |slot: &[(String, Tensor)]| slot.iter().any(|(name, _)| name == "velocity");
        let part = |matrices: bool| {
            let mut part = state.clone();
            let others = part.slots.iter_mut().filter(|slot| is_matrix(slot) != matrices);
            others.for_each(Vec::clear);
            part
        };
        // A slot that is neither's is refused by the vectors, before anything has changed.
        self.vectors.load(part(false))?;
        self.matrices.load(part(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    /// X X^T, whose eigenvalues are the squares of the singular values.
    fn gram(x: &Tensor) -> Tensor {
        x.matmul(&x.permute(&[1, 0]))
    }

    #[test]
    fn singular_values_come_near_one() {
        for [rows, columns] in [[6, 6], [5, 20], [20, 5], [1, 9]] {
            for dtype in [DType::F32, DType::F64] {
                let x = Tensor::randn([rows, columns], 3.0, dtype, &mut Rng::new(4));
                let y = orthogonal(&x);
                assert_eq!(y.shape(), x.shape());
                let side = rows.min(columns);
                let g = if rows <= columns { gram(&y) } else { gram(&y.permute(&[1, 0])) };
                // The trace is the sum of the squares of the singular values, and they of the square that of their fourth powers.
                let trace =
                    |t: &Tensor| (0..side).map(|i| t.at(&[i, i])).sum::<f64>() / side as f64;
                let (second, fourth) = (trace(&g), trace(&g.matmul(&g)));
                assert!(second > 0.45 && second < 1.4, "{rows} x {columns}: {second}");
                let spread = (fourth - second * second).max(0.0).sqrt();
                assert!(spread < 0.45, "{rows} x {columns}: {spread}");
            }
        }
    }

    #[test]
    fn an_orthogonal_matrix_stays_in_its_directions() {
        // A rotation by 0.3, 100 times as large: all singular values are equal, and stay so.
        let (s, c) = (libm::sin(0.3), libm::cos(0.3));
        let y =
            orthogonal(&Tensor::from_f64([2, 2], &[100.0 * c, -100.0 * s, 100.0 * s, 100.0 * c]));
        let size = y.at(&[0, 0]) / c;
        assert!(size > 0.67 && size < 1.2, "{size}");
        for (found, want) in y.to_vec().iter().zip([c, -s, s, c]) {
            assert!((found - size * want).abs() < 1e-12, "{y:?}");
        }
        assert!(orthogonal(&Tensor::zeros([3, 2], DType::F64)).to_vec() == vec![0.0; 6]);
    }

    #[test]
    fn a_filter_is_a_matrix_in_either_memory_order_and_a_bias_is_none() {
        let mut rng = Rng::new(1);
        let w = Tensor::randn([4, 3, 3, 3], 1.0, DType::F64, &mut rng);
        let dw = Tensor::randn([4, 3, 3, 3], 1.0, DType::F64, &mut rng);
        let run = |order| {
            let mut rule = RULE.make(&OptimConfig::NONE).expect("sound defaults");
            let mut w = w.to_order(order);
            rule.begin_step();
            rule.update(0, &mut w, &dw, 0.1, true);
            let names = |slot: &Vec<(String, Tensor)>| slot.iter().map(|s| s.0.clone()).collect();
            let kept: Vec<Vec<String>> = rule.state().slots.iter().map(names).collect();
            (w.to_order(Order::RowMajor).to_vec(), kept)
        };
        let (rows, kept) = run(Order::RowMajor);
        assert_eq!((rows, kept), run(Order::ChannelsLast));
        let mut rule = RULE.make(&OptimConfig::NONE).expect("sound defaults");
        let mut b = Tensor::zeros([4], DType::F64);
        rule.begin_step();
        rule.update(1, &mut b, &Tensor::ones([4], DType::F64), 0.1, false);
        assert!(b.to_vec().iter().all(|b| (b + 0.01).abs() < 1e-9), "Adam's first step, {b:?}");
        assert_eq!(rule.state().slots[1].len(), 2);
    }
}
