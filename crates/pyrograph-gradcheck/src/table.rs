//! A report as text: a Markdown table, and a line for each finding.

use std::fmt;

use crate::report::{Finding, GradReport, TensorReport};

const HEAD: [&str; 9] = [
    "tensor", "shape", "verdict", "checked", "kinks", "worst at", "analytic", "numeric", "error",
];

fn cells(tensor: &TensorReport) -> [String; HEAD.len()] {
    let [place, analytic, numeric, error] = match &tensor.worst {
        Some(worst) => [
            worst.place.to_string(),
            format!("{:.8}", worst.analytic),
            format!("{:.8}", worst.numeric),
            format!("{:.1e}", worst.relative_error),
        ],
        None => Default::default(),
    };
    [
        tensor.name.clone(),
        format!("{:?}", tensor.shape),
        tensor.verdict.to_string(),
        format!("{:.0} %", tensor.share_checked * 100.0),
        tensor.kinks.to_string(),
        place,
        analytic,
        numeric,
        error,
    ]
}

impl fmt::Display for GradReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "gradcheck {}: {}, {}, step {:.0e}, tolerance {:.0e}, {} calls",
            self.verdict, self.mode, self.dtype, self.step, self.tolerance, self.calls
        )?;
        if !self.tensors.is_empty() {
            writeln!(f)?;
            table(f, &self.tensors)?;
        }
        if !self.findings.is_empty() {
            writeln!(f)?;
        }
        for finding in &self.findings {
            writeln!(f, "- {finding}")?;
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, tensors: &[TensorReport]) -> fmt::Result {
    let rows: Vec<_> = tensors.iter().map(cells).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let longest = rows.iter().map(|row| row[column].chars().count()).max();
            longest.unwrap_or(0).max(HEAD[column].len())
        })
        .collect();
    let line = |f: &mut fmt::Formatter<'_>, row: &[String; HEAD.len()]| -> fmt::Result {
        for (cell, width) in row.iter().zip(&widths) {
            write!(f, "| {cell:<width$} ")?;
        }
        writeln!(f, "|")
    };
    line(f, &HEAD.map(str::to_owned))?;
    for width in &widths {
        write!(f, "| {} ", "-".repeat(*width))?;
    }
    writeln!(f, "|")?;
    rows.iter().try_for_each(|row| line(f, row))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonFinite {
                tensor,
                values,
                index,
                moved,
            } => {
                let count = count_of(*values, "value");
                write!(
                    f,
                    "{count} of the output not finite, the first at {index:?}"
                )?;
                match (tensor, moved) {
                    (Some(tensor), Some(place)) => {
                        write!(f, ", beside the point, where `{tensor}` moves at {place}")
                    }
                    (Some(tensor), None) => write!(f, ", beside the point, where `{tensor}` moves"),
                    (None, _) => write!(f, ", at the point itself"),
                }
            }
            Self::NonFiniteGradient {
                tensor,
                values,
                index,
            } => {
                let count = count_of(*values, "value");
                write!(
                    f,
                    "{count} of the gradient of `{tensor}` not finite, the first at {index:?}"
                )
            }
            Self::NonFiniteTensor {
                tensor,
                values,
                index,
            } => {
                let count = count_of(*values, "value");
                write!(
                    f,
                    "{count} of `{tensor}` itself not finite, the first at {index:?}"
                )
            }
            Self::GradientNotDeterministic {
                tensor,
                index,
                first,
                second,
            } => write!(
                f,
                "two backward passes at the same point differ: the gradient of `{tensor}` at {index:?} \
                 is {first:.8e} and then {second:.8e}"
            ),
            Self::ShapeChanged { first, later } => {
                write!(f, "the output had shape {first:?} and later {later:?}")
            }
            Self::GradientShape {
                tensor,
                values,
                gradient,
            } => write!(
                f,
                "`{tensor}` has {values} values but its gradient {gradient}"
            ),
            Self::NonDeterministic { difference } => {
                write!(f, "two calls at the same point differ by {difference:.1e}")
            }
            Self::TrackedValueDiffers { difference } => write!(
                f,
                "with and without a gradient asked for, the values differ by {difference:.1e}"
            ),
            Self::EmptyOutput => write!(f, "the output has no elements"),
            Self::IntegerInput { tensor } => write!(f, "`{tensor}` holds integers: skipped"),
            Self::EmptyTensor { tensor } => write!(f, "`{tensor}` has no elements: skipped"),
            Self::NotTrained { tensor } => write!(f, "`{tensor}` is not trained: skipped"),
            Self::NothingToCheck => write!(f, "there is nothing to check"),
            Self::StepTooSmall {
                tensor,
                step,
                rounding,
                allowed,
            } => write!(
                f,
                "the step {step:.1e} is too small for `{tensor}`: rounding moves the slope by {rounding:.1e}, {allowed:.1e} is allowed"
            ),
            Self::LostPrecision { noise, operations } => {
                write!(
                    f,
                    "the values of the function are off by {noise:.1e} of their size, far more than f64's rounding: "
                )?;
                match operations.is_empty() {
                    true => write!(
                        f,
                        "an operation of it computes in f32, though none of burn's that were tried on this backend does"
                    )?,
                    false => write!(
                        f,
                        "on this backend these compute f64 in f32: {}",
                        operations.join(", ")
                    )?,
                }
                write!(
                    f,
                    "; check on `Oracle`, which computes in f64 throughout, or with `Precision::F32`"
                )
            }
            Self::InsideKink {
                tensor,
                kinks,
                place,
                analytic,
                low,
                high,
            } => write!(
                f,
                "`{tensor}` bends at {place}, where the gradient is neither a one-sided slope nor their mean: \
                 {analytic:.6e}, between {low:.6e} and {high:.6e} (comparisons of this kind: {kinks})"
            ),
            Self::OnlyKinks { tensor } => write!(f, "every comparison of `{tensor}` met a kink"),
            Self::Unused { tensor } => write!(f, "`{tensor}` is not used"),
            Self::Unreached { tensor } => write!(
                f,
                "the output does not depend on the parameter `{tensor}`, which is never trained by it"
            ),
            Self::MissingGradient { tensor, largest } => write!(
                f,
                "`{tensor}` gets no gradient, although slopes reach {largest:.1e}"
            ),
        }
    }
}

/// "1 value is", "2 values are".
fn count_of(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun} is"),
        count => format!("{count} {noun}s are"),
    }
}
