//! How much memory a request will need, and how much there is.

use std::fs;

use super::acceleration::Acceleration;
use crate::PipelineError;

/// The memory that a request may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryLimit {
    /// What the machine has free when the request begins; the container's limit where that is lower. Only where models lie in
    /// the machine's own memory.
    #[default]
    Available,
    /// This many bytes.
    Bytes(u64),
    /// No limit: nothing is foreseen.
    None,
}

/// The bytes that a request needs beside the weights, by stage. The stages follow one another, so the largest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryNeed {
    /// A pass of the UNet over all rows.
    pub unet: u64,
    /// The VAE on one picture, or on one tile.
    pub vae: u64,
}

/// Bytes of an activation: f32.
const ACTIVATION: u64 = 4;
/// Copies of a level's activation that a block of the UNet holds at once beside the skip connections: the residual, the
/// normalised input, and the feed-forward's eight-fold hidden layer.
const UNET_BLOCK: u64 = 12;
/// Copies of the largest activation that a block of the VAE's decoder holds at once.
const VAE_BLOCK: u64 = 4;

/// Tokens of a text in CLIP's encoder.
const TEXT_TOKENS: u64 = 77;

/// The numbers of a network that its memory depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NetworkSizes {
    /// Channels of the UNet's levels, the finest first.
    pub(super) unet_channels: Vec<usize>,
    /// Residual blocks of a level.
    pub(super) unet_layers: usize,
    /// Channels of the VAE's levels, the finest first.
    pub(super) vae_channels: Vec<usize>,
}

impl NetworkSizes {
    /// What `rows` of `latents` = [height, width] need, when the VAE decodes `decoded` = [height, width] latents at a time.
    pub(super) fn need(&self, rows: usize, latents: [usize; 2], decoded: [usize; 2]) -> MemoryNeed {
        let mut unet = 0;
        let mut block = 0;
        for (level, channels) in self.unet_channels.iter().enumerate() {
            let pixels = latents.map(|side| (side >> level).max(1) as u64);
            let activation = rows as u64 * *channels as u64 * pixels[0] * pixels[1] * ACTIVATION;
            // What goes down is kept until it comes up.
            unet += activation * (self.unet_layers as u64 + 1);
            block = block.max(activation * UNET_BLOCK);
        }
        let levels = self.vae_channels.len();
        let vae = (0..levels).map(|level| {
            // A decoder's block begins with the channels of the coarser level at the finer level's size.
            let channels = self.vae_channels[(level + 1).min(levels - 1)] as u64;
            let scale = 1_u64 << (levels - 1 - level);
            let pixels = decoded.map(|side| side as u64 * scale);
            channels * pixels[0] * pixels[1] * ACTIVATION * VAE_BLOCK
        });
        MemoryNeed {
            unet: unet + block,
            vae: vae.max().unwrap_or(0),
        }
    }
}

impl NetworkSizes {
    /// What passes over `rows` rows of `images` pictures keep for later ones, and what merging of tokens compares.
    pub(super) fn kept(
        &self,
        images: usize,
        rows: usize,
        latents: [usize; 2],
        acceleration: &Acceleration,
    ) -> u64 {
        let (images, rows) = (images as u64, rows as u64);
        let attentions = 2 * self.unet_layers as u64 + 1;
        let channels: u64 = self
            .unet_channels
            .iter()
            .map(|channels| *channels as u64)
            .sum();
        // Keys and values of the text.
        let mut kept = rows * TEXT_TOKENS * 2 * channels * attentions * ACTIVATION;
        let levels = self.unet_channels.iter().enumerate();
        let levels = levels.map(|(level, channels)| {
            let [height, width] = latents.map(|side| (side >> level).max(1) as u64);
            *channels as u64 * height * width * ACTIVATION
        });
        if acceleration.cache_interval > 1 {
            // Features of one resolution may have the channels of the next, which are about twice as many.
            kept += 2 * rows * levels.clone().max().unwrap_or(0);
        }
        if acceleration.gate_step.is_some() {
            // Outputs of all rows, and their means.
            kept += (rows + images) * attentions * levels.sum::<u64>();
        }
        if acceleration.merge_ratio > 0.0 {
            // Cosines of three quarters of the tokens with the others.
            let tokens = latents[0] as u64 * latents[1] as u64;
            kept += rows * (3 * tokens / 4) * (tokens / 4) * ACTIVATION;
        }
        kept
    }
}

impl MemoryLimit {
    /// Refuses `need` where it is more than there is; `in_host_memory` says whether models lie in the machine's own memory.
    pub(super) fn check(
        self,
        what: &'static str,
        need: u64,
        in_host_memory: bool,
    ) -> Result<(), PipelineError> {
        let available = match self {
            Self::None => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::Available if in_host_memory => available_memory(),
            Self::Available => None,
        };
        match available {
            Some(available) if need > available => Err(PipelineError::Memory {
                what,
                need,
                available,
            }),
            _ => Ok(()),
        }
    }
}

