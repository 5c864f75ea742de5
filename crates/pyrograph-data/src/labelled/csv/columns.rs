//! The roles of the columns of a table.

use std::path::Path;

use super::edges::Edges;
use super::error::CsvError;
use super::names::{is_index, is_label, numbered};
use crate::DataError;
use crate::labelled::LabelColumn;

/// The smallest side of images that are told by their number of pixels alone.
const LEAST_SIDE: usize = 4;
/// Names of columns that an error lists.
const LISTED: usize = 5;

/// Looks at two columns of all rows below the header.
pub(super) type EdgesOf<'a> = dyn FnMut(usize, usize) -> Result<Edges, DataError> + 'a;
/// The label column, and remarks on guesses.
type Guess = (Option<usize>, Vec<String>);

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Label,
    /// The pixel of this place in its image.
    Pixel(usize),
    /// Something that is not read.
    Other,
}

/// What all columns hold.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) roles: Vec<Role>,
    /// The column of the labels, from 0.
    pub(super) label: Option<usize>,
    /// Width and height of the images.
    pub(super) side: usize,
    pub(super) remarks: Vec<String>,
}

impl Columns {
    /// By the header.
    pub(super) fn named(
        names: &[String],
        wanted: &LabelColumn,
        path: &Path,
        edges: &mut EdgesOf<'_>,
    ) -> Result<Self, DataError> {
        let named = Named::new(names, path);
        let (label, mut remarks) = named.label(wanted, edges)?;
        let indices = named.indices(label);
        let pixels: Vec<usize> = (0..names.len())
            .filter(|column| Some(*column) != label && !indices.contains(column))
            .collect();
        let pixels = in_order(pixels, names, &mut remarks);
        if !indices.is_empty() {
            let names: Vec<String> = indices.iter().map(|&column| shown(names, column)).collect();
            remarks.push(format!(
                "{} of {} {} no pixels: left out",
                names.join(", "),
                path.display(),
                if names.len() == 1 { "holds" } else { "hold" }
            ));
        }
        Self::new(names.len(), label, &pixels, remarks, path)
    }

    /// From the contents of the first and the last column of a table without a header.
    pub(super) fn numbered(
        edges: &Edges,
        total: usize,
        wanted: &LabelColumn,
        path: &Path,
    ) -> Result<Self, DataError> {
        let mut remarks = Vec::new();
        let has_index = edges.first.numbers_rows();
        let wrong = || {
            DataError::from(CsvError::Columns {
                path: path.into(),
                seen: total,
            })
        };
        let (skipped, label) = match wanted {
            LabelColumn::First => (square(total - 1).map_or(1, |_| 0), None),
            LabelColumn::Last => (0, Some(total - 1)),
            LabelColumn::None => (0, None),
            LabelColumn::Named(name) => (0, Some(number_of(name, total, path)?)),
            LabelColumn::Auto if square(total - 1).is_some() => {
                if has_index {
                    remarks.push(index_remark(path));
                    (1, None)
                } else if edges.label_is_last() {
                    remarks.push(format!(
                        "{} has no header, and its last column alone looks like labels, with {}: it is taken for \
                         them; say --label-column first if the first column holds them",
                        path.display(),
                        edges.last.classes()
                    ));
                    (0, Some(total - 1))
                } else {
                    remarks.extend(edges.label_is_doubtful().then(|| doubt(path)));
                    (0, Some(0))
                }
            }
            LabelColumn::Auto if square(total).is_some_and(|side| side >= LEAST_SIDE) => (0, None),
            LabelColumn::Auto if total > 2 && square(total - 2).is_some() && has_index => {
                remarks.push(index_remark(path));
                (1, Some(1))
            }
            LabelColumn::Auto => return Err(wrong()),
        };
        let label = match wanted {
            LabelColumn::First => Some(skipped),
            _ => label,
        };
        let pixels = (skipped..total).filter(|column| Some(*column) != label);
        Self::new(total, label, &pixels.collect::<Vec<_>>(), remarks, path)
    }

