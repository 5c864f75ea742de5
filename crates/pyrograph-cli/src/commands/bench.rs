//! `pyrograph bench`.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use pyrograph::backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_workloads::{Timing, Workload, time, workloads};
use serde_json::json;

use crate::arguments::Common;

#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    common: Common,
    /// Only the workloads with this in their name, such as `conv3x3` or `train_step`.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Seconds for each workload; three runs at least.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    seconds: f64,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
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
