//! How requests arrive, and what ends the test.

use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use pyrograph_loadtest::{Arrivals, Load, LoadPlan};

#[derive(Args)]
pub(crate) struct LoadFlags {
    /// The endpoint, such as http://127.0.0.1:8080/invocations.
    #[arg(long)]
    url: String,
    /// Number of measured requests [default: 200; 10 with --preset article; no limit with
    /// --duration].
    #[arg(short = 'n', long)]
    requests: Option<u64>,
    /// Closed loop: clients, each of which waits for its answer before it sends again [default: 1].
    #[arg(short, long, conflicts_with = "rate")]
    clients: Option<usize>,
    /// Open loop: requests a second, whether or not earlier ones are answered.
    #[arg(long, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// With --rate: the distribution of the requests over time.
    #[arg(long, value_enum, default_value_t = ArrivalName::Constant, requires = "rate")]
    arrivals: ArrivalName,
    /// With --rate: requests at once; further ones wait, and the wait counts into their latency.
    #[arg(long, value_name = "COUNT", default_value_t = 1024, requires = "rate")]
    max_in_flight: usize,
    /// Number of requests before the measurement, which are not counted.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    warmup: u64,
    /// Seconds after which no request starts.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    duration: Option<f64>,
    /// Time limit of a request in seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60.0,
        allow_negative_numbers = true
    )]
    timeout: f64,
    /// Seed of --arrivals poisson, --body-order drawn and the intervals of the percentiles.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// End the test if this number of requests at its beginning find no connection; 0 for never.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    give_up_after: u64,
    /// The settings of a published measurement.
    #[arg(long, value_enum, conflicts_with_all = ["rate", "clients", "warmup"])]
    preset: Option<Preset>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Preset {
    /// Stable Diffusion 2.1 on SageMaker: 10 calls by one client, no warm-up, P95, P90 and average
    /// beside the published ones.
    Article,
}

#[derive(Clone, Copy, ValueEnum)]
enum ArrivalName {
    /// At equal distances.
    Constant,
    /// With exponential distances, as those of independent users.
    Poisson,
}

impl LoadFlags {
    /// A plan without a request's contents, apart from those of the preset.
    pub(crate) fn plan(&self) -> anyhow::Result<LoadPlan> {
        let default = match self.preset {
            Some(Preset::Article) => LoadPlan::article(&self.url),
            None => LoadPlan::new(&self.url),
        };
        let duration = self
            .duration
            .map(|duration| seconds("--duration", duration))
            .transpose()?;
        let requests = match (self.requests, duration, self.preset) {
            (Some(requests), ..) => Some(requests),
            (None, Some(_), None) => None,
            _ => default.requests,
        };
        Ok(LoadPlan {
            load: self.load(),
            requests,
            duration,
            warm_up: self.warmup,
            timeout: seconds("--timeout", self.timeout)?,
            seed: self.seed,
            give_up_after: self.give_up_after,
            ..default
        })
    }

    fn load(&self) -> Load {
        match self.rate {
            Some(rate) => Load::Open {
                rate,
                arrivals: match self.arrivals {
                    ArrivalName::Constant => Arrivals::Constant,
                    ArrivalName::Poisson => Arrivals::Poisson,
                },
                in_flight: self.max_in_flight,
            },
            None => Load::Closed {
                clients: self.clients.unwrap_or(1),
            },
        }
    }
}

fn seconds(flag: &str, value: f64) -> anyhow::Result<Duration> {
    let time = Duration::try_from_secs_f64(value).ok();
    time.filter(|time| !time.is_zero())
        .with_context(|| format!("{flag} is {value}, but must be a number of seconds above 0"))
}
