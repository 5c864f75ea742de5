//! The key names of torchvision's `ssd300_vgg16`.

use super::weights::VGG_PLACES;
use crate::weights::StateDict;

/// The key that identifies torchvision's files: the scale of the L2 norm.
const SCALE: &str = "backbone.scale_weight";
/// conv5_1 follows a pooling, which is number 0 of torchvision's `extra.0` and number 23 of ssd.pytorch's `vgg`.
const CONV5_AFTER: usize = 23;

/// Whether the keys are torchvision's.
pub(super) fn is_of_torchvision(dict: &StateDict) -> bool {
    dict.keys().any(|key| key.ends_with(SCALE))
}

/// The tensors of a torchvision file under ssd.pytorch's names, also of a file with several
/// networks, such as a network and its average. `None` for any other file.
pub(super) fn translate(dict: &StateDict) -> Option<StateDict> {
    let wrappers: Vec<&str> = dict
        .keys()
        .filter_map(|key| key.strip_suffix(SCALE))
        .collect();
    if wrappers.is_empty() {
        return None;
    }
    let under = |key: &str, wrapper: &str| {
        let name = rename(key.strip_prefix(wrapper)?)?;
        Some(format!("{wrapper}{name}"))
    };
    Some(dict.renamed(|key| {
        let renamed = wrappers.iter().find_map(|wrapper| under(key, wrapper));
        renamed.unwrap_or_else(|| key.to_owned())
    }))
}

fn rename(key: &str) -> Option<String> {
    if key == SCALE {
        return Some("L2Norm.weight".into());
    }
    // head.<kind>_head.module_list.<n>.…: the same heads under other names.
    for (theirs, ours) in [
        ("head.classification_head.module_list.", "conf."),
        ("head.regression_head.module_list.", "loc."),
        // backbone.features: up to conv4_3, with the numbers of VGG16.
        ("backbone.features.", "vgg."),
    ] {
        if let Some(rest) = key.strip_prefix(theirs) {
            return Some(format!("{ours}{rest}"));
        }
    }
    // backbone.extra.0: conv5, and in its seventh layer fc6 and fc7.
    if let Some(rest) = key.strip_prefix("backbone.extra.0.7.") {
        let (layer, name) = rest.split_once('.')?;
        let [.., fc6, fc7] = VGG_PLACES;
        let place = match layer {
            "1" => fc6,
            "3" => fc7,
            _ => return None,
        };
        return Some(format!("vgg.{place}.{name}"));
    }
    let (group, rest) = key.strip_prefix("backbone.extra.")?.split_once('.')?;
    let (layer, name) = rest.split_once('.')?;
    let (group, layer): (usize, usize) = (group.parse().ok()?, layer.parse().ok()?);
    Some(match group {
        0 => format!("vgg.{}.{name}", layer + CONV5_AFTER),
        // backbone.extra.<n>: Sequential(convolution, ReLU, convolution, ReLU).
        _ => format!("extras.{}.{name}", 2 * (group - 1) + layer / 2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssd::{PriorTable, SsdConfig};

    #[test]
    fn torchvisions_names_become_those_of_ssd_pytorch() {
        for (theirs, ours) in [
            ("backbone.scale_weight", "L2Norm.weight"),
            ("backbone.features.21.bias", "vgg.21.bias"),
            ("backbone.extra.0.1.weight", "vgg.24.weight"),
            ("backbone.extra.0.5.bias", "vgg.28.bias"),
            ("backbone.extra.0.7.1.weight", "vgg.31.weight"),
            ("backbone.extra.0.7.3.bias", "vgg.33.bias"),
            ("backbone.extra.1.0.weight", "extras.0.weight"),
            ("backbone.extra.4.2.bias", "extras.7.bias"),
            (
                "head.classification_head.module_list.3.weight",
                "conf.3.weight",
            ),
            ("head.regression_head.module_list.5.bias", "loc.5.bias"),
        ] {
            assert_eq!(rename(theirs).as_deref(), Some(ours));
        }
        assert_eq!(rename("optimizer.state"), None);
    }

    #[test]
    fn a_network_and_its_average_are_both_translated() {
        let mut dict = StateDict::new();
        for wrapper in ["ema.", "model."] {
            for key in [SCALE, "backbone.features.0.bias"] {
                let tensor = crate::weights::TensorEntry::from_f32(vec![1], vec![1.0]);
                dict.insert(format!("{wrapper}{key}"), tensor);
            }
        }
        // Such a file tells its prior boxes, where the config names none.
        let config = SsdConfig::vgg16(3).with_priors_of(&dict);
        assert_eq!(config.priors, Some(PriorTable::Torchvision));
        let named = SsdConfig {
            priors: Some(PriorTable::Coco),
            ..config
        };
        assert_eq!(named.with_priors_of(&dict).priors, Some(PriorTable::Coco));
        let other = SsdConfig::vgg16(3).with_priors_of(&StateDict::new());
        assert_eq!(other.priors, None);

        let translated = translate(&dict).expect("torchvision's");
        let keys: Vec<_> = translated.keys().collect();
        let expected = [
            "ema.L2Norm.weight",
            "ema.vgg.0.bias",
            "model.L2Norm.weight",
            "model.vgg.0.bias",
        ];
        assert_eq!(keys, expected);
    }
}
