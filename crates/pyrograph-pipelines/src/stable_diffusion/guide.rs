//! Guidance of one picture's two rows.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionBackend;

/// Where guidance leads, and how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Guidance {
    /// The weight of the difference between the conditional and the unconditional output.
    pub(super) scale: f64,
    /// Share of the result that is rescaled to the conditional output's standard deviation.
    pub(super) rescale: f64,
}

impl Guidance {
    /// The guided output: `u + w (c − u)`, then `φ · std(c)/std(guided) + (1 − φ)` times that, as in "Common Diffusion Noise
    /// Schedules and Sample Steps are Flawed" (Lin et al., 2023), section 3.4.
    ///
    /// # Shapes
    /// All are [1, channels, height, width].
    pub(super) fn apply<B: VisionBackend>(
        self,
        unconditional: Tensor<B, 4>,
        conditional: Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let difference = conditional.clone() - unconditional.clone();
        let guided = unconditional + difference.mul_scalar(self.scale);
        if self.rescale == 0.0 {
            return guided;
        }
        let ratio = deviation(conditional) / deviation(guided.clone());
        let factor = ratio
            .mul_scalar(self.rescale)
            .add_scalar(1.0 - self.rescale);
        guided * factor
    }
}

/// The standard deviation over a row: [1, 1, 1, 1].
fn deviation<B: VisionBackend>(row: Tensor<B, 4>) -> Tensor<B, 4> {
    let count = row.shape().num_elements();
    let flat: Tensor<B, 2> = row.reshape([1, count]);
    flat.var(1).sqrt().reshape([1, 1, 1, 1])
}
