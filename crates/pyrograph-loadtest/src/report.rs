//! The result of a load test: numbers, JSON and a table.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    ArticleFigures, BodyOrder, BootstrapOptions, LatencyFigures, Load, LoadPlan, TimelinePoint,
    recorder::Recorder, remarks::remarks,
};

/// Why a load test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every request ended.
    Complete,
    /// The observer ended it.
    Interrupted,
    /// The first requests found no connection.
    NoConnection,
}

/// The settings of a load test, without secrets: no token, and only the names of headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadSettings {
    /// The address, without user and password.
    pub url: String,
    /// GET or POST.
    pub method: String,
    /// How requests were sent.
    #[serde(flatten)]
    pub load: Load,
    /// Requests at most.
    pub requests: Option<u64>,
    /// Seconds at most.
    pub duration_s: Option<f64>,
    /// Requests before the measurement.
    pub warm_up: u64,
    /// The time limit of a request.
    pub timeout_s: f64,
    /// Different bodies.
    pub bodies: usize,
    /// Bytes of the longest body.
    pub body_bytes: usize,
    /// How bodies were chosen.
    pub body_order: BodyOrder,
    /// Their type.
    pub content_type: Option<String>,
    /// The `Accept` header.
    pub accept: Option<String>,
    /// Names of further headers.
    pub headers: Vec<String>,
    /// Whether a token was sent.
    pub token: bool,
    /// The seed.
    pub seed: u64,
}

/// The warm-up, which enters no figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUpReport {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// The result of a load test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// How it was run.
    pub settings: LoadSettings,
    /// Why it ended.
    pub ending: Ending,
    /// The warm-up, where there was one.
    pub warm_up: Option<WarmUpReport>,
    /// Seconds from the start to the end of the last request, or to the interruption.
    pub seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Those with a status of 2xx and a whole body.
    pub succeeded: u64,
    /// The others.
    pub failed: u64,
    /// Successes a second.
    pub requests_per_second: f64,
    /// Requests that were sent more than 20 ms after their intended start.
    pub late_starts: u64,
    /// Images in the answers.
    pub images: u64,
    /// Images a second.
    pub images_per_second: f64,
    /// Bytes of all bodies of answers.
    pub bytes: u64,
    /// Of successes: from the intended start to the end of the answer.
    pub latency: Option<LatencyFigures>,
    /// Of successes, in the open loop: from the sending to the end of the answer, without the wait before it.
    pub service: Option<LatencyFigures>,
    /// Of successes: from the intended start to the head of the answer.
    pub first_byte: Option<LatencyFigures>,
    /// Of failures: from the intended start to the error.
    pub failed_latency: Option<LatencyFigures>,
    /// Failures by kind: `status 503`, `connect`, `timeout`, `request` (connection lost before the answer), `body`
    /// (answer broke off), `event` (a stream of events told of an error).
    pub errors: BTreeMap<String, u64>,
    /// The first message of each kind.
    pub error_messages: BTreeMap<String, String>,
    /// Mean milliseconds of the stages in `server-timing`.
    pub stages_ms: BTreeMap<String, f64>,
    /// The article's figures, where the plan asks for them and a request succeeded.
    pub article: Option<ArticleFigures>,
    /// What the figures cannot say.
    pub remarks: Vec<String>,
    /// The requests on the time axis, up to a million; not in JSON.
    #[serde(skip)]
    pub timeline: Vec<TimelinePoint>,
    /// The body of the first success, where the plan keeps it; not in JSON.
    #[serde(skip)]
    pub first_answer: Option<Vec<u8>>,
}

