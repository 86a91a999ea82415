//! A hidden layer of a fully connected net: affine, then batch or layer norm or nothing, then ReLU, then perhaps dropout.
//!
//! ```text
//! a = x w + b     h = norm(a)     r = max(0, h)     y = dropout(r)      x (N, D...)   w (D, M)   b, gamma, beta (M)   y (N, M)
//! ```
//! Backward takes the same steps from the top down; each derivative is that of the op itself. Batch norm subtracts the mean
//! of every feature, so in training the gradient of b before it is 0 but for rounding.
//!
//! Fused: the ReLU is applied while the norm (or, without a norm, the product) writes its result, and backward of the norm
//! computes the ReLU's mask again instead of reading it. Saved: what `affine` saves; with a norm a and its statistics, else the
//! result; dropout's own. Cost: that of the parts, less two passes over (N, M) each way. Source: the course's sandwich layers.

use super::batch_norm::{self, BatchNormParams, RunningStats};
use super::dropout;
use super::layer_norm::{self, LayerNormParams};
use super::{Mode, affine, affine_relu};
use crate::gradcheck::{Case, backward_pass};
use crate::rng::Rng;
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::Tensor;

const OP: &str = "affine_norm_relu";

/// What stands between the affine map and the ReLU.
#[derive(Debug)]
pub enum Norm<'a> {
    /// Nothing.
    None,
    /// Batch norm.
    Batch {
        /// (M), the scales.
        gamma: &'a Tensor,
        /// (M), the shifts.
        beta: &'a Tensor,
        /// Its settings.
        params: BatchNormParams,
        /// The running averages, which training updates.
        running: &'a mut RunningStats,
    },
    /// Layer norm.
    Layer {
        /// (M), the scales.
        gamma: &'a Tensor,
        /// (M), the shifts.
        beta: &'a Tensor,
        /// Its settings.
        params: LayerNormParams,
    },
}

/// Dropout after the ReLU.
#[derive(Debug)]
pub struct Dropout<'a> {
    /// The probability that a unit is kept.
    pub keep: f64,
    /// Where the choice comes from.
    pub rng: &'a mut Rng,
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    below: Below,
    dropout: Option<dropout::Cache>,
}

/// The layer without dropout.
#[derive(Clone, Debug)]
enum Below {
    Plain(affine_relu::Cache),
    Batch(affine::Cache, batch_norm::Cache),
    Layer(affine::Cache, layer_norm::Cache),
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Shape of x.
    pub dx: Tensor,
    /// (D, M).
    pub dw: Tensor,
    /// (M).
    pub db: Tensor,
    /// (M); none without a norm.
    pub dgamma: Option<Tensor>,
    /// (M); none without a norm.
    pub dbeta: Option<Tensor>,
}

/// The layer's output (N, M) for x (N, D...), w (D, M) and b (M).
///
/// # Panics
/// If the sizes do not fit, the types differ, or a part refuses its settings.
#[track_caller]
pub fn forward(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    norm: Norm,
    dropout: Option<Dropout>,
    mode: Mode,
) -> (Tensor, Cache) {
    let (r, below) = match norm {
        Norm::None => {
            let (r, cache) = affine_relu::fused(OP, x, w, b);
            (r, Below::Plain(cache))
        }
        Norm::Batch { gamma, beta, params, running } => {
            let (a, affine) = affine::product(OP, x, w, b, affine::Activation::None);
            let (r, norm) =
                batch_norm::normalise(OP, [&a, gamma, beta], &params, mode, running, true);
            (r, Below::Batch(affine, norm))
        }
        Norm::Layer { gamma, beta, params } => {
            let (a, affine) = affine::product(OP, x, w, b, affine::Activation::None);
            let (r, norm) = layer_norm::normalise(OP, [&a, gamma, beta], &params, true);
            (r, Below::Layer(affine, norm))
        }
    };
    let Some(Dropout { keep, rng }) = dropout else {
        return (r, Cache { below, dropout: None });
    };
    let (y, dropout) = dropout::forward(&r, keep, mode, rng);
    (y, Cache { below, dropout: Some(dropout) })
}

/// The gradients, given the upstream gradient dy (N, M).
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(dx), Some(dw), Some(db), dgamma, dbeta] = backward_for([true; 5], dy, cache) else {
        unreachable!("all were asked for")
    };
    Grads { dx, dw, db, dgamma, dbeta }
}

/// The gradients of x, w, b, gamma and beta that are needed, the last two if there is a norm. A first layer does not need
/// that of x.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 5], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 5] {
    let dr = cache.dropout.as_ref().map(|dropout| dropout::backward(dy, dropout));
    let dr = dr.as_ref().unwrap_or(dy);
    let [x, w, b, gamma, beta] = needs;
    let of_norm = [x || w || b, gamma, beta];
    let ([da, dgamma, dbeta], affine) = match &cache.below {
        Below::Plain(below) => {
            let [dx, dw, db] = affine_relu::backward_for([x, w, b], dr, below);
            return [dx, dw, db, None, None];
        }
        Below::Batch(affine, norm) => (batch_norm::backward_for(of_norm, dr, norm), affine),
        Below::Layer(affine, norm) => (layer_norm::backward_for(of_norm, dr, norm), affine),
    };
    let Some(da) = da else { return [None, None, None, dgamma, dbeta] };
    let [dx, dw, db] = affine::backward_for([x, w, b], &da, affine);
    [dx, dw, db, dgamma, dbeta]
}

