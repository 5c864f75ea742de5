//! One training after another.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use pyrograph::train::compare::median;
use toml::Table;

use super::{
    recipe::{Recipe, folder_of},
    record::{Calibration, Figures, Record},
    trainer::{Outcome, Trainer},
};
use crate::commands::train_ssd::StepTime;

/// Steps of a training that is timed.
const TIMED_STEPS: u64 = 20;
/// How often each of two trainings is timed, by turns.
const TURNS: usize = 3;

/// A recipe on its way.
pub(super) struct Sweep<'a, T> {
    pub(super) recipe: &'a Recipe,
    pub(super) out: &'a Path,
    pub(super) trainer: &'a T,
    /// Whether Ctrl-C asks to stop.
    pub(super) stopped: &'a dyn Fn() -> bool,
    pub(super) say: &'a dyn Fn(String),
}

/// A finished training.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) folder: PathBuf,
    pub(super) figures: Figures,
}

impl Finished {
    pub(super) fn in_words(&self) -> String {
        let Figures {
            steps,
            seconds,
            best,
        } = self.figures;
        let best = best.map_or("no mAP".into(), |best| format!("best mAP@.5 {best:.4}"));
        let (name, seed) = (&self.name, self.seed);
        format!("{name} seed {seed}: {steps} steps in {seconds:.0} s, {best}")
    }
}

impl<T: Trainer> Sweep<'_, T> {
    /// Trains all that is not finished. Gives the finished trainings in the recipe's order, and
    /// whether it was stopped.
    pub(super) fn walk(&self) -> anyhow::Result<(Vec<Finished>, bool)> {
        let mut record = Record::load(self.out)?;
        self.check(&record)?;
        let mut finished = Vec::new();
        for (place, seed) in self.recipe.trainings() {
            let name = &self.recipe.runs[place].name;
            let folder = folder_of(name, seed);
            let figures = match record.finished(&folder) {
                Some(figures) => figures,
                None => {
                    let trained = self
                        .train(place, seed, &mut record)
                        .with_context(|| format!("run `{name}`, seed {seed}"))?;
                    let Some(figures) = trained else {
                        return Ok((finished, true));
                    };
                    figures
                }
            };
            finished.push(Finished {
                name: name.clone(),
                seed,
                folder: self.out.join(folder),
                figures,
            });
        }
        Ok((finished, false))
    }

    /// Refuses runs in the folder that the recipe does not ask for.
    fn check(&self, record: &Record) -> anyhow::Result<()> {
        for (place, seed) in self.recipe.trainings() {
            let asked = self.known(place, seed, record);
            let folder = folder_of(&self.recipe.runs[place].name, seed);
            record.check(self.out, &folder, asked.as_ref())?;
        }
        Ok(())
    }

    /// The options that the recipe asks for; none where the steps are not measured yet.
    fn known(&self, place: usize, seed: u64, record: &Record) -> Option<Table> {
        let steps = match self.recipe.runs[place].equal_time_with {
            None => None,
            Some(other) => Some(record.steps(&self.pair(place, other, record)?)?),
        };
        Some(self.recipe.asked(place, seed, steps))
    }

    /// The options of a run of equal time, and of the run at `other`, each with its first seed.
    fn pair(&self, place: usize, other: usize, record: &Record) -> Option<[Table; 2]> {
        let first_seed = |place: usize| self.recipe.runs[place].seeds[0];
        let own = self.recipe.asked(place, first_seed(place), None);
        Some([own, self.known(other, first_seed(other), record)?])
    }

    /// Trains to the end, unless it is stopped.
    fn train(
        &self,
        place: usize,
        seed: u64,
        record: &mut Record,
    ) -> anyhow::Result<Option<Figures>> {
        if (self.stopped)() {
            return Ok(None);
        }
        let asked = match self.known(place, seed, record) {
            Some(asked) => asked,
            None => {
                self.calibrate(place, record)?;
                // Ctrl-C was for the measurement.
                if (self.stopped)() {
                    return Ok(None);
                }
                let known = self.known(place, seed, record);
                known.context("the time of its steps is not known")?
            }
        };
        let name = &self.recipe.runs[place].name;
        let folder = folder_of(name, seed);
        let options = self.recipe.options(place, seed, &asked, self.out);
        record.begin(&folder, asked)?;
        (self.say)(format!("{name} seed {seed}"));
        let Outcome {
            steps,
            seconds,
            best,
            interrupted,
            finished_before,
        } = self.trainer.train(options, &self.out.join(&folder))?;
        if interrupted {
            return Ok(None);
        }
        let figures = Figures {
            steps,
            seconds,
            best,
        };
        record.finish(&folder, figures)?;
        let finished = Finished {
            name: name.clone(),
            seed,
            folder: folder.into(),
            figures,
        };
        (self.say)(match finished_before {
            true => format!("{}, in an earlier sweep", finished.in_words()),
            false => finished.in_words(),
        });
        Ok(Some(figures))
    }

    /// Measures how many steps of a run take as long as the run that it names.
    fn calibrate(&self, place: usize, record: &mut Record) -> anyhow::Result<()> {
        let run = &self.recipe.runs[place];
        let other = run.equal_time_with.context("it names no other run")?;
        let theirs = &self.recipe.runs[other];
        (self.say)(format!(
            "measuring how long steps of `{}` and `{}` take",
            theirs.name, run.name
        ));
        let Some(asked) = self.pair(place, other, record) else {
            self.calibrate(other, record)?;
            return self.calibrate(place, record);
        };
        let tables = [
            self.recipe
                .options(place, run.seeds[0], &asked[0], self.out),
            self.recipe
                .options(other, theirs.seeds[0], &asked[1], self.out),
        ];
        let mut seconds = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (table, seconds) in tables.iter().zip(&mut seconds) {
                let time = self.trainer.step_time(table.clone(), TIMED_STEPS)?;
                let step = time.seconds;
                ensure!(step.is_finite() && step > 0.0, "a step took {step} seconds");
                seconds.push(time);
            }
        }
        let [own, their] = seconds.map(|times| middle(&times));
        let steps = asked[1].get("steps").and_then(toml::Value::as_integer);
        let their_steps = steps.context("the other run has no steps")? as f64;
        let budget = their.of(their_steps);
        // One at least; saturates far above the steps of any run.
        let steps = (own.steps_in(budget).round() as u64).max(1);
        let [own, their] = [budget / steps as f64, budget / their_steps];
        (self.say)(format!(
            "`{}`: {:.0} ms a step, `{}`: {:.0} ms: {steps} steps take as long",
            theirs.name,
            1000.0 * their,
            run.name,
            1000.0 * own
        ));
        record.calibrate(Calibration {
            runs: [run.name.clone(), theirs.name.clone()],
            asked,
            seconds_a_step: [own, their],
            steps,
        })
    }
}

/// The median of each part of some measurements.
fn middle(times: &[StepTime]) -> StepTime {
    let median_of = |part: fn(&StepTime) -> Option<f64>| {
        let parts: Vec<f64> = times.iter().filter_map(part).collect();
        median(&parts)
    };
    let extra = median_of(|time| time.filling.map(|(extra, _)| extra));
    let filled_by = median_of(|time| time.filling.map(|(_, filled_by)| filled_by));
    StepTime {
        seconds: median_of(|time| Some(time.seconds)).unwrap_or(f64::NAN),
        filling: extra.zip(filled_by),
    }
}
