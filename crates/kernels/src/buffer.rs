//! Memory that is used again: every tensor's storage comes from a pool of blocks and goes back to it.
//!
//! The first write to a fresh page costs some forty times a later one, so a training loop that asks the system for memory in
//! every step spends its time in page faults. Here a loop in its steady state asks for none. Blocks of 2 MiB and more are
//! aligned to 2 MiB and advised to be backed by huge pages. A [`Buffer`] is reference-counted and its count lives in the
//! block, so that making one takes nothing from the global allocator either.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError};

mod sealed {
    pub trait Sealed {}
}

/// A number that a buffer can hold: any bit pattern is a valid value.
pub trait Element:
    Copy + Send + Sync + Default + PartialEq + std::fmt::Debug + 'static + sealed::Sealed
{
}

macro_rules! elements {
    ($($t:ty),*) => { $(impl sealed::Sealed for $t {} impl Element for $t {})* };
}
elements!(f32, f64, u8, u16, u32, u64, usize, i32, i64);

/// What stands before the data of a block. 64 bytes, so that the data is aligned to a cache line.
#[repr(C, align(64))]
struct Header {
    refs: AtomicUsize,
    class: usize,
    next: *mut Header,
}

const HEADER: usize = size_of::<Header>();
const HUGE: usize = 2 << 20;

/// Size classes: four per power of two, from 128 bytes up, so that at most a fifth of a block is unused.
const CLASSES: usize = 140;

fn class_of(bytes: usize) -> usize {
    if bytes <= 128 {
        return 0;
    }
    let octave = (bytes - 1).ilog2() as usize;
    let step = 1usize << (octave - 2);
    (octave - 7) * 4 + (bytes - (1 << octave)).div_ceil(step)
}

fn bytes_of(class: usize) -> usize {
    (4 + class % 4) << (class / 4 + 5)
}

/// Bytes that a buffer of `bytes` bytes takes of the pool.
pub fn block_bytes(bytes: usize) -> usize {
    bytes_of(class_of(bytes + HEADER))
}

struct FreeList(*mut Header);

// SAFETY: the list owns the free blocks it points to; a Mutex guards it.
unsafe impl Send for FreeList {}

static FREE: [Mutex<FreeList>; CLASSES] =
    [const { Mutex::new(FreeList(std::ptr::null_mut())) }; CLASSES];
static SYSTEM_REQUESTS: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// How much memory the pool holds and hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// How often the pool asked the system for a block, since the program began.
    pub system_requests: usize,
    /// Bytes taken from the system, in use or waiting to be used again.
    pub held: usize,
    /// Bytes in blocks that buffers use now.
    pub in_use: usize,
    /// The most that was in use at one time since [`reset_peak`].
    pub peak: usize,
}

/// The state of the pool.
pub fn pool_stats() -> PoolStats {
    PoolStats {
        system_requests: SYSTEM_REQUESTS.load(Ordering::Relaxed),
        held: HELD.load(Ordering::Relaxed),
        in_use: IN_USE.load(Ordering::Relaxed),
        peak: PEAK.load(Ordering::Relaxed),
    }
}

/// Starts the measurement of [`PoolStats::peak`] anew.
pub fn reset_peak() {
    PEAK.store(IN_USE.load(Ordering::Relaxed), Ordering::Relaxed);
}

fn layout(class: usize) -> Layout {
    let bytes = bytes_of(class);
    let align = if bytes >= HUGE { HUGE } else { 64 };
    // SAFETY: the alignment is a power of two, and classes end far below isize::MAX.
    unsafe { Layout::from_size_align_unchecked(bytes, align) }
}

/// A block of at least `bytes` bytes of data with one reference; its contents are initialised but unspecified.
fn take(bytes: usize) -> NonNull<Header> {
    let class =
        class_of(bytes.checked_add(HEADER).expect("a buffer larger than the address space"));
    assert!(class < CLASSES, "a buffer of {bytes} bytes is larger than any machine's memory");
    let size = bytes_of(class);
    let in_use = IN_USE.fetch_add(size, Ordering::Relaxed) + size;
    PEAK.fetch_max(in_use, Ordering::Relaxed);
    let mut free = FREE[class].lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(block) = NonNull::new(free.0) {
        // SAFETY: blocks in the list are valid, and ours alone once unlinked under the lock.
        unsafe {
            free.0 = (*block.as_ptr()).next;
            (*block.as_ptr()).refs.store(1, Ordering::Relaxed);
        }
        return block;
    }
    drop(free);
    from_system(class)
}

