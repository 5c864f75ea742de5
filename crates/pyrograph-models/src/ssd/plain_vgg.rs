//! Files of VGG16 as a classifier, or of its convolutions alone, as backbones.

use super::weights::VGG_PLACES;
use crate::weights::{StateDict, TensorEntry};

/// fc6 and fc7 keep every `FC_STEP`-th feature, and fc6 keeps every `FC_STEP`-th row and column of
/// its 7×7 window (ssd.pytorch's `vgg16_reducedfc`, after Chen et al.,
/// [DeepLab](https://arxiv.org/abs/1412.7062)).
const FC_STEP: usize = 4;
const WINDOW_STEP: usize = 3;
/// The window that fc6 covers in the classifier.
const FC6_WINDOW: usize = 7;

/// The tensors of a VGG16 under ssd.pytorch's names; `None` for any other file. `wanted` has the
/// shapes of the detector's layers.
pub(super) fn translate(dict: &StateDict, wanted: &StateDict) -> Option<StateDict> {
    if let Some(wrapper) = dict
        .keys()
        .find_map(|key| key.strip_suffix("features.0.weight"))
    {
        return torchvision_classifier(dict, wrapper, wanted);
    }
    // vgg16_reducedfc.pth: the Sequential alone, with fc6 and fc7 as they are wanted.
    dict.get("0.weight")
        .map(|_| dict.renamed(|key| format!("vgg.{key}")))
}

/// Whether the tensor of this name belongs to fc6 or fc7. Files with only the convolutions do not
/// have these layers; torchvision's files for SSD have them without values.
pub(super) fn is_of_fc(key: &str) -> bool {
    let [.., fc6, fc7] = VGG_PLACES;
    [fc6, fc7]
        .iter()
        .any(|place| key.starts_with(&format!("vgg.{place}.")))
}

fn torchvision_classifier(
    dict: &StateDict,
    wrapper: &str,
    wanted: &StateDict,
) -> Option<StateDict> {
    let mut backbone = dict.renamed(|key| {
        let number = key
            .strip_prefix(wrapper)
            .and_then(|key| key.strip_prefix("features."));
        number.map_or_else(|| key.to_owned(), |rest| format!("vgg.{rest}"))
    });
    let [.., fc6, fc7] = VGG_PLACES;
    for (place, layer) in [(fc6, "classifier.0"), (fc7, "classifier.3")] {
        for name in ["weight", "bias"] {
            let ours = format!("vgg.{place}.{name}");
            let theirs = dict.get(&format!("{wrapper}{layer}.{name}"));
            if let (Some(theirs), Some(wanted)) = (theirs, wanted.get(&ours))
                && let Some(thinned) = thinned(theirs, wanted.shape())
            {
                backbone.insert(ours, thinned);
            }
        }
    }
    Some(backbone)
}

/// A dense layer's weight [out, in·7·7] or [out, in], or its bias `[out]`, as that of a convolution
/// of `shape`; `None` if the sizes do not fit.
fn thinned(dense: &TensorEntry, shape: &[usize]) -> Option<TensorEntry> {
    let from = dense.to_f32();
    let values = match (dense.shape(), shape) {
        ([features], [kept]) if kept.checked_mul(FC_STEP)? == *features => {
            from.iter().step_by(FC_STEP).copied().collect()
        }
        // fc6, whose inputs are the channels of the last map, each a window.
        ([features, inputs], &[kept, channels, 3, 3])
            if kept.checked_mul(FC_STEP)? == *features
                && channels.checked_mul(FC6_WINDOW * FC6_WINDOW)? == *inputs =>
        {
            let row = |feature: usize| &from[feature * inputs..][..*inputs];
            let window = (0..3).flat_map(|y| (0..3).map(move |x| [y, x]));
            let places: Vec<usize> = window
                .map(|[y, x]| y * WINDOW_STEP * FC6_WINDOW + x * WINDOW_STEP)
                .collect();
            (0..kept)
                .flat_map(|feature| row(feature * FC_STEP).chunks_exact(FC6_WINDOW * FC6_WINDOW))
                .flat_map(|window| places.iter().map(|&place| window[place]))
                .collect()
        }
        // fc7, whose inputs are fc6's features.
        ([features, inputs], &[kept, channels, 1, 1])
            if kept.checked_mul(FC_STEP)? == *features
                && channels.checked_mul(FC_STEP)? == *inputs =>
        {
            let row = |feature: usize| &from[feature * inputs..][..*inputs];
            (0..kept)
                .flat_map(|feature| row(feature * FC_STEP).iter().step_by(FC_STEP).copied())
                .collect()
        }
        _ => return None,
    };
    Some(TensorEntry::from_f32(shape.to_vec(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(shape: &[usize]) -> TensorEntry {
        let count = shape.iter().product::<usize>();
        TensorEntry::from_f32(shape.to_vec(), (0..count).map(|i| i as f32).collect())
    }

    #[test]
    fn dense_layers_keep_every_fourth_feature_and_every_third_pixel() {
        let fc6 = thinned(&numbered(&[8, 2 * 49]), &[2, 2, 3, 3]).expect("fits");
        // Feature 4, channel 1: its window begins at 4·98 + 49.
        let begin = (4 * 98 + 49) as f32;
        let window = [0, 3, 6, 21, 24, 27, 42, 45, 48].map(|place| begin + place as f32);
        assert_eq!(fc6.to_f32()[(2 + 1) * 9..], window);

        let fc7 = thinned(&numbered(&[8, 12]), &[2, 3, 1, 1]).expect("fits");
        assert_eq!(fc7.to_f32(), [0.0, 4.0, 8.0, 48.0, 52.0, 56.0]);
        let bias = thinned(&numbered(&[8]), &[2]).expect("fits");
        assert_eq!(bias.to_f32(), [0.0, 4.0]);
        assert!(thinned(&numbered(&[9]), &[2]).is_none());
        assert!(thinned(&numbered(&[8, 98]), &[2, 3, 3, 3]).is_none());
    }
}
