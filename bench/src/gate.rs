//! The gate: samples count only when the machine was quiet before and after them.
//!
//! A measurement is a row of chunks of about 150 ms. Before and after each chunk a canary (a 3 ms burst of multiply-adds on all
//! processors, and on a machine with two of them the time that a cache line takes from one to the other and back) looks at the
//! machine. The best rate of the whole run is its peak; the samples of a chunk count when both of its canaries reach 90 % of it
//! and no trip took 2.5 times as long as the shortest, and other processes used next to no processor time meanwhile. Waiting for quiet is bounded:
//! when patience is at an end the result is taken over everything timed, and says so (`quiet` is false).

use crate::canary::{Canary, Look};
use crate::load::{Load, wait_until_idle};
use chainrule_kernels::threads::threads;
use serde::Serialize;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Share of the peak that a canary of a quiet machine reaches.
const QUIET: f64 = 0.90;
/// A trip this many times as long as the shortest is one to a processor that shares no cache with the first.
const FAR: f64 = 2.5;
/// Trips shorter than this differ by where in the shared cache the line lies.
const NEAR_NS: f64 = 60.0;
/// Bursts that look for the peak before the first measurement.
const FIRST_LOOK: usize = 20;
/// Quiet samples below which the median would be an anecdote.
const ENOUGH: usize = 5;
/// Between a chunk and its canaries: threads that spin fall asleep, and the counters of processor time catch up.
const PAUSE: Duration = Duration::from_millis(8);
/// Wait after a canary that was too slow.
const RETRY: Duration = Duration::from_millis(20);
/// Steps longer than this keep nothing in a cache that one step more would warm up.
const LONG: Duration = Duration::from_millis(50);

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Steps before the first sample.
    pub warmup: usize,
    /// Quiet samples to collect; a chunk that is begun is finished.
    pub samples: usize,
    /// Wall time of one chunk: short against the weather, long against the canaries.
    pub chunk: Duration,
    /// Time to collect them in, not counting the waits for other processes. One chunk is measured in any case.
    pub budget: Duration,
    /// The longest wait for other processes, for all measurements of this process together.
    pub patience: Duration,
}

impl Default for Options {
    /// 10 steps to warm up, 100 samples in chunks of 150 ms, 12 s; 5 minutes of patience.
    fn default() -> Self {
        Options {
            warmup: 10,
            samples: 100,
            chunk: Duration::from_millis(150),
            budget: Duration::from_secs(12),
            patience: Duration::from_secs(300),
        }
    }
}

/// The result of one measurement; times in milliseconds, rates in GFLOP/s. Serialises to one flat JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// What was measured.
    pub name: String,
    /// The number of threads that parallel regions used.
    pub threads: usize,
    /// Median of the quiet samples, or of all when `quiet` is false.
    pub median_ms: f64,
    /// The shortest of everything timed.
    pub min_ms: f64,
    /// How many samples the median is of.
    pub n: usize,
    /// Whether there were enough quiet samples for the median to be of them alone.
    pub quiet: bool,
    /// Median of everything timed.
    pub median_all_ms: f64,
    /// How many samples were timed.
    pub n_all: usize,
    /// Chunks that other processes disturbed.
    pub contended_chunks: usize,
    /// Median of the canaries.
    pub canary_gflops: f64,
    /// Best canary of the run so far. A run that never saw the machine at its best shows here.
    pub peak_gflops: f64,
    /// Shortest trip of a cache line from one of two processors to the other and back in the run so far, in nanoseconds; 0 on
    /// a machine that has not just two. A run that never had them side by side shows here.
    pub trip_ns: f64,
}

/// Times `step` on the machine at hand until there are enough quiet samples, or the budget is spent.
///
/// All measurements of a process share one peak. They follow one another: a second caller waits for the first.
///
/// # Panics
/// With the panic of `step`.
pub fn measure(name: &str, options: &Options, step: impl FnMut()) -> Sample {
    static GATE: OnceLock<Mutex<Gate>> = OnceLock::new();
    let gate = GATE.get_or_init(|| Mutex::new(Gate::new()));
    gate.lock().unwrap_or_else(PoisonError::into_inner).measure(name, options, step)
}

