//! The few tensor operations that schedules and samplers are made of. None reads from the device.

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};

use crate::{DiffusionError, Thresholding};

/// A coefficient from a host table: one number for the batch, or one for each item.
pub(crate) enum Factor<B: Backend, const D: usize> {
    Shared(f64),
    /// `[batch, 1, …]`
    PerItem(Tensor<B, D>),
}

impl<B: Backend, const D: usize> Factor<B, D> {
    /// `values` holds one number, or as many as `like` has items.
    pub(crate) fn new(values: &[f64], like: &Tensor<B, D>) -> Self {
        if let [shared] = values {
            return Self::Shared(*shared);
        }
        let mut shape = [1; D];
        shape[0] = values.len();
        let data = TensorData::new(values.to_vec(), shape);
        Self::PerItem(Tensor::from_data(data, (&like.device(), like.dtype())))
    }

    pub(crate) fn times(&self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::Shared(value) => tensor.mul_scalar(*value),
            Self::PerItem(values) => tensor.mul(values.clone()),
        }
    }
}

/// `Σ coefficient · tensor`, leaving out terms whose coefficient is 0 and multiplications by 1.
pub(crate) fn weighted_sum<B: Backend, const D: usize>(
    first: (f64, Tensor<B, D>),
    rest: impl IntoIterator<Item = (f64, Tensor<B, D>)>,
) -> Tensor<B, D> {
    let scaled = |(coefficient, tensor): (f64, Tensor<B, D>)| {
        if coefficient == 1.0 {
            tensor
        } else {
            tensor.mul_scalar(coefficient)
        }
    };
    let rest = rest
        .into_iter()
        .filter(|(coefficient, _)| *coefficient != 0.0);
    match rest.map(scaled).reduce(|sum, term| sum + term) {
        Some(sum) if first.0 == 0.0 => sum,
        Some(sum) => scaled(first) + sum,
        None => scaled(first),
    }
}

/// The tensor in at least single precision: half-precision models are sampled in f32.
pub(crate) fn widened<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(DType::F32),
        _ => tensor,
    }
}

/// The tensor in the given precision.
pub(crate) fn in_dtype<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
    dtype: DType,
) -> Tensor<B, D> {
    if tensor.dtype() == dtype {
        tensor
    } else {
        tensor.cast(dtype)
    }
}

/// Refuses a tensor whose shape is not that of `like`.
pub(crate) fn require_shape<B: Backend, const D: usize>(
    name: &'static str,
    tensor: &Tensor<B, D>,
    like: &Tensor<B, D>,
) -> Result<(), DiffusionError> {
    let (seen, expected) = (tensor.dims(), like.dims());
    if seen == expected {
        return Ok(());
    }
    Err(DiffusionError::Shape {
        name,
        seen: seen.to_vec(),
        expected: expected.to_vec(),
    })
}

/// Dynamic thresholding: clamps each item to `±s` and divides by `s`, the quantile of its magnitudes.
pub(crate) fn dynamic_threshold<B: Backend, const D: usize>(
    x0: Tensor<B, D>,
    thresholding: Thresholding,
) -> Tensor<B, D> {
    let shape = x0.dims();
    let width: usize = shape[1..].iter().product();
    if width == 0 {
        return x0;
    }
    // [batch, all the rest]
    let flat: Tensor<B, 2> = x0.reshape([shape[0], width]);
    let sorted = flat.clone().abs().sort(1);
    let position = thresholding.ratio * (width - 1) as f64;
    let below = position.floor() as usize;
    let share = position - below as f64;
    let low = sorted.clone().narrow(1, below, 1);
    let high = sorted.narrow(1, (below + 1).min(width - 1), 1);
    let quantile = low.clone() + (high - low).mul_scalar(share);
    let limit = quantile.clamp_min(1.0).clamp_max(thresholding.max);
    let clamped = flat
        .min_pair(limit.clone().expand([shape[0], width]))
        .max_pair(limit.clone().neg().expand([shape[0], width]));
    (clamped / limit).reshape(shape)
}
