//! Configuration of a detector, and checks of its input.

use std::{fmt, str::FromStr};

use pyrograph_vision::{CenterBox, PriorClip, PriorConfig};
use serde::{Deserialize, Serialize};

use super::{MAPS, NAME, infer::infer, torchvision, weights::TELLING_KEYS};
use crate::{
    ModelError,
    weights::{StateDict, config_of, under_part},
};

/// Side of the images in pixels.
const SIDE: usize = 300;
/// At these bounds the heads of VGG16 have 268 million parameters.
const MAX_CLASSES: usize = 1001;
const MAX_WIDTH: f64 = 2.0;
const MIN_WIDTH: f64 = 0.03125;
/// The least number of channels of a layer of VGG16.
const MIN_CHANNELS: usize = 8;

/// The network in front of the heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SsdBackbone {
    /// VGG16 without its classifier, with fc6 and fc7 as dilated convolutions, and eight more
    /// layers.
    #[serde(rename = "vgg16")]
    Vgg16,
    /// MobileNetV2 with separable heads.
    #[serde(rename = "mobilenet-v2")]
    MobilenetV2,
}

/// A published table of prior boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorTable {
    /// ssd.pytorch's table for Pascal VOC.
    #[serde(alias = "VOC")]
    Voc,
    /// ssd.pytorch's table for COCO, which has smaller objects.
    #[serde(alias = "COCO")]
    Coco,
    /// torchvision's `ssd300_vgg16`: COCO's sizes; only width and height are clipped.
    Torchvision,
    /// qfgaohao/pytorch-ssd's table for the MobileNets: 3,000 priors, on maps from 19×19 down.
    #[serde(alias = "mobilenet-v2")]
    Mobilenet,
}

/// The names of an enum's values as users write them.
macro_rules! named {
    ($type:ty, $what:literal, [$($name:literal => $value:expr),+]) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names = [$(($value, $name)),+];
                // Every value stands in the list.
                f.pad(names.iter().find(|(value, _)| value == self).map_or("", |(_, name)| name))
            }
        }

        impl FromStr for $type {
            type Err = ModelError;

            fn from_str(seen: &str) -> Result<Self, ModelError> {
                match seen {
                    $($name => Ok($value),)+
                    _ => Err(ModelError::Config {
                        model: NAME,
                        field: $what,
                        seen: seen.into(),
                        allowed: [$($name),+].join(" or "),
                    }),
                }
            }
        }
    };
}

pub(super) use named;

named!(SsdBackbone, "backbone", ["vgg16" => Self::Vgg16, "mobilenet-v2" => Self::MobilenetV2]);
named!(PriorTable, "priors", [
    "voc" => Self::Voc, "coco" => Self::Coco, "torchvision" => Self::Torchvision, "mobilenet" => Self::Mobilenet
]);

impl PriorTable {
    fn config(self) -> PriorConfig {
        match self {
            Self::Voc => PriorConfig::voc(),
            Self::Coco => PriorConfig::coco(),
            Self::Torchvision => PriorConfig::torchvision(),
            Self::Mobilenet => PriorConfig::mobilenet(),
        }
    }
}

/// Configuration of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsdConfig {
    /// Number of classes, including the background (class 0): 21 for Pascal VOC.
    pub num_classes: usize,
    /// The network in front of the heads.
    #[serde(default = "vgg16")]
    pub backbone: SsdBackbone,
    /// The width multiplier of all numbers of channels.
    #[serde(default = "one")]
    pub width: f64,
    /// The prior boxes. `None` means the backbone's own table: VOC's or the MobileNets' (see
    /// [`with_priors_of`](Self::with_priors_of)).
    #[serde(default)]
    pub priors: Option<PriorTable>,
    /// Which numbers of the priors are clipped to the image; `None` for the table's own rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<PriorClip>,
    /// Batch norm after every convolution of VGG16 and of the layers behind it: for training from
    /// random weights, which often fails without norms ([Zhu et al.,
    /// 2019](https://arxiv.org/abs/1810.08425)). MobileNetV2 always has it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub batch_norm: bool,
}

fn vgg16() -> SsdBackbone {
    SsdBackbone::Vgg16
}

fn one() -> f64 {
    1.0
}

fn is_false(value: &bool) -> bool {
    !value
}

