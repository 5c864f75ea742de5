//! The ContextUnet: a small U-Net that predicts the noise in a sprite, given a time and a context.
//!
//! From the course "How Diffusion Models Work" (DeepLearning.AI, 2023), after T. Pearce's
//! Conditional_Diffusion_MNIST. Input [batch, channels, h, h], time in (0, 1], context [batch,
//! n_cfeat]; the context scales and the time shifts two stages of the way up: `up(c·x + t)`.
//!
//! Difference to the course: in a residual block that changes the number of channels, the course
//! draws a new random 1×1 convolution at every call, which cannot be reproduced.
//! [`Residual::FirstConv`] instead adds the output of the first convolution, as in Pearce's code,
//! and needs no weights; [`Residual::Learned`] trains a 1×1 convolution.

mod blocks;
mod config;
mod weights;

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, VisionBackend};

use crate::{
    ModelError,
    blocks::{BatchStatistics, NormMode, ParamInit},
};
use blocks::{Embedding, OutputHead, ResidualConvBlock, UnetDown, UnetUp, UpFromVector};

pub use config::{ContextUnetConfig, LEGAL_HEIGHTS, Residual};

/// Fixed by the architecture: pixels averaged into the hidden vector.
const POOL: usize = 4;
/// Fixed by the architecture: groups of its two group norms.
const GROUPS: usize = 8;
const MODEL: &str = "context-unet";

impl ContextUnetConfig {
    /// A model with random initial parameters; the same `seed` gives the same parameters on every
    /// backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<ContextUnet<B>, ModelError> {
        self.init_with(&mut ParamInit::new(device, seed))
    }

    /// A model whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<ContextUnet<B>, ModelError> {
        self.check()?;
        let n = self.n_feat;
        Ok(ContextUnet {
            init_conv: ResidualConvBlock::new(init, [self.in_channels, n], Some(self.residual)),
            down1: UnetDown::new(init, [n, n]),
            down2: UnetDown::new(init, [n, 2 * n]),
            timeembed1: Embedding::new(init, 1, 2 * n),
            timeembed2: Embedding::new(init, 1, n),
            contextembed1: Embedding::new(init, self.n_cfeat, 2 * n),
            contextembed2: Embedding::new(init, self.n_cfeat, n),
            up0: UpFromVector::new(init, 2 * n, self.height / POOL),
            up1: UnetUp::new(init, [4 * n, n]),
            up2: UnetUp::new(init, [2 * n, n]),
            out: OutputHead::new(init, [2 * n, n, self.in_channels]),
            n_cfeat: self.n_cfeat,
        })
    }
}

/// The model; see the [module](self) for the architecture. Field names are those of published checkpoints.
#[derive(Module, Debug)]
pub struct ContextUnet<B: Backend> {
    init_conv: ResidualConvBlock<B>,
    down1: UnetDown<B>,
    down2: UnetDown<B>,
    timeembed1: Embedding<B>,
    timeembed2: Embedding<B>,
    contextembed1: Embedding<B>,
    contextembed2: Embedding<B>,
    up0: UpFromVector<B>,
    up1: UnetUp<B>,
    up2: UnetUp<B>,
    out: OutputHead<B>,
    n_cfeat: usize,
}

impl<B: VisionBackend> ContextUnet<B> {
    /// The predicted noise, with the running statistics of the batch norms: for sampling.
    ///
    /// # Shapes
    /// - `x` [batch, channels, h, h]
    /// - `t` `[batch]`, or `[1]` for one time shared by the batch; in (0, 1]
    /// - `c` [batch, n_cfeat]; `None` means zeros, the context that context dropout uses in
    ///   training
    /// - result: as `x`
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        t: Tensor<B, 1>,
        c: Option<Tensor<B, 2>>,
    ) -> Tensor<B, 4> {
        self.run(x, t, c, NormMode::Eval)
    }

    /// Like [`forward`](Self::forward), with the statistics of this batch, which are added to
    /// `statistics`: for training.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    pub fn forward_training(
        &self,
        x: Tensor<B, 4>,
        t: Tensor<B, 1>,
        c: Option<Tensor<B, 2>>,
        statistics: &mut BatchStatistics<B>,
    ) -> Tensor<B, 4> {
        self.run(x, t, c, NormMode::Train(statistics))
    }

    fn run(
        &self,
        x: Tensor<B, 4>,
        t: Tensor<B, 1>,
        c: Option<Tensor<B, 2>>,
        mut mode: NormMode<'_, B>,
    ) -> Tensor<B, 4> {
        let [batch, _, _, _] = x.dims();
        let [times] = t.dims();
        let mode = &mut mode;

        // 1. Down to a vector. x [batch, n, h, h], down1 [batch, n, h/2, h/2], down2 [batch, 2n, h/4, h/4].
        let x = self.init_conv.forward(x, mode);
        let down1 = self.down1.forward(x.clone(), mode);
        let down2 = self.down2.forward(down1.clone(), mode);
        let hidden = blocks::pool_to_vector(down2.clone()); // [batch, 2n, 1, 1]

        // 2. Time and context, each [batch or 1, features, 1, 1].
        let c = c.unwrap_or_else(|| Tensor::zeros([batch, self.n_cfeat], (&x.device(), x.dtype())));
        let t = t.reshape([times, 1]);
        let (c1, t1) = (
            self.contextembed1.forward(c.clone()),
            self.timeembed1.forward(t.clone()),
        );
        let (c2, t2) = (self.contextembed2.forward(c), self.timeembed2.forward(t));

        // 3. Up again, with the skips.
        let up1 = self.up0.forward(hidden); // [batch, 2n, h/4, h/4]
        let up2 = self.up1.forward(vision::modulate(up1, c1, t1), down2, mode); // [batch, n, h/2, h/2]
        let up3 = self.up2.forward(vision::modulate(up2, c2, t2), down1, mode); // [batch, n, h, h]
        self.out.forward(vision::concat_channels(up3, x))
    }
}
