//! Configuration of an autoencoder, and its checks.

use pyrograph_backend::vision::Activation;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::MODEL;
use crate::{
    ModelError,
    stable_diffusion::fields::{ConfigFields, check_range, config_error},
};

/// The activations, by the names of diffusers.
const ACTIVATIONS: [(&str, Activation); 4] = [
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("relu", Activation::Relu),
];

/// An upper bound, far above any autoencoder's, so that a wrong file cannot allocate much memory.
const MAX_CHANNELS: usize = 1 << 14;
const MAX_BLOCKS: usize = 8;
const MAX_LAYERS: usize = 64;
const MAX_SIDE: usize = 1 << 16;

/// Configuration of an [`AutoencoderKl`](super::AutoencoderKl), with diffusers' field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderKlConfig {
    /// Channels of the encoder's input image.
    pub in_channels: usize,
    /// Channels of the decoder's output image.
    pub out_channels: usize,
    /// Channels of each block from the image to the latents; every block except the last halves the
    /// image.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks in each block of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of each group norm, a divisor of every width.
    pub norm_num_groups: usize,
    /// Activation of the residual blocks.
    pub act_fn: Activation,
    /// Side of the training images, and of a tile.
    pub sample_size: usize,
    /// The factor by which a pipeline multiplies latents after the encoder.
    pub scaling_factor: f64,
    /// Whether a pipeline must not run the autoencoder in half precision.
    pub force_upcast: bool,
    /// Whether a 1×1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1×1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the middle block has attention.
    pub mid_block_add_attention: bool,
}

impl AutoencoderKlConfig {
    /// The autoencoder of Stable Diffusion 1 and 2.
    pub fn stable_diffusion() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            latent_channels: 4,
            norm_num_groups: 32,
            act_fn: Activation::Silu,
            sample_size: 512,
            scaling_factor: 0.18215,
            force_upcast: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }

    /// Reads the text of `vae/config.json`, with diffusers' value for each missing field.
    ///
    /// # Errors
    /// Names the first field that is unknown, of a wrong type, or not allowed.
    pub fn from_diffusers(json: &str) -> Result<Self, ModelError> {
        let mut fields = ConfigFields::parse(MODEL, json)?;
        let config = Self {
            in_channels: fields.take("in_channels", 3)?,
            out_channels: fields.take("out_channels", 3)?,
            block_out_channels: fields.take("block_out_channels", vec![64])?,
            layers_per_block: fields.take("layers_per_block", 1)?,
            latent_channels: fields.take("latent_channels", 4)?,
            norm_num_groups: fields.take("norm_num_groups", 32)?,
            act_fn: fields.take_activation("act_fn", &ACTIVATIONS, Activation::Silu)?,
            sample_size: fields.take("sample_size", 32)?,
            scaling_factor: fields.take("scaling_factor", 0.18215)?,
            force_upcast: fields.take("force_upcast", true)?,
            use_quant_conv: fields.take("use_quant_conv", true)?,
            use_post_quant_conv: fields.take("use_post_quant_conv", true)?,
            mid_block_add_attention: fields.take("mid_block_add_attention", true)?,
        };
        config.check()?;
        let blocks = config.block_out_channels.len();
        fields.expect_blocks("down_block_types", "DownEncoderBlock2D", blocks, 1)?;
        fields.expect_blocks("up_block_types", "UpDecoderBlock2D", blocks, 1)?;
        fields.expect("shift_factor", &[Value::Null, json!(0.0)])?;
        fields.expect("latents_mean", &[Value::Null])?;
        fields.expect("latents_std", &[Value::Null])?;
        fields.finish()?;
        Ok(config)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        let blocks = self.block_out_channels.len();
        for (field, seen, most) in [
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("out_channels", self.out_channels, MAX_CHANNELS),
            ("latent_channels", self.latent_channels, MAX_CHANNELS),
            ("layers_per_block", self.layers_per_block, MAX_LAYERS),
            ("norm_num_groups", self.norm_num_groups, MAX_CHANNELS),
            ("sample_size", self.sample_size, MAX_SIDE),
        ] {
            check_range(MODEL, field, seen, [1, most])?;
        }
        let field = "block_out_channels";
        if !(1..=MAX_BLOCKS).contains(&blocks) {
            let seen = format!("{:?}", self.block_out_channels);
            return Err(config_error(
                MODEL,
                field,
                seen,
                format!("1 to {MAX_BLOCKS} widths"),
            ));
        }
        let groups = self.norm_num_groups;
        for &width in &self.block_out_channels {
            if !(1..=MAX_CHANNELS).contains(&width) || !width.is_multiple_of(groups) {
                let allowed = format!(
                    "multiples of norm_num_groups, which is {groups}, up to {MAX_CHANNELS}"
                );
                let seen = format!("{:?}", self.block_out_channels);
                return Err(config_error(MODEL, field, seen, allowed));
            }
        }
        if !ACTIVATIONS.iter().any(|(_, act)| *act == self.act_fn) {
            let seen = format!("{:?}", self.act_fn);
            return Err(config_error(MODEL, "act_fn", seen, "silu, gelu or relu"));
        }
        if !(self.scaling_factor.is_finite() && self.scaling_factor > 0.0) {
            let seen = self.scaling_factor;
            return Err(config_error(MODEL, "scaling_factor", seen, "above 0"));
        }
        Ok(())
    }

    /// Pixels along a side of the image for each latent: 8 with the four blocks of Stable Diffusion.
    pub fn factor(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }

    /// Checks the shape of images, so that [`AutoencoderKl::encode`](super::AutoencoderKl::encode) cannot panic.
    ///
    /// # Errors
    /// When the shape is not [batch, in_channels, height, width] with sides that every block can halve.
    pub fn check_image(&self, shape: &[usize]) -> Result<(), ModelError> {
        let least = self.factor();
        match *shape {
            [batch, channels, height, width]
                if batch > 0
                    && channels == self.in_channels
                    && height >= least
                    && width >= least =>
            {
                Ok(())
            }
            _ => Err(ModelError::Input {
                model: MODEL,
                input: "image",
                seen: shape.into(),
                allowed: format!(
                    "[batch, {}, height, width] with a batch of 1 or more and sides of {least} or more",
                    self.in_channels
                ),
            }),
        }
    }

    /// Checks the shape of latents, so that [`AutoencoderKl::decode`](super::AutoencoderKl::decode) cannot panic.
    ///
    /// # Errors
    /// When the shape is not [batch, latent_channels, height, width] with no side of 0.
    pub fn check_latents(&self, shape: &[usize]) -> Result<(), ModelError> {
        match *shape {
            [batch, channels, height, width]
                if channels == self.latent_channels && ![batch, height, width].contains(&0) =>
            {
                Ok(())
            }
            _ => Err(ModelError::Input {
                model: MODEL,
                input: "latents",
                seen: shape.into(),
                allowed: format!(
                    "[batch, {}, height, width] with no size of 0",
                    self.latent_channels
                ),
            }),
        }
    }

    /// Width of the middle; [`check`](Self::check) has seen that there is a block.
    pub(super) fn deepest(&self) -> usize {
        self.block_out_channels.last().copied().unwrap_or_default()
    }
}
