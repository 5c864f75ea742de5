//! The one set that all runs are scored on.

use std::path::PathBuf;

use anyhow::bail;
use pyrograph::train::{
    compare::ComparedRun,
    ssd::{DetectionSource, SsdRun},
};

use super::EvalCompare;

impl EvalCompare {
    /// The images of --data, or those of --split of the data that all runs were trained on.
    pub(super) fn source(
        &self,
        runs: &[ComparedRun],
        plans: &[(SsdRun, PathBuf)],
    ) -> anyhow::Result<DetectionSource> {
        let name = |place: usize| runs[place].path.display();
        let classes = &plans[0].0.classes;
        for (place, (plan, _)) in plans.iter().enumerate() {
            if plan.classes != *classes {
                bail!(
                    "{} has the classes {}, {} has {}: runs of other classes cannot be compared",
                    name(0),
                    classes.join(", "),
                    name(place),
                    plan.classes.join(", ")
                );
            }
        }
        if self.set.data.is_some() {
            let scenes = (self.scenes, self.seed);
            return Ok(self
                .set
                .source(&self.split, scenes, Some(classes.clone()))?);
        }
        let first = self.of_run(&plans[0].0)?;
        for (place, (plan, _)) in plans.iter().enumerate() {
            let other = self.of_run(plan)?;
            if other != first {
                bail!(
                    "{} was trained on {}, {} on {}: give --data, so that all are scored on one set",
                    name(0),
                    in_words(&first),
                    name(place),
                    in_words(&other)
                );
            }
        }
        Ok(first)
    }

    /// The images to score a run on. The seeds of runs draw other scenes, so that their own test
    /// parts differ: all are scored on those of --seed.
    fn of_run(&self, run: &SsdRun) -> anyhow::Result<DetectionSource> {
        let source = match &run.data {
            DetectionSource::Scenes { side, .. } => DetectionSource::Scenes {
                count: self.scenes,
                side: *side,
                seed: self.seed,
            },
            files @ DetectionSource::Files { .. } => files.clone(),
        };
        let mut part = source.part(&self.split)?;
        if let DetectionSource::Files { options, .. } = &mut part {
            options.classes = Some(run.classes.clone());
        }
        Ok(part)
    }
}

fn in_words(source: &DetectionSource) -> String {
    match source {
        DetectionSource::Scenes { side, .. } => format!("built-in scenes of {side} pixels"),
        DetectionSource::Files { path, .. } => path.display().to_string(),
    }
}
