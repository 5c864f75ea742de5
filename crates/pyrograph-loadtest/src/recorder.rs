//! What is kept of the requests that ended.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    Latencies,
    client::{Outcome, Sample},
};

/// A start is late when it lags its intended time by more.
const LATE: Duration = Duration::from_millis(20);
/// Requests that a picture shows at most.
const TIMELINE: usize = 1_000_000;

/// A request on the time axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimelinePoint {
    /// When it was to start, in seconds from the start of the measurement.
    pub start: f64,
    /// Its latency in seconds.
    pub latency: f64,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// Sums over the requests that ended.
pub(crate) struct Recorder {
    started: Instant,
    /// Of successes, from the intended start.
    pub(crate) latency: Latencies,
    /// Of successes, from the sending.
    pub(crate) service: Latencies,
    /// Of successes, from the intended start to the head of the answer.
    pub(crate) first_byte: Latencies,
    /// Of failures, from the intended start.
    pub(crate) failed: Latencies,
    /// Requests that were sent later than intended.
    pub(crate) late: u64,
    pub(crate) images: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) messages: BTreeMap<String, String>,
    /// The stages' count and sum of milliseconds.
    stages: BTreeMap<String, (u64, f64)>,
    pub(crate) timeline: Vec<TimelinePoint>,
    pub(crate) first_answer: Option<Vec<u8>>,
    /// When the last request ended.
    last: Instant,
    /// Requests without a connection, as long as there was nothing else.
    unconnected: Option<u64>,
}

impl Recorder {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            latency: Latencies::new(),
            service: Latencies::new(),
            first_byte: Latencies::new(),
            failed: Latencies::new(),
            late: 0,
            images: 0,
            bytes: 0,
            errors: BTreeMap::new(),
            messages: BTreeMap::new(),
            stages: BTreeMap::new(),
            timeline: Vec::new(),
            first_answer: None,
            last: started,
            unconnected: Some(0),
        }
    }

    pub(crate) fn record(&mut self, sample: Sample) {
        let since = |start: Instant| (sample.end - start).as_secs_f64();
        let latency = since(sample.intended);
        let succeeded = sample.outcome == Outcome::Success;
        if succeeded {
            self.latency.record(latency);
            self.service.record(since(sample.sent));
            if let Some(first) = sample.first_byte {
                self.first_byte
                    .record((first - sample.intended).as_secs_f64());
            }
            self.images += sample.images;
        } else {
            self.failed.record(latency);
            let key = sample.outcome.key();
            *self.errors.entry(key.clone()).or_default() += 1;
            self.messages.entry(key).or_insert(sample.message);
        }
        self.unconnected = match sample.outcome {
            Outcome::Connect => self.unconnected.map(|count| count + 1),
            _ => None,
        };
        self.late += u64::from(sample.sent - sample.intended > LATE);
        self.bytes += sample.bytes;
        for (stage, milliseconds) in sample.stages {
            let (count, sum) = self.stages.entry(stage).or_default();
            *count += 1;
            *sum += milliseconds;
        }
        if self.timeline.len() < TIMELINE {
            self.timeline.push(TimelinePoint {
                start: (sample.intended - self.started).as_secs_f64(),
                latency,
                succeeded,
            });
        }
        if self.first_answer.is_none() {
            self.first_answer = sample.body;
        }
        self.last = self.last.max(sample.end);
    }

    /// Requests that ended.
    pub(crate) fn done(&self) -> u64 {
        self.latency.count() + self.failed.count()
    }

    /// Whether the first `limit` requests found no connection, and nothing else came.
    pub(crate) fn is_unconnected(&self, limit: u64) -> bool {
        limit > 0 && self.unconnected.is_some_and(|count| count >= limit)
    }

    /// Ends the measurement now: no further request is waited for.
    pub(crate) fn interrupt(&mut self) {
        self.last = Instant::now();
    }

    /// Seconds from the start to the end of the last request, or to the interruption.
    pub(crate) fn seconds(&self) -> f64 {
        (self.last - self.started).as_secs_f64()
    }

    /// The mean milliseconds of each stage.
    pub(crate) fn stage_means(&self) -> BTreeMap<String, f64> {
        let mean =
            |(name, (count, sum)): (&String, &(u64, f64))| (name.clone(), sum / *count as f64);
        self.stages.iter().map(mean).collect()
    }
}
