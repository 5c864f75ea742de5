//! How much memory lies ready for the next tensor, and how much prepared weights take.

use std::sync::atomic::{AtomicUsize, Ordering};

/// 1 GiB: what the decoder of Stable Diffusion's VAE takes up and gives back at 512².
static BYTES: AtomicUsize = AtomicUsize::new(1 << 30);

/// Sets how many `bytes` of dropped tensors Flex keeps for later tensors, for the whole process; 1 GiB by default.
///
/// A loop over layers then allocates almost nothing after its first round, and a pass little that the one before it
/// had: the memory stays with the process. While a network computes, Flex may keep more than `bytes`: as much as live
/// tensors and kept memory together stay below the peak of the live tensors. Other backends have memory pools of their
/// own.
pub fn set_buffer_cache(bytes: usize) {
    BYTES.store(bytes, Ordering::Relaxed);
    #[cfg(feature = "flex")]
    super::flex::trim_buffers();
}

/// What [`set_buffer_cache`] has last been told.
pub fn buffer_cache() -> usize {
    BYTES.load(Ordering::Relaxed)
}

/// 512 MiB: room for the transformed kernels of SSD300 on VGG16, 36 values for each of 2.5 million pairs of channels.
static PREPARED: AtomicUsize = AtomicUsize::new(1 << 29);

/// Sets how many `bytes` the forms of [`PreparedWeights`](super::PreparedWeights) take beside the weights, for the whole
/// process; 512 MiB by default. The form of a weight in a mapped file counts with what it takes beyond the weight. A
/// layer whose form has no room makes it in every pass, and with 0 no layer keeps one. Forms that exist stay.
pub fn set_prepared_bytes(bytes: usize) {
    PREPARED.store(bytes, Ordering::Relaxed);
}

/// What [`set_prepared_bytes`] has last been told.
pub fn prepared_bytes() -> usize {
    PREPARED.load(Ordering::Relaxed)
}
