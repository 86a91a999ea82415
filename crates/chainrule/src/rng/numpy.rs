//! NumPy's legacy random stream (`numpy.random.RandomState`), bit for bit.
//!
//! MT19937 (M. Matsumoto, T. Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number
//! generator", ACM TOMACS 8, 1998) with NumPy's conversions: 53-bit uniforms from two words, normals by Marsaglia's polar method
//! with one cached value, integers by masked rejection. The words, uniforms and integers are the same on every machine. Normals
//! go through the platform's `ln`, as NumPy's do, and can differ in the last bit where that function does. (A portable `ln` would
//! be the same everywhere, but differ from NumPy: with `libm`'s, 3 normals in 100 have another last bit than with glibc's.)
//!
//! The stream is one sequence: what a draw returns depends on every draw before it. That is what reproducing the course's
//! numbers needs; everything else uses [`super::KeyedRng`].

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const N: usize = 624;
const M: usize = 397;
const UPPER: u32 = 0x8000_0000;
const MATRIX: u32 = 0x9908_b0df;

/// A legacy NumPy generator: `NumpyRng::new(s)` continues as `numpy.random.seed(s)` does.
#[derive(Clone, Debug, PartialEq)]
pub struct NumpyRng {
    words: Box<[u32; N]>,
    pos: usize,
    cached: Option<f64>,
}

/// Everything a [`NumpyRng`] remembers, in a form that can be written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumpyState {
    /// The 624 words of the twister.
    pub words: Vec<u32>,
    /// How many of them have been used, 0 to 624.
    pub pos: usize,
    /// The second normal of the last pair, if it has not been handed out.
    pub cached: Option<f64>,
}

