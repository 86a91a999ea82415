//! The generator that networks and solvers take.

use serde::{Deserialize, Serialize};

use super::{DropoutKey, Key, KeyedRng, NumpyRng, NumpyState, Purpose};
use crate::error::{Error, Result};

/// A source of randomness for networks and solvers: keyed streams, or NumPy's legacy sequence.
#[derive(Clone, Debug)]
pub enum Rng {
    /// NumPy's legacy sequence, shared by everything that draws.
    Numpy(NumpyRng),
    /// Keyed streams, one for each purpose.
    Keyed(Box<Streams>),
}

/// The keyed streams of one seed.
///
/// Initial weights come from one stream, in the order in which networks are constructed. The others belong to a step of the
/// training and begin anew with each call of [`Rng::at`].
#[derive(Clone, Debug)]
pub struct Streams {
    seed: u64,
    epoch: u64,
    step: u64,
    init: KeyedRng,
    sample: KeyedRng,
    noise: KeyedRng,
    dropout: Key,
    dropout_calls: u32,
}

/// Everything an [`Rng`] remembers, in a form that can be written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RngState {
    /// Of NumPy's legacy sequence.
    Numpy(NumpyState),
    /// Of keyed streams at the beginning of a step.
    Keyed {
        /// The seed.
        seed: u64,
        /// The epoch of the last [`Rng::at`].
        epoch: u64,
        /// The step of the last [`Rng::at`].
        step: u64,
        /// How many words the initial weights have used.
        init: u64,
    },
}

impl Streams {
    fn new(seed: u64) -> Self {
        let key = |purpose| KeyedRng::new(Key::new(seed, purpose));
        Self {
            seed,
            epoch: 0,
            step: 0,
            init: key(Purpose::Init),
            sample: key(Purpose::Sample),
            noise: key(Purpose::Noise),
            dropout: Key::new(seed, Purpose::Dropout),
            dropout_calls: 0,
        }
    }

    #[track_caller]
    fn at(&mut self, epoch: u64, step: u64) {
        let key = |purpose| Key::new(self.seed, purpose).epoch(epoch).sample(step);
        self.sample = KeyedRng::new(key(Purpose::Sample));
        self.noise = KeyedRng::new(key(Purpose::Noise));
        self.dropout = key(Purpose::Dropout);
        self.dropout_calls = 0;
        (self.epoch, self.step) = (epoch, step);
    }
}

impl Rng {
    /// NumPy's legacy sequence after `numpy.random.seed(seed)`.
    #[must_use]
    pub fn numpy(seed: u32) -> Self {
        Self::Numpy(NumpyRng::new(seed))
    }

