//! The embedding of the timestep.

use burn::{
    module::Module,
    tensor::{DType, Tensor, backend::Backend},
};
use pyrograph_backend::{
    rng::host_tensor,
    vision::{self, Activation, VisionBackend},
};

use super::UNet2DConditionConfig;
use crate::blocks::{Linear, ParamInit};

/// The period of the slowest wave is 2π times this (Vaswani et al., 2017).
const MAX_PERIOD: f64 = 10_000.0;

/// Guidance is multiplied by this before its sines and cosines, which makes it like a timestep.
const GUIDANCE_SCALE: f32 = 1000.0;

/// Sines and cosines of the timestep, and two linear layers.
///
/// `angle_i = t·10000^(−i / (n/2 − shift))` for i in 0..n/2, with `n` the first block's channels.
/// Networks of latent consistency models add a projection of the guidance's sines and cosines to
/// those of the timestep.
#[derive(Module, Debug)]
pub(super) struct TimestepEmbedding<B: Backend> {
    linear_1: Linear<B>,
    linear_2: Linear<B>,
    /// From the sines and cosines of the guidance.
    cond_proj: Option<Linear<B>>,
    channels: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
}

impl<B: Backend> TimestepEmbedding<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &UNet2DConditionConfig) -> Self {
        let (channels, width) = (config.block_out_channels[0], config.time_width());
        Self {
            linear_1: Linear::new(init, channels, width),
            linear_2: Linear::new(init, width, width),
            cond_proj: config
                .time_cond_proj_dim
                .map(|waves| Linear::without_bias(init, waves, channels)),
            channels,
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
        }
    }
}

impl<B: VisionBackend> TimestepEmbedding<B> {
    /// The embedding in the float type `dtype`. The angles are f32 on every backend, as in
    /// diffusers. `guidance` is the scale less 1; a network that does not read it ignores it.
    ///
    /// # Shapes
    /// `timestep` and `guidance` `[batch or 1]` → [batch or 1, width].
    pub(super) fn forward(
        &self,
        timestep: Tensor<B, 1>,
        guidance: Option<Tensor<B, 1>>,
        dtype: DType,
    ) -> Tensor<B, 2> {
        let frequencies = self.frequencies();
        let count = frequencies.len();
        let frequencies =
            host_tensor::<B, 2>(frequencies, [1, count], &timestep.device()).cast(DType::F32);
        let angles = timestep.cast(DType::F32).unsqueeze_dim::<2>(1) * frequencies; // [batch, channels / 2]
        let (sine, cosine) = (angles.clone().sin(), angles.cos());
        let waves = match self.flip_sin_to_cos {
            true => vec![cosine, sine],
            false => vec![sine, cosine],
        };
        let waves = Tensor::cat(waves, 1).cast(dtype); // [batch, channels]
        let waves = match (&self.cond_proj, guidance) {
            (Some(projection), Some(guidance)) => {
                waves + projection.forward(guidance_waves(projection, guidance).cast(dtype))
            }
            _ => waves,
        };
        let hidden = vision::activate(self.linear_1.forward(waves), Activation::Silu);
        self.linear_2.forward(hidden)
    }

    /// Computed in f32 as in PyTorch, because a timestep of 1000 magnifies the rounding.
    fn frequencies(&self) -> Vec<f32> {
        let half = self.channels / 2;
        let slope = -MAX_PERIOD.ln() as f32;
        let steps = (half as f64 - self.freq_shift) as f32;
        let frequency = |i| (slope * i as f32 / steps).exp();
        (0..half).map(frequency).collect()
    }
}

/// `[batch]` → [batch, width of the projection's input]: sines, then cosines of
/// `1000·w·10000^(−i / (n/2 − 1))` for i in 0..n/2, then a zero where `n` is odd (Kingma et al.,
/// 2021, as latent consistency models use it).
fn guidance_waves<B: Backend>(projection: &Linear<B>, guidance: Tensor<B, 1>) -> Tensor<B, 2> {
    let [_, width] = projection.weight.val().dims();
    let half = width / 2;
    let slope = MAX_PERIOD.ln() as f32 / (half - 1) as f32;
    let frequencies = (0..half).map(|i| (i as f32 * -slope).exp()).collect();
    let device = guidance.device();
    let frequencies = host_tensor::<B, 2>(frequencies, [1, half], &device).cast(DType::F32);
    let scaled = guidance.cast(DType::F32).mul_scalar(GUIDANCE_SCALE);
    let angles = scaled.unsqueeze_dim::<2>(1) * frequencies; // [batch, n / 2]
    let waves = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
    match width % 2 {
        0 => waves,
        _ => {
            let [batch, _] = waves.dims();
            let zero = host_tensor::<B, 2>(vec![0.0; batch], [batch, 1], &device).cast(DType::F32);
            Tensor::cat(vec![waves, zero], 1)
        }
    }
}
