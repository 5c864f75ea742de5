//! How an image's twin is found.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::PipelineError;

/// How an image's latent vector is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// [AnoGAN](https://arxiv.org/abs/1703.05921): Adam on the latent vector, from random ones.
    Search,
    /// [f-AnoGAN](https://doi.org/10.1016/j.media.2019.01.010): the encoder's vector, in one pass.
    Encoder,
    /// Adam from the encoder's vector.
    Warm,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Search, Self::Encoder, Self::Warm];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Encoder => "encoder",
            Self::Warm => "warm",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = PipelineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|method| method.name() == text);
        known.ok_or_else(|| PipelineError::Number {
            field: "the method",
            seen: text.into(),
            allowed: "search, encoder or warm".into(),
        })
    }
}

/// How [`Method::Search`] and [`Method::Warm`] move a latent vector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Steps of Adam (β 0.9 and 0.999). The paper takes 500 from anywhere; from the nearest of a pool 60 find what normal images need,
    /// and more find twins for anomalies too (docs/anomaly.md).
    pub steps: usize,
    /// Adam's rate at the start; it falls to a tenth by a cosine where [`decay`](Self::decay) is set.
    pub learning_rate: f64,
    /// Whether the rate falls.
    #[serde(skip_serializing_if = "is_on")]
    pub decay: bool,
    /// Whether the networks act as in training: their batch norms take the statistics of the images that are searched for
    /// at once, so that an image's score depends on its neighbours.
    #[serde(skip_serializing_if = "is_off")]
    pub train_mode: bool,
    /// Starts of every image, of which the best counts.
    pub restarts: usize,
    /// Random latent vectors that are made into images once; every image starts from its nearest among them, which takes a search
    /// most of its way. 0 starts from vectors drawn for each image, as the paper does.
    pub pool: usize,
    /// An image's search ends when its score has not fallen by this share of itself within 50 steps; 0 takes every step.
    pub early_stop: f64,
    /// Images searched for at once: a matter of speed alone.
    pub batch_size: usize,
    /// Seed of the random starts.
    pub seed: u64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            steps: 60,
            learning_rate: 0.03,
            decay: true,
            train_mode: false,
            restarts: 2,
            pool: 2000,
            early_stop: 0.0,
            batch_size: 32,
            seed: 0,
        }
    }
}

/// What stands in files of earlier versions, which do not name it, is not written either.
fn is_on(switch: &bool) -> bool {
    *switch
}

fn is_off(switch: &bool) -> bool {
    !switch
}

/// More than anyone searches for.
const MAX_STEPS: usize = 1_000_000;
const MAX_RESTARTS: usize = 1000;
const MAX_BATCH: usize = 4096;
const MAX_POOL: usize = 100_000;
/// Latent vectors searched for at once: a hundred times what a batch needs to be fast.
const MAX_ROWS: usize = 4096;

impl SearchConfig {
    /// The search of the public article on AnoGAN and MNIST (docs/anomaly.md): one random start, Adam at a constant 1e-3 for
    /// 5,000 steps, and networks that were never set to evaluation.
    pub fn article() -> Self {
        Self {
            steps: 5000,
            learning_rate: 1e-3,
            decay: false,
            train_mode: true,
            restarts: 1,
            pool: 0,
            ..Self::default()
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// Names the first that is not allowed.
    pub fn check(&self) -> Result<(), PipelineError> {
        let refuse = |field, seen: String, allowed: String| {
            Err(PipelineError::Number {
                field,
                seen,
                allowed,
            })
        };
        for (field, seen, most) in [
            ("steps", self.steps, MAX_STEPS),
            ("restarts", self.restarts, MAX_RESTARTS),
            ("batch_size", self.batch_size, MAX_BATCH),
        ] {
            if !(1..=most).contains(&seen) {
                return refuse(field, seen.to_string(), format!("1 to {most}"));
            }
        }
        let rows = self.batch_size * self.restarts;
        if rows > MAX_ROWS {
            let allowed = format!("up to {MAX_ROWS}: fewer restarts, or fewer images at once");
            return refuse("batch_size times restarts", rows.to_string(), allowed);
        }
        if self.pool > MAX_POOL || (1..self.restarts).contains(&self.pool) {
            let allowed = format!("0, or {} (the restarts) to {MAX_POOL}", self.restarts);
            return refuse("pool", self.pool.to_string(), allowed);
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let seen = self.learning_rate.to_string();
            return refuse("learning_rate", seen, "a finite number above 0".into());
        }
        if !(0.0..1.0).contains(&self.early_stop) {
            let seen = self.early_stop.to_string();
            return refuse("early_stop", seen, "at least 0 and below 1".into());
        }
        Ok(())
    }

    /// The rate of step `step`.
    pub(super) fn rate_at(&self, step: usize) -> f64 {
        /// The share of the rate that is left at the end.
        const FLOOR: f64 = 0.1;
        if !self.decay {
            return self.learning_rate;
        }
        let progress = step as f64 / self.steps as f64;
        let cosine = (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0;
        self.learning_rate * (FLOOR + (1.0 - FLOOR) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for method in Method::ALL {
            assert_eq!(method.name().parse::<Method>().expect("known"), method);
        }
        let message = "fast".parse::<Method>().expect_err("unknown").to_string();
        assert!(message.contains("search, encoder or warm"), "{message}");
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let usual = SearchConfig::default();
        usual.check().expect("legal");
        for (name, config) in [
            ("steps", SearchConfig { steps: 0, ..usual }),
            (
                "restarts",
                SearchConfig {
                    restarts: 1001,
                    ..usual
                },
            ),
            (
                "batch_size",
                SearchConfig {
                    batch_size: 0,
                    ..usual
                },
            ),
            (
                "pool",
                SearchConfig {
                    pool: 2,
                    restarts: 3,
                    ..usual
                },
            ),
            (
                "learning_rate",
                SearchConfig {
                    learning_rate: f64::NAN,
                    ..usual
                },
            ),
            (
                "early_stop",
                SearchConfig {
                    early_stop: 1.0,
                    ..usual
                },
            ),
        ] {
            let message = config.check().expect_err(name).to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn the_articles_search_is_constant_and_unlike_the_usual_one_in_files() {
        let article = SearchConfig::article();
        article.check().expect("legal");
        assert_eq!([article.rate_at(0), article.rate_at(4999)], [1e-3; 2]);
        let text = serde_json::to_string(&article).expect("JSON");
        let read: SearchConfig = serde_json::from_str(&text).expect("itself");
        assert_eq!(read, article);
        // A search as it was before there were two of them reads and writes as it did.
        let text = serde_json::to_string(&SearchConfig::default()).expect("JSON");
        assert!(
            !text.contains("decay") && !text.contains("train_mode"),
            "{text}"
        );
        let read: SearchConfig = serde_json::from_str(&text).expect("itself");
        assert_eq!(read, SearchConfig::default());
    }

    #[test]
    fn the_rate_falls_to_a_tenth() {
        let config = SearchConfig {
            steps: 100,
            learning_rate: 1.0,
            ..SearchConfig::default()
        };
        assert_eq!(config.rate_at(0), 1.0);
        assert!((config.rate_at(50) - 0.55).abs() < 1e-12);
        assert!((config.rate_at(100) - 0.1).abs() < 1e-12);
    }
}
