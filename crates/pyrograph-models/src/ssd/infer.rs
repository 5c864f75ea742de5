//! Configuration of a detector, inferred from the shapes of its weights.

use super::{
    MAPS, SsdBackbone, SsdConfig,
    mobilenet::{LAST, STEM, block_shapes, last_channels},
    vgg::{FC_CHANNELS, vgg_shapes},
    weights::VGG_PLACES,
};
use crate::weights::StateDict;

/// Decimals of a width; shapes of up to 2,560 channels need four.
const MAX_DECIMALS: i32 = 6;
/// Numbers of a box.
const BOX: usize = 4;

/// The configuration of a detector, except its prior boxes.
pub(super) fn infer(weights: &StateDict) -> Option<SsdConfig> {
    vgg(weights).or_else(|| mobilenet(weights))
}

fn vgg(weights: &StateDict) -> Option<SsdConfig> {
    let layers = VGG_PLACES.iter().map(|place| format!("vgg.{place}.weight"));
    let seen: Vec<usize> = layers
        .map(|key| outputs(weights, &key))
        .collect::<Option<_>>()?;
    let config = SsdConfig {
        batch_norm: weights.get("vgg.0.norm.weight").is_some(),
        ..SsdConfig::vgg16(classes(weights, "conf.0.weight", "loc.0.weight")?)
    };
    let widest = (FC_CHANNELS, *seen.last()?);
    with_width(config, &[widest], |config| {
        vgg_shapes(config)
            .iter()
            .map(|([_, channels], _)| *channels)
            .eq(seen.iter().copied())
    })
}

fn mobilenet(weights: &StateDict) -> Option<SsdConfig> {
    /// The channels of a row of blocks that any width above 0 changes, for its last block.
    const LAST_BLOCK: usize = 320;
    let config = SsdConfig::mobilenet_v2(classes(
        weights,
        &format!("classification_headers.{}.weight", MAPS - 1),
        &format!("regression_headers.{}.weight", MAPS - 1),
    )?);
    let stem = outputs(weights, "base_net.0.0.weight")?;
    let last = outputs(weights, "base_net.18.0.weight")?;
    let blocks = block_shapes(&config).len();
    // The projection is the last convolution of a block; the first block does not expand.
    let project = |block: usize| match block {
        0 => "base_net.1.conv.3.weight".to_owned(),
        _ => format!("base_net.{}.conv.6.weight", block + 1),
    };
    let seen: Vec<usize> = (0..blocks)
        .map(|block| outputs(weights, &project(block)))
        .collect::<Option<_>>()?;
    let mut layers = vec![(STEM, stem), (LAST_BLOCK, *seen.last()?)];
    if last > LAST {
        layers.push((LAST, last));
    }
    with_width(config, &layers, |config| {
        let shapes = block_shapes(config);
        let channels = shapes.iter().map(|([_, _, channels], _)| *channels);
        last_channels(config) == last && channels.eq(seen.iter().copied())
    })
}

/// `config` with the width of the fewest decimals that gives the channels in the file and that
/// `fits` accepts. `layers` are pairs of channels: at width 1, and in the file.
fn with_width(
    config: SsdConfig,
    layers: &[(usize, usize)],
    fits: impl Fn(&SsdConfig) -> bool,
) -> Option<SsdConfig> {
    // Channels are rounded down.
    let ratios = |more: usize| {
        let ratio = move |&(usual, seen): &(usize, usize)| (seen + more) as f64 / usual as f64;
        layers.iter().map(ratio)
    };
    let (least, beyond) = (
        ratios(0).fold(0.0, f64::max),
        ratios(1).fold(f64::INFINITY, f64::min),
    );
    (0..=MAX_DECIMALS)
        .map(|decimals| {
            let scale = 10f64.powi(decimals);
            (least * scale).ceil() / scale
        })
        .filter(|width| *width < beyond)
        .map(|width| SsdConfig {
            width,
            ..config.clone()
        })
        .find(fits)
}

/// Classes with the background, from the heads of one map.
fn classes(weights: &StateDict, scores: &str, boxes: &str) -> Option<usize> {
    let (scores, boxes) = (outputs(weights, scores)?, outputs(weights, boxes)?);
    let priors = boxes / BOX;
    (priors > 0 && boxes % BOX == 0 && scores % priors == 0).then(|| scores / priors)
}

/// Channels that a convolution gives.
fn outputs(weights: &StateDict, key: &str) -> Option<usize> {
    match *weights.get(key)?.shape() {
        [outputs, _, _, _] => Some(outputs),
        _ => None,
    }
}

