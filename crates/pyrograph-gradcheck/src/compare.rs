//! Every line through the point along one tensor, and what they say together.

use crate::{
    GradCheckError,
    check::Origin,
    numbers::{index_of, largest},
    random::direction,
    report::{Comparison, Finding, Kind, LISTED_KINKS, Place, TensorReport, Verdict},
    settings::{GradCheck, Mode, Precision},
    slopes::{Base, CLEAR, Judgement, Sides, Slopes, judge},
};

/// A tensor of which the function has a gradient, or is thought to.
pub(crate) struct Variable {
    pub(crate) origin: Origin,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
    /// Why it is not checked.
    pub(crate) skipped: Option<Finding>,
    pub(crate) gradient: Option<Vec<f64>>,
}

impl Variable {
    pub(crate) fn empty_report(&self) -> TensorReport {
        TensorReport {
            name: self.name.clone(),
            kind: self.kind,
            shape: self.shape.clone(),
            verdict: Verdict::Skipped,
            right: 0,
            wrong: 0,
            drowned: 0,
            kinks: 0,
            listed_kinks: Vec::new(),
            share_checked: 0.0,
            worst: None,
        }
    }
}

/// Why the comparisons of a tensor end early.
pub(crate) enum Stop {
    Error(GradCheckError),
    Finding(Finding),
}

impl From<GradCheckError> for Stop {
    fn from(error: GradCheckError) -> Self {
        Self::Error(error)
    }
}

/// A gradient below this share of the steepest one of the check is zero but for rounding, as a bias's is before a norm.
const ZERO: f64 = 1e-9;
/// How far the slope of such a tensor may stand above the rounding of the output: networks round inside by that much more than
/// their output shows.
const INSIDE: f64 = 64.0;

/// Compares one tensor's gradient with differences; `beside` gives the function's values with the tensor replaced, `steepest`
/// is the largest gradient of all tensors.
pub(crate) fn tensor(
    check: &GradCheck,
    precision: &Precision,
    variable: &Variable,
    at: usize,
    steepest: f64,
    base: Base<'_>,
    beside: impl Fn(&[f64]) -> Result<Vec<f64>, Stop>,
) -> Result<(TensorReport, Vec<Finding>), GradCheckError> {
    let mut tally = Tally::new(variable, precision, steepest);
    let zeros;
    let gradient = match &variable.gradient {
        Some(gradient) => gradient.as_slice(),
        None => {
            zeros = vec![0.0; variable.values.len()];
            &zeros
        }
    };
    if let Some(finding) = unfit(variable, gradient) {
        tally.findings.push(finding);
        return Ok(tally.finish(check.mode));
    }
    let line = Lines {
        precision,
        values: &variable.values,
        gradient,
        base,
        beside,
    };
    let outcome = match check.mode {
        Mode::Full => (0..variable.values.len()).try_for_each(|flat| {
            let judgement = line.element(flat)?;
            tally.count(Place::Element(index_of(flat, &variable.shape)), judgement);
            Ok(())
        }),
        Mode::Projected { directions } => (0..directions).try_for_each(|number| {
            let along = direction(check.seed, at, number, variable.values.len());
            let judgement = line.direction(&along)?;
            tally.count(Place::Direction(number), judgement);
            Ok(())
        }),
    };
    match outcome {
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Finding(finding)) => tally.findings.push(finding),
        Ok(()) => {}
    }
    Ok(tally.finish(check.mode))
}

/// What makes a gradient unfit for comparison.
fn unfit(variable: &Variable, gradient: &[f64]) -> Option<Finding> {
    let tensor = variable.name.clone();
    if gradient.len() != variable.values.len() {
        return Some(Finding::GradientShape {
            tensor,
            values: variable.values.len(),
            gradient: gradient.len(),
        });
    }
    let values = gradient.iter().filter(|v| !v.is_finite()).count();
    (values > 0).then_some(Finding::NonFiniteGradient { tensor, values })
}

/// Lines through the point along one tensor.
struct Lines<'a, F> {
    precision: &'a Precision,
    values: &'a [f64],
    gradient: &'a [f64],
    base: Base<'a>,
    beside: F,
}

