//! How much memory lies ready for the next tensor.

use std::sync::atomic::{AtomicUsize, Ordering};

/// 768 MiB: what a step of Stable Diffusion at 512² takes up and gives back.
static BYTES: AtomicUsize = AtomicUsize::new(3 << 28);

/// Sets how many bytes of dropped tensors Flex keeps for the next ones, for the whole process from here on; 768 MiB by default.
///
/// A loop over layers then allocates nothing of weight after its first round. What lies beyond a lower bound is freed at once; while
/// a network computes, as much is kept beside its tensors as makes up the most that they took together, so that its peak is the same
/// with any bound. Other backends have memory pools of their own.
pub fn set_buffer_cache(bytes: usize) {
    BYTES.store(bytes, Ordering::Relaxed);
    #[cfg(feature = "flex")]
    super::flex::trim_buffers();
}

/// What [`set_buffer_cache`] has last been told.
pub fn buffer_cache() -> usize {
    BYTES.load(Ordering::Relaxed)
}
