//! Configuration of generator, discriminator and encoder, and checks of inputs.

use serde::{Deserialize, Serialize};

use super::{CORE, HALF};
use crate::{ModelError, blocks::Kernel};

const MODEL: &str = "dcgan";
/// At these bounds the widest layers, from 2^(blocks-1)·width channels to half as many and from a
/// latent vector, have 34 million parameters.
const MAX_WIDTH: usize = 512;
const MAX_Z: usize = 1024;
const MAX_CHANNELS: usize = 16;
const MAX_BLOCKS: usize = 6;
/// Channels of the widest layer.
const MAX_HIDDEN: usize = 2048;

/// Configuration of a generator, a discriminator and an encoder that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DcganConfig {
    /// Length of a latent vector.
    pub z_dim: usize,
    /// Channels of the layer nearest to the image; every further layer has twice as many as the one
    /// before.
    pub width: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Number of halvings from the image side to 4 pixels: images are 4·2^blocks pixels wide.
    pub blocks: usize,
    /// Whether the generator's convolutions have a bias; in PyTorch's own example they have none.
    #[serde(skip_serializing_if = "is_true")]
    pub generator_bias: bool,
    /// The variant of the discriminator.
    #[serde(skip_serializing_if = "is_default")]
    pub discriminator: DiscriminatorConfig,
}

/// Variants of discriminators; the default is the reference's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscriminatorConfig {
    /// Batch norm after every block. WGAN-GP needs it off, because its penalty is defined for
    /// single images.
    pub norm: bool,
    /// Batch norm after the first block too; the DCGAN paper leaves it out there.
    pub first_norm: bool,
    /// Whether convolutions have a bias.
    pub bias: bool,
    /// Slope of the leaky ReLU below zero.
    pub negative_slope: f32,
    /// Stride of the last convolution.
    pub critic_stride: usize,
    /// Padding of the last convolution.
    pub critic_padding: usize,
}

fn is_true(value: &bool) -> bool {
    *value
}

fn is_default(config: &DiscriminatorConfig) -> bool {
    *config == DiscriminatorConfig::default()
}

impl Default for DcganConfig {
    /// The reference's configuration: latent vectors of length 20, width 64, grey images of 64×64.
    fn default() -> Self {
        Self {
            z_dim: 20,
            width: 64,
            channels: 1,
            blocks: 4,
            generator_bias: true,
            discriminator: DiscriminatorConfig::default(),
        }
    }
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self {
            norm: true,
            first_norm: true,
            bias: true,
            negative_slope: 0.1,
            critic_stride: 1,
            critic_padding: 0,
        }
    }
}

impl DcganConfig {
    /// The discriminator of PyTorch's DCGAN example as it is published for 28×28 digits
    /// (csinva/gan-vae-pretrained-pytorch): three blocks without bias, no norm on the first, and a
    /// last convolution of stride 2.
    pub fn pytorch_example_28() -> Self {
        Self {
            z_dim: 100,
            blocks: 3,
            discriminator: DiscriminatorConfig {
                first_norm: false,
                bias: false,
                negative_slope: 0.2,
                critic_stride: 2,
                critic_padding: 1,
                ..DiscriminatorConfig::default()
            },
            ..Self::default()
        }
    }

    /// Width and height of an image in pixels.
    pub fn side(&self) -> usize {
        CORE << self.blocks
    }

    /// Channels of each block of the discriminator, from the image inwards.
    pub(super) fn widths(&self) -> Vec<usize> {
        (0..self.blocks).map(|block| self.width << block).collect()
    }

