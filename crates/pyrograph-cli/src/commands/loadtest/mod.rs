//! `pyrograph loadtest`.

mod flags;
mod request;

use std::{
    ops::ControlFlow,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use pyrograph::base::atomic_write;
use pyrograph::figures::FigureError;
use pyrograph::vision::write_png;
use pyrograph_loadtest::{Ending, LoadPlan, LoadReport, Phase, Progress, latency_picture, run};

use self::{flags::LoadFlags, request::RequestFlags};
use crate::{arguments::print, outputs::check_files, progress, stop};

#[derive(Args)]
pub(crate) struct LoadTest {
    #[command(flatten)]
    load: LoadFlags,
    #[command(flatten)]
    request: RequestFlags,
    /// Exit with 1 if any request failed, not only if all did.
    #[arg(long)]
    fail_on_error: bool,
    /// Write the body of the first successful answer.
    #[arg(long, value_name = "FILE")]
    save_first: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
    /// Write a picture of latency over time, histogram and percentiles.
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Print neither a progress bar nor remarks.
    #[arg(long, short)]
    quiet: bool,
}

/// The exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;
/// The exit code when requests failed.
const FAILED: u8 = 1;

impl LoadTest {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = self.plan()?;
        plan.check()?;
        self.check_outputs()?;
        let stop = stop::on_interrupt()?;
        let report = self.measure(plan, &stop)?;
        self.write(&report)?;
        print(
            self.json,
            &serde_json::to_value(&report)?,
            &report.to_string(),
        )?;
        let failed = report.succeeded == 0 || (self.fail_on_error && report.failed > 0);
        Ok(match report.ending {
            Ending::Interrupted => ExitCode::from(INTERRUPTED),
            _ if failed => ExitCode::from(FAILED),
            _ => ExitCode::SUCCESS,
        })
    }

    fn plan(&self) -> anyhow::Result<LoadPlan> {
        let mut plan = self.load.plan()?;
        self.request.add_to(&mut plan)?;
        plan.keep_first = self.save_first.is_some();
        Ok(plan)
    }

    fn check_outputs(&self) -> anyhow::Result<()> {
        let outputs = [
            ("--save-first", &self.save_first),
            ("--out", &self.out),
            ("--plot", &self.plot),
        ];
        let outputs: Vec<_> = outputs
            .iter()
            .filter_map(|(flag, path)| Some((*flag, path.as_deref()?)))
            .collect();
        check_files(&outputs, &self.request.files())
    }

    fn measure(&self, plan: LoadPlan, stop: &AtomicBool) -> anyhow::Result<LoadReport> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("no threads for the load test")?;
        let bar = progress::bar(0, self.quiet);
        let seconds = plan.duration.map(|duration| duration.as_secs());
        let report = runtime.block_on(run(plan, |progress| {
            show(&bar, progress, seconds);
            match stop.load(Ordering::SeqCst) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }));
        bar.finish_and_clear();
        // Requests that Ctrl-C left behind are not waited for.
        runtime.shutdown_background();
        Ok(report?)
    }

    fn write(&self, report: &LoadReport) -> anyhow::Result<()> {
        if let Some(path) = &self.out {
            let mut text = serde_json::to_string_pretty(report)?;
            text.push('\n');
            atomic_write(path, text.as_bytes())?;
        }
        if let Some(path) = &self.save_first {
            match &report.first_answer {
                Some(body) => atomic_write(path, body)?,
                None => self.say("--save-first: no request succeeded, so nothing is written"),
            }
        }
        if let Some(path) = &self.plot {
            match latency_picture(report) {
                Ok(picture) => write_png(path, &picture)?,
                Err(FigureError::NothingToPlot { .. }) => {
                    self.say("--plot: no request ended, so nothing is drawn");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A remark for the person at the terminal.
    fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}

/// Requests where their number ends the test, otherwise seconds.
fn show(bar: &ProgressBar, progress: &Progress, seconds: Option<u64>) {
    let (length, position) = match progress.total {
        Some(total) => (total, progress.done),
        None => (seconds.unwrap_or(0), progress.elapsed.as_secs()),
    };
    bar.set_length(length);
    bar.set_position(position);
    let failed = match progress.failed {
        0 => String::new(),
        failed => format!(" · {failed} failed"),
    };
    bar.set_message(match progress.phase {
        Phase::WarmUp => format!("warm-up{failed}"),
        Phase::Measurement => failed,
    });
}
