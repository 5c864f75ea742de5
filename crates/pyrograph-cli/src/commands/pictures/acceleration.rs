//! Flags that make steps cheaper.

use clap::Args;
use pyrograph::pipelines::stable_diffusion::Acceleration;

use super::settings::Settings;

/// Ways to make steps cheaper, which can be combined; a step is a UNet call here.
#[derive(Args)]
#[command(next_help_heading = "Cheaper steps (docs/text-to-image.md)")]
pub(super) struct AccelerationOptions {
    /// DeepCache: a full UNet call every N steps; the others run only the layers of --cache-branch
    /// and reuse the rest from the last full call [default: 1, which is off].
    #[arg(long, value_name = "N")]
    cache_interval: Option<usize>,
    /// The branch of DeepCache, which sets the layers of the UNet that run at every step: 0 for
    /// only the last layer; up to 11 with Stable Diffusion [default: 0].
    #[arg(long, value_name = "BRANCH")]
    cache_branch: Option<usize>,
    /// T-GATE: after step M the UNet reuses the outputs of its attentions to the text, and guidance
    /// ends; M equal to the number of steps is off [default: off].
    #[arg(long, value_name = "M")]
    gate_step: Option<usize>,
    /// Token merging (ToMe): fraction of the image's tokens that are merged before self-attention,
    /// 0 to 0.75; 0 is off [default: 0].
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    merge_ratio: Option<f64>,
    /// Number of resolutions of the UNet at which tokens are merged, from the highest on [default:
    /// 1].
    #[arg(long, value_name = "LEVELS")]
    merge_levels: Option<usize>,
    /// Fraction of the steps after which guidance begins; without guidance a step takes half the
    /// time [default: 0].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    guidance_from: Option<f64>,
    /// Fraction of the steps after which guidance ends [default: 1].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    guidance_until: Option<f64>,
}

impl AccelerationOptions {
    /// The settings with these flags, where they are given.
    pub(super) fn on(&self, settings: Settings) -> Settings {
        Settings {
            cache_interval: self.cache_interval.or(settings.cache_interval),
            cache_branch: self.cache_branch.or(settings.cache_branch),
            gate_step: self.gate_step.or(settings.gate_step),
            merge_ratio: self.merge_ratio.or(settings.merge_ratio),
            merge_levels: self.merge_levels.or(settings.merge_levels),
            guidance_from: self.guidance_from.or(settings.guidance_from),
            guidance_until: self.guidance_until.or(settings.guidance_until),
            ..settings
        }
    }
}

/// What `settings` ask for.
pub(super) fn acceleration(settings: &Settings) -> Acceleration {
    let none = Acceleration::default();
    Acceleration {
        cache_interval: settings.cache_interval.unwrap_or(none.cache_interval),
        cache_branch: settings.cache_branch.unwrap_or(none.cache_branch),
        gate_step: settings.gate_step,
        merge_ratio: settings.merge_ratio.unwrap_or(none.merge_ratio),
        merge_levels: settings.merge_levels.unwrap_or(none.merge_levels),
        guidance_from: settings.guidance_from.unwrap_or(none.guidance_from),
        guidance_until: settings.guidance_until.unwrap_or(none.guidance_until),
    }
}
