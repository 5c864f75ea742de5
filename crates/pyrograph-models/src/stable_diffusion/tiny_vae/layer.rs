//! Encoder and decoder: lists of layers, which published keys number.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::AutoencoderTinyConfig;
use crate::blocks::{Conv2d, Kernel, ParamInit};

/// The window that halves an image.
const HALVING: Kernel = Kernel {
    size: 3,
    stride: 2,
    padding: 1,
};

/// A layer with parameters.
#[allow(clippy::large_enum_variant)] // A model has two dozen layers.
#[derive(Module, Debug)]
pub(super) enum Layer<B: Backend> {
    /// A convolution.
    Conv(Conv2d<B>),
    /// A residual block.
    Block(Block<B>),
}

impl<B: Backend> Layer<B> {
    fn same(init: &mut ParamInit<'_, B>, channels: [usize; 2]) -> Self {
        Self::Conv(Conv2d::same(init, channels, 3))
    }
}

impl<B: VisionBackend> Layer<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Conv(conv) => conv.forward(x, Activation::Identity),
            Self::Block(block) => block.forward(x),
        }
    }
}

/// `ReLU(conv3(act(conv2(act(conv1(x))))) + x)`.
#[derive(Module, Debug)]
pub(super) struct Block<B: Backend> {
    conv1: Conv2d<B>,
    conv2: Conv2d<B>,
    conv3: Conv2d<B>,
    act: Activation,
}

impl<B: Backend> Block<B> {
    fn new(init: &mut ParamInit<'_, B>, channels: usize, act: Activation) -> Self {
        let mut conv = || Conv2d::same(init, [channels, channels], 3);
        Self {
            conv1: conv(),
            conv2: conv(),
            conv3: conv(),
            act,
        }
    }
}

impl<B: VisionBackend> Block<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let y = self.conv1.forward(x.clone(), self.act);
        let y = self.conv2.forward(y, self.act);
        let y = self.conv3.forward(y, Activation::Identity);
        vision::activate(y + x, Activation::Relu)
    }
}

/// Stages of a convolution and residual blocks; each but the first halves the image.
#[derive(Module, Debug)]
pub(super) struct Encoder<B: Backend> {
    layers: Vec<Layer<B>>,
}

impl<B: Backend> Encoder<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &AutoencoderTinyConfig) -> Self {
        let width = config.encoder_width();
        let mut layers = Vec::new();
        for (stage, &blocks) in config.num_encoder_blocks.iter().enumerate() {
            layers.push(match stage {
                0 => Layer::same(init, [config.in_channels, width]),
                _ => Layer::Conv(Conv2d::new(init, [width, width], HALVING).without_bias()),
            });
            layers
                .extend((0..blocks).map(|_| Layer::Block(Block::new(init, width, config.act_fn))));
        }
        layers.push(Layer::same(init, [width, config.latent_channels]));
        Self { layers }
    }
}

impl<B: VisionBackend> Encoder<B> {
    /// # Shapes
    /// [batch, in_channels, height, width] → [batch, latent_channels, height/8, width/8] with four stages.
    pub(super) fn forward(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        self.layers.iter().fold(image, |x, layer| layer.forward(x))
    }
}

/// First convolution and activation, then stages of residual blocks, upsampling and a convolution;
/// the last has no upsampling.
#[derive(Module, Debug)]
pub(super) struct Decoder<B: Backend> {
    /// None where published keys count a layer without parameters: the activation, which is the
    /// second, and the upsamplings.
    layers: Vec<Option<Layer<B>>>,
    act: Activation,
    factor: usize,
}

/// The place of the decoder's own activation.
const ACTIVATION_AT: usize = 1;

impl<B: Backend> Decoder<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &AutoencoderTinyConfig) -> Self {
        let width = config.decoder_width();
        let mut layers = vec![
            Some(Layer::same(init, [config.latent_channels, width])),
            None,
        ];
        let last = config.num_decoder_blocks.len() - 1;
        for (stage, &blocks) in config.num_decoder_blocks.iter().enumerate() {
            layers.extend(
                (0..blocks).map(|_| Some(Layer::Block(Block::new(init, width, config.act_fn)))),
            );
            if stage == last {
                layers.push(Some(Layer::same(init, [width, config.out_channels])));
            } else {
                let conv = Conv2d::same(init, [width, width], 3).without_bias();
                layers.extend([None, Some(Layer::Conv(conv))]);
            }
        }
        Self {
            layers,
            act: config.act_fn,
            factor: config.upsampling_scaling_factor,
        }
    }
}

impl<B: VisionBackend> Decoder<B> {
    /// # Shapes
    /// [batch, latent_channels, height, width] → [batch, out_channels, 8·height, 8·width] with four
    /// stages and doubling.
    pub(super) fn forward(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut layers = self.layers.iter().enumerate();
        let mut x = latents;
        while let Some((place, layer)) = layers.next() {
            x = match layer {
                Some(layer) => layer.forward(x),
                None if place == ACTIVATION_AT => vision::activate(x, self.act),
                None => match layers.next() {
                    Some((_, Some(Layer::Conv(conv)))) => conv.forward_of_upsampled(x, self.factor),
                    _ => unreachable!("a convolution follows each upsampling"),
                },
            };
        }
        x
    }
}