/// A chunk of samples (in milliseconds) and what the machine was like around it.
struct Chunk {
    times: Vec<f64>,
    before: Look,
    after: Look,
    contended: bool,
}

struct Gate {
    canary: Canary,
    best: Look,
    waited: Duration,
}

impl Gate {
    fn new() -> Gate {
        let best = Look { rate: 0.0, trip_ns: f64::INFINITY };
        let mut gate = Gate { canary: Canary::calibrate(), best, waited: Duration::ZERO };
        for _ in 0..FIRST_LOOK {
            gate.look();
            sleep(PAUSE);
        }
        gate
    }

    /// One canary, which may be a new best.
    fn look(&mut self) -> Look {
        let look = self.canary.look();
        self.best.rate = self.best.rate.max(look.rate);
        self.best.trip_ns = self.best.trip_ns.min(look.trip_ns);
        look
    }

    fn measure(&mut self, name: &str, options: &Options, mut step: impl FnMut()) -> Sample {
        (0..options.warmup).for_each(|_| step());
        let estimate = time(&mut step);
        let per_chunk = samples_a_chunk(estimate, options);
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut canaries = Vec::new();
        let mut end = Instant::now() + options.budget;
        loop {
            let late = Instant::now() >= end;
            sleep(PAUSE);
            let start = Load::now();
            let before = self.look();
            canaries.push(before.rate);
            if !is_quiet(before, self.best) && !late {
                if start.contended(&Load::now()) {
                    end += self.wait(options);
                }
                sleep(RETRY);
                continue;
            }
            if estimate < LONG {
                step();
            }
            let times = (0..per_chunk).map(|_| time(&mut step).as_secs_f64() * 1e3).collect();
            sleep(PAUSE);
            let after = self.look();
            canaries.push(after.rate);
            let contended = start.contended(&Load::now());
            chunks.push(Chunk { times, before, after, contended });
            if late || quiet_samples(&chunks, self.best).len() >= options.samples {
                return summary(name, chunks, canaries, self.best);
            }
            if contended {
                end += self.wait(options);
            }
        }
    }

    /// Waits for other processes as long as patience lasts; the time it took.
    fn wait(&mut self, options: &Options) -> Duration {
        let waited = wait_until_idle(options.patience.saturating_sub(self.waited));
        self.waited += waited;
        waited
    }
}

fn time(step: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    step();
    start.elapsed()
}

/// As many steps as fill a chunk, at least one and no more than are wanted in all.
fn samples_a_chunk(estimate: Duration, options: &Options) -> usize {
    let fit = options.chunk.as_secs_f64() / estimate.as_secs_f64().max(1e-7);
    (fit as usize).min(options.samples).max(1)
}

/// Whether the machine was near its best.
fn is_quiet(look: Look, best: Look) -> bool {
    look.rate >= QUIET * best.rate && look.trip_ns <= FAR * best.trip_ns.max(NEAR_NS)
}

/// The samples between two quiet canaries, with nobody else at work.
fn quiet_samples(chunks: &[Chunk], best: Look) -> Vec<f64> {
    let quiet = |c: &&Chunk| !c.contended && is_quiet(c.before, best) && is_quiet(c.after, best);
    chunks.iter().filter(quiet).flat_map(|c| c.times.iter().copied()).collect()
}

fn summary(name: &str, chunks: Vec<Chunk>, canaries: Vec<f64>, best: Look) -> Sample {
    let all: Vec<f64> = chunks.iter().flat_map(|c| c.times.iter().copied()).collect();
    let of_quiet = quiet_samples(&chunks, best);
    let quiet = of_quiet.len() >= ENOUGH;
    let counted = if quiet { &of_quiet } else { &all };
    Sample {
        name: name.to_string(),
        threads: threads(),
        median_ms: median(counted),
        min_ms: all.iter().copied().fold(f64::INFINITY, f64::min),
        n: counted.len(),
        quiet,
        median_all_ms: median(&all),
        n_all: all.len(),
        contended_chunks: chunks.iter().filter(|c| c.contended).count(),
        canary_gflops: median(&canaries),
        peak_gflops: best.rate,
        trip_ns: best.trip_ns,
    }
}

