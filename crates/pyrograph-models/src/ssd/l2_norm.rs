//! The norm of SSD's first feature map.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};

use pyrograph_backend::vision::{self, VisionBackend};

use crate::blocks::ParamInit;

/// The initial scale (Liu et al., 2016, section 3.1).
const SCALE: f32 = 20.0;
/// Divides the channels of each pixel by their Euclidean norm, and multiplies each channel by a
/// learned scale ([ParseNet](https://arxiv.org/abs/1506.04579)): `weight · x / ‖x‖₂`.
#[derive(Module, Debug)]
pub struct L2Norm<B: Backend> {
    /// `[channels]`.
    pub weight: Param<Tensor<B, 1>>,
}

impl<B: Backend> L2Norm<B> {
    /// A norm over `channels`, with the published scale.
    pub fn new(init: &mut ParamInit<'_, B>, channels: usize) -> Self {
        Self {
            weight: init.constant(channels, SCALE),
        }
    }
}

impl<B: VisionBackend> L2Norm<B> {
    /// The norm; a pixel whose channels are all 0 stays 0.
    ///
    /// # Shapes
    /// [batch, channels, height, width] → the same.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        vision::l2_norm(x, self.weight.val())
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn pixels_have_the_scale_for_a_norm_and_empty_ones_no_gradient_that_is_no_number() {
        type A = Autodiff<Flex>;
        let device = Default::default();
        let norm = L2Norm::<A>::new(&mut ParamInit::new(&device, 0), 2);
        let x = Tensor::<A, 1>::from_floats([3.0, 0.0, 4.0, 0.0], &device)
            .reshape([1, 2, 1, 2])
            .require_grad();
        let y = norm.forward(x.clone());
        let values: Vec<f32> = y.clone().into_data().iter::<f32>().collect();
        assert_eq!(values, [12.0, 0.0, 16.0, 0.0]);
        let gradients = (y * 2.0).sum().backward();
        let gradient = x.grad(&gradients).expect("tracked").into_data();
        assert!(gradient.iter::<f32>().all(f32::is_finite), "{gradient}");
    }
}
