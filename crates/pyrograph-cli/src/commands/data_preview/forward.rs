//! The forward process as pictures: sprites with more and more noise.

use anyhow::bail;
use burn::tensor::Tensor;
use pyrograph::{
    backend::{
        BackendTask, Device,
        rng::{NoiseKey, Purpose, host_tensor},
        vision::VisionAutodiff,
    },
    data::{SpriteSet, epoch_order},
    diffusion::{ForwardNoise, NoiseSchedule},
    figures::labelled_grid,
    vision::{RgbImage, batch_from_chw, write_png},
};
use serde_json::{Value, json};

use super::{DataPreview, GAP, WHITE, classes::cell};

/// The two mixings, by the names of `train sprites --forward-noise`.
const MIXINGS: [(&str, ForwardNoise); 2] = [
    ("standard", ForwardNoise::Standard),
    ("course", ForwardNoise::Course),
];
/// The most pictures on a sheet.
const MAX_CELLS: usize = 4000;

impl DataPreview {
    pub(super) fn forward_process(&self) -> anyhow::Result<()> {
        let schedule = self.flags.noise_schedule()?;
        let set = self.sprite_set()?;
        let count = self.count.unwrap_or(1).min(set.len());
        let cells = count * MIXINGS.len() * self.flags.noise.len();
        if cells > MAX_CELLS {
            bail!(
                "--count times the timesteps of --noise makes {cells} pictures, but at most {MAX_CELLS} fit"
            );
        }
        for &t in &self.flags.noise {
            schedule.alpha_cumprod(t)?;
        }
        let device = self.common.device;
        device.run(Forward {
            preview: self,
            schedule,
            set,
            count,
        })?
    }
}

struct Forward<'a> {
    preview: &'a DataPreview,
    schedule: NoiseSchedule,
    set: SpriteSet,
    count: usize,
}

impl BackendTask for Forward<'_> {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let (preview, set) = (self.preview, &self.set);
        let timesteps = &preview.flags.noise;
        let shape = [1, set.channels(), set.side(), set.side()];
        let size = set.values_per_image();
        let order = epoch_order(set.len(), preview.seed, 0);
        let key = NoiseKey::new(preview.seed, Purpose::TrainingNoise, 0);
        // A row for each image and mixing; the values of each mixing and timestep for their moments.
        let mut rows: Vec<(&str, Vec<RgbImage>)> = Vec::new();
        let mut values = vec![vec![Vec::new(); timesteps.len()]; MIXINGS.len()];
        for (place, &index) in order.iter().take(self.count).enumerate() {
            let mut pixels = vec![0.0; size];
            set.write_chw(index as usize, &mut pixels);
            // The same noise in every picture of an image.
            let noise = key.normal((place * size) as u64, size);
            for ((name, mixing), values) in MIXINGS.iter().zip(&mut values) {
                let mut row = Vec::with_capacity(timesteps.len());
                for (&t, values) in timesteps.iter().zip(values) {
                    let x0: Tensor<B::InnerBackend, 4> =
                        host_tensor(pixels.clone(), shape, &device);
                    let noise = host_tensor(noise.clone(), shape, &device);
                    let noisy = self.schedule.add_noise(x0, noise, &[t], *mixing)?;
                    let noisy: Vec<f32> = noisy.into_data().iter::<f32>().collect();
                    let pictures = batch_from_chw(&noisy, shape[1], shape[2], shape[3])?;
                    for picture in &pictures {
                        row.push(cell(picture)?);
                    }
                    values.extend(noisy);
                }
                rows.push((name, row));
            }
        }
        let titles: Vec<_> = timesteps.iter().map(|t| format!("t = {t}")).collect();
        let titles: Vec<_> = titles.iter().map(String::as_str).collect();
        write_png(&preview.out, &labelled_grid(&rows, &titles, GAP, WHITE)?)?;
        preview.print_forward(&self.schedule, self.count, &values)
    }
}

impl DataPreview {
    /// The factors of each timestep, and the moments of its pictures by mixing.
    fn print_forward(
        &self,
        schedule: &NoiseSchedule,
        images: usize,
        values: &[Vec<Vec<f32>>],
    ) -> anyhow::Result<()> {
        let mut steps: Vec<Value> = Vec::new();
        let mut text = format!(
            "{:>6} {:>9} {:>9} {:>9} {:>18} {:>18}\n",
            "t", "√ᾱ", "√(1−ᾱ)", "1−ᾱ", "mean, deviation", "with 1−ᾱ"
        );
        for (place, &t) in self.flags.noise.iter().enumerate() {
            let alpha_cumprod = schedule.alpha_cumprod(t)?;
            let (signal, spread) = (alpha_cumprod.sqrt(), (1.0 - alpha_cumprod).sqrt());
            let moments: Vec<_> = values.iter().map(|of| moments(&of[place])).collect();
            let shown = |(mean, deviation): (f64, f64)| format!("{mean:.4}, {deviation:.4}");
            text += &format!(
                "{t:>6} {signal:>9.5} {spread:>9.5} {:>9.5} {:>18} {:>18}\n",
                1.0 - alpha_cumprod,
                shown(moments[0]),
                shown(moments[1]),
            );
            steps.push(json!({
                "t": t, "signal": signal, "noise": spread, "course_noise": 1.0 - alpha_cumprod,
                "standard": { "mean": moments[0].0, "deviation": moments[0].1 },
                "course": { "mean": moments[1].0, "deviation": moments[1].1 },
            }));
        }
        let written = self.out.display().to_string();
        let json = json!({
            "schedule": self.flags.schedule_name(), "timesteps": schedule.timesteps(),
            "images": images, "noise": steps, "written": written,
        });
        text += &format!("wrote {written}");
        self.common.print(&json, &text)
    }
}

/// Mean and deviation of values.
fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
    (mean, (squares.sum::<f64>() / count).sqrt())
}
