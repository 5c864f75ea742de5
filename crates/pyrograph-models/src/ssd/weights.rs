//! The key names of published SSD checkpoints.

use burn::tensor::backend::Backend;

use super::{Ssd, SsdConfig, infer, torchvision};
use crate::{
    ModelError,
    blocks::ParamInit,
    weights::{NamedModel, Rename, StateDict},
};

/// Places of VGG16's convolutions in ssd.pytorch's `vgg`, which numbers activations and poolings too.
pub(super) const VGG_PLACES: [usize; 15] = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33];

/// A key of every detector on VGG16, and of every one on MobileNetV2.
pub(super) const TELLING_KEYS: &[&str] = &["vgg.0.weight", "base_net.0.0.weight"];

impl<B: Backend> NamedModel<B> for Ssd<B> {
    type Config = SsdConfig;
    const NAME: &'static str = super::NAME;
    /// No rules: `published_key` computes the indices of layers.
    const RENAMES: &'static [Rename] = &[];
    /// A counter that eval mode does not use, and the prior boxes, which some files carry and which the config gives.
    const IGNORED_SUFFIXES: &'static [&'static str] = &["num_batches_tracked", "priors"];

    const TELLING_KEYS: &'static [&'static str] = TELLING_KEYS;

    fn infer(weights: &StateDict) -> Option<SsdConfig> {
        infer::infer(weights)
    }

    fn assume(config: &mut SsdConfig, file: &StateDict) -> Vec<String> {
        *config = config.clone().with_priors_of(file);
        infer::assumed_priors(config).into_iter().collect()
    }

    fn translate(dict: &StateDict) -> Option<StateDict> {
        torchvision::translate(dict)
    }

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }

    fn published_key(path: &str) -> String {
        published_key(path)
    }
}

/// The name of our field path in ssd.pytorch's files, or in those of qfgaohao/pytorch-ssd.
fn published_key(path: &str) -> String {
    let path = ["Vgg16.", "MobilenetV2."]
        .iter()
        .find_map(|variant| path.strip_prefix(variant))
        .unwrap_or(path);
    let Some((field, rest)) = path.split_once('.') else {
        return path.into();
    };
    match field {
        // vgg.<n>: a convolution by its place; a norm, which no published file has, beside it.
        "vgg" => {
            let (number, part) = numbered(rest);
            let place = VGG_PLACES.get(number).copied().unwrap_or(number);
            format!("vgg.{place}.{}", without_conv(part))
        }
        "l2_norm" => format!("L2Norm.{rest}"),
        // base_net: Sequential(convolution, norm, activation), the blocks, and one more.
        "stem" => format!("base_net.0.{}", conv_norm(rest, 0)),
        "last" => format!("base_net.{LAST_PLACE}.{}", conv_norm(rest, 0)),
        "blocks" => {
            let (number, part) = numbered(rest);
            // The first block has no expansion, so that its layers have other numbers.
            format!(
                "base_net.{}.conv.{}",
                number + 1,
                residual(part, number > 0)
            )
        }
        "extras" => {
            let (number, part) = numbered(rest);
            match part.split_once('.') {
                Some(("conv" | "norm", _)) => format!("extras.{number}.{}", without_conv(part)),
                _ => format!("extras.{number}.conv.{}", residual(part, true)),
            }
        }
        "classification_headers" | "regression_headers" => {
            let (number, part) = numbered(rest);
            format!("{field}.{number}.{}", head(number, part))
        }
        _ => path.into(),
    }
}

/// MobileNetV2's last convolution in `base_net`: after the first one and 17 blocks.
const LAST_PLACE: usize = 18;
/// The head of the last map is a convolution alone.
const LAST_HEAD: usize = super::MAPS - 1;

/// "3.conv.weight" as 3 and "conv.weight".
fn numbered(rest: &str) -> (usize, &str) {
    let (number, part) = rest.split_once('.').unwrap_or((rest, ""));
    (number.parse().unwrap_or_default(), part)
}

fn without_conv(part: &str) -> &str {
    part.strip_prefix("conv.").unwrap_or(part)
}

/// A convolution and its norm as the numbers `first` and `first + 1` of a Sequential.
fn conv_norm(part: &str, first: usize) -> String {
    match part.split_once('.') {
        Some(("conv", name)) => format!("{first}.{name}"),
        Some(("norm", name)) => format!("{}.{name}", first + 1),
        _ => part.into(),
    }
}

/// A layer of an inverted residual: each is convolution, norm and, but for the last, activation.
fn residual(part: &str, expands: bool) -> String {
    let after = if expands { 3 } else { 0 };
    match part.split_once('.') {
        Some(("expand", rest)) => conv_norm(rest, 0),
        Some(("depthwise", rest)) => conv_norm(rest, after),
        Some(("project", rest)) => conv_norm(rest, after + 3),
        _ => part.into(),
    }
}

/// A separable head: convolution, norm, activation, convolution.
fn head(number: usize, part: &str) -> String {
    match part.split_once('.') {
        Some(("depthwise", rest)) => conv_norm(rest, 0),
        Some(("point", name)) if number == LAST_HEAD => name.into(),
        Some(("point", name)) => format!("3.{name}"),
        _ => part.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_names_of_published_files() {
        for (ours, theirs) in [
            ("Vgg16.vgg.0.conv.weight", "vgg.0.weight"),
            ("vgg.9.conv.bias", "vgg.21.bias"),
            ("vgg.13.conv.weight", "vgg.31.weight"),
            ("l2_norm.weight", "L2Norm.weight"),
            ("extras.7.conv.bias", "extras.7.bias"),
            ("loc.5.weight", "loc.5.weight"),
            ("stem.conv.weight", "base_net.0.0.weight"),
            (
                "MobilenetV2.last.norm.running_var",
                "base_net.18.1.running_var",
            ),
            ("blocks.0.depthwise.conv.weight", "base_net.1.conv.0.weight"),
            ("blocks.0.project.norm.bias", "base_net.1.conv.4.bias"),
            ("blocks.13.expand.conv.weight", "base_net.14.conv.0.weight"),
            ("blocks.13.project.norm.bias", "base_net.14.conv.7.bias"),
            ("extras.2.depthwise.norm.bias", "extras.2.conv.4.bias"),
            (
                "classification_headers.0.depthwise.conv.bias",
                "classification_headers.0.0.bias",
            ),
            (
                "regression_headers.4.point.weight",
                "regression_headers.4.3.weight",
            ),
            (
                "regression_headers.5.point.weight",
                "regression_headers.5.weight",
            ),
        ] {
            assert_eq!(published_key(ours), theirs);
        }
    }
}
