//! Products of a set's scatter matrix, which is never formed.

use crate::parallel::fill_blocks;

/// Items that share one pass over the directions.
const ITEMS: usize = 16;
/// Values of an item that are worked on together: those of some thirty directions fit the first
/// cache.
const CHUNK: usize = 128;
/// Directions whose sums run side by side, each in [`LANES`] parts.
const GROUP: usize = 4;
/// Partial sums of a direction.
const LANES: usize = 8;

/// A set of items from which the mean was taken.
#[derive(Clone, Debug)]
pub(super) struct Scatter {
    /// Item after item, `dim` values each.
    centred: Vec<f32>,
    dim: usize,
}

impl Scatter {
    /// `centred` holds item after item of `dim` values, whose mean is 0.
    pub(super) fn new(centred: Vec<f32>, dim: usize) -> Self {
        Self { centred, dim }
    }

    /// XᵀX·q for each direction q of `dim` values, where the rows of X are the items.
    ///
    /// Both products run over the items in memory order and in f32; the results do not depend on
    /// the number of threads.
    pub(super) fn apply(&self, directions: &[Vec<f32>]) -> Vec<Vec<f64>> {
        // Padded with zeros to whole groups and chunks, so that the inner loops have fixed lengths.
        let count = directions.len().next_multiple_of(GROUP);
        let padded = pad(directions, count, self.dim);
        let projections = self.project(&padded, count);
        let chunks = self.dim.div_ceil(CHUNK);
        let mut sums = vec![Vec::new(); chunks];
        let work = self.centred.len().saturating_mul(count);
        fill_blocks(&mut sums, 1, work, |chunk, sums| {
            sums[0] = self.back_project(&projections, count, chunk);
        });
        let of_direction = |index: usize| {
            let values = sums.iter().flat_map(|sums| &sums[index]);
            values.take(self.dim).map(|&value| value.into()).collect()
        };
        (0..directions.len()).map(of_direction).collect()
    }

    /// For each item its `count` products with the directions, `padded` chunk by chunk.
    fn project(&self, padded: &[[f32; CHUNK]], count: usize) -> Vec<f32> {
        let mut projections = vec![0.0; self.centred.len() / self.dim * count];
        let work = self.centred.len().saturating_mul(count);
        fill_blocks(
            &mut projections,
            ITEMS * count,
            work,
            |first, projections| {
                let items = &self.centred[first / count * self.dim..];
                let items = || {
                    items
                        .chunks_exact(self.dim)
                        .zip(0..projections.len() / count)
                };
                let mut sums = vec![[[0.0; LANES]; GROUP]; projections.len() / GROUP];
                for (chunk, directions) in padded.chunks_exact(count).enumerate() {
                    for (item, index) in items() {
                        let values = chunk_of(item, chunk);
                        let sums = &mut sums[index * count / GROUP..][..count / GROUP];
                        for (sums, group) in sums.iter_mut().zip(directions.chunks_exact(GROUP)) {
                            add_products(sums, &values, group);
                        }
                    }
                }
                let sums = sums.iter().flatten();
                for (projection, lanes) in projections.iter_mut().zip(sums) {
                    *projection = lanes.iter().sum();
                }
            },
        );
        projections
    }

    /// For each direction the items' values of one chunk, weighted by their projections and added.
    fn back_project(&self, projections: &[f32], count: usize, chunk: usize) -> Vec<[f32; CHUNK]> {
        let mut sums = vec![[0.0; CHUNK]; count];
        // Groups of items are added up before they reach the sum, for speed and for accuracy.
        let items = self.centred.chunks(GROUP * self.dim);
        for (items, weights) in items.zip(projections.chunks(GROUP * count)) {
            let mut values = [[0.0; CHUNK]; GROUP];
            for (values, item) in values.iter_mut().zip(items.chunks_exact(self.dim)) {
                *values = chunk_of(item, chunk);
            }
            for (index, sum) in sums.iter_mut().enumerate() {
                // The last group may lack items, whose values are then 0.
                let weight = |item: usize| weights.get(item * count + index).copied();
                let weights = std::array::from_fn(|item| weight(item).unwrap_or(0.0));
                add_weighted(sum, &values, weights);
            }
        }
        sums
    }
}

/// `count` directions chunk by chunk, with zeros where there is no direction and no value.
fn pad(directions: &[Vec<f32>], count: usize, dim: usize) -> Vec<[f32; CHUNK]> {
    let chunk = |index: usize| match directions.get(index % count) {
        Some(direction) => chunk_of(direction, index / count),
        None => [0.0; CHUNK],
    };
    (0..dim.div_ceil(CHUNK) * count).map(chunk).collect()
}

/// The values of one chunk, with zeros beyond the last.
fn chunk_of(values: &[f32], chunk: usize) -> [f32; CHUNK] {
    let values = &values[chunk * CHUNK..];
    let mut whole = [0.0; CHUNK];
    let length = values.len().min(CHUNK);
    whole[..length].copy_from_slice(&values[..length]);
    whole
}

/// Adds the products of `values` with each direction of a group to its partial sums.
fn add_products(
    sums: &mut [[f32; LANES]; GROUP],
    values: &[f32; CHUNK],
    directions: &[[f32; CHUNK]],
) {
    // A copy of its own stays in registers.
    let mut running = *sums;
    for start in (0..CHUNK).step_by(LANES) {
        for (running, direction) in running.iter_mut().zip(directions) {
            for lane in 0..LANES {
                running[lane] += values[start + lane] * direction[start + lane];
            }
        }
    }
    *sums = running;
}

fn add_weighted(sum: &mut [f32; CHUNK], values: &[[f32; CHUNK]; GROUP], weights: [f32; GROUP]) {
    let [a, b, c, d] = values;
    for (place, sum) in sum.iter_mut().enumerate() {
        *sum += (weights[0] * a[place] + weights[1] * b[place])
            + (weights[2] * c[place] + weights[3] * d[place]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_product_is_that_of_the_matrices_at_any_size(
            items in 1_usize..40,
            dim in 1_usize..300,
            count in 1_usize..11,
            seed in any::<u64>(),
        ) {
            let mut random = crate::random::Normals::new(seed, 0);
            let mut rows = |rows: usize| -> Vec<Vec<f32>> {
                (0..rows).map(|_| random.direction(dim)).collect()
            };
            let (x, directions) = (rows(items), rows(count));
            let scatter = Scatter::new(x.concat(), dim);
            let product = scatter.apply(&directions);
            prop_assert_eq!(product.len(), count);
            for (direction, product) in directions.iter().zip(product) {
                let mut expected = vec![0.0; dim];
                for item in &x {
                    let pairs = item.iter().zip(direction);
                    let weight: f64 = pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                    for (expected, &value) in expected.iter_mut().zip(item) {
                        *expected += weight * f64::from(value);
                    }
                }
                prop_assert_eq!(product.len(), dim);
                for (seen, expected) in product.iter().zip(expected) {
                    prop_assert!((seen - expected).abs() < 1e-5, "{} {}", seen, expected);
                }
            }
        }
    }
}
