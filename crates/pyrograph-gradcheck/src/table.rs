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
            Self::NonFinite { tensor, values } => {
                write!(f, "{values} values of the output are not finite")?;
                match tensor {
                    Some(tensor) => write!(f, " beside the point, where `{tensor}` moves"),
                    None => write!(f, " at the point itself"),
                }
            }
            Self::NonFiniteGradient { tensor, values } => {
                write!(
                    f,
                    "{values} values of the gradient of `{tensor}` are not finite"
                )
            }
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
            Self::BelowTolerance {
                tensor,
                largest,
                allowed,
            } => write!(
                f,
                "no slope of `{tensor}` exceeds {largest:.1e}, while an error of {allowed:.1e} is allowed: lower the floor"
            ),
            Self::OnlyKinks { tensor } => write!(f, "every comparison of `{tensor}` met a kink"),
            Self::Unused { tensor } => write!(f, "`{tensor}` is not used"),
            Self::MissingGradient { tensor, largest } => write!(
                f,
                "`{tensor}` gets no gradient, although slopes reach {largest:.1e}"
            ),
        }
    }
}
