//! The inputs by which the layers of a UNet are measured.

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use pyrograph_backend::{
    rng::{NoiseKey, Purpose},
    vision::VisionBackend,
};

use super::{UNet2DConditionConfig, UNet2DConditionModel};
use crate::{
    ModelError,
    weights::{LayerFigures, StateDict, measure_layers},
};

/// The timesteps of the calibration, one for each picture: early, in the middle and late.
const TIMESTEPS: [f32; 4] = [951.0, 651.0, 351.0, 51.0];
/// Tokens of a random context: those of CLIP's text encoder.
const TOKENS: usize = 77;
/// The numbers of the streams of noise.
const LATENTS: u64 = 0;
const CONTEXT: u64 = 1;

/// Inputs of a UNet that depend on a seed alone: normal latents of four pictures, at four timesteps.
///
/// The layers' own errors under these inputs decide on their types; see [`measure_layers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// Height and width of the latents; a picture has eight pixels for each.
    pub side: usize,
    /// The seed of the latents and of a random context.
    pub seed: u64,
}

impl Default for Calibration {
    /// Latents of 32 × 32, and the seed 0.
    fn default() -> Self {
        Self { side: 32, seed: 0 }
    }
}

impl Calibration {
    /// The timesteps of the pictures.
    pub const fn timesteps(&self) -> [f32; 4] {
        TIMESTEPS
    }

    /// The figures of each layer within the blocks of a UNet with the weights of `dict`. `contexts` [texts, length,
    /// width] are outputs of the text encoder, which the pictures take in turn; without them a context is drawn. `seen`
    /// hears the number of layers measured so far, and of all.
    ///
    /// # Errors
    /// When the side or the contexts do not fit the UNet; as [`measure_layers`].
    pub fn measure<B: VisionBackend>(
        &self,
        config: &UNet2DConditionConfig,
        dict: &StateDict,
        contexts: Option<Tensor<B, 3>>,
        device: &B::Device,
        seen: impl FnMut(usize, usize) + 'static,
    ) -> Result<Vec<LayerFigures>, ModelError> {
        let context = match contexts {
            Some(contexts) => in_turn(contexts),
            None => self.random_context(config.context_width()?, device),
        };
        let pictures = TIMESTEPS.len();
        let shape = [pictures, config.in_channels, self.side, self.side];
        config.check_input(&shape, &[pictures], &context.dims())?;
        let sample = self.sample(config, device);
        let timesteps = TensorData::new(TIMESTEPS.to_vec(), [pictures]);
        let timesteps = Tensor::from_data(timesteps, (device, DType::F32));
        measure_layers::<B, UNet2DConditionModel<B>>(config, dict, device, seen, |model| {
            model.forward(sample, timesteps, context);
        })
    }

    /// Normal latents. A UNet for inpainting also reads a mask, here the right half of each picture, and the latents
    /// outside it.
    fn sample<B: Backend>(
        &self,
        config: &UNet2DConditionConfig,
        device: &B::Device,
    ) -> Tensor<B, 4> {
        let (pictures, channels, side) = (TIMESTEPS.len(), config.in_channels, self.side);
        let of_latents = config.out_channels;
        let key = NoiseKey::new(self.seed, Purpose::Other, LATENTS);
        let mut values = key.normal(0, pictures * channels * side * side);
        if channels == 2 * of_latents + 1 {
            for (place, value) in values.iter_mut().enumerate() {
                let (channel, column) = ((place / (side * side)) % channels, place % side);
                let is_masked = column >= side / 2;
                match channel {
                    of_mask if of_mask == of_latents => *value = f32::from(u8::from(is_masked)),
                    of_picture if of_picture > of_latents && is_masked => *value = 0.0,
                    _ => {}
                }
            }
        }
        let values = TensorData::new(values, [pictures, channels, side, side]);
        Tensor::from_data(values, (device, DType::F32))
    }

    /// A normal context for each picture.
    fn random_context<B: Backend>(&self, width: usize, device: &B::Device) -> Tensor<B, 3> {
        let shape = [TIMESTEPS.len(), TOKENS, width];
        let key = NoiseKey::new(self.seed, Purpose::Other, CONTEXT);
        let values = TensorData::new(key.normal(0, shape.iter().product()), shape);
        Tensor::from_data(values, (device, DType::F32))
    }
}

/// The texts in turn, one for each picture.
fn in_turn<B: Backend>(contexts: Tensor<B, 3>) -> Tensor<B, 3> {
    let [texts, _, _] = contexts.dims();
    let pictures = 0..TIMESTEPS.len();
    let rows = pictures.map(|picture| contexts.clone().narrow(0, picture % texts.max(1), 1));
    Tensor::cat(rows.collect(), 0)
}
