//! Random numbers as a pure function of what they are for.

use super::philox::philox4x32;

/// What a stream of random numbers is for, so that streams of the same seed do not repeat one another.
///
/// The numbers are part of what a seed means: they stay as they are, and new purposes get new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Initial weights.
    Init = 0,
    /// Which rows make a batch, or a sample for an accuracy check.
    Sample = 1,
    /// The order of a data set in an epoch.
    Shuffle = 2,
    /// Random crops, flips and the like of one picture.
    Augment = 3,
    /// Which units a dropout layer keeps.
    Dropout = 4,
    /// Uniform noise of any other kind.
    Noise = 5,
    /// Directions and points of a gradient check.
    Check = 6,
    /// The values that a search over settings tries.
    Search = 7,
}

/// Names one stream of random numbers: seed, purpose, epoch, sample, and a number for streams beside one another.
///
/// Every key has its own blocks of Philox: the seed is Philox's key, the rest and the number of the block fill its 128-bit
/// counter without overlap, so two different keys of one seed never share a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) seed: u64,
    pub(super) purpose: Purpose,
    pub(super) epoch: u32,
    pub(super) sample: u64,
    pub(super) stream: u32,
}

impl Key {
    /// The stream of `seed` for `purpose`, at epoch 0, sample 0.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self { seed, purpose, epoch: 0, sample: 0, stream: 0 }
    }

    /// The same for another epoch.
    ///
    /// # Panics
    /// If `epoch` is 2^24 or more.
    #[track_caller]
    #[must_use]
    pub fn epoch(self, epoch: u64) -> Self {
        assert!(epoch < 1 << 24, "random key: epoch {epoch} is beyond 2^24 - 1");
        Self { epoch: epoch as u32, ..self }
    }

    /// The same for another sample: the index of a picture in its data set, or of a step in the training.
    ///
    /// # Panics
    /// If `sample` is 2^40 or more.
    #[track_caller]
    #[must_use]
    pub fn sample(self, sample: u64) -> Self {
        assert!(sample < 1 << 40, "random key: sample {sample} is beyond 2^40 - 1");
        Self { sample, ..self }
    }

    /// The same for another of several streams beside one another, such as the dropout layers of a net.
    ///
    /// # Panics
    /// If `stream` is 2^24 or more.
    #[track_caller]
    #[must_use]
    pub fn stream(self, stream: u32) -> Self {
        assert!(stream < 1 << 24, "random key: stream {stream} is beyond 2^24 - 1");
        Self { stream, ..self }
    }

    /// Philox's key.
    fn philox_key(self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// Words 1, 2 and 3 of Philox's counter; word 0 is the number of the block.
    fn counter(self) -> [u32; 3] {
        let sample_high = (self.sample >> 32) as u32;
        [
            self.sample as u32,
            sample_high | self.epoch << 8,
            self.stream | (self.purpose as u32) << 24,
        ]
    }
}

/// The generator of one [`Key`]: draw number i of it is a pure function of the key and i.
///
/// The stream is a row of 32-bit words. A word is one draw; 64-bit integers, uniforms and normals take two words and start at
/// an even one, skipping a word if need be. A key gives 2^34 words.
#[derive(Clone, Debug)]
pub struct KeyedRng {
    key: [u32; 2],
    counter: [u32; 3],
    /// The next word.
    index: u64,
    /// The block computed last, with its number.
    block: (u32, [u32; 4]),
    /// The second normal of the pair computed last, with the number of its block. Like `block`, a memo: it saves computing the
    /// pair twice and changes no value.
    second: Option<(u32, f64)>,
}

impl KeyedRng {
    /// The stream of `key`, at its beginning.
    #[must_use]
    pub fn new(key: Key) -> Self {
        let (philox_key, counter) = (key.philox_key(), key.counter());
        let block = (0, block(philox_key, counter, 0));
        Self { key: philox_key, counter, index: 0, block, second: None }
    }

