//! What is measured, and what follows from it.

use anyhow::Context;
use pyrograph::train::compare::median;
use serde::{Deserialize, Serialize};

use super::likeness::Likeness;

/// Seconds of an hour.
const HOUR: f64 = 3600.0;
/// Pictures whose cost is said.
const PICTURES: f64 = 1000.0;

/// All figures: the result of the command.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) model: Option<String>,
    pub(super) weights: &'static str,
    pub(super) device: String,
    pub(super) threads: Option<usize>,
    pub(super) vectors: Option<String>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) guidance: f64,
    pub(super) count: usize,
    pub(super) scheduler: Option<String>,
    pub(super) repeats: usize,
    pub(super) method: &'static str,
    pub(super) price_per_hour: Option<f64>,
    pub(super) types: Vec<TypeFigures>,
}

/// The figures of one type of weights.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct TypeFigures {
    pub(super) dtype: String,
    /// Width and height of the pictures.
    pub(super) size: [usize; 2],
    pub(super) seconds: PartSeconds,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) pictures: Vec<PictureFigures>,
}

/// Seconds of the parts of a run of `count` pictures.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct PartSeconds {
    pub(super) load: f64,
    /// From the start of the process to the first picture, of one step.
    pub(super) first_picture: f64,
    pub(super) text: f64,
    pub(super) unet_pass: f64,
    pub(super) vae: f64,
}

/// The figures of one picture.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct PictureFigures {
    pub(super) steps: usize,
    /// Passes of the UNet: more than the steps with some schedulers.
    pub(super) passes: usize,
    pub(super) seconds: PictureSeconds,
    /// The cost of 1000 pictures, where a price is given.
    pub(super) cost_per_1000: Option<f64>,
    /// The distance from the picture of f32, of a whole picture of another type.
    pub(super) against_f32: Option<Likeness>,
}

/// Seconds of one picture.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct PictureSeconds {
    pub(super) text: f64,
    pub(super) unet: f64,
    pub(super) vae: f64,
    pub(super) total: f64,
}

/// Seconds of the runs of each part.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) text: Vec<f64>,
    pub(super) unet: Vec<f64>,
    pub(super) vae: Vec<f64>,
}

impl Runs {
    /// The medians of text encoder, UNet and VAE.
    pub(super) fn medians(&self) -> anyhow::Result<[f64; 3]> {
        let middle = |runs: &Vec<f64>| median(runs).context("no run was measured");
        Ok([middle(&self.text)?, middle(&self.unet)?, middle(&self.vae)?])
    }
}

impl PictureFigures {
    /// One of `count` pictures of a run whose text encoder, UNet and VAE took `seconds`.
    pub(super) fn new(steps: usize, passes: usize, seconds: [f64; 3], count: usize) -> Self {
        let [text, unet, vae] = seconds.map(|seconds| seconds / count as f64);
        Self {
            steps,
            passes,
            seconds: PictureSeconds {
                text,
                unet,
                vae,
                total: text + unet + vae,
            },
            cost_per_1000: None,
            against_f32: None,
        }
    }
}

impl Report {
    /// The same with what pictures cost at a price for an hour.
    pub(super) fn at_price(mut self, price: f64) -> Self {
        for figures in &mut self.types {
            for picture in &mut figures.pictures {
                let cost = price / HOUR * picture.seconds.total * PICTURES;
                picture.cost_per_1000 = Some(cost);
            }
        }
        self.price_per_hour = Some(price);
        self
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two types, of pictures that take 10 and 5 seconds at 20 steps.
    pub(crate) fn report() -> Report {
        let figures = |dtype: &str, pass: f64| TypeFigures {
            dtype: dtype.into(),
            size: [512, 256],
            seconds: PartSeconds {
                load: 1.0,
                first_picture: 3.5,
                text: 0.5,
                unet_pass: pass,
                vae: 1.0,
            },
            peak_memory_bytes: Some(4_560_000_000),
            pictures: vec![PictureFigures::new(20, 21, [0.5, 21.0 * pass, 1.0], 1)],
        };
        Report {
            model: None,
            weights: "random",
            device: "cpu".into(),
            threads: Some(2),
            vectors: Some("avx512".into()),
            width: 512,
            height: 256,
            guidance: 7.5,
            count: 1,
            scheduler: None,
            repeats: 3,
            method: "computed",
            price_per_hour: None,
            types: vec![figures("f32", 8.5 / 21.0), figures("bf16", 3.5 / 21.0)],
        }
    }

    #[test]
    fn a_thousand_pictures_cost_their_share_of_the_hours() {
        let report = report().at_price(0.36);
        let costs: Vec<_> = report
            .types
            .iter()
            .map(|figures| figures.pictures[0].cost_per_1000.unwrap())
            .collect();
        // 10,000 and 5,000 seconds at 0.0001 a second.
        assert!((costs[0] - 1.0).abs() < 1e-12 && (costs[1] - 0.5).abs() < 1e-12);
        assert_eq!(report.price_per_hour, Some(0.36));
    }

    #[test]
    fn the_time_of_a_run_is_shared_by_its_pictures() {
        let picture = PictureFigures::new(20, 21, [1.0, 8.0, 3.0], 4);
        let PictureSeconds {
            text,
            unet,
            vae,
            total,
        } = picture.seconds;
        assert_eq!((text, unet, vae, total), (0.25, 2.0, 0.75, 3.0));
    }

    #[test]
    fn medians_count_and_nothing_has_none() {
        let runs = Runs {
            text: vec![3.0, 1.0, 2.0],
            unet: vec![1.0],
            vae: vec![1.0, 2.0],
        };
        assert_eq!(runs.medians().unwrap(), [2.0, 1.0, 1.5]);
        assert!(Runs::default().medians().is_err());
    }
}
