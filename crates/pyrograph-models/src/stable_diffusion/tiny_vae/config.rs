//! Configuration of a tiny autoencoder, and its checks.

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
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu", Activation::Gelu),
];

/// An upper bound, far above any autoencoder's, so that a wrong file cannot allocate much memory.
const MAX_CHANNELS: usize = 1 << 14;
const MAX_STAGES: usize = 8;
const MAX_BLOCKS: usize = 64;
const MAX_FACTOR: usize = 8;

/// Configuration of an [`AutoencoderTiny`](super::AutoencoderTiny), with diffusers' field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderTinyConfig {
    /// Channels of the encoder's input image.
    pub in_channels: usize,
    /// Channels of the decoder's output image.
    pub out_channels: usize,
    /// Width of each stage of the encoder; all are equal.
    pub encoder_block_out_channels: Vec<usize>,
    /// Width of each stage of the decoder; all are equal.
    pub decoder_block_out_channels: Vec<usize>,
    /// Residual blocks of each stage of the encoder.
    pub num_encoder_blocks: Vec<usize>,
    /// Residual blocks of each stage of the decoder.
    pub num_decoder_blocks: Vec<usize>,
    /// Activation.
    pub act_fn: Activation,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// The factor by which a stage of the decoder enlarges the image.
    pub upsampling_scaling_factor: usize,
    /// When latents are shown or stored as an image, the range ±`latent_magnitude` maps to [0, 1].
    pub latent_magnitude: f64,
    /// The value of a latent of 0 in such an image.
    pub latent_shift: f64,
    /// The factor by which a pipeline multiplies latents after the encoder.
    pub scaling_factor: f64,
}