impl SsdConfig {
    /// The published SSD300, for `num_classes` classes including the background.
    pub fn vgg16(num_classes: usize) -> Self {
        Self {
            num_classes,
            backbone: SsdBackbone::Vgg16,
            width: 1.0,
            priors: None,
            clip: None,
            batch_norm: false,
        }
    }

    /// torchvision's `ssd300_vgg16`.
    pub fn torchvision(num_classes: usize) -> Self {
        Self {
            priors: Some(PriorTable::Torchvision),
            ..Self::vgg16(num_classes)
        }
    }

    /// MobileNetV2-SSDLite, for `num_classes` classes including the background.
    pub fn mobilenet_v2(num_classes: usize) -> Self {
        Self {
            backbone: SsdBackbone::MobilenetV2,
            ..Self::vgg16(num_classes)
        }
    }

    /// The configuration in a model file.
    ///
    /// # Errors
    /// When the file has no configuration, or that of another model.
    pub fn of(dict: &StateDict) -> Result<Self, ModelError> {
        config_of(dict, NAME, &[])
    }

    /// The configuration of a published detector, inferred from the names and shapes of its
    /// weights: of the first detector in `dict`, or in the part named `part`. The prior boxes are
    /// torchvision's, or unknown. `None` if there is no such detector.
    pub fn inferred(dict: &StateDict, part: Option<&str>) -> Option<Self> {
        let of_part = part.map(|part| under_part(dict, part));
        let dict = of_part.as_ref().unwrap_or(dict);
        let translated = torchvision::translate(dict);
        let weights = translated.as_ref().unwrap_or(dict);
        weights
            .keys()
            .flat_map(|key| TELLING_KEYS.iter().filter_map(|end| key.strip_suffix(end)))
            .find_map(|prefix| infer(&weights.part(prefix)))
            .map(|config| config.with_priors_of(dict))
    }

    /// Sets the prior boxes, if none are set, to torchvision's if the keys of `dict` are
    /// torchvision's.
    pub fn with_priors_of(mut self, dict: &StateDict) -> Self {
        if self.priors.is_none() && torchvision::is_of_torchvision(dict) {
            self.priors = Some(PriorTable::Torchvision);
        }
        self
    }

    /// Width and height of an image in pixels.
    pub fn side(&self) -> usize {
        SIDE
    }

    /// The table of the prior boxes.
    pub fn prior_table(&self) -> PriorTable {
        self.priors.unwrap_or(match self.backbone {
            SsdBackbone::Vgg16 => PriorTable::Voc,
            SsdBackbone::MobilenetV2 => PriorTable::Mobilenet,
        })
    }

    /// The rules that generate the prior boxes.
    pub fn prior_config(&self) -> PriorConfig {
        let mut config = self.prior_table().config();
        if let Some(clip) = self.clip {
            config.clip = clip;
        }
        config
    }

    /// The prior boxes, in the order of the network's outputs, as fractions of the image's sides.
    ///
    /// # Errors
    /// When a field is not allowed.
    pub fn prior_boxes(&self) -> Result<Vec<CenterBox>, ModelError> {
        self.check()?;
        // The tables are constants of ours.
        self.prior_config()
            .boxes()
            .map_err(|error| self.refuse("priors", self.prior_table(), error.to_string()))
    }

    /// Channels of a layer of VGG16 that has `channels` at width 1, as the reference rounds.
    pub(super) fn vgg_channels(&self, channels: usize) -> usize {
        MIN_CHANNELS.max((channels as f64 * self.width) as usize)
    }

    /// Channels of a layer of MobileNetV2 that has `channels` at width 1, as the published code rounds.
    pub(super) fn mobilenet_channels(&self, channels: usize) -> usize {
        ((channels as f64 * self.width) as usize).max(1)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        if !(2..=MAX_CLASSES).contains(&self.num_classes) {
            let allowed = format!("2 to {MAX_CLASSES}, the background counted");
            return Err(self.refuse("num_classes", self.num_classes, allowed));
        }
        if !(MIN_WIDTH..=MAX_WIDTH).contains(&self.width) {
            let allowed = format!("{MIN_WIDTH} to {MAX_WIDTH}");
            return Err(self.refuse("width", self.width, allowed));
        }
        let table = self.prior_table();
        let of_mobilenet = table == PriorTable::Mobilenet;
        if of_mobilenet != (self.backbone == SsdBackbone::MobilenetV2) {
            let allowed = match of_mobilenet {
                true => "voc, coco or torchvision with vgg16, whose first map has 38 cells a side",
                false => "mobilenet with mobilenet-v2, whose first map has 19 cells a side",
            };
            return Err(self.refuse("priors", table, allowed.into()));
        }
        if self.batch_norm && self.backbone == SsdBackbone::MobilenetV2 {
            let allowed = "left out with mobilenet-v2, which always has it";
            return Err(self.refuse("batch_norm", true, allowed.into()));
        }
        debug_assert_eq!(self.priors_per_cell().len(), MAPS);
        Ok(())
    }

