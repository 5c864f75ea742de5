//! A report as text: a Markdown table, and what is wrong below it.

use std::fmt;

use crate::report::{ConformanceReport, EntryReport, Worst};

const HEAD: [&str; 8] = [
    "entry", "cases", "tensors", "output", "gradient", "allowed", "slope", "verdict",
];

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.case.is_empty() {
            write!(f, "{}: ", self.case)?;
        }
        write!(
            f,
            "{}{} is {:.7e}, expected {:.7e}: off by {:.1e} of the scale, {:.0e} allowed",
            self.tensor, self.place, self.value, self.expected, self.error, self.allowed
        )
    }
}

impl fmt::Display for ConformanceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.entries.iter().map(cells).collect();
        let width = |column: usize| {
            let longest = rows.iter().map(|row| row[column].chars().count()).max();
            longest.unwrap_or(0).max(HEAD[column].len())
        };
        let widths: [usize; HEAD.len()] = std::array::from_fn(width);
        line(f, &HEAD.map(str::to_owned), &widths)?;
        line(f, &widths.map(|width| "-".repeat(width)), &widths)?;
        for row in &rows {
            line(f, row, &widths)?;
        }
        let wrong: Vec<_> = self.entries.iter().filter(|entry| !entry.passed).collect();
        writeln!(f)?;
        for entry in &wrong {
            for problem in &entry.problems {
                writeln!(f, "- {}: {problem}", entry.name)?;
            }
        }
        let (device, count) = (&self.device, self.entries.len());
        match wrong.len() {
            0 => write!(
                f,
                "`{device}` gives the numbers of f64: {count} entries passed"
            ),
            wrong => write!(
                f,
                "`{device}` does NOT give the numbers of f64: {wrong} of {count} entries failed"
            ),
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, row: &[String; HEAD.len()], widths: &[usize]) -> fmt::Result {
    for (cell, width) in row.iter().zip(widths) {
        write!(f, "| {cell:<width$} ")?;
    }
    writeln!(f, "|")
}

fn cells(entry: &EntryReport) -> [String; HEAD.len()] {
    let error = |worst: &Option<Worst>| match worst {
        Some(worst) => format!("{:.1e}", worst.error),
        None => String::new(),
    };
    let allowed = [&entry.output, &entry.gradient].map(|worst| match worst {
        Some(worst) => format!("{:.0e}", worst.allowed),
        None => "-".to_owned(),
    });
    [
        entry.name.to_owned(),
        entry.cases.to_string(),
        entry.tensors.to_string(),
        error(&entry.output),
        error(&entry.gradient),
        allowed.join(", "),
        error(&entry.slope),
        if entry.passed { "passed" } else { "FAILED" }.to_owned(),
    ]
}
