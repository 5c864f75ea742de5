//! Counters, gauges and histograms, in the OpenMetrics text format that Prometheus reads.
//!
//! | name | labels | kind |
//! | --- | --- | --- |
//! | `pyrograph_requests_total` | `route`, `status` | counter |
//! | `pyrograph_request_seconds` | `route` | histogram |
//! | `pyrograph_requests_waiting` | `model` | gauge |
//! | `pyrograph_requests_running` | `model` | gauge |
//! | `pyrograph_stage_seconds` | `model`, `stage` | histogram |
//! | `pyrograph_batch_rows` | `model` | histogram |
//! | `pyrograph_worker_restarts_total` | `model` | counter |

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// The content type of [`Metrics::text`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the buckets of times, in seconds: from a refusal to a long request.
const SECONDS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0,
    120.0, 300.0, 900.0,
];

/// Upper bounds of the buckets of rows in a batch.
const ROWS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// The metrics of a server. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<Labels, Counter>,
    request_seconds: Histograms,
    waiting: Family<Labels, Gauge>,
    running: Family<Labels, Gauge>,
    stage_seconds: Histograms,
    batch_rows: Histograms,
    restarts: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let rows: fn() -> Histogram = || Histogram::new(ROWS);
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("pyrograph"))),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            waiting: Family::default(),
            running: Family::default(),
            stage_seconds: Family::new_with_constructor(seconds),
            batch_rows: Family::new_with_constructor(rows),
            restarts: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock();
        let seconds = || Unit::Seconds;
        registry.register("requests", "Answered requests", self.requests.clone());
        registry.register_with_unit(
            "request",
            "Time from the arrival of a request to its answer",
            seconds(),
            self.request_seconds.clone(),
        );
        registry.register(
            "requests_waiting",
            "Requests in the queue",
            self.waiting.clone(),
        );
        registry.register(
            "requests_running",
            "Requests that a worker runs",
            self.running.clone(),
        );
        registry.register_with_unit(
            "stage",
            "Time of a request in a stage",
            seconds(),
            self.stage_seconds.clone(),
        );
        registry.register("batch_rows", "Rows of a step", self.batch_rows.clone());
        registry.register(
            "worker_restarts",
            "Workers that failed and started anew",
            self.restarts.clone(),
        );
    }

    /// Counts an answered HTTP request.
    pub fn answered(&self, route: &str, status: u16, time: Duration) {
        let route = ("route", route.to_owned());
        let labels = vec![route.clone(), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.request_seconds
            .get_or_create(&vec![route])
            .observe(time.as_secs_f64());
    }

    /// Observes the time of a stage.
    pub fn stage(&self, model: &str, stage: &'static str, time: Duration) {
        let labels = vec![("model", model.to_owned()), ("stage", stage.to_owned())];
        let histogram = self.stage_seconds.get_or_create(&labels);
        histogram.observe(time.as_secs_f64());
    }

    /// The text for `/metrics`, with its content type.
    pub fn text(&self) -> (String, &'static str) {
        let mut text = String::new();
        // A `String` takes every text.
        let _ = encode(&mut text, &self.registry.lock());
        (text, OPEN_METRICS)
    }

    /// The metrics of one model.
    pub(crate) fn of_model(&self, model: &str) -> ModelMetrics {
        let labels = vec![("model", model.to_owned())];
        ModelMetrics {
            model: model.to_owned(),
            waiting: self.waiting.get_or_create(&labels).clone(),
            running: self.running.get_or_create(&labels).clone(),
            batch_rows: self.batch_rows.get_or_create(&labels).clone(),
            restarts: self.restarts.get_or_create(&labels).clone(),
            all: self.clone(),
        }
    }
}

/// The metrics of one model.
#[derive(Clone, Debug)]
pub(crate) struct ModelMetrics {
    model: String,
    waiting: Gauge,
    running: Gauge,
    batch_rows: Histogram,
    restarts: Counter,
    all: Metrics,
}

impl ModelMetrics {
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    pub(crate) fn set_gauges(&self, waiting: usize, running: usize) {
        self.waiting.set(waiting as i64);
        self.running.set(running as i64);
    }

    pub(crate) fn batch(&self, rows: usize) {
        self.batch_rows.observe(rows as f64);
    }

    pub(crate) fn stage(&self, stage: &'static str, time: Duration) {
        self.all.stage(&self.model, stage, time);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_metric_by_its_documented_name() {
        let metrics = Metrics::new();
        metrics.answered("/ping", 200, Duration::from_millis(1));
        let model = metrics.of_model("sd");
        model.set_gauges(3, 1);
        model.batch(2);
        model.restarted();
        model.stage("unet", Duration::from_secs(2));
        let (text, _) = metrics.text();
        for line in [
            "pyrograph_requests_total{route=\"/ping\",status=\"200\"} 1",
            "pyrograph_request_seconds_count{route=\"/ping\"} 1",
            "pyrograph_requests_waiting{model=\"sd\"} 3",
            "pyrograph_requests_running{model=\"sd\"} 1",
            "pyrograph_stage_seconds_sum{model=\"sd\",stage=\"unet\"} 2.0",
            "pyrograph_batch_rows_bucket{le=\"2.0\",model=\"sd\"} 1",
            "pyrograph_worker_restarts_total{model=\"sd\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