    /// How many words have been used or skipped.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.index
    }

    /// Moves to a position told by [`KeyedRng::position`].
    pub fn set_position(&mut self, index: u64) {
        self.index = index;
    }

    /// The block that holds word `self.index`, with its number.
    fn current_block(&mut self) -> (u32, [u32; 4]) {
        let Ok(number) = u32::try_from(self.index / 4) else {
            panic!("random key: its 2^34 words are used up");
        };
        if self.block.0 != number {
            self.block = (number, block(self.key, self.counter, number));
        }
        self.block
    }

    /// The next 32-bit word.
    pub fn next_u32(&mut self) -> u32 {
        let (_, words) = self.current_block();
        let word = words[(self.index % 4) as usize];
        self.index += 1;
        word
    }

    /// The next 64 bits; the first word is the low half.
    pub fn next_u64(&mut self) -> u64 {
        self.index += self.index % 2;
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// A uniform in [0, 1): a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// Fills `out` with uniforms in [0, 1).
    pub fn fill_uniform(&mut self, out: &mut [f64]) {
        out.fill_with(|| self.uniform());
    }

    /// A standard normal, by Box and Muller's transform (G. E. P. Box, M. E. Muller, Annals of Mathematical Statistics 29,
    /// 1958): the block's first two words give the radius, the other two the angle; normals at words 0 and 2 are the cosine and
    /// the sine. Logarithm, sine and cosine are software (`libm`), so the bits are the same on every machine.
    pub fn normal(&mut self) -> f64 {
        self.index += self.index % 2;
        let is_second = self.index % 4 == 2;
        let (number, words) = self.current_block();
        self.index += 2;
        match self.second {
            Some((of, value)) if is_second && of == number => value,
            _ => {
                let (first, second) = normal_pair(words);
                self.second = Some((number, second));
                if is_second { second } else { first }
            }
        }
    }

    /// Fills `out` with `scale` times standard normals.
    pub fn fill_normal(&mut self, scale: f64, out: &mut [f64]) {
        out.fill_with(|| scale * self.normal());
    }

    /// A uniform integer in [0, `n`), without bias: D. Lemire's multiplication with rejection ("Fast random integer generation
    /// in an interval", ACM TOMACS 29, 2019).
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "below: there is no integer below 0");
        let n = n as u64;
        // 2^64 mod n products would make some results one too frequent; they are the ones whose low half is smallest.
        let surplus = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= surplus {
                return (product >> 64) as usize;
            }
        }
    }

    /// Shuffles in place; every order is equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// 0 to `n` - 1 in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

/// The randomness of one dropout layer in one step: a 32-bit word for each element, in any order.
///
/// Element i (row-major) has word i mod 4 of `philox4x32([i / 4, counter[0], counter[1], counter[2]], key)`, so a mask can be
/// filled by pieces on any number of threads, or made again in the backward pass instead of being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropoutKey {
    /// Philox's key.
    pub key: [u32; 2],
    /// Words 1, 2 and 3 of Philox's counter.
    pub counter: [u32; 3],
}

impl DropoutKey {
    /// The dropout key of a stream; its purpose should be [`Purpose::Dropout`].
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { key: key.philox_key(), counter: key.counter() }
    }

    /// The words of elements 4 `number` to 4 `number` + 3.
    #[must_use]
    pub fn block(&self, number: u32) -> [u32; 4] {
        block(self.key, self.counter, number)
    }

    /// The word of element `i`.
    ///
    /// # Panics
    /// If `i` is 2^34 or more.
    #[must_use]
    pub fn word(&self, i: usize) -> u32 {
        assert!(i >> 34 == 0, "dropout: element {i} is beyond 2^34 - 1");
        self.block((i / 4) as u32)[i % 4]
    }

    /// What a word is compared with: an element is kept if its word, as u64, is below this. The probability of that is `keep`
    /// to within 2^-33.
    #[must_use]
    pub fn threshold(keep: f64) -> u64 {
        (keep * 4_294_967_296.0).round() as u64
    }
}

/// Block `number` of the stream with this key and counter.
#[inline]
fn block(key: [u32; 2], [c1, c2, c3]: [u32; 3], number: u32) -> [u32; 4] {
    philox4x32([number, c1, c2, c3], key)
}

/// The top 53 bits as a fraction in [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Two independent standard normals from a block.
fn normal_pair(words: [u32; 4]) -> (f64, f64) {
    let [a, b, c, d] = words.map(u64::from);
    // 1 - u lies in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * libm::log(1.0 - unit(a | b << 32))).sqrt();
    let (sin, cos) = libm::sincos(std::f64::consts::TAU * unit(c | d << 32));
    (radius * cos, radius * sin)
}
