//! The network of the detector, with either backbone.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::VisionBackend;

use super::{SsdBackbone, SsdConfig, mobilenet::MobilenetSsd, thaw::Thaw, vgg::VggSsd};
use crate::{
    ModelError,
    blocks::{BatchStatistics, NormMode, ParamInit},
};

impl SsdConfig {
    /// A detector with random initial parameters; the same `seed` gives the same parameters on
    /// every backend. Convolutions are initialised by He's scheme, the last layers of the heads by
    /// Xavier's.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init<B: Backend>(&self, device: &B::Device, seed: u64) -> Result<Ssd<B>, ModelError> {
        self.init_with(&mut ParamInit::new(device, seed))
    }

    /// A detector whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_with<B: Backend>(&self, init: &mut ParamInit<'_, B>) -> Result<Ssd<B>, ModelError> {
        self.check()?;
        Ok(match self.backbone {
            SsdBackbone::Vgg16 => Ssd::Vgg16(VggSsd::new(init, self)),
            SsdBackbone::MobilenetV2 => Ssd::MobilenetV2(MobilenetSsd::new(init, self)),
        })
    }
}

/// The output of a detector, in the order of [`SsdConfig::prior_boxes`].
#[derive(Clone, Debug)]
pub struct SsdOutput<B: Backend> {
    /// [batch, priors, 4]: the encoded offsets of each prior (see `pyrograph_vision::BoxCoder`).
    pub loc: Tensor<B, 3>,
    /// [batch, priors, classes]: logits, the background first.
    pub conf: Tensor<B, 3>,
}

/// The output of a detector, with the feature maps that its heads read.
#[derive(Clone, Debug)]
pub struct SsdFeatures<B: Backend> {
    /// Six maps, each [batch, channels, side, side], as the heads read them: the first map of VGG16
    /// after its L2 norm. [`SsdConfig::map_channels`] and [`SsdConfig::map_sides`] give the sizes.
    pub maps: Vec<Tensor<B, 4>>,
    /// The output of the heads.
    pub output: SsdOutput<B>,
}

/// A single-shot detector for images of 300×300.
// A program holds one or two of them: what a box would save is nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Ssd<B: Backend> {
    /// On VGG16.
    Vgg16(VggSsd<B>),
    /// On MobileNetV2.
    MobilenetV2(MobilenetSsd<B>),
}

impl<B: Backend> Ssd<B> {
    /// Freezes the first `layers` layers of the backbone and the statistics of their norms, for
    /// fine-tuning. A layer is a convolution of VGG16, or the first convolution or a block of
    /// MobileNetV2. If `layers` exceeds their number, all of them are frozen.
    pub fn freeze(self, layers: usize) -> Self {
        match self {
            Self::Vgg16(network) => Self::Vgg16(network.freeze(layers)),
            Self::MobilenetV2(network) => Self::MobilenetV2(network.freeze(layers)),
        }
    }

    /// Undoes [`freeze`](Self::freeze): every parameter requires a gradient again, except the
    /// running statistics, and every norm observes its batches again.
    pub fn thaw(self) -> Self {
        self.freeze(0).map(&mut Thaw::default())
    }
}

impl<B: VisionBackend> Ssd<B> {
    /// Offsets and logits, with the running statistics of batch norms: the result of an image does
    /// not depend on the other images of the batch.
    ///
    /// # Shapes
    /// `x` [batch, 3, 300, 300], normalised; see [`SsdOutput`] and [`SsdConfig::check_images`].
    pub fn forward(&self, x: Tensor<B, 4>) -> SsdOutput<B> {
        self.run(x, &mut NormMode::Eval).output
    }

    /// The output of [`forward`](Self::forward) with the feature maps.
    ///
    /// # Shapes
    /// `x` [batch, 3, 300, 300], normalised; see [`SsdFeatures`].
    pub fn forward_features(&self, x: Tensor<B, 4>) -> SsdFeatures<B> {
        self.run(x, &mut NormMode::Eval)
    }

    /// Like [`forward`](Self::forward), with the statistics of this batch, which are added to
    /// `statistics`: for training.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    pub fn forward_training(
        &self,
        x: Tensor<B, 4>,
        statistics: &mut BatchStatistics<B>,
    ) -> SsdOutput<B> {
        self.run(x, &mut NormMode::Train(statistics)).output
    }

    /// The output of [`forward_training`](Self::forward_training) with the feature maps.
    ///
    /// # Shapes
    /// As [`forward_features`](Self::forward_features).
    pub fn forward_features_training(
        &self,
        x: Tensor<B, 4>,
        statistics: &mut BatchStatistics<B>,
    ) -> SsdFeatures<B> {
        self.run(x, &mut NormMode::Train(statistics))
    }

    fn run(&self, x: Tensor<B, 4>, mode: &mut NormMode<'_, B>) -> SsdFeatures<B> {
        match self {
            Self::Vgg16(network) => network.forward(x, mode),
            Self::MobilenetV2(network) => network.forward(x, mode),
        }
    }
}
