//! A request that a worker runs.

use std::time::{Duration, Instant};

use super::queue::Listener;
use crate::{Demand, Event, Finished, Progress, Refusal, RefusalKind, TaskError, TaskOutput};

/// A request that a worker runs. One that is dropped without an end tells its client so: a worker that panics drops it.
pub(crate) struct Running<S> {
    /// Nothing once it has ended.
    pub(crate) state: Option<S>,
    pub(crate) demand: Demand,
    pub(crate) listener: Listener,
    pub(crate) progress: Progress,
    /// Names of the stages: begin, steps, finish.
    names: [&'static str; 3],
    stages: Vec<(&'static str, Duration)>,
    /// When its last stage ended.
    mark: Instant,
    previews_sent: usize,
    has_ended: bool,
}

impl<S> Running<S> {
    /// A request that has waited since `arrived`, before it is begun.
    pub(crate) fn new(
        demand: Demand,
        listener: Listener,
        arrived: Instant,
        names: [&'static str; 3],
    ) -> Self {
        let now = Instant::now();
        let progress = Progress {
            taken: 0,
            steps: demand.steps,
        };
        Self {
            state: None,
            demand,
            listener,
            progress,
            names,
            stages: vec![("queue", now - arrived)],
            mark: now,
            previews_sent: 0,
            has_ended: false,
        }
    }

    /// Time since it was taken from the queue.
    pub(crate) fn age(&self) -> Duration {
        self.mark.elapsed()
    }

    /// Ends the stage at `place` of the task's: its time.
    pub(crate) fn end_stage(&mut self, place: usize) -> Duration {
        let now = Instant::now();
        let time = now - self.mark;
        self.stages.push((self.names[place], time));
        self.mark = now;
        time
    }

    /// Notes a step, and tells the client.
    pub(crate) fn stepped(&mut self, progress: Progress) {
        self.progress = progress;
        self.listener.tell(Event::Step(progress));
    }

    /// The place of the preview that is due now: they are spread evenly over the steps.
    pub(crate) fn due_preview(&mut self) -> Option<usize> {
        let Progress { taken, steps } = self.progress;
        let (sent, asked) = (self.previews_sent, self.listener.previews);
        let is_due = sent < asked && taken < steps && taken * (asked + 1) >= (sent + 1) * steps;
        is_due.then(|| {
            self.previews_sent += 1;
            sent
        })
    }

    /// The times of its stages so far.
    pub(crate) fn stages(&self) -> &[(&'static str, Duration)] {
        &self.stages
    }

    /// Ends with a result.
    pub(crate) fn done(mut self, output: TaskOutput) {
        let stages = std::mem::take(&mut self.stages);
        self.end(Ok(Finished {
            output,
            stages,
            steps: self.progress.taken,
        }));
    }

    /// Ends without a result.
    pub(crate) fn refuse(mut self, refusal: Refusal) {
        self.end(Err(refusal));
    }

    /// Ends by the failure of its task.
    pub(crate) fn fail(self, error: &TaskError) {
        let refusal = match error {
            TaskError::Refused(refusal) => refusal.clone(),
            // A step ends early for a deadline that passed too.
            TaskError::Stopped => self.listener.gone(Instant::now()).unwrap_or_else(|| {
                Refusal::new(RefusalKind::Cancelled, "the request was cancelled")
            }),
            TaskError::Failed(error) => {
                tracing::error!(request = self.listener.id, error = %chain(error.as_ref()), "the task failed");
                hidden()
            }
        };
        self.refuse(refusal);
    }

    fn end(&mut self, result: Result<Finished, Refusal>) {
        self.has_ended = true;
        self.listener.tell(Event::Done(result));
    }
}

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(Err(hidden()));
        }
    }
}

/// What a client is told of a fault of the server.
fn hidden() -> Refusal {
    Refusal::new(
        RefusalKind::Internal,
        "the server failed: the reason is in its log, under the id of the request",
    )
}

/// An error and its sources, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Transparent errors say what their source says.
        if !text.ends_with(&more) {
            text += &format!(": {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;
    use crate::BatchKey;

    fn running(steps: usize, previews: usize) -> (Running<()>, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let listener = Listener {
            id: "1".into(),
            events,
            cancelled: Arc::default(),
            deadline: Instant::now() + Duration::from_secs(60),
            previews,
        };
        let demand = Demand {
            key: BatchKey("a".into()),
            rows: 1,
            steps,
            work: 1.0,
        };
        let names = ["text", "unet", "vae"];
        (
            Running::new(demand, listener, Instant::now(), names),
            receiver,
        )
    }

    #[test]
    fn previews_are_spread_evenly_and_none_comes_with_the_result() {
        let due = |steps, previews| {
            let (mut running, _receiver) = running(steps, previews);
            let mut places = Vec::new();
            for taken in 1..=steps {
                running.stepped(Progress { taken, steps });
                places.extend(running.due_preview().map(|_| taken));
            }
            places
        };
        assert_eq!(due(20, 3), [5, 10, 15]);
        assert_eq!(due(3, 3), [1, 2]);
        assert!(due(1, 3).is_empty());
        assert!(due(20, 0).is_empty());
    }

    #[test]
    fn a_request_that_is_dropped_tells_its_client() {
        let (running, mut receiver) = running(3, 0);
        drop(running);
        let Some(Event::Done(Err(refusal))) = receiver.blocking_recv() else {
            panic!("no end was told");
        };
        assert_eq!(refusal.kind, RefusalKind::Internal);
    }
}
