//! The comparisons of one tensor, counted.

use crate::{
    compare::Comparing,
    judge::Judgement,
    report::{Comparison, Finding, Kind, LISTED_KINKS, Place, TensorReport, Verdict},
    settings::{Mode, Precision, Unreached},
    slopes::{INSIDE, Slopes},
    variables::Variable,
};

pub(crate) struct Tally<'a> {
    variable: &'a Variable,
    precision: &'a Precision,
    unreached: Unreached,
    report: TensorReport,
    pub(crate) findings: Vec<Finding>,
    /// The largest slope, analytic or numeric, and the largest rounding seen.
    largest: f64,
    largest_numeric: f64,
    rounding: f64,
    /// Rounding and the largest error allowed where rounding was worst; infinite where the point
    /// did not move.
    drowned: Option<[f64; 2]>,
    /// The first comparison inside a kink, with the one-sided slopes there, and how many there are.
    inside: Option<(Comparison, [f64; 2])>,
    insides: usize,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(variable: &'a Variable, comparing: &Comparing<'a>) -> Self {
        Self {
            variable,
            precision: comparing.precision,
            unreached: comparing.check.unreached,
            report: variable.empty_report(),
            findings: Vec::new(),
            largest: 0.0,
            largest_numeric: 0.0,
            rounding: 0.0,
            drowned: None,
            inside: None,
            insides: 0,
        }
    }

    pub(crate) fn count(&mut self, place: Place, judgement: Option<Judgement>) {
        match judgement {
            None => self.drown([f64::INFINITY, 0.0]),
            Some(Judgement::Drowned(slopes)) => {
                self.drown([slopes.rounding, self.precision.tolerance * slopes.scale]);
            }
            Some(Judgement::Kink(slopes)) => self.bend(place, &slopes),
            Some(Judgement::InsideKink(slopes)) => {
                self.insides += 1;
                self.inside
                    .get_or_insert_with(|| (comparison(place.clone(), &slopes), slopes.range));
                self.bend(place, &slopes);
            }
            Some(Judgement::Right(slopes)) => {
                self.report.right += 1;
                self.see(place, &slopes);
            }
            Some(Judgement::Wrong(slopes)) => {
                self.report.wrong += 1;
                self.see(place, &slopes);
            }
        }
    }

    fn bend(&mut self, place: Place, slopes: &Slopes) {
        self.report.kinks += 1;
        if self.report.listed_kinks.len() < LISTED_KINKS {
            self.report.listed_kinks.push(comparison(place, slopes));
        }
    }

    fn drown(&mut self, drowned: [f64; 2]) {
        self.report.drowned += 1;
        if self.drowned.is_none_or(|[worst, _]| drowned[0] > worst) {
            self.drowned = Some(drowned);
        }
    }

    fn see(&mut self, place: Place, slopes: &Slopes) {
        self.largest_numeric = self.largest_numeric.max(slopes.numeric.abs());
        self.largest = self.largest.max(slopes.analytic.abs());
        self.largest = self.largest.max(self.largest_numeric);
        self.rounding = self.rounding.max(slopes.rounding);
        let worst = self.report.worst.as_ref();
        if worst.is_none_or(|worst| slopes.relative_error > worst.relative_error) {
            self.report.worst = Some(comparison(place, slopes));
        }
    }

    pub(crate) fn finish(mut self, mode: Mode) -> (TensorReport, Vec<Finding>) {
        let tensor = self.variable.name.clone();
        if let Some([rounding, allowed]) = self.drowned {
            self.findings.push(Finding::StepTooSmall {
                tensor: tensor.clone(),
                step: self.precision.step,
                rounding,
                allowed,
            });
        }
        let judged = self.report.right + self.report.wrong;
        if judged == 0 && self.report.kinks > 0 {
            let tensor = tensor.clone();
            self.findings.push(Finding::OnlyKinks { tensor });
        }
        if let Some((at, [low, high])) = self.inside.take() {
            self.findings.push(Finding::InsideKink {
                tensor: tensor.clone(),
                kinks: self.insides,
                place: at.place,
                analytic: at.analytic,
                low,
                high,
            });
        }
        let dependence = self.dependence(judged);
        self.findings.extend(dependence);
        self.report.share_checked = match mode {
            Mode::Full => judged as f64 / self.variable.values.len() as f64,
            Mode::Projected { .. } => f64::from(u8::from(judged > 0)),
        };
        let own = if self.report.wrong > 0 {
            Verdict::Failed
        } else {
            Verdict::Passed
        };
        let found = self.findings.iter().map(Finding::verdict).max();
        self.report.verdict = found.map_or(own, |found| found.max(own));
        (self.report, self.findings)
    }

    /// What is to be said of a tensor that gets no gradient, or on which the output does not
    /// depend.
    fn dependence(&self, judged: usize) -> Option<Finding> {
        let tensor = self.variable.name.clone();
        let is_missing = self.variable.gradient.is_none();
        if is_missing && self.report.wrong > 0 {
            return Some(Finding::MissingGradient {
                tensor,
                largest: self.largest_numeric,
            });
        }
        let all_agree = judged > 0 && self.report.kinks + self.report.drowned == 0;
        let is_unmoved = all_agree && self.largest == 0.0;
        let is_unused =
            is_unmoved || is_missing && all_agree && self.largest <= INSIDE * self.rounding;
        match (is_unused, self.variable.kind, self.unreached) {
            (true, Kind::Parameter, Unreached::Reported) => Some(Finding::Unreached { tensor }),
            (true, _, _) if is_missing => Some(Finding::Unused { tensor }),
            _ => None,
        }
    }
}

fn comparison(place: Place, slopes: &Slopes) -> Comparison {
    Comparison {
        place,
        analytic: slopes.analytic,
        numeric: slopes.numeric,
        relative_error: slopes.relative_error,
    }
}
