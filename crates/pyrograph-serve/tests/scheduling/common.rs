//! A task whose engine records its batches, and stands still where a test wants it to.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use pyrograph_backend::DeviceSpec;
use pyrograph_serve::{
    BatchKey, Batching, ClientKey, Demand, Engine, Event, Limits, Metrics, Model, ModelSettings,
    ModelState, Progress, Refusal, Submission, Task, TaskBody, TaskError, TaskOutput, Ticket,
    Watch, Worker,
};
use serde_json::{Value, json};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What an engine did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Did {
    Begin(String),
    Step(Vec<String>),
    Finish(String),
}

#[derive(Debug, Default)]
struct Gate {
    /// Steps that may still run; nothing where there is no bound.
    allowed: Option<usize>,
}

/// The record of an engine, and the gate before its steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Control {
    did: Arc<Mutex<Vec<Did>>>,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

impl Control {
    /// An engine that takes no step before it is allowed to; warm-up passes.
    pub(crate) fn closed() -> Self {
        let control = Self::default();
        control.gate.0.lock().unwrap().allowed = Some(0);
        control
    }

    pub(crate) fn allow(&self, steps: usize) {
        let mut gate = self.gate.0.lock().unwrap();
        gate.allowed = gate.allowed.map(|allowed| allowed + steps);
        self.gate.1.notify_all();
    }

    pub(crate) fn open(&self) {
        self.gate.0.lock().unwrap().allowed = None;
        self.gate.1.notify_all();
    }

    fn pass(&self) {
        let gate = self.gate.0.lock().unwrap();
        let (mut gate, timeout) = self
            .gate
            .1
            .wait_timeout_while(gate, LONG, |gate| gate.allowed == Some(0))
            .unwrap();
        assert!(!timeout.timed_out(), "the test left the gate closed");
        gate.allowed = gate.allowed.map(|allowed| allowed - 1);
    }

    fn note(&self, did: Did) {
        self.did.lock().unwrap().push(did);
    }

    pub(crate) fn steps(&self) -> Vec<Vec<String>> {
        let did = self.did.lock().unwrap();
        let steps = did.iter().filter_map(|did| match did {
            Did::Step(names) => Some(names.clone()),
            _ => None,
        });
        steps.collect()
    }

    pub(crate) fn begun(&self) -> Vec<String> {
        let did = self.did.lock().unwrap();
        let begun = did.iter().filter_map(|did| match did {
            Did::Begin(name) => Some(name.clone()),
            _ => None,
        });
        begun.collect()
    }
}

/// Bodies: {name, key, rows, steps, act?: "panic" | "fail" | "wait"}.
pub(crate) struct Counting {
    pub(crate) control: Control,
    pub(crate) batching: Batching,
    /// Time of a step with no, and of each row.
    pub(crate) step: Duration,
    pub(crate) row: Duration,
}

pub(crate) struct Input {
    body: Value,
    is_probe: bool,
}

impl Input {
    fn number(&self, field: &str) -> usize {
        self.body[field].as_u64().unwrap_or(1) as usize
    }
}

impl Task for Counting {
    type Input = Input;

    fn name(&self) -> &'static str {
        "counting"
    }

    fn parse(&self, body: TaskBody, _: &Limits) -> Result<Input, Refusal> {
        match body {
            TaskBody::Json(body) => Ok(Input {
                body,
                is_probe: false,
            }),
            TaskBody::Image(_) => Err(Refusal::invalid("body", "an image", "JSON")),
        }
    }

    fn demand(&self, input: &Input) -> Demand {
        Demand {
            key: BatchKey(input.body["key"].as_str().unwrap_or("a").into()),
            rows: input.number("rows"),
            steps: input.number("steps"),
            work: 1.0,
        }
    }

    fn work(&self, worker: Worker<'_, Input>) -> Result<(), TaskError> {
        worker.serve(Counter {
            control: self.control.clone(),
            batching: self.batching,
            step: self.step,
            row: self.row,
        })
    }

    fn schema(&self) -> Value {
        json!({})
    }
}

struct Counter {
    control: Control,
    batching: Batching,
    step: Duration,
    row: Duration,
}

