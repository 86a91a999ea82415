//! How fast is the machine right now? Two questions to it.
//!
//! A short burst of fused multiply-adds on all processors stays in registers and the first-level cache, so its rate falls only
//! when the processors themselves are slower or taken: a neighbour on the same physical core, a lower clock, another process.
//! A cache line that two threads hand to and fro says how far apart their processors are: a virtual machine's host may move one
//! of two to a core that shares no cache with the other. Arithmetic is as fast there, but every hand-over from thread to thread
//! takes several times as long, and with it each parallel region.

use chainrule_kernels::threads::{parallel_for, processors, set_threads, threads};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Numbers in the array, 4 KiB: it stays in the first-level cache.
const NUMBERS: usize = 1024;
/// Multiply-adds on a number between its load and its store, so that arithmetic is all that takes time.
const CHAIN: usize = 8;
/// A burst takes about this long.
const BURST: Duration = Duration::from_millis(3);
/// Trips of the cache line to the other thread and back that are timed, after a quarter as many that are not.
const TRIPS: usize = 2000;
/// A thread whose partner does not answer for so long goes on without it.
const LOST: Duration = Duration::from_millis(1);

/// What the canary saw at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    /// Of the multiply-adds on all processors, in GFLOP/s.
    pub rate: f64,
    /// Of a cache line from one processor to the other and back, in nanoseconds; 0 on machines that have not just two, where
    /// it would depend on which two the threads are on, and infinite if the threads never met.
    pub trip_ns: f64,
}

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

    /// One burst, and one round trip on a machine with two processors.
    pub fn look(&self) -> Look {
        Look { rate: self.burst(), trip_ns: if processors() == 2 { round_trip_ns() } else { 0.0 } }
    }

    /// The rate of one burst on all processors, in GFLOP/s.
    fn burst(&self) -> f64 {
        // A short burst first wakes the pool, so that the second times work alone.
        self.timed(self.rounds / 8);
        let took = self.timed(self.rounds);
        let flops = 2 * NUMBERS * CHAIN * self.rounds * processors();
        flops as f64 / took.as_secs_f64() / 1e9
    }

    /// Wall time of `rounds` on each processor. One thread that has to do the work of two shows as half the rate.
    fn timed(&self, rounds: usize) -> Duration {
        let start = Instant::now();
        on_all_processors(|_| {
            black_box(multiply_add(black_box(rounds)));
        });
        start.elapsed()
    }
}

/// Runs a task for each processor on as many threads.
fn on_all_processors(task: impl Fn(usize) + Sync) {
    let before = threads();
    set_threads(processors());
    parallel_for(processors(), task);
    set_threads(before);
}

/// Nanoseconds in which a cache line goes from one of two threads to the other and back.
fn round_trip_ns() -> f64 {
    let turn = AtomicUsize::new(0);
    let took = AtomicU64::new(f64::INFINITY.to_bits());
    on_all_processors(|side| {
        let mut start = Instant::now();
        for trip in 0..TRIPS + TRIPS / 4 {
            if trip == TRIPS / 4 {
                start = Instant::now();
            }
            if !comes(&turn, 2 * trip + side) {
                return;
            }
            turn.store(2 * trip + side + 1, Ordering::Release);
        }
        if side == 0 {
            let trip = start.elapsed().as_secs_f64() * 1e9 / TRIPS as f64;
            took.store(trip.to_bits(), Ordering::Relaxed);
        }
    });
    f64::from_bits(took.into_inner())
}

/// Waits until it is turn `wanted`; false if that does not come.
fn comes(turn: &AtomicUsize, wanted: usize) -> bool {
    let mut since = None;
    let mut spins = 0u32;
    while turn.load(Ordering::Acquire) != wanted {
        spins += 1;
        // Reading the clock takes about as long as a trip.
        if spins.is_multiple_of(1024) && since.get_or_insert_with(Instant::now).elapsed() > LOST {
            return false;
        }
        spin_loop();
    }
    true
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
        assert!(canary.look().rate > 0.0);
        assert_eq!(threads(), before);
    }

    #[test]
    fn a_trip_without_a_partner_ends() {
        let turn = AtomicUsize::new(0);
        assert!(comes(&turn, 0));
        assert!(!comes(&turn, 1));
    }
}
