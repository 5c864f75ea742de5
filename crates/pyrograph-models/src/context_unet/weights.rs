//! The key names of published ContextUnet checkpoints.

use burn::tensor::backend::Backend;

use super::{ContextUnet, ContextUnetConfig, MODEL, POOL, Residual};
use crate::{
    ModelError,
    blocks::ParamInit,
    weights::{NamedModel, Rename, StateDict},
};

/// From our field paths to PyTorch's, whose `nn.Sequential` numbers its layers.
const RENAMES: &[Rename] = &[
    // out = Sequential(conv, norm, ReLU, conv): before the rule for conv1, which has the same field name.
    Rename::new("out.conv1.", "out.0."),
    Rename::new("out.norm.", "out.1."),
    Rename::new("out.conv2.", "out.3."),
    // ResidualConvBlock.conv1 = Sequential(conv, norm, GELU).
    Rename::new(".conv1.conv.", ".conv1.0."),
    Rename::new(".conv1.norm.", ".conv1.1."),
    Rename::new(".conv2.conv.", ".conv2.0."),
    Rename::new(".conv2.norm.", ".conv2.1."),
    // UnetDown.model = Sequential(block, block, max pool).
    Rename::new("down1.block1.", "down1.model.0."),
    Rename::new("down1.block2.", "down1.model.1."),
    Rename::new("down2.block1.", "down2.model.0."),
    Rename::new("down2.block2.", "down2.model.1."),
    // up0 = Sequential(transposed convolution, norm, ReLU).
    Rename::new("up0.enlarge.", "up0.0."),
    Rename::new("up0.norm.", "up0.1."),
    // UnetUp.model = Sequential(transposed convolution, block, block).
    Rename::new(".enlarge.", ".model.0."),
    Rename::new(".block1.", ".model.1."),
    Rename::new(".block2.", ".model.2."),
    // EmbedFC.model = Sequential(linear, GELU, linear).
    Rename::new(".hidden.", ".model.0."),
    Rename::new(".output.", ".model.2."),
];

const FIRST_CONV: &str = "init_conv.conv1.0.weight";
/// The layers that enlarge.
const TRANSPOSED: [&str; 3] = ["up0.0.", "up1.model.0.", "up2.model.0."];

impl<B: Backend> NamedModel<B> for ContextUnet<B> {
    type Config = ContextUnetConfig;
    const NAME: &'static str = MODEL;
    const RENAMES: &'static [Rename] = RENAMES;
    // A counter that eval mode does not use.
    const IGNORED_SUFFIXES: &'static [&'static str] = &["num_batches_tracked"];
    const TELLING_KEYS: &'static [&'static str] = &[FIRST_CONV];

    fn infer(weights: &StateDict) -> Option<ContextUnetConfig> {
        let shape = |key: &str| weights.get(key).map(|tensor| tensor.shape());
        match (
            shape(FIRST_CONV)?,
            shape("contextembed1.model.0.weight")?,
            shape("up0.0.weight")?,
        ) {
            (&[n_feat, in_channels, ..], &[_, n_cfeat], &[_, _, side, _]) => {
                let is_learned = shape("init_conv.shortcut.weight").is_some();
                Some(ContextUnetConfig {
                    in_channels,
                    n_feat,
                    n_cfeat,
                    height: side.checked_mul(POOL)?,
                    residual: match is_learned {
                        true => Residual::Learned,
                        false => Residual::FirstConv,
                    },
                })
            }
            _ => None,
        }
    }

    fn is_transposed(key: &str) -> bool {
        TRANSPOSED.iter().any(|layer| key.contains(layer))
    }

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;
    use crate::weights::state_dict_of;

    #[test]
    fn all_numbers_are_read_from_the_weights() {
        for (residual, height) in [(Residual::Learned, 28), (Residual::FirstConv, 16)] {
            let config = ContextUnetConfig {
                in_channels: 1,
                n_feat: 8,
                n_cfeat: 7,
                height,
                residual,
            };
            let model = config.init::<Flex>(&Default::default(), 0).expect("legal");
            let weights = state_dict_of(&model).expect("readable");
            let found = <ContextUnet<Flex> as NamedModel<Flex>>::infer(&weights);
            assert_eq!(found, Some(config));
        }
    }
}
