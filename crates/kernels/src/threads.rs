//! A pool of threads for short, regular work: a training step has some forty parallel regions of 5 to 300 microseconds.
//!
//! [`parallel_for`] runs tasks 0..n; which thread runs which task is not promised, so a caller must split work by *shape* and
//! let every task write its own part of the result. Then the number of threads cannot matter. Each thread begins with its own
//! stretch of the tasks, the first with the first, and helps the others when it is through: as regions split large arrays by
//! position, the parts of weights, gradients and optimizer state that belong together stay in one processor's caches from region
//! to region. Waiting threads spin for a while before they sleep, because waking one costs more than most regions take. A region
//! inside a region, or one that finds the pool taken by another thread, runs on its caller alone.

use crate::buffer::{Buffer, Element};
use crate::environment;
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread;

/// The most threads a pool may have.
pub const MAX_THREADS: usize = 256;

/// How often an idle worker looks for work before it sleeps: about a tenth of a millisecond.
const SPINS: usize = 4000;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The number of threads that parallel regions use; at first the number of processors, or `CHAINRULE_THREADS`.
pub fn threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => {
            let wanted = environment::or_warn(environment::thread_count());
            set_threads(wanted.unwrap_or_else(processors));
            threads()
        }
        n => n,
    }
}

/// The number of processors this process may use.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, |n| n.get())
}

/// Sets the number of threads that parallel regions use, 1 to [`MAX_THREADS`]. Results do not depend on it.
pub fn set_threads(n: usize) {
    THREADS.store(n.clamp(1, MAX_THREADS), Ordering::Relaxed);
}

/// A job: a function of the task's number, and how many tasks there are.
#[derive(Clone, Copy)]
struct Job {
    run: *const (dyn Fn(usize) + Sync),
    tasks: usize,
    /// Workers with a smaller number may join.
    helpers: usize,
}

/// `state` holds the generation of the job, whether it may still be joined, and how many workers are inside.
const INSIDE: usize = (1 << 16) - 1;
const OPEN: usize = 1 << 16;
const GENERATION: usize = 1 << 17;

/// The next task of a stretch, on cache lines of its own (two, because processors fetch them in pairs).
#[repr(align(128))]
struct Next(AtomicUsize);