/// The middle value, or the mean of the two in the middle.
///
/// # Panics
/// If there are no values.
pub fn median(values: &[f64]) -> f64 {
    assert!(!values.is_empty(), "the median of no values");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { 0.5 * (sorted[middle - 1] + sorted[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(rate: f64, trip_ns: f64) -> Look {
        Look { rate, trip_ns }
    }

    fn chunk(times: &[f64], before: f64, after: f64, contended: bool) -> Chunk {
        let (before, after) = (look(before, 60.0), look(after, 60.0));
        Chunk { times: times.to_vec(), before, after, contended }
    }

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[9.0, 1.0, 5.0, 2.0]), 3.5);
    }

    #[test]
    #[should_panic(expected = "the median of no values")]
    fn no_values_have_no_median() {
        median(&[]);
    }

    #[test]
    fn samples_count_between_two_quiet_canaries_alone() {
        let chunks = [
            chunk(&[1.0, 2.0], 95.0, 90.0, false),
            chunk(&[3.0], 89.9, 100.0, false),
            chunk(&[4.0], 100.0, 50.0, false),
            chunk(&[5.0], 100.0, 100.0, true),
        ];
        assert_eq!(quiet_samples(&chunks, look(100.0, 60.0)), [1.0, 2.0]);
        // A peak that shows later makes what looked quiet loud.
        assert!(quiet_samples(&chunks, look(120.0, 60.0)).is_empty());
        // So does a shorter trip.
        assert!(is_quiet(look(100.0, 150.0), look(100.0, 20.0)));
        assert!(!is_quiet(look(100.0, 151.0), look(100.0, 60.0)));
        assert!(is_quiet(look(100.0, 300.0), look(100.0, 120.0)));
        assert!(!is_quiet(look(100.0, f64::INFINITY), look(100.0, 60.0)));
    }

    #[test]
    fn the_median_is_of_quiet_samples_if_there_are_enough() {
        let quiet = chunk(&[2.0; ENOUGH], 100.0, 100.0, false);
        let loud = chunk(&[1.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0], 100.0, 60.0, true);
        let s = summary("s", vec![quiet, loud], vec![100.0, 60.0, 100.0], look(100.0, 60.0));
        assert_eq!((s.median_ms, s.n, s.quiet), (2.0, ENOUGH, true));
        assert_eq!((s.median_all_ms, s.n_all, s.min_ms), (9.0, ENOUGH + 8, 1.0));
        assert_eq!((s.contended_chunks, s.canary_gflops), (1, 100.0));
    }

    #[test]
    fn without_enough_quiet_samples_everything_counts_and_it_says_so() {
        let few = chunk(&[2.0; ENOUGH - 1], 100.0, 100.0, false);
        let loud = chunk(&[8.0; 20], 100.0, 60.0, false);
        let s = summary("s", vec![few, loud], vec![60.0], look(100.0, 60.0));
        assert_eq!((s.median_ms, s.n, s.quiet), (8.0, ENOUGH - 1 + 20, false));
    }

    #[test]
    fn a_chunk_holds_what_fits_and_never_nothing() {
        let options = Options { samples: 60, ..Options::default() };
        assert_eq!(samples_a_chunk(Duration::from_millis(10), &options), 15);
        assert_eq!(samples_a_chunk(Duration::from_secs(2), &options), 1);
        assert_eq!(samples_a_chunk(Duration::ZERO, &options), 60);
    }

    #[test]
    fn a_measurement_ends_in_time_on_a_machine_that_is_never_quiet() {
        // No canary reaches a peak like this one.
        let mut gate = Gate { best: look(f64::MAX, 0.0), ..Gate::new() };
        let options = Options {
            warmup: 2,
            samples: 30,
            chunk: Duration::from_millis(5),
            budget: Duration::from_millis(100),
            patience: Duration::ZERO,
        };
        let mut steps = 0;
        let s = gate.measure("nap", &options, || {
            steps += 1;
            sleep(Duration::from_millis(1));
        });
        assert!(!s.quiet && s.n == s.n_all && s.n > 0);
        assert!(steps > s.n && s.min_ms >= 1.0 && s.median_ms >= s.min_ms);
        let json = serde_json::to_value(&s).unwrap();
        for key in
            ["name", "threads", "median_ms", "min_ms", "n", "quiet", "peak_gflops", "trip_ns"]
        {
            assert!(json.get(key).is_some(), "{key}");
        }
    }
}
