//! Pictures of unfinished latents by a linear map: one pixel a latent, no network.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_vision::RgbImage;

use super::{
    host::values_of,
    image::{check_finite, picture_of},
};
use crate::PipelineError;

/// Red, green and blue of each of the four latent channels of Stable Diffusion 1 and 2: the least-squares map from
/// latents (times the scaling factor) to pictures in [−1, 1], as ComfyUI and others publish it.
const TO_RGB: [[f32; 3]; 4] = [
    [0.3512, 0.2297, 0.3227],
    [0.3250, 0.4974, 0.2350],
    [-0.2829, 0.1762, 0.2721],
    [-0.2120, -0.2616, -0.7177],
];

/// The pictures of `latents`, one pixel a latent. Channels beyond the fourth are left out.
///
/// # Shapes
/// `latents`: [images, channels, height, width].
///
/// # Errors
/// When the latents cannot be read from the device or are not finite.
pub fn linear_previews<B: VisionBackend>(
    latents: Tensor<B, 4>,
) -> Result<Vec<RgbImage>, PipelineError> {
    let [images, channels, height, width] = latents.dims();
    let values = values_of(latents)?;
    check_finite(&values, "the preview")?;
    let plane = height * width;
    let picture = |latents: &[f32]| {
        let mut rgb = vec![0.0; 3 * plane];
        for (channel, factors) in TO_RGB.iter().enumerate().take(channels) {
            for (colour, factor) in factors.iter().enumerate() {
                for place in 0..plane {
                    rgb[colour * plane + place] += factor * latents[channel * plane + place];
                }
            }
        }
        picture_of(&rgb, width, height, "the preview")
    };
    (0..images)
        .map(|image| picture(&values[image * channels * plane..][..channels * plane]))
        .collect()
}
