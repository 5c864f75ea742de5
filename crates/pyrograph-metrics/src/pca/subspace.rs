//! The directions in which a set varies most.

use super::eigen::symmetric_eigen;
use super::scatter::Scatter;
use crate::random::Normals;

/// Directions iterated beside those asked for. Each step shrinks the error of the last direction
/// kept by the ratio of the first variance outside the block to its own.
const SPARE: usize = 12;
/// Steps are taken until the image of each direction misses its multiple by this share.
const TOLERANCE: f64 = 1e-3;
/// The share of the largest variance below which f32 sums tell no direction from another.
const NOISE: f64 = 1e-6;
/// Steps at most. Where neighbouring variances agree so closely that this is reached, either
/// direction explains as much as the other.
const STEPS: usize = 60;
/// Vectors that lose all but this share of their length to the ones before depend on them.
const DEPENDENT: f64 = 1e-10;

/// Orthonormal directions and the sums of squares of the items along them, the largest first.
#[derive(Clone, Debug)]
pub(super) struct Subspace {
    pub(super) directions: Vec<Vec<f64>>,
    pub(super) sums: Vec<f64>,
}

/// The `count` leading eigenvectors of the scatter of items of `dim` values, which span at most
/// `rank` dimensions; fewer where the items vary in fewer directions.
///
/// By subspace iteration with Rayleigh–Ritz projection (Saad 2011, *Numerical Methods for Large
/// Eigenvalue Problems*, algorithm 5.3), from random directions of a fixed seed:
///
/// | here | there |
/// | --- | --- |
/// | `basis` | Q, an orthonormal basis |
/// | `image` | Z = A·Q |
/// | `projected` | B = Qᵀ·A·Q, with eigenvectors Y |
/// | `turned` | the Ritz vectors Q·Y |
pub(super) fn leading(scatter: &Scatter, dim: usize, rank: usize, count: usize) -> Subspace {
    let block = count.saturating_add(SPARE).min(rank);
    let start = |index| Normals::new(0, index as u64).direction(dim);
    let start = (0..block).map(start).map(|direction| widen(&direction));
    let mut basis = orthonormal(start.collect());
    let mut step = 0;
    loop {
        let narrow: Vec<Vec<f32>> = basis.iter().map(|vector| narrow(vector)).collect();
        let image = scatter.apply(&narrow);
        let projected = products(&basis, &image);
        let (sums, rotation) = symmetric_eigen(projected, basis.len());
        let turned = combine(&basis, &rotation);
        let image = combine(&image, &rotation);
        step += 1;
        let largest = sums.first().copied().unwrap_or(0.0);
        let kept = sums.iter().take(count);
        let kept = kept.take_while(|&&sum| sum > NOISE * largest).count();
        let converged = (0..kept).all(|index| {
            let misses = residual(&image[index], &turned[index], sums[index]);
            misses <= TOLERANCE * sums[index] + NOISE * largest
        });
        if converged || step == STEPS {
            let mut subspace = Subspace {
                directions: turned,
                sums,
            };
            subspace.directions.truncate(kept);
            subspace.sums.truncate(kept);
            return subspace;
        }
        basis = orthonormal(image);
    }
}

/// ‖A·v − λ·v‖.
fn residual(image: &[f64], vector: &[f64], value: f64) -> f64 {
    let pairs = image.iter().zip(vector);
    pairs
        .map(|(image, vector)| (image - value * vector).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// All products of a vector of `a` with one of `b`, made symmetric: rounding in `b` is not.
fn products(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<f64> {
    let size = a.len();
    let product = |index: usize| {
        let (row, column) = (index / size, index % size);
        (dot(&a[row], &b[column]) + dot(&a[column], &b[row])) / 2.0
    };
    (0..size * size).map(product).collect()
}

/// For each row of weights the sum of the vectors by its weights.
fn combine(vectors: &[Vec<f64>], weights: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let sum = |weights: &Vec<f64>| {
        let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
        for (vector, &weight) in vectors.iter().zip(weights) {
            add(&mut sum, vector, weight);
        }
        sum
    };
    weights.iter().map(sum).collect()
}

/// An orthonormal basis of what the vectors span (Gram and Schmidt, each vector twice, which is
/// enough for full precision); vectors that depend on those before are left out.
fn orthonormal(vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(vectors.len());
    for mut vector in vectors {
        let length = dot(&vector, &vector).sqrt();
        for _ in 0..2 {
            for earlier in &basis {
                let share = dot(&vector, earlier);
                add(&mut vector, earlier, -share);
            }
        }
        let left = dot(&vector, &vector).sqrt();
        if left > DEPENDENT * length {
            vector.iter_mut().for_each(|value| *value /= left);
            basis.push(vector);
        }
    }
    basis
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], vector: &[f64], weight: f64) {
    for (sum, value) in sum.iter_mut().zip(vector) {
        *sum += weight * value;
    }
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basis_leaves_out_what_depends_on_the_vectors_before() {
        let vectors = vec![
            vec![2.0, 0.0, 0.0],
            vec![1.0, 1.0, 0.0],
            vec![3.0, 1.0, 0.0],
            vec![0.0; 3],
        ];
        let basis = orthonormal(vectors);
        assert_eq!(basis.len(), 2);
        assert!((dot(&basis[0], &basis[1])).abs() < 1e-15);
        assert!((dot(&basis[1], &basis[1]) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_axes_of_a_stretched_set_are_found_in_order() {
        // Two items on each axis, at ±1, ±2, ±3.
        let mut items = Vec::new();
        for (axis, reach) in [1.0_f32, 2.0, 3.0].into_iter().enumerate() {
            for sign in [-1.0, 1.0] {
                let mut item = [0.0; 3];
                item[axis] = sign * reach;
                items.extend(item);
            }
        }
        let found = leading(&Scatter::new(items, 3), 3, 3, 2);
        assert_eq!(found.sums.len(), 2);
        for (index, axis, sum) in [(0, 2, 18.0), (1, 1, 8.0)] {
            assert!((found.directions[index][axis].abs() - 1.0).abs() < 1e-6);
            assert!((found.sums[index] - sum).abs() < 1e-4);
        }
    }

    #[test]
    fn directions_without_variance_are_left_out() {
        let items: Vec<f32> = [-1.0, 1.0].iter().flat_map(|x| vec![*x; 5]).collect();
        let found = leading(&Scatter::new(items, 5), 5, 1, 1);
        assert_eq!(found.directions.len(), 1);
        let found = leading(&Scatter::new(vec![0.0; 20], 5), 5, 3, 3);
        assert!(found.directions.is_empty());
    }
}
