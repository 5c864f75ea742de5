//! How predicted sprites are kept within the range of pixels, and what is said where they leave it.

use std::str::FromStr;

use clap::Args;
use pyrograph::{
    backend::vision::VisionBackend,
    diffusion::{SamplerConfig, Thresholding},
    pipelines::sprites::{BeyondRange, Clipping, SpritePipeline, SpriteSamples},
};
use serde_json::{Value, json};

use crate::arguments::{Common, SamplerOptions};

/// The bounds of predicted images.
#[derive(Args, Clone, Copy)]
pub(crate) struct BoundOptions {
    /// Clamp every predicted image to ±RANGE, or off [default: 1 for networks that predict noise on
    /// schedules that end in pure noise, such as cosine and sigmoid; off on the course's schedule].
    #[arg(long, value_name = "RANGE|off", allow_negative_numbers = true)]
    clip: Option<ClipRange>,
    /// Dynamic thresholding as in Imagen, instead of clipping: clamp every predicted image to s,
    /// the quantile RATIO of its magnitudes and at least 1, and divide it by s [default: off;
    /// without a number 0.995].
    #[arg(
        long,
        value_name = "RATIO",
        num_args = 0..=1,
        default_missing_value = "0.995",
        value_parser = ratio,
        conflicts_with = "clip",
        allow_negative_numbers = true
    )]
    dynamic_threshold: Option<f64>,
    /// With --dynamic-threshold: the largest quantile, diffusers' `sample_max_value` [default: none].
    #[arg(
        long,
        value_name = "MAX",
        value_parser = positive,
        requires = "dynamic_threshold",
        allow_negative_numbers = true
    )]
    threshold_max: Option<f64>,
}

/// The value of --clip.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ClipRange {
    Off,
    Within(f64),
}

impl FromStr for ClipRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => positive(text)
                .map(Self::Within)
                .map_err(|allowed| format!("{allowed}, and off")),
        }
    }
}

/// A range of pixels.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let legal = number.filter(|number| number.is_finite() && *number > 0.0);
    legal.ok_or_else(|| "allowed are finite numbers above 0".into())
}

/// A share of values.
fn ratio(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let legal = number.filter(|number| (0.0..=1.0).contains(number));
    legal.ok_or_else(|| "allowed are 0 to 1".into())
}

impl BoundOptions {
    /// The flag that asks for a bound, if one does.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        match (self.clip, self.dynamic_threshold) {
            (Some(ClipRange::Within(_)), _) => Some("--clip"),
            (_, Some(_)) => Some("--dynamic-threshold"),
            _ => None,
        }
    }

    /// Sets what was asked for.
    pub(crate) fn apply(&self, config: &mut SamplerConfig) {
        config.clip_sample = match self.clip {
            Some(ClipRange::Within(range)) => Some(range),
            Some(ClipRange::Off) | None => None,
        };
        config.thresholding = self.dynamic_threshold.map(|ratio| Thresholding {
            ratio,
            max: self.threshold_max.unwrap_or(Thresholding::IMAGEN.max),
        });
    }
}

impl SamplerOptions {
    /// Whether the schedule may decide on clipping.
    pub(crate) fn clipping(&self) -> Clipping {
        match self.bounds.clip {
            Some(ClipRange::Off) => Clipping::AsConfigured,
            _ => Clipping::AsNeeded,
        }
    }

    /// Says that images are clipped though nobody asked for it.
    pub(crate) fn say_clipping<B: VisionBackend>(
        &self,
        common: &Common,
        pipeline: &SpritePipeline<B>,
        sampler: &SamplerConfig,
    ) {
        let rules = pipeline.rules();
        let by_default = rules
            .clip_by_default(sampler)
            .filter(|_| self.clipping() == Clipping::AsNeeded);
        if let Some(range) = by_default {
            let signal = rules.schedule().least_signal();
            common.say(format!(
                "predicted images are clipped to ±{range}: the first steps on this model's schedule divide by {signal:.1e}; \
                 --clip off leaves them as they are"
            ));
        }
    }

    /// Warns of images that leave the range of pixels by far, and gives them for the JSON. `of`
    /// names them among others.
    pub(crate) fn say_range(
        &self,
        common: &Common,
        samples: &SpriteSamples,
        of: Option<&str>,
    ) -> Value {
        let Some(beyond) = samples.beyond_range() else {
            return Value::Null;
        };
        let of = of.map(|of| format!("{of}: ")).unwrap_or_default();
        common.say(format!("warning: {of}{beyond}; {ADVICE}"));
        let BeyondRange {
            images,
            share,
            largest,
            ..
        } = beyond;
        json!({ "images": images, "share": share, "largest": largest })
    }
}

/// What helps where images leave the range of pixels.
const ADVICE: &str = "--clip 1 or --dynamic-threshold keeps predicted images within it, and a longer training brings them closer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_or_off_is_read() {
        assert_eq!("off".parse(), Ok(ClipRange::Off));
        assert_eq!("1.5".parse(), Ok(ClipRange::Within(1.5)));
        for text in ["on", "", "0", "-1", "nan", "inf"] {
            let refused = text.parse::<ClipRange>().expect_err(text);
            assert!(refused.contains("above 0, and off"), "{refused}");
        }
        assert_eq!(
            [ratio("0"), ratio("1"), ratio("0.9")],
            [0.0, 1.0, 0.9].map(Ok)
        );
        assert!(
            ["-0.1", "1.1", "nan"]
                .iter()
                .all(|text| ratio(text).is_err())
        );
    }
}
