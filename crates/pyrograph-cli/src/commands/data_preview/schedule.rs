//! The tables and curves of a noise schedule.

use pyrograph::{
    base::atomic_write,
    diffusion::{DiffusionError, NoiseSchedule},
    figures::{ChartOptions, FigureError, Series, line_chart, panels},
    vision::{RgbImage, write_png},
};
use serde_json::json;

use super::DataPreview;

/// Width and height of a chart.
const WIDTH: u32 = 520;
const HEIGHT: u32 = 420;
/// Intervals between the timesteps that are printed.
const INTERVALS: usize = 10;

/// One timestep: its row of the table.
struct Row {
    t: usize,
    beta: f64,
    alpha_cumprod: f64,
}

impl Row {
    fn new(schedule: &NoiseSchedule, t: usize) -> Result<Self, DiffusionError> {
        Ok(Self {
            t,
            beta: schedule.beta(t)?,
            alpha_cumprod: schedule.alpha_cumprod(t)?,
        })
    }

    fn alpha(&self) -> f64 {
        1.0 - self.beta
    }

    /// `1/√α`, `β/√(1−ᾱ)` and `√β` of a step of sampling, `x' = 1/√α (x − β/√(1−ᾱ) ε) + √β z`. The
    /// clean image has no `ε`.
    fn coefficients(&self) -> [Option<f64>; 3] {
        let spread = (1.0 - self.alpha_cumprod).sqrt();
        [
            Some(1.0 / self.alpha().sqrt()),
            (spread > 0.0).then_some(self.beta / spread),
            Some(self.beta.sqrt()),
        ]
    }
}

impl DataPreview {
    pub(super) fn schedule(&self) -> anyhow::Result<()> {
        let schedule = self.flags.noise_schedule()?;
        let rows = (0..=schedule.last_timestep())
            .map(|t| Row::new(&schedule, t))
            .collect::<Result<Vec<_>, _>>()?;
        write_png(&self.out, &curves(&rows)?)?;
        let mut written = vec![self.out.display().to_string()];
        if let Some(path) = &self.flags.table {
            atomic_write(path, csv(&rows).as_bytes())?;
            written.push(path.display().to_string());
        }
        let name = self.flags.schedule_name();
        let column = |of: &dyn Fn(&Row) -> Option<f64>| rows.iter().map(of).collect::<Vec<_>>();
        let json = json!({
            "schedule": name, "timesteps": schedule.timesteps(),
            "first": schedule.first_timestep(), "last": schedule.last_timestep(),
            "beta": column(&|row| Some(row.beta)), "alpha": column(&|row| Some(row.alpha())),
            "alpha_cumprod": column(&|row| Some(row.alpha_cumprod)),
            "of_x": column(&|row| row.coefficients()[0]),
            "of_epsilon": column(&|row| row.coefficients()[1]),
            "of_z": column(&|row| row.coefficients()[2]),
            "written": written,
        });
        let text = format!(
            "{name}, {} timesteps; a step is x' = (of x) (x − (of ε) ε) + (of z) z\n{}wrote {}",
            schedule.timesteps(),
            table(&rows),
            written.join(", ")
        );
        self.common.print(&json, &text)
    }
}

fn csv(rows: &[Row]) -> String {
    let mut text = String::from("t,beta,alpha,alpha_cumprod,of_x,of_epsilon,of_z\n");
    for row in rows {
        let [of_x, of_epsilon, of_z] = row
            .coefficients()
            .map(|value| value.map_or_else(String::new, |value| value.to_string()));
        text += &format!(
            "{},{},{},{},{of_x},{of_epsilon},{of_z}\n",
            row.t,
            row.beta,
            row.alpha(),
            row.alpha_cumprod
        );
    }
    text
}

/// Evenly spaced rows, the first two and the last among them.
fn table(rows: &[Row]) -> String {
    let last = rows.len() - 1;
    let mut shown: Vec<_> = (0..=INTERVALS).map(|k| k * last / INTERVALS).collect();
    shown.push(1.min(last));
    shown.sort_unstable();
    shown.dedup();
    let mut text = format!(
        "{:>6} {:>12} {:>12} {:>14} {:>12} {:>12} {:>12}\n",
        "t", "β", "α", "ᾱ", "of x", "of ε", "of z"
    );
    for row in shown.into_iter().map(|place| &rows[place]) {
        let [of_x, of_epsilon, of_z] = row
            .coefficients()
            .map(|value| value.map_or_else(|| "-".into(), |value| format!("{value:.8}")));
        text += &format!(
            "{:>6} {:>12.8} {:>12.8} {:>14.11} {of_x:>12} {of_epsilon:>12} {of_z:>12}\n",
            row.t,
            row.beta,
            row.alpha(),
            row.alpha_cumprod
        );
    }
    text
}

/// Four charts beside each other: β, α and ᾱ, and the coefficients of a step. That of `x` is near 1 or far above it, where
/// the others could not be seen beside it.
fn curves(rows: &[Row]) -> Result<RgbImage, FigureError> {
    let line = |name: &str, of: &dyn Fn(&Row) -> Option<f64>| {
        let points = rows.iter().filter_map(|row| Some((row.t as f64, of(row)?)));
        Series::new(name, points.collect())
    };
    let chart = |series: &[Series]| {
        let options = ChartOptions {
            x_label: "timestep".into(),
            y_label: String::new(),
            smoothing: 0.0,
            width: WIDTH,
            height: HEIGHT,
            ..ChartOptions::default()
        };
        line_chart(&options, series)
    };
    let figures = [
        ("beta", chart(&[line("beta", &|row| Some(row.beta))])?),
        (
            "alpha and alpha_cumprod",
            chart(&[
                line("alpha", &|row| Some(row.alpha())),
                line("alpha_cumprod", &|row| Some(row.alpha_cumprod)),
            ])?,
        ),
        (
            "coefficient of x in a step",
            chart(&[line("of x", &|row| row.coefficients()[0])])?,
        ),
        (
            "coefficients of epsilon and z",
            chart(&[
                line("of epsilon", &|row| row.coefficients()[1]),
                line("of z", &|row| row.coefficients()[2]),
            ])?,
        ),
    ];
    panels(&figures)
}
