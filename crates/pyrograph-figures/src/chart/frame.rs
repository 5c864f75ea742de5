//! What every chart has around its data: titles, axes, ticks and a legend.

use image::{Rgb, RgbImage};
use pyrograph_vision::blank;

use super::axis::{Axis, Tick};
use super::stroke::Stroke;
use crate::FigureError;
use crate::canvas::{self, WHITE};
use crate::text::{TextSize, draw_text, text_size};

/// The share of the range that stays free above and below the data.
pub(super) const HEADROOM: f64 = 0.04;

pub(super) const INK: Rgb<u8> = Rgb([40, 40, 40]);
const QUIET_INK: Rgb<u8> = Rgb([95, 95, 95]);
const AXIS: Rgb<u8> = Rgb([140, 140, 140]);
const GRID: Rgb<u8> = Rgb([232, 232, 232]);

/// Pixels around the chart.
const MARGIN: u32 = 16;
/// Pixels between parts that belong together.
const GAP: u32 = 6;
/// Pixels of the colour sample in the legend.
const SAMPLE: (u32, u32) = (22, 4);
/// Pixels between entries of the legend.
const ENTRY_GAP: u32 = 24;
/// Pixels that a tick takes at least, along the horizontal and the vertical axis.
const TICK_ROOM: (u32, u32) = (90, 56);
/// Opacity of the paper under a text within the data.
const PAPER: f32 = 0.85;
/// The sides of a chart, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 240..=8192;

/// What stands around the data, and the size of the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels<'a> {
    /// Above the chart, empty for none.
    pub(super) title: &'a str,
    /// Under the horizontal axis, empty for none.
    pub(super) x_label: &'a str,
    /// Above the vertical axis, empty for none.
    pub(super) y_label: &'a str,
    /// Width and height of the picture in pixels.
    pub(super) size: (u32, u32),
    pub(super) shape: Shape,
}

/// The sides of the area for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// All the room there is.
    Free,
    /// As wide as high, for axes of the same unit.
    Square,
}

/// A line of the legend.
#[derive(Clone, Copy, Debug)]
pub(super) struct LegendEntry<'a> {
    pub(super) name: &'a str,
    pub(super) colour: Rgb<u8>,
}

/// A chart that awaits its data.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    picture: RgbImage,
    plot: Plot,
    x_axis: Axis,
    y_axis: Axis,
    right_axis: Option<Axis>,
}

