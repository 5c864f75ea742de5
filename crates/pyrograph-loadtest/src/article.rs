//! The loop of the article on Stable Diffusion 2.1 behind an endpoint, and its published figures.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The prompt of the article's call.
pub const ARTICLE_PROMPT: &str = "a lovely cat";

/// Published P95, P90 and mean in milliseconds.
const PUBLISHED: [f64; 3] = [2276.0, 2250.0, 2217.0];
const PUBLISHED_ON: &str =
    "SageMaker endpoint on Inferentia2, as the article prints it: another machine";

/// The article's figures of a measurement, beside the published ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArticleFigures {
    /// P95 by numpy's linear interpolation.
    pub p95_ms: f64,
    /// P90 by numpy's linear interpolation.
    pub p90_ms: f64,
    /// The mean.
    pub average_ms: f64,
    /// The published P95.
    pub published_p95_ms: f64,
    /// The published P90.
    pub published_p90_ms: f64,
    /// The published mean.
    pub published_average_ms: f64,
    /// The machine of the published figures.
    pub published_on: String,
}

impl ArticleFigures {
    pub(crate) fn new(p95_ms: f64, p90_ms: f64, average_ms: f64) -> Self {
        let [published_p95_ms, published_p90_ms, published_average_ms] = PUBLISHED;
        Self {
            p95_ms,
            p90_ms,
            average_ms,
            published_p95_ms,
            published_p90_ms,
            published_average_ms,
            published_on: PUBLISHED_ON.into(),
        }
    }
}

impl fmt::Display for ArticleFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "             here    published")?;
        let rows = [
            ("P95", self.p95_ms, self.published_p95_ms),
            ("P90", self.p90_ms, self.published_p90_ms),
            ("average", self.average_ms, self.published_average_ms),
        ];
        for (name, here, published) in rows {
            writeln!(f, "{name:<8} {here:>8.0} ms  {published:>6.0} ms")?;
        }
        write!(f, "published: {}", self.published_on)
    }
}
