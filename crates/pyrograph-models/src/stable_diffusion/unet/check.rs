//! Checks of a UNet's configuration and of the shapes of its input.

use super::{
    MODEL,
    config::{DownBlockType, UNet2DConditionConfig, UpBlockType},
    resnet::halved,
};
use crate::{ModelError, stable_diffusion::fields::config_error};

/// Bounds far above every published model, so that no product of sizes overflows.
const MAX_BLOCKS: usize = 8;
const MAX_CHANNELS: usize = 1 << 14;
const MAX_LAYERS: usize = 64;
const MAX_WIDTH: usize = 1 << 16;
const MAX_KERNEL: usize = 15;
/// Below it the sines of the guidance have no spacing.
const MIN_GUIDANCE_WAVES: usize = 4;

impl UNet2DConditionConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        self.check_lists()?;
        self.check_ranges()?;
        self.check_divisions()?;
        self.context_width().map(|_| ())
    }

    /// Every list has one value a block.
    fn check_lists(&self) -> Result<(), ModelError> {
        let blocks = self.down_block_types.len();
        if !(1..=MAX_BLOCKS).contains(&blocks) {
            let allowed = format!("1 to {MAX_BLOCKS} blocks");
            return Err(config_error(
                MODEL,
                "down_block_types",
                format!("{blocks} blocks"),
                allowed,
            ));
        }
        for (field, length) in [
            ("up_block_types", self.up_block_types.len()),
            ("only_cross_attention", self.only_cross_attention.len()),
            ("block_out_channels", self.block_out_channels.len()),
            ("layers_per_block", self.layers_per_block.len()),
            ("cross_attention_dim", self.cross_attention_dim.len()),
            (
                "transformer_layers_per_block",
                self.transformer_layers_per_block.len(),
            ),
            ("attention_head_dim", self.attention_head_dim.len()),
        ] {
            if length != blocks {
                let allowed = format!("as long as `down_block_types`, which has {blocks}");
                return Err(config_error(
                    MODEL,
                    field,
                    format!("a list of {length}"),
                    allowed,
                ));
            }
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), ModelError> {
        let all = |field, values: &[usize], most: usize| match values
            .iter()
            .find(|value| !(1..=most).contains(*value))
        {
            Some(seen) => Err(config_error(MODEL, field, seen, format!("1 to {most}"))),
            None => Ok(()),
        };
        all("in_channels", &[self.in_channels], MAX_CHANNELS)?;
        all("out_channels", &[self.out_channels], MAX_CHANNELS)?;
        all("block_out_channels", &self.block_out_channels, MAX_CHANNELS)?;
        all("layers_per_block", &self.layers_per_block, MAX_LAYERS)?;
        all("cross_attention_dim", &self.cross_attention_dim, MAX_WIDTH)?;
        let layers = &self.transformer_layers_per_block;
        all("transformer_layers_per_block", layers, MAX_LAYERS)?;
        all("attention_head_dim", &self.attention_head_dim, MAX_CHANNELS)?;
        all("norm_num_groups", &[self.norm_num_groups], MAX_CHANNELS)?;
        all("time_embedding_dim", &[self.time_width()], MAX_WIDTH)?;
        if let Some(waves) = self.time_cond_proj_dim
            && !(MIN_GUIDANCE_WAVES..=MAX_WIDTH).contains(&waves)
        {
            let allowed = format!("{MIN_GUIDANCE_WAVES} to {MAX_WIDTH}, or null");
            return Err(config_error(MODEL, "time_cond_proj_dim", waves, allowed));
        }
        for (field, kernel) in [
            ("conv_in_kernel", self.conv_in_kernel),
            ("conv_out_kernel", self.conv_out_kernel),
        ] {
            if kernel % 2 == 0 || kernel > MAX_KERNEL {
                let allowed = format!("an odd number up to {MAX_KERNEL}");
                return Err(config_error(MODEL, field, kernel, allowed));
            }
        }
        if self.downsample_padding > 1 {
            return Err(config_error(
                MODEL,
                "downsample_padding",
                self.downsample_padding,
                "0 or 1",
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(config_error(
                MODEL,
                "norm_eps",
                self.norm_eps,
                "above 0 and below 1",
            ));
        }
        Ok(())
    }

    fn check_divisions(&self) -> Result<(), ModelError> {
        let groups = self.norm_num_groups;
        for (block, &channels) in self.block_out_channels.iter().enumerate() {
            if !channels.is_multiple_of(groups) {
                let allowed = format!("a multiple of `norm_num_groups`, which is {groups}");
                return Err(config_error(MODEL, "block_out_channels", channels, allowed));
            }
            let heads = self.attention_head_dim[block];
            if self.attends(block) && !channels.is_multiple_of(heads) {
                let allowed = format!(
                    "a number of heads that divides the {channels} channels of block {block}"
                );
                return Err(config_error(MODEL, "attention_head_dim", heads, allowed));
            }
        }
        let first = self.block_out_channels[0];
        if !first.is_multiple_of(2) {
            let allowed =
                "even in its first value, for the sines and cosines of the time embedding";
            return Err(config_error(MODEL, "block_out_channels", first, allowed));
        }
        if self.freq_shift.is_nan() || self.freq_shift.abs() >= (first / 2) as f64 {
            let allowed = format!("below {}, the number of frequencies", first / 2);
            return Err(config_error(MODEL, "freq_shift", self.freq_shift, allowed));
        }
        Ok(())
    }

    /// The number of skip connections: one from the first convolution, one from each layer on the
    /// way down, and one from each downsampling. [`PassDepth`](super::PassDepth) counts its
    /// branches by them.
    pub fn skips(&self) -> usize {
        let downsamplings = self.layers_per_block.len().saturating_sub(1);
        1 + self.layers_per_block.iter().sum::<usize>() + downsamplings
    }

    /// Whether the level of block `block`, counted on the way down, attends to the text anywhere.
    fn attends(&self, block: usize) -> bool {
        let blocks = self.down_block_types.len();
        let middle = block + 1 == blocks && self.mid_block_type.is_some();
        middle
            || self.down_block_types[block] == DownBlockType::CrossAttnDownBlock2D
            || self.up_block_types[blocks - 1 - block] == UpBlockType::CrossAttnUpBlock2D
    }

    /// Width of the time embedding.
    pub(super) fn time_width(&self) -> usize {
        let first = self.block_out_channels[0];
        self.time_embedding_dim.unwrap_or(4 * first)
    }

    /// Width of the text embeddings, which must be equal in all blocks that attend to the text.
    ///
    /// # Errors
    /// When blocks have different widths.
    pub fn context_width(&self) -> Result<usize, ModelError> {
        let widths = &self.cross_attention_dim;
        let attending = (0..widths.len()).filter(|&block| self.attends(block));
        let attending: Vec<_> = attending.map(|block| widths[block]).collect();
        let first = attending.first().copied().unwrap_or(widths[0]);
        match attending.iter().find(|&&width| width != first) {
            None => Ok(first),
            Some(other) => Err(config_error(
                MODEL,
                "cross_attention_dim",
                format!("{first} and {other}"),
                "one width for all blocks that attend to the text",
            )),
        }
    }

    /// Checks the shapes of one forward pass, so that [`forward`](super::UNet2DConditionModel::forward) cannot panic.
    ///
    /// # Errors
    /// When the config is not allowed; names the first input whose shape is wrong.
    pub fn check_input(
        &self,
        sample: &[usize],
        timestep: &[usize],
        context: &[usize],
    ) -> Result<(), ModelError> {
        self.check()?;
        let refuse = |input, seen: &[usize], allowed: String| {
            Err(ModelError::Input {
                model: MODEL,
                input,
                seen: seen.into(),
                allowed,
            })
        };
        let channels = self.in_channels;
        let batch = match *sample {
            [batch, c, height, width]
                if batch > 0 && c == channels && self.halves(height) && self.halves(width) =>
            {
                batch
            }
            _ => {
                let blocks = self.down_block_types.len();
                let allowed = format!(
                    "[batch, {channels}, height, width] with a batch of 1 or more and sides that {} halvings leave",
                    blocks - 1
                );
                return refuse("sample", sample, allowed);
            }
        };
        if timestep != [batch] && timestep != [1] {
            let allowed = format!("[{batch}], or [1] for a shared timestep");
            return refuse("timestep", timestep, allowed);
        }
        let width = self.context_width()?;
        match *context {
            [of, length, seen] if of == batch && length > 0 && seen == width => Ok(()),
            _ => {
                let allowed = format!("[{batch}, length, {width}] with a length of 1 or more");
                refuse("context", context, allowed)
            }
        }
    }

    /// Whether a side can be halved as often as the network does.
    fn halves(&self, side: usize) -> bool {
        let halvings = self.down_block_types.len() - 1;
        let last = (0..halvings).try_fold(side, |side, _| halved(side, self.downsample_padding));
        side > 0 && last.is_some()
    }
}
