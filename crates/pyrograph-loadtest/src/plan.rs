//! The settings of a load test.

use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{ARTICLE_PROMPT, LoadError};

/// Requests of a plan without a number.
const DEFAULT_REQUESTS: u64 = 200;
/// The calls of the article's loop.
const ARTICLE_CALLS: u64 = 10;
/// More clients or requests in flight than a system has ports.
const MOST_AT_ONCE: u64 = 65_535;
/// The pacing thread cannot keep up with more.
const HIGHEST_RATE: f64 = 1e6;

/// How requests of an open loop arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At equal distances.
    #[default]
    Constant,
    /// With exponential distances, as those of independent users.
    Poisson,
}

/// Which of several bodies a request carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyOrder {
    /// One after the other.
    #[default]
    InTurn,
    /// Drawn by the seed of the plan, with replacement.
    Drawn,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "loop", rename_all = "snake_case")]
pub enum Load {
    /// Each of `clients` clients sends a request when it has the answer to the one before.
    Closed {
        /// Clients at once.
        clients: usize,
    },
    /// Requests arrive at `rate` a second, whether or not earlier ones are answered.
    Open {
        /// Requests a second.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
        /// Requests at once. Further ones wait, and the wait counts into their latency.
        in_flight: usize,
    },
}

/// Where requests go, what they carry, how they arrive, and what ends the test.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPlan {
    /// The address, http or https.
    pub url: String,
    /// Bodies; with none, requests are GET, otherwise POST.
    pub bodies: Vec<Vec<u8>>,
    /// Which body a request carries.
    pub order: BodyOrder,
    /// The content type of the bodies.
    pub content_type: String,
    /// The `Accept` header; none is sent without it.
    pub accept: Option<String>,
    /// Further headers, name and value.
    pub headers: Vec<(String, String)>,
    /// A bearer token.
    pub token: Option<String>,
    /// How requests are sent.
    pub load: Load,
    /// Requests measured at most.
    pub requests: Option<u64>,
    /// No request starts after this time; those in flight are waited for.
    pub duration: Option<Duration>,
    /// Requests before the measurement, which enter no figure.
    pub warm_up: u64,
    /// Time from the sending of a request to the end of its answer.
    pub timeout: Duration,
    /// Seed of Poisson arrivals, drawn bodies and the bootstrap.
    pub seed: u64,
    /// The test ends when this many requests at its beginning found no connection and none had an answer; 0 for never.
    pub give_up_after: u64,
    /// Whether the body of the first successful answer is kept in the report.
    pub keep_first: bool,
    /// Whether the report has the article's own figures.
    pub article: bool,
}

impl LoadPlan {
    /// 200 requests by one client, without warm-up, with a time limit of 60 s each.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            bodies: Vec::new(),
            order: BodyOrder::default(),
            content_type: "application/json".into(),
            accept: None,
            headers: Vec::new(),
            token: None,
            load: Load::Closed { clients: 1 },
            requests: Some(DEFAULT_REQUESTS),
            duration: None,
            warm_up: 0,
            timeout: Duration::from_secs(60),
            seed: 0,
            give_up_after: 10,
            keep_first: false,
            article: false,
        }
    }

    /// The article's loop: 10 calls by one client with one prompt, without warm-up.
    pub fn article(url: impl Into<String>) -> Self {
        let body = serde_json::json!({ "prompt": ARTICLE_PROMPT }).to_string();
        Self {
            bodies: vec![body.into_bytes()],
            requests: Some(ARTICLE_CALLS),
            article: true,
            ..Self::new(url)
        }
    }

    /// Checks every number of the plan.
    ///
    /// # Errors
    /// A [`LoadError`] that names the value seen and those allowed.
    pub fn check(&self) -> Result<(), LoadError> {
        self.address()?;
        match self.load {
            Load::Closed { clients } => {
                at_least_one("the number of clients", clients as u64)?;
                at_most("the number of clients", clients as u64)?;
            }
            Load::Open {
                rate, in_flight, ..
            } => {
                if !(rate > 0.0 && rate <= HIGHEST_RATE) {
                    return Err(LoadError::Rate {
                        seen: rate,
                        most: HIGHEST_RATE,
                    });
                }
                at_least_one("the number of requests in flight", in_flight as u64)?;
                at_most("the number of requests in flight", in_flight as u64)?;
            }
        }
        match (self.requests, self.duration) {
            (None, None) => return Err(LoadError::Endless),
            (Some(requests), _) => at_least_one("the number of requests", requests)?,
            (None, Some(_)) => {}
        }
        if let Some(duration) = self.duration {
            at_least_one("the duration in nanoseconds", nanoseconds(duration))?;
        }
        at_least_one("the timeout in nanoseconds", nanoseconds(self.timeout))
    }

    /// The address, read.
    pub(crate) fn address(&self) -> Result<Url, LoadError> {
        let malformed = |reason: String| LoadError::Url {
            url: self.url.clone(),
            reason,
        };
        let url = Url::parse(&self.url).map_err(|error| malformed(error.to_string()))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            "http" | "https" => Err(malformed("it has no host".into())),
            // `localhost:8080/ping` reads as a URL with the scheme `localhost`.
            scheme => Err(LoadError::Scheme {
                url: self.url.clone(),
                scheme: scheme.into(),
            }),
        }
    }
}

fn at_least_one(what: &'static str, value: u64) -> Result<(), LoadError> {
    match value {
        0 => Err(LoadError::Zero { what }),
        _ => Ok(()),
    }
}

fn at_most(what: &'static str, seen: u64) -> Result<(), LoadError> {
    match seen {
        0..=MOST_AT_ONCE => Ok(()),
        _ => Err(LoadError::TooLarge {
            what,
            seen,
            most: MOST_AT_ONCE,
        }),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut LoadPlan)) -> String {
        let mut plan = LoadPlan::new("http://127.0.0.1:1/ping");
        plan.check().expect("the plan before the change");
        change(&mut plan);
        plan.check().expect_err("a refusal").to_string()
    }

    #[test]
    fn wrong_plans_are_refused_with_the_value_seen() {
        let url = |text: &str| refusal(|plan| plan.url = text.into());
        assert!(url("").contains("does not read"));
        assert!(url("http://").contains("http://"));
        assert!(url("ftp://host/x").contains("`ftp`"));
        assert!(url("localhost:8080/ping").contains("http or https"));
        let open = |rate| {
            refusal(|plan| {
                plan.load = Load::Open {
                    rate,
                    arrivals: Arrivals::Constant,
                    in_flight: 4,
                }
            })
        };
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(open(rate).contains(&format!("{rate}")), "{}", open(rate));
        }
        assert!(
            refusal(|plan| plan.load = Load::Closed { clients: 0 }).contains("number of clients")
        );
        assert!(refusal(|plan| plan.load = Load::Closed { clients: 100_000 }).contains("100000"));
        assert!(refusal(|plan| plan.requests = Some(0)).contains("number of requests"));
        assert!(refusal(|plan| plan.requests = None).contains("duration"));
        assert!(refusal(|plan| plan.timeout = Duration::ZERO).contains("timeout"));
    }
}