impl<F: Fn(&[f64]) -> Result<Vec<f64>, Stop>> Lines<'_, F> {
    /// The line on which one element moves. `None` where the step is lost in rounding.
    fn element(&self, flat: usize) -> Result<Option<Judgement>, Stop> {
        let at = self.values[flat];
        let step = self.precision.step * at.abs().max(1.0);
        let mut moved = self.values.to_vec();
        judge(self.base, self.precision, |shrink| {
            let plus = self.precision.round(at + step * shrink);
            let minus = self.precision.round(at - step * shrink);
            if plus <= at || minus >= at {
                return Ok(None);
            }
            moved[flat] = plus;
            let above = (self.beside)(&moved)?;
            moved[flat] = minus;
            let below = (self.beside)(&moved)?;
            Ok(Some(Sides {
                plus: above,
                minus: below,
                up: plus - at,
                down: at - minus,
                analytic: self.gradient[flat],
            }))
        })
    }

    /// The line along a direction. `None` where most of the step is lost in rounding.
    fn direction(&self, along: &[f64]) -> Result<Option<Judgement>, Stop> {
        let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let count = self.values.len() as f64;
        // Along the direction's length of about √count, the tensor moves by step · max(1, ‖x‖).
        let step = self.precision.step * square(self.values).sqrt().max(1.0) / count.sqrt();
        judge(self.base, self.precision, |shrink| {
            let width = step * shrink;
            let shifted = |by: f64| -> Vec<f64> {
                let pairs = self.values.iter().zip(along);
                pairs
                    .map(|(at, along)| self.precision.round(at + by * along))
                    .collect()
            };
            let (plus, minus) = (shifted(width), shifted(-width));
            // The analytic slope is that along the way that was really taken, rounding included.
            let way: Vec<f64> = plus.iter().zip(&minus).map(|(p, m)| p - m).collect();
            if square(&way) < width * width * square(along) {
                return Ok(None);
            }
            let slope: f64 = self.gradient.iter().zip(&way).map(|(g, w)| g * w).sum();
            Ok(Some(Sides {
                plus: (self.beside)(&plus)?,
                minus: (self.beside)(&minus)?,
                up: width,
                down: width,
                analytic: slope / (2.0 * width),
            }))
        })
    }
}

/// The comparisons of one tensor, counted.
struct Tally<'a> {
    variable: &'a Variable,
    precision: &'a Precision,
    /// Whether autodiff's gradient is zero beside those of other tensors.
    is_zero: bool,
    report: TensorReport,
    findings: Vec<Finding>,
    /// The largest slope, analytic or numeric, and the largest numeric one, with the rounding seen.
    largest: f64,
    largest_numeric: f64,
    rounding: f64,
    /// The slopes that drowned worst; infinite rounding where the point did not move.
    drowned: Option<f64>,
}

impl<'a> Tally<'a> {
    fn new(variable: &'a Variable, precision: &'a Precision, steepest: f64) -> Self {
        let gradient = variable.gradient.as_deref();
        Self {
            variable,
            precision,
            is_zero: gradient.is_some_and(|gradient| largest(gradient) <= ZERO * steepest),
            report: variable.empty_report(),
            findings: Vec::new(),
            largest: 0.0,
            largest_numeric: 0.0,
            rounding: 0.0,
            drowned: None,
        }
    }

    fn count(&mut self, place: Place, judgement: Option<Judgement>) {
        match judgement {
            None => self.drown(f64::INFINITY),
            Some(Judgement::Drowned(slopes)) => self.drown(slopes.rounding),
            Some(Judgement::Kink(slopes)) => {
                self.report.kinks += 1;
                if self.report.listed_kinks.len() < LISTED_KINKS {
                    self.report.listed_kinks.push(comparison(place, &slopes));
                }
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

    fn drown(&mut self, rounding: f64) {
        self.report.drowned += 1;
        self.drowned = Some(self.drowned.unwrap_or(0.0).max(rounding));
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

    fn finish(mut self, mode: Mode) -> (TensorReport, Vec<Finding>) {
        let tensor = self.variable.name.clone();
        let allowed = self.precision.tolerance * self.precision.floor;
        if let Some(rounding) = self.drowned {
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
        let is_missing = self.variable.gradient.is_none();
        let stands_out = self.largest > CLEAR * self.rounding;
        let rounds_inside = self.is_zero && self.largest_numeric <= INSIDE * self.rounding;
        if is_missing && self.report.wrong > 0 {
            self.findings.push(Finding::MissingGradient {
                tensor,
                largest: self.largest_numeric,
            });
        } else if is_missing && judged > 0 && !stands_out {
            self.findings.push(Finding::Unused { tensor });
        } else if stands_out && self.largest < allowed && !rounds_inside {
            self.findings.push(Finding::BelowTolerance {
                tensor,
                largest: self.largest,
                allowed,
            });
        }
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
}

fn comparison(place: Place, slopes: &Slopes) -> Comparison {
    Comparison {
        place,
        analytic: slopes.analytic,
        numeric: slopes.numeric,
        relative_error: slopes.relative_error,
    }
}
