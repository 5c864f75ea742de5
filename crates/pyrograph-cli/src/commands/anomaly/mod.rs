//! `pyrograph anomaly`.

mod fit;
mod known;
mod pictures;
mod score;
mod table;

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use pyrograph::{
    pipelines::anomaly::SearchConfig,
    train::run_folder::{RunFolder, RunKind},
};

#[derive(Subcommand)]
pub(crate) enum Anomaly {
    /// Train the encoder of a run's generator, and draw the thresholds between normal and anomalous.
    Fit(Box<fit::Fit>),
    /// Score images, and evaluate the scores if labels are known.
    Score(Box<score::Score>),
}

impl Anomaly {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Fit(command) => command.run(),
            Self::Score(command) => command.run(),
        }
    }
}

/// The model file that `fit` writes into a run folder.
const FITTED: &str = "anomaly.safetensors";

/// Options of the search for latent vectors.
#[derive(Args, Clone, Copy)]
pub(crate) struct SearchOptions {
    /// The preset that the other flags of the search change [default: usual, or for `score` the
    /// search of the fitted threshold].
    #[arg(long, value_enum)]
    search_preset: Option<SearchPreset>,
    /// Steps of the search [default: 60, or as the model was fitted].
    #[arg(long, allow_negative_numbers = true)]
    steps: Option<usize>,
    /// Adam's learning rate at the start of the search; it falls to a tenth, but is constant with
    /// `--search-preset article` [default: 0.03, or as the model was fitted].
    #[arg(long, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Searches for each image from different starts, of which the best counts [default: 2, or as
    /// the model was fitted].
    #[arg(long, allow_negative_numbers = true)]
    restarts: Option<usize>,
    /// Number of random images that are generated once; every search starts from the nearest of
    /// them. With 0 a search starts from random vectors [default: 2000, or as the model was
    /// fitted].
    #[arg(long, allow_negative_numbers = true)]
    pool: Option<usize>,
    /// An image's search ends when its score has not fallen by this fraction of itself within 50
    /// steps; 0 always takes all steps [default: 0, or as the model was fitted].
    #[arg(long, allow_negative_numbers = true)]
    early_stop: Option<f64>,
    /// Images searched for at once [default: 32, or as the model was fitted].
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<usize>,
    /// Seed of the random starts [default: 0, or as the model was fitted].
    #[arg(long)]
    seed: Option<u64>,
}

/// A preset of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SearchPreset {
    /// Two starts from the nearest of a pool, 60 steps at a falling rate.
    Usual,
    /// The search of the article on MNIST: one random start, 5,000 steps of Adam at a constant
    /// 0.001, networks in training mode, so that the score of an image depends on the others of its
    /// batch.
    Article,
}

impl SearchOptions {
    /// Whether a flag says how to search; how many images at once is a matter of any method.
    fn is_given(&self) -> bool {
        let counts = [self.steps, self.restarts, self.pool];
        let rates = [self.rate, self.early_stop];
        self.search_preset.is_some()
            || counts.iter().any(Option::is_some)
            || rates.iter().any(Option::is_some)
            || self.seed.is_some()
    }

    /// `usual`, as the preset and the flags change it.
    fn over(self, usual: SearchConfig) -> SearchConfig {
        let usual = match self.search_preset {
            None => usual,
            Some(SearchPreset::Usual) => SearchConfig::default(),
            Some(SearchPreset::Article) => SearchConfig::article(),
        };
        SearchConfig {
            steps: self.steps.unwrap_or(usual.steps),
            learning_rate: self.rate.unwrap_or(usual.learning_rate),
            restarts: self.restarts.unwrap_or(usual.restarts),
            pool: self.pool.unwrap_or(usual.pool),
            early_stop: self.early_stop.unwrap_or(usual.early_stop),
            batch_size: self.batch_size.unwrap_or(usual.batch_size),
            seed: self.seed.unwrap_or(usual.seed),
            ..usual
        }
    }
}

/// Moves the bar, and breaks off where the user asked to.
fn stepping<'a>(
    bar: &'a ProgressBar,
    stop: &'a AtomicBool,
) -> impl FnMut(usize, usize) -> ControlFlow<()> + 'a {
    move |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if stop.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// The fitted model of a run, or a model file.
fn fitted_path(run: Option<&PathBuf>, model: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
    use anyhow::{Context, bail};
    if let Some(model) = model {
        return Ok(model.clone());
    }
    let run = run.context("give --run or --model")?;
    let path = run.join(FITTED);
    if !path.is_file() {
        RunFolder::open(run)?.expect_kind(RunKind::Dcgan)?;
        bail!(
            "{}: the model has no threshold and no encoder yet: run `pyrograph anomaly fit --run {}`",
            run.display(),
            run.display()
        );
    }
    Ok(path)
}
