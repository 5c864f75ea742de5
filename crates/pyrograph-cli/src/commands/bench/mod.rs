//! `pyrograph bench`.

mod txt2img;

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use pyrograph::backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_workloads::{Timing, Workload, time, workloads};
use serde_json::json;

use self::txt2img::{BenchTxt2Img, OneType};
use crate::arguments::Common;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    job: Option<Job>,
    #[command(flatten)]
    common: Common,
    /// Only the workloads with this in their name, such as `conv3x3` or `train_step`.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Seconds for each workload; three runs at least.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    seconds: f64,
}

/// A whole job that is measured in place of the workloads.
#[derive(Subcommand)]
enum Job {
    /// Measure pictures of Stable Diffusion by steps and type: seconds, memory, cost.
    ///
    /// Text encoder, a pass of the UNet and the VAE are measured apart, after a first picture of
    /// one step, and a picture of N steps is computed from their medians; --whole makes whole
    /// pictures instead. Each of several types runs in a process of its own, whose peak memory is
    /// that of this type alone.
    ///
    /// Without --model the weights are random and of the shapes of Stable Diffusion 2.1-base: 1.29
    /// billion, in memory alone. Time and memory are those of real weights; the pictures are noise.
    ///
    /// --json prints {model (null: random weights), weights: files|random, device, threads,
    /// vectors, width, height, guidance, count, scheduler, repeats, method: computed|whole,
    /// price_per_hour, types: [{dtype, seconds: {load, first_picture, text, unet_pass, vae},
    /// peak_memory_bytes, pictures: [{steps, passes, seconds: {text, unet, vae, total},
    /// cost_per_1000, against_f32: {mean_squared_error, psnr_db (null: the same)}}]}]}. against_f32
    /// is that of whole pictures of other types than f32, on 8-bit values, over all pictures of a
    /// run; else it is null. The seconds of a type are those of a run of `count` pictures, those of
    /// `pictures` of one picture. first_picture counts from the start of the process to a picture
    /// of one step.
    Txt2img(Box<BenchTxt2Img>),
    /// Measures one type as the order on standard input says: a process of `txt2img`.
    #[command(hide = true)]
    Txt2imgType(OneType),
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.job {
            Some(Job::Txt2img(job)) => return job.run(),
            Some(Job::Txt2imgType(job)) => return job.run(),
            None => {}
        }
        let Some(budget) = Duration::try_from_secs_f64(self.seconds).ok() else {
            bail!("--seconds is {}; it must be 0 or more", self.seconds);
        };
        let common = &self.common;
        let only = self.only.as_deref();
        let task = Timed {
            common,
            only,
            budget,
        };
        let rows = common.device.run(task)??;
        let list: Vec<_> = rows
            .iter()
            .map(|(name, timing)| json!({ "name": name, "timing": timing }))
            .collect();
        let device = common.device.resolve().to_string();
        common.print(
            &json!({ "device": device, "workloads": list }),
            &table(&rows),
        )
    }
}

fn table(rows: &[(String, Timing)]) -> String {
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:<widest$} {:>10} {:>10} {:>10}  ms\n",
        "", "median", "p10", "p90"
    );
    for (
        name,
        Timing {
            median_ms,
            p10_ms,
            p90_ms,
            ..
        },
    ) in rows
    {
        text += &format!("{name:<widest$} {median_ms:>10.3} {p10_ms:>10.3} {p90_ms:>10.3}\n");
    }
    text
}

struct Timed<'a> {
    common: &'a Common,
    only: Option<&'a str>,
    budget: Duration,
}

impl BackendTask for Timed<'_> {
    type Output = anyhow::Result<Vec<(String, Timing)>>;

    fn run<A: VisionAutodiff>(self, device: Device<A>) -> Self::Output {
        let list = workloads::<A>(&device);
        let wanted = self.only.unwrap_or_default();
        let chosen: Vec<_> = list.iter().filter(|w| w.name().contains(wanted)).collect();
        if chosen.is_empty() {
            let names: Vec<_> = list.iter().map(Workload::name).collect();
            bail!(
                "no workload has `{wanted}` in its name; they are {}",
                names.join(", ")
            );
        }
        let timed = chosen.into_iter().map(|workload| {
            self.common.say(workload.name());
            (
                workload.name().to_owned(),
                time(&mut workload.start(), self.budget),
            )
        });
        Ok(timed.collect())
    }
}
