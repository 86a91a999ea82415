//! Batches for a loop of one's own: `for (x, y) in loader.epoch(e)`.
//!
//! ```
//! use chainrule::data::{Augment, Augmented, DataLoader, Normalization, embedded};
//!
//! let splits = embedded()?;
//! let normalization = Normalization::of("channels", &splits.train)?;
//! let train = Augmented::new(splits.train, normalization, Augment::named("flip,crop")?, 0);
//! let loader = DataLoader::new(train, 64).shuffled(0).range(0..1000).prefetch(2);
//! for (x, y) in loader.epoch(0).take(3) {
//!     assert_eq!((x.shape()[..].to_vec(), y.len()), (vec![64, 3, 32, 32], 64));
//!     // tape.constant(x).apply(&net).cross_entropy(&y)
//! }
//! # Ok::<(), chainrule::Error>(())
//! ```
//! Which examples are in batch k of epoch e, and how they are changed, is a pure function of (seed, e, k). So threads that make
//! batches ahead cannot matter, however many they are and however fast; and `loader.epoch(e).skip(k)` goes on amid an epoch
//! without making what it skips. With the same seed, batch size and examples a [`crate::train::Solver`] sees the same batches: it
//! makes them by the same two functions, [`nth_batch`] and [`training_step`].

use crate::rng::Rng;
use crate::tensor::{DType, Order, Tensor};
use crate::train::{Examples, Labels, nth_batch, training_step};
use chainrule_kernels::threads::stay_alone;
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Makes batches of examples, epoch after epoch.
#[derive(Clone)]
pub struct DataLoader {
    examples: Arc<dyn Examples + Send>,
    /// The examples that are visited, in this order if it is not shuffled.
    subset: Arc<[usize]>,
    batch: usize,
    seed: Option<u64>,
    drop_last: bool,
    dtype: DType,
    order: Order,
    workers: usize,
}

/// Batches that are made ahead, for each thread that makes them.
const AHEAD: usize = 2;

impl DataLoader {
    /// Batches of `batch` examples of `f32`, pictures row-major, all examples in their order, the last batch perhaps smaller.
    ///
    /// # Panics
    /// If the size of a batch is 0.
    #[track_caller]
    pub fn new(examples: impl Examples + Send + 'static, batch: usize) -> DataLoader {
        assert!(batch > 0, "a batch needs at least one example");
        let subset = (0..examples.len()).collect();
        DataLoader {
            examples: Arc::new(examples),
            subset,
            batch,
            seed: None,
            drop_last: false,
            dtype: DType::F32,
            order: Order::RowMajor,
            workers: 0,
        }
    }

    /// A new order in each epoch, keyed by (seed, epoch).
    pub fn shuffled(self, seed: u64) -> DataLoader {
        DataLoader { seed: Some(seed), ..self }
    }

    /// Only these examples: `torch.utils.data.SubsetRandomSampler` with [`DataLoader::shuffled`]. One may be named twice.
    ///
    /// # Panics
    /// If there is no such example.
    #[track_caller]
    pub fn subset(self, examples: impl IntoIterator<Item = usize>) -> DataLoader {
        let (subset, n): (Vec<usize>, _) = (examples.into_iter().collect(), self.examples.len());
        if let Some(i) = subset.iter().find(|i| **i >= n) {
            panic!("loader: example {i} of {n}");
        }
        DataLoader { subset: subset.into(), ..self }
    }

    /// Only the examples of a range.
    ///
    /// # Panics
    /// If it leaves the examples.
    #[track_caller]
    pub fn range(self, examples: Range<usize>) -> DataLoader {
        self.subset(examples)
    }

    /// Leaves the last batch out if it is smaller than the others.
    pub fn drop_last(self) -> DataLoader {
        DataLoader { drop_last: true, ..self }
    }

    /// Batches of this type, pictures in this memory order: convolutions want [`Order::ChannelsLast`].
    pub fn of(self, dtype: DType, order: Order) -> DataLoader {
        DataLoader { dtype, order, ..self }
    }

    /// So many threads make batches while others are used, two ahead each. Without, a batch is made when it is asked for, by the
    /// threads that compute.
    pub fn prefetch(self, threads: usize) -> DataLoader {
        DataLoader { workers: threads, ..self }
    }

    /// How many examples an epoch visits, a last batch that is left out included.
    pub fn examples(&self) -> usize {
        self.subset.len()
    }

    /// Batches an epoch.
    pub fn batches(&self) -> usize {
        match self.drop_last {
            true => self.subset.len() / self.batch,
            false => self.subset.len().div_ceil(self.batch),
        }
    }