impl AutoencoderTinyConfig {
    /// TAESD, for the latents of Stable Diffusion 1 and 2.
    pub fn taesd() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            encoder_block_out_channels: vec![64; 4],
            decoder_block_out_channels: vec![64; 4],
            num_encoder_blocks: vec![1, 3, 3, 3],
            num_decoder_blocks: vec![3, 3, 3, 1],
            act_fn: Activation::Relu,
            latent_channels: 4,
            upsampling_scaling_factor: 2,
            latent_magnitude: 3.0,
            latent_shift: 0.5,
            scaling_factor: 1.0,
        }
    }

    /// Reads the text of a `config.json` of diffusers' `AutoencoderTiny`, with the class's default
    /// for each missing field.
    ///
    /// # Errors
    /// Names the first field that is unknown, of a wrong type, or not allowed.
    pub fn from_diffusers(json: &str) -> Result<Self, ModelError> {
        let mut fields = ConfigFields::parse(MODEL, json)?;
        let taesd = Self::taesd();
        let config = Self {
            in_channels: fields.take("in_channels", taesd.in_channels)?,
            out_channels: fields.take("out_channels", taesd.out_channels)?,
            encoder_block_out_channels: fields.take(
                "encoder_block_out_channels",
                taesd.encoder_block_out_channels,
            )?,
            decoder_block_out_channels: fields.take(
                "decoder_block_out_channels",
                taesd.decoder_block_out_channels,
            )?,
            num_encoder_blocks: fields.take("num_encoder_blocks", taesd.num_encoder_blocks)?,
            num_decoder_blocks: fields.take("num_decoder_blocks", taesd.num_decoder_blocks)?,
            act_fn: fields.take_activation("act_fn", &ACTIVATIONS, taesd.act_fn)?,
            latent_channels: fields.take("latent_channels", taesd.latent_channels)?,
            upsampling_scaling_factor: fields
                .take("upsampling_scaling_factor", taesd.upsampling_scaling_factor)?,
            latent_magnitude: fields.take("latent_magnitude", taesd.latent_magnitude)?,
            latent_shift: fields.take("latent_shift", taesd.latent_shift)?,
            scaling_factor: fields.take("scaling_factor", taesd.scaling_factor)?,
        };
        fields.expect("upsample_fn", &[json!("nearest")])?;
        fields.expect("shift_factor", &[Value::Null, json!(0.0)])?;
        // A copy that diffusers writes.
        let copy = json!(config.decoder_block_out_channels);
        fields.expect("block_out_channels", &[copy])?;
        // The class runs in the type of its weights, whatever a file says.
        fields.ignore(&["force_upcast"]);
        fields.finish()?;
        config.check()?;
        Ok(config)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        for (field, seen, most) in [
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("out_channels", self.out_channels, MAX_CHANNELS),
            ("latent_channels", self.latent_channels, MAX_CHANNELS),
            (
                "upsampling_scaling_factor",
                self.upsampling_scaling_factor,
                MAX_FACTOR,
            ),
        ] {
            check_range(MODEL, field, seen, [1, most])?;
        }
        let widths = ["encoder_block_out_channels", "decoder_block_out_channels"];
        let blocks = ["num_encoder_blocks", "num_decoder_blocks"];
        check_stages(
            widths[0],
            &self.encoder_block_out_channels,
            blocks[0],
            &self.num_encoder_blocks,
        )?;
        check_stages(
            widths[1],
            &self.decoder_block_out_channels,
            blocks[1],
            &self.num_decoder_blocks,
        )?;
        if !ACTIVATIONS.iter().any(|(_, act)| *act == self.act_fn) {
            let seen = format!("{:?}", self.act_fn);
            return Err(config_error(MODEL, "act_fn", seen, "relu, silu or gelu"));
        }
        for (field, seen) in [
            ("latent_magnitude", self.latent_magnitude),
            ("scaling_factor", self.scaling_factor),
        ] {
            if !(seen.is_finite() && seen > 0.0) {
                return Err(config_error(MODEL, field, seen, "above 0"));
            }
        }
        if !self.latent_shift.is_finite() {
            return Err(config_error(
                MODEL,
                "latent_shift",
                self.latent_shift,
                "finite",
            ));
        }
        Ok(())
    }

    /// Checks the shape of images, so that [`AutoencoderTiny::encode`](super::AutoencoderTiny::encode) cannot panic.
    ///
    /// # Errors
    /// When the shape is not [batch, in_channels, height, width] with no size of 0.
    pub fn check_image(&self, shape: &[usize]) -> Result<(), ModelError> {
        check_shape("image", shape, self.in_channels)
    }

    /// Checks the shape of latents, so that [`AutoencoderTiny::decode`](super::AutoencoderTiny::decode) cannot panic.
    ///
    /// # Errors
    /// When the shape is not [batch, latent_channels, height, width] with no size of 0.
    pub fn check_latents(&self, shape: &[usize]) -> Result<(), ModelError> {
        check_shape("latents", shape, self.latent_channels)
    }

    /// Pixels along a side of the decoder's image for each latent: 8 with the four stages of TAESD.
    pub fn factor(&self) -> usize {
        let doublings = self.num_decoder_blocks.len().saturating_sub(1);
        (0..doublings).fold(1, |factor, _| factor * self.upsampling_scaling_factor)
    }

    /// Width of the encoder; [`check`](Self::check) has seen that there is a stage.
    pub(super) fn encoder_width(&self) -> usize {
        self.encoder_block_out_channels[0]
    }

    /// Width of the decoder; [`check`](Self::check) has seen that there is a stage.
    pub(super) fn decoder_width(&self) -> usize {
        self.decoder_block_out_channels[0]
    }
}

/// Refuses stages of different widths, which no residual block joins, and lists of different lengths.
fn check_stages(
    widths_field: &'static str,
    widths: &[usize],
    blocks_field: &'static str,
    blocks: &[usize],
) -> Result<(), ModelError> {
    let refuse = |field, seen: &[usize], allowed: String| {
        Err(config_error(MODEL, field, format!("{seen:?}"), allowed))
    };
    let is_width = |width: &usize| (1..=MAX_CHANNELS).contains(width) && *width == widths[0];
    if !(1..=MAX_STAGES).contains(&widths.len()) || !widths.iter().all(is_width) {
        let allowed = format!("1 to {MAX_STAGES} equal widths of 1 to {MAX_CHANNELS}");
        return refuse(widths_field, widths, allowed);
    }
    if blocks.len() != widths.len() || blocks.iter().any(|count| *count > MAX_BLOCKS) {
        let allowed = format!(
            "{} numbers of 0 to {MAX_BLOCKS}, one for each stage of {widths_field}",
            widths.len()
        );
        return refuse(blocks_field, blocks, allowed);
    }
    Ok(())
}

fn check_shape(input: &'static str, shape: &[usize], expected: usize) -> Result<(), ModelError> {
    match *shape {
        [batch, channels, height, width]
            if channels == expected && ![batch, height, width].contains(&0) =>
        {
            Ok(())
        }
        _ => Err(ModelError::Input {
            model: MODEL,
            input,
            seen: shape.into(),
            allowed: format!("[batch, {expected}, height, width] with no size of 0"),
        }),
    }
}
