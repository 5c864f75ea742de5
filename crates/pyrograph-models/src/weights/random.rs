//! Random weights, for measurements.

use burn::tensor::{DType, backend::Backend};
use pyrograph_backend::rng::{NoiseKey, Purpose};

use super::{NamedModel, Precision, StateDict, TensorEntry, matched::places};
use crate::{ModelError, blocks::ParamInit};

/// Values that are drawn; tensors repeat them. A prime, so that rows of a weight differ.
const DRAWN: usize = 65_537;

/// The published keys of a model of `config` and the shapes of their tensors. No parameter is
/// allocated.
///
/// # Errors
/// When a field of the config is not allowed.
pub fn parameter_shapes<B: Backend, M: NamedModel<B>>(
    config: &M::Config,
    device: &B::Device,
) -> Result<Vec<(String, Vec<usize>)>, ModelError> {
    let model = M::from_config(config, &mut ParamInit::lazy(device))?;
    let shapes = places::<B, M>(&model).into_iter();
    Ok(shapes.map(|place| (place.key, place.shape)).collect())
}

/// Random weights for a model of `config`, in the type that `precision` gives to f32, for
/// measurements of time and memory. A billion weights take a second.
///
/// Weights of rank 2 and above are uniform in ±1/√fan_in, where fan_in is the product of all axes
/// but the first, as in PyTorch's initialisation; weights of norms are 1, biases 0. The values of
/// all tensors repeat 65,537 drawn values.
///
/// # Errors
/// When a field of the config is not allowed.
pub fn random_weights<B: Backend, M: NamedModel<B>>(
    config: &M::Config,
    precision: Precision,
    device: &B::Device,
) -> Result<StateDict, ModelError> {
    let key = NoiseKey::new(0, Purpose::Parameters, 0);
    let drawn: Vec<f32> = key
        .uniform(0, DRAWN)
        .into_iter()
        .map(|value| 2.0 * value - 1.0)
        .collect();
    let dtype = precision.parameter_type(DType::F32);
    let mut dict = StateDict::new();
    for (key, shape) in parameter_shapes::<B, M>(config, device)? {
        let values = values_of(&key, &shape, &drawn);
        let products = precision.int8_products().unwrap_or_default();
        let tensor = TensorEntry::from_f32(shape, values).with_products(products);
        let dtype = match tensor.takes_int8(precision, M::is_int8_layer(&key)) {
            true => DType::I8,
            false => dtype,
        };
        dict.insert(key, tensor.cast(dtype));
    }
    Ok(dict)
}

/// The values of the tensor `key`.
fn values_of(key: &str, shape: &[usize], drawn: &[f32]) -> Vec<f32> {
    let count = shape.iter().product();
    if shape.len() < 2 {
        let is_weight = key.ends_with("weight");
        return vec![f32::from(u8::from(is_weight)); count];
    }
    let fan_in: usize = shape[1..].iter().product();
    let bound = 1.0 / (fan_in as f32).sqrt();
    let scaled: Vec<f32> = drawn.iter().map(|value| value * bound).collect();
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let next = scaled.len().min(count - values.len());
        values.extend_from_slice(&scaled[..next]);
    }
    values
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;
    use crate::{
        stable_diffusion::{
            clip::{ClipTextConfig, ClipTextModel},
            unet::{UNet2DConditionConfig, UNet2DConditionModel},
            vae::{AutoencoderKl, AutoencoderKlConfig},
        },
        weights::build_model_with,
    };

    fn count<M: NamedModel<Flex>>(config: &M::Config) -> usize {
        let shapes = parameter_shapes::<Flex, M>(config, &Default::default()).unwrap();
        shapes
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }

    #[test]
    fn the_networks_of_stable_diffusion_2_1_have_the_published_number_of_parameters() {
        let clip = ClipTextConfig::open_clip_h();
        let unet = UNet2DConditionConfig::stable_diffusion_2_1_base();
        let vae = AutoencoderKlConfig::stable_diffusion();
        assert_eq!(count::<ClipTextModel<Flex>>(&clip), 340_387_840);
        assert_eq!(count::<UNet2DConditionModel<Flex>>(&unet), 865_910_724);
        assert_eq!(count::<AutoencoderKl<Flex>>(&vae), 83_653_863);
    }

    #[test]
    fn weights_are_bounded_norms_are_one_and_the_model_takes_them_in_their_type() {
        let config = ClipTextConfig {
            vocab_size: 10,
            hidden_size: 64,
            intermediate_size: 64,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            ..ClipTextConfig::open_clip_h()
        };
        let device = Default::default();
        let weights =
            random_weights::<Flex, ClipTextModel<_>>(&config, Precision::Bf16, &device).unwrap();
        for key in weights.keys() {
            let tensor = weights.get(key).unwrap();
            assert_eq!(tensor.dtype(), DType::BF16, "{key}");
            let values = tensor.to_f32();
            let largest = values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            match tensor.shape().len() {
                1 if key.ends_with("bias") => assert_eq!(largest, 0.0, "{key}"),
                1 => assert!(values.iter().all(|value| *value == 1.0), "{key}"),
                // 1/√64, rounded to bf16; most of the range is used.
                _ => assert!((0.12..=0.125).contains(&largest), "{key}: {largest}"),
            }
        }
        build_model_with::<Flex, ClipTextModel<_>>(&config, &weights, Precision::Bf16, &device)
            .unwrap();
    }
}