struct Pool {
    state: AtomicUsize,
    /// One for each thread that may join the job.
    next: [Next; MAX_THREADS],
    job: UnsafeCell<Option<Job>>,
    owner: Mutex<usize>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    sleepers: AtomicUsize,
    asleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `job` is written only by the holder of `owner` while no worker is inside (state's count is 0 and OPEN is clear), and
// read only by workers that have counted themselves in while OPEN was set; the atomic `state` orders the two.
unsafe impl Sync for Pool {}
// SAFETY: as above; the raw pointer in `job` is only followed inside a region, whose caller keeps its target alive.
unsafe impl Send for Pool {}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool {
        state: AtomicUsize::new(0),
        next: [const { Next(AtomicUsize::new(0)) }; MAX_THREADS],
        job: UnsafeCell::new(None),
        owner: Mutex::new(0),
        panic: Mutex::new(None),
        sleepers: AtomicUsize::new(0),
        asleep: Mutex::new(()),
        wake: Condvar::new(),
    })
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f(0)`, ..., `f(tasks - 1)`, each once, on up to [`threads`] threads, and returns when all are done.
///
/// # Panics
/// With the payload of the first task that panicked, after the others have ended.
pub fn parallel_for(tasks: usize, f: impl Fn(usize) + Sync) {
    parallel_on(threads(), tasks, f);
}

/// As [`parallel_for`], on up to `threads` threads.
fn parallel_on(threads: usize, tasks: usize, f: impl Fn(usize) + Sync) {
    let helpers = (threads - 1).min(tasks.saturating_sub(1));
    if helpers == 0 || ALONE.get() {
        return (0..tasks).for_each(f);
    }
    let pool = pool();
    let mut spawned = match pool.owner.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(p)) => p.into_inner(),
        Err(TryLockError::WouldBlock) => return (0..tasks).for_each(f),
    };
    while *spawned < helpers {
        let number = *spawned;
        let name = format!("chainrule-{}", number + 1);
        if thread::Builder::new().name(name).spawn(move || work(pool, number)).is_err() {
            break;
        }
        *spawned += 1;
    }
    pool.run(&f, tasks, helpers);
}

impl Pool {
    fn run(&'static self, f: &(dyn Fn(usize) + Sync), tasks: usize, helpers: usize) {
        // SAFETY: only the lifetime is erased. `f` outlives this call, and no worker follows the pointer after it: workers enter
        // only while OPEN is set, and below we clear OPEN and wait until none is inside, even if a task panics.
        let run: *const (dyn Fn(usize) + Sync) = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(f)
        };
        // SAFETY: we hold `owner`, OPEN is clear and nobody is inside, so nobody reads the job.
        unsafe { *self.job.get() = Some(Job { run, tasks, helpers }) };
        for (thread, next) in self.next.iter().enumerate().take(helpers + 1) {
            next.0.store(stretch(tasks, helpers + 1, thread).start, Ordering::Relaxed);
        }
        let state = self.state.load(Ordering::Relaxed);
        self.state.store((state & !INSIDE).wrapping_add(GENERATION) | OPEN, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.asleep));
            self.wake.notify_all();
        }
        self.take_tasks(f, tasks, helpers + 1, 0);
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0;
        while self.state.load(Ordering::Acquire) & INSIDE != 0 {
            relax(&mut spins);
        }
        if let Some(payload) = lock(&self.panic).take() {
            resume_unwind(payload);
        }
    }

    /// Runs the tasks of the stretch of `thread`, then what is left of the others'. A panic is kept for the owner and ends the
    /// handing out of tasks.
    fn take_tasks(&self, f: &(dyn Fn(usize) + Sync), tasks: usize, threads: usize, thread: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            for other in (thread..threads).chain(0..thread) {
                let end = stretch(tasks, threads, other).end;
                loop {
                    let task = self.next[other].0.fetch_add(1, Ordering::Relaxed);
                    if task >= end {
                        break;
                    }
                    f(task);
                }
            }
        }));
        if let Err(payload) = result {
            self.next[..threads].iter().for_each(|n| n.0.store(tasks, Ordering::Relaxed));
            lock(&self.panic).get_or_insert(payload);
        }
    }
}

/// The tasks that `thread` of `threads` begins with.
fn stretch(tasks: usize, threads: usize, thread: usize) -> Range<usize> {
    tasks * thread / threads..tasks * (thread + 1) / threads
}

thread_local! {
    /// 0 for threads that are not the pool's, else the worker's number plus 1.
    static SLOT: AtomicUsize = const { AtomicUsize::new(0) };
    /// Whether regions of this thread run on it alone.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// From now on the regions of the calling thread run on it alone: for a thread that works beside a training, which would find the
/// pool taken otherwise. Results do not depend on it.
pub fn stay_alone() {
    ALONE.set(true);
}

fn relax(spins: &mut usize) {
    *spins += 1;
    if spins.is_multiple_of(64) {
        thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// A worker's life: wait for a generation it has not seen, join it, run tasks, leave.
fn work(pool: &'static Pool, number: usize) {
    SLOT.with(|slot| slot.store(number + 1, Ordering::Relaxed));
    let mut seen = 0;
    loop {
        let state = wait_for_job(pool, seen);
        if state & INSIDE == INSIDE {
            continue;
        }
        if pool
            .state
            .compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            continue;
        }
        seen = state / GENERATION;
        // SAFETY: we are counted as inside, so the owner has finished writing the job and keeps it until we leave.
        if let Some(job) = unsafe { *pool.job.get() }
            && number < job.helpers
        {
            // SAFETY: the owner waits for us before the function that this points to goes away.
            pool.take_tasks(unsafe { &*job.run }, job.tasks, job.helpers + 1, number + 1);
        }
        pool.state.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Spins, then sleeps, until there is an open job of another generation than `seen`; returns its state.
fn wait_for_job(pool: &'static Pool, seen: usize) -> usize {
    let fresh = |state: usize| state & OPEN != 0 && state / GENERATION != seen;
    let mut spins = 0;
    loop {
        let state = pool.state.load(Ordering::SeqCst);
        if fresh(state) {
            return state;
        }
        if spins < SPINS {
            relax(&mut spins);
            continue;
        }
        let mut asleep = lock(&pool.asleep);
        pool.sleepers.fetch_add(1, Ordering::SeqCst);
        while !fresh(pool.state.load(Ordering::SeqCst)) {
            asleep = pool.wake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        pool.sleepers.fetch_sub(1, Ordering::SeqCst);
        spins = 0;
    }
}

/// Splits `data` into pieces of `piece` elements (the last may be shorter) and runs `f(number, piece)` on each in parallel.
///
/// The pieces depend on `piece` alone, which a caller derives from shapes, so results do not depend on the number of threads.
///
/// # Panics
/// If `piece` is 0, or with the panic of a task.
pub fn parallel_chunks<T: Send>(data: &mut [T], piece: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    assert!(piece > 0, "pieces must not be empty");
    let len = data.len();
    let base = Shared(data.as_mut_ptr());
    parallel_for(len.div_ceil(piece), |i| {
        let start = i * piece;
        let n = piece.min(len - start);
        // SAFETY: the pieces start..start + n of different tasks do not overlap and lie within `data`, which is borrowed
        // mutably until all tasks have ended.
        let part = unsafe { std::slice::from_raw_parts_mut(base.at(start), n) };
        f(i, part);
    });
}

/// Runs `f(task, scratch)` as [`parallel_for`] does, each thread with a slice of `len` numbers of its own whose contents are
/// unspecified. One block of memory serves all threads, so that what a region asks of the pool does not depend on chance.
///
/// # Panics
/// With the panic of a task.
pub fn parallel_scratch<T: Element>(tasks: usize, len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let own = || SLOT.with(|slot| slot.load(Ordering::Relaxed));
    let threads = threads();
    let slots = threads.max(own() + 1);
    let mut scratch = Buffer::<T>::dirty(slots * len);
    let base = Shared(scratch.make_mut().as_mut_ptr());
    parallel_on(threads, tasks, |task| {
        let slot = own();
        assert!(slot < slots, "a thread beyond the number that a region may use");
        // SAFETY: the slot lies within `scratch`, which outlives the region. The threads of a region have different slots: its
        // caller's, and those of workers (a region inside a region runs on its caller alone).
        f(task, unsafe { std::slice::from_raw_parts_mut(base.at(slot * len), len) });
    });
}

/// A pointer that tasks share; each writes its own part.
pub(crate) struct Shared<T>(pub *mut T);

impl<T> Shared<T> {
    /// The address of element `i`.
    ///
    /// # Safety
    /// `i` must lie within the allocation that the pointer belongs to.
    pub unsafe fn at(&self, i: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(i) }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<T> {}

// SAFETY: a Shared is only dereferenced in unsafe blocks that argue for disjoint parts.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 3, 8] {
            set_threads(threads);
            for tasks in [0, 1, 2, 7, 100] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                parallel_for(tasks, |i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn regions_follow_each_other_without_losing_tasks() {
        set_threads(3);
        let mut data = vec![0u64; 1000];
        for round in 0..2000 {
            parallel_chunks(&mut data, 7, |_, part| part.iter_mut().for_each(|v| *v += round));
        }
        assert!(data.iter().all(|v| *v == 1999 * 2000 / 2));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        set_threads(2);
        let caught = catch_unwind(|| parallel_for(50, |i| assert!(i != 17, "task 17")));
        assert!(caught.is_err());
        let mut data = vec![1; 64];
        parallel_chunks(&mut data, 4, |_, part| part.fill(2));
        assert_eq!(data, vec![2; 64]);
    }

    #[test]
    fn a_region_inside_a_region_runs_too() {
        set_threads(4);
        let total = AtomicUsize::new(0);
        parallel_for(4, |_| {
            parallel_for(4, |_| {
                total.fetch_add(1, Ordering::Relaxed);
            })
        });
        assert_eq!(total.load(Ordering::Relaxed), 16);
    }
}
