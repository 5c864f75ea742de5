//! State that the workers of a model and its clients share.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    caps::Caps,
    estimate::{Basis, Estimates},
    queue::{Entry, Queue},
};
use crate::{Demand, ModelSettings, Refusal, RefusalKind, metrics::ModelMetrics};

/// State that the workers of a model and its clients share.
pub(crate) struct Shared<I> {
    state: Mutex<State<I>>,
    changed: Condvar,
    pub(crate) settings: ModelSettings,
    pub(crate) metrics: ModelMetrics,
}

/// What the lock guards.
pub(crate) struct State<I> {
    pub(crate) queue: Queue<I>,
    pub(crate) estimates: Estimates,
    pub(crate) workers: Vec<WorkerView>,
    /// No further request is accepted.
    pub(crate) is_draining: bool,
    /// Workers end after their step.
    pub(crate) is_stopping: bool,
}

/// A worker, seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct WorkerView {
    pub(crate) state: WorkerState,
    pub(crate) caps: Caps,
    /// Requests that it runs.
    pub(crate) running: usize,
    /// Estimated seconds until it has ended them.
    pub(crate) seconds: f64,
}

/// Whether a worker serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    Loading,
    Ready,
    Failed(String),
    Ended,
}

impl<I> Shared<I> {
    pub(crate) fn new(settings: ModelSettings, metrics: ModelMetrics) -> Self {
        let worker = WorkerView {
            state: WorkerState::Loading,
            caps: Caps::default(),
            running: 0,
            seconds: 0.0,
        };
        Self {
            state: Mutex::new(State {
                queue: Queue::default(),
                estimates: Estimates::default(),
                workers: vec![worker; settings.devices.len()],
                is_draining: false,
                is_stopping: false,
            }),
            changed: Condvar::new(),
            settings,
            metrics,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock()
    }

    /// Changes the state, brings the gauges to it and wakes all workers.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State<I>) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        self.gauge(&state);
        self.changed.notify_all();
        result
    }

    /// Waits for a change, `time` at most.
    pub(crate) fn wait(&self, state: &mut MutexGuard<'_, State<I>>, time: Duration) {
        self.changed.wait_for(state, time);
    }

    /// Gauges are set from the state, so that they cannot drift from it.
    pub(crate) fn gauge(&self, state: &State<I>) {
        let running = state.workers.iter().map(|worker| worker.running).sum();
        self.metrics.set_gauges(state.queue.len(), running);
    }

    /// Refuses what cannot be queued now, whatever the request is.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        let mut state = self.lock();
        state.check_open()?;
        if state.queue.len() >= self.settings.queue {
            state.queue.sweep(Instant::now());
            self.gauge(&state);
        }
        match state.queue.len() < Queue::<I>::bound(self.settings.queue) {
            true => Ok(()),
            false => Err(state.full()),
        }
    }

    /// Queues a request.
    pub(crate) fn push(&self, mut entry: Entry<I>) -> Result<(), Refusal> {
        self.change(|state| {
            state.check_open()?;
            if !state.queue.has_room(&entry.client, self.settings.queue) {
                return Err(state.full());
            }
            state.check_deadline(&entry)?;
            entry.cost = state.estimates.cost(&entry.demand);
            state.queue.push(entry);
            Ok(())
        })
    }
}

impl<I> State<I> {
    fn check_open(&self) -> Result<(), Refusal> {
        let reason = if self.is_draining {
            "the server shuts down"
        } else if self
            .workers
            .iter()
            .any(|worker| worker.state == WorkerState::Ready)
        {
            return Ok(());
        } else if self
            .workers
            .iter()
            .any(|worker| worker.state == WorkerState::Loading)
        {
            "the model is not loaded yet"
        } else {
            "the model does not load: the reason is in the server's log"
        };
        Err(Refusal::new(RefusalKind::Unavailable, reason).with_retry_after(Duration::from_secs(5)))
    }

    fn full(&self) -> Refusal {
        let message = format!("the queue is full: {} requests wait", self.queue.len());
        // About the time after which the next request leaves the queue.
        let each = self.until_done(self.queue.cost()) / (self.queue.len() + 1) as f64;
        let wait = Duration::try_from_secs_f64(each).unwrap_or_default();
        Refusal::new(RefusalKind::QueueFull, message)
            .with_retry_after(wait.max(Duration::from_secs(1)))
    }

    /// Refuses a request that will not be done in time: for ever if it would not be alone, for now if others are before it.
    fn check_deadline(&self, entry: &Entry<I>) -> Result<(), Refusal> {
        let demand = &entry.demand;
        let own = |basis| self.estimates.seconds(demand, demand.steps, basis);
        let (Some(least), Some(mean)) = (own(Basis::Least), own(Basis::Mean)) else {
            return Ok(());
        };
        let deadline = entry.listener.deadline;
        let left = deadline
            .saturating_duration_since(Instant::now())
            .as_secs_f64();
        // What cannot be beaten decides, so that a slow moment does not refuse for ever.
        if least > left {
            let message = format!(
                "the request would take about {least:.1} s on this server, but its deadline is in {left:.2} s: ask for fewer \
                 steps or a smaller image, or post it to /v1/jobs, which answers at once"
            );
            return Err(Refusal::new(RefusalKind::Invalid, message));
        }
        let before = self.queue.cost_before(&entry.client, mean);
        let whole = self.until_done(before) + least;
        if whole > left {
            let message = format!(
                "with the requests before it the request would take about {whole:.1} s, but its deadline is in {left:.2} s: \
                 try again later, or post it to /v1/jobs, which answers at once"
            );
            let wait = Duration::try_from_secs_f64(whole - left).unwrap_or_default();
            return Err(Refusal::new(RefusalKind::QueueFull, message)
                .with_retry_after(wait.max(Duration::from_secs(1))));
        }
        Ok(())
    }

    /// Estimated seconds until what runs and `waiting` seconds of what waits have ended.
    fn until_done(&self, waiting: f64) -> f64 {
        let ready = self
            .workers
            .iter()
            .filter(|worker| worker.state == WorkerState::Ready);
        let running: f64 = self.workers.iter().map(|worker| worker.seconds).sum();
        (waiting + running) / ready.count().max(1) as f64
    }

    /// The estimated seconds of `demand` with `steps` steps left.
    pub(crate) fn seconds(&self, demand: &Demand, steps: usize) -> f64 {
        self.estimates
            .seconds(demand, steps, Basis::Mean)
            .unwrap_or(0.0)
    }
}
