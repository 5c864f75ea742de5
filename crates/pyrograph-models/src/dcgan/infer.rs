//! Configuration of a network, inferred from the shapes of its weights.

use super::{CORE, DcganConfig, DiscriminatorConfig};
use crate::weights::StateDict;

/// The slope of leaky ReLUs in the DCGAN paper and in PyTorch's example, whose discriminators have
/// no norm on their first block.
const PAPERS_SLOPE: f32 = 0.2;

/// The configuration of a generator.
pub(super) fn generator(weights: &StateDict) -> Option<DcganConfig> {
    let layers = layers(weights, "generator_network");
    let ([z_dim, widest], [width, channels]) = (*layers.first()?, *layers.last()?);
    let blocks = layers.len().checked_sub(1)?;
    let halves = |pair: &[[usize; 2]]| pair[0][1] == pair[1][0];
    let is_generator = blocks > 0
        && layers.windows(2).all(halves)
        && width.checked_shl(u32::try_from(blocks).ok()? - 1)? == widest;
    is_generator.then(|| DcganConfig {
        z_dim,
        width,
        channels,
        blocks,
        generator_bias: weights.get("generator_network.0.0.bias").is_some(),
        ..DcganConfig::default()
    })
}

/// The configuration of a discriminator, except the slope of its leaky ReLUs and the stride and
/// padding of its last convolution.
pub(super) fn discriminator(weights: &StateDict) -> Option<DcganConfig> {
    let layers = layers(weights, "feature_network");
    let [width, channels] = *layers.first()?;
    let doubles = |pair: &[[usize; 2]]| pair[0][0] == pair[1][1];
    if !layers.windows(2).all(doubles) {
        return None;
    }
    let has_norm = |block: usize| {
        let key = format!("feature_network.{block}.1.weight");
        weights.get(&key).is_some()
    };
    let last = layers.len() - 1;
    Some(DcganConfig {
        width,
        channels,
        blocks: layers.len(),
        discriminator: DiscriminatorConfig {
            norm: has_norm(last),
            first_norm: has_norm(0) || !has_norm(last),
            bias: weights.get("feature_network.0.0.bias").is_some(),
            ..DiscriminatorConfig::default()
        },
        ..DcganConfig::default()
    })
}

/// Sets the fields that a discriminator's weights do not determine, and returns a remark for each
/// guess.
pub(super) fn assume(config: &mut DcganConfig) -> Vec<String> {
    let options = &mut config.discriminator;
    if options.norm && !options.first_norm {
        options.negative_slope = PAPERS_SLOPE;
    }
    vec![format!(
        "discriminator.negative_slope {}, critic_stride {} and critic_padding {} are assumed, which weights do not tell",
        options.negative_slope, options.critic_stride, options.critic_padding
    )]
}

/// The first two sizes of the 4×4 convolutions of a list, from the first on.
fn layers(weights: &StateDict, list: &str) -> Vec<[usize; 2]> {
    let shape = |layer: usize| match *weights.get(&format!("{list}.{layer}.0.weight"))?.shape() {
        [one, other, CORE, CORE] => Some([one, other]),
        _ => None,
    };
    (0..).map_while(shape).collect()
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;
    use crate::weights::state_dict_of;

    #[test]
    fn the_numbers_of_both_networks_are_those_that_made_them() {
        for (blocks, bias, first_norm, norm) in [
            (1, true, true, true),
            (3, false, false, true),
            (4, true, true, false),
        ] {
            let config = DcganConfig {
                z_dim: 5,
                width: 4,
                channels: 2,
                blocks,
                generator_bias: bias,
                discriminator: DiscriminatorConfig {
                    norm,
                    first_norm,
                    bias,
                    ..DiscriminatorConfig::default()
                },
            };
            let device = Default::default();
            let networks = config.init::<Flex>(&device, 0).expect("legal");
            let weights = state_dict_of(&networks.generator).expect("readable");
            let found = generator(&weights).expect("a generator");
            let of_generator = DcganConfig {
                discriminator: DiscriminatorConfig::default(),
                ..config.clone()
            };
            assert_eq!(found, of_generator);
            let weights = state_dict_of(&networks.discriminator).expect("readable");
            let found = discriminator(&weights).expect("a discriminator");
            assert_eq!(found.discriminator, config.discriminator);
            assert_eq!((found.width, found.channels, found.blocks), (4, 2, blocks));
        }
    }

    #[test]
    fn a_discriminator_is_no_generator() {
        let config = DcganConfig {
            width: 4,
            ..DcganConfig::default()
        };
        let network = config
            .init_discriminator::<Flex>(&Default::default(), 0)
            .expect("legal");
        let weights = state_dict_of(&network).expect("readable");
        let renamed = weights.renamed(|key| key.replace("feature_network", "generator_network"));
        assert_eq!(generator(&renamed), None);
    }

    #[test]
    fn what_the_weights_do_not_tell_is_assumed_and_said() {
        let mut config = DcganConfig::pytorch_example_28();
        config.discriminator.negative_slope = 0.1;
        let remarks = assume(&mut config);
        assert_eq!(config.discriminator.negative_slope, 0.2);
        assert!(remarks[0].contains("negative_slope 0.2"), "{remarks:?}");
        let mut config = DcganConfig::default();
        assume(&mut config);
        assert_eq!(config, DcganConfig::default());
    }
}
