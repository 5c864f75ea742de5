//! A worker: one thread, one device, one loaded model.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use pyrograph_backend::DeviceSpec;

use super::{
    caps::Caps,
    queue::Listener,
    running::Running,
    shared::{Shared, State, WorkerState},
    turn::Turn,
    warm_up::{steps_of, warm_up},
};
use crate::{
    BatchKey, Batching, Demand, Engine, Event, Progress, Refusal, RefusalKind, TaskError, Watch,
};

/// How often a worker without requests looks around.
const IDLE: Duration = Duration::from_millis(500);

/// A worker on its thread, before its model is loaded.
pub struct Worker<'a, I> {
    pub(crate) device: DeviceSpec,
    /// Its place among the workers of the model.
    pub(crate) index: usize,
    pub(crate) shared: &'a Shared<I>,
    pub(crate) demand_of: &'a dyn Fn(&I) -> Demand,
    /// Names of the stages.
    pub(crate) stages: [&'static str; 3],
}

impl<I: Send + 'static> Worker<'_, I> {
    /// The device to load the model on.
    pub fn device(&self) -> DeviceSpec {
        self.device
    }

    /// Warms `engine` up, measures how many rows pay in a batch, and serves until the server stops.
    ///
    /// # Errors
    /// When the warm-up fails.
    pub fn serve<E: Engine<Input = I>>(self, mut engine: E) -> Result<(), TaskError> {
        let turn = Turn::of(self.device);
        let begun = Instant::now();
        let max_rows = self.shared.settings.max_batch;
        let measured = warm_up(&mut engine, self.demand_of, max_rows, &turn)?;
        let caps = measured.caps;
        tracing::info!(
            model = self.shared.metrics.model(),
            device = %self.device,
            seconds = begun.elapsed().as_secs_f64(),
            batch_rows = %caps,
            "ready"
        );
        self.shared.change(|state| {
            state.estimates = measured.estimates;
            let view = &mut state.workers[self.index];
            view.state = WorkerState::Ready;
            view.caps = caps.clone();
        });
        let mut rounds = Rounds {
            worker: &self,
            engine,
            caps,
            turn,
            active: Vec::new(),
            served: Vec::new(),
        };
        while rounds.round() {}
        Ok(())
    }
}

/// A worker that serves.
struct Rounds<'a, E: Engine> {
    worker: &'a Worker<'a, E::Input>,
    engine: E,
    caps: Caps,
    turn: Turn,
    active: Vec<Running<E::State>>,
    /// Seconds that each key has had, among those that run.
    served: Vec<(BatchKey, f64)>,
}

impl<E: Engine> Drop for Rounds<'_, E> {
    /// Also after a panic: no request of it runs any more.
    fn drop(&mut self) {
        self.active.clear();
        self.publish();
    }
}

