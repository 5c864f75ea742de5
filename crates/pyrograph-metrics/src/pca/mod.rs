//! Principal components, a simple baseline for anomaly detection.
//!
//! [`subspace`] finds the components, with the products of [`scatter`] and the small eigenvalue
//! problems of [`eigen`].

mod eigen;
mod scatter;
mod subspace;

use crate::MetricsError;
use crate::check::item_count;
use crate::lanes::dot;
use crate::parallel::fill_blocks;
use scatter::Scatter;
use subspace::leading;

/// Items that one thread takes at a time.
const BLOCK: usize = 8;

/// The principal components of a set of images. The residual of other images is a baseline for
/// anomaly detection: an image unlike the fitted ones has a large residual.
///
/// With the mean μ of the items and the matrix V of the leading eigenvectors of their covariance as
/// rows (Pearson 1901, <https://doi.org/10.1080/14786440109462720>)
///
/// twin(x) = μ + Vᵀ V (x − μ), residual(x) = ‖x − twin(x)‖₂
///
/// as `inverse_transform(transform(x))` of scikit-learn's `PCA` without whitening. The result
/// depends only on the arguments.
///
/// ```
/// # mod pyrograph { pub use pyrograph_metrics as metrics; }
/// use pyrograph::metrics::Pca;
///
/// # fn main() -> Result<(), pyrograph::metrics::MetricsError> {
/// // Items on a line in the plane, and two to judge: one on the line, one at a distance of 1.
/// let pca = Pca::fit(&[0.0, 0.0, 3.0, 4.0, 6.0, 8.0], 2, 1)?;
/// let residuals = pca.residual_norms(&[1.5, 2.0, 0.8, -0.6])?;
/// assert!(residuals[0] < 1e-5 && (residuals[1] - 1.0).abs() < 1e-5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    dim: usize,
    mean: Vec<f32>,
    /// Component after component, `dim` values each.
    components: Vec<f32>,
    explained_variance: Vec<f64>,
}

impl Pca {
    /// Finds the `components` directions in which the items vary most, by subspace iteration in
    /// f32: residuals agree with those of an exact decomposition to a thousandth. It needs memory
    /// for a second copy of `values`.
    ///
    /// `values` holds item after item, `dim` values each; n items allow up to min(n − 1, `dim`)
    /// components. Directions in which the items do not vary (by less than a millionth of the
    /// variance along the first) are dropped, so there can be fewer components than requested.
    ///
    /// # Errors
    /// [`MetricsError::Empty`], [`MetricsError::Length`], [`MetricsError::Value`] for a set that
    /// does not consist of whole items of values within ±10¹⁵, [`MetricsError::Zero`] for a `dim`
    /// or `components` of 0, [`MetricsError::Components`] for more than the items allow,
    /// [`MetricsError::NoVariance`] if all items are equal.
    pub fn fit(values: &[f32], dim: usize, components: usize) -> Result<Self, MetricsError> {
        let items = item_count("the set to fit", values, dim)?;
        if components == 0 {
            return Err(MetricsError::Zero {
                what: "the number of components",
            });
        }
        let allowed = dim.min(items - 1);
        if components > allowed {
            return Err(MetricsError::Components {
                seen: components,
                items,
                dim,
                allowed,
            });
        }
        let mean = mean(values, dim);
        // Values near 1 keep the squares of the largest and the smallest allowed within f32.
        let centred = centred(values, &mean);
        let scale = centred.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        if scale == 0.0 {
            return Err(MetricsError::NoVariance { items });
        }
        let scaled = centred.into_iter().map(|value| value / scale).collect();
        let found = leading(&Scatter::new(scaled, dim), dim, allowed, components);
        let variance = |sum: &f64| sum * f64::from(scale).powi(2) / (items - 1) as f64;
        let directions = found.directions.iter();
        Ok(Self {
            dim,
            mean,
            components: directions.flat_map(|vector| oriented(vector)).collect(),
            explained_variance: found.sums.iter().map(variance).collect(),
        })
    }

    /// The number of values of an item.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The mean of the items, `dim` values.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The components, one after the other with `dim` values each: orthonormal, with the largest
    /// variance first, and with a positive value of the largest magnitude.
    pub fn components(&self) -> &[f32] {
        &self.components
    }