#[cold]
fn from_system(class: usize) -> NonNull<Header> {
    let layout = layout(class);
    SYSTEM_REQUESTS.fetch_add(1, Ordering::Relaxed);
    HELD.fetch_add(layout.size(), Ordering::Relaxed);
    // SAFETY: the layout's size is not zero.
    let raw = unsafe { alloc(layout) };
    let Some(block) = NonNull::new(raw.cast::<Header>()) else { handle_alloc_error(layout) };
    #[cfg(target_os = "linux")]
    if layout.size() >= HUGE {
        // SAFETY: the range is ours and aligned to 2 MiB; the advice changes how it is backed, not what it holds.
        unsafe { libc::madvise(raw.cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
    // SAFETY: the block is ours and of this size. Zeroes are a valid value of every Element, so the contents are initialised.
    unsafe {
        std::ptr::write_bytes(raw, 0, layout.size());
        block.write(Header { refs: AtomicUsize::new(1), class, next: std::ptr::null_mut() });
    }
    block
}

fn give_back(block: NonNull<Header>) {
    // SAFETY: the caller held the last reference, so the block is ours alone; the lock guards the list.
    unsafe {
        let class = block.as_ref().class;
        IN_USE.fetch_sub(bytes_of(class), Ordering::Relaxed);
        let mut free = FREE[class].lock().unwrap_or_else(PoisonError::into_inner);
        (*block.as_ptr()).next = free.0;
        free.0 = block.as_ptr();
    }
}

/// Returns every block that waits in the pool to the system.
pub fn release_free_blocks() {
    for (class, list) in FREE.iter().enumerate() {
        let mut free = list.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(block) = NonNull::new(free.0) {
            // SAFETY: the block is in the list, so nobody uses it; it was allocated with this class's layout.
            unsafe {
                free.0 = block.as_ref().next;
                dealloc(block.as_ptr().cast(), layout(class));
            }
            HELD.fetch_sub(bytes_of(class), Ordering::Relaxed);
        }
    }
}

/// A reference-counted slice of numbers from the pool: cheap to clone, written in place while not shared.
pub struct Buffer<T: Element> {
    block: NonNull<Header>,
    len: usize,
    of: PhantomData<T>,
}

// SAFETY: a Buffer gives shared access to plain numbers; exclusive access needs an unshared block.
unsafe impl<T: Element> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for Buffer<T> {}

impl<T: Element> Buffer<T> {
    /// A buffer of `len` numbers whose values are unspecified: whatever its memory held before.
    pub fn dirty(len: usize) -> Self {
        let bytes =
            len.checked_mul(size_of::<T>()).expect("a buffer larger than the address space");
        Buffer { block: take(bytes), len, of: PhantomData }
    }

    /// A buffer of `len` copies of `value`.
    pub fn filled(len: usize, value: T) -> Self {
        let mut buffer = Self::dirty(len);
        buffer.make_mut().fill(value);
        buffer
    }

    /// A buffer of `len` zeroes.
    pub fn zeroed(len: usize) -> Self {
        Self::filled(len, T::default())
    }

    /// A copy of `data`.
    pub fn from_slice(data: &[T]) -> Self {
        let mut buffer = Self::dirty(data.len());
        buffer.make_mut().copy_from_slice(data);
        buffer
    }

    /// Whether no other buffer shares this one's memory.
    pub fn is_unique(&self) -> bool {
        // SAFETY: the block lives as long as this reference to it.
        unsafe { self.block.as_ref() }.refs.load(Ordering::Acquire) == 1
    }

    /// The numbers for writing; if they are shared, they are copied first.
    pub fn make_mut(&mut self) -> &mut [T] {
        if !self.is_unique() {
            *self = Self::from_slice(self);
        }
        // SAFETY: the block is not shared and we are borrowed mutably; it holds `len` initialised values.
        unsafe { std::slice::from_raw_parts_mut(self.data(), self.len) }
    }

    fn data(&self) -> *mut T {
        // SAFETY: the data follows the header within the block.
        unsafe { self.block.as_ptr().cast::<u8>().add(HEADER).cast() }
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the block holds `len` initialised values, and nobody writes while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.data(), self.len) }
    }
}

impl<T: Element> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        // SAFETY: the block lives as long as this reference to it.
        unsafe { self.block.as_ref() }.refs.fetch_add(1, Ordering::Relaxed);
        Buffer { block: self.block, len: self.len, of: PhantomData }
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: the block lives as long as this reference to it.
        if unsafe { self.block.as_ref() }.refs.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            give_back(self.block);
        }
    }
}

impl<T: Element> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_promise() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, 3 << 30]) {
            let class = class_of(bytes);
            assert!(bytes_of(class) >= bytes, "{bytes}");
            assert!(class == 0 || bytes_of(class - 1) < bytes, "{bytes}");
        }
    }

    #[test]
    fn shared_buffers_are_copied_before_they_are_written() {
        let mut a = Buffer::from_slice(&[1.0f32, 2.0, 3.0]);
        let b = a.clone();
        a.make_mut()[0] = 9.0;
        assert_eq!((&a[..], &b[..]), (&[9.0, 2.0, 3.0][..], &[1.0, 2.0, 3.0][..]));
        let before = a.as_ptr();
        a.make_mut()[1] = 8.0;
        assert_eq!(a.as_ptr(), before, "an unshared buffer is written in place");
    }

    #[test]
    fn blocks_are_aligned_and_used_again() {
        let first = Buffer::<f64>::zeroed(123_457);
        assert_eq!(first.as_ptr() as usize % 64, 0);
        let address = first.as_ptr();
        drop(first);
        let again: Vec<Buffer<f64>> = (0..8).map(|_| Buffer::dirty(123_456)).collect();
        assert!(again.iter().any(|b| b.as_ptr() == address));
    }

    #[test]
    fn empty_and_odd_sizes_work() {
        for len in [0, 1, 7, 31, 33] {
            let b = Buffer::filled(len, 5u8);
            assert!(b.len() == len && b.iter().all(|v| *v == 5));
        }
    }
}
