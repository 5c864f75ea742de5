//! Vision models on burn, generic over [`VisionBackend`](pyrograph_backend::vision::VisionBackend),
//! with the key names of their published checkpoints.
//!
//! - [`context_unet`]: the U-Net of the sprite job.
//! - [`dcgan`]: generator, discriminator and encoder of the anomaly job.
//! - [`ssd`]: the detector on VGG16 or MobileNetV2.
//! - [`stable_diffusion`]: the text encoder, UNet, VAE and tiny VAE of text to image; checkpoints,
//!   LoRA files and learned tokens.
//! - [`blocks`]: the layers they are made of, in PyTorch's layout.
//! - [`inspect`]: what a file or folder of weights holds.
//! - [`weights`]: state dicts over mapped PyTorch and safetensors files, in the type of the file or
//!   another, and model files that carry their config.
//!
//! A config checks its numbers and makes a module; a module's `forward` takes tensors in the paper's order:
//!
//! ```
//! # mod pyrograph {
//! #     pub use burn;
//! #     pub mod backend { pub use burn_flex::Flex; }
//! #     pub use pyrograph_models as models;
//! # }
//! use pyrograph::burn::tensor::Tensor;
//! use pyrograph::backend::Flex;
//! use pyrograph::models::context_unet::ContextUnetConfig;
//!
//! let device = Default::default();
//! let config = ContextUnetConfig { n_feat: 8, ..ContextUnetConfig::default() };
//! let model = config.init::<Flex>(&device, 0)?;
//! let x = Tensor::zeros([2, 3, 16, 16], &device);
//! let t = Tensor::from_floats([0.5], &device);
//! assert_eq!(model.forward(x, t, None).dims(), [2, 3, 16, 16]);
//! # Ok::<(), pyrograph::models::ModelError>(())
//! ```

pub mod blocks;
pub mod context_unet;
pub mod dcgan;
mod error;
pub mod inspect;
pub mod sprite_classifier;
pub mod ssd;
pub mod stable_diffusion;
pub mod weights;

pub use error::ModelError;