    fn new(
        total: usize,
        label: Option<usize>,
        pixels: &[usize],
        remarks: Vec<String>,
        path: &Path,
    ) -> Result<Self, DataError> {
        let Some(side) = square(pixels.len()) else {
            return Err(CsvError::Columns {
                path: path.into(),
                seen: total,
            }
            .into());
        };
        let mut roles = vec![Role::Other; total];
        if let Some(label) = label {
            roles[label] = Role::Label;
        }
        for (place, &column) in pixels.iter().enumerate() {
            roles[column] = Role::Pixel(place);
        }
        Ok(Self {
            roles,
            label,
            side,
            remarks,
        })
    }

    /// Why a table without labels is refused.
    pub(super) fn without_label(&self, path: &Path) -> DataError {
        CsvError::NoLabel {
            path: path.into(),
            columns: self.roles.len(),
            pixels: self.side * self.side,
            side: self.side,
        }
        .into()
    }
}

/// The side of a square of `pixels` pixels.
fn square(pixels: usize) -> Option<usize> {
    let side = pixels.isqrt();
    (pixels > 0 && side * side == pixels).then_some(side)
}

fn doubt(path: &Path) -> String {
    format!(
        "the first column of {} is taken for the labels, which are the same in all rows; say --label-column last if \
         the last column holds them",
        path.display()
    )
}

fn index_remark(path: &Path) -> String {
    format!(
        "the first column of {} numbers the rows and is left out; say --label-column first if it holds labels",
        path.display()
    )
}

/// A column by its number from 1.
fn number_of(name: &str, total: usize, path: &Path) -> Result<usize, DataError> {
    let number: Option<usize> = name.parse().ok();
    let number = number.filter(|number| (1..=total).contains(number));
    number.map(|number| number - 1).ok_or_else(|| {
        let reason =
            format!("is {name:?}, but there is no header and the columns are 1 to {total}");
        let path = path.into();
        CsvError::LabelColumn { path, reason }.into()
    })
}

/// The name of a column, or its number where it has none.
fn shown(names: &[String], column: usize) -> String {
    match names[column].as_str() {
        "" => format!("column {}", column + 1),
        name => format!("column {name:?}"),
    }
}

/// The columns of the pixels in the order of their numbers where all are numbered alike.
fn in_order(pixels: Vec<usize>, names: &[String], remarks: &mut Vec<String>) -> Vec<usize> {
    let keys: Option<Vec<_>> = pixels
        .iter()
        .map(|&column| numbered(&names[column]))
        .collect();
    let Some(keys) = keys.filter(|keys| keys.windows(2).all(|pair| pair[0].0 == pair[1].0)) else {
        return pixels;
    };
    if keys.is_sorted() {
        return pixels;
    }
    let mut ordered: Vec<_> = keys.into_iter().zip(pixels.iter().copied()).collect();
    ordered.sort();
    if ordered.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        // Names that come twice give no order.
        return pixels;
    }
    remarks.push("the header numbers the pixels in another order than the columns have: they are read in that of the numbers".into());
    ordered.into_iter().map(|(_, column)| column).collect()
}

/// A header.
struct Named<'a> {
    names: &'a [String],
    path: &'a Path,
}

impl<'a> Named<'a> {
    fn new(names: &'a [String], path: &'a Path) -> Self {
        Self { names, path }
    }

    /// The columns that number the rows, but for that of the labels.
    fn indices(&self, label: Option<usize>) -> Vec<usize> {
        let named = |column: &usize| Some(*column) != label && is_index(&self.names[*column]);
        let indices: Vec<usize> = (0..self.names.len()).filter(named).collect();
        let others = self.names.len() - indices.len() - usize::from(label.is_some());
        // Where the square is whole with them they are pixels of odd names.
        match square(others + indices.len()).filter(|_| square(others).is_none()) {
            Some(_) => Vec::new(),
            None => indices,
        }
    }

