//! Speed or the last digit.

use std::sync::atomic::{AtomicBool, Ordering};

static EXACT: AtomicBool = AtomicBool::new(false);
static EXACT_PRODUCTS: AtomicBool = AtomicBool::new(false);

/// Whether convolutions on Flex are computed by their definition alone, for the whole process from here on.
///
/// By default those of 2×2, 3×3 and 4×4 kernels go by Winograd's method where that pays: several times faster, with errors of up to
/// 2e-5 of the output's scale. The definition stays within 2e-6, as burn's own convolutions do. Other backends have one way only.
pub fn set_exact_convolutions(exact: bool) {
    EXACT.store(exact, Ordering::Relaxed);
}

/// What [`set_exact_convolutions`] has last been told.
pub fn exact_convolutions() -> bool {
    EXACT.load(Ordering::Relaxed)
}

/// Whether products with bf16 weights on Flex are those of numbers widened to f32, for the whole process from here on.
///
/// By default a processor that multiplies pairs of bf16 (AVX512-BF16) does so: activations are rounded to bf16 for the
/// product, whose sums are f32. That takes about half the time, with errors of a few thousandths of the output's scale.
/// Convolutions by Winograd's method, processors without such products, and other backends widen in any case.
pub fn set_exact_products(exact: bool) {
    EXACT_PRODUCTS.store(exact, Ordering::Relaxed);
}

/// What [`set_exact_products`] has last been told.
pub fn exact_products() -> bool {
    EXACT_PRODUCTS.load(Ordering::Relaxed)
}
