//! The rows of the comparison table, one for each group.

use serde::{Deserialize, Serialize};

use super::{
    groups::{ComparedRun, RunGroup, group_runs},
    statistics::{mean, sample_deviation},
};
use crate::{TrainError, checks::refuse};

/// The accuracy of one run on the compared images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFigures {
    /// Mean average precision at an overlap of 0.5, by Pascal VOC's rules.
    pub ap50: f64,
    /// COCO's average precision over overlaps of 0.5 to 0.95.
    pub ap: f64,
}

/// The cost of the network of a group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupFigures {
    /// Number of trained parameters.
    pub params: u64,
    /// Floating-point operations of one image: twice the multiply-adds of the convolutions.
    pub flops: u64,
    /// Median milliseconds of one image.
    pub latency_ms: f64,
}

/// The figures of a group: means over its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The group's name, or the folder of a single run.
    pub name: String,
    /// The group's name.
    pub group: String,
    /// The seeds of its runs, rising.
    pub seeds: Vec<u64>,
    /// Number of trained parameters of the network.
    pub params: u64,
    /// Floating-point operations of one image: twice the multiply-adds of the convolutions.
    pub flops: u64,
    /// Median milliseconds of one image.
    pub latency_ms: f64,
    /// Mean average precision at an overlap of 0.5, by Pascal VOC's rules.
    pub ap50: f64,
    /// The sample standard deviation of this figure; `None` for one run.
    pub ap50_std: Option<f64>,
    /// COCO's average precision over overlaps of 0.5 to 0.95.
    pub ap: f64,
    /// The sample standard deviation of this figure; `None` for one run.
    pub ap_std: Option<f64>,
    /// The baseline group of `gain`; `None` for a baseline itself, and for a group without a
    /// baseline.
    pub baseline: Option<String>,
    /// The mean over the common seeds of the difference of `ap` to the baseline's run of the same
    /// seed.
    pub gain: Option<f64>,
    /// The sample standard deviation of the gain; `None` for one seed.
    pub gain_std: Option<f64>,
}

/// Grouped runs, each group with its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    groups: Vec<RunGroup>,
    /// The place of each group's baseline.
    baselines: Vec<Option<usize>>,
}

impl Comparison {
    /// Groups `runs` and finds baselines.
    ///
    /// The baseline of a group is the first group of the same network and data that was trained
    /// without a teacher. If `baseline` names a group, it is the baseline of all groups of its
    /// network. A group without a baseline has no gain, for example the teacher of a smaller
    /// network.
    ///
    /// # Errors
    /// As [`group_runs`], and when no group is called `baseline`.
    pub fn new(runs: &[ComparedRun], baseline: Option<&str>) -> Result<Self, TrainError> {
        let groups = group_runs(runs)?;
        let named = match baseline {
            None => None,
            Some(name) => Some(place_of(&groups, name)?),
        };
        let baselines = (0..groups.len())
            .map(|place| baseline_of(&groups, place, named))
            .collect();
        Ok(Self { groups, baselines })
    }

    /// The groups in the order of their first runs.
    pub fn groups(&self) -> &[RunGroup] {
        &self.groups
    }

    /// The baseline of the group with index `place`.
    pub fn baseline(&self, place: usize) -> Option<&RunGroup> {
        let baseline = self.baselines.get(place).copied().flatten()?;
        self.groups.get(baseline)
    }

    /// Checks that every group has the same seeds as its baseline, or as the first group of its
    /// network if it has no baseline.
    ///
    /// # Errors
    /// Names the first group with other seeds.
    pub fn check_seeds(&self) -> Result<(), TrainError> {
        for (place, group) in self.groups.iter().enumerate() {
            let same_model = |other: &&RunGroup| other.identity.model() == group.identity.model();
            let first = || self.groups.iter().find(same_model);
            if let Some(other) = self.baseline(place).or_else(first)
                && other.seeds != group.seeds
            {
                let seen = format!("{{{}}} in the group `{}`", list(&group.seeds), group.name);
                let wanted = list(&other.seeds);
                let allowed = format!("{{{wanted}}}, as in the group `{}`", other.name);
                return Err(refuse("the set of seeds", seen, &allowed));
            }
        }
        Ok(())
    }