impl Var {
    /// Affine, batch norm and ReLU on the tape, in its mode: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn affine_batch_norm_relu(
        &self,
        [w, b, gamma, beta]: [&dyn OnTape; 4],
        params: BatchNormParams,
        running: &mut RunningStats,
    ) -> Var {
        let on = Operands::of([self, w, b, gamma, beta]);
        let [x, w, b, gamma, beta] = &on.values;
        let norm = Norm::Batch { gamma, beta, params, running };
        let (y, cache) = forward(x, w, b, norm, None, on.tape().mode());
        on.record(y, cache, backward_for)
    }

    /// Affine, layer norm and ReLU on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn affine_layer_norm_relu(
        &self,
        [w, b, gamma, beta]: [&dyn OnTape; 4],
        params: LayerNormParams,
    ) -> Var {
        let on = Operands::of([self, w, b, gamma, beta]);
        let [x, w, b, gamma, beta] = &on.values;
        let norm = Norm::Layer { gamma, beta, params };
        let (y, cache) = forward(x, w, b, norm, None, on.tape().mode());
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check. Dropout draws the same units at every call.
pub fn checks() -> Vec<Case> {
    vec![
        batch_case("batch norm, train", [6, 5, 4], Mode::Train, None),
        batch_case("batch norm, test", [6, 5, 4], Mode::Test, None),
        batch_case("batch norm, dropout", [7, 3, 9], Mode::Train, Some(0.6)),
        layer_case("layer norm", [6, 5, 4], None),
        layer_case("layer norm, dropout", [3, 4, 17], Some(0.6)),
        plain_case("plain", [5, 4, 3], None),
        plain_case("dropout", [5, 4, 11], Some(0.4)),
    ]
}

/// Runs the layer with dropout from a seed.
fn run([x, w, b]: [&Tensor; 3], norm: Norm, keep: Option<f64>, mode: Mode) -> (Tensor, Cache) {
    let mut rng = Rng::new(4);
    forward(x, w, b, norm, keep.map(|keep| Dropout { keep, rng: &mut rng }), mode)
}

fn plain_case(name: &'static str, [n, d, m]: [usize; 3], keep: Option<f64>) -> Case {
    let case = Case::new(OP, name).input("x", &[n, d]).input("w", &[d, m]).input("b", &[m]);
    case.run(move |[x, w, b]| {
        let (y, cache) = run([x, w, b], Norm::None, keep, Mode::Train);
        let back = move |[x, w, b]: [bool; 3], dy: &Tensor| {
            let [dx, dw, db, ..] = backward_for([x, w, b, false, false], dy, &cache);
            [dx, dw, db]
        };
        (y, backward_pass(back))
    })
    .tape(move |[x, w, b]| dropped(x.affine_relu(w, b), keep))
}

/// Dropout from the seed of [`run`].
fn dropped(x: Var, keep: Option<f64>) -> Var {
    *x.tape().rng() = Rng::new(4);
    keep.map_or_else(|| x.clone(), |keep| x.dropout(keep))
}

fn layer_case(name: &'static str, [n, d, m]: [usize; 3], keep: Option<f64>) -> Case {
    let case = Case::new(OP, name).input("x", &[n, d]).input("w", &[d, m]).input("b", &[m]);
    case.input("gamma", &[m])
        .input("beta", &[m])
        .run(move |[x, w, b, gamma, beta]| {
            let norm = Norm::Layer { gamma, beta, params: LayerNormParams::default() };
            let (y, cache) = run([x, w, b], norm, keep, Mode::Train);
            (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
        })
        .tape(move |[x, w, b, gamma, beta]| {
            let params = LayerNormParams::default();
            dropped(x.affine_layer_norm_relu([w, b, gamma, beta], params), keep)
        })
}

/// In training the gradient of b is 0, and numbers beside 0 say nothing: there b is a constant of the case.
fn batch_case(name: &'static str, [n, d, m]: [usize; 3], mode: Mode, keep: Option<f64>) -> Case {
    let case = Case::new(OP, name).input("x", &[n, d]).input("w", &[d, m]);
    let case = if mode == Mode::Test { case.input("b", &[m]) } else { case };
    case.input("gamma", &[m])
        .input("beta", &[m])
        .run_slice(move |inputs| {
            let half = Tensor::full([m], 0.5, inputs[0].dtype());
            let (x, w) = (&inputs[0], &inputs[1]);
            let b = if mode == Mode::Test { &inputs[2] } else { &half };
            let [.., gamma, beta] = inputs else { unreachable!("the case has them") };
            let mut running = batch_norm::some_running_stats(m, x.dtype());
            let params = BatchNormParams::default();
            let norm = Norm::Batch { gamma, beta, params, running: &mut running };
            let (y, cache) = run([x, w, b], norm, keep, mode);
            let back = move |needs: &[bool], dy: &Tensor| {
                let mut needs = needs.to_vec();
                if mode == Mode::Train {
                    needs.insert(2, false);
                }
                let mut grads =
                    backward_for(std::array::from_fn(|i| needs[i]), dy, &cache).to_vec();
                if mode == Mode::Train {
                    grads.remove(2);
                }
                grads
            };
            (y, Box::new(back))
        })
        .tape_slice(move |inputs| {
            let (x, w) = (&inputs[0], &inputs[1]);
            x.tape().set_mode(mode);
            let half = x.tape().constant(Tensor::full([m], 0.5, x.dtype()));
            let b = if mode == Mode::Test { &inputs[2] } else { &half };
            let [.., gamma, beta] = inputs else { unreachable!("the case has them") };
            let mut running = batch_norm::some_running_stats(m, x.dtype());
            let params = BatchNormParams::default();
            dropped(x.affine_batch_norm_relu([w, b, gamma, beta], params, &mut running), keep)
        })
}

#[cfg(test)]
mod tests;
