//! What is compared, and how.

use std::fmt::Write;

use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};

use crate::draw::Draw;

/// Why a number may differ from the oracle's, which sets how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cause {
    /// Made on the host and carried over.
    Exact,
    /// One operation in f32.
    F32Op,
    /// The gradient of one operation: a sum over a batch of products in f32.
    F32OpGradient,
    /// A whole network in f32, once or a few times.
    F32Model,
    /// A gradient through a whole network.
    F32Gradient,
}

impl Cause {
    /// The largest error, as a share of the largest value of the tensor.
    pub(crate) fn tolerance(self) -> f64 {
        match self {
            Self::Exact => 0.0,
            Self::F32Op => 1e-5,
            Self::F32OpGradient | Self::F32Model => 1e-4,
            Self::F32Gradient => 1e-3,
        }
    }
}

/// One tensor.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The line of the table that it counts towards.
    pub(crate) line: String,
    pub(crate) name: String,
    pub(crate) cause: Cause,
    pub(crate) values: Vec<f64>,
    /// Another row of the same line whose scale counts as well, where this one may be zero but for rounding.
    pub(crate) beside: Option<String>,
}

/// Collects rows.
#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    pub(crate) fn finish(self) -> Vec<Row> {
        self.0
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(crate) fn tensor<B: Backend, const D: usize>(
        &mut self,
        line: &str,
        name: &str,
        cause: Cause,
        tensor: Tensor<B, D>,
    ) {
        self.push(Row {
            line: line.into(),
            name: name.into(),
            cause,
            values: values(tensor),
            beside: None,
        });
    }

    /// Adds an operation's output and takes the gradients of its sum, weighted so that every element has its own.
    pub(crate) fn output<A: AutodiffBackend, const D: usize>(
        &mut self,
        operation: &str,
        name: &str,
        output: Tensor<A, D>,
        draw: &mut Draw<A>,
    ) -> A::Gradients {
        self.tensor(operation, name, Cause::F32Op, output.clone().inner());
        let weights = draw.normal(output.dims());
        (output * weights).sum().backward()
    }

    pub(crate) fn gradient<A: AutodiffBackend, const D: usize>(
        &mut self,
        operation: &str,
        name: &str,
        input: &Tensor<A, D>,
        gradients: &A::Gradients,
    ) {
        let gradient = input
            .grad(gradients)
            .unwrap_or_else(|| panic!("{operation}, {name}: no gradient"));
        self.tensor(
            &format!("{operation} gradient"),
            name,
            Cause::F32OpGradient,
            gradient,
        );
    }
}

pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The element of a tensor, or of a line, that is farthest from the oracle.
struct Worst<'a> {
    row: &'a Row,
    place: usize,
    oracle: f64,
    /// The error as a share of the scale; infinite where either number is not finite.
    error: f64,
    allowed: f64,
}

impl Worst<'_> {
    fn is_within(&self) -> bool {
        self.error <= self.allowed
    }

    fn describe(&self) -> String {
        let Self {
            row, place, oracle, ..
        } = self;
        format!(
            "{}[{place}] = {:.7e}, oracle {oracle:.7e}",
            row.name, row.values[*place]
        )
    }
}

/// The table of lines; as an error, with the tensors that are too far off above it.
pub(crate) fn compare(
    ours: &[Row],
    oracle: &[Row],
    tolerance: fn(Cause) -> f64,
) -> Result<String, String> {
    let names = |rows: &[Row]| {
        rows.iter()
            .map(|row| (row.line.clone(), row.name.clone()))
            .collect::<Vec<_>>()
    };
    if names(ours) != names(oracle) {
        return Err(format!(
            "the lists differ: {:?}, oracle {:?}",
            names(ours),
            names(oracle)
        ));
    }
    let mut lines: Vec<(&str, usize, Worst)> = Vec::new();
    let mut failures = String::new();
    for (row, expected) in ours.iter().zip(oracle) {
        let worst = match worst_element(row, expected, oracle, tolerance(row.cause)) {
            Ok(worst) => worst,
            Err(problem) => {
                let _ = writeln!(failures, "  {}: {}: {problem}", row.line, row.name);
                continue;
            }
        };
        if !worst.is_within() {
            let (error, limit) = (worst.error, worst.allowed);
            let _ = writeln!(
                failures,
                "  {}: {}: {error:.1e} of {limit:.0e}",
                row.line,
                worst.describe()
            );
        }
        match lines.iter_mut().find(|(line, ..)| *line == row.line) {
            Some((_, count, so_far)) => {
                *count += 1;
                if worst.error > so_far.error {
                    *so_far = worst;
                }
            }
            None => lines.push((&row.line, 1, worst)),
        }
    }
    let table = table(&lines);
    if failures.is_empty() {
        Ok(table)
    } else {
        Err(format!("too far off:\n{failures}{table}"))
    }
}

