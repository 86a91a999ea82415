//! Every architecture in the list, in its small form: it learns, and what is done to its training leaves no trace.

use chainrule::Result;
use chainrule::models::{ARCHITECTURES, Architecture, Loss, Model, Task};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{
    Arrays, Flow, Group, Moment, Observer, Quiet, RateRange, Solver, SolverOptions, SolverState,
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
    let rule = || make("muon", &OptimConfig::default()).expect("a known rule");
    let groups = vec![Group::decay_all()];
    let options = || SolverOptions { average: Some(0.8), groups: groups.clone(), ..options(3) };
    for architecture in ARCHITECTURES {
        let mut rng = Rng::new(5);
        let mut whole = small(architecture, &mut rng);
        Solver::new(&mut *whole, rule(), &train, &val, options())
            .train(&mut rng, &mut Quiet)
            .expect("a finite loss");

        let mut rng = Rng::new(5);
        let mut first = small(architecture, &mut rng);
        let mut stop = StopAt(4, None);
        Solver::new(&mut *first, rule(), &train, &val, options())
            .train(&mut rng, &mut stop)
            .expect("a finite loss");
        let state = stop.1.expect("it stopped");

        let mut rng = Rng::new(77);
        let mut second = small(architecture, &mut rng);
        let mut solver = Solver::new(&mut *second, rule(), &train, &val, options());
        solver.restore(state, &mut rng).expect("a state of this training");
        let range = RateRange { from: 1e-4, to: 1.0, steps: 12 };
        solver.find_rate(range, &mut rng).expect("a sound range");
        solver.train(&mut rng, &mut Quiet).expect("a finite loss");
        assert!(bits(&*second) == bits(&*whole), "{}", architecture.name);
    }
}

/// Keeps the state after each step.
struct States(Vec<SolverState>);

impl Observer for States {
    fn moment(&mut self, moment: &Moment<'_>) -> Result<Flow> {
        self.0.push(moment.state());
        Ok(Flow::Go)
    }
}

#[test]
fn averaged_weights_are_those_of_the_formula_and_what_is_left() {
    let (train, val) = (pictures(24, 3), pictures(8, 4));
    let mut rng = Rng::new(5);
    let architecture = Architecture::named("vgg").expect("it is in the list");
    let mut model = small(architecture, &mut rng);
    let rule = make("adam", &OptimConfig::default()).expect("a known rule");
    let options = SolverOptions { average: Some(0.6), ..options(2) };
    let mut states = States(Vec::new());
    let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
    let history = solver.train(&mut rng, &mut states).expect("a finite loss");
    let weights = |state: &SolverState| state.params[0].1.to_vec();
    let mut want = weights(&states.0[0]);
    for (i, state) in states.0.iter().enumerate() {
        let t = (i + 1) as f64;
        let d = f64::min(0.6, (1.0 + t) / (10.0 + t));
        if i > 0 {
            want.iter_mut().zip(weights(state)).for_each(|(a, w)| *a = d * *a + (1.0 - d) * w);
        }
        let got = state.averages[0].to_vec();
        assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-6), "step {t}");
    }
    let last = states.0.last().expect("six steps");
    assert!(last.averages[0].to_vec() != weights(last));
    // The checks are after the steps 1, 3 and 6; the first of the best is kept.
    let best = history.val_accuracy.iter().position(|a| *a == history.best_val_accuracy);
    let kept = &states.0[[0, 2, 5][best.expect("a check")]].averages;
    let left: Vec<Vec<f64>> = model.params().iter().map(|p| p.value.to_vec()).collect();
    assert!(left == kept.iter().map(Tensor::to_vec).collect::<Vec<_>>());
}

#[test]
fn a_group_has_its_own_rate_and_a_rate_of_nothing_changes_nothing() {
    let (train, val) = (pictures(24, 3), pictures(8, 4));
    let mut rng = Rng::new(5);
    let architecture = Architecture::named("course-fc").expect("it is in the list");
    let mut model = small(architecture, &mut rng);
    let before: Vec<Vec<f64>> = model.params().iter().map(|p| p.value.to_vec()).collect();
    let groups = Group::rates("fc1=0").expect("a list");
    let options = SolverOptions { groups, ..options(1) };
    let rule = make("sgd", &OptimConfig::default()).expect("a known rule");
    let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
    solver.step(0, 0.1, &mut rng).expect("a finite loss");
    let after: Vec<Vec<f64>> = model.params().iter().map(|p| p.value.to_vec()).collect();
    let same: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a == b).collect();
    assert_eq!(same, [true, true, false, false]);
}