    /// The variance of the items along each component, with n − 1 in the denominator, in the squared
    /// unit of the values.
    pub fn explained_variance(&self) -> &[f64] {
        &self.explained_variance
    }

    /// The twin of each item: its nearest point in the plane through the mean that the components
    /// span. `values` and the result hold item after item, `dim` values each.
    ///
    /// # Errors
    /// [`MetricsError::Empty`], [`MetricsError::Length`], [`MetricsError::Value`] for a set that does
    /// not consist of whole items of values within ±10¹⁵.
    pub fn reconstruct(&self, values: &[f32]) -> Result<Vec<f32>, MetricsError> {
        item_count("the set to reconstruct", values, self.dim)?;
        let mut twins = vec![0.0; values.len()];
        let work = self.work(values);
        fill_blocks(&mut twins, BLOCK * self.dim, work, |first, twins| {
            let items = values[first..].chunks_exact(self.dim);
            for (twin, item) in twins.chunks_exact_mut(self.dim).zip(items) {
                let residual = self.residual(item);
                let pairs = item.iter().zip(residual);
                twin.iter_mut()
                    .zip(pairs)
                    .for_each(|(twin, (value, residual))| *twin = value - residual);
            }
        });
        Ok(twins)
    }

    /// For each item the L2 norm of the residual, ‖x − twin(x)‖₂, in the unit of the values times
    /// the root of `dim`: higher is more anomalous. `values` holds item after item, `dim` values
    /// each.
    ///
    /// # Errors
    /// Those of [`Pca::reconstruct`].
    pub fn residual_norms(&self, values: &[f32]) -> Result<Vec<f32>, MetricsError> {
        let count = item_count("the set to judge", values, self.dim)?;
        let mut norms = vec![0.0; count];
        fill_blocks(&mut norms, BLOCK, self.work(values), |first, norms| {
            let items = values[first * self.dim..].chunks_exact(self.dim);
            for (norm, item) in norms.iter_mut().zip(items) {
                let residual = self.residual(item);
                *norm = dot(&residual, &residual).sqrt();
            }
        });
        Ok(norms)
    }

    /// x − twin(x). The shares are taken off one after the other, which loses less to rounding than
    /// the difference of two squared lengths would.
    fn residual(&self, item: &[f32]) -> Vec<f32> {
        let mut residual = centred(item, &self.mean);
        for component in self.components.chunks_exact(self.dim) {
            let share = dot(&residual, component);
            let pairs = residual.iter_mut().zip(component);
            pairs.for_each(|(value, direction)| *value -= share * direction);
        }
        residual
    }

    /// Additions and multiplications that `values` take.
    fn work(&self, values: &[f32]) -> usize {
        let components = self.explained_variance.len();
        values.len().saturating_mul(2 * components + 1)
    }
}

/// The mean item, with sums in f64.
fn mean(values: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0; dim];
    for item in values.chunks_exact(dim) {
        for (sum, &value) in sums.iter_mut().zip(item) {
            *sum += f64::from(value);
        }
    }
    let items = (values.len() / dim) as f64;
    sums.iter().map(|sum| (sum / items) as f32).collect()
}

fn centred(values: &[f32], mean: &[f32]) -> Vec<f32> {
    let items = values.chunks_exact(mean.len());
    items
        .flat_map(|item| item.iter().zip(mean).map(|(value, mean)| value - mean))
        .collect()
}

