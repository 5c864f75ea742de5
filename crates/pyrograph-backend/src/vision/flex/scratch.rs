//! Memory of each thread that is used again and again, so that a loop over layers allocates nothing of weight.

use std::cell::RefCell;

use bytemuck::{AnyBitPattern, NoUninit};

use super::buffers::{LINE, before_line, zeros};

thread_local! {
    /// One for each depth of use within use, the outermost last.
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` on `count` values of this thread's memory, from the beginning of a line of the cache on. What they hold is left over
/// from earlier use.
pub(super) fn with<R>(count: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut kept = KEPT.with_borrow_mut(|kept| kept.pop()).unwrap_or_default();
    if kept.len() < count + LINE {
        kept = zeros(count + LINE);
    }
    let first = before_line(&kept);
    let result = body(&mut kept[first..][..count]);
    KEPT.with_borrow_mut(|all| all.push(kept));
    result
}

/// [`with`] for other plain numbers of at most the size of f32.
pub(super) fn with_numbers<T: AnyBitPattern + NoUninit, R>(
    count: usize,
    body: impl FnOnce(&mut [T]) -> R,
) -> R {
    let floats = (count * size_of::<T>()).div_ceil(size_of::<f32>());
    with(floats, |memory| {
        body(&mut bytemuck::cast_slice_mut(memory)[..count])
    })
}

/// [`with`] for several pieces at once, each from the beginning of a line on.
pub(super) fn with_pieces<const N: usize, R>(
    sizes: [usize; N],
    body: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    let lines = |size: usize| size.next_multiple_of(LINE);
    with(sizes.iter().map(|size| lines(*size)).sum(), |memory| {
        let mut rest = memory;
        body(sizes.map(|size| {
            let (piece, after) = std::mem::take(&mut rest).split_at_mut(lines(size));
            rest = after;
            &mut piece[..size]
        }))
    })
}
