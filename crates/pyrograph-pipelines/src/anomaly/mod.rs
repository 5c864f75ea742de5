//! Anomalies: how far images are from the nearest ones that a generator of normal images can make.
//!
//! An [`AnomalyScorer`] holds the three networks of a fitted model file and finds each image's twin `G(z)` by one of three
//! [`Method`]s; the score is [`AnomalyScore`](pyrograph_losses::AnomalyScore). Every image is scored by itself: batch norms use their
//! running statistics, Adam acts element by element, and a search starts from latent vectors that the seed and the image's own values
//! choose, so that neither its neighbours nor its place change the result by more than the rounding in which batches differ, as
//! the search amplifies it: the tests hold it to a thousandth.

mod card;
mod figures;
mod input;
mod method;
mod report;
mod scorer;
mod search;
mod start;

pub use card::{AnomalyCard, Calibration};
pub use figures::{shown, twin_row, twin_sheet};
pub use input::values_of;
pub use method::{Method, SearchConfig};
pub use report::{AnomalyReport, RankingFigures, roc_chart, score_histogram};
pub use scorer::{AnomalyScorer, ScoredImage};