impl<E: Engine> Rounds<'_, E> {
    /// Requests leave, others join, and one group takes a step. False at the end of the server.
    fn round(&mut self) -> bool {
        self.leave();
        if self.stop() {
            return false;
        }
        let joined = self.join();
        for (entry, running) in joined {
            self.begin(entry, running);
        }
        self.step();
        true
    }

    fn shared(&self) -> &Shared<E::Input> {
        self.worker.shared
    }

    /// Drops requests that nobody waits for.
    fn leave(&mut self) {
        let now = Instant::now();
        let (gone, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|running| running.listener.gone(now).is_some());
        self.active = active;
        for running in gone {
            if let Some(refusal) = running.listener.gone(now) {
                running.refuse(refusal);
            }
        }
        self.publish();
    }

    /// Whether the server stops; what runs is refused then.
    fn stop(&mut self) -> bool {
        if !self.shared().lock().is_stopping {
            return false;
        }
        let refusal = Refusal::new(RefusalKind::Unavailable, "the server shuts down");
        for running in self.active.drain(..) {
            running.refuse(refusal.clone());
        }
        true
    }

    /// Takes waiting requests as long as the batch is not full. Waits for the first one.
    fn join(&mut self) -> Vec<(E::Input, Running<E::State>)> {
        let gathers = self.engine.batching() == Batching::Gathered;
        let mut joined: Vec<(E::Input, Running<E::State>)> = Vec::new();
        let shared = self.worker.shared;
        let mut state = shared.lock();
        loop {
            state.queue.sweep(Instant::now());
            let demands = self.active.iter().map(|running| &running.demand);
            let key = joined
                .first()
                .map(|(_, running)| running.demand.key.clone());
            let load: f64 = demands
                .chain(joined.iter().map(|(_, running)| &running.demand))
                .map(|demand| self.caps.load(demand))
                .sum();
            let fits = |demand: &Demand| {
                let goes_with = !gathers || key.as_ref().is_none_or(|key| *key == demand.key);
                load == 0.0 || (goes_with && load + self.caps.load(demand) <= 1.0)
            };
            if let Some(entry) = state.queue.take_if(fits) {
                let names = self.worker.stages;
                let running = Running::new(entry.demand, entry.listener, entry.arrived, names);
                joined.push((entry.input, running));
                continue;
            }
            if state.is_stopping || !self.active.is_empty() {
                break;
            }
            let delay = match joined.first() {
                None => IDLE,
                // A full batch, or one that other requests wait behind, begins at once.
                Some(_) if !gathers || load >= 1.0 || state.queue.len() > 0 => break,
                Some((_, first)) => {
                    match shared.settings.max_batch_delay.checked_sub(first.age()) {
                        Some(left) if !left.is_zero() => left,
                        _ => break,
                    }
                }
            };
            self.note(&mut state, &joined);
            shared.wait(&mut state, delay);
        }
        self.note(&mut state, &joined);
        joined
    }

    /// Tells the shared state what runs here, and what joins it.
    fn note(&self, state: &mut State<E::Input>, joined: &[(E::Input, Running<E::State>)]) {
        let joined = joined.iter().map(|(_, running)| running);
        let runs = self.active.iter().chain(joined);
        let seconds = runs.clone().map(|running| {
            let Progress { taken, steps } = running.progress;
            state.seconds(&running.demand, steps.saturating_sub(taken))
        });
        let (running, seconds) = (runs.count(), seconds.sum());
        let view = &mut state.workers[self.worker.index];
        (view.running, view.seconds) = (running, seconds);
        self.worker.shared.gauge(state);
    }

    fn begin(&mut self, input: E::Input, mut running: Running<E::State>) {
        if running.listener.gone(Instant::now()).is_some() {
            // It leaves in the next round.
            self.active.push(running);
            return;
        }
        running.listener.tell(Event::Started);
        let begun = self.turn.take(|| self.engine.begin(input));
        match begun {
            Ok(state) => {
                running.progress = self.engine.progress(&state);
                running.state = Some(state);
                let time = running.end_stage(0);
                self.shared().lock().estimates.begin(&running.demand, time);
                self.active.push(running);
            }
            Err(error) => running.fail(&error),
        }
    }

    /// The group whose turn it is takes a step, and those of it that are done end.
    fn step(&mut self) {
        let Some(key) = self.next_key() else {
            return;
        };
        let group: Vec<usize> = (0..self.active.len())
            .filter(|place| {
                let running = &self.active[*place];
                running.state.is_some() && running.demand.key == key
            })
            .collect();
        let rows = self.caps.rows(&self.active[group[0]].demand);
        let shared = self.worker.shared;
        let stops = &|| shared.lock().is_stopping;
        let begun = Instant::now();
        let result = self
            .turn
            .take(|| step(&mut self.engine, &mut self.active, &group, rows, stops));
        let time = begun.elapsed();
        self.count(&key, time.as_secs_f64());
        match result {
            Ok(()) => self.absorb(&group, time),
            // The next round refuses them.
            Err(TaskError::Stopped) if stops() => {}
            Err(error) => {
                for place in group.into_iter().rev() {
                    self.active.remove(place).fail(&error);
                }
            }
        }
    }

    /// What a step means for the requests of `group`.
    fn absorb(&mut self, group: &[usize], time: Duration) {
        let rows = group
            .iter()
            .map(|place| self.active[*place].demand.rows)
            .sum();
        let demand = self.active[group[0]].demand.clone();
        let steps = steps_of(&self.engine, &demand);
        self.shared()
            .lock()
            .estimates
            .step(&demand, rows, time / steps);
        self.shared().metrics.batch(rows);
        for place in group.iter().rev() {
            let Some(state) = &self.active[*place].state else {
                continue;
            };
            let progress = self.engine.progress(state);
            self.active[*place].stepped(progress);
            if progress.is_done() {
                self.finish(*place);
            } else if let Some(index) = self.active[*place].due_preview() {
                self.preview(*place, index);
            }
        }
    }

    /// Sends a preview. One that fails is logged: the result may still come.
    fn preview(&mut self, place: usize, index: usize) {
        let running = &self.active[place];
        let Some(state) = &running.state else {
            return;
        };
        match self.turn.take(|| self.engine.preview(state)) {
            Ok(images) if images.is_empty() => {}
            Ok(images) => running.listener.tell(Event::Preview { index, images }),
            Err(error) => {
                tracing::warn!(request = running.listener.id, %error, "no preview");
            }
        }
    }

    fn finish(&mut self, place: usize) {
        let mut running = self.active.remove(place);
        let Some(state) = running.state.take() else {
            return;
        };
        running.end_stage(1);
        match self.turn.take(|| self.engine.finish(state)) {
            Ok(output) => {
                let time = running.end_stage(2);
                self.shared().lock().estimates.finish(&running.demand, time);
                // Before the client hears of the end, so that it finds its request counted.
                for (stage, time) in running.stages() {
                    self.shared().metrics.stage(stage, *time);
                }
                self.publish();
                running.done(output);
            }
            Err(error) => running.fail(&error),
        }
    }

    /// The key among those that run which has had the least time.
    fn next_key(&mut self) -> Option<BatchKey> {
        let runs = |key: &BatchKey| {
            let mut begun = self.active.iter().filter(|running| running.state.is_some());
            begun.any(|running| running.demand.key == *key)
        };
        self.served.retain(|(key, _)| runs(key));
        let least = self
            .served
            .iter()
            .map(|(_, seconds)| *seconds)
            .fold(f64::INFINITY, f64::min);
        let least = if least.is_finite() { least } else { 0.0 };
        for running in self.active.iter().filter(|running| running.state.is_some()) {
            if !self
                .served
                .iter()
                .any(|(key, _)| *key == running.demand.key)
            {
                self.served.push((running.demand.key.clone(), least));
            }
        }
        let next = self.served.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(next.0.clone())
    }

    fn count(&mut self, key: &BatchKey, seconds: f64) {
        if let Some((_, served)) = self.served.iter_mut().find(|(known, _)| known == key) {
            *served += seconds;
        }
    }

    /// Tells the shared state what runs here.
    fn publish(&self) {
        self.note(&mut self.worker.shared.lock(), &[]);
    }
}

/// One step of the requests at the places of `group`, of which `rows` rows pay in a pass; `stops` tells whether the server
/// does.
fn step<E: Engine>(
    engine: &mut E,
    active: &mut [Running<E::State>],
    group: &[usize],
    rows: usize,
    stops: &dyn Fn() -> bool,
) -> Result<(), TaskError> {
    let mut states = Vec::with_capacity(group.len());
    let mut listeners = Vec::with_capacity(group.len());
    for (place, running) in active.iter_mut().enumerate() {
        if group.contains(&place)
            && let Some(state) = &mut running.state
        {
            states.push(state);
            listeners.push(&running.listener);
        }
    }
    let told = Cell::new(None);
    let watch = Watch {
        rows,
        stopped: &|| {
            let now = Instant::now();
            let is_gone = |listener: &&Listener| listener.gone(now).is_some();
            listeners.iter().all(is_gone) || stops()
        },
        progress: &|progress| {
            if told.replace(Some(progress)) != Some(progress) {
                for listener in &listeners {
                    listener.tell(Event::Step(progress));
                }
            }
        },
    };
    engine.step(&mut states, &watch)
}
