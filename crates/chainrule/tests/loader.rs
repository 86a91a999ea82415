//! The loader: the same batches whoever makes them, in the order of (seed, epoch), from any place in an epoch on; and a loop of
//! one's own over it is the solver's training.

use chainrule::data::{Augment, Augmented, DataLoader, Normalization, Pictures, embedded};
use chainrule::models::{Architecture, Loss, Model, ModelConfig, Task};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor, float};
use chainrule::train::{
    Examples, Flow, Labels, Moment, Observer, Quiet, Solver, SolverOptions, SolverState,
};
use chainrule_kernels::Real;
use chainrule_kernels::threads::set_threads;
use std::time::Duration;

const ALL: &str = "flip,crop,cutout,erase,jitter,mixup,cutmix";

fn pictures(n: usize, augment: &str) -> Augmented {
    let splits = embedded().expect("the embedded pictures");
    let train = splits.train.slice(0..n);
    let normalization = Normalization::of("cifar10", &train).expect("a known normalization");
    Augmented::new(train, normalization, Augment::named(augment).expect("known changes"), 3)
}

fn bits(t: &Tensor) -> Vec<u64> {
    float!(t.dtype(), T => t.data::<T>().iter().map(|v| v.to_f64().to_bits()).collect())
}

/// Everything in these batches.
fn contents(batches: impl Iterator<Item = (Tensor, Labels)>) -> Vec<(Vec<u64>, Vec<u64>)> {
    let labels = |labels: &Labels| match labels {
        Labels::Classes(labels) => labels.iter().map(|l| *l as u64).collect(),
        Labels::Shares(shares) => bits(shares),
    };
    batches.map(|(x, y)| (bits(&x), labels(&y))).collect()
}

/// Examples that take their time, some longer than others.
struct Slow(Augmented);

impl Examples for Slow {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn label(&self, i: usize) -> usize {
        self.0.label(i)
    }
    fn batch(&self, indices: &[usize], dtype: DType, order: Order) -> Tensor {
        self.0.batch(indices, dtype, order)
    }
    fn training_batch(&self, indices: &[usize], epoch: u64, dtype: DType, order: Order) -> Tensor {
        std::thread::sleep(Duration::from_millis(indices[0] as u64 % 4 * 3));
        self.0.training_batch(indices, epoch, dtype, order)
    }
    fn training_shares(&self, indices: &[usize], epoch: u64, dtype: DType) -> Option<Tensor> {
        self.0.training_shares(indices, epoch, dtype)
    }
}

#[test]
fn neither_the_number_of_threads_nor_their_speed_matters() {
    for augment in [ALL, "none"] {
        let plain = DataLoader::new(pictures(150, augment), 16).shuffled(9);
        set_threads(1);
        let want = contents(plain.epoch(4));
        assert_eq!(want.len(), 10);
        for threads in [1, 2, 3, 8] {
            set_threads(threads);
            assert!(contents(plain.epoch(4)) == want, "{threads} threads compute");
            let ahead = plain.clone().prefetch(threads);
            assert!(contents(ahead.epoch(4)) == want, "{threads} threads make batches");
            let slow = DataLoader::new(Slow(pictures(150, augment)), 16).shuffled(9);
            assert!(contents(slow.prefetch(threads).epoch(4)) == want, "{threads} slow threads");
        }
        assert!(contents(plain.epoch(5)) != want, "another epoch");
    }
}

#[test]
fn an_epoch_goes_on_from_any_batch() {
    let loader = DataLoader::new(pictures(100, ALL), 16).shuffled(2);
    let want = contents(loader.epoch(1));
    for workers in [0, 2] {
        let loader = loader.clone().prefetch(workers);
        for k in [0, 1, 3, 6, 7, 99] {
            assert!(contents(loader.epoch(1).skip(k)) == want[k.min(7)..], "{workers} from {k}");
        }
        let mut begun = loader.epoch(1);
        begun.next();
        assert!(contents(begun.skip(2)) == want[3..], "{workers}");
        // An epoch that is left early takes its threads with it.
        assert!(contents(loader.epoch(1).take(2)) == want[..2]);
    }
}

