//! Sheets of images: plain grids, grids with labels, and figures side by side.

use image::{Rgb, RgbImage};
use pyrograph_vision::blank;

use crate::canvas::{self, WHITE};
use crate::text::{TextSize, draw_text, text_size};
use crate::{FigureError, canvas::ink_on};

/// Pixels between a label or a title and its image.
const TEXT_GAP: u64 = 6;
/// Pixels around and between the figures of [`panels`].
const PANEL_GAP: u32 = 16;

/// Images in rows of `columns`, in reading order, with `gap` pixels between and around them.
///
/// All cells have the size of the largest image; smaller images are centred in their cells. Fewer
/// images than `columns` give one row without empty cells.
///
/// # Errors
/// [`FigureError::Empty`] without images, [`FigureError::Zero`] for no columns,
/// [`TooLarge`](pyrograph_vision::VisionError::TooLarge) beyond 2²⁸ pixels.
pub fn grid(
    images: &[RgbImage],
    columns: usize,
    gap: u32,
    background: Rgb<u8>,
) -> Result<RgbImage, FigureError> {
    if columns == 0 {
        return Err(FigureError::Zero {
            what: "the number of columns of a grid",
        });
    }
    if images.is_empty() {
        return Err(FigureError::Empty {
            what: "images of a grid",
        });
    }
    let largest = |side: fn(&RgbImage) -> u32| images.iter().map(side).max().unwrap_or(0).into();
    let columns = columns.min(images.len());
    let sheet = Sheet {
        columns: vec![largest(RgbImage::width); columns],
        rows: vec![largest(RgbImage::height); images.len().div_ceil(columns)],
        left: 0,
        top: 0,
        gap: gap.into(),
    };
    let mut picture = sheet.blank(background)?;
    for (index, image) in images.iter().enumerate() {
        sheet.place(&mut picture, image, index / columns, index % columns);
    }
    Ok(picture)
}

/// Rows of images with the row's label at the left, such as one row a class, and a title above
/// each column.
///
/// Rows may differ in length, and images in size: each column is as wide as its widest image or
/// title, each row as high as its highest image or label. If all labels or all titles are empty, no
/// room is reserved for them. The text is black or white, whichever is readable on `background`.
///
/// # Errors
/// [`FigureError::Empty`] when no row has an image,
/// [`TooLarge`](pyrograph_vision::VisionError::TooLarge) beyond 2²⁸ pixels.
pub fn labelled_grid<L, I>(
    rows: &[(L, I)],
    column_titles: &[&str],
    gap: u32,
    background: Rgb<u8>,
) -> Result<RgbImage, FigureError>
where
    L: AsRef<str>,
    I: AsRef<[RgbImage]>,
{
    let rows: Vec<(&str, &[RgbImage])> = rows
        .iter()
        .map(|(label, images)| (label.as_ref(), images.as_ref()))
        .collect();
    if rows.iter().all(|(_, images)| images.is_empty()) {
        return Err(FigureError::Empty {
            what: "images of a labelled grid",
        });
    }
    let sheet = Sheet::around(&rows, column_titles, gap);
    let mut picture = sheet.blank(background)?;
    let ink = ink_on(background);
    for (column, title) in column_titles.iter().enumerate().take(sheet.columns.len()) {
        let (left, width) = (sheet.column_start(column), sheet.columns[column]);
        let indent = width.saturating_sub(text_size(title, TextSize::Label).0.into()) / 2;
        write(&mut picture, left + indent, sheet.gap, title, ink);
    }
    for (row, (label, images)) in rows.iter().enumerate() {
        let (top, height) = (sheet.row_start(row), sheet.rows[row]);
        let indent = height.saturating_sub(text_size(label, TextSize::Label).1.into()) / 2;
        write(&mut picture, sheet.gap, top + indent, label, ink);
        for (column, image) in images.iter().enumerate() {
            sheet.place(&mut picture, image, row, column);
        }
    }
    Ok(picture)
}

