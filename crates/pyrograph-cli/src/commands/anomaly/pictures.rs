//! The pictures of scored images.

use std::path::Path;

use pyrograph::{
    backend::vision::VisionAutodiff,
    pipelines::anomaly::{AnomalyScorer, Calibration, ScoredImage, twin_row, twin_sheet},
    vision::write_png,
};

use super::table::verdict;

/// Rows of the sheet of twins.
const ON_SHEET: usize = 12;
/// The letters of a file's name that a picture's name or caption has.
const LETTERS: usize = 80;
const IN_CAPTION: usize = 24;

/// The pictures of a scored set.
pub(super) struct Pictures<'a> {
    pub(super) folder: &'a Path,
    pub(super) images: &'a [f32],
    pub(super) scored: &'a [ScoredImage],
    /// The label of each image; none where nothing is known of it.
    pub(super) labels: &'a [Option<&'a str>],
    /// The file of each image; none of built-in ones.
    pub(super) files: &'a [Option<&'a str>],
    pub(super) line: Option<&'a Calibration>,
}

impl Pictures<'_> {
    /// A picture of each image, and a sheet of the first, the middle and the last by score.
    pub(super) fn write<B: VisionAutodiff>(&self, scorer: &AnomalyScorer<B>) -> anyhow::Result<()> {
        let size = self.images.len() / self.scored.len();
        let row = |index: usize| {
            let scored = &self.scored[index];
            let verdict = self.line.map_or("", |line| verdict(line, scored.score));
            let known = self.labels[index].or(self.files[index]);
            let name = short(known.unwrap_or_default());
            let caption = format!("{name}  score {:.1}  {verdict}", scored.score);
            let image = &self.images[index * size..][..size];
            let normalisation = scorer.card().normalisation;
            twin_row(caption, image, scored, scorer.config(), normalisation)
        };
        for index in 0..self.scored.len() {
            let name = picture_name(index, self.files[index]);
            write_png(self.folder.join(name), &twin_sheet(&[row(index)?])?)?;
        }
        let mut order: Vec<usize> = (0..self.scored.len()).collect();
        order.sort_by(|&a, &b| self.scored[a].score.total_cmp(&self.scored[b].score));
        let shown = ON_SHEET.min(order.len());
        let last = order.len() - 1;
        let places = (0..shown).map(|place| place * last / (shown - 1).max(1));
        let rows = places
            .map(|place| row(order[place]))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(write_png(
            self.folder.join("twins.png"),
            &twin_sheet(&rows)?,
        )?)
    }
}

/// The name of the picture of an image: its place, and its file in letters that every file system takes.
fn picture_name(index: usize, file: Option<&str>) -> String {
    let Some(file) = file else {
        return format!("{index:05}.png");
    };
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    // An extension that says more than the format, as the line of a table, stays.
    let stem = if extension.contains([':', '[']) {
        file
    } else {
        stem
    };
    let plain = |letter: char| match letter {
        letter if letter.is_alphanumeric() || "._-".contains(letter) => letter,
        _ => '-',
    };
    let named: Vec<char> = stem.chars().map(plain).collect();
    // The end of a path says most.
    let last = &named[named.len().saturating_sub(LETTERS)..];
    let name: String = last.iter().collect();
    format!("{index:05}-{}.png", name.trim_matches('-'))
}

/// The end of a name that a caption has room for.
fn short(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    match letters.len().checked_sub(IN_CAPTION) {
        None | Some(0) => name.into(),
        Some(cut) => format!("…{}", letters[cut..].iter().collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_carry_the_names_of_files() {
        for (file, name) in [
            (None, "00007.png"),
            (Some("test/broken/000.png"), "00007-test-broken-000.png"),
            (Some("digits.csv:12"), "00007-digits.csv-12.png"),
            (
                Some("t10k-images-idx3-ubyte.gz[3]"),
                "00007-t10k-images-idx3-ubyte.gz-3.png",
            ),
            (Some("a b*c.JPG"), "00007-a-b-c.png"),
        ] {
            assert_eq!(picture_name(7, file), name);
        }
        let long = "x".repeat(300) + ".png";
        assert!(picture_name(7, Some(&long)).len() < 100);
        assert_eq!(short(&"y".repeat(30)).chars().count(), IN_CAPTION + 1);
    }
}
