//! Configuration of a ContextUnet, and its checks.

use serde::{Deserialize, Serialize};

use super::{GROUPS, MODEL};
use crate::ModelError;

/// The heights that the architecture can run: multiples of 4 (two halvings and back) whose quarter
/// is 4 to 7, because the hidden vector is an average over 4×4 pixels.
pub const LEGAL_HEIGHTS: [usize; 4] = [16, 20, 24, 28];

/// Sixteen times the course's width. The network has about 500·n² parameters, here half a billion: 2 GB.
const MAX_FEATURES: usize = 1024;
/// Far more than images have; wide enough for a latent of an encoder.
const MAX_CHANNELS: usize = 1024;
/// Enough for a text embedding or any set of classes; each costs 3·n parameters.
const MAX_CONTEXT: usize = 65_536;

/// The residual of the first block, which changes the number of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residual {
    /// The output of the block's first convolution.
    #[default]
    FirstConv,
    /// A 1×1 convolution of the input, trained, with the key `init_conv.shortcut`.
    Learned,
}

/// Configuration of a [`ContextUnet`](super::ContextUnet).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextUnetConfig {
    /// Channels of an image.
    pub in_channels: usize,
    /// Width of the network in channels; a multiple of 8.
    pub n_feat: usize,
    /// Length of the context vector.
    pub n_cfeat: usize,
    /// Side of an image; one of [`LEGAL_HEIGHTS`].
    pub height: usize,
    /// The residual of the first block.
    #[serde(skip_serializing_if = "is_default")]
    pub residual: Residual,
}

fn is_default(residual: &Residual) -> bool {
    *residual == Residual::default()
}

impl Default for ContextUnetConfig {
    /// The course's configuration: 3 channels, 64 features, 5 classes, 16×16 sprites.
    fn default() -> Self {
        Self {
            in_channels: 3,
            n_feat: 64,
            n_cfeat: 5,
            height: 16,
            residual: Residual::FirstConv,
        }
    }
}

impl ContextUnetConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        let refuse = |field, seen: usize, allowed: String| {
            Err(ModelError::Config {
                model: MODEL,
                field,
                seen: seen.to_string(),
                allowed,
            })
        };
        for (field, seen, most) in [
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("n_cfeat", self.n_cfeat, MAX_CONTEXT),
        ] {
            if !(1..=most).contains(&seen) {
                return refuse(field, seen, format!("1 to {most}"));
            }
        }
        if !(1..=MAX_FEATURES).contains(&self.n_feat) || !self.n_feat.is_multiple_of(GROUPS) {
            let allowed =
                format!("a multiple of {GROUPS}, the groups of its norms, up to {MAX_FEATURES}");
            return refuse("n_feat", self.n_feat, allowed);
        }
        if !LEGAL_HEIGHTS.contains(&self.height) {
            let allowed = format!(
                "one of {LEGAL_HEIGHTS:?}: the image is halved twice and then averaged over 4×4 pixels into one"
            );
            return refuse("height", self.height, allowed);
        }
        Ok(())
    }

    /// Checks the shapes of one forward pass, so that
    /// [`ContextUnet::forward`](super::ContextUnet::forward) cannot panic.
    ///
    /// # Errors
    /// Names the first input whose shape is wrong.
    pub fn check_input(
        &self,
        x: &[usize],
        t: &[usize],
        c: Option<&[usize]>,
    ) -> Result<(), ModelError> {
        let refuse = |input, seen: &[usize], allowed: String| {
            Err(ModelError::Input {
                model: MODEL,
                input,
                seen: seen.into(),
                allowed,
            })
        };
        let batch = match *x {
            [batch, channels, h, w]
                if batch > 0
                    && channels == self.in_channels
                    && h == self.height
                    && w == self.height =>
            {
                batch
            }
            _ => {
                let (channels, h) = (self.in_channels, self.height);
                return refuse(
                    "x",
                    x,
                    format!("[batch, {channels}, {h}, {h}] with a batch of 1 or more"),
                );
            }
        };
        if t != [batch] && t != [1] {
            return refuse("t", t, format!("[{batch}], or [1] for a shared time"));
        }
        match c {
            Some(c) if c != [batch, self.n_cfeat] => {
                refuse("c", c, format!("[{batch}, {}]", self.n_cfeat))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut ContextUnetConfig)) -> String {
        let mut config = ContextUnetConfig::default();
        change(&mut config);
        config.check().expect_err("refused").to_string()
    }

    #[test]
    fn the_four_heights_are_legal_and_no_other() {
        for height in 0..64 {
            let config = ContextUnetConfig {
                height,
                ..Default::default()
            };
            assert_eq!(
                config.check().is_ok(),
                LEGAL_HEIGHTS.contains(&height),
                "{height}"
            );
        }
        let message = refusal(|c| c.height = 32);
        assert!(
            message.contains("height is 32") && message.contains("16, 20, 24, 28"),
            "{message}"
        );
    }

    #[test]
    fn groups_that_do_not_divide_the_features_are_refused() {
        for n_feat in [0, 4, 12, 65, 1032, 1_000_000, usize::MAX - 7] {
            let message = refusal(|c| c.n_feat = n_feat);
            assert!(
                message.contains(&format!("n_feat is {n_feat}")),
                "{message}"
            );
        }
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused_by_name() {
        for seen in [0, 1025, usize::MAX] {
            let message = refusal(|c| c.in_channels = seen);
            let expected = format!("in_channels is {seen}, but must be 1 to 1024");
            assert!(message.contains(&expected), "{message}");
        }
        for seen in [0, 65_537, 1_000_000_000_000_000_000] {
            let message = refusal(|c| c.n_cfeat = seen);
            let expected = format!("n_cfeat is {seen}, but must be 1 to 65536");
            assert!(message.contains(&expected), "{message}");
        }
    }

    #[test]
    fn inputs_of_other_shapes_are_refused_by_name() {
        let config = ContextUnetConfig::default();
        let x = [2, 3, 16, 16];
        assert!(config.check_input(&x, &[2], Some(&[2, 5])).is_ok());
        assert!(config.check_input(&x, &[1], None).is_ok());
        for (x, t, c, name) in [
            (&[2, 1, 16, 16][..], &[2][..], None, "`x`"),
            (&[2, 3, 16][..], &[2][..], None, "`x`"),
            (&[0, 3, 16, 16][..], &[1][..], None, "`x`"),
            (&x[..], &[3][..], None, "`t`"),
            (&x[..], &[2, 1][..], None, "`t`"),
            (&x[..], &[2][..], Some(&[2, 4][..]), "`c`"),
        ] {
            let message = config.check_input(x, t, c).expect_err(name).to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn unknown_keys_of_a_config_file_are_refused() {
        let read = |text| serde_json::from_str::<ContextUnetConfig>(text);
        assert_eq!(read(r#"{"n_feat": 8}"#).expect("partial").n_feat, 8);
        assert!(read(r#"{"nfeat": 8}"#).is_err());
    }
}
