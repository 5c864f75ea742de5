//! `pyrograph inspect`: what a file or folder of weights holds.

use std::path::PathBuf;

use clap::Args;
use pyrograph::models::inspect::{Inspection, PartInspection, inspect};

use crate::arguments::print;

/// The weights, and the form of the list.
#[derive(Args)]
pub(crate) struct Inspect {
    /// A file of weights, a diffusers folder, or the folder of one network.
    path: PathBuf,
    /// List every tensor instead of the layers.
    #[arg(long)]
    tensors: bool,
    /// Print everything as JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let found = inspect(&self.path)?;
        print(
            self.json,
            &serde_json::to_value(&found)?,
            &self.text(&found),
        )
    }

    fn text(&self, found: &Inspection) -> String {
        let mut lines = vec![format!("{}: {}", self.path.display(), found.kind)];
        lines.extend(found.notes.iter().map(|note| format!("note: {note}")));
        for part in &found.parts {
            lines.push(String::new());
            lines.push(title(part));
            if let Some(config) = &part.config {
                lines.push(format!("config: {config}"));
            }
            for (key, value) in &part.metadata {
                lines.push(format!("{key}: {value}"));
            }
            lines.extend(match self.tensors {
                true => tensor_table(part),
                false => layer_table(part),
            });
        }
        lines.join("\n")
    }
}

fn title(part: &PartInspection) -> String {
    let name = match part.name.as_str() {
        "" => part.file.clone(),
        name => format!("{name} ({})", part.file),
    };
    let types: std::collections::BTreeSet<_> = part.tensors.iter().map(|line| line.dtype).collect();
    let types: Vec<_> = types.into_iter().collect();
    format!(
        "{name}: {} tensors, {} numbers, {:.1} MB, {}",
        part.tensors.len(),
        part.parameters,
        part.bytes as f64 / 1e6,
        types.join(", ")
    )
}

fn tensor_table(part: &PartInspection) -> Vec<String> {
    let lines = part.tensors.iter().map(|line| {
        let shape = format!("{:?}", line.shape);
        [
            line.key.clone(),
            line.dtype.to_owned(),
            shape,
            line.bytes.to_string(),
        ]
    });
    table(["tensor", "type", "shape", "bytes"], lines)
}

fn layer_table(part: &PartInspection) -> Vec<String> {
    let lines = part.layers.iter().map(|line| {
        let flops = line.flops_per_place.map(|flops| flops.to_string());
        [
            line.name.clone(),
            line.output.clone().unwrap_or_default(),
            line.parameters.to_string(),
            flops.unwrap_or_default(),
        ]
    });
    table(["layer", "output", "parameters", "FLOPs a place"], lines)
}

/// Columns as wide as their widest cell.
fn table(head: [&str; 4], lines: impl Iterator<Item = [String; 4]>) -> Vec<String> {
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(lines);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |row: &[String; 4]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
