//! The discriminator.

use burn::{
    module::Module,
    tensor::{DType, Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};

use super::{DcganConfig, HALF};
use crate::{
    ModelError,
    blocks::{BatchNorm2d, BatchStatistics, Conv2d, NormMode, ParamInit, Stacked},
};

impl DcganConfig {
    /// A discriminator with random initial parameters; the same `seed` gives the same parameters on
    /// every backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_discriminator<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<Discriminator<B>, ModelError> {
        self.init_discriminator_with(&mut ParamInit::new(device, seed))
    }

    /// A discriminator whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_discriminator_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<Discriminator<B>, ModelError> {
        self.check()?;
        let feature_network = feature_network(self, init);
        // Within the bounds that were checked there is at least one block.
        let features = self.width << (self.blocks - 1);
        let critic = Conv2d::new(init, [features, 1], self.critic());
        Ok(Discriminator {
            feature_network,
            critic_network: match self.discriminator.bias {
                true => critic,
                false => critic.without_bias(),
            },
        })
    }
}

/// The blocks that discriminator and encoder share.
pub(super) fn feature_network<B: Backend>(
    config: &DcganConfig,
    init: &mut ParamInit<'_, B>,
) -> Vec<Block<B>> {
    let options = &config.discriminator;
    let mut channels = config.channels;
    let mut blocks = Vec::with_capacity(config.blocks);
    for width in config.widths() {
        let conv = Conv2d::new(init, [channels, width], HALF);
        let normed = options.norm && (options.first_norm || !blocks.is_empty());
        blocks.push(Block {
            conv: match options.bias {
                true => conv,
                false => conv.without_bias(),
            },
            norm: normed.then(|| BatchNorm2d::new(init, width)),
            negative_slope: options.negative_slope,
        });
        channels = width;
    }
    blocks
}

/// The output of a [`Discriminator`].
#[derive(Clone, Debug)]
pub struct Judgement<B: Backend> {
    /// [batch, 1, 1, 1]: above 0 for an image that looks real; its sigmoid is a probability.
    pub logit: Tensor<B, 4>,
    /// [batch, features · 4 · 4]: the output of the last block, which AnoGAN compares.
    pub feature: Tensor<B, 2>,
}

/// Convolutions of 4×4 and stride 2 with batch norm and leaky ReLU, then one convolution over the
/// remaining pixels.
#[derive(Module, Debug)]
pub struct Discriminator<B: Backend> {
    feature_network: Vec<Block<B>>,
    critic_network: Conv2d<B>,
}

impl<B: VisionBackend> Discriminator<B> {
    /// Logits and features, with the running statistics of the batch norms: the result of an image
    /// does not depend on the other images of the batch.
    ///
    /// # Shapes
    /// `x` [batch, channels, side, side]; see [`Judgement`] and [`DcganConfig::check_images`].
    pub fn forward(&self, x: Tensor<B, 4>) -> Judgement<B> {
        self.run(x, NormMode::Eval)
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
    ) -> Judgement<B> {
        self.run(x, NormMode::Train(statistics))
    }

    fn run(&self, x: Tensor<B, 4>, mut mode: NormMode<'_, B>) -> Judgement<B> {
        let x = features(&self.feature_network, x, &mut mode);
        Judgement {
            logit: self.critic_network.forward(x.clone(), Activation::Identity),
            feature: x.flatten(1, 3),
        }
    }

    /// Only the features; see [`Judgement::feature`].
    ///
    /// # Shapes
    /// `x` [batch, channels, side, side] → [batch, features · 4 · 4].
    pub fn features(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        features(&self.feature_network, x, &mut NormMode::Eval).flatten(1, 3)
    }

    /// The derivative of the logits along `direction` at `x`, by forward-mode differentiation. An
    /// ordinary backward pass through the result yields the gradient of a gradient penalty, without
    /// a second derivative. Norms act as in [`forward`](Self::forward).
    ///
    /// # Shapes
    /// `x` and `direction` [batch, channels, side, side] → [batch, 1, 1, 1].
    pub fn directional_derivative(&self, x: Tensor<B, 4>, direction: Tensor<B, 4>) -> Tensor<B, 4> {
        let (mut x, mut direction) = (x, direction);
        for block in &self.feature_network {
            (x, direction) = block.forward_with_direction(x, direction);
        }
        self.critic_network.forward_linear(direction)
    }

    /// A network with the same [`forward`](Self::forward), every norm folded into its convolution,
    /// and no parameter that requires a gradient: for a search through the frozen network. Norms
    /// after half-precision weights are not folded, so that these weights are multiplied in their
    /// own type.
    pub fn frozen(&self) -> Self {
        Self {
            feature_network: self.feature_network.iter().map(Block::frozen).collect(),
            critic_network: self.critic_network.clone(),
        }
        .no_grad()
    }
}

pub(super) fn features<B: VisionBackend>(
    blocks: &[Block<B>],
    x: Tensor<B, 4>,
    mode: &mut NormMode<'_, B>,
) -> Tensor<B, 4> {
    let blocks = blocks.iter();
    blocks
        .fold(Stacked::new(x), |x, block| block.forward(x, mode))
        .images()
}

/// One layer: convolution, norm, leaky ReLU.
#[derive(Module, Debug)]
pub(super) struct Block<B: Backend> {
    conv: Conv2d<B>,
    norm: Option<BatchNorm2d<B>>,
    negative_slope: f32,
}

impl<B: VisionBackend> Block<B> {
    fn forward(&self, x: Stacked<B>, mode: &mut NormMode<'_, B>) -> Stacked<B> {
        let act = Activation::LeakyRelu(self.negative_slope);
        match &self.norm {
            Some(norm) => x.conv_norm(&self.conv, norm, act, mode),
            None => x.conv(&self.conv, act),
        }
    }

    /// The layer's output, and its derivative along `direction`.
    fn forward_with_direction(
        &self,
        x: Tensor<B, 4>,
        direction: Tensor<B, 4>,
    ) -> (Tensor<B, 4>, Tensor<B, 4>) {
        let layer = self.folded();
        let x = layer
            .conv
            .forward(x, Activation::LeakyRelu(self.negative_slope));
        let direction = layer.conv.forward_linear(direction);
        // The sign of a leaky ReLU's output is that of its input, as long as its slope is not 0.
        let below = x.clone().lower_equal_elem(0.0);
        let direction = direction
            .clone()
            .mask_where(below, direction * self.negative_slope);
        (x, direction)
    }

    /// The layer for a frozen network; see [`Discriminator::frozen`].
    fn frozen(&self) -> Self {
        match self.conv.weight.val().dtype() {
            DType::F16 | DType::BF16 => self.clone(),
            _ => self.folded(),
        }
    }

    pub(super) fn folded(&self) -> Self {
        match &self.norm {
            Some(norm) => Self {
                conv: self.conv.folded(norm),
                norm: None,
                negative_slope: self.negative_slope,
            },
            None => self.clone(),
        }
    }
}