    fn refuse(&self, field: &'static str, seen: impl ToString, allowed: String) -> ModelError {
        ModelError::Config {
            model: NAME,
            field,
            seen: seen.to_string(),
            allowed,
        }
    }

    /// Checks the shape of images, [batch, 3, 300, 300]; returns the batch size.
    ///
    /// # Errors
    /// Names the shape seen and the one allowed.
    pub fn check_images(&self, x: &[usize]) -> Result<usize, ModelError> {
        match *x {
            [batch, 3, SIDE, SIDE] if batch > 0 => Ok(batch),
            _ => Err(ModelError::Input {
                model: NAME,
                input: "x",
                seen: x.into(),
                allowed: format!("[batch, 3, {SIDE}, {SIDE}] with a batch of 1 or more"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_their_bounds_are_refused_by_name() {
        type Change = fn(&mut SsdConfig);
        let changes: [(&str, Change); 8] = [
            ("num_classes is 1", |c| c.num_classes = 1),
            ("num_classes is 5000", |c| c.num_classes = 5000),
            ("width is 0,", |c| c.width = 0.0),
            ("width is NaN", |c| c.width = f64::NAN),
            ("width is 16", |c| c.width = 16.0),
            ("priors is mobilenet", |c| {
                c.priors = Some(PriorTable::Mobilenet);
            }),
            ("priors is voc", |c| {
                (c.backbone, c.priors) = (SsdBackbone::MobilenetV2, Some(PriorTable::Voc));
            }),
            ("batch_norm is true", |c| {
                (c.backbone, c.batch_norm) = (SsdBackbone::MobilenetV2, true);
            }),
        ];
        for (text, change) in changes {
            let mut config = SsdConfig::vgg16(21);
            change(&mut config);
            let message = config.check().expect_err(text).to_string();
            assert!(message.contains(text), "{message}");
        }
    }

    #[test]
    fn every_table_has_the_priors_that_it_is_known_for() {
        for (config, count) in [
            (SsdConfig::vgg16(21), 8732),
            (SsdConfig::torchvision(91), 8732),
            (SsdConfig::mobilenet_v2(21), 3000),
        ] {
            assert_eq!(config.prior_boxes().expect("a table").len(), count);
        }
    }

    #[test]
    fn names_are_read_and_written() {
        for name in ["voc", "coco", "torchvision", "mobilenet"] {
            assert_eq!(name.parse::<PriorTable>().expect(name).to_string(), name);
        }
        for name in ["vgg16", "mobilenet-v2"] {
            assert_eq!(name.parse::<SsdBackbone>().expect(name).to_string(), name);
        }
        let message = "vgg".parse::<SsdBackbone>().expect_err("vgg").to_string();
        assert!(message.contains("vgg,") && message.contains("vgg16 or mobilenet-v2"));
        let read = |text| serde_json::from_str::<SsdConfig>(text);
        let config = read(r#"{"num_classes": 4, "backbone": "mobilenet-v2", "width": 0.5}"#);
        let config = config.expect("left out numbers");
        assert_eq!(config.prior_table(), PriorTable::Mobilenet);
        assert!(read(r#"{"num_classes": 4, "with": 0.5}"#).is_err());
        assert!(read(r#"{"backbone": "vgg16"}"#).is_err());
    }

    #[test]
    fn other_shapes_than_that_of_images_are_refused() {
        let config = SsdConfig::vgg16(21);
        assert_eq!(config.check_images(&[2, 3, 300, 300]).expect("images"), 2);
        for shape in [
            &[0, 3, 300, 300][..],
            &[1, 1, 300, 300],
            &[1, 3, 512, 512],
            &[3, 300, 300],
        ] {
            let message = config.check_images(shape).expect_err("refused").to_string();
            assert!(message.contains(&format!("{shape:?}")), "{message}");
        }
    }
}
