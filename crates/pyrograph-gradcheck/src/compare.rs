//! Every line through the point along one tensor, and what they say together.

use crate::{
    GradCheckError,
    judge::{Judgement, judge},
    numbers::{Reference, index_of, norm, not_finite},
    random::direction,
    report::{Finding, Place, TensorReport},
    settings::{GradCheck, Mode, Precision},
    slopes::{Base, Sides},
    tally::Tally,
    variables::Variable,
};

/// Why the comparisons of a tensor end early.
pub(crate) enum Stop {
    Error(GradCheckError),
    Finding(Finding),
}

/// The function's values with other values of one tensor.
pub(crate) type Beside<'a> = dyn Fn(&[f64]) -> Result<Vec<f64>, Stop> + 'a;

impl From<GradCheckError> for Stop {
    fn from(error: GradCheckError) -> Self {
        Self::Error(error)
    }
}

/// How the gradient of tensor number `at` of the check is compared.
pub(crate) struct Comparing<'a> {
    pub(crate) check: &'a GradCheck,
    pub(crate) precision: &'a Precision,
    pub(crate) reference: Reference,
    pub(crate) at: usize,
    pub(crate) base: Base<'a>,
}

/// Compares one tensor's gradient with differences; `beside` gives the function's values with the
/// tensor replaced.
pub(crate) fn tensor(
    comparing: &Comparing<'_>,
    variable: &Variable,
    beside: &Beside<'_>,
) -> Result<(TensorReport, Vec<Finding>), GradCheckError> {
    let Comparing { check, at, .. } = *comparing;
    let mut tally = Tally::new(variable, comparing);
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
        comparing,
        values: &variable.values,
        gradient,
        beside,
    };
    let outcome = match check.mode {
        Mode::Full => (0..variable.values.len()).try_for_each(|flat| {
            let place = Place::Element(index_of(flat, &variable.shape));
            tally.count(place.clone(), placed(line.element(flat), place)?);
            Ok(())
        }),
        Mode::Projected { directions } => (0..directions).try_for_each(|number| {
            let along = direction(check.seed, at, number, variable.values.len());
            let place = Place::Direction(number);
            tally.count(place.clone(), placed(line.direction(&along), place)?);
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

/// Says of a function that is not finite beside the point which way led there.
fn placed<T>(outcome: Result<T, Stop>, moved: Place) -> Result<T, Stop> {
    outcome.map_err(|stop| match stop {
        Stop::Finding(Finding::NonFinite {
            tensor,
            values,
            index,
            ..
        }) => Stop::Finding(Finding::NonFinite {
            tensor,
            values,
            index,
            moved: Some(moved),
        }),
        other => other,
    })
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
    let (values, first) = not_finite(gradient)?;
    Some(Finding::NonFiniteGradient {
        tensor,
        values,
        index: index_of(first, &variable.shape),
    })
}

/// Lines through the point along one tensor.
struct Lines<'a> {
    comparing: &'a Comparing<'a>,
    values: &'a [f64],
    gradient: &'a [f64],
    beside: &'a Beside<'a>,
}

impl Lines<'_> {
    /// Judges the line whose sides at a share of the step `sides` gives.
    fn judge(
        &self,
        sides: &mut dyn FnMut(f64) -> Result<Option<Sides>, Stop>,
    ) -> Result<Option<Judgement>, Stop> {
        let Comparing {
            precision,
            reference,
            base,
            ..
        } = self.comparing;
        judge(
            *base,
            precision,
            reference,
            &mut |share| match sides(share) {
                // A wider step may leave the function's domain.
                Err(Stop::Finding(_)) if share > 1.0 => Ok(None),
                sides => sides,
            },
        )
    }

    /// The line on which one element moves. `None` where the step is lost in rounding.
    fn element(&self, flat: usize) -> Result<Option<Judgement>, Stop> {
        let at = self.values[flat];
        let precision = self.comparing.precision;
        let step = precision.step * at.abs().max(1.0);
        let mut moved = self.values.to_vec();
        self.judge(&mut |share| {
            let plus = precision.round(at + step * share);
            let minus = precision.round(at - step * share);
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
        let precision = self.comparing.precision;
        let count = self.values.len() as f64;
        // Along the direction's length of about √count, the tensor moves by step · max(1, ‖x‖).
        let step = precision.step * norm(self.values).max(1.0) / count.sqrt();
        self.judge(&mut |share| {
            let width = step * share;
            let shifted = |by: f64| -> Vec<f64> {
                let pairs = self.values.iter().zip(along);
                pairs
                    .map(|(at, along)| precision.round(at + by * along))
                    .collect()
            };
            let (plus, minus) = (shifted(width), shifted(-width));
            // The analytic slope is that along the way that was really taken, rounding included.
            let way: Vec<f64> = plus.iter().zip(&minus).map(|(p, m)| p - m).collect();
            if norm(&way) < width * norm(along) {
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
