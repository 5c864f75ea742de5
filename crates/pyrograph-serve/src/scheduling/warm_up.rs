//! The first requests of a worker: they fill caches, and tell how many rows pay in a batch.

use std::time::{Duration, Instant};

use super::{
    caps::{Caps, best_batch},
    estimate::Estimates,
    turn::Turn,
};
use crate::{Batching, Demand, Engine, Progress, TaskError, Watch};

/// Time after which no larger batch is tried.
const ENOUGH: Duration = Duration::from_secs(60);

/// A time below which a measurement is repeated: other programs disturb short ones.
const SHORT: Duration = Duration::from_millis(500);

/// Measurements of a short time.
const REPEATS: usize = 3;

/// What a warm-up measured.
pub(crate) struct Measured {
    pub(crate) caps: Caps,
    pub(crate) estimates: Estimates,
}

/// Runs each of the engine's probes alone, then in batches of 2, 4, 8, … requests up to `max_rows` rows while that pays.
pub(crate) fn warm_up<E: Engine>(
    engine: &mut E,
    demand_of: &dyn Fn(&E::Input) -> Demand,
    max_rows: usize,
    turn: &Turn,
) -> Result<Measured, TaskError> {
    let begun = Instant::now();
    let mut measured = Measured {
        caps: Caps::default(),
        estimates: Estimates::default(),
    };
    for index in 0.. {
        let Some(input) = engine.probe(index, 0) else {
            break;
        };
        let demand = demand_of(&input);
        let mut times = Vec::new();
        let mut requests = 1;
        loop {
            let time = match measured.least(engine, index, &demand, requests, turn) {
                Ok(time) => time,
                // What cannot be done together may be done alone.
                Err(error) if requests > 1 => {
                    tracing::warn!(requests, %error, "no larger batch: it fails");
                    break;
                }
                Err(error) => return Err(error),
            };
            times.push((requests, time.as_secs_f64()));
            requests *= 2;
            let is_worth_more = best_batch(&times) == requests / 2;
            if requests * demand.rows > max_rows || !is_worth_more || begun.elapsed() > ENOUGH {
                break;
            }
        }
        measured.caps.set(&demand, best_batch(&times) * demand.rows);
    }
    Ok(measured)
}

impl Measured {
    /// The least time of a step of so many requests, of several measurements where they are short.
    fn least<E: Engine>(
        &mut self,
        engine: &mut E,
        index: usize,
        demand: &Demand,
        requests: usize,
        turn: &Turn,
    ) -> Result<Duration, TaskError> {
        let mut least = Duration::MAX;
        for round in 0..REPEATS {
            let time = turn.take(|| self.batch(engine, index, demand, requests))?;
            least = least.min(time);
            // The very first call of an engine that takes all steps at once pays for what later ones find ready.
            let is_cold = round == 0 && requests == 1 && engine.batching() == Batching::Gathered;
            if time > SHORT && !is_cold {
                break;
            }
        }
        Ok(least)
    }

    /// The time of a step of so many requests.
    fn batch<E: Engine>(
        &mut self,
        engine: &mut E,
        index: usize,
        demand: &Demand,
        requests: usize,
    ) -> Result<Duration, TaskError> {
        let mut states = Vec::with_capacity(requests);
        for request in 0..requests {
            let Some(input) = engine.probe(index, request as u64) else {
                break;
            };
            let begun = Instant::now();
            states.push(engine.begin(input)?);
            self.estimates.begin(demand, begun.elapsed());
        }
        // The first step fills caches, the last one is measured.
        let mut time = step(engine, &mut states)?;
        while !states.iter().all(|state| engine.progress(state).is_done()) {
            time = step(engine, &mut states)?;
        }
        let rows = requests * demand.rows;
        let each = time / steps_of(engine, demand);
        self.estimates.step(demand, rows, each);
        if let Some(state) = states.pop() {
            let begun = Instant::now();
            engine.finish(state)?;
            self.estimates.finish(demand, begun.elapsed());
        }
        Ok(time)
    }
}

/// Steps of a request in one call of `step`.
pub(crate) fn steps_of<E: Engine>(engine: &E, demand: &Demand) -> u32 {
    match engine.batching() {
        Batching::BetweenSteps => 1,
        Batching::Gathered => u32::try_from(demand.steps).unwrap_or(u32::MAX).max(1),
    }
}

fn step<E: Engine>(engine: &mut E, states: &mut [E::State]) -> Result<Duration, TaskError> {
    let watch = Watch {
        rows: usize::MAX,
        stopped: &|| false,
        progress: &|_: Progress| {},
    };
    let begun = Instant::now();
    engine.step(&mut states.iter_mut().collect::<Vec<_>>(), &watch)?;
    Ok(begun.elapsed())
}
