//! Independent pieces of work on several threads.

use std::num::NonZero;
use std::thread;

/// Additions and multiplications below which threads cost more than they save.
const WORTHWHILE: usize = 20_000_000;

/// Fills `results`, in blocks of up to `block` results, by `fill(index of the first result, block)`.
/// The blocks are shared among threads where `work` operations in all make that worthwhile; the
/// results do not depend on it.
pub(crate) fn fill_blocks<T: Send>(
    results: &mut [T],
    block: usize,
    work: usize,
    fill: impl Fn(usize, &mut [T]) + Sync,
) {
    let available = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = available.min(1 + work / WORTHWHILE);
    let blocks_each = results.len().div_ceil(block).div_ceil(threads).max(1);
    let fill_share = |share_index: usize, share: &mut [T]| {
        for (index, results) in share.chunks_mut(block).enumerate() {
            fill((share_index * blocks_each + index) * block, results);
        }
    };
    if threads == 1 {
        return fill_share(0, results);
    }
    thread::scope(|scope| {
        for (share_index, share) in results.chunks_mut(blocks_each * block).enumerate() {
            let fill_share = &fill_share;
            scope.spawn(move || fill_share(share_index, share));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_is_filled_once_with_or_without_threads() {
        for work in [0, usize::MAX] {
            for length in [0, 1, 7, 64, 1001] {
                let mut results = vec![usize::MAX; length];
                fill_blocks(&mut results, 8, work, |first, block| {
                    for (index, result) in block.iter_mut().enumerate() {
                        *result = first + index;
                    }
                });
                assert_eq!(results, (0..length).collect::<Vec<_>>());
            }
        }
    }
}
