//! Requests that outlive their connection.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{ClientKey, Event, Progress, Refusal, RefusalKind};

use super::{
    ServerSettings, answers,
    app::SharedApp,
    calls::Call,
    encode::ImageFormat,
    errors::{error_body, internal},
};

/// How far a job is.
#[derive(Clone, Debug)]
enum State {
    Queued,
    Running,
    /// The JSON of the result. It is shared, since images are large.
    Done(Bytes),
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

    /// Bytes that it keeps.
    fn size(&self) -> usize {
        match self {
            Self::Done(result) => result.len(),
            _ => 0,
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
    /// Bytes of their results.
    bytes: usize,
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
    pub(super) fn get(&self, id: &str, owner: Option<&ClientKey>) -> Result<Response, Refusal> {
        let job = {
            let table = self.0.lock();
            table.find(id, owner)?.clone()
        };
        let mut summary = job.summary(id);
        Ok(match job.state {
            State::Done(result) => with_result(&summary, result),
            State::Failed(error) => {
                summary["error"] = error;
                json_of([summary.to_string().into()])
            }
            _ => json_of([summary.to_string().into()]),
        })
    }

    /// Cancels a job, or forgets one that has ended.
    ///
    /// # Errors
    /// When there is none of this id and owner.
    pub(super) fn remove(&self, id: &str, owner: Option<&ClientKey>) -> Result<Value, Refusal> {
        let mut table = self.0.lock();
        table.find(id, owner)?;
        let Some(job) = table.jobs.get_mut(id) else {
            return Err(unknown(id));
        };
        if job.state.has_ended() {
            let summary = job.summary(id);
            table.forget(id);
            return Ok(summary);
        }
        // Whatever its request still does, this is the end.
        job.state = State::Cancelled;
        job.cancel.cancel();
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

    /// Changes a job that has not ended.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        let mut table = self.0.lock();
        let job = table.jobs.get_mut(id);
        if let Some(job) = job.filter(|job| !job.state.has_ended()) {
            change(job);
        }
    }

    /// Ends a job, and forgets the oldest beyond the most jobs and bytes that are kept.
    fn end(&self, id: &str, state: State, settings: &ServerSettings) {
        self.change(id, |job| job.state = state);
        let mut table = self.0.lock();
        if let Some(job) = table.jobs.get(id) {
            table.bytes += job.state.size();
            table.ended.push_back(id.to_owned());
        }
        let is_over = |table: &Table| {
            let is_large = table.bytes > settings.job_bytes && table.ended.len() > 1;
            is_large || table.ended.len() > settings.jobs
        };
        while is_over(&table)
            && let Some(oldest) = table.ended.front().cloned()
        {
            table.forget(&oldest);
        }
    }
}

impl Table {
    fn find(&self, id: &str, owner: Option<&ClientKey>) -> Result<&Job, Refusal> {
        let job = self.jobs.get(id);
        let own = job.filter(|job| owner.is_none_or(|owner| *owner == job.owner));
        own.ok_or_else(|| unknown(id))
    }

    fn forget(&mut self, id: &str) {
        let place = self.ended.iter().position(|other| other == id);
        let has_ended = place.and_then(|place| self.ended.remove(place)).is_some();
        if let Some(job) = self.jobs.remove(id)
            && has_ended
        {
            self.bytes -= job.state.size();
        }
    }
}

fn unknown(id: &str) -> Refusal {
    let message = format!(
        "there is no job `{id}`: jobs that have ended are kept for a while only, and the last ones only"
    );
    Refusal::new(RefusalKind::NotFound, message).of_field("id")
}

/// The answer for a job that is done. The result is not copied, since images are large.
fn with_result(summary: &Value, result: Bytes) -> Response {
    let mut head = summary.to_string();
    // It is an object with fields: another follows.
    head.pop();
    head.push_str(",\"result\":");
    json_of([head.into(), result, Bytes::from_static(b"}")])
}

/// An answer of JSON in parts.
fn json_of<const N: usize>(parts: [Bytes; N]) -> Response {
    let length: usize = parts.iter().map(Bytes::len).sum();
    let parts = parts.map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(stream::iter(parts)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    response
}

/// Runs a job to its end, and forgets it after its time.
async fn run(app: SharedApp, call: Call, id: String, cancel: CancellationToken) {
    let state = tokio::select! {
        // A result that is there when the job is cancelled counts for nothing.
        biased;
        () = cancel.cancelled() => State::Cancelled,
        state = follow(&app, call, &id) => state,
    };
    app.jobs.end(&id, state, &app.settings);
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
                let text = encoded.and_then(|encoded| {
                    serde_json::to_vec(&encoded.json())
                        .map_err(|error| internal(&call.caller.id.0, &error))
                });
                return match text {
                    Ok(text) => State::Done(text.into()),
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