pub(crate) struct State {
    input: Input,
    taken: usize,
}

impl State {
    fn name(&self) -> String {
        self.input.body["name"].as_str().unwrap_or("").into()
    }
}

impl Engine for Counter {
    type Input = Input;
    type State = State;

    fn begin(&mut self, input: Input) -> Result<State, TaskError> {
        let state = State { input, taken: 0 };
        if !state.input.is_probe {
            self.control.note(Did::Begin(state.name()));
        }
        Ok(state)
    }

    fn step(&mut self, states: &mut [&mut State], watch: &Watch<'_>) -> Result<(), TaskError> {
        let rows = states
            .iter()
            .map(|state| state.input.number("rows"))
            .sum::<usize>();
        std::thread::sleep(self.step + self.row * rows as u32);
        if !states[0].input.is_probe {
            self.control.pass();
            let names = states.iter().map(|state| state.name()).collect();
            self.control.note(Did::Step(names));
        }
        for state in states {
            match state.input.body["act"].as_str() {
                Some("wait") => {
                    while !watch.is_stopped() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    return Err(TaskError::Stopped);
                }
                Some("panic") => panic!("as the test asked"),
                Some("fail") => return Err(TaskError::failed("secret of the engine")),
                _ => {}
            }
            let steps = state.input.number("steps");
            state.taken = match self.batching {
                Batching::BetweenSteps => state.taken + 1,
                Batching::Gathered => steps,
            };
            watch.tell(Progress {
                taken: state.taken,
                steps,
            });
        }
        Ok(())
    }

    fn progress(&self, state: &State) -> Progress {
        Progress {
            taken: state.taken,
            steps: state.input.number("steps"),
        }
    }

    fn finish(&mut self, state: State) -> Result<TaskOutput, TaskError> {
        if !state.input.is_probe {
            self.control.note(Did::Finish(state.name()));
        }
        Ok(TaskOutput::Json(json!({ "name": state.name() })))
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn probe(&self, index: usize, _: u64) -> Option<Input> {
        (index == 0).then(|| Input {
            body: json!({"name": "probe", "key": "a", "steps": 2}),
            is_probe: true,
        })
    }
}

pub(crate) struct Setup {
    pub(crate) control: Control,
    pub(crate) batching: Batching,
    pub(crate) queue: usize,
    pub(crate) max_batch: usize,
    pub(crate) delay: Duration,
    pub(crate) row: Duration,
    pub(crate) metrics: Metrics,
}

impl Setup {
    pub(crate) fn new(control: &Control) -> Self {
        Self {
            control: control.clone(),
            batching: Batching::BetweenSteps,
            queue: 100,
            max_batch: 4,
            delay: Duration::ZERO,
            row: Duration::ZERO,
            metrics: Metrics::new(),
        }
    }

    /// The model, ready.
    pub(crate) fn start(self) -> Model {
        let task = Counting {
            control: self.control,
            batching: self.batching,
            step: Duration::from_millis(2),
            row: self.row,
        };
        let settings = ModelSettings {
            devices: vec![DeviceSpec::Auto],
            queue: self.queue,
            max_batch: self.max_batch,
            max_batch_delay: self.delay,
            limits: Limits::default(),
        };
        let model = Model::start("m", task, settings, self.metrics);
        until(|| model.state() == ModelState::Ready);
        model
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "waited for too long");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn submission(client: &str, body: Value) -> Submission {
    Submission {
        body: TaskBody::Json(body),
        client: ClientKey(client.into()),
        deadline: Instant::now() + LONG,
        previews: 0,
        most_images: None,
        id: "test".into(),
    }
}

pub(crate) fn submit(model: &Model, body: Value) -> Ticket {
    model.submit(submission("client", body)).expect("accepted")
}

/// The end of a request.
pub(crate) fn end(ticket: Ticket) -> Result<Value, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let finished = runtime.block_on(async {
        tokio::time::timeout(LONG, ticket.finished())
            .await
            .expect("an end")
    })?;
    match finished.output {
        TaskOutput::Json(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

/// Whether the request has begun; waits for it.
pub(crate) fn begun(ticket: &mut Ticket) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    matches!(runtime.block_on(ticket.next()), Some(Event::Started))
}