/// The bytes that this process may still take: what the system has free, and the container's limit where that is lower.
/// Nothing where the system does not say.
pub fn available_memory() -> Option<u64> {
    let free = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| kilobytes(&text, "MemAvailable:"));
    let left = container_memory_left();
    match (free, left) {
        (Some(free), Some(left)) => Some(free.min(left)),
        (free, left) => free.or(left),
    }
}

/// The bytes of the line that begins with `name`, which are written in kB.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// What a control group (version 2, then 1) leaves; its page cache counts as free, since the system gives it back.
fn container_memory_left() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let folders = [
        (
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory.current",
            "/sys/fs/cgroup/memory.stat",
        ),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
            "/sys/fs/cgroup/memory/memory.stat",
        ),
    ];
    folders.iter().find_map(|(limit, used, stat)| {
        let (limit, used) = (number(limit)?, number(used)?);
        let cache = fs::read_to_string(stat)
            .ok()
            .and_then(|text| cache_in(&text));
        Some(limit.saturating_sub(used.saturating_sub(cache.unwrap_or(0))))
    })
}

/// The page cache that a control group's statistics tell, in bytes.
fn cache_in(text: &str) -> Option<u64> {
    let of = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    Some(of("inactive_file ")? + of("active_file ").unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SD21: fn() -> NetworkSizes = || NetworkSizes {
        unet_channels: vec![320, 640, 1280, 1280],
        unet_layers: 2,
        vae_channels: vec![128, 256, 512, 512],
    };

    #[test]
    fn a_larger_picture_and_guidance_need_more() {
        let (one, two) = (
            SD21().need(1, [64, 64], [64, 64]),
            SD21().need(2, [64, 64], [64, 64]),
        );
        assert_eq!(two.unet, 2 * one.unet);
        assert_eq!(two.vae, one.vae);
        let large = SD21().need(1, [96, 96], [96, 96]);
        assert!(large.unet > 2 * one.unet && large.vae > 2 * one.vae);
        // A picture of 512 × 512 takes around a gigabyte in the decoder.
        assert!((500_000_000..2_000_000_000).contains(&one.vae), "{one:?}");
    }

    #[test]
    fn what_is_kept_counts_and_grows_with_what_is_asked_for() {
        let kept = |acceleration| SD21().kept(1, 2, [64, 64], &acceleration);
        let plain = kept(Acceleration::default());
        // 77 tokens' keys and values for 16 attentions, or a few more.
        assert!((10_000_000..30_000_000).contains(&plain), "{plain}");
        let cached = kept(Acceleration {
            cache_interval: 2,
            ..Acceleration::default()
        });
        let gated = kept(Acceleration {
            gate_step: Some(1),
            ..Acceleration::default()
        });
        let merged = kept(Acceleration {
            merge_ratio: 0.5,
            ..Acceleration::default()
        });
        assert_eq!(cached - plain, 2 * 2 * 320 * 64 * 64 * 4);
        assert_eq!(merged - plain, 2 * 3072 * 1024 * 4);
        assert!(
            (100_000_000..300_000_000).contains(&(gated - plain)),
            "{gated}"
        );
    }

    #[test]
    fn the_needs_that_the_page_on_precision_lists_are_those_of_the_estimate() {
        for (side, unet, vae) in [
            (512, 183, 1074),
            (640, 286, 1678),
            (768, 411, 2416),
            (1024, 731, 4295),
        ] {
            let latents = [side / 8; 2];
            let need = SD21().need(2, latents, latents);
            let megabytes = [need.unet, need.vae].map(|bytes| (bytes as f64 / 1e6).round());
            assert_eq!(megabytes, [f64::from(unet), f64::from(vae)], "{side}");
        }
    }

    #[test]
    fn tiles_bound_what_the_vae_needs() {
        let tiled = SD21().need(1, [128, 128], [64, 64]);
        assert_eq!(tiled.vae, SD21().need(1, [64, 64], [64, 64]).vae);
    }

    #[test]
    fn too_little_memory_is_refused_with_both_numbers() {
        let error = MemoryLimit::Bytes(5 << 30).check("the picture", 7 << 30, false);
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("7.0 GiB") && text.contains("5.0 GiB"),
            "{text}"
        );
        MemoryLimit::None
            .check("the picture", u64::MAX, true)
            .unwrap();
        MemoryLimit::Available
            .check("the picture", u64::MAX, false)
            .unwrap();
    }

    #[test]
    fn statistics_of_the_system_are_read() {
        let text = "MemTotal: 10 kB\nMemAvailable:   4 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(4096));
        assert_eq!(kilobytes(text, "VmHWM:"), None);
        assert_eq!(
            cache_in("anon 5\ninactive_file 7\nactive_file 2\n"),
            Some(9)
        );
    }
}