    /// The label column, and remarks on guesses.
    fn label(&self, wanted: &LabelColumn, edges: &mut EdgesOf<'_>) -> Result<Guess, DataError> {
        let total = self.names.len();
        let no_index = || (0..total).filter(|&column| !is_index(&self.names[column]));
        let label = match wanted {
            LabelColumn::Auto => return self.guess(edges),
            LabelColumn::None => None,
            LabelColumn::First => Some(no_index().next().unwrap_or(0)),
            LabelColumn::Last => Some(total - 1),
            LabelColumn::Named(name) => Some(self.column(name)?),
        };
        Ok((label, Vec::new()))
    }

    fn column(&self, name: &str) -> Result<usize, DataError> {
        let exact = self.names.iter().position(|known| known == name);
        let alike = || {
            let mut names = self.names.iter();
            names.position(|known| known.eq_ignore_ascii_case(name))
        };
        let by_number = || {
            let number: Option<usize> = name.parse().ok();
            number
                .filter(|number| (1..=self.names.len()).contains(number))
                .map(|number| number - 1)
        };
        exact.or_else(alike).or_else(by_number).ok_or_else(|| {
            let first: Vec<&str> = self.names.iter().take(LISTED).map(String::as_str).collect();
            self.unclear(format!(
                "is {name:?}, but the columns are {}, … ({} in all)",
                first.join(", "),
                self.names.len()
            ))
        })
    }

    fn unclear(&self, reason: String) -> DataError {
        CsvError::LabelColumn {
            path: self.path.into(),
            reason,
        }
        .into()
    }

    /// By the names, else by which column is not numbered as the others are.
    fn guess(&self, edges: &mut EdgesOf<'_>) -> Result<Guess, DataError> {
        let columns: Vec<usize> = (0..self.names.len())
            .filter(|&column| !is_index(&self.names[column]))
            .collect();
        let named = |column: &&usize| is_label(&self.names[**column]);
        let labels: Vec<usize> = columns.iter().filter(named).copied().collect();
        match labels.as_slice() {
            [] => self.guess_by_numbers(&columns, edges),
            &[label] => {
                let ends = [columns.first(), columns.last()];
                if ends.contains(&Some(&label)) {
                    return Ok((Some(label), Vec::new()));
                }
                Err(self.unclear(format!(
                    "is {} by the header, but it lies between pixels, as column {} of {}",
                    shown(self.names, label),
                    label + 1,
                    self.names.len()
                )))
            }
            several => {
                let names: Vec<_> = several.iter().map(|&c| shown(self.names, c)).collect();
                Err(self.unclear(format!("could be {}", names.join(" or "))))
            }
        }
    }

    fn guess_by_numbers(
        &self,
        columns: &[usize],
        edges: &mut EdgesOf<'_>,
    ) -> Result<Guess, DataError> {
        let prefix = |column: usize| numbered(&self.names[column]).map(|(prefix, _)| prefix);
        let middle = columns.get(columns.len() / 2);
        let usual = middle.and_then(|&column| prefix(column));
        let is_odd = |column: &&usize| usual.is_none() || prefix(**column) != usual;
        let odd: Vec<usize> = columns.iter().filter(is_odd).copied().collect();
        let is_whole = square(columns.len()).is_some_and(|side| side >= LEAST_SIDE);
        let (Some(&first), Some(&last)) = (columns.first(), columns.last()) else {
            return Ok((None, Vec::new()));
        };
        match odd.as_slice() {
            &[label] => return Ok((Some(label), Vec::new())),
            _ if is_whole => return Ok((None, Vec::new())),
            _ => {}
        }
        let label = if edges(first, last)?.label_is_last() {
            last
        } else {
            first
        };
        let remark = format!(
            "the header of {} names no labels: {} is taken for them; say --label-column otherwise",
            self.path.display(),
            shown(self.names, label)
        );
        Ok((Some(label), vec![remark]))
    }
}