    /// The keyed streams of `seed`, at epoch 0, step 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::Keyed(Box::new(Streams::new(seed)))
    }

    /// Moves keyed streams to the beginning of a step of the training; draws within a step follow one another, and steps know
    /// nothing of each other. Without effect on NumPy's sequence, and on the stream of initial weights.
    ///
    /// # Panics
    /// If `epoch` is 2^24 or more, or `step` (counted over the whole training) 2^40 or more.
    #[track_caller]
    pub fn at(&mut self, epoch: u64, step: u64) {
        if let Self::Keyed(streams) = self {
            streams.at(epoch, step);
        }
    }

    /// A normal with mean 0 and standard deviation `std`, from the stream of initial weights.
    pub fn normal(&mut self, std: f64) -> f64 {
        match self {
            Self::Numpy(rng) => rng.normal(0.0, std),
            Self::Keyed(streams) => std * streams.init.normal(),
        }
    }

    /// Fills `out` (row-major) with normals of standard deviation `scale`, from the stream of initial weights.
    pub fn fill_normal(&mut self, scale: f64, out: &mut [f64]) {
        match self {
            Self::Numpy(rng) => rng.fill_normal(0.0, scale, out),
            Self::Keyed(streams) => streams.init.fill_normal(scale, out),
        }
    }

    /// Fills `out` (row-major) with uniforms in [-bound, bound), from the stream of initial weights.
    pub fn fill_uniform(&mut self, bound: f64, out: &mut [f64]) {
        match self {
            Self::Numpy(rng) => rng.fill_rand(out),
            Self::Keyed(streams) => streams.init.fill_uniform(out),
        }
        out.iter_mut().for_each(|v| *v = bound * (2.0 * *v - 1.0));
    }

    /// Fills `out` (row-major) with uniforms in [0, 1) of the current step.
    pub fn rand_fill(&mut self, out: &mut [f64]) {
        match self {
            Self::Numpy(rng) => rng.fill_rand(out),
            Self::Keyed(streams) => streams.noise.fill_uniform(out),
        }
    }

    /// Replaces the contents of `out` by `size` indices in [0, `n`), drawn with replacement, of the current step.
    ///
    /// # Panics
    /// If `n` is 0 and `size` is not.
    #[track_caller]
    pub fn choice(&mut self, n: usize, size: usize, out: &mut Vec<usize>) {
        out.clear();
        match self {
            Self::Numpy(rng) => out.extend((0..size).map(|_| rng.below(n))),
            Self::Keyed(streams) => out.extend((0..size).map(|_| streams.sample.below(n))),
        }
    }

    /// Replaces the contents of `out` by the order in which an epoch visits `n` examples: 0 to `n` - 1, shuffled.
    ///
    /// With keyed streams the order belongs to (seed, epoch) alone: it is the same at each step of the epoch, so a training that
    /// resumes amid an epoch finds it again. NumPy's sequence gives a new permutation at each call.
    pub fn epoch_order(&mut self, n: usize, out: &mut Vec<usize>) {
        out.clear();
        out.extend(0..n);
        match self {
            Self::Numpy(rng) => rng.shuffle(out),
            Self::Keyed(streams) => {
                let key = Key::new(streams.seed, Purpose::Shuffle).epoch(streams.epoch);
                KeyedRng::new(key).shuffle(out);
            }
        }
    }

    /// The randomness of the next dropout layer of the current step: each call within a step gives a different key. NumPy's
    /// sequence has none; there the layer fills its mask with [`Rng::rand_fill`].
    pub fn dropout_key(&mut self) -> Option<DropoutKey> {
        match self {
            Self::Numpy(_) => None,
            Self::Keyed(streams) => {
                let key = streams.dropout.stream(streams.dropout_calls);
                streams.dropout_calls += 1;
                Some(DropoutKey::new(key))
            }
        }
    }

    /// Starts the randomness of dropout over from `seed`, for layers that carry a seed of their own and so drop the same units
    /// in each call. With NumPy's sequence this restarts the whole sequence, as it does in the course; with keyed streams it
    /// touches dropout alone, until the next [`Rng::at`].
    pub fn seed_dropout(&mut self, seed: u32) {
        match self {
            Self::Numpy(rng) => rng.seed(seed),
            Self::Keyed(streams) => {
                streams.dropout = Key::new(seed.into(), Purpose::Dropout);
                streams.dropout_calls = 0;
            }
        }
    }

    /// A copy of the state between two steps, for a checkpoint. Of keyed streams it does not tell how far the current step has
    /// come: whoever resumes calls [`Rng::at`] first.
    #[must_use]
    pub fn state(&self) -> RngState {
        match self {
            Self::Numpy(rng) => RngState::Numpy(rng.state()),
            Self::Keyed(s) => RngState::Keyed {
                seed: s.seed,
                epoch: s.epoch,
                step: s.step,
                init: s.init.position(),
            },
        }
    }

    /// The generator that [`Rng::state`] was taken from.
    ///
    /// # Errors
    /// [`crate::Error::Value`] if the state is not one that a generator can have: it came from a damaged file.
    pub fn from_state(state: RngState) -> Result<Self> {
        match state {
            RngState::Numpy(state) => NumpyRng::from_state(state).map(Self::Numpy),
            RngState::Keyed { seed, epoch, step, init } => {
                let mut streams = Streams::new(seed);
                for (what, value, bits) in
                    [("epoch", epoch, 24), ("step", step, 40), ("init", init, 34)]
                {
                    if value >> bits != 0 {
                        let found = format!("{what} {value}");
                        let want = format!("it must be below 2^{bits}");
                        return Err(Error::value("random generator state", found, want));
                    }
                }
                streams.at(epoch, step);
                streams.init.set_position(init);
                Ok(Self::Keyed(Box::new(streams)))
            }
        }
    }
}
