//! SSD, the single-shot detector ([Liu et al., 2016](https://arxiv.org/abs/1512.02325)), for images of 300×300.
//!
//! A backbone yields six feature maps. At each cell of each map two convolutions (the heads)
//! predict, for every prior box of the cell, how the box must be moved (`loc`) and the class of the
//! object in it (`conf`). Two backbones: VGG16 with dilated fc6 and fc7, which reads the files of
//! ssd.pytorch and of torchvision's `ssd300_vgg16`, and MobileNetV2 with separable heads (SSDLite,
//! [Sandler et al., 2018](https://arxiv.org/abs/1801.04381)), which reads those of
//! qfgaohao/pytorch-ssd. A width multiplier makes either narrower.
//!
//! [`Ssd::forward_features`] returns the six maps too, and [`Projectors`] map a student's maps to
//! the channels of a teacher, for knowledge distillation.
//!
//! ```
//! # mod pyrograph {
//! #     pub use burn;
//! #     pub mod backend { pub use burn_flex::Flex; }
//! #     pub use pyrograph_models as models;
//! # }
//! use pyrograph::burn::tensor::Tensor;
//! use pyrograph::backend::Flex;
//! use pyrograph::models::ssd::SsdConfig;
//!
//! let device = Default::default();
//! let config = SsdConfig { width: 0.125, ..SsdConfig::vgg16(3) };
//! let model = config.init::<Flex>(&device, 0)?;
//! let output = model.forward(Tensor::zeros([1, 3, 300, 300], &device));
//! assert_eq!(output.loc.dims(), [1, 8732, 4]);
//! assert_eq!(output.conf.dims(), [1, 8732, 3]);
//! # Ok::<(), pyrograph::models::ModelError>(())
//! ```

mod card;
mod config;
mod cost;
mod detector;
mod heads;
mod infer;
mod l2_norm;
mod maps;
mod mobilenet;
mod model;
mod plain_mobilenet;
mod plain_vgg;
mod projectors;
mod thaw;
mod torchvision;
mod transfer;
mod vgg;
mod weights;

pub use card::DetectorCard;
pub use config::{PriorTable, SsdBackbone, SsdConfig};
pub use cost::SsdCost;
pub use detector::{Detector, DetectorInput};
pub use l2_norm::L2Norm;
pub use model::{Ssd, SsdFeatures, SsdOutput};
pub use projectors::{ProjectorConfig, ProjectorKind, Projectors};
pub use transfer::{Start, Transfer};

/// The name of the model on the command line and in model files.
const NAME: &str = "ssd300";
/// Feature maps that have heads.
const MAPS: usize = 6;