impl LoadReport {
    pub(crate) fn new(
        plan: &LoadPlan,
        recorder: Recorder,
        ending: Ending,
        warm_up: Option<WarmUpReport>,
    ) -> Self {
        let bootstrap = BootstrapOptions {
            seed: plan.seed,
            ..Default::default()
        };
        let seconds = recorder.seconds();
        let per_second = |count: u64| {
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        let latency = recorder.latency.figures(&bootstrap);
        let article = latency
            .as_ref()
            .filter(|_| plan.article)
            .map(|figures| ArticleFigures::new(figures.p95_ms, figures.p90_ms, figures.mean_ms));
        let mut report = Self {
            settings: LoadSettings::of(plan),
            ending,
            warm_up,
            seconds,
            requests: recorder.done(),
            succeeded: recorder.latency.count(),
            failed: recorder.failed.count(),
            requests_per_second: per_second(recorder.latency.count()),
            late_starts: recorder.late,
            images: recorder.images,
            images_per_second: per_second(recorder.images),
            bytes: recorder.bytes,
            latency,
            service: match plan.load {
                Load::Closed { .. } => None,
                Load::Open { .. } => recorder.service.figures(&bootstrap),
            },
            first_byte: recorder.first_byte.figures(&bootstrap),
            failed_latency: recorder.failed.figures(&bootstrap),
            stages_ms: recorder.stage_means(),
            errors: recorder.errors,
            error_messages: recorder.messages,
            article,
            remarks: Vec::new(),
            timeline: recorder.timeline,
            first_answer: recorder.first_answer,
        };
        report.remarks = remarks(&report, plan.give_up_after);
        report
    }
}

impl LoadSettings {
    fn of(plan: &LoadPlan) -> Self {
        let has_body = !plan.bodies.is_empty();
        Self {
            url: without_password(plan),
            method: if has_body { "POST" } else { "GET" }.into(),
            load: plan.load,
            requests: plan.requests,
            duration_s: plan.duration.map(|duration| duration.as_secs_f64()),
            warm_up: plan.warm_up,
            timeout_s: plan.timeout.as_secs_f64(),
            bodies: plan.bodies.len(),
            body_bytes: plan.bodies.iter().map(Vec::len).max().unwrap_or(0),
            body_order: plan.order,
            content_type: has_body.then(|| plan.content_type.clone()),
            accept: plan.accept.clone(),
            headers: plan.headers.iter().map(|(name, _)| name.clone()).collect(),
            token: plan.token.is_some(),
            seed: plan.seed,
        }
    }
}

fn without_password(plan: &LoadPlan) -> String {
    let Ok(mut url) = plan.address() else {
        return String::new();
    };
    // An address with a host takes both.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_load(f, &self.settings)?;
        writeln!(
            f,
            "{} requests in {:.2} s: {} succeeded, {} failed",
            self.requests, self.seconds, self.succeeded, self.failed
        )?;
        writeln!(
            f,
            "{:.2} requests/s · {:.2} images/s · {} bytes",
            self.requests_per_second, self.images_per_second, self.bytes
        )?;
        write_figures(f, self)?;
        for (kind, count) in &self.errors {
            let message = self.error_messages.get(kind).map_or("", String::as_str);
            let colon = if message.is_empty() { "" } else { ": " };
            writeln!(f, "{count} × {kind}{colon}{message}")?;
        }
        if !self.stages_ms.is_empty() {
            let stage = |(name, mean): (&String, &f64)| format!("{name} {mean:.1} ms");
            let stages: Vec<String> = self.stages_ms.iter().map(stage).collect();
            writeln!(f, "server, mean: {}", stages.join(" · "))?;
        }
        if let Some(article) = &self.article {
            writeln!(f, "\n{article}")?;
        }
        self.remarks
            .iter()
            .try_for_each(|remark| writeln!(f, "remark: {remark}"))
    }
}

fn write_load(f: &mut fmt::Formatter<'_>, settings: &LoadSettings) -> fmt::Result {
    write!(f, "{} {} · ", settings.method, settings.url)?;
    match settings.load {
        Load::Closed { clients } => writeln!(f, "closed loop, {clients} at once"),
        Load::Open {
            rate,
            arrivals,
            in_flight,
        } => {
            let arrivals = format!("{arrivals:?}").to_lowercase();
            writeln!(
                f,
                "open loop, {rate} requests/s ({arrivals}), at most {in_flight} in flight"
            )
        }
    }
}

/// A row for each kind of latency, and the intervals.
fn write_figures(f: &mut fmt::Formatter<'_>, report: &LoadReport) -> fmt::Result {
    let rows = [
        ("latency", &report.latency),
        ("from sending", &report.service),
        ("first byte", &report.first_byte),
        ("failed", &report.failed_latency),
    ];
    if rows.iter().any(|(_, figures)| figures.is_some()) {
        writeln!(
            f,
            "\n{:<13}{:>7}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}",
            "ms", "n", "P50", "P90", "P95", "P99", "max", "min", "mean", "sd"
        )?;
    }
    for (name, figures) in rows {
        let Some(figures) = figures else { continue };
        write!(f, "{name:<13}{:>7}", figures.n)?;
        let values = [
            figures.p50_ms,
            figures.p90_ms,
            figures.p95_ms,
            figures.p99_ms,
            figures.max_ms,
            figures.min_ms,
            figures.mean_ms,
        ];
        values
            .iter()
            .try_for_each(|value| write!(f, "{value:>10.2}"))?;
        writeln!(f, "{:>9.2}", figures.standard_deviation_ms)?;
    }
    if let Some(spread) = report
        .latency
        .as_ref()
        .and_then(|figures| figures.spread.as_ref())
    {
        let interval = |[low, high]: [f64; 2]| format!("{low:.2} to {high:.2}");
        writeln!(
            f,
            "{:.0} % of {} resamples: P50 {} · P95 {} · P99 {} ms",
            100.0 * spread.options.level,
            spread.options.resamples,
            interval(spread.p50_ms),
            interval(spread.p95_ms),
            interval(spread.p99_ms)
        )?;
    }
    Ok(())
}
