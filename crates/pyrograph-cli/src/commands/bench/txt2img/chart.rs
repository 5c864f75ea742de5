//! Seconds a picture over steps.

use pyrograph::figures::{ChartOptions, FigureError, Series, line_chart};
use pyrograph::vision::RgbImage;

use super::figures::{Report, TypeFigures};

/// A line for each type.
pub(super) fn chart(report: &Report) -> Result<RgbImage, FigureError> {
    let what = match report.model {
        Some(_) => "Stable Diffusion",
        None => "Stable Diffusion 2.1-base, random weights",
    };
    let options = ChartOptions {
        title: format!("{what}, {} x {}", report.width, report.height),
        x_label: "steps".into(),
        y_label: "seconds a picture".into(),
        smoothing: 0.0,
        ..ChartOptions::default()
    };
    let series: Vec<_> = report.types.iter().map(line).collect();
    line_chart(&options, &series)
}

fn line(figures: &TypeFigures) -> Series {
    let pictures = figures.pictures.iter();
    let mut points: Vec<_> = pictures
        .map(|picture| (picture.steps as f64, picture.seconds.total))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Series::new(&figures.dtype, points)
}

#[cfg(test)]
mod tests {
    use super::{
        super::figures::{PictureFigures, tests::report},
        *,
    };

    #[test]
    fn a_line_goes_by_steps_whatever_their_order() {
        let mut figures = report().types.remove(0);
        figures
            .pictures
            .push(PictureFigures::new(10, 11, [0.0, 4.0, 1.0], 1));
        assert_eq!(line(&figures).points, [(10.0, 5.0), (20.0, 10.0)]);
    }

    #[test]
    fn one_number_of_steps_is_drawn_too() {
        let picture = chart(&report()).unwrap();
        assert_eq!(picture.dimensions(), (960, 540));
    }
}