/// Figures side by side on white, each with its title above, such as samples with the extra noise
/// beside samples without it.
///
/// # Errors
/// [`FigureError::Empty`] without figures,
/// [`TooLarge`](pyrograph_vision::VisionError::TooLarge) beyond 2²⁸ pixels.
pub fn panels<T: AsRef<str>>(figures: &[(T, RgbImage)]) -> Result<RgbImage, FigureError> {
    let titles: Vec<&str> = figures.iter().map(|(title, _)| title.as_ref()).collect();
    let images: Vec<RgbImage> = figures.iter().map(|(_, image)| image.clone()).collect();
    labelled_grid(&[("", images)], &titles, PANEL_GAP, WHITE)
}

fn write(picture: &mut RgbImage, x: u64, y: u64, text: &str, ink: Rgb<u8>) {
    // Both lie within a picture, whose sides are u32.
    draw_text(picture, x as i64, y as i64, text, TextSize::Label, ink);
}

/// Where everything lies, in pixels.
struct Sheet {
    /// Widths of the columns.
    columns: Vec<u64>,
    /// Heights of the rows.
    rows: Vec<u64>,
    /// Room for the labels at the left.
    left: u64,
    /// Room for the titles above.
    top: u64,
    gap: u64,
}

impl Sheet {
    /// The sheet that holds `rows` with their labels and titles.
    fn around(rows: &[(&str, &[RgbImage])], titles: &[&str], gap: u32) -> Self {
        let label_height = u64::from(text_size("", TextSize::Label).1);
        let widest_label = rows
            .iter()
            .map(|(label, _)| text_size(label, TextSize::Label).0)
            .max();
        let left = match widest_label {
            None | Some(0) => 0,
            Some(width) => u64::from(width) + TEXT_GAP,
        };
        let column_count = rows
            .iter()
            .map(|(_, images)| images.len())
            .max()
            .unwrap_or(0);
        let column_width = |column: usize| {
            let title = titles.get(column).filter(|title| !title.is_empty());
            // Titles of neighbours stay apart also where the gap is small.
            let room = |title: &&str| u64::from(text_size(title, TextSize::Label).0) + TEXT_GAP;
            let title = title.map_or(0, room);
            let images = rows.iter().filter_map(|(_, images)| images.get(column));
            images
                .map(|image| image.width().into())
                .fold(title, u64::max)
        };
        let row_height = |(label, images): &(&str, &[RgbImage])| {
            let label = if label.is_empty() { 0 } else { label_height };
            images
                .iter()
                .map(|image| image.height().into())
                .fold(label, u64::max)
        };
        Self {
            columns: (0..column_count).map(column_width).collect(),
            rows: rows.iter().map(row_height).collect(),
            left,
            top: if titles.iter().all(|title| title.is_empty()) {
                0
            } else {
                label_height + TEXT_GAP
            },
            gap: gap.into(),
        }
    }

    fn blank(&self, background: Rgb<u8>) -> Result<RgbImage, FigureError> {
        let width = self.column_start(self.columns.len());
        let height = self.row_start(self.rows.len());
        Ok(blank(width, height, background)?)
    }

    fn column_start(&self, column: usize) -> u64 {
        self.columns[..column]
            .iter()
            .fold(self.left + self.gap, |x, width| x + width + self.gap)
    }

    fn row_start(&self, row: usize) -> u64 {
        self.rows[..row]
            .iter()
            .fold(self.top + self.gap, |y, height| y + height + self.gap)
    }

    /// Puts `image` into the middle of its cell.
    fn place(&self, picture: &mut RgbImage, image: &RgbImage, row: usize, column: usize) {
        let x = self.column_start(column) + (self.columns[column] - u64::from(image.width())) / 2;
        let y = self.row_start(row) + (self.rows[row] - u64::from(image.height())) / 2;
        canvas::paste(picture, image, x, y);
    }
}

#[cfg(test)]
mod tests {
    use pyrograph_vision::VisionError;