impl NumpyRng {
    /// The stream of `numpy.random.seed(seed)`.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let mut rng = Self { words: Box::new([0; N]), pos: N, cached: None };
        rng.seed(seed);
        rng
    }

    /// Starts over from `seed` and forgets the cached normal.
    pub fn seed(&mut self, seed: u32) {
        let mut x = seed;
        for (i, word) in self.words.iter_mut().enumerate() {
            *word = x;
            x = 1_812_433_253u32.wrapping_mul(x ^ (x >> 30)).wrapping_add(i as u32 + 1);
        }
        self.pos = N;
        self.cached = None;
    }

    /// A copy of the state, for a checkpoint.
    #[must_use]
    pub fn state(&self) -> NumpyState {
        NumpyState { words: self.words.to_vec(), pos: self.pos, cached: self.cached }
    }

    /// The generator that [`NumpyRng::state`] was taken from.
    ///
    /// # Errors
    /// [`Error::Value`] if there are not 624 words or the position lies beyond them: the state came from a damaged file.
    pub fn from_state(state: NumpyState) -> Result<Self> {
        let NumpyState { words, pos, cached } = state;
        let wrong = |what: String, want: &str| Error::value("random generator state", what, want);
        let words: Box<[u32; N]> = match words.into_boxed_slice().try_into() {
            Ok(words) => words,
            Err(other) => return Err(wrong(format!("{} words", other.len()), "624 are needed")),
        };
        if pos > N {
            return Err(wrong(format!("position {pos}"), "it must be at most 624"));
        }
        Ok(Self { words, pos, cached })
    }

    fn refill(&mut self) {
        let k = &mut self.words;
        for i in 0..N {
            let y = (k[i] & UPPER) | (k[(i + 1) % N] & !UPPER);
            k[i] = k[(i + M) % N] ^ (y >> 1) ^ (if y & 1 == 1 { MATRIX } else { 0 });
        }
        self.pos = 0;
    }

    /// The next 32-bit word.
    pub fn next_u32(&mut self) -> u32 {
        if self.pos == N {
            self.refill();
        }
        let mut y = self.words[self.pos];
        self.pos += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// The next 64 bits; the first word is the high half.
    fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        high << 32 | u64::from(self.next_u32())
    }

    /// A uniform in [0, 1) with 53 bits: `random_sample()`. Uses two words.
    pub fn double(&mut self) -> f64 {
        let a = f64::from(self.next_u32() >> 5);
        let b = f64::from(self.next_u32() >> 6);
        (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
    }

    /// Fills `out` with uniforms in [0, 1).
    pub fn fill_rand(&mut self, out: &mut [f64]) {
        out.fill_with(|| self.double());
    }

    /// `n` uniforms in [0, 1): `rand(n)`.
    pub fn rand(&mut self, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        self.fill_rand(&mut out);
        out
    }

    /// A uniform in [`low`, `high`): `uniform(low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.double()
    }

    /// A standard normal. Every other call returns the cached second coordinate of a pair; the cache survives draws of other
    /// kinds and only [`NumpyRng::seed`] clears it.
    pub fn gauss(&mut self) -> f64 {
        if let Some(value) = self.cached.take() {
            return value;
        }
        loop {
            let x1 = 2.0 * self.double() - 1.0;
            let x2 = 2.0 * self.double() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.cached = Some(f * x1);
                return f * x2;
            }
        }
    }

    /// `loc` + `scale` times a standard normal: `normal(loc, scale)`.
    pub fn normal(&mut self, loc: f64, scale: f64) -> f64 {
        loc + scale * self.gauss()
    }

    /// Fills `out` with normals: `normal(loc, scale, shape)` in row-major order.
    pub fn fill_normal(&mut self, loc: f64, scale: f64, out: &mut [f64]) {
        out.fill_with(|| self.normal(loc, scale));
    }

    /// `n` standard normals: `randn(n)`.
    pub fn randn(&mut self, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        out.fill_with(|| self.gauss());
        out
    }

    /// A uniform integer in [0, `max`], by drawing as many low bits as `max` has until they do not exceed it. Uses one word a
    /// try up to 32 bits, two above, none for `max` = 0.
    fn bounded(&mut self, max: u64) -> u64 {
        if max == 0 {
            return 0;
        }
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let word =
                if max <= u64::from(u32::MAX) { self.next_u32().into() } else { self.next_u64() };
            if word & mask <= max {
                return word & mask;
            }
        }
    }

    /// A uniform integer in [`low`, `high`): `randint(low, high)` of 64-bit integers.
    ///
    /// # Panics
    /// If `low >= high`.
    #[track_caller]
    pub fn randint(&mut self, low: i64, high: i64) -> i64 {
        assert!(low < high, "randint: low is {low}, high is {high}: the range is empty");
        // The distance may exceed i64::MAX, so it is taken modulo 2^64, where it fits.
        low.wrapping_add(self.bounded(high.wrapping_sub(low) as u64 - 1) as i64)
    }

    /// `size` indices in [0, `n`), with replacement: `choice(n, size)`.
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn choice(&mut self, n: usize, size: usize) -> Vec<usize> {
        (0..size).map(|_| self.below(n)).collect()
    }

    /// A uniform integer in [0, `n`): one element of [`NumpyRng::choice`].
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "choice: there is nothing to choose from, n is 0");
        self.bounded(n as u64 - 1) as usize
    }

    /// Shuffles in place: `shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.bounded(i as u64) as usize);
        }
    }

    /// 0 to `n` - 1 in random order: `permutation(n)`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_seed_231() {
        let mut rng = NumpyRng::new(231);
        let words: Vec<u32> = (0..4).map(|_| rng.next_u32()).collect();
        assert_eq!(words, [3356491351, 2600961200, 2509159060, 1021729225]);
        let uniforms = NumpyRng::new(231).rand(3);
        assert_eq!(uniforms, [0.78149404082882, 0.5842091160855433, 0.426710070189125]);
        let mut rng = NumpyRng::new(231);
        let digits: Vec<i64> = (0..12).map(|_| rng.randint(0, 10)).collect();
        assert_eq!(digits, [7, 0, 4, 9, 6, 2, 7, 4, 1, 2, 2, 2]);
        let want =
            [0.41794341085522313, 1.3971002787857785, -1.7859043087115503, -0.7088277337845966];
        for (got, want) in NumpyRng::new(231).randn(4).into_iter().zip(want) {
            assert!((got - want).abs() <= f64::EPSILON * want.abs(), "{got} {want}");
        }
    }

    /// The standard's own check value: the 10,000th word of the default seed (ISO C++ [rand.predef], `mt19937`).
    #[test]
    fn ten_thousandth_word_of_the_standard() {
        let mut rng = NumpyRng::new(5489);
        let last = (0..10_000).map(|_| rng.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn the_cached_normal_survives_other_draws_and_not_seeding() {
        let mut pair = NumpyRng::new(3);
        let (first, second) = (pair.gauss(), pair.gauss());
        let mut rng = NumpyRng::new(3);
        assert_eq!(rng.gauss(), first);
        rng.double();
        rng.randint(0, 1000);
        assert_eq!(rng.gauss(), second);
        rng.gauss();
        rng.seed(3);
        assert_eq!(rng.gauss(), first);
    }

    #[test]
    fn a_restored_state_continues_the_stream() {
        let mut rng = NumpyRng::new(9);
        rng.randn(701);
        let text = serde_json::to_string(&rng.state()).unwrap();
        let mut again = NumpyRng::from_state(serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(again, rng);
        assert_eq!(again.randn(10), rng.randn(10));
    }

    #[test]
    fn a_damaged_state_is_an_error_that_says_what_is_wrong() {
        let state = NumpyRng::new(0).state();
        let short = NumpyState { words: vec![1; 623], ..state.clone() };
        let message = NumpyRng::from_state(short).unwrap_err().to_string();
        assert_eq!(message, "random generator state: 623 words; 624 are needed");
        let beyond = NumpyState { pos: 625, ..state };
        let message = NumpyRng::from_state(beyond).unwrap_err().to_string();
        assert_eq!(message, "random generator state: position 625; it must be at most 624");
    }

    #[test]
    fn integers_reach_both_ends_of_every_kind_of_range() {
        let mut rng = NumpyRng::new(1);
        assert_eq!(rng.randint(5, 6), 5);
        let before = rng.clone();
        assert_eq!(rng.choice(1, 4), [0; 4]);
        assert_eq!(rng, before, "a range of one value uses no words");
        let mut seen = [false; 3];
        (0..100).for_each(|_| seen[(rng.randint(-1, 2) + 1) as usize] = true);
        assert_eq!(seen, [true; 3]);
        let wide: Vec<i64> = (0..100).map(|_| rng.randint(i64::MIN, i64::MAX)).collect();
        assert!(wide.iter().any(|&v| v < 0) && wide.iter().any(|&v| v > 0));
    }

    #[test]
    #[should_panic(expected = "the range is empty")]
    fn an_empty_range_panics() {
        NumpyRng::new(1).randint(3, 3);
    }
}
