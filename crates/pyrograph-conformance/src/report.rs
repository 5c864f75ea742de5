//! What a check found.

use pyrograph_backend::DeviceSpec;
use pyrograph_gradcheck::{Deviation, GradReport, Place, Verdict};
use serde::Serialize;

use crate::{
    case::Case,
    registry::{Entry, Kind},
    tolerance::Cause,
};

/// A backend held to the oracle.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[must_use]
pub struct ConformanceReport {
    /// The device, as a user names it.
    pub device: String,
    /// Whether every entry passed.
    pub passed: bool,
    /// A line for each entry, in the registry's order.
    pub entries: Vec<EntryReport>,
}

/// One entry's cases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntryReport {
    /// Its name in the registry.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Functions and points.
    pub cases: usize,
    /// Tensors compared: outputs and gradients.
    pub tensors: usize,
    /// Of the outputs, the element that used up most of what its tolerance allows.
    pub output: Option<Worst>,
    /// The same of the gradients.
    pub gradient: Option<Worst>,
    /// Of the oracle's slopes, the one farthest from its central difference.
    pub slope: Option<Worst>,
    /// Whether all of it is within the tolerances.
    pub passed: bool,
    /// What is not, in words.
    pub problems: Vec<String>,
}

/// One number beside the one it is held to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    /// The case.
    pub case: String,
    /// The tensor.
    pub tensor: String,
    /// The element or direction.
    pub place: Place,
    /// The number.
    pub value: f64,
    /// What it is held to.
    pub expected: f64,
    /// The error, as a share of the scale.
    pub error: f64,
    /// The largest error that passes.
    pub allowed: f64,
    /// Whether it does.
    pub passed: bool,
}

impl Worst {
    /// How much of the tolerance is used up; what misses an exact number has used up all of it.
    fn share(&self) -> f64 {
        if self.error == 0.0 {
            return 0.0;
        }
        self.error / self.allowed
    }
}

impl ConformanceReport {
    pub(crate) fn new(spec: DeviceSpec, entries: Vec<EntryReport>) -> Self {
        Self {
            device: spec.to_string(),
            passed: entries.iter().all(|entry| entry.passed),
            entries,
        }
    }

    /// Whether every number is within its tolerance.
    pub fn passed(&self) -> bool {
        self.passed
    }
}

impl EntryReport {
    pub(crate) fn new(
        entry: &Entry,
        ours: &[Case],
        oracle: &[Case],
        differences: &[(String, GradReport)],
    ) -> Self {
        let mut report = Self {
            cases: ours.len(),
            ..Self::empty(entry)
        };
        let names = |cases: &[Case]| cases.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        if names(ours) != names(oracle) {
            report.problem("the device and the oracle ran other cases".to_owned());
        }
        for (ours, oracle) in ours.iter().zip(oracle) {
            report.compare(ours, oracle);
        }
        for (case, differences) in differences {
            report.differences(case, differences);
        }
        report.refuse_what_says_nothing();
        report.passed = report.problems.is_empty();
        report
    }

    /// The report of an entry that the device could not compute.
    pub(crate) fn failed(entry: &Entry, problem: String) -> Self {
        Self {
            passed: false,
            problems: vec![problem],
            ..Self::empty(entry)
        }
    }

    fn empty(entry: &Entry) -> Self {
        Self {
            name: entry.name,
            kind: entry.kind,
            cases: 0,
            tensors: 0,
            output: None,
            gradient: None,
            slope: None,
            passed: true,
            problems: Vec::new(),
        }
    }

    /// An entry without cases, or a function without gradients or slopes, has shown nothing.
    fn refuse_what_says_nothing(&mut self) {
        let differentiates = self.kind != Kind::Sampler;
        let (gradient, slope) = (self.gradient.is_some(), self.slope.is_some());
        if self.cases == 0 || differentiates && !(gradient && slope) {
            self.problem("it has no case, or none with a gradient and a slope".to_owned());
        }
    }

    fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn compare(&mut self, ours: &Case, oracle: &Case) {
        let deviations = match ours.evaluation.deviations(&oracle.evaluation) {
            Ok(deviations) => deviations,
            Err(error) => return self.problem(format!("{}: {error}", ours.name)),
        };
        for deviation in deviations {
            self.tensors += 1;
            let cause = match deviation.tensor {
                None => oracle.output,
                Some(_) => oracle.gradient,
            };
            let is_gradient = deviation.tensor.is_some();
            let worst = worst_of(&ours.name, deviation, cause);
            if !worst.passed {
                self.problem(worst.to_string());
            }
            let so_far = if is_gradient {
                &mut self.gradient
            } else {
                &mut self.output
            };
            keep_worse(so_far, worst);
        }
    }