    use super::*;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);
    const BLUE: Rgb<u8> = Rgb([0, 0, 255]);

    fn square(side: u32, colour: Rgb<u8>) -> RgbImage {
        RgbImage::from_pixel(side, side, colour)
    }

    #[test]
    fn cells_follow_in_reading_order_with_gaps_around() {
        let images = [square(2, RED), square(2, BLUE), square(2, RED)];
        let sheet = grid(&images, 2, 1, WHITE).unwrap();
        assert_eq!(sheet.dimensions(), (7, 7));
        assert_eq!(sheet.get_pixel(0, 0), &WHITE);
        assert_eq!(sheet.get_pixel(1, 1), &RED);
        assert_eq!(sheet.get_pixel(4, 2), &BLUE);
        assert_eq!(sheet.get_pixel(2, 5), &RED);
        assert_eq!(sheet.get_pixel(4, 4), &WHITE);
    }

    #[test]
    fn fewer_images_than_columns_leave_no_empty_cells() {
        assert_eq!(
            grid(&[square(3, RED)], usize::MAX, 0, WHITE).unwrap(),
            square(3, RED)
        );
    }

    #[test]
    fn small_images_lie_in_the_middle() {
        let sheet = grid(&[square(5, RED), square(1, BLUE)], 1, 0, WHITE).unwrap();
        assert_eq!(sheet.dimensions(), (5, 10));
        assert_eq!(sheet.get_pixel(2, 7), &BLUE);
        assert_eq!(sheet.get_pixel(1, 7), &WHITE);
    }

    #[test]
    fn nothing_to_show_and_no_columns_are_refused() {
        assert!(matches!(
            grid(&[], 2, 1, WHITE),
            Err(FigureError::Empty { .. })
        ));
        assert!(matches!(
            grid(&[square(1, RED)], 0, 1, WHITE),
            Err(FigureError::Zero { .. })
        ));
        let giant = grid(&[square(1, RED)], 1, u32::MAX, WHITE);
        assert!(matches!(
            giant,
            Err(FigureError::Vision(VisionError::TooLarge { .. }))
        ));
        let nothing: [(&str, Vec<RgbImage>); 1] = [("hero", vec![])];
        assert!(matches!(
            labelled_grid(&nothing, &[], 1, WHITE),
            Err(FigureError::Empty { .. })
        ));
        assert!(panels::<&str>(&[]).is_err());
    }

    #[test]
    fn without_labels_and_titles_a_labelled_grid_is_a_grid() {
        let images = vec![square(4, RED), square(4, BLUE)];
        let labelled = labelled_grid(&[("", &images)], &[], 2, WHITE).unwrap();
        assert_eq!(labelled, grid(&images, 2, 2, WHITE).unwrap());
    }

    #[test]
    fn labels_take_room_at_the_left_and_titles_above() {
        let rows = [
            ("hero", vec![square(32, RED)]),
            ("food", vec![square(32, BLUE); 2]),
        ];
        let sheet = labelled_grid(&rows, &["a"], 2, Rgb([0, 0, 0])).unwrap();
        let (label_width, line) = text_size("hero", TextSize::Label);
        let (left, top) = (
            label_width + TEXT_GAP as u32 + 2,
            line + TEXT_GAP as u32 + 2,
        );
        assert_eq!(sheet.dimensions(), (left + 2 * 34, top + 2 * 34));
        assert_eq!(sheet.get_pixel(left, top), &RED);
        assert_eq!(sheet.get_pixel(left + 34, top + 34), &BLUE);
        let is_light = |(x, y)| sheet.get_pixel(x, y).0[0] > 200;
        assert!(
            (0..left)
                .flat_map(|x| (top..top + 32).map(move |y| (x, y)))
                .any(is_light)
        );
        assert!(
            (left..left + 32)
                .flat_map(|x| (0..top).map(move |y| (x, y)))
                .any(is_light)
        );
    }

    #[test]
    fn panels_stand_side_by_side_under_titles_that_fit() {
        let title = "with the extra noise";
        let sheet = panels(&[(title, square(10, RED)), ("without", square(10, BLUE))]).unwrap();
        let (title_width, line) = text_size(title, TextSize::Label);
        let second = text_size("without", TextSize::Label).0;
        assert_eq!(
            sheet.width(),
            title_width + second + 2 * TEXT_GAP as u32 + 3 * PANEL_GAP
        );
        assert_eq!(sheet.height(), line + TEXT_GAP as u32 + 10 + 2 * PANEL_GAP);
    }
}