    /// The batches of an epoch. `skip(k)` costs nothing.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let mut order = Vec::new();
        match self.seed {
            Some(seed) => {
                let mut rng = Rng::new(seed);
                rng.at(epoch, 0);
                rng.epoch_order(self.subset.len(), &mut order);
                order.iter_mut().for_each(|i| *i = self.subset[*i]);
            }
            None => order.extend_from_slice(&self.subset),
        }
        let recipe = Recipe { loader: self.clone(), epoch, order };
        Epoch { recipe: Arc::new(recipe), next: 0, ahead: None }
    }
}

/// All that a batch of an epoch depends on.
struct Recipe {
    loader: DataLoader,
    epoch: u64,
    order: Vec<usize>,
}

impl Recipe {
    fn make(&self, k: usize) -> (Tensor, Labels) {
        let DataLoader { examples, batch, dtype, order, .. } = &self.loader;
        let mut labels = Labels::default();
        let indices = nth_batch(&self.order, *batch, k);
        let x = training_step(&**examples, indices, self.epoch, (*dtype, *order), &mut labels);
        (x, labels)
    }
}

/// The batches of an epoch, one after the other: x (n, ...) and what it is to be taken for.
pub struct Epoch {
    recipe: Arc<Recipe>,
    next: usize,
    /// The threads that work ahead, from the first batch on that is asked for.
    ahead: Option<Ahead>,
}

impl Iterator for Epoch {
    type Item = (Tensor, Labels);

    fn next(&mut self) -> Option<(Tensor, Labels)> {
        let (k, loader) = (self.next, &self.recipe.loader);
        if k >= loader.batches() {
            return None;
        }
        self.next += 1;
        if loader.workers == 0 {
            return Some(self.recipe.make(k));
        }
        let ahead = self.ahead.get_or_insert_with(|| Ahead::from(k, &self.recipe));
        Some(ahead.take(k))
    }

    fn nth(&mut self, n: usize) -> Option<(Tensor, Labels)> {
        match &self.ahead {
            Some(_) => (0..n).try_for_each(|_| self.next().map(drop))?,
            None => self.next = self.next.saturating_add(n),
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.recipe.loader.batches().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Epoch {}

type Made = thread::Result<(Tensor, Labels)>;

/// A queue of batches that were made ahead. Batch k waits at place k mod its length, so there is room for as many batches as it
/// has places, and a batch is handed out in its turn whoever was ready first.
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The next batch that nobody makes yet, and the next that nobody took yet.
    next: usize,
    taken: usize,
    made: Vec<Option<Made>>,
    stopped: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `f` has an answer.
    fn wait<R>(&self, mut f: impl FnMut(&mut State) -> Option<R>) -> R {
        let mut state = self.lock();
        loop {
            if let Some(answer) = f(&mut state) {
                self.changed.notify_all();
                return answer;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A thread's life: claim a batch while there is room, make it, put it into its place.
    fn work(&self, recipe: &Recipe) {
        stay_alone();
        let batches = recipe.loader.batches();
        loop {
            let claimed = self.wait(|state| {
                let room = state.next < state.taken + state.made.len();
                match (state.stopped || state.next >= batches, room) {
                    (true, _) => Some(None),
                    (false, false) => None,
                    (false, true) => {
                        state.next += 1;
                        Some(Some(state.next - 1))
                    }
                }
            });
            let Some(k) = claimed else { return };
            let made = catch_unwind(AssertUnwindSafe(|| recipe.make(k)));
            let mut state = self.lock();
            let place = k % state.made.len();
            state.made[place] = Some(made);
            self.changed.notify_all();
        }
    }
}

/// The threads of an epoch, which end with it.
struct Ahead {
    queue: Arc<Queue>,
    recipe: Arc<Recipe>,
    workers: Vec<JoinHandle<()>>,
}

impl Ahead {
    fn from(first: usize, recipe: &Arc<Recipe>) -> Ahead {
        let workers = recipe.loader.workers;
        let made = (0..workers * AHEAD).map(|_| None).collect();
        let state = State { next: first, taken: first, made, stopped: false };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        let start = |number: usize| {
            let (queue, recipe) = (queue.clone(), recipe.clone());
            let name = format!("chainrule-loader-{}", number + 1);
            // A system that has no thread to spare lends fewer.
            thread::Builder::new().name(name).spawn(move || queue.work(&recipe)).ok()
        };
        let workers = (0..workers).filter_map(start).collect();
        Ahead { queue, recipe: recipe.clone(), workers }
    }

    /// Batch `k`, in turn.
    fn take(&self, k: usize) -> (Tensor, Labels) {
        if self.workers.is_empty() {
            return self.recipe.make(k);
        }
        let made: Result<_, Box<dyn Any + Send>> = self.queue.wait(|state| {
            let place = k % state.made.len();
            let made = state.made[place].take()?;
            state.taken = k + 1;
            Some(made)
        });
        // Whoever asks for a batch that cannot be made gets the panic, as without threads.
        made.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.queue.lock().stopped = true;
        self.queue.changed.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}
