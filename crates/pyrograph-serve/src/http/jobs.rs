//! Requests that outlive their connection.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{ClientKey, Event, Progress, Refusal, RefusalKind};

use super::{answers, app::SharedApp, calls::Call, encode::ImageFormat, errors::error_body};

/// How far a job is.
#[derive(Clone, Debug)]
enum State {
    Queued,
    Running,
    /// The result. It is shared, since images are large.
    Done(Arc<Value>),
    Failed(Value),
    Cancelled,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn has_ended(&self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

#[derive(Clone, Debug)]
struct Job {
    owner: ClientKey,
    model: String,
    created: u64,
    state: State,
    progress: Option<Progress>,
    cancel: CancellationToken,
}

impl Job {
    /// The job without its result.
    fn summary(&self, id: &str) -> Value {
        let steps = |number: fn(Progress) -> usize| self.progress.map(number);
        json!({
            "id": id,
            "status": self.state.name(),
            "model": self.model,
            "created_at": self.created,
            "step": steps(|progress| progress.taken).unwrap_or(0),
            "steps": steps(|progress| progress.steps),
        })
    }
}

/// The jobs of a server: those that have not ended, and the last ones that have.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    jobs: BTreeMap<String, Job>,
    /// Those that have ended, the first to end first.
    ended: VecDeque<String>,
}

impl Jobs {
    /// Runs a call as a job: its id.
    pub(super) fn start(app: &SharedApp, call: Call) -> String {
        let id = format!("job-{}", Uuid::new_v4().simple());
        let cancel = CancellationToken::new();
        let job = Job {
            owner: call.caller.client.clone(),
            model: call.model.name().to_owned(),
            created: seconds_since_1970(),
            state: State::Queued,
            progress: None,
            cancel: cancel.clone(),
        };
        app.jobs.0.lock().jobs.insert(id.clone(), job);
        tokio::spawn(run(Arc::clone(app), call, id.clone(), cancel));
        id
    }

    /// A job with its result.
    ///
    /// # Errors
    /// When there is none of this id and owner.
    pub(super) fn get(&self, id: &str, owner: Option<&ClientKey>) -> Result<Value, Refusal> {
        let job = self.find(id, owner)?;
        let mut value = job.summary(id);
        match &job.state {
            State::Done(result) => value["result"] = Value::clone(result),
            State::Failed(error) => value["error"] = error.clone(),
            _ => {}
        }
        Ok(value)
    }

    /// Cancels a job, or forgets one that has ended.
    ///
    /// # Errors
    /// When there is none of this id and owner.
    pub(super) fn remove(&self, id: &str, owner: Option<&ClientKey>) -> Result<Value, Refusal> {
        let job = self.find(id, owner)?;
        if job.state.has_ended() {
            self.0.lock().forget(id);
            return Ok(job.summary(id));
        }
        job.cancel.cancel();
        let mut job = job;
        job.state = State::Cancelled;
        Ok(job.summary(id))
    }

    /// All jobs of an owner, without their results, the first to come first.
    pub(super) fn list(&self, owner: Option<&ClientKey>) -> Vec<Value> {
        let table = self.0.lock();
        let mut jobs: Vec<_> = table
            .jobs
            .iter()
            .filter(|(_, job)| owner.is_none_or(|owner| *owner == job.owner))
            .collect();
        jobs.sort_by_key(|(_, job)| job.created);
        jobs.into_iter().map(|(id, job)| job.summary(id)).collect()
    }

    fn find(&self, id: &str, owner: Option<&ClientKey>) -> Result<Job, Refusal> {
        let table = self.0.lock();
        let job = table.jobs.get(id);
        let own = job.filter(|job| owner.is_none_or(|owner| *owner == job.owner));
        own.cloned().ok_or_else(|| {
            let message =
                format!("there is no job `{id}`: jobs that have ended are kept for a while only");
            Refusal::new(RefusalKind::NotFound, message).of_field("id")
        })
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.0.lock().jobs.get_mut(id) {
            change(job);
        }
    }

    /// Ends a job, and forgets the oldest beyond `most`.
    fn end(&self, id: &str, state: State, most: usize) {
        let mut table = self.0.lock();
        if let Some(job) = table.jobs.get_mut(id) {
            job.state = state;
            table.ended.push_back(id.to_owned());
        }
        while table.ended.len() > most {
            if let Some(oldest) = table.ended.pop_front() {
                table.jobs.remove(&oldest);
            }
        }
    }
}

impl Table {
    fn forget(&mut self, id: &str) {
        self.jobs.remove(id);
        self.ended.retain(|other| other != id);
    }
}

/// Runs a job to its end, and forgets it after its time.
async fn run(app: SharedApp, call: Call, id: String, cancel: CancellationToken) {
    let state = tokio::select! {
        // A result that is there when the job is cancelled counts for nothing.
        biased;
        () = cancel.cancelled() => State::Cancelled,
        state = follow(&app, call, &id) => state,
    };
    app.jobs.end(&id, state, app.settings.jobs);
    let time: Duration = app.settings.job_time;
    // The timer alone must not keep the models.
    let app = Arc::downgrade(&app);
    tokio::time::sleep(time).await;
    if let Some(app) = app.upgrade() {
        app.jobs.0.lock().forget(&id);
    }
}

async fn follow(app: &SharedApp, mut call: Call, id: &str) -> State {
    while let Some(event) = call.next().await {
        match event {
            Event::Started => app.jobs.change(id, |job| job.state = State::Running),
            Event::Step(progress) => app.jobs.change(id, |job| job.progress = Some(progress)),
            Event::Preview { .. } => {}
            Event::Done(result) => {
                let encoded = match result {
                    Ok(finished) => answers::encoded(app, &call, finished, ImageFormat::Png).await,
                    Err(refusal) => Err(refusal),
                };
                return match encoded {
                    Ok(encoded) => State::Done(Arc::new(encoded.json())),
                    Err(refusal) => State::Failed(failure(&refusal, &call)),
                };
            }
        }
    }
    State::Failed(failure(&crate::ticket::lost(), &call))
}

fn failure(refusal: &Refusal, call: &Call) -> Value {
    error_body(refusal, &call.caller.id.0)["error"].take()
}

/// Seconds since 1970.
pub(super) fn seconds_since_1970() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0, |time| time.as_secs())
}
