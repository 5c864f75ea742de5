//! The open loop: requests that arrive at a rate, whether or not earlier ones are answered.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use pyrograph_base::{SplitMix64, rand::RngExt};
use rand_distr::Exp1;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::{
    Arrivals,
    client::{Client, Sample},
};

/// Arrivals that wait for the sending task. When they are more, the pacing thread waits; their intended starts stay.
const WAITING: usize = 1024;
/// The longest sleep of the pacing thread, after which it looks whether the test has ended.
const NAP: Duration = Duration::from_millis(50);

/// When requests are to start.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) rate: f64,
    pub(crate) arrivals: Arrivals,
    pub(crate) seed: u64,
    pub(crate) requests: Option<u64>,
    pub(crate) duration: Option<Duration>,
}

impl Schedule {
    /// The intended starts from the beginning of the test, ascending.
    fn times(self) -> impl Iterator<Item = Duration> + Send {
        let mut random = SplitMix64::new(self.seed);
        let mut drawn = 0.0;
        let times = (0..self.requests.unwrap_or(u64::MAX)).map_while(move |index| {
            let units = match self.arrivals {
                Arrivals::Constant => index as f64,
                Arrivals::Poisson => {
                    drawn += random.sample::<f64, _>(Exp1);
                    drawn
                }
            };
            Duration::try_from_secs_f64(units / self.rate).ok()
        });
        let duration = self.duration.unwrap_or(Duration::MAX);
        times.take_while(move |time| *time < duration)
    }
}

/// Starts the requests of `schedule`, at most `in_flight` at once: further ones wait, and their latency still begins at
/// their intended start. Dropping the set ends them.
pub(crate) fn start(
    client: &Arc<Client>,
    schedule: Schedule,
    in_flight: usize,
    samples: &mpsc::Sender<Sample>,
) -> JoinSet<()> {
    let (sender, arrivals) = mpsc::channel(WAITING);
    // A thread sleeps to some 0.1 ms; the timer of tokio has steps of 1 ms, which would count into every latency.
    thread::spawn(move || pace(schedule, &sender));
    let mut tasks = JoinSet::new();
    tasks.spawn(dispatch(
        Arc::clone(client),
        arrivals,
        in_flight,
        samples.clone(),
    ));
    tasks
}

/// Sends each intended start when it comes. Ends when nobody receives.
fn pace(schedule: Schedule, arrivals: &mpsc::Sender<Instant>) {
    let started = Instant::now();
    for time in schedule.times() {
        let Some(intended) = started.checked_add(time) else {
            return;
        };
        loop {
            let left = intended.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if arrivals.is_closed() {
                return;
            }
            thread::sleep(left.min(NAP));
        }
        if arrivals.blocking_send(intended).is_err() {
            return;
        }
    }
}

/// Sends a request for each arrival.
async fn dispatch(
    client: Arc<Client>,
    mut arrivals: mpsc::Receiver<Instant>,
    in_flight: usize,
    samples: mpsc::Sender<Sample>,
) {
    let free = Arc::new(Semaphore::new(in_flight));
    let mut requests = JoinSet::new();
    let mut index = 0;
    while let Some(intended) = arrivals.recv().await {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        let (client, samples) = (Arc::clone(&client), samples.clone());
        requests.spawn(async move {
            let sample = client.call(index, intended).await;
            drop(permit);
            // Without a receiver the test has ended.
            let _ = samples.send(sample).await;
        });
        index += 1;
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(arrivals: Arrivals, seed: u64, requests: u64) -> Vec<f64> {
        let schedule = Schedule {
            rate: 100.0,
            arrivals,
            seed,
            requests: Some(requests),
            duration: None,
        };
        schedule.times().map(|time| time.as_secs_f64()).collect()
    }

    #[test]
    fn constant_arrivals_have_equal_distances_and_poisson_ones_the_same_rate() {
        assert_eq!(times(Arrivals::Constant, 0, 4), [0.0, 0.01, 0.02, 0.03]);
        let poisson = times(Arrivals::Poisson, 5, 20_000);
        assert!(poisson.is_sorted());
        assert!(
            (poisson[19_999] / 200.0 - 1.0).abs() < 0.03,
            "{}",
            poisson[19_999]
        );
        assert_eq!(poisson[..50], times(Arrivals::Poisson, 5, 50));
        assert_ne!(poisson[..50], times(Arrivals::Poisson, 6, 50));
    }

    #[test]
    fn the_duration_ends_the_arrivals() {
        let schedule = Schedule {
            rate: 100.0,
            arrivals: Arrivals::Constant,
            seed: 0,
            requests: None,
            duration: Some(Duration::from_millis(95)),
        };
        assert_eq!(schedule.times().count(), 10);
    }
}