/// A remark on the assumed prior boxes, if the file does not tell them.
pub(super) fn assumed_priors(config: &SsdConfig) -> Option<String> {
    let is_vgg = config.backbone == SsdBackbone::Vgg16 && config.priors.is_none();
    is_vgg.then(|| {
        let table = config.prior_table();
        format!("the prior boxes `{table}` are assumed, which weights do not tell")
    })
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;
    use crate::{
        ssd::{PriorTable, Ssd},
        weights::{NamedModel, TensorEntry, state_dict_of},
    };

    fn weights(config: &SsdConfig) -> StateDict {
        let model: Ssd<Flex> = config.init(&Default::default(), 0).expect("legal");
        state_dict_of(&model).expect("readable")
    }

    #[test]
    fn the_numbers_of_detectors_are_those_that_made_them() {
        for width in [0.03125, 0.05, 0.07, 0.1, 0.125] {
            for (classes, batch_norm) in [(2, false), (7, true)] {
                let config = SsdConfig {
                    width,
                    batch_norm,
                    ..SsdConfig::vgg16(classes)
                };
                let found = infer(&weights(&config)).expect("a detector on VGG16");
                // At some widths all layers have the channels of a shorter number.
                let same = SsdConfig {
                    width: found.width,
                    ..config.clone()
                };
                assert_eq!(found, same);
                assert_eq!(vgg_shapes(&found), vgg_shapes(&config), "{width}");
            }
            let config = SsdConfig {
                width,
                ..SsdConfig::mobilenet_v2(4)
            };
            let found = infer(&weights(&config)).expect("a detector on MobileNetV2");
            assert_eq!((found.num_classes, found.backbone), (4, config.backbone));
            assert_eq!(block_shapes(&found), block_shapes(&config), "{width}");
        }
    }

    #[test]
    fn every_width_gives_back_its_channels() {
        for thousandths in 32..=2000 {
            let config = SsdConfig {
                width: f64::from(thousandths) / 1000.0,
                ..SsdConfig::vgg16(2)
            };
            let channels = |config: &SsdConfig| -> Vec<usize> {
                let shapes = vgg_shapes(config);
                shapes.iter().map(|([_, channels], _)| *channels).collect()
            };
            let seen = channels(&config);
            let widest = (FC_CHANNELS, seen[14]);
            let found = with_width(SsdConfig::vgg16(2), &[widest], |c| channels(c) == seen);
            assert!(found.is_some(), "{}", config.width);
        }
    }

    #[test]
    fn the_usual_width_is_one() {
        let shapes = vgg_shapes(&SsdConfig::vgg16(2));
        let widest = (FC_CHANNELS, shapes[14].0[1]);
        let found = with_width(SsdConfig::vgg16(2), &[widest], |_| true).expect("a width");
        assert_eq!(found.width, 1.0);
    }

    #[test]
    fn weights_of_something_else_tell_nothing() {
        let config = SsdConfig {
            width: 0.03125,
            ..SsdConfig::vgg16(3)
        };
        let whole = weights(&config);
        for (key, shape) in [
            ("conf.0.weight", vec![13, 16, 3, 3]),
            ("vgg.0.weight", vec![640, 3, 3, 3]),
            ("loc.0.weight", vec![16]),
        ] {
            let mut dict = whole.clone();
            let count = shape.iter().product();
            dict.insert(key, TensorEntry::from_f32(shape, vec![0.0; count]));
            assert_eq!(infer(&dict), None, "{key}");
        }
        assert_eq!(infer(&StateDict::new()), None);
    }

    #[test]
    fn prior_boxes_are_those_of_the_files_names_or_assumed() {
        let plain = StateDict::new();
        let mut torchvision = StateDict::new();
        torchvision.insert(
            "model.backbone.scale_weight",
            TensorEntry::from_f32(vec![1], vec![1.0]),
        );
        let mut config = SsdConfig::vgg16(3);
        let remarks = <Ssd<Flex> as NamedModel<Flex>>::assume(&mut config, &torchvision);
        assert_eq!(
            (config.priors, remarks.len()),
            (Some(PriorTable::Torchvision), 0)
        );
        let mut config = SsdConfig::vgg16(3);
        let remarks = <Ssd<Flex> as NamedModel<Flex>>::assume(&mut config, &plain);
        assert!(
            config.priors.is_none() && remarks[0].contains("`voc`"),
            "{remarks:?}"
        );
        let mut config = SsdConfig::mobilenet_v2(3);
        assert!(<Ssd<Flex> as NamedModel<Flex>>::assume(&mut config, &plain).is_empty());
    }
}
