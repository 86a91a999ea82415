//! A short burst of fused multiply-adds on all processors: how fast is the machine right now?
//!
//! The burst stays in registers and the first-level cache, so its rate falls only when the processors themselves are slower or taken: a neighbour on the
//! same physical core, a lower clock, another process.

use chainrule_kernels::threads::{parallel_for, processors, set_threads, threads};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Numbers in the array, 4 KiB: it stays in the first-level cache.
const NUMBERS: usize = 1024;
/// Multiply-adds on a number between its load and its store, so that arithmetic is all that takes time.
const CHAIN: usize = 8;
/// A burst takes about this long.
const BURST: Duration = Duration::from_millis(3);

/// Bursts of a fixed amount of work, chosen so that one takes about three milliseconds on the machine at hand.
pub(crate) struct Canary {
    rounds: usize,
}

impl Canary {
    /// Finds the amount of work.
    pub fn calibrate() -> Canary {
        let mut canary = Canary { rounds: 8 };
        // The rate of a long enough try says how much work fills a burst; below a quarter the clock and the waking of threads
        // would count for too much.
        loop {
            let took = canary.timed(canary.rounds);
            if took * 4 >= BURST {
                let scale = BURST.as_secs_f64() / took.as_secs_f64();
                canary.rounds = ((canary.rounds as f64 * scale) as usize).max(1);
                return canary;
            }
            canary.rounds *= 2;
        }
    }

    /// The rate of one burst on all processors, in GFLOP/s.
    pub fn burst(&self) -> f64 {
        // A short burst first wakes the pool, so that the second times work alone.
        self.timed(self.rounds / 8);
        let took = self.timed(self.rounds);
        let flops = 2 * NUMBERS * CHAIN * self.rounds * processors();
        flops as f64 / took.as_secs_f64() / 1e9
    }

    /// Wall time of `rounds` on each processor. One thread that has to do the work of two shows as half the rate.
    fn timed(&self, rounds: usize) -> Duration {
        let before = threads();
        set_threads(processors());
        let start = Instant::now();
        parallel_for(processors(), |_| {
            black_box(multiply_add(black_box(rounds)));
        });
        let took = start.elapsed();
        set_threads(before);
        took
    }
}

chainrule_kernels::multiversion! {
    /// `rounds` chains of multiply-adds on each number of an array. They converge to 1, so none becomes subnormal or infinite.
    fn multiply_add(rounds: usize) -> f32 {
        let mut numbers = [0f32; NUMBERS];
        for (i, x) in numbers.iter_mut().enumerate() {
            *x = i as f32;
        }
        for _ in 0..rounds {
            // The compiler would otherwise apply all rounds to a number while it holds it, one after the other.
            for x in black_box(&mut numbers) {
                for _ in 0..CHAIN {
                    *x = x.mul_add(0.75, 0.25);
                }
            }
        }
        numbers.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chains_converge_to_one() {
        assert_eq!(multiply_add(0), (NUMBERS * (NUMBERS - 1) / 2) as f32);
        assert!((multiply_add(20) - NUMBERS as f32).abs() < 1e-2);
    }

    #[test]
    fn a_burst_leaves_the_number_of_threads_alone() {
        let before = threads();
        let canary = Canary::calibrate();
        assert!(canary.rounds > 0);
        assert!(canary.burst() > 0.0);
        assert_eq!(threads(), before);
    }
}
