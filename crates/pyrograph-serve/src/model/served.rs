//! What a model does for any task: it keeps its workers at work, and takes requests.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use pyrograph_backend::DeviceSpec;
use tokio::sync::mpsc;

use super::ModelState;
use crate::{
    Refusal, Submission, Task, TaskError, Ticket,
    scheduling::{Entry, Listener, Shared, Worker, WorkerState, chain},
    ticket::CancelOnDrop,
};

/// Pause before a worker that failed starts anew; after each further failure it is twice as long.
const RESTART: Duration = Duration::from_secs(1);

/// Starts without success after which a worker that once was ready stays failed.
const RESTARTS: u32 = 6;

/// A model without its types.
pub(super) trait Served: Send + Sync {
    fn task(&self) -> &'static str;
    fn schema(&self) -> serde_json::Value;
    fn state(&self) -> ModelState;
    fn admit(&self) -> Result<(), Refusal>;
    fn submit(&self, submission: Submission) -> Result<Ticket, Refusal>;
    fn drain(&self);
    fn is_idle(&self) -> bool;
    /// Whether each worker loads its model, and so does not hear of the end.
    fn stop(&self) -> Vec<bool>;
}

/// A task, and the state that its workers and clients share.
pub(super) struct Inner<T: Task> {
    pub(super) task: T,
    pub(super) shared: Shared<T::Input>,
}

impl<T: Task> Inner<T> {
    /// Works on `device` until the server stops. After a panic or a failure the worker starts anew, up to [`RESTARTS`] times
    /// without success; a model that has never been ready and fails stays failed.
    pub(super) fn keep_working(&self, index: usize, device: DeviceSpec) {
        let mut failures = RESTARTS;
        loop {
            let worker = Worker {
                device,
                index,
                shared: &self.shared,
                demand_of: &|input| self.task.demand(input).sane(),
                stages: self.task.stages(),
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| self.task.work(worker)));
            let model = self.shared.metrics.model();
            let reason = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(reason_of(&error)),
                Err(panic) => Some(format!("panic: {}", message_of(panic.as_ref()))),
            };
            let is_over = self.shared.change(|state| {
                let stops = state.is_stopping;
                let view = &mut state.workers[index];
                let before = std::mem::replace(&mut view.state, WorkerState::Loading);
                (view.running, view.seconds) = (0, 0.0);
                failures = match before {
                    WorkerState::Ready => 0,
                    _ => failures + 1,
                };
                view.state = match &reason {
                    None => WorkerState::Ended,
                    Some(_) if stops => WorkerState::Ended,
                    Some(reason) if failures > RESTARTS => WorkerState::Failed(reason.clone()),
                    Some(_) => WorkerState::Loading,
                };
                view.state != WorkerState::Loading
            });
            if let Some(reason) = reason {
                tracing::error!(model, device = %device, reason, restarts = !is_over, "a worker failed");
            }
            if is_over {
                return self.refuse_without_workers();
            }
            self.shared.metrics.restarted();
            thread::sleep(RESTART * 2_u32.pow(failures));
            let is_stopping = self.shared.change(|state| {
                if state.is_stopping {
                    state.workers[index].state = WorkerState::Ended;
                }
                state.is_stopping
            });
            if is_stopping {
                return self.refuse_without_workers();
            }
        }
    }

    /// Refuses what waits where no worker is left.
    fn refuse_without_workers(&self) {
        self.shared.change(|state| {
            let is_over =
                |state: &WorkerState| matches!(state, WorkerState::Failed(_) | WorkerState::Ended);
            if state.workers.iter().all(|view| is_over(&view.state)) {
                let refusal = Refusal::new(
                    crate::RefusalKind::Unavailable,
                    "the server shuts down, or its model failed",
                );
                state.queue.refuse(&refusal);
            }
        });
    }
}

impl<T: Task> Served for Inner<T> {
    fn task(&self) -> &'static str {
        self.task.name()
    }

    fn schema(&self) -> serde_json::Value {
        self.task.schema()
    }

    fn state(&self) -> ModelState {
        let state = self.shared.lock();
        let mut failure = None;
        let mut is_loading = false;
        for view in &state.workers {
            match &view.state {
                WorkerState::Ready if !state.is_draining => return ModelState::Ready,
                WorkerState::Failed(reason) => failure = Some(reason.clone()),
                WorkerState::Loading => is_loading = true,
                WorkerState::Ready | WorkerState::Ended => {}
            }
        }
        match failure {
            _ if state.is_draining => ModelState::Draining,
            _ if is_loading => ModelState::Loading,
            Some(reason) => ModelState::Failed(reason),
            None => ModelState::Failed("no worker could be started".into()),
        }
    }

    fn admit(&self) -> Result<(), Refusal> {
        self.shared.admit()
    }

    fn submit(&self, submission: Submission) -> Result<Ticket, Refusal> {
        let arrived = Instant::now();
        let input = self
            .task
            .parse(submission.body, &self.shared.settings.limits)?;
        check_images(self.task.images(&input), submission.most_images)?;
        let demand = self.task.demand(&input).sane();
        let (sender, events) = mpsc::unbounded_channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            id: submission.id,
            events: sender,
            cancelled: Arc::clone(&cancelled),
            deadline: submission.deadline,
            previews: submission.previews,
        };
        let entry = Entry {
            client: submission.client,
            input,
            demand,
            listener,
            arrived,
            cost: 0.0,
        };
        let ticket = Ticket {
            events,
            _cancel: CancelOnDrop(cancelled),
        };
        self.shared.push(entry)?;
        Ok(ticket)
    }

    fn drain(&self) {
        self.shared.change(|state| state.is_draining = true);
    }

    fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        state.queue.len() == 0 && state.workers.iter().all(|view| view.running == 0)
    }

    fn stop(&self) -> Vec<bool> {
        let refusal = Refusal::new(crate::RefusalKind::Unavailable, "the server shuts down");
        self.shared.change(|state| {
            state.is_draining = true;
            state.is_stopping = true;
            // At once: a worker may be in a long step, or load its model and never come to it.
            state.queue.refuse(&refusal);
            let states = state.workers.iter().map(|view| &view.state);
            states.map(|state| *state == WorkerState::Loading).collect()
        })
    }
}

/// Refuses a request for more images than its answer can hold.
fn check_images(images: Option<usize>, most: Option<usize>) -> Result<(), Refusal> {
    match (images, most) {
        (Some(images), Some(most)) if images > most => {
            let message = format!(
                "the result has {images} images, but `Accept` allows a type for {most} at most: several come as \
                 application/json, one also as image/png, image/jpeg or image/webp"
            );
            Err(Refusal::new(crate::RefusalKind::NotAcceptable, message))
        }
        _ => Ok(()),
    }
}

fn reason_of(error: &TaskError) -> String {
    match error {
        TaskError::Failed(error) => chain(error.as_ref()),
        error => chain(error),
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return text;
    }
    panic
        .downcast_ref::<String>()
        .map_or("without a message", String::as_str)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_dropped_ticket_cancels_its_request() {
        let flag = Arc::new(AtomicBool::new(false));
        let (_, events) = mpsc::unbounded_channel();
        let ticket = Ticket {
            events,
            _cancel: CancelOnDrop(Arc::clone(&flag)),
        };
        assert!(!flag.load(Ordering::Acquire));
        drop(ticket);
        assert!(flag.load(Ordering::Acquire));
    }
}
