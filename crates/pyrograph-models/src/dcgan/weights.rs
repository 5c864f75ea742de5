//! The key names of published DCGAN checkpoints.

use burn::tensor::backend::Backend;

use super::{AnoGan, Dcgan, DcganConfig, Discriminator, Encoder, Generator};
use crate::{
    ModelError,
    blocks::ParamInit,
    weights::{NamedModel, Rename, StateDict},
};

/// From our field paths to PyTorch's, whose `nn.Sequential` numbers its layers.
const RENAMES: &[Rename] = &[
    // A block is Sequential(convolution, norm, activation).
    Rename::new(".conv.", ".0."),
    Rename::new(".norm.", ".1."),
];
/// A counter that eval mode does not use.
const IGNORED: &[&str] = &["num_batches_tracked"];
/// Model files that hold these networks side by side.
const HOLDERS: &[&str] = &[DCGAN, ANOGAN];
const DCGAN: &str = "dcgan";
const ANOGAN: &str = "anogan";

impl<B: Backend> NamedModel<B> for Generator<B> {
    type Config = DcganConfig;
    const NAME: &'static str = "dcgan-generator";
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = IGNORED;
    const HOLDERS: &'static [&'static str] = HOLDERS;

    fn translate(dict: &StateDict) -> Option<StateDict> {
        from_one_sequential(dict, |conv, _, part| {
            format!("generator_network.{conv}.{part}.")
        })
    }

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_generator_with(init)
    }
}

impl<B: Backend> NamedModel<B> for Discriminator<B> {
    type Config = DcganConfig;
    const NAME: &'static str = "dcgan-discriminator";
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = IGNORED;
    const HOLDERS: &'static [&'static str] = HOLDERS;

    fn translate(dict: &StateDict) -> Option<StateDict> {
        from_one_sequential(dict, |conv, convs, part| {
            if conv + 1 == convs {
                "critic_network.".into()
            } else {
                format!("feature_network.{conv}.{part}.")
            }
        })
    }

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_discriminator_with(init)
    }
}

impl<B: Backend> NamedModel<B> for Encoder<B> {
    type Config = DcganConfig;
    const NAME: &'static str = "dcgan-encoder";
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = IGNORED;
    const HOLDERS: &'static [&'static str] = &[ANOGAN];

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_encoder_with(init)
    }
}

impl<B: Backend> NamedModel<B> for Dcgan<B> {
    type Config = DcganConfig;
    const NAME: &'static str = DCGAN;
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = IGNORED;

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }
}

impl<B: Backend> NamedModel<B> for AnoGan<B> {
    type Config = DcganConfig;
    const NAME: &'static str = ANOGAN;
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = IGNORED;

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_anogan_with(init)
    }
}

/// How PyTorch's own DCGAN example names its layers: one `nn.Sequential` of convolutions, norms and activations.
const SEQUENTIAL: &str = "main.";

/// The tensors of a checkpoint in the layout of PyTorch's example under our keys: `name` gives the prefix of convolution
/// `conv` of `convs`, and of the norm after it, which is part 0 and 1.
fn from_one_sequential(
    dict: &StateDict,
    name: impl Fn(usize, usize, usize) -> String,
) -> Option<StateDict> {
    let first = format!("{SEQUENTIAL}0.weight");
    let wrapper = dict.keys().find_map(|key| key.strip_suffix(&first))?;
    let place = |key: &str| -> Option<(usize, String)> {
        let (layer, field) = key
            .strip_prefix(wrapper)?
            .strip_prefix(SEQUENTIAL)?
            .split_once('.')?;
        Some((layer.parse().ok()?, field.to_owned()))
    };
    let mut convs: Vec<usize> = dict
        .keys()
        .filter(|key| {
            dict.get(key)
                .is_some_and(|tensor| tensor.shape().len() == 4)
        })
        .filter_map(|key| Some(place(key)?.0))
        .collect();
    convs.sort_unstable();
    Some(dict.renamed(|key| match place(key) {
        None => key.to_owned(),
        Some((layer, field)) => {
            // The convolution of this layer, or the one before this norm. The first layer is one.
            let conv = convs
                .partition_point(|&conv| conv <= layer)
                .saturating_sub(1);
            let part = usize::from(!convs.contains(&layer));
            format!("{wrapper}{}{field}", name(conv, convs.len(), part))
        }
    }))
}
