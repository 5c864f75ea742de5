//! A load test from warm-up to report.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    Ending, Load, LoadError, LoadPlan, LoadReport, WarmUpReport,
    client::{Client, Sample},
    closed,
    open::{self, Schedule},
    recorder::Recorder,
};

/// Answers that wait to be recorded.
const WAITING: usize = 1024;
/// How often the observer is asked when no request ends.
const TICK: Duration = Duration::from_millis(50);

/// The part of a load test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Requests that enter no figure.
    WarmUp,
    /// Requests that are measured.
    Measurement,
}

/// How far a load test is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The part of the test.
    pub phase: Phase,
    /// Requests of the part that ended.
    pub done: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Requests of the part in all, where their number ends it.
    pub total: Option<u64>,
    /// Time since the part began.
    pub elapsed: Duration,
}

/// Runs a load test.
///
/// `observer` is asked after every request, and at least every 50 ms. When it returns `Break`, the test ends: requests in
/// flight are dropped, and the report has those that ended.
///
/// # Errors
/// When the plan is wrong. A server that cannot be reached is no error: the report counts its errors.
pub async fn run(
    plan: LoadPlan,
    mut observer: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<LoadReport, LoadError> {
    plan.check()?;
    let client = Arc::new(Client::new(&plan)?);
    let mut warm_up = None;
    if plan.warm_up > 0 {
        let part = warm_up_of(&plan);
        let (recorder, ending) = measure(&part, &client, Phase::WarmUp, &mut observer).await;
        warm_up = Some(WarmUpReport {
            requests: recorder.done(),
            failed: recorder.failed.count(),
        });
        if ending != Ending::Complete {
            // What ended is told as the measurement, so that its errors show; an interrupted warm-up leaves none.
            let nothing = Recorder::new(Instant::now());
            let recorder = if ending == Ending::Interrupted {
                nothing
            } else {
                recorder
            };
            return Ok(LoadReport::new(&plan, recorder, ending, warm_up));
        }
    }
    let (recorder, ending) = measure(&plan, &client, Phase::Measurement, &mut observer).await;
    Ok(LoadReport::new(&plan, recorder, ending, warm_up))
}

/// The warm-up as a plan: a closed loop also before an open one.
fn warm_up_of(plan: &LoadPlan) -> LoadPlan {
    let clients = match plan.load {
        Load::Closed { clients } => clients,
        Load::Open { .. } => 1,
    };
    LoadPlan {
        load: Load::Closed { clients },
        requests: Some(plan.warm_up),
        duration: None,
        ..plan.clone()
    }
}

async fn measure(
    plan: &LoadPlan,
    client: &Arc<Client>,
    phase: Phase,
    observer: &mut impl FnMut(&Progress) -> ControlFlow<()>,
) -> (Recorder, Ending) {
    let mut recorder = Recorder::new(Instant::now());
    let started = Instant::now();
    let (sender, mut samples) = mpsc::channel(WAITING);
    // Dropped at the end of the function, which ends what still runs.
    let _tasks = start(plan, client, &sender);
    // The tasks have their own, so that the channel closes when they end.
    drop(sender);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            sample = samples.recv() => match sample {
                Some(sample) => recorder.record(sample),
                None => return (recorder, Ending::Complete),
            },
            _ = ticks.tick() => {}
        }
        let progress = Progress {
            phase,
            done: recorder.done(),
            failed: recorder.failed.count(),
            total: plan.requests,
            elapsed: started.elapsed(),
        };
        if observer(&progress).is_break() {
            recorder.interrupt();
            return (recorder, Ending::Interrupted);
        }
        if recorder.is_unconnected(plan.give_up_after) && Some(recorder.done()) != plan.requests {
            return (recorder, Ending::NoConnection);
        }
    }
}

fn start(plan: &LoadPlan, client: &Arc<Client>, samples: &mpsc::Sender<Sample>) -> JoinSet<()> {
    match plan.load {
        Load::Closed { clients } => {
            closed::start(client, clients, plan.requests, plan.duration, samples)
        }
        Load::Open {
            rate,
            arrivals,
            in_flight,
        } => {
            let schedule = Schedule {
                rate,
                arrivals,
                seed: plan.seed,
                requests: plan.requests,
                duration: plan.duration,
            };
            open::start(client, schedule, in_flight, samples)
        }
    }
}