    fn differences(&mut self, case: &str, report: &GradReport) {
        let before = self.problems.len();
        for finding in &report.findings {
            if finding.verdict() > Verdict::Passed {
                self.problem(format!("{case}: differences of the oracle: {finding}"));
            }
        }
        for tensor in &report.tensors {
            if let (Verdict::Failed, Some(worst)) = (tensor.verdict, &tensor.worst) {
                self.problem(format!(
                    "{case}: the oracle's slope of `{}` at {} is {:.7e}, its difference {:.7e}",
                    tensor.name, worst.place, worst.analytic, worst.numeric
                ));
            }
            if let Some(worst) = &tensor.worst {
                let worst = Worst {
                    case: case.to_owned(),
                    tensor: tensor.name.clone(),
                    place: worst.place.clone(),
                    value: worst.analytic,
                    expected: worst.numeric,
                    error: worst.relative_error,
                    allowed: report.tolerance,
                    passed: worst.relative_error <= report.tolerance,
                };
                keep_worse(&mut self.slope, worst);
            }
        }
        if report.verdict != Verdict::Passed && self.problems.len() == before {
            self.problem(format!(
                "{case}: differences of the oracle: {}",
                report.verdict
            ));
        }
    }
}

fn worst_of(case: &str, deviation: Deviation, cause: Cause) -> Worst {
    let tensor = match deviation.tensor {
        None => "output".to_owned(),
        Some(name) => format!("∂{name}"),
    };
    Worst {
        case: case.to_owned(),
        tensor,
        place: deviation.place,
        value: deviation.value,
        expected: deviation.expected,
        error: deviation.error,
        allowed: cause.tolerance(),
        passed: deviation.error <= cause.tolerance(),
    }
}

fn keep_worse(so_far: &mut Option<Worst>, worst: Worst) {
    if so_far
        .as_ref()
        .is_none_or(|so_far| worst.share() > so_far.share())
    {
        *so_far = Some(worst);
    }
}

#[cfg(test)]
mod tests {
    use pyrograph_gradcheck::Evaluation;

    use super::*;
    use crate::registry::entries;

    /// An entry whose cases need no gradient.
    fn sampler() -> &'static Entry {
        let is_sampler = |entry: &&Entry| entry.kind == Kind::Sampler;
        entries()
            .iter()
            .find(is_sampler)
            .expect("there are samplers")
    }

    fn case(cause: Cause, values: &[f64]) -> Case {
        Case {
            name: "case".to_owned(),
            output: cause,
            gradient: cause,
            evaluation: Evaluation::of_values(&[values.len()], values.to_vec()),
        }
    }

    fn report(ours: &[Case], oracle: &[Case]) -> EntryReport {
        EntryReport::new(sampler(), ours, oracle, &[])
    }

    #[test]
    fn a_number_that_is_off_fails_and_is_named_with_the_one_it_is_held_to() {
        let oracle = [case(Cause::Operation, &[1.0, -2.0, 0.5])];
        assert!(report(&[case(Cause::Operation, &[1.0, -2.0, 0.50001])], &oracle).passed);
        let far = report(&[case(Cause::Operation, &[1.0, -2.0, 0.5001])], &oracle);
        assert!(!far.passed);
        assert_eq!(
            far.problems,
            [
                "case: output[2] is 5.0010000e-1, expected 5.0000000e-1: off by 5.0e-5 of the scale, 1e-5 allowed"
            ]
        );
        let whole = ConformanceReport::new(DeviceSpec::Cpu, vec![far]);
        assert!(
            !whole.passed()
                && whole
                    .to_string()
                    .contains("does NOT give the numbers of f64: 1 of 1")
        );
    }

    #[test]
    fn what_comes_from_the_host_has_to_be_exact() {
        let oracle = [case(Cause::Exact, &[1.0])];
        assert!(report(&oracle, &oracle).passed);
        assert!(!report(&[case(Cause::Exact, &[1.0 + f64::EPSILON])], &oracle).passed);
    }

    #[test]
    fn a_number_that_is_not_finite_fails_on_both_sides() {
        for bad in [f64::NAN, f64::INFINITY] {
            let cases = [case(Cause::NetworkGradient, &[1.0, bad])];
            assert!(!report(&cases, &cases).passed, "{bad}");
        }
    }

    #[test]
    fn a_missing_case_and_a_missing_value_fail() {
        let [short, long] = [&[1.0][..], &[1.0, 2.0]].map(|values| [case(Cause::Exact, values)]);
        assert!(!report(&short, &[short.clone(), short.clone()].concat()).passed);
        assert!(!report(&short, &long).passed);
    }

    #[test]
    fn a_wrong_gradient_and_a_missing_one_fail() {
        let with = |values: Option<Vec<f64>>| {
            let gradient = pyrograph_gradcheck::Gradient {
                name: "x".to_owned(),
                kind: pyrograph_gradcheck::Kind::Input,
                shape: vec![2],
                values,
            };
            let mut case = case(Cause::OperationGradient, &[1.0]);
            case.evaluation.gradients = vec![gradient];
            [case]
        };
        let oracle = with(Some(vec![1.0, 2.0]));
        assert!(report(&oracle, &oracle).passed);
        let wrong = report(&with(Some(vec![1.0, 2.1])), &oracle);
        assert!(
            !wrong.passed && wrong.problems[0].contains("∂x[1]"),
            "{wrong:?}"
        );
        assert!(!report(&with(None), &oracle).passed);
    }

    #[test]
    fn an_entry_that_shows_nothing_fails() {
        assert!(!report(&[], &[]).passed);
        let (operation, cases) = (&entries()[0], [case(Cause::Operation, &[1.0])]);
        assert!(!EntryReport::new(operation, &cases, &cases, &[]).passed);
    }
}
