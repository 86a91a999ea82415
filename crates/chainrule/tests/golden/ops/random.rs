//! NumPy's legacy generator.

use chainrule::rng::NumpyRng;
use serde::Deserialize;

use crate::compare::{Out, Outputs, outputs};
use crate::format::{Array, Case};

/// One step of a program of draws.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
enum Step {
    Randn { shape: Vec<usize> },
    Rand { shape: Vec<usize> },
    Randint { low: i64, high: i64, shape: Vec<usize> },
    Choice { n: usize, shape: Vec<usize> },
    Normal { loc: f64, scale: f64, shape: Vec<usize> },
    Uniform { low: f64, high: f64, shape: Vec<usize> },
    Permutation { n: usize },
}

impl Step {
    fn perform(self, rng: &mut NumpyRng) -> Out {
        let (shape, data): (Vec<usize>, Vec<f64>) = match self {
            Step::Randn { shape } => (shape.clone(), rng.randn(elements(&shape))),
            Step::Rand { shape } => (shape.clone(), rng.rand(elements(&shape))),
            Step::Randint { low, high, shape } => {
                let draws = (0..elements(&shape)).map(|_| rng.randint(low, high) as f64);
                (shape.clone(), draws.collect())
            }
            Step::Choice { n, shape } => {
                let draws = rng.choice(n, elements(&shape));
                (shape, draws.into_iter().map(|i| i as f64).collect())
            }
            Step::Normal { loc, scale, shape } => {
                let mut draws = vec![0.0; elements(&shape)];
                rng.fill_normal(loc, scale, &mut draws);
                (shape, draws)
            }
            Step::Uniform { low, high, shape } => {
                let draws = (0..elements(&shape)).map(|_| rng.uniform(low, high));
                (shape.clone(), draws.collect())
            }
            Step::Permutation { n } => {
                (vec![n], rng.permutation(n).into_iter().map(|i| i as f64).collect())
            }
        };
        // A draw without a shape is a plain number in the files.
        if shape.is_empty() { data[0].into() } else { Array::new(&shape, data).into() }
    }
}

fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// A program of draws on one generator.
pub fn program(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        seed: u32,
        steps: Vec<Step>,
    }
    let Args { seed, steps } = case.args()?;
    let mut rng = NumpyRng::new(seed);
    let values: Vec<Out> = steps.into_iter().map(|step| step.perform(&mut rng)).collect();
    let mut fresh = NumpyRng::new(seed);
    let words = (0..6).map(|_| f64::from(fresh.next_u32())).collect();
    Ok(outputs([("values", values.into()), ("first_words", Array::new(&[6], words).into())]))
}

/// What a network's training draws: its batches, its dropout masks, the samples of its accuracy checks.
#[derive(Deserialize)]
struct Training {
    num_train: usize,
    batch_size: usize,
    num_epochs: usize,
    #[serde(default)]
    dropout_widths: Vec<usize>,
}

impl Training {
    /// Rows that a check of the training accuracy samples, if there are more.
    const SAMPLES: usize = 1000;

    fn consume(&self, rng: &mut NumpyRng) {
        let per_epoch = (self.num_train / self.batch_size).max(1);
        let iterations = self.num_epochs * per_epoch;
        for t in 0..iterations {
            rng.choice(self.num_train, self.batch_size);
            for width in &self.dropout_widths {
                rng.rand(self.batch_size * width);
            }
            let checks = t == 0 || t + 1 == iterations || (t + 1) % per_epoch == 0;
            if checks && self.num_train > Self::SAMPLES {
                rng.choice(self.num_train, Self::SAMPLES);
            }
        }
    }
}

/// The normals of a network's weights, layer by layer.
fn net_init(rng: &mut NumpyRng, dims: &[usize]) {
    dims.windows(2).for_each(|pair| drop(rng.randn(pair[0] * pair[1])));
}

/// What a notebook did with the generator before the search.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Before {
    Randn { shape: Vec<usize> },
    Randint { low: i64, high: i64, shape: Vec<usize> },
    NetInit { dims: Vec<usize> },
    Solver(Training),
}

/// A search for hyper-parameters: each row depends on all that the trainings before it have drawn.
pub fn hparam_search(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    struct Ranges {
        log10_lr: [f64; 2],
        log10_ws: [f64; 2],
        log10_reg: [f64; 2],
        keep: [f64; 2],
    }
    #[derive(Deserialize)]
    struct Args {
        seed: u32,
        pre: Vec<Before>,
        search: Ranges,
        net_dims: Vec<usize>,
        #[serde(flatten)]
        training: Training,
        iterations: usize,
    }
    let Args { seed, pre, search, net_dims, training, iterations } = case.args()?;
    let rng = &mut NumpyRng::new(seed);
    for step in pre {
        match step {
            Before::Randn { shape } => drop(rng.randn(elements(&shape))),
            Before::Randint { low, high, shape } => {
                (0..elements(&shape)).for_each(|_| _ = rng.randint(low, high));
            }
            Before::NetInit { dims } => net_init(rng, &dims),
            Before::Solver(training) => training.consume(rng),
        }
    }
    let mut rows = Vec::new();
    for _ in 0..iterations {
        for [low, high] in [search.log10_lr, search.log10_ws, search.log10_reg] {
            rows.push(10f64.powf(rng.uniform(low, high)));
        }
        rows.push(rng.uniform(search.keep[0], search.keep[1]));
        net_init(rng, &net_dims);
        training.consume(rng);
    }
    Ok(outputs([("rows", Array::new(&[iterations, 4], rows).into())]))
}
