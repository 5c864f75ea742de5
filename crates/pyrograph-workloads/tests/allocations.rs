//! What a loop over steps takes from the allocator.

#![allow(unsafe_code)] // An allocator that counts.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use burn::backend::Autodiff;
use burn_flex::Flex;

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);
static TRACE: AtomicBool = AtomicBool::new(false);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        if layout.size() >= 16384 && TRACE.swap(false, Ordering::Relaxed) {
            eprintln!(
                "{} {}",
                layout.size(),
                std::backtrace::Backtrace::force_capture()
            );
            TRACE.store(true, Ordering::Relaxed);
        }
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_sampling_loop_allocates_nothing_of_weight_after_its_first_steps() {
    let all = pyrograph_workloads::workloads::<Autodiff<Flex>>(&Default::default());
    let step = all
        .iter()
        .find(|w| w.name().starts_with("sprites/sample_step"));
    let mut step = step.expect("a workload").start();
    for _ in 0..3 {
        step();
    }
    BYTES.store(0, Ordering::Relaxed);
    LARGEST.store(0, Ordering::Relaxed);
    TRACE.store(std::env::var_os("TRACE").is_some(), Ordering::Relaxed);
    step();
    TRACE.store(false, Ordering::Relaxed);
    let (bytes, largest) = (
        BYTES.load(Ordering::Relaxed),
        LARGEST.load(Ordering::Relaxed),
    );
    assert!(
        bytes < 3 << 19,
        "{bytes} bytes in a step, {largest} at once"
    );
}
