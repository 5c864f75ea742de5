//! A loaded scorer that scores images of several requests together.

use std::{io::Cursor, ops::ControlFlow};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_pipelines::anomaly::{AnomalyScorer, Method, ScoredImage, SearchConfig, twin_row};
use pyrograph_vision::image::ImageFormat;
use serde::Serialize;

use super::{AnomalyInput, Rules};
use crate::{
    Batching, Engine, Progress, Refusal, TaskError, TaskOutput, Watch,
    tasks::faults::{exact, of_model},
};

/// Latent vectors that one search moves at once, as the scorer bounds them.
const MAX_ROWS: usize = 4096;

/// A loaded scorer.
pub(super) struct AnomalyEngine<B: VisionAutodiff> {
    scorer: AnomalyScorer<B>,
    rules: Rules,
    /// The method of warm-up.
    method: Method,
}

/// An image on its way.
pub(super) struct AnomalyState {
    input: AnomalyInput,
    scored: Option<ScoredImage>,
}

/// What a client is told.
#[derive(Serialize)]
struct Report {
    score: f32,
    threshold: f32,
    anomalous: bool,
    method: &'static str,
    /// A PNG in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    heatmap: Option<String>,
}

impl<B: VisionAutodiff> AnomalyEngine<B> {
    pub(super) fn new(scorer: AnomalyScorer<B>, rules: Rules) -> Result<Self, Refusal> {
        Ok(Self {
            scorer,
            method: rules.default_method()?,
            rules,
        })
    }

    /// What differs between an image and its twin.
    fn heatmap(&self, input: &AnomalyInput, scored: &ScoredImage) -> Result<String, TaskError> {
        let (config, normalisation) = (self.scorer.config(), self.rules.card.normalisation);
        let row = twin_row("", &input.values, scored, config, normalisation).map_err(of_model)?;
        let mut png = Cursor::new(Vec::new());
        row.residual
            .write_to(&mut png, ImageFormat::Png)
            .map_err(TaskError::failed)?;
        Ok(BASE64_STANDARD.encode(png.get_ref()))
    }
}

impl<B: VisionAutodiff> Engine for AnomalyEngine<B> {
    type Input = AnomalyInput;
    type State = AnomalyState;

    fn begin(&mut self, input: AnomalyInput) -> Result<AnomalyState, TaskError> {
        Ok(AnomalyState {
            input,
            scored: None,
        })
    }

    fn step(
        &mut self,
        states: &mut [&mut AnomalyState],
        watch: &Watch<'_>,
    ) -> Result<(), TaskError> {
        let Some(first) = states.first() else {
            return Ok(());
        };
        // Equal keys: one method and one search for all, but for the seed.
        let (method, search) = (first.input.method, first.input.search);
        let search = SearchConfig {
            batch_size: states.len().clamp(1, (MAX_ROWS / search.restarts).max(1)),
            ..search
        };
        let values: Vec<f32> = states
            .iter()
            .flat_map(|state| state.input.values.iter().copied())
            .collect();
        let seeds: Vec<u64> = states.iter().map(|state| state.input.search.seed).collect();
        let progress = &mut |taken, steps| {
            watch.tell(Progress { taken, steps });
            match watch.is_stopped() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let scored = self
            .scorer
            .score_seeded(&values, &seeds, method, &search, progress);
        for (state, scored) in states.iter_mut().zip(scored.map_err(of_model)?) {
            state.scored = Some(scored);
        }
        Ok(())
    }

    fn progress(&self, state: &AnomalyState) -> Progress {
        let steps = state.input.steps();
        Progress {
            taken: if state.scored.is_some() { steps } else { 0 },
            steps,
        }
    }

    fn finish(&mut self, state: AnomalyState) -> Result<TaskOutput, TaskError> {
        let AnomalyState { input, scored } = state;
        let scored = scored.ok_or_else(|| TaskError::failed("the image has not been scored"))?;
        let line = self.scorer.calibration(input.method).map_err(of_model)?;
        let report = Report {
            score: scored.score,
            threshold: line.threshold,
            anomalous: line.is_anomalous(scored.score),
            method: input.method.name(),
            heatmap: match input.heatmap {
                true => Some(self.heatmap(&input, &scored)?),
                false => None,
            },
        };
        Ok(TaskOutput::Json(exact(&report)?))
    }

    fn batching(&self) -> Batching {
        Batching::Gathered
    }

    fn probe(&self, index: usize, seed: u64) -> Option<AnomalyInput> {
        if index > 0 {
            return None;
        }
        let config = self.scorer.config();
        let count = config.channels * config.side() * config.side();
        let grey = self.rules.card.normalisation.value((seed % 256) as u8);
        Some(AnomalyInput {
            values: vec![grey; count],
            method: self.method,
            search: self.rules.search(self.method),
            heatmap: false,
        })
    }
}
