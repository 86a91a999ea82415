//! Counts for tests: an allocator that counts what a program asks the system for, and the changes of memory order.
//!
//! ```
//! use chainrule_kernels::counting::{Counting, requests};
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let before = requests();
//! drop(vec![1, 2, 3]);
//! assert_eq!(requests() - before, 1);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static REQUESTS: AtomicUsize = AtomicUsize::new(0);
static REORDERINGS: AtomicUsize = AtomicUsize::new(0);

/// Batches of pictures that were copied into the other memory order so far, by any thread.
pub fn reorderings() -> usize {
    REORDERINGS.load(Ordering::Relaxed)
}

/// Notes one more of them.
pub fn count_reordering() {
    REORDERINGS.fetch_add(1, Ordering::Relaxed);
}

/// The system's allocator, counting every request for memory by any thread.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

/// Requests so far; 0 throughout if [`Counting`] is not the global allocator.
pub fn requests() -> usize {
    REQUESTS.load(Ordering::SeqCst)
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        REQUESTS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        REQUESTS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}
