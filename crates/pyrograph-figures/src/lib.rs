//! Figures without a model: grids of images, text, charts, heat maps, boxes of detectors, and GIFs.
//!
//! The one image type is [`RgbImage`](image::RgbImage) of the [`image`] crate. Everything here is
//! plain host code: no tensors and no devices. Fonts of the system are used only for characters
//! that the embedded font lacks.
//!
//! | to | use |
//! | --- | --- |
//! | draw detections | [`draw_boxes`], [`BoxLabel`], [`class_colour`] |
//! | lay images out | [`grid()`], [`labelled_grid`], [`panels`] |
//! | write on an image | [`draw_text`], [`text_size`] |
//! | show images beside their twins and the differences | [`twin_figure`], [`heat_map`] |
//! | plot losses over steps | [`line_chart`] |
//! | plot scores, ROC and precision–recall curves | [`histogram_chart`], [`curve_chart`] |
//! | plot one figure of several models against another | [`scatter_chart`] |
//! | write an animation | [`write_gif`] |
//!
//! # Example
//!
//! ```
//! # mod pyrograph { pub use pyrograph_figures as figures; pub use pyrograph_vision as vision; }
//! use pyrograph::figures::grid;
//! use pyrograph::vision::{Rgb, batch_from_chw, enlarge, write_png};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Four grey 2×2 images, as a sampler hands them out: one after the other, values in [-1, 1].
//! let values = [
//!     -1.0, -0.9, -0.8, -0.7, //
//!     -0.4, -0.3, -0.2, -0.1, //
//!     0.1, 0.2, 0.3, 0.4, //
//!     0.7, 0.8, 0.9, 1.0,
//! ];
//! let images = batch_from_chw(&values, 1, 2, 2)?;
//! let sheet = grid(&images, 2, 1, Rgb([255, 255, 255]))?;
//! assert_eq!(sheet.dimensions(), (7, 7)); // two cells of two pixels, three gaps of one
//!
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let path = folder.path().join("figures/samples.png");
//! write_png(&path, &enlarge(&sheet, 8)?)?;
//! # Ok(())
//! # }
//! ```

mod boxes;
mod canvas;
mod chart;
mod error;
mod gif;
mod grid;
mod heat;
mod palette;
mod text;
mod twin;

pub use boxes::{BoxLabel, draw_boxes};
pub use chart::{
    ChartOptions, CurveOptions, Distribution, HistogramOptions, HistogramScale, Join, Mark,
    RightAxis, ScatterOptions, ScatterPoint, Series, curve_chart, histogram_chart, line_chart,
    line_chart_with_right, scatter_chart,
};
pub use error::FigureError;
pub use gif::{GifOptions, write_gif};
pub use grid::{grid, labelled_grid, panels};
pub use heat::heat_map;
pub use palette::class_colour;
pub use text::{TextSize, draw_text, text_size};
pub use twin::{TwinRow, twin_figure};