fn worst_element<'a>(
    row: &'a Row,
    expected: &Row,
    oracle: &[Row],
    allowed: f64,
) -> Result<Worst<'a>, String> {
    let sizes = (row.values.len(), expected.values.len());
    if sizes.0 != sizes.1 || sizes.0 == 0 {
        return Err(format!("{} values, oracle {}", sizes.0, sizes.1));
    }
    let largest = |row: &Row| row.values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let beside = expected.beside.as_ref().map(|name| {
        let found = oracle
            .iter()
            .find(|other| other.line == expected.line && other.name == *name);
        found
            .map(largest)
            .ok_or_else(|| format!("there is no {name} beside it"))
    });
    let scale = largest(expected).max(beside.transpose()?.unwrap_or(0.0));
    let error = |(ours, oracle): (&f64, &f64)| {
        let both_finite = ours.is_finite() && oracle.is_finite();
        match (ours - oracle).abs() {
            _ if !both_finite => f64::INFINITY,
            // Where all is zero, only zero will do.
            0.0 => 0.0,
            difference => difference / scale,
        }
    };
    let errors = row
        .values
        .iter()
        .zip(&expected.values)
        .map(error)
        .enumerate();
    let (place, error) = errors
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .ok_or("it is empty")?;
    Ok(Worst {
        row,
        place,
        oracle: expected.values[place],
        error,
        allowed,
    })
}

fn table(lines: &[(&str, usize, Worst)]) -> String {
    let mut text = String::from(
        "| what | tensors | worst error | allowed | where |\n| --- | --- | --- | --- | --- |\n",
    );
    for (line, count, worst) in lines {
        let (error, allowed, place) = (worst.error, worst.allowed, worst.describe());
        let _ = writeln!(
            text,
            "| {line} | {count} | {error:.1e} | {allowed:.0e} | {place} |"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(ours: &[Row], oracle: &[Row]) -> Result<String, String> {
        compare(ours, oracle, Cause::tolerance)
    }

    fn row(cause: Cause, values: &[f64]) -> Row {
        Row {
            line: "line".into(),
            name: "tensor".into(),
            cause,
            values: values.into(),
            beside: None,
        }
    }

    #[test]
    fn the_element_that_is_farthest_off_is_named_with_both_numbers() {
        let oracle = [row(Cause::F32Op, &[1.0, -2.0, 0.5])];
        let near = [row(Cause::F32Op, &[1.0, -2.0, 0.50001])];
        let table = held(&near, &oracle).expect("5e-6 of the scale");
        assert!(
            table.contains(
                "| line | 1 | 5.0e-6 | 1e-5 | tensor[2] = 5.0001000e-1, oracle 5.0000000e-1 |"
            ),
            "{table}"
        );
        let far = [row(Cause::F32Op, &[1.0, -2.0, 0.5001])];
        let report = held(&far, &oracle).expect_err("5e-5 of the scale");
        assert!(
            report.starts_with(
                "too far off:\n  line: tensor[2] = 5.0010000e-1, oracle 5.0000000e-1: 5.0e-5"
            ),
            "{report}"
        );
    }

    #[test]
    fn a_number_that_is_not_finite_never_passes() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let rows = [row(Cause::F32Gradient, &[1.0, bad])];
            let report = held(&rows, &rows).expect_err("not finite, on both sides");
            assert!(report.contains("tensor[1]"), "{report}");
        }
    }

    #[test]
    fn a_missing_tensor_and_a_missing_element_are_refused() {
        let (short, long) = (row(Cause::Exact, &[1.0]), row(Cause::Exact, &[1.0, 2.0]));
        let (short, long) = ([short], [long]);
        assert!(held(&short, &[short.clone(), long.clone()].concat()).is_err());
        assert!(held(&short, &long).is_err());
        assert!(held(&[row(Cause::Exact, &[])], &[row(Cause::Exact, &[])]).is_err());
    }

    #[test]
    fn a_tensor_that_is_zero_but_for_rounding_is_held_to_the_scale_beside_it() {
        let weight = Row {
            name: "weight".into(),
            ..row(Cause::F32Gradient, &[1.0])
        };
        let bias = |value| Row {
            beside: Some("weight".into()),
            ..row(Cause::F32Gradient, &[value])
        };
        assert!(
            held(
                &[weight.clone(), bias(1e-9)],
                &[weight.clone(), bias(1e-18)]
            )
            .is_ok()
        );
        assert!(held(&[weight.clone(), bias(1e-2)], &[weight, bias(1e-18)]).is_err());
    }
}