/// The direction or its opposite, whichever has its largest value positive, as in scikit-learn.
fn oriented(direction: &[f64]) -> impl Iterator<Item = f32> + '_ {
    let largest = direction.iter().fold(0.0_f64, |largest, &value| {
        if value.abs() > largest.abs() {
            value
        } else {
            largest
        }
    });
    direction
        .iter()
        .map(move |value| (value * largest.signum()) as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_explained_by_one_component() {
        let line = [0.0, 0.0, 3.0, 4.0, 6.0, 8.0];
        let pca = Pca::fit(&line, 2, 1).unwrap();
        assert_eq!((pca.dim(), pca.mean()), (2, [3.0, 4.0].as_slice()));
        assert!((pca.components()[0] - 0.6).abs() < 1e-6);
        assert!((pca.components()[1] - 0.8).abs() < 1e-6);
        // 25 and 25 over two.
        assert!((pca.explained_variance()[0] - 25.0).abs() < 1e-4);
        let twins = pca.reconstruct(&[0.8, -0.6]).unwrap();
        assert!(twins.iter().all(|value| value.abs() < 1e-5), "{twins:?}");
    }

    #[test]
    fn items_that_vary_in_fewer_directions_have_fewer_components() {
        let items: Vec<f32> = (0..9)
            .flat_map(|x| [x as f32, 2.0 * x as f32, 1.0])
            .collect();
        let pca = Pca::fit(&items, 3, 3).unwrap();
        assert_eq!(pca.explained_variance().len(), 1);
        assert_eq!(pca.components().len(), 3);
    }

    #[test]
    fn very_large_and_very_small_values_are_fitted() {
        for scale in [1e15_f32, 1e-30] {
            let items = [0.0, 0.0, 0.6, 0.8, -0.6, -0.8].map(|value| value * scale);
            let pca = Pca::fit(&items, 2, 1).unwrap();
            assert!((pca.components()[0] - 0.6).abs() < 1e-6, "{scale}");
            let residuals = pca.residual_norms(&items).unwrap();
            assert!(residuals.iter().all(|norm| *norm <= 1e-6 * scale));
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused_and_named() {
        let many = Pca::fit(&[0.0, 1.0, 2.0, 3.0], 2, 2).unwrap_err();
        assert_eq!(
            many.to_string(),
            "2 components of 2 items of 2 values: allowed are 1 to 1, one less than the items and \
             at most the values"
        );
        assert!(matches!(
            Pca::fit(&[0.0; 4], 2, 0),
            Err(MetricsError::Zero { .. })
        ));
        assert!(matches!(
            Pca::fit(&[1.0; 6], 2, 1),
            Err(MetricsError::NoVariance { items: 3 })
        ));
        assert!(matches!(
            Pca::fit(&[1.0; 2], 2, 1),
            Err(MetricsError::Components { allowed: 0, .. })
        ));
        assert!(matches!(
            Pca::fit(&[0.0, f32::NAN], 1, 1),
            Err(MetricsError::Value { item: 1, .. })
        ));
        let pca = Pca::fit(&[0.0, 1.0, 2.0, 4.0], 2, 1).unwrap();
        assert!(matches!(
            pca.residual_norms(&[0.0; 3]),
            Err(MetricsError::Length { .. })
        ));
        assert!(pca.reconstruct(&[]).is_err());
    }

    fn set() -> impl Strategy<Value = (Vec<f32>, usize)> {
        (2_usize..30, 1_usize..12).prop_flat_map(|(items, dim)| {
            let values = proptest::collection::vec(-1_f32..1.0, items * dim);
            (values, Just(dim))
        })
    }

    proptest! {
        #[test]
        fn components_are_orthonormal_and_all_of_them_explain_everything((values, dim) in set()) {
            let components = dim.min(values.len() / dim - 1);
            let pca = Pca::fit(&values, dim, components).unwrap();
            let rows: Vec<&[f32]> = pca.components().chunks(dim).collect();
            for (index, row) in rows.iter().enumerate() {
                for (other, there) in rows.iter().enumerate() {
                    let expected = f32::from(u8::from(index == other));
                    prop_assert!((dot(row, there) - expected).abs() < 1e-5);
                }
            }
            prop_assert!(pca.explained_variance().is_sorted_by(|a, b| a >= b));
            for norm in pca.residual_norms(&values).unwrap() {
                prop_assert!(norm < 2e-2, "{}", norm);
            }
        }

        #[test]
        fn residuals_are_the_distances_from_the_twins((values, dim) in set()) {
            let pca = Pca::fit(&values, dim, 1).unwrap();
            let twins = pca.reconstruct(&values).unwrap();
            let norms = pca.residual_norms(&values).unwrap();
            let pairs = values.chunks(dim).zip(twins.chunks(dim));
            for ((item, twin), norm) in pairs.zip(norms) {
                let squares: f32 = item.iter().zip(twin).map(|(a, b)| (a - b).powi(2)).sum();
                prop_assert!((squares.sqrt() - norm).abs() < 1e-5);
            }
        }
    }
}
