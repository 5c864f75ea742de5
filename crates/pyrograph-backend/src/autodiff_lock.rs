//! One differentiated computation at a time.

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};

static ONE_AT_A_TIME: ReentrantMutex<()> = ReentrantMutex::new(());

/// Held by [`lock_autodiff`]'s caller; other threads wait for it to be dropped.
#[must_use = "the lock is let go when this is dropped"]
pub struct AutodiffLock(#[expect(dead_code, reason = "held")] ReentrantMutexGuard<'static, ()>);

/// Takes the process's turn to differentiate: hold it from the forward pass to the end of `backward`.
///
/// In burn 0.21 the end of every `backward` sweeps all graphs of the process, those that another thread is just building
/// with them, and a gradient there is then missing or wrong (tracel-ai/burn#5573). The training loops and gradient checks
/// of pyrograph take this lock, so they can run side by side; code that differentiates on several threads by itself needs it
/// as well. A thread may take it again while it holds it. Not for closures that run on rayon's workers: a worker that waits inside a
/// kernel may be handed another such closure.
///
/// ```
/// # mod pyrograph {
/// #     pub use burn;
/// #     pub mod backend { pub use pyrograph_backend::*; pub use burn_flex::Flex; }
/// # }
/// # #[cfg(feature = "flex")] {
/// use pyrograph::burn::{backend::Autodiff, tensor::Tensor};
/// use pyrograph::backend::lock_autodiff;
///
/// type B = Autodiff<pyrograph::backend::Flex>;
/// let x = Tensor::<B, 1>::from_floats([3.0], &Default::default()).require_grad();
/// let gradients = {
///     let _turn = lock_autodiff();
///     (x.clone() * x.clone()).backward()
/// };
/// assert_eq!(x.grad(&gradients).unwrap().into_scalar(), 6.0);
/// # }
/// ```
pub fn lock_autodiff() -> AutodiffLock {
    AutodiffLock(ONE_AT_A_TIME.lock())
}
