//! The generator, from latent vectors to images.

use burn::{
    module::Module,
    tensor::{DType, Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};

use super::{DcganConfig, HALF, WHOLE};
use crate::{
    ModelError,
    blocks::{BatchNorm2d, BatchStatistics, ConvTranspose2d, Kernel, NormMode, ParamInit, Stacked},
};

impl DcganConfig {
    /// A generator with random initial parameters; the same `seed` gives the same parameters on
    /// every backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_generator<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<Generator<B>, ModelError> {
        self.init_generator_with(&mut ParamInit::new(device, seed))
    }

    /// A generator whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_generator_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<Generator<B>, ModelError> {
        self.check()?;
        let mut blocks = Vec::with_capacity(self.blocks + 1);
        let (mut channels, mut kernel) = (self.z_dim, WHOLE);
        for width in self.widths().into_iter().rev() {
            blocks.push(Block::new(init, [channels, width], kernel));
            (channels, kernel) = (width, HALF);
        }
        blocks.push(Block::last(init, [channels, self.channels]));
        if !self.generator_bias {
            for block in &mut blocks {
                block.conv = block.conv.clone().without_bias();
            }
        }
        Ok(Generator {
            generator_network: blocks,
        })
    }
}

/// Transposed convolutions of 4×4 with batch norm and ReLU, the last one with tanh and no norm:
/// from [batch, z_dim] to images in (−1, 1).
#[derive(Module, Debug)]
pub struct Generator<B: Backend> {
    generator_network: Vec<Block<B>>,
}

impl<B: VisionBackend> Generator<B> {
    /// Images, with the running statistics of the batch norms: an image does not depend on the
    /// other images of the batch.
    ///
    /// # Shapes
    /// `z` [batch, z_dim] → [batch, channels, side, side].
    pub fn forward(&self, z: Tensor<B, 2>) -> Tensor<B, 4> {
        self.run(z, NormMode::Eval)
    }

    /// Like [`forward`](Self::forward), with the statistics of this batch, which are added to
    /// `statistics`: for training.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    pub fn forward_training(
        &self,
        z: Tensor<B, 2>,
        statistics: &mut BatchStatistics<B>,
    ) -> Tensor<B, 4> {
        self.run(z, NormMode::Train(statistics))
    }

    fn run(&self, z: Tensor<B, 2>, mut mode: NormMode<'_, B>) -> Tensor<B, 4> {
        let [batch, z_dim] = z.dims();
        let mut x = Stacked::new(z.reshape([batch, z_dim, 1, 1]));
        // The first block makes 4×4 pixels, each further one twice as many.
        let last = self.generator_network.len() - 1; // `init_generator` has made one at least.
        for block in &self.generator_network[..last] {
            x = block.forward(x, Activation::Relu, &mut mode);
        }
        let last = &self.generator_network[last];
        last.forward(x, Activation::Tanh, &mut mode).images()
    }

    /// The number type of the generator's weights.
    pub fn weight_type(&self) -> DType {
        // `init_generator` has made one block at least.
        self.generator_network[0].conv.weight.val().dtype()
    }

    /// A network with the same [`forward`](Self::forward), every norm folded into its convolution,
    /// and no parameter that requires a gradient: for a search through the frozen network. Norms
    /// after bf16 weights are not folded, so that a processor can multiply these weights in their own
    /// type; folded weights are f32.
    pub fn frozen(&self) -> Self {
        let frozen = self.generator_network.iter().map(Block::frozen).collect();
        Self {
            generator_network: frozen,
        }
        .no_grad()
    }
}

/// One layer; the last has no norm.
#[derive(Module, Debug)]
struct Block<B: Backend> {
    conv: ConvTranspose2d<B>,
    norm: Option<BatchNorm2d<B>>,
}

impl<B: Backend> Block<B> {
    fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2], kernel: Kernel) -> Self {
        Self {
            conv: ConvTranspose2d::new(init, channels, kernel),
            norm: Some(BatchNorm2d::new(init, channels[1])),
        }
    }

    fn last(init: &mut ParamInit<'_, B>, channels: [usize; 2]) -> Self {
        Self {
            conv: ConvTranspose2d::new(init, channels, HALF),
            norm: None,
        }
    }
}

impl<B: VisionBackend> Block<B> {
    fn forward(&self, x: Stacked<B>, act: Activation, mode: &mut NormMode<'_, B>) -> Stacked<B> {
        match &self.norm {
            Some(norm) => x.conv_transpose_norm(&self.conv, norm, act, mode),
            None => x.conv_transpose(&self.conv, act),
        }
    }

    /// The layer for a frozen network; see [`Generator::frozen`].
    fn frozen(&self) -> Self {
        match (&self.norm, self.conv.weight.val().dtype()) {
            (None, _) | (_, DType::BF16) => self.clone(),
            (Some(norm), _) => Self {
                conv: self.conv.folded(norm),
                norm: None,
            },
        }
    }
}
