//! What a fitted model file says of its scores.

use std::collections::BTreeMap;

use pyrograph_losses::AnomalyScore;
use pyrograph_vision::Normalisation;
use serde::{Deserialize, Serialize};

use super::{Method, SearchConfig};

/// What is known of a fitted scorer beside its networks; a model file carries it as JSON under [`AnomalyCard::KEY`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyCard {
    /// How pixels become values.
    pub normalisation: Normalisation,
    /// λ of the score.
    pub score: AnomalyScore,
    /// Names of the classes that are normal; empty where the training knew none.
    pub normal: Vec<String>,
    /// The value of a pixel that is white in pictures of 16 bits a channel, as it was in training; none where the
    /// training had no such pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub white_level: Option<u16>,
    /// Where the line between normal and anomalous runs, for each method that was calibrated.
    pub calibrations: BTreeMap<Method, Calibration>,
}

impl AnomalyCard {
    /// The key in a model file's header.
    pub const KEY: &'static str = "pyrograph.anomaly";
}

/// How one method scores normal images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// An image is anomalous when its score exceeds this.
    pub threshold: f32,
    /// The share of the normal images that lie below it.
    pub quantile: f64,
    /// Mean score of the normal images.
    pub mean: f64,
    /// Standard deviation of it.
    pub deviation: f64,
    /// How many normal images were scored.
    pub images: usize,
    /// The search that found the scores; none for the encoder.
    pub search: Option<SearchConfig>,
}

impl Calibration {
    /// From the scores of normal images and the threshold drawn from them.
    ///
    /// Gives none without scores.
    pub fn new(
        scores: &[f32],
        threshold: f32,
        quantile: f64,
        search: Option<SearchConfig>,
    ) -> Option<Self> {
        let count = scores.len() as f64;
        if scores.is_empty() {
            return None;
        }
        let mean = scores.iter().copied().map(f64::from).sum::<f64>() / count;
        let squares = scores.iter().map(|&s| (f64::from(s) - mean).powi(2));
        Some(Self {
            threshold,
            quantile,
            mean,
            deviation: (squares.sum::<f64>() / count).sqrt(),
            images: scores.len(),
            search,
        })
    }

    /// Whether an image of this score is anomalous.
    pub fn is_anomalous(&self, score: f32) -> bool {
        score > self.threshold
    }

    /// The score in standard deviations from the mean of normal images; 0 where those all scored the same.
    pub fn normalised(&self, score: f32) -> f64 {
        if self.deviation > 0.0 {
            (f64::from(score) - self.mean) / self.deviation
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_normalised_by_those_of_normal_images() {
        let line = Calibration::new(&[1.0, 3.0], 2.5, 0.9, None).expect("scores");
        assert_eq!((line.mean, line.deviation, line.images), (2.0, 1.0, 2));
        assert_eq!(line.normalised(5.0), 3.0);
        assert!(line.is_anomalous(2.6) && !line.is_anomalous(2.5));
        let flat = Calibration::new(&[1.0, 1.0], 1.0, 0.9, None).expect("scores");
        assert_eq!(flat.normalised(7.0), 0.0);
        assert!(Calibration::new(&[], 1.0, 0.9, None).is_none());
    }

    #[test]
    fn a_card_is_read_back_as_it_was_written_and_a_wrong_one_is_refused() {
        let line = Calibration::new(&[1.0, 3.0], 2.5, 0.9, Some(SearchConfig::default()));
        let card = AnomalyCard {
            normalisation: Normalisation::TANH,
            score: AnomalyScore::default(),
            normal: vec!["7".into()],
            white_level: None,
            calibrations: BTreeMap::from([(Method::Search, line.expect("scores"))]),
        };
        let text = serde_json::to_string(&card).expect("writes");
        assert_eq!(
            serde_json::from_str::<AnomalyCard>(&text).expect("reads"),
            card
        );
        // Cards of before say nothing of a white level.
        assert!(!text.contains("white_level"), "{text}");
        let wrong = text.replace("\"score\":0.1", "\"score\":1.5");
        assert_ne!(wrong, text);
        let error = serde_json::from_str::<AnomalyCard>(&wrong).expect_err("refused");
        assert!(error.to_string().contains("0 to 1"), "{error}");
    }
}
