//! One request: sent, answered and timed.

use std::{error::Error, time::Instant};

use bytes::Bytes;
use reqwest::{
    Method, Request, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};

use pyrograph_base::SplitMix64;

use crate::{BodyOrder, LoadError, LoadPlan, answer};

/// Bytes of an error's body that are kept for its words.
const ERROR_BYTES: usize = 4096;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A status of 2xx, and the whole body.
    Success,
    /// Another status.
    Status(u16),
    /// No connection.
    Connect,
    /// No whole answer within the time limit.
    Timeout,
    /// The connection was lost, or broke the protocol, before the answer began.
    Request,
    /// The body of a successful answer broke off.
    Body,
    /// A stream of events that began with success told of an error.
    Event,
}

impl Outcome {
    /// The key in the report.
    pub(crate) fn key(&self) -> String {
        match self {
            Outcome::Success => "success".into(),
            Outcome::Status(status) => format!("status {status}"),
            Outcome::Connect => "connect".into(),
            Outcome::Timeout => "timeout".into(),
            Outcome::Request => "request".into(),
            Outcome::Body => "body".into(),
            Outcome::Event => "event".into(),
        }
    }
}

/// A request that ended.
#[derive(Debug)]
pub(crate) struct Sample {
    /// When it was to start.
    pub(crate) intended: Instant,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// When the head of the answer came.
    pub(crate) first_byte: Option<Instant>,
    /// When it ended.
    pub(crate) end: Instant,
    pub(crate) outcome: Outcome,
    /// The words of an error, empty for a success.
    pub(crate) message: String,
    pub(crate) bytes: u64,
    pub(crate) images: u64,
    pub(crate) stages: Vec<(String, f64)>,
    /// The body, where the plan keeps it.
    pub(crate) body: Option<Vec<u8>>,
}

/// What is told of an answer, as far as it came.
#[derive(Default)]
struct Answer {
    first_byte: Option<Instant>,
    status: Option<StatusCode>,
    content_type: String,
    stages: Vec<(String, f64)>,
    bytes: u64,
    body: Vec<u8>,
}

/// Sends the requests of a plan.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    /// The bodies, shared by their requests.
    bodies: Vec<Bytes>,
    plan: LoadPlan,
}

impl Client {
    /// Follows no redirect and uses no proxy: only the endpoint itself is measured.
    pub(crate) fn new(plan: &LoadPlan) -> Result<Self, LoadError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(usize::MAX)
            .tcp_nodelay(true)
            .build()
            .map_err(LoadError::Client)?;
        Ok(Self {
            http,
            url: plan.address()?,
            headers: headers(plan)?,
            bodies: plan.bodies.iter().cloned().map(Bytes::from).collect(),
            plan: plan.clone(),
        })
    }

    /// Sends request `index`, which was to start at `intended`.
    pub(crate) async fn call(&self, index: u64, intended: Instant) -> Sample {
        let request = self.request(index);
        let sent = Instant::now();
        let mut answer = Answer::default();
        let exchange = self.exchange(request, &mut answer);
        let result = tokio::time::timeout(self.plan.timeout, exchange).await;
        let end = Instant::now();
        let (outcome, message) = match result {
            Err(_) => (
                Outcome::Timeout,
                format!("no answer within {:?}", self.plan.timeout),
            ),
            Ok(Err(error)) => (kind_of(&error, &answer), words_of(&error)),
            Ok(Ok(())) => judged(&answer),
        };
        let is_success = outcome == Outcome::Success;
        Sample {
            intended,
            sent,
            first_byte: answer.first_byte,
            end,
            images: if is_success {
                answer::count_images(&answer.content_type, &answer.body)
            } else {
                0
            },
            outcome,
            message,
            bytes: answer.bytes,
            stages: answer.stages,
            body: (is_success && self.plan.keep_first).then_some(answer.body),
        }
    }

    fn request(&self, index: u64) -> Request {
        let bodies = &self.bodies;
        let method = if bodies.is_empty() {
            Method::GET
        } else {
            Method::POST
        };
        let mut request = Request::new(method, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        let place = match self.plan.order {
            // The remainder is below a usize.
            BodyOrder::InTurn => (index % bodies.len().max(1) as u64) as usize,
            BodyOrder::Drawn => drawn_index(self.plan.seed, index, bodies.len()),
        };
        if let Some(body) = bodies.get(place) {
            *request.body_mut() = Some(body.clone().into());
        }
        request
    }

    /// Sends a request and reads its answer to the end.
    async fn exchange(&self, request: Request, answer: &mut Answer) -> reqwest::Result<()> {
        let mut response = self.http.execute(request).await?;
        answer.first_byte = Some(Instant::now());
        let status = response.status();
        answer.status = Some(status);
        answer.content_type = header(&response, CONTENT_TYPE.as_str());
        answer.stages = answer::stages(&header(&response, "server-timing"));
        let keep = match status.is_success() {
            true if self.plan.keep_first || answer::is_read(&answer.content_type) => usize::MAX,
            true => 0,
            false => ERROR_BYTES,
        };
        while let Some(chunk) = response.chunk().await? {
            answer.bytes += chunk.len() as u64;
            let room = keep.saturating_sub(answer.body.len()).min(chunk.len());
            answer.body.extend_from_slice(&chunk[..room]);
        }
        Ok(())
    }
}

fn header(response: &Response, name: &str) -> String {
    let value = response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn headers(plan: &LoadPlan) -> Result<HeaderMap, LoadError> {
    let mut headers = HeaderMap::new();
    let mut set = |name: &str, value: &str| {
        let malformed = || LoadError::Header { name: name.into() };
        let key = HeaderName::try_from(name).map_err(|_| malformed())?;
        headers.insert(key, HeaderValue::try_from(value).map_err(|_| malformed())?);
        Ok(())
    };
    if !plan.bodies.is_empty() {
        set(CONTENT_TYPE.as_str(), &plan.content_type)?;
    }
    if let Some(accept) = &plan.accept {
        set(ACCEPT.as_str(), accept)?;
    }
    if let Some(token) = &plan.token {
        set(AUTHORIZATION.as_str(), &format!("Bearer {token}"))?;
    }
    plan.headers
        .iter()
        .try_for_each(|(name, value)| set(name, value))?;
    Ok(headers)
}

/// The outcome of a whole answer.
fn judged(answer: &Answer) -> (Outcome, String) {
    if let Some(status) = answer.status.filter(|status| !status.is_success()) {
        let words = answer::words_of_error(&answer.body);
        return (Outcome::Status(status.as_u16()), words);
    }
    match answer::late_error(&answer.content_type, &answer.body) {
        Some(words) => (Outcome::Event, words),
        None => (Outcome::Success, String::new()),
    }
}

fn kind_of(error: &reqwest::Error, answer: &Answer) -> Outcome {
    match answer.status {
        Some(status) if status.is_success() => Outcome::Body,
        // The status says more than a body of it that broke off.
        Some(status) => Outcome::Status(status.as_u16()),
        None if error.is_connect() => Outcome::Connect,
        None => Outcome::Request,
    }
}

/// An error and its causes, without the address.
fn words_of(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes.dedup();
    causes.join(": ")
}

/// The body of request `index` among `count`, drawn without state, so that clients need none in common.
fn drawn_index(seed: u64, index: u64, count: usize) -> usize {
    SplitMix64::of([seed, index]).below(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_drawn_and_the_seed_decides() {
        let draw = |seed| (0..64).map(|i| drawn_index(seed, i, 3)).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..3).all(|body| draw(1).contains(&body)));
    }
}