/// The numbers of the examples, read from labels that are all different.
fn visited(loader: &DataLoader, epoch: u64) -> Vec<usize> {
    let numbers = |(_, labels): (Tensor, Labels)| match labels {
        Labels::Classes(labels) => labels,
        Labels::Shares(_) => panic!("nothing is mixed"),
    };
    loader.epoch(epoch).flat_map(numbers).collect()
}

#[test]
fn subsets_orders_and_last_batches() {
    let numbered = |batch| {
        let x = Tensor::zeros([10, 2], DType::F64);
        DataLoader::new(chainrule::train::Arrays::new(x, (0..10).collect()), batch)
    };
    assert_eq!(visited(&numbered(4), 0), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(visited(&numbered(4).drop_last(), 0).len(), 8);
    let sizes =
        |loader: &DataLoader| loader.epoch(0).map(|(x, _)| x.shape()[0]).collect::<Vec<_>>();
    assert_eq!((sizes(&numbered(4)), numbered(4).batches()), (vec![4, 4, 2], 3));
    assert_eq!((sizes(&numbered(4).drop_last()), numbered(4).epoch(0).len()), (vec![4, 4], 3));
    assert_eq!(sizes(&numbered(20)), [10]);
    assert_eq!(sizes(&numbered(20).drop_last()), [0; 0]);
    assert_eq!(visited(&numbered(3).range(4..7), 0), [4, 5, 6]);
    assert_eq!(visited(&numbered(3).subset([7, 1, 7, 3]), 0), [7, 1, 7, 3]);
    let sampled = numbered(3).subset([7, 1, 9, 3, 0]).shuffled(1);
    let orders: Vec<Vec<usize>> = (0..20).map(|epoch| visited(&sampled, epoch)).collect();
    assert!(orders.iter().all(|order| {
        let mut sorted = order.clone();
        sorted.sort();
        sorted == [0, 1, 3, 7, 9]
    }));
    let different: std::collections::BTreeSet<_> = orders.iter().collect();
    assert!(different.len() > 12, "{} orders in 20 epochs", different.len());
    // Type and memory order are those that were asked for.
    let loader = DataLoader::new(pictures(5, "none"), 5).of(DType::F64, Order::ChannelsLast);
    let (x, _) = loader.epoch(0).next().expect("a batch");
    assert_eq!((x.dtype(), x.order()), (DType::F64, Order::ChannelsLast));
}

#[test]
#[should_panic(expected = "loader: example 5 of 5")]
fn a_subset_is_of_the_examples() {
    let _ = DataLoader::new(pictures(5, "none"), 2).subset([0, 5]);
}

#[test]
#[should_panic(expected = "label 9 of row 0 is not below 3")]
fn a_panic_of_a_thread_is_the_panic_of_the_loop() {
    struct Broken(Augmented);
    impl Examples for Broken {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn shape(&self) -> &[usize] {
            self.0.shape()
        }
        fn label(&self, _: usize) -> usize {
            panic!("label 9 of row 0 is not below 3")
        }
        fn batch(&self, indices: &[usize], dtype: DType, order: Order) -> Tensor {
            self.0.batch(indices, dtype, order)
        }
    }
    DataLoader::new(Broken(pictures(5, "none")), 2).prefetch(2).epoch(0).for_each(drop);
}

fn small(rng: &mut Rng) -> Box<dyn Model> {
    let task = Task {
        input_shape: vec![3, 32, 32],
        classes: 10,
        loss: Loss::default(),
        reg: 0.0,
        dtype: DType::F32,
    };
    let config = ModelConfig { hidden: Some(vec![20]), ..ModelConfig::NONE };
    let architecture = Architecture::named("fully-connected").expect("a known model");
    architecture.make(&task, &config, rng).expect("a model of pictures")
}

#[test]
fn a_loop_of_ones_own_is_the_training_of_the_solver() {
    let rule = || make("sgd", &OptimConfig::default()).expect("a known rule");
    for augment in [ALL, "flip"] {
        let (train, val) = (pictures(70, augment), pictures(10, "none"));
        let mut rng = Rng::new(5);
        let mut model = small(&mut rng);
        let options = SolverOptions {
            batch_size: 16,
            epochs: 2,
            learning_rate: 0.01,
            ..SolverOptions::default()
        };
        let solved =
            Solver::new(&mut *model, rule(), &train, &val, options).train(&mut rng, &mut Quiet);
        let solved = solved.expect("a finite loss").loss;

        let mut rng = Rng::new(5);
        let (mut model, mut rule) = (small(&mut rng), rule());
        let loader = DataLoader::new(train, 16).shuffled(5).drop_last().prefetch(2);
        let (mut losses, mut grads) = (Vec::new(), Vec::new());
        for epoch in 0..2 {
            for (x, y) in loader.epoch(epoch) {
                rng.at(epoch, losses.len() as u64);
                losses.push(model.loss_of(&x, (&y).into(), &mut rng, &mut grads));
                rule.begin_step();
                for (slot, (p, dp)) in model.params_mut().iter_mut().zip(&grads).enumerate() {
                    rule.update(slot, &mut p.value, dp, 0.01, p.decay);
                }
            }
        }
        assert_eq!(losses, solved, "{augment}");
    }
}

/// Stops after a step and keeps the state.
struct StopAfter(usize, Option<SolverState>);

impl Observer for StopAfter {
    fn moment(&mut self, moment: &Moment<'_>) -> chainrule::Result<Flow> {
        if moment.step < self.0 {
            return Ok(Flow::Go);
        }
        self.1 = Some(moment.state());
        Ok(Flow::Stop)
    }
}

#[test]
fn a_training_on_mixed_pictures_goes_on_amid_an_epoch() {
    let (train, val) = (pictures(70, ALL), pictures(10, "none"));
    let train_from = |state: Option<SolverState>, observer: &mut dyn Observer| {
        let mut rng = Rng::new(5);
        let mut model = small(&mut rng);
        let rule = make("adam", &OptimConfig::default()).expect("a known rule");
        let options = SolverOptions {
            batch_size: 16,
            epochs: 2,
            learning_rate: 1e-3,
            ..SolverOptions::default()
        };
        let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
        if let Some(state) = state {
            solver.restore(state, &mut rng).expect("the same training");
        }
        solver.train(&mut rng, observer).expect("a finite loss").loss
    };
    let whole = train_from(None, &mut Quiet);
    for step in [1, 3, 6] {
        let mut stop = StopAfter(step, None);
        assert_eq!(train_from(None, &mut stop), whole[..step]);
        assert_eq!(train_from(stop.1, &mut Quiet), whole, "from step {step}");
    }
}

#[test]
fn constants_are_the_ones_that_were_given() {
    let splits = embedded().expect("the embedded pictures");
    let data = splits.val.slice(0..2);
    let shape = data.shape();
    let number = |name: &str| {
        let x = Pictures::new(data.clone(), Normalization::of(name, &data).expect("known"));
        x.batch(&[1], DType::F64, Order::RowMajor).at(&[0, 2, 5, 7])
    };
    let byte = f64::from(data.picture(1)[2 * 1024 + 5 * 32 + 7]);
    assert_eq!(number("to-tensor"), byte / 255.0);
    assert_eq!(number("cifar10"), (byte / 255.0 - 0.4465) / 0.2010);
    for (mean, std) in
        [(&[0.5][..], &[0.5][..]), (&[0.5; 3], &[0.5, 0.0, 0.5]), (&[f64::NAN; 3], &[1.0; 3])]
    {
        assert!(Normalization::constants(mean, std, shape).is_err(), "{mean:?} {std:?}");
    }
}