    pub(super) fn critic(&self) -> Kernel {
        Kernel {
            size: CORE,
            stride: self.discriminator.critic_stride,
            padding: self.discriminator.critic_padding,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        let refuse = |field, seen: String, allowed: String| {
            Err(ModelError::Config {
                model: MODEL,
                field,
                seen,
                allowed,
            })
        };
        for (field, seen, most) in [
            ("z_dim", self.z_dim, MAX_Z),
            ("width", self.width, MAX_WIDTH),
            ("channels", self.channels, MAX_CHANNELS),
            ("blocks", self.blocks, MAX_BLOCKS),
            ("critic_stride", self.discriminator.critic_stride, CORE),
        ] {
            if !(1..=most).contains(&seen) {
                return refuse(field, seen.to_string(), format!("1 to {most}"));
            }
        }
        // Within the bounds above the shift cannot overflow.
        let hidden = self.width << (self.blocks - 1);
        if hidden > MAX_HIDDEN {
            let allowed = format!(
                "at most {} with {} blocks: the widest layer has width·2^(blocks-1) channels, up to {MAX_HIDDEN}",
                MAX_HIDDEN >> (self.blocks - 1),
                self.blocks
            );
            return refuse("width", self.width.to_string(), allowed);
        }
        let padding = self.discriminator.critic_padding;
        if padding >= CORE {
            let allowed = format!("0 to {}", CORE - 1);
            return refuse("critic_padding", padding.to_string(), allowed);
        }
        let slope = self.discriminator.negative_slope;
        if !(0.0..=1.0).contains(&slope) {
            return refuse("negative_slope", slope.to_string(), "0 to 1".into());
        }
        Ok(())
    }

    /// Checks the shape of latent vectors, [batch, z_dim] or [batch, z_dim, 1, 1]; returns the
    /// batch size.
    ///
    /// # Errors
    /// Names the shape seen and the one allowed.
    pub fn check_latents(&self, z: &[usize]) -> Result<usize, ModelError> {
        match *z {
            [batch, width] | [batch, width, 1, 1] if batch > 0 && width == self.z_dim => Ok(batch),
            _ => Err(ModelError::Input {
                model: "dcgan-generator",
                input: "z",
                seen: z.into(),
                allowed: format!(
                    "[batch, {0}] or [batch, {0}, 1, 1] with a batch of 1 or more",
                    self.z_dim
                ),
            }),
        }
    }

    /// Checks the shape of images for the discriminator, whose last convolution has to leave one
    /// pixel; returns the batch size.
    ///
    /// # Errors
    /// Names the shape seen and those allowed.
    pub fn check_images(&self, x: &[usize]) -> Result<usize, ModelError> {
        if let [batch, channels, height, width] = *x
            && batch > 0
            && channels == self.channels
            && height == width
            && self.leaves_one_pixel(height)
        {
            return Ok(batch);
        }
        let most = 2 * self.side();
        let sides: Vec<_> = (1..=most)
            .filter(|&side| self.leaves_one_pixel(side))
            .collect();
        Err(ModelError::Input {
            model: "dcgan-discriminator",
            input: "x",
            seen: x.into(),
            allowed: format!(
                "[batch, {}, side, side] with a batch of 1 or more and a side that the last convolution turns into one pixel: {}",
                self.channels,
                ranges(&sides)
            ),
        })
    }

    fn leaves_one_pixel(&self, side: usize) -> bool {
        let shrink = |side: usize, kernel: Kernel| {
            (side + 2 * kernel.padding)
                .checked_sub(kernel.size)
                .map(|rest| rest / kernel.stride + 1)
        };
        (0..self.blocks)
            .try_fold(side, |side, _| shrink(side, HALF))
            .and_then(|side| shrink(side, self.critic()))
            == Some(1)
    }
}

/// Ascending numbers as "64 to 79".
fn ranges(numbers: &[usize]) -> String {
    match numbers {
        [] => "no side will do".into(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first} to {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut DcganConfig)) -> String {
        let mut config = DcganConfig::default();
        change(&mut config);
        config.check().expect_err("refused").to_string()
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused_by_name() {
        for (text, message) in [
            ("z_dim is 0", refusal(|c| c.z_dim = 0)),
            ("z_dim is 1025", refusal(|c| c.z_dim = 1025)),
            ("width is 0", refusal(|c| c.width = 0)),
            (
                "width is 18446744073709551615",
                refusal(|c| c.width = usize::MAX),
            ),
            ("channels is 17", refusal(|c| c.channels = 17)),
            ("blocks is 7", refusal(|c| c.blocks = 7)),
            ("blocks is 0", refusal(|c| c.blocks = 0)),
            (
                "critic_stride is 0",
                refusal(|c| c.discriminator.critic_stride = 0),
            ),
            (
                "critic_padding is 4",
                refusal(|c| c.discriminator.critic_padding = 4),
            ),
            (
                "negative_slope is NaN",
                refusal(|c| c.discriminator.negative_slope = f32::NAN),
            ),
            (
                "at most 64 with 6 blocks",
                refusal(|c| (c.width, c.blocks) = (65, 6)),
            ),
        ] {
            assert!(message.contains(text), "{message}");
        }
    }

    #[test]
    fn the_default_takes_images_of_64_pixels() {
        let config = DcganConfig::default();
        assert_eq!(config.side(), 64);
        assert_eq!(config.check_images(&[3, 1, 64, 64]).expect("fits"), 3);
        for seen in [
            &[3, 1, 28, 28][..],
            &[3, 3, 64, 64],
            &[0, 1, 64, 64],
            &[3, 1, 64, 32],
            &[3, 1, 64],
        ] {
            let message = config.check_images(seen).expect_err("refused").to_string();
            assert!(
                message.contains(&format!("{seen:?}")) && message.contains("64 to 79"),
                "{message}"
            );
        }
    }

    #[test]
    fn the_published_discriminator_takes_images_of_28_pixels() {
        let config = DcganConfig::pytorch_example_28();
        assert!(config.check().is_ok());
        assert!(config.check_images(&[1, 1, 28, 28]).is_ok());
        assert!(config.check_images(&[1, 1, 64, 64]).is_err());
    }

    #[test]
    fn latent_vectors_may_be_flat_or_pixels() {
        let config = DcganConfig::default();
        assert_eq!(config.check_latents(&[7, 20]).expect("flat"), 7);
        assert_eq!(config.check_latents(&[7, 20, 1, 1]).expect("pixels"), 7);
        for seen in [&[7, 21][..], &[0, 20], &[7, 20, 1], &[7, 20, 2, 1]] {
            let message = config.check_latents(seen).expect_err("refused").to_string();
            assert!(message.contains(&format!("{seen:?}")), "{message}");
        }
    }

    #[test]
    fn unknown_keys_of_a_config_file_are_refused_and_known_ones_may_be_left_out() {
        let read = |text| serde_json::from_str::<DcganConfig>(text);
        let config = read(r#"{"z_dim": 8, "width": 4, "channels": 3}"#).expect("partial");
        assert_eq!(
            (config.z_dim, config.width, config.channels, config.blocks),
            (8, 4, 3, 4)
        );
        assert!(read(r#"{"zdim": 8}"#).is_err());
        assert!(read(r#"{"discriminator": {"slope": 0.2}}"#).is_err());
    }
}
