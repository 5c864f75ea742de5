//! Memory of each thread that is used again and again, so that a loop over layers allocates nothing of weight.

use std::cell::RefCell;

thread_local! {
    static KEPT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` on `count` values of this thread's memory. What they hold is left over from earlier use.
pub(super) fn with<R>(count: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken, not borrowed: a body that comes back here finds nothing kept and allocates.
    let mut kept = KEPT.take();
    if kept.len() < count {
        kept.resize(count, 0.0);
    }
    let result = body(&mut kept[..count]);
    KEPT.set(kept);
    result
}