    /// One row for each group, computed from the figures of all runs and of all groups, in their
    /// order.
    ///
    /// # Errors
    /// When there are fewer figures than runs or groups.
    pub fn rows(
        &self,
        runs: &[ComparedRun],
        figures: &[RunFigures],
        costs: &[GroupFigures],
    ) -> Result<Vec<ComparisonRow>, TrainError> {
        for (field, seen, wanted) in [
            ("the number of figures of runs", figures.len(), runs.len()),
            (
                "the number of figures of groups",
                costs.len(),
                self.groups.len(),
            ),
        ] {
            if seen != wanted {
                return Err(refuse(field, seen, &wanted.to_string()));
            }
        }
        let rows = self.groups.iter().zip(costs).enumerate();
        let row = |(place, (group, cost))| self.row(place, group, runs, figures, cost);
        Ok(rows.map(row).collect())
    }

    fn row(
        &self,
        place: usize,
        group: &RunGroup,
        runs: &[ComparedRun],
        figures: &[RunFigures],
        cost: &GroupFigures,
    ) -> ComparisonRow {
        let of = |figure: fn(&RunFigures) -> f64| -> Vec<f64> {
            group
                .runs
                .iter()
                .map(|&run| figure(&figures[run]))
                .collect()
        };
        let (ap50, ap) = (of(|run| run.ap50), of(|run| run.ap));
        let baseline = self.baseline(place);
        let gains = baseline.map_or_else(Vec::new, |baseline| gains(group, baseline, figures));
        let name = match group.runs[..] {
            [run] => runs[run].path.display().to_string(),
            _ => group.name.clone(),
        };
        ComparisonRow {
            name,
            group: group.name.clone(),
            seeds: group.seeds.clone(),
            params: cost.params,
            flops: cost.flops,
            latency_ms: cost.latency_ms,
            // A group has a run.
            ap50: mean(&ap50).unwrap_or_default(),
            ap50_std: sample_deviation(&ap50),
            ap: mean(&ap).unwrap_or_default(),
            ap_std: sample_deviation(&ap),
            baseline: baseline.map(|baseline| baseline.name.clone()),
            gain: mean(&gains),
            gain_std: sample_deviation(&gains),
        }
    }
}

/// The difference of each run of `group` to the run of `baseline` with the same seed.
fn gains(group: &RunGroup, baseline: &RunGroup, figures: &[RunFigures]) -> Vec<f64> {
    let pair = |(&run, seed): (&usize, &u64)| {
        let same = baseline.seeds.iter().position(|other| other == seed)?;
        Some(figures[run].ap - figures[baseline.runs[same]].ap)
    };
    group
        .runs
        .iter()
        .zip(&group.seeds)
        .filter_map(pair)
        .collect()
}

fn place_of(groups: &[RunGroup], name: &str) -> Result<usize, TrainError> {
    let place = groups.iter().position(|group| group.name == name);
    place.ok_or_else(|| {
        let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
        let allowed = format!("one of {}", names.join(", "));
        refuse("the baseline", format!("`{name}`"), &allowed)
    })
}

/// The place of the baseline of the group at `place`, where `named` was asked for.
fn baseline_of(groups: &[RunGroup], place: usize, named: Option<usize>) -> Option<usize> {
    let identity = &groups[place].identity;
    let same_model = |other: &usize| groups[*other].identity.model() == identity.model();
    let is_usual = |other: &usize| {
        let theirs = &groups[*other].identity;
        theirs.is_plain() && same_model(other) && theirs.data() == identity.data()
    };
    let found = named
        .filter(same_model)
        .or_else(|| (0..groups.len()).find(is_usual));
    found.filter(|baseline| *baseline != place)
}

fn list(seeds: &[u64]) -> String {
    let seeds: Vec<_> = seeds.iter().map(u64::to_string).collect();
    seeds.join(", ")
}
