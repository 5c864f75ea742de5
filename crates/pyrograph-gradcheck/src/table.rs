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
        // 319 of 320 are not 100 %.
        format!("{:.0} %", (tensor.share_checked * 100.0).floor()),
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
                        write!(f, ", beside the point, where `{tensor}` moves at {place}")?;
                    }
                    (Some(tensor), None) => {
                        write!(f, ", beside the point, where `{tensor}` moves")?
                    }
                    (None, _) => return write!(f, ", at the point itself"),
                }
                write!(
                    f,
                    ": choose a point further from the edge of the domain, or a smaller step"
                )
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
                write!(
                    f,
                    "two calls at the same point differ by {difference:.1e}: draw what is random before the check, \
                     and leave dropout out"
                )
            }
            Self::TrackedValueDiffers { difference } => write!(
                f,
                "with and without a gradient asked for, the values differ by {difference:.1e}"
            ),
            Self::EmptyOutput => write!(f, "the output has no elements"),
            Self::IntegerInput { tensor } => write!(f, "`{tensor}` holds integers: skipped"),
            Self::EmptyTensor { tensor } => write!(f, "`{tensor}` has no elements: skipped"),
            Self::NotTrained { tensor } => write!(f, "`{tensor}` is not trained: skipped"),
            Self::NothingToCheck => {
                write!(
                    f,
                    "there is nothing to check: no float input and no trained parameter"
                )
            }
            Self::StepTooSmall {
                tensor,
                step,
                rounding,
                allowed,
            } => write!(
                f,
                "the step {step:.1e} is too small for `{tensor}`: rounding moves the slope by {rounding:.2e}, \
                 {allowed:.2e} is allowed; f64 in place of f32 (`Oracle`, or `Precision::F64` on Flex), a wider step or a \
                 function without large constant parts could tell more"
            ),
            Self::LostPrecision { noise, operations } => {
                write!(
                    f,
                    "the values of the function are off by {noise:.1e} of their size, far more than f64's rounding: "
                )?;
                if !operations.is_empty() {
                    let names = operations.join(", ");
                    write!(
                        f,
                        "on this backend these compute f64 in f32: {names}; where it has none of them, "
                    )?;
                }
                write!(
                    f,
                    "it casts to f32 itself, as burn's RmsNorm does; check on `Oracle`, if this is another backend, \
                     or with `Precision::F32`"
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
                 {analytic:.6e}, between {low:.6e} and {high:.6e} (comparisons of this kind: {kinks}); \
                 check at another point"
            ),
            Self::OnlyKinks { tensor } => write!(
                f,
                "every comparison of `{tensor}` met a kink: check at another point"
            ),
            Self::Unused { tensor } => write!(
                f,
                "`{tensor}` gets no gradient, and no difference shows that the output depends on it"
            ),
            Self::Unreached { tensor } => write!(
                f,
                "the output does not depend on the parameter `{tensor}`, which is never trained by it; \
                 `allowing_unreached` lets that pass"
            ),
            Self::MissingGradient { tensor, largest } => write!(
                f,
                "`{tensor}` gets no gradient, although slopes reach {largest:.1e}: it may be detached on its way"
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
