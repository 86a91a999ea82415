//! Every architecture in the list, in its small form: it learns, and what is done to its training leaves no trace.

use chainrule::Result;
use chainrule::models::{ARCHITECTURES, Architecture, Loss, Model, Task};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{
    Arrays, Flow, Moment, Observer, Quiet, RateRange, Solver, SolverOptions, SolverState,
};

fn small(architecture: &Architecture, rng: &mut Rng) -> Box<dyn Model> {
    let task = Task {
        input_shape: vec![3, 8, 8],
        classes: 4,
        loss: Loss::default(),
        reg: 1e-4,
        dtype: DType::F32,
    };
    architecture.make(&task, &(architecture.small)(), rng).expect("a small model")
}

/// Pictures of noise, each class with a corner of its own that is brighter.
fn pictures(n: usize, seed: u64) -> Arrays {
    let mut x = Tensor::randn([n, 3, 8, 8], 0.5, DType::F32, &mut Rng::new(seed));
    let labels: Vec<usize> = (0..n).map(|i| i % 4).collect();
    for (picture, label) in x.data_mut::<f32>().chunks_exact_mut(192).zip(&labels) {
        let bright = |i: &usize| (i / 32 % 2, i % 8 / 4) == (label / 2, label % 2);
        (0..192).filter(bright).for_each(|i| picture[i] += 2.0);
    }
    Arrays::new(x, labels)
}

fn options(epochs: usize) -> SolverOptions {
    SolverOptions { batch_size: 8, epochs, learning_rate: 1e-2, ..SolverOptions::default() }
}

#[test]
fn every_architecture_learns_a_handful_of_pictures() {
    for architecture in ARCHITECTURES {
        let mut rng = Rng::new(1);
        let mut model = small(architecture, &mut rng);
        let (train, val) = (pictures(32, 1), pictures(16, 2));
        let rule = make("adam", &OptimConfig::default()).expect("a known rule");
        let mut solver = Solver::new(&mut *model, rule, &train, &val, options(15));
        let history = solver.train(&mut rng, &mut Quiet).expect("a finite loss");
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&history.loss[..4]), mean(&history.loss[56..]));
        assert!(last < 0.6 * first, "{}: from {first} to {last}", architecture.name);
    }
}

/// Stops after a step and keeps the state.
struct StopAt(usize, Option<SolverState>);

impl Observer for StopAt {
    fn moment(&mut self, moment: &Moment<'_>) -> Result<Flow> {
        if moment.step != self.0 {
            return Ok(Flow::Go);
        }
        self.1 = Some(moment.state());
        Ok(Flow::Stop)
    }
}

/// The parameters and running averages at the end, as they are in memory.
fn bits(model: &dyn Model) -> Vec<Vec<f64>> {
    let params = model.params().iter().map(|p| p.value.to_vec());
    params.chain(model.buffers().iter().map(|(_, t)| t.to_vec())).collect()
}

#[test]
fn a_stop_and_a_range_test_leave_no_trace_in_any_architecture() {
    let (train, val) = (pictures(24, 3), pictures(8, 4));
    let rule = || make("adamw", &OptimConfig::default()).expect("a known rule");
    for architecture in ARCHITECTURES {
        let mut rng = Rng::new(5);
        let mut whole = small(architecture, &mut rng);
        Solver::new(&mut *whole, rule(), &train, &val, options(3))
            .train(&mut rng, &mut Quiet)
            .expect("a finite loss");

        let mut rng = Rng::new(5);
        let mut first = small(architecture, &mut rng);
        let mut stop = StopAt(4, None);
        Solver::new(&mut *first, rule(), &train, &val, options(3))
            .train(&mut rng, &mut stop)
            .expect("a finite loss");
        let state = stop.1.expect("it stopped");

        let mut rng = Rng::new(77);
        let mut second = small(architecture, &mut rng);
        let mut solver = Solver::new(&mut *second, rule(), &train, &val, options(3));
        solver.restore(state, &mut rng).expect("a state of this training");
        let range = RateRange { from: 1e-4, to: 1.0, steps: 12 };
        solver.find_rate(range, &mut rng).expect("a sound range");
        solver.train(&mut rng, &mut Quiet).expect("a finite loss");
        assert!(bits(&*second) == bits(&*whole), "{}", architecture.name);
    }
}
