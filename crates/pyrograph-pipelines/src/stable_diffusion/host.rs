//! Latents on the host.

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::rng::host_tensor;

use crate::PipelineError;

/// Latents of several images on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    /// [images, channels, height, width].
    pub shape: [usize; 4],
    /// The values in row-major order.
    pub values: Vec<f32>,
}

impl Latents {
    /// The latents of image `place` on a device.
    pub(super) fn of_image<B: Backend>(&self, place: usize, device: &B::Device) -> Tensor<B, 4> {
        let [_, channels, height, width] = self.shape;
        let count = channels * height * width;
        let values = self.values[place * count..][..count].to_vec();
        host_tensor(values, [1, channels, height, width], device)
    }

    /// Refuses latents of another shape, or with a value that is not finite.
    pub(super) fn check(&self, expected: [usize; 4]) -> Result<(), PipelineError> {
        let count: usize = expected.iter().product();
        if self.shape != expected || self.values.len() != count {
            return Err(PipelineError::Number {
                field: "the shape of the latents",
                seen: format!("{:?}", self.shape),
                allowed: format!("{expected:?}: images, channels, height and width"),
            });
        }
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(PipelineError::Number {
                field: "a value of the latents",
                seen: format!("{} at place {index}", self.values[index]),
                allowed: "finite".into(),
            }),
            None => Ok(()),
        }
    }
}

/// The values of a tensor, read from its device.
pub(super) fn values_of<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
) -> Result<Vec<f32>, PipelineError> {
    let data = tensor
        .try_into_data()
        .map_err(|error| PipelineError::Device(format!("{error:?}")))?;
    Ok(data.iter::<f32>().collect())
}
