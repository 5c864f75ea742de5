//! The distribution that the encoder returns.

use burn::tensor::{Tensor, backend::Backend};

/// The range of a log-variance, fixed by the architecture.
const LOGVAR: [f32; 2] = [-30.0, 20.0];

/// A normal distribution of latents, independent in each value.
#[derive(Clone, Debug)]
pub struct LatentDistribution<B: Backend> {
    /// [batch, latent_channels, height, width]; also the most probable latents.
    pub mean: Tensor<B, 4>,
    /// The logarithm of the variance, clamped to [−30, 20]; as `mean`.
    pub logvar: Tensor<B, 4>,
}

impl<B: Backend> LatentDistribution<B> {
    /// Mean and log-variance stand one after the other along the channels of `moments` [batch,
    /// 2·latent_channels, height, width].
    pub(super) fn from_moments(moments: Tensor<B, 4>) -> Self {
        let [_, both, _, _] = moments.dims();
        let mean = moments.clone().narrow(1, 0, both / 2);
        let logvar = moments.narrow(1, both / 2, both / 2);
        // Not burn's clamp, which may turn NaN into a number.
        let [least, most] = LOGVAR;
        let above = logvar.clone().greater_elem(most);
        let logvar = logvar.mask_fill(above, most);
        let below = logvar.clone().lower_elem(least);
        Self {
            mean,
            logvar: logvar.mask_fill(below, least),
        }
    }

    /// Latents of this distribution: `mean + exp(logvar/2) · noise`, with standard normal `noise`
    /// in the shape of `mean`.
    pub fn sample(&self, noise: Tensor<B, 4>) -> Tensor<B, 4> {
        self.mean.clone() + (self.logvar.clone() * 0.5).exp() * noise
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn log_variances_are_clamped_and_keep_nan() {
        let moments = [0.5, 100.0, -100.0, 3.0, 30.0, f32::NAN];
        let moments = Tensor::<Flex, 1>::from_floats(moments, &Default::default());
        let distribution = LatentDistribution::from_moments(moments.reshape([1, 6, 1, 1]));
        let read = |x: Tensor<Flex, 4>| x.into_data().to_vec::<f32>().expect("f32");
        assert_eq!(read(distribution.mean), [0.5, 100.0, -100.0]);
        let logvar = read(distribution.logvar);
        assert_eq!(logvar[..2], [3.0, 20.0]);
        assert!(logvar[2].is_nan());
    }
}
