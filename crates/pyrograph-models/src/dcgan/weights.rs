//! The key names of published DCGAN checkpoints.

use burn::tensor::backend::Backend;

use super::{
    AnoGan, Dcgan, DcganConfig, Discriminator, Encoder, Generator, infer,
    sequential::{self, Layout},
};
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
/// Models whose files contain these networks.
const HOLDERS: &[&str] = &[DCGAN, ANOGAN];
/// A convolution, a norm and an activation a block.
const GENERATOR: Layout<Naming> = Layout {
    name: |conv, _, part| Some(format!("generator_network.{conv}.{part}.")),
    outputs: 1,
};
/// The layout of a generator, plus one more convolution.
const DISCRIMINATOR: Layout<Naming> = Layout {
    name: |conv, convs, part| match (conv + 1 == convs, part) {
        (true, 0) => Some("critic_network.".into()),
        (true, _) => None,
        _ => Some(format!("feature_network.{conv}.{part}.")),
    },
    outputs: 0,
};
type Naming = fn(usize, usize, usize) -> Option<String>;

/// The networks of a file by prefix, if it is a generator or a discriminator of a DCGAN in one
/// Sequential.
pub(crate) fn networks_in(dict: &StateDict) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for (layout, key, infer, kind) in [
        (
            &GENERATOR,
            "generator_network.0.0.weight",
            infer::generator as fn(&StateDict) -> Option<DcganConfig>,
            "a generator of a DCGAN",
        ),
        (
            &DISCRIMINATOR,
            "feature_network.0.0.weight",
            infer::discriminator,
            "a discriminator of a DCGAN",
        ),
    ] {
        let Some(translated) = sequential::translate(dict, layout) else {
            continue;
        };
        // Our own names are told by their keys.
        let prefixes = translated
            .keys()
            .filter(|found| translated.origin(found) != *found);
        let prefixes = prefixes.filter_map(|found| found.strip_suffix(key));
        let networks = prefixes.filter(|prefix| infer(&translated.part(prefix)).is_some());
        found.extend(networks.map(|prefix| (prefix.to_owned(), kind)));
    }
    found
}

const DCGAN: &str = "dcgan";
const ANOGAN: &str = "anogan";

impl<B: Backend> NamedModel<B> for Generator<B> {
    type Config = DcganConfig;
    const NAME: &'static str = "dcgan-generator";
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = IGNORED;
    const HOLDERS: &'static [&'static str] = HOLDERS;

    const ROLES: &'static [&'static str] = &["generator", "gen", "g"];
    const TELLING_KEYS: &'static [&'static str] = &["generator_network.0.0.weight"];

    fn infer(weights: &StateDict) -> Option<DcganConfig> {
        infer::generator(weights)
    }

    fn is_transposed(_: &str) -> bool {
        true
    }

    fn translate(dict: &StateDict) -> Option<StateDict> {
        sequential::translate(dict, &GENERATOR)
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

    const ROLES: &'static [&'static str] = &["discriminator", "disc", "critic", "d"];
    const TELLING_KEYS: &'static [&'static str] = &["feature_network.0.0.weight"];

    fn infer(weights: &StateDict) -> Option<DcganConfig> {
        infer::discriminator(weights)
    }

    fn assume(config: &mut DcganConfig, _file: &StateDict) -> Vec<String> {
        infer::assume(config)
    }

    fn translate(dict: &StateDict) -> Option<StateDict> {
        sequential::translate(dict, &DISCRIMINATOR)
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
    const ROLES: &'static [&'static str] = &["encoder", "enc", "e"];

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
