//! Eigenvectors of small symmetric matrices.

/// Sweeps over all pairs; a dozen are enough for any matrix, as the last ones converge quadratically.
const SWEEPS: usize = 30;
/// Entries beside the diagonal that are this much smaller than the matrix are zero.
const NEGLIGIBLE: f64 = 1e-15;

/// The eigenvalues of a symmetric matrix, the largest first, and their eigenvectors of length 1.
///
/// `matrix` holds `size` rows of `size` values. By Jacobi's method: rotations in the plane of two
/// rows that bring their common entry to zero, until all entries beside the diagonal are (Golub and
/// Van Loan 2013, section 8.5).
pub(super) fn symmetric_eigen(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let unit = |index| (0..size).map(move |column| f64::from(u8::from(column == index)));
    let mut vectors: Vec<Vec<f64>> = (0..size).map(|index| unit(index).collect()).collect();
    let norm = matrix.iter().map(|value| value * value).sum::<f64>().sqrt();
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..size {
            for q in p + 1..size {
                if matrix[p * size + q].abs() > NEGLIGIBLE * norm {
                    rotate(&mut matrix, &mut vectors, p, q);
                    rotated = true;
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    let value = |index: usize| matrix[index * size + index];
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
    let values = order.iter().map(|&index| value(index)).collect();
    let vectors = order.iter().map(|&i| std::mem::take(&mut vectors[i]));
    (values, vectors.collect())
}

/// Brings the entry of rows `p` and `q` to zero.
fn rotate(matrix: &mut [f64], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    let size = vectors.len();
    let theta = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * matrix[p * size + q]);
    // The smaller of the two angles that do it.
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    let turn = |a: f64, b: f64| (cosine * a - sine * b, sine * a + cosine * b);
    for k in 0..size {
        let (a, b) = turn(matrix[k * size + p], matrix[k * size + q]);
        (matrix[k * size + p], matrix[k * size + q]) = (a, b);
    }
    for k in 0..size {
        let (a, b) = turn(matrix[p * size + k], matrix[q * size + k]);
        (matrix[p * size + k], matrix[q * size + k]) = (a, b);
    }
    // `p` is below `q`.
    let (before, from_q) = vectors.split_at_mut(q);
    for (a, b) in before[p].iter_mut().zip(&mut from_q[0]) {
        (*a, *b) = turn(*a, *b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_matrix_of_two_rows_has_the_eigenvalues_of_its_polynomial() {
        let (values, vectors) = symmetric_eigen(vec![2.0, 1.0, 1.0, 2.0], 2);
        assert!((values[0] - 3.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15);
        assert!((vectors[0][0] - vectors[0][1]).abs() < 1e-15);
    }

    #[test]
    fn a_diagonal_matrix_is_only_sorted() {
        let (values, vectors) = symmetric_eigen(vec![1.0, 0.0, 0.0, 5.0], 2);
        assert_eq!(values, [5.0, 1.0]);
        assert_eq!(vectors, [[0.0, 1.0], [1.0, 0.0]]);
        assert_eq!(symmetric_eigen(vec![0.0; 9], 3).0, [0.0; 3]);
    }

    proptest! {
        #[test]
        fn eigenvectors_are_stretched_and_orthonormal(
            (size, half) in (1_usize..9).prop_flat_map(|size| {
                (Just(size), proptest::collection::vec(-1_f64..1.0, size * size))
            }),
        ) {
            let entry = |row: usize, column: usize| half[row * size + column] + half[column * size + row];
            let matrix = (0..size * size).map(|i| entry(i / size, i % size)).collect();
            let (values, vectors) = symmetric_eigen(matrix, size);
            prop_assert!(values.is_sorted_by(|a, b| a >= b));
            for (index, vector) in vectors.iter().enumerate() {
                for row in 0..size {
                    let stretched: f64 = (0..size).map(|k| entry(row, k) * vector[k]).sum();
                    prop_assert!((stretched - values[index] * vector[row]).abs() < 1e-12);
                }
                for (other, there) in vectors.iter().enumerate() {
                    let product: f64 = vector.iter().zip(there).map(|(a, b)| a * b).sum();
                    let expected = f64::from(u8::from(index == other));
                    prop_assert!((product - expected).abs() < 1e-12);
                }
            }
        }
    }
}
