//! A training that stops after any step and goes on from its checkpoint ends with the bits of the one that did not stop.

use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Model, Norm};
use chainrule::optim::{OptimConfig, Schedule, ScheduleConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::checkpoint::{Cadence, Checkpoint, Checkpoints, load};
use chainrule::train::{
    Arrays, CheckEvent, Flow, Moment, Observer, RateRange, Sampling, Solver, SolverOptions,
    SolverState, StepEvent,
};
use chainrule::{Error, Result};
use std::io::Cursor;

/// A kind of training.
#[derive(Clone)]
struct Kind {
    numpy: bool,
    sampling: Sampling,
    rule: &'static str,
    norm: Norm,
    dtype: DType,
    patience: Option<usize>,
}

const STEPS: usize = 15;

impl Kind {
    fn rng(&self) -> Rng {
        if self.numpy { Rng::numpy(5) } else { Rng::new(5) }
    }

    fn net(&self, rng: &mut Rng) -> FullyConnectedNet {
        let config = FullyConnectedConfig {
            input_shape: vec![6],
            hidden: vec![7, 5],
            classes: 3,
            norm: self.norm,
            dropout_keep: 0.7,
            reg: 0.01,
            dtype: self.dtype,
            ..FullyConnectedConfig::default()
        };
        FullyConnectedNet::new(config, rng)
    }

    fn options(&self) -> SolverOptions {
        let schedule = Schedule::by_name("cosine", &ScheduleConfig::default());
        SolverOptions {
            batch_size: 8,
            epochs: 3,
            learning_rate: 0.02,
            schedule: schedule.expect("a known schedule"),
            // Fewer than there are, so that the checks draw numbers too.
            train_samples: 20,
            val_samples: Some(15),
            sampling: self.sampling,
            patience: self.patience,
            clip_norm: Some(0.5),
            ..SolverOptions::default()
        }
    }

    /// A training from the start, or from a state.
    fn run(&self, from: Option<SolverState>, watch: &mut Record) -> Vec<u8> {
        let mut rng = self.rng();
        let mut net = self.net(&mut rng);
        if from.is_some() {
            // What is restored must not depend on what was there: another network, other random numbers.
            rng = if self.numpy { Rng::numpy(77) } else { Rng::new(77) };
            net = self.net(&mut rng);
        }
        let rule = make(self.rule, &OptimConfig::default()).expect("a known rule");
        let (train, val) = (data(43, 1), data(30, 2));
        let mut solver = Solver::new(&mut net, rule, &train, &val, self.options());
        if let Some(state) = from {
            solver.restore(state, &mut rng).expect("a state of this training");
            solver.replay(watch).expect("a willing observer");
        }
        solver.train(&mut rng, watch).expect("a finite loss");
        // The weights that are returned, then the random numbers that would come next.
        let mut next = [0.0; 4];
        rng.rand_fill(&mut next);
        let params = net.params().iter().map(|p| p.value.clone());
        let all = params.chain(net.buffers().into_iter().map(|(_, t)| t));
        let numbers = all.flat_map(|t| t.to_vec()).chain(next);
        numbers.flat_map(f64::to_le_bytes).collect()
    }
}

/// Three clouds of points.
fn data(n: usize, seed: u64) -> Arrays {
    let mut x = Tensor::randn([n, 6], 1.0, DType::F32, &mut Rng::new(seed));
    let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
    let rows = x.data_mut::<f32>().chunks_exact_mut(6).zip(&labels);
    rows.for_each(|(row, label)| row[*label] += 0.8);
    Arrays::new(x, labels)
}

/// Everything an observer is told, and the state after the step at which it stops.
#[derive(Default)]
struct Record {
    stop_at: usize,
    steps: Vec<StepEvent>,
    checks: Vec<CheckEvent>,
    last: Vec<u8>,
}

impl Observer for Record {
    fn step(&mut self, event: &StepEvent) -> Result<()> {
        self.steps.push(*event);
        Ok(())
    }

    fn check(&mut self, event: &CheckEvent) -> Result<()> {
        self.checks.push(*event);
        Ok(())
    }

    fn moment(&mut self, moment: &Moment<'_>) -> Result<Flow> {
        if moment.step == self.stop_at || moment.is_last {
            self.last = bytes(moment.state());
            return Ok(Flow::Stop);
        }
        Ok(Flow::Go)
    }
}

fn bytes(state: SolverState) -> Vec<u8> {
    let mut bytes = Vec::new();
    let checkpoint = Checkpoint { state, config: String::new() };
    checkpoint.write(&mut bytes).expect("memory has room");
    bytes
}

fn state(bytes: &[u8]) -> SolverState {
    Checkpoint::read(&mut Cursor::new(bytes)).expect("a whole checkpoint").state
}

#[test]
fn a_training_resumed_from_any_step_ends_with_the_same_bits() {
    let (shuffled, drawn) = (Sampling::Shuffled, Sampling::WithReplacement);
    let kind = |numpy, sampling, rule, norm, dtype, patience| Kind {
        numpy,
        sampling,
        rule,
        norm,
        dtype,
        patience,
    };
    for kind in [
        kind(false, shuffled, "adam", Norm::Batch, DType::F32, None),
        kind(true, shuffled, "adamw", Norm::Batch, DType::F32, None),
        kind(true, drawn, "momentum", Norm::Layer, DType::F64, None),
        kind(false, drawn, "rmsprop", Norm::None, DType::F32, Some(2)),
        kind(false, shuffled, "adagrad", Norm::Layer, DType::F64, Some(1)),
        kind(false, shuffled, "sgd", Norm::Batch, DType::F32, None),
    ] {
        let mut whole = Record::default();
        let weights = kind.run(None, &mut whole);
        let steps = whole.steps.len();
        assert!(kind.patience.is_some() || steps == STEPS, "{steps} steps");
        for stop_at in 1..=steps {
            let mut first = Record { stop_at, ..Record::default() };
            kind.run(None, &mut first);
            let mut second = Record::default();
            let resumed = kind.run(Some(state(&first.last)), &mut second);
            let name = format!("{} {:?} stopped after {stop_at}", kind.rule, kind.sampling);
            assert!(resumed == weights, "{name}: other weights or random numbers");
            assert!(second.last == whole.last || stop_at == steps, "{name}: another last state");
            assert_eq!(second.steps, whole.steps, "{name}");
            assert_eq!(second.checks, whole.checks, "{name}");
        }
    }
}

#[test]
fn checkpoints_beside_the_training_change_nothing_and_go_on_from_disk() {
    let kind = Kind {
        numpy: false,
        sampling: Sampling::Shuffled,
        rule: "adam",
        norm: Norm::Batch,
        dtype: DType::F32,
        patience: None,
    };
    let mut whole = Record::default();
    let weights = kind.run(None, &mut whole);
    let dir = tempfile::tempdir().expect("a directory");
    let mut runs = 0;
    // Each run stops four steps after the one before, until the last comes to the end.
    loop {
        let found = load(dir.path()).expect("readable checkpoints");
        let mut rng = kind.rng();
        let mut net = kind.net(&mut rng);
        let rule = make(kind.rule, &OptimConfig::default()).expect("a known rule");
        let (train, val) = (data(43, 1), data(30, 2));
        let mut solver = Solver::new(&mut net, rule, &train, &val, kind.options());
        if let Some(found) = found {
            assert_eq!((found.warning, &found.checkpoint.config[..]), (None, "some = \"text\""));
            solver.restore(found.checkpoint.state, &mut rng).expect("a state of this training");
        }
        let done = solver.steps_done();
        let mut checkpoints = Checkpoints::new(dir.path(), Cadence::Steps(2), "some = \"text\"");
        let mut stop = Record { stop_at: done + 4, ..Record::default() };
        solver
            .train(&mut rng, &mut [&mut checkpoints as &mut dyn Observer, &mut stop])
            .expect("finite");
        assert!(checkpoints.problem().is_none());
        checkpoints.finish().expect("room for a small file");
        runs += 1;
        if stop.last == whole.last {
            break;
        }
        assert!(runs < 20, "the runs come to an end");
    }
    assert!(runs >= STEPS / 4, "{runs} runs");
    let last = load(dir.path()).expect("readable").expect("the last one").checkpoint;
    assert!(bytes(last.state) == whole.last && !weights.is_empty());
}

#[test]
fn a_state_of_another_training_is_refused_by_name_and_changes_nothing() {
    let kind = Kind {
        numpy: false,
        sampling: Sampling::Shuffled,
        rule: "adam",
        norm: Norm::Batch,
        dtype: DType::F32,
        patience: None,
    };
    let mut first = Record { stop_at: 6, ..Record::default() };
    kind.run(None, &mut first);
    let good = || state(&first.last);
    let changed = |change: &dyn Fn(&mut SolverState)| {
        let mut state = good();
        change(&mut state);
        state
    };
    let rows: [(SolverState, &[&str]); 12] = [
        (changed(&|s| s.model = "conv".into()), &["model", "conv", "fully-connected"]),
        (changed(&|s| s.rule.0 = "sgd".into()), &["update rule", "sgd", "adam"]),
        (changed(&|s| s.rule.1 = s.rule.1.replace("0.999", "0.99")), &["update rule", "0.999"]),
        (changed(&|s| s.options[2].1 = "0.5".into()), &["learning_rate", "0.5", "0.02"]),
        (changed(&|s| s.examples[0] = 9), &["examples", "[9, 30]", "[43, 30]"]),
        (changed(&|s| s.params[0].0 = "W9".into()), &["parameter", "W9", "W1"]),
        (changed(&|s| s.params[0].1 = Tensor::zeros([6, 8], DType::F32)), &["[6, 8]", "[6, 7]"]),
        (changed(&|s| s.buffers.truncate(1)), &["number of buffers"]),
        (changed(&|s| s.losses.truncate(3)), &["accuracies"]),
        (changed(&|s| s.order = vec![0; 43]), &["order of the epoch"]),
        (changed(&|s| s.optim.slots[1][0].0 = "w".into()), &["optimizer state", "parameter 1"]),
        (changed(&|s| s.waited = 99), &["epochs waited"]),
    ];
    for (state, wanted) in rows {
        let mut rng = kind.rng();
        let mut net = kind.net(&mut rng);
        let rule = make(kind.rule, &OptimConfig::default()).expect("a known rule");
        let (train, val) = (data(43, 1), data(30, 2));
        let mut solver = Solver::new(&mut net, rule, &train, &val, kind.options());
        let before = bytes(solver.state(&rng));
        let error = solver.restore(state, &mut rng).expect_err("another training");
        assert!(matches!(error, Error::Value { .. }));
        let text = error.to_string();
        wanted.iter().for_each(|part| assert!(text.contains(part), "{text:?}: {part:?}"));
        assert!(bytes(solver.state(&rng)) == before, "{text}: something has changed");
        solver.restore(good(), &mut rng).expect("the right one still fits");
    }
}

#[test]
fn a_range_test_leaves_no_trace() {
    for numpy in [false, true] {
        let kind = Kind {
            numpy,
            sampling: Sampling::Shuffled,
            rule: "adam",
            norm: Norm::Batch,
            dtype: DType::F32,
            patience: None,
        };
        let mut whole = Record::default();
        kind.run(None, &mut whole);
        let mut rng = kind.rng();
        let mut net = kind.net(&mut rng);
        let rule = make(kind.rule, &OptimConfig::default()).expect("a known rule");
        let (train, val) = (data(43, 1), data(30, 2));
        let mut solver = Solver::new(&mut net, rule, &train, &val, kind.options());
        let range = RateRange { from: 1e-5, to: 1e3, steps: 60 };
        let curve = solver.find_rate(range, &mut rng).expect("a sound range");
        assert!(curve.losses.len() > 20 && curve.suggestion.is_some(), "{curve:?}");
        assert_eq!((curve.losses[0].0, curve.losses.len()), (1e-5, curve.smoothed.len()));
        // Amid a training too.
        let mut half = Record { stop_at: 7, ..Record::default() };
        solver.train(&mut rng, &mut half).expect("a finite loss");
        solver.restore(state(&half.last), &mut rng).expect("its own state");
        assert!(solver.find_rate(range, &mut rng).expect("a sound range") != curve);
        let mut rest = Record::default();
        solver.train(&mut rng, &mut rest).expect("a finite loss");
        assert!(rest.last == whole.last, "another end after a range test");
        for range in [
            RateRange { from: 0.0, ..range },
            RateRange { to: 1e-6, ..range },
            RateRange { steps: 3, ..range },
        ] {
            assert!(solver.find_rate(range, &mut rng).is_err(), "{range:?}");
        }
    }
}

/// An observer that only counts.
#[derive(Default)]
struct Count(usize, Vec<bool>);

impl Observer for Count {
    fn step(&mut self, _: &StepEvent) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn check(&mut self, event: &CheckEvent) -> Result<()> {
        self.1.push(event.best);
        Ok(())
    }
}

#[test]
fn early_stopping_waits_as_long_as_it_should_and_returns_the_best() {
    let kind = Kind {
        numpy: false,
        sampling: Sampling::Shuffled,
        rule: "adam",
        norm: Norm::None,
        dtype: DType::F32,
        patience: Some(3),
    };
    let mut rng = kind.rng();
    let mut net = kind.net(&mut rng);
    let (train, val) = (data(43, 1), data(30, 2));
    let rule = make(kind.rule, &OptimConfig::default()).expect("a known rule");
    let options = SolverOptions { epochs: 60, val_samples: None, ..kind.options() };
    let mut solver = Solver::new(&mut net, rule, &train, &val, options);
    let mut count = Count::default();
    let history = solver.train(&mut rng, &mut count).expect("a finite loss");
    assert!(solver.is_out_of_patience() && solver.is_done(), "60 epochs are too many here");
    let best = count.1.iter().rposition(|best| *best).expect("the first is better than none");
    assert_eq!(count.1.len() - 1 - best, 3, "epochs after the best: {:?}", count.1);
    assert_eq!(count.0, history.loss.len());
    let all: Vec<usize> = (0..30).collect();
    let accuracy = chainrule::train::accuracy(&net, &val, &all);
    assert_eq!(accuracy, history.best_val_accuracy);
}
