//! One layer's factors, and their product.

use crate::weights::TensorEntry;

/// The factors of a layer's change.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) down: Option<TensorEntry>,
    pub(super) up: Option<TensorEntry>,
    pub(super) mid: Option<TensorEntry>,
    pub(super) alpha: Option<f64>,
}

/// A change of a weight as the product of two matrices.
pub(super) struct Product {
    /// [rows, rank], scaled.
    up: Vec<f32>,
    /// [rank, columns].
    down: Vec<f32>,
    rank: usize,
}

impl Layer {
    /// The rank that alpha is divided by.
    pub(super) fn rank(&self) -> usize {
        self.down
            .as_ref()
            .and_then(|down| down.shape().first().copied())
            .unwrap_or(1)
    }

    /// The change of a weight of the shape `weight`, times `scale`.
    ///
    /// A linear layer's is up · down. A convolution's down has its kernel, and up is 1×1; where mid
    /// has the kernel, down is 1×1.
    pub(super) fn product(&self, weight: &[usize], scale: f64) -> Result<Product, String> {
        let (Some(down), Some(up)) = (&self.down, &self.up) else {
            return Err(format!(
                "lacks its {}",
                if self.up.is_none() {
                    "up weight"
                } else {
                    "down weight"
                }
            ));
        };
        let rows = weight.first().copied().unwrap_or_default();
        let columns: usize = weight.iter().skip(1).product();
        let mismatch = || {
            let mid = self
                .mid
                .as_ref()
                .map_or(String::new(), |mid| format!(", mid {:?}", mid.shape()));
            format!(
                "has down {:?}{mid} and up {:?}, but the weight is {weight:?}",
                down.shape(),
                up.shape()
            )
        };
        let (matrix, rank) = match &self.mid {
            None => (down.to_f32(), self.rank()),
            Some(mid) => (with_kernel(down, mid).ok_or_else(mismatch)?, mid.shape()[0]),
        };
        let fits = rank > 0 && up.shape().first() == Some(&rows) && up.count() == rows * rank;
        if !fits
            || matrix.len() != rank * columns
            || !same_kernel(self.mid.as_ref().unwrap_or(down), weight)
        {
            return Err(mismatch());
        }
        let scale = scale as f32;
        Ok(Product {
            up: up.to_f32().into_iter().map(|value| scale * value).collect(),
            down: matrix,
            rank,
        })
    }
}

/// Whether a factor with a kernel has the weight's; 1×1 kernels may be left out.
fn same_kernel(factor: &TensorEntry, weight: &[usize]) -> bool {
    let kernel = |shape: &[usize]| shape.iter().skip(2).copied().collect::<Vec<_>>();
    let is_point = |kernel: &[usize]| kernel.iter().all(|side| *side == 1);
    let (ours, theirs) = (kernel(factor.shape()), kernel(weight));
    ours == theirs || (is_point(&ours) && is_point(&theirs))
}

/// mid [out rank, in rank, …kernel] over down [in rank, channels, 1, 1]: [out rank, channels · kernel].
fn with_kernel(down: &TensorEntry, mid: &TensorEntry) -> Option<Vec<f32>> {
    let (&[outer, inner, ref kernel @ ..], &[rows, channels, ref point @ ..]) =
        (mid.shape(), down.shape())
    else {
        return None;
    };
    if rows != inner || point.iter().any(|side| *side != 1) {
        return None;
    }
    let places: usize = kernel.iter().product();
    let (mid, down) = (mid.to_f32(), down.to_f32());
    let mut matrix = vec![0.0; outer * channels * places];
    for (o, row) in matrix.chunks_mut((channels * places).max(1)).enumerate() {
        for i in 0..inner {
            let kernel = &mid[(o * inner + i) * places..][..places];
            for (channel, out) in row.chunks_mut(places.max(1)).enumerate() {
                let factor = down[i * channels + channel];
                out.iter_mut()
                    .zip(kernel)
                    .for_each(|(out, value)| *out += factor * value);
            }
        }
    }
    Some(matrix)
}

impl Product {
    /// Adds row `row` of the product to `sum`.
    pub(super) fn add_row(&self, row: usize, sum: &mut [f32]) {
        let factors = &self.up[row * self.rank..][..self.rank];
        for (factor, down) in factors.iter().zip(self.down.chunks(sum.len().max(1))) {
            sum.iter_mut()
                .zip(down)
                .for_each(|(sum, value)| *sum += factor * value);
        }
    }
}
