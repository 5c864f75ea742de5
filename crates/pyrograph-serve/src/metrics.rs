//! Counters, gauges and histograms, in Prometheus' text format.
//!
//! Names: `pyrograph_requests_total{route,status}`, `pyrograph_requests_waiting{model}`, `pyrograph_requests_running{model}`,
//! `pyrograph_stage_seconds{model,stage}`, `pyrograph_request_seconds{route}`, `pyrograph_batch_rows{model}`,
//! `pyrograph_worker_restarts_total{model}`.

use std::time::Duration;

/// The metrics of a server. Clones share them.
#[derive(Clone)]
pub struct Metrics {}

impl Metrics {
    /// Empty metrics.
    pub fn new() -> Self {
        unimplemented!()
    }

    /// Counts an answered HTTP request.
    pub fn answered(&self, route: &str, status: u16, time: Duration) {
        unimplemented!()
    }

    /// Observes the time of a stage.
    pub fn stage(&self, model: &str, stage: &'static str, time: Duration) {
        unimplemented!()
    }

    /// The text for `/metrics`, as OpenMetrics or Prometheus' text format 0.0.4, with its content type.
    pub fn text(&self) -> (String, &'static str) {
        unimplemented!()
    }
}
