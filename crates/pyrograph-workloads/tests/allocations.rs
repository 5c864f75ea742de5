//! What a loop over steps takes from the allocator.

#![allow(unsafe_code)] // An allocator that counts.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use burn::backend::Autodiff;
use burn_flex::Flex;
use pyrograph_workloads::workloads;

/// What counts as an allocation of weight: a quarter of the 2 MiB that the images of a full-size layer take. The crate `gemm` takes up to
/// 288 KiB at a time to pack a product, and gives them back at once.
const WEIGHT: usize = 1 << 19;

struct Counting;

static ALL: AtomicUsize = AtomicUsize::new(0);
static OF_WEIGHT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALL.fetch_add(layout.size(), Ordering::Relaxed);
        if layout.size() >= WEIGHT {
            OF_WEIGHT.fetch_add(layout.size(), Ordering::Relaxed);
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

/// Bytes that `step` allocates: all of them, and those in pieces of weight.
fn counted(step: &mut impl FnMut()) -> [usize; 2] {
    let counters = [&ALL, &OF_WEIGHT];
    counters
        .iter()
        .for_each(|counter| counter.store(0, Ordering::Relaxed));
    step();
    counters.map(|counter| counter.load(Ordering::Relaxed))
}

#[test]
fn a_sampling_loop_allocates_nothing_of_weight_after_its_first_steps() {
    let all = workloads::<Autodiff<Flex>>(&Default::default());
    let step = all.iter().find(|w| w.name() == "sprites/sample_step/b32");
    let mut step = step.expect("a workload").start();
    let [_, at_first] = counted(&mut step);
    step();
    let [later, later_of_weight] = counted(&mut step);
    println!(
        "{at_first} bytes in pieces of weight in the first step, {later_of_weight} in the third, {later} in all"
    );
    assert!(at_first > 20 << 20, "{at_first} bytes in the first step");
    assert_eq!(later_of_weight, 0, "bytes of weight in the third step");
    assert!(later < 16 << 20, "{later} bytes in the third step");
}