/// The area for the data, in pixels of the picture.
#[derive(Clone, Copy, Debug)]
struct Plot {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Plot {
    /// The row of the picture at which `y` lies on an axis.
    fn row(&self, axis: &Axis, y: f64) -> u32 {
        // Saturates at 0 and is kept within the plot.
        let inside = ((1.0 - axis.position(y)) * f64::from(self.height)) as u32;
        self.top + inside.min(self.height - 1)
    }
}

impl Frame {
    /// Draws everything but the data.
    pub(super) fn new(
        labels: &Labels<'_>,
        x_axis: Axis,
        y_axis: Axis,
        legend: &[LegendEntry<'_>],
    ) -> Result<Self, FigureError> {
        Self::with_right(labels, x_axis, y_axis, None, legend)
    }

    /// The same with an axis of its own at the right, by its name.
    pub(super) fn with_right(
        labels: &Labels<'_>,
        x_axis: Axis,
        y_axis: Axis,
        right: Option<(Axis, &str)>,
        legend: &[LegendEntry<'_>],
    ) -> Result<Self, FigureError> {
        for (what, side) in [
            ("the width of a chart", labels.size.0),
            ("the height of a chart", labels.size.1),
        ] {
            if !SIDES.contains(&side) {
                let allowed = "240 to 8192 pixels";
                return Err(FigureError::Range {
                    what,
                    seen: side.into(),
                    allowed,
                });
            }
        }
        let mut picture = blank(labels.size.0.into(), labels.size.1.into(), WHITE)?;
        let top = draw_heading(&mut picture, labels, legend);
        let line = text_size("", TextSize::Label).1;
        let x_title = if labels.x_label.is_empty() { 0 } else { line };
        let bottom = labels.size.1.saturating_sub(MARGIN + line + GAP + x_title);
        let height = bottom.saturating_sub(top + GAP).max(1);
        let tick_count = |side: u32, room: u32| (side / room).max(2) as usize;
        let y_count = tick_count(height, TICK_ROOM.1);
        let y_ticks = y_axis.ticks(y_count);
        let label_width = |label: &str| text_size(label, TextSize::Label).0;
        let widest = |ticks: &[Tick]| {
            let widths = ticks.iter().map(|tick| label_width(&tick.label));
            widths.max().unwrap_or(0)
        };
        let right_ticks = match &right {
            Some((axis, _)) => axis.ticks(y_count),
            None => Vec::new(),
        };
        let left = MARGIN + widest(&y_ticks) + GAP;
        let at_right = match right_ticks.as_slice() {
            [] => MARGIN,
            ticks => widest(ticks) + GAP,
        };
        let taken = left + at_right + MARGIN;
        let width = labels.size.0.saturating_sub(taken).max(1);
        let (width, height, x_count) = match labels.shape {
            Shape::Free => (width, height, tick_count(width, TICK_ROOM.0)),
            // Axes of the same unit and length have the same ticks.
            Shape::Square => (width.min(height), width.min(height), y_count),
        };
        let plot = Plot {
            left,
            top: top + GAP,
            width,
            height,
        };
        let mut frame = Self {
            picture,
            plot,
            x_axis,
            y_axis,
            right_axis: None,
        };
        for tick in y_ticks {
            let y = frame.row(tick.value);
            frame.fill(plot.left, y, plot.width, 1, GRID);
            let x = plot.left - GAP - label_width(&tick.label);
            frame.text(x, y.saturating_sub(line / 2), &tick.label, QUIET_INK);
        }
        for tick in frame.x_axis.ticks(x_count) {
            let x = frame.column(tick.value);
            frame.fill(x, plot.top, 1, plot.height, GRID);
            let x = x.saturating_sub(label_width(&tick.label) / 2);
            frame.text(x, plot.top + plot.height + GAP, &tick.label, QUIET_INK);
        }
        frame.fill(plot.left, plot.top, 1, plot.height, AXIS);
        frame.fill(plot.left, plot.top + plot.height - 1, plot.width, 1, AXIS);
        let x = plot.left + (plot.width / 2).saturating_sub(label_width(labels.x_label) / 2);
        frame.text(x, plot.top + plot.height + GAP + line, labels.x_label, INK);
        if let Some((axis, name)) = right {
            frame.draw_right_axis(&axis, &right_ticks, name);
            frame.right_axis = Some(axis);
        }
        Ok(frame)
    }

    /// Ticks and name of the axis at the right; the grid is that of the axis at the left.
    fn draw_right_axis(&mut self, axis: &Axis, ticks: &[Tick], name: &str) {
        let (plot, line) = (self.plot, text_size("", TextSize::Label).1);
        let edge = plot.left + plot.width;
        self.fill(edge, plot.top, 1, plot.height, AXIS);
        for tick in ticks {
            let y = plot.row(axis, tick.value);
            self.fill(edge, y, GAP / 2, 1, AXIS);
            self.text(
                edge + GAP,
                y.saturating_sub(line / 2),
                &tick.label,
                QUIET_INK,
            );
        }
        let width = text_size(name, TextSize::Label).0;
        let x = self.picture.width().saturating_sub(MARGIN + width);
        self.text(x, plot.top.saturating_sub(GAP + line), name, INK);
    }

    /// Width and height of the area for the data.
    pub(super) fn plot_size(&self) -> (u32, u32) {
        (self.plot.width, self.plot.height)
    }

    /// Where a point lies in that area, in pixels from its upper left corner.
    pub(super) fn place(&self, x: f64, y: f64) -> (f32, f32) {
        self.place_on(&self.y_axis, x, y)
    }

    /// The same by the axis at the right, where there is one.
    pub(super) fn place_right(&self, x: f64, y: f64) -> (f32, f32) {
        self.place_on(self.right_axis.as_ref().unwrap_or(&self.y_axis), x, y)
    }

    fn place_on(&self, y_axis: &Axis, x: f64, y: f64) -> (f32, f32) {
        let x = self.x_axis.position(x) * f64::from(self.plot.width);
        let y = (1.0 - y_axis.position(y)) * f64::from(self.plot.height);
        (x as f32, y as f32)
    }

    /// Lays a stroke over the area for the data.
    pub(super) fn paint(&mut self, stroke: &Stroke, colour: Rgb<u8>, opacity: f32) {
        for (x, y, coverage) in stroke.covered() {
            let (x, y) = (
                x as i64 + i64::from(self.plot.left),
                y as i64 + i64::from(self.plot.top),
            );
            canvas::blend(&mut self.picture, x, y, colour, coverage * opacity);
        }
    }

    /// Lays a rectangle over the area for the data, between two points of it in pixels.
    pub(super) fn shade(
        &mut self,
        from: (f32, f32),
        to: (f32, f32),
        colour: Rgb<u8>,
        opacity: f32,
    ) {
        // Whole pixels, so that neighbours neither overlap nor leave a gap; casts saturate.
        let side = |a: f32, b: f32, size: u32| {
            let (low, high) = (a.min(b).round() as u32, a.max(b).round() as u32);
            low.min(size)..high.min(size)
        };
        for y in side(from.1, to.1, self.plot.height) {
            for x in side(from.0, to.0, self.plot.width) {
                let (x, y) = (self.plot.left + x, self.plot.top + y);
                canvas::blend(&mut self.picture, x.into(), y.into(), colour, opacity);
            }
        }
    }

    /// Writes beside the vertical line at `x`, on the given line of text from the top: at its right,
    /// or at its left where the right has no room.
    pub(super) fn annotate(&mut self, x: f64, line: u32, text: &str, ink: Rgb<u8>) {
        let (width, height) = text_size(text, TextSize::Label);
        let right = self.column(x).saturating_add(GAP);
        let left = if right.saturating_add(width) > self.picture.width() {
            self.column(x).saturating_sub(GAP.saturating_add(width))
        } else {
            right
        };
        let top = (self.plot.top + GAP).saturating_add(line.saturating_mul(height));
        self.text_on_paper(left, top, text, ink);
    }

    /// Writes at `corner`, the upper left one in pixels of the area for the data.
    pub(super) fn write(&mut self, corner: (f32, f32), text: &str, ink: Rgb<u8>) {
        // Saturates at 0 and is kept within the plot.
        let inside = |place: f32, side: u32| (place.round() as u32).min(side);
        let left = self.plot.left + inside(corner.0, self.plot.width);
        let top = self.plot.top + inside(corner.1, self.plot.height);
        self.text_on_paper(left, top, text, ink);
    }

    /// Paper under the letters keeps them apart from bars and grid lines.
    fn text_on_paper(&mut self, left: u32, top: u32, text: &str, ink: Rgb<u8>) {
        let (width, height) = text_size(text, TextSize::Label);
        for y in top..top.saturating_add(height).min(self.picture.height()) {
            for x in left..left.saturating_add(width).min(self.picture.width()) {
                canvas::blend(&mut self.picture, x.into(), y.into(), WHITE, PAPER);
            }
        }
        self.text(left, top, text, ink);
    }

    pub(super) fn into_picture(self) -> RgbImage {
        self.picture
    }

    /// The column of the picture at which `x` lies.
    fn column(&self, x: f64) -> u32 {
        // Saturates at 0 and is kept within the plot.
        let inside = (self.x_axis.position(x) * f64::from(self.plot.width)) as u32;
        self.plot.left + inside.min(self.plot.width - 1)
    }

    /// The row of the picture at which `y` lies.
    fn row(&self, y: f64) -> u32 {
        self.plot.row(&self.y_axis, y)
    }

    fn fill(&mut self, x: u32, y: u32, width: u32, height: u32, colour: Rgb<u8>) {
        fill(&mut self.picture, x, y, width, height, colour);
    }

    fn text(&mut self, x: u32, y: u32, text: &str, ink: Rgb<u8>) {
        draw_text(
            &mut self.picture,
            x.into(),
            y.into(),
            text,
            TextSize::Label,
            ink,
        );
    }
}

/// Writes the title, the legend and the name of the vertical axis, and returns the row below.
fn draw_heading(picture: &mut RgbImage, labels: &Labels<'_>, legend: &[LegendEntry<'_>]) -> u32 {
    let line = text_size("", TextSize::Label).1;
    let mut y = MARGIN;
    if !labels.title.is_empty() {
        draw_text(
            picture,
            MARGIN.into(),
            y.into(),
            labels.title,
            TextSize::Title,
            INK,
        );
        y += text_size("", TextSize::Title).1 + GAP;
    }
    let mut x = MARGIN;
    for entry in legend {
        let width = text_size(entry.name, TextSize::Label)
            .0
            .saturating_add(SAMPLE.0 + GAP);
        if x > MARGIN && x.saturating_add(width) > picture.width() {
            (x, y) = (MARGIN, y + line);
        }
        fill(
            picture,
            x,
            y + (line - SAMPLE.1) / 2,
            SAMPLE.0,
            SAMPLE.1,
            entry.colour,
        );
        let text_x = x + SAMPLE.0 + GAP;
        draw_text(
            picture,
            text_x.into(),
            y.into(),
            entry.name,
            TextSize::Label,
            INK,
        );
        x = x.saturating_add(width).saturating_add(ENTRY_GAP);
    }
    if !legend.is_empty() {
        y += line + GAP;
    }
    if !labels.y_label.is_empty() {
        draw_text(
            picture,
            MARGIN.into(),
            y.into(),
            labels.y_label,
            TextSize::Label,
            INK,
        );
        y += line;
    }
    y
}

/// A rectangle of one colour, cut where it leaves the picture.
fn fill(picture: &mut RgbImage, x: u32, y: u32, width: u32, height: u32, colour: Rgb<u8>) {
    let right = x.saturating_add(width).min(picture.width());
    let bottom = y.saturating_add(height).min(picture.height());
    for row in y..bottom {
        for column in x..right {
            picture.put_pixel(column, row, colour);
        }
    }
}
