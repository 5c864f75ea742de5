//! Sums over slices in a fixed order that compilers turn into vector instructions.

/// Partial sums that run side by side.
const LANES: usize = 16;

/// The dot product.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_of(a, b, |a, b| a * b)
}

/// The sum of squared differences.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    sum_of(a, b, |a, b| (a - b) * (a - b))
}

/// The sum of `term` over both slices, which have one length. The order of the additions is part
/// of the code, so that the result is the same on every machine.
fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a_blocks.remainder().iter().zip(b_blocks.remainder());
    let tail: f32 = tail.map(|(&a, &b)| term(a, b)).sum();
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in a_blocks.zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    lanes.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_cover_whole_blocks_and_the_tail() {
        let a: Vec<f32> = (0..37).map(|x| x as f32).collect();
        let b = vec![1.0; 37];
        assert_eq!(dot(&a, &b), 666.0);
        let squares: f32 = (0..37).map(|x| (x as f32 - 1.0).powi(2)).sum();
        assert_eq!(squared_distance(&a, &b), squares);
        assert_eq!(dot(&[], &[]), 0.0);
    }
}
