//! Files of MobileNetV2 as a classifier, or of its convolutions alone, as backbones.

use crate::weights::StateDict;

/// The key of the first convolution in a Sequential within a Sequential.
const FIRST: &str = "0.0.weight";
/// The prefix of this key in a classifier.
const FEATURES: &str = "features.";
/// The backbone in a detector of qfgaohao/pytorch-ssd.
const BACKBONE: &str = "base_net.";

/// The tensors of a MobileNetV2 under pytorch-ssd's names; `None` for any other file.
pub(super) fn translate(dict: &StateDict) -> Option<StateDict> {
    let prefixes = dict.keys().filter_map(|key| key.strip_suffix(FIRST));
    let prefix = prefixes
        .filter(|prefix| prefix.is_empty() || prefix.ends_with(FEATURES))
        .min_by_key(|prefix| prefix.len())?;
    Some(dict.renamed(|key| {
        let rest = key.strip_prefix(prefix);
        rest.map_or_else(|| key.to_owned(), |rest| format!("{BACKBONE}{rest}"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::TensorEntry;

    fn translated(keys: &[&str]) -> Option<Vec<String>> {
        let mut dict = StateDict::new();
        for key in keys {
            let tensor = TensorEntry::from_f32(Vec::new(), vec![0.0]);
            dict.insert(*key, tensor);
        }
        translate(&dict).map(|dict| dict.keys().map(str::to_owned).collect())
    }

    #[test]
    fn convolutions_alone_and_those_of_a_classifier_become_the_backbone() {
        let names = ["base_net.0.0.weight", "base_net.1.conv.0.weight"];
        assert_eq!(
            translated(&["0.0.weight", "1.conv.0.weight"]).expect("alone"),
            names
        );
        let keys = [
            "features.0.0.weight",
            "features.1.conv.0.weight",
            "classifier.1.bias",
        ];
        let of_classifier = translated(&keys).expect("a classifier");
        assert_eq!(of_classifier[..2], names);
        assert_eq!(of_classifier[2], "classifier.1.bias");
        assert_eq!(translated(&["base_net.0.0.weight"]), None);
    }
}
