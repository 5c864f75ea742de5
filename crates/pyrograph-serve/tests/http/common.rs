//! A server on a free port, over a task whose steps sleep.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pyrograph_backend::DeviceSpec;
use pyrograph_serve::{
    BatchKey, Batching, Demand, Engine, Limits, Metrics, Model, ModelSettings, ModelState,
    OutputImage, Progress, Refusal, RefusalKind, Task, TaskBody, TaskError, TaskOutput, Watch,
    Worker,
    http::{Server, ServerSettings},
};
use pyrograph_vision::RgbImage;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Time of a step.
const STEP: Duration = Duration::from_millis(5);

/// A task that draws squares of one colour, or echoes its body where it is named otherwise.
pub(crate) struct Squares {
    pub(crate) name: &'static str,
    /// Steps that engines have taken for requests.
    pub(crate) steps: Arc<AtomicUsize>,
    /// Time of loading.
    pub(crate) load: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "bodies may have fields that squares do not show")]
pub(crate) struct Body {
    prompt: String,
    #[serde(default)]
    negative_prompt: Option<String>,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    mask: Option<String>,
    #[serde(default)]
    strength: Option<f64>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "bodies may have fields that squares do not show")]
struct Parameters {
    num_inference_steps: Option<u64>,
    guidance_scale: Option<f64>,
    width: Option<u64>,
    height: Option<u64>,
    seed: Option<u64>,
    num_images: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Input {
    Probe,
    Draw(Box<Body>),
    Echo(usize),
}

impl Input {
    fn steps(&self) -> usize {
        match self {
            Self::Draw(body) => body.parameters.num_inference_steps.unwrap_or(3) as usize,
            Self::Probe | Self::Echo(_) => 1,
        }
    }
}

impl Task for Squares {
    type Input = Input;

    fn name(&self) -> &'static str {
        self.name
    }

    fn stages(&self) -> [&'static str; 3] {
        ["text", "unet", "vae"]
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<Input, Refusal> {
        let value = match body {
            TaskBody::Image(bytes) => return Ok(Input::Echo(bytes.len())),
            TaskBody::Json(value) => value,
        };
        let bad =
            |error: serde_json::Error| Refusal::new(RefusalKind::BadRequest, error.to_string());
        let body: Body = serde_json::from_value(value).map_err(bad)?;
        if body.prompt == "panic in parse" {
            panic!("as the test asked");
        }
        if body.prompt.len() > limits.prompt_bytes {
            return Err(Refusal::new(RefusalKind::TooLarge, "long").of_field("prompt"));
        }
        let most = limits.steps as u64;
        let steps = body.parameters.num_inference_steps.unwrap_or(3);
        if !(1..=most).contains(&steps) {
            let allowed = format!("1 to {most}");
            return Err(Refusal::invalid(
                "parameters.num_inference_steps",
                steps,
                &allowed,
            ));
        }
        for (field, side) in [
            ("width", body.parameters.width),
            ("height", body.parameters.height),
        ] {
            if side.is_some_and(|side| side % 8 != 0 || side == 0 || side > 64) {
                let field = format!("parameters.{field}");
                return Err(Refusal::invalid(&field, side.unwrap_or(0), "8 to 64 by 8"));
            }
        }
        if !(1..=8).contains(&body.parameters.num_images.unwrap_or(1)) {
            return Err(Refusal::invalid("parameters.num_images", "other", "1 to 8"));
        }
        Ok(Input::Draw(Box::new(body)))
    }

    fn demand(&self, input: &Input) -> Demand {
        Demand {
            key: BatchKey("a".into()),
            rows: 1,
            steps: input.steps(),
            work: 1.0,
        }
    }

    fn images(&self, input: &Input) -> Option<usize> {
        match input {
            Input::Draw(body) => Some(body.parameters.num_images.unwrap_or(1) as usize),
            Input::Probe | Input::Echo(_) => None,
        }
    }

    fn work(&self, worker: Worker<'_, Input>) -> Result<(), TaskError> {
        std::thread::sleep(self.load);
        worker.serve(Painter(Arc::clone(&self.steps)))
    }

    fn schema(&self) -> Value {
        json!({"type": "object"})
    }
}

struct Painter(Arc<AtomicUsize>);

pub(crate) struct State {
    input: Input,
    taken: usize,
}

/// A square whose colour tells the seed, the step, and whether there was a mask.
fn square(body: &Body, seed: u64, taken: usize) -> RgbImage {
    let side = |given: Option<u64>| given.unwrap_or(16) as u32;
    let colour = [
        seed as u8,
        taken as u8,
        if body.mask.is_some() { 255 } else { 0 },
    ];
    let (width, height) = (side(body.parameters.width), side(body.parameters.height));
    RgbImage::from_pixel(width, height, colour.into())
}

fn squares(body: &Body, taken: usize) -> Vec<OutputImage> {
    let seed = body.parameters.seed.unwrap_or(7);
    (0..body.parameters.num_images.unwrap_or(1))
        .map(|place| seed.wrapping_add(place))
        .map(|seed| OutputImage {
            image: square(body, seed, taken),
            seed,
        })
        .collect()
}

impl Engine for Painter {
    type Input = Input;
    type State = State;

    fn begin(&mut self, input: Input) -> Result<State, TaskError> {
        Ok(State { input, taken: 0 })
    }

    fn step(&mut self, states: &mut [&mut State], _: &Watch<'_>) -> Result<(), TaskError> {
        std::thread::sleep(STEP);
        for state in states {
            state.taken += 1;
            if let Input::Draw(body) = &state.input {
                self.0.fetch_add(1, Ordering::SeqCst);
                match body.prompt.as_str() {
                    "panic" => panic!("as the test asked"),
                    "fail" => return Err(TaskError::failed("secret of the engine")),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn progress(&self, state: &State) -> Progress {
        Progress {
            taken: state.taken,
            steps: state.input.steps(),
        }
    }

    fn preview(&mut self, state: &State) -> Result<Vec<RgbImage>, TaskError> {
        let Input::Draw(body) = &state.input else {
            return Ok(Vec::new());
        };
        let images = squares(body, state.taken).into_iter();
        Ok(images.map(|image| image.image).collect())
    }

    fn finish(&mut self, state: State) -> Result<TaskOutput, TaskError> {
        Ok(match state.input {
            Input::Draw(body) => TaskOutput::Images {
                images: squares(&body, state.taken),
                notes: Vec::new(),
            },
            Input::Echo(bytes) => TaskOutput::Json(json!({ "bytes": bytes })),
            Input::Probe => TaskOutput::Json(json!({})),
        })
    }

    fn batching(&self) -> Batching {
        Batching::BetweenSteps
    }

    fn probe(&self, index: usize, _: u64) -> Option<Input> {
        (index == 0).then_some(Input::Probe)
    }
}

/// How a test server differs from others.
pub(crate) struct Setup {
    pub(crate) server: ServerSettings,
    pub(crate) limits: Limits,
    pub(crate) queue: usize,
    pub(crate) load: Duration,
    /// Names and tasks.
    pub(crate) models: Vec<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            server: ServerSettings {
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                ..ServerSettings::default()
            },
            limits: Limits {
                steps: 10_000,
                ..Limits::default()
            },
            queue: 100,
            load: Duration::ZERO,
            models: vec![("sd", "txt2img")],
        }
    }
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) steps: Arc<AtomicUsize>,
    pub(crate) models: Vec<Model>,
    shutdown: Option<oneshot::Sender<()>>,
    pub(crate) task: tokio::task::JoinHandle<Result<(), pyrograph_serve::ServeError>>,
}

impl Setup {
    /// A server that may still load.
    pub(crate) async fn begin(self) -> Running {
        let steps = Arc::new(AtomicUsize::new(0));
        let metrics = Metrics::new();
        let start = |&(name, task): &(&str, &'static str)| {
            let task = Squares {
                name: task,
                steps: Arc::clone(&steps),
                load: self.load,
            };
            let settings = ModelSettings {
                devices: vec![DeviceSpec::Auto],
                queue: self.queue,
                max_batch: 1,
                max_batch_delay: Duration::ZERO,
                limits: self.limits.clone(),
            };
            Model::start(name, task, settings, metrics.clone())
        };
        let models: Vec<_> = self.models.iter().map(start).collect();
        let server = Server::bind(self.server, models.clone(), metrics)
            .await
            .expect("a free port");
        let address = server.address();
        let (shutdown, ended) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            let _ = ended.await;
        }));
        Running {
            address,
            url: format!("http://{address}"),
            client: Client::builder().timeout(LONG).build().expect("a client"),
            steps,
            models,
            shutdown: Some(shutdown),
            task,
        }
    }

    /// A server that is ready.
    pub(crate) async fn start(self) -> Running {
        let running = self.begin().await;
        until(|| async {
            let mut models = running.models.iter();
            models.all(|model| model.state() == ModelState::Ready)
        })
        .await;
        running
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until<F: Future<Output = bool>>(
    mut holds: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < LONG, "waited for too long at {place}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Running {
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).json(body)
    }

    /// A request with raw bytes of a content type.
    pub(crate) fn raw(
        &self,
        path: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
    ) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.url));
        let request = if kind.is_empty() {
            request
        } else {
            request.header("content-type", kind)
        };
        request.body(body)
    }

    pub(crate) async fn invoke(&self, body: &Value) -> Answer {
        answer(self.post("/invocations", body)).await
    }

    pub(crate) fn shut_down(&mut self) {
        let shutdown = self.shutdown.take().expect("once");
        shutdown.send(()).expect("the server runs");
    }

    /// The sum of the samples of a metric whose lines hold `part`.
    pub(crate) async fn metric(&self, name: &str, part: &str) -> f64 {
        let text = answer(self.get("/metrics")).await.text();
        let lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(part));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.models.iter().all(Model::is_idle)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.expect("a body").to_vec(),
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Holds the answer to be an error of `status`, of `field`, with `word` in its message.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, field: Option<&str>, word: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let error = &self.json()["error"];
        assert_eq!(error["param"].as_str(), field, "{error}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(word), "{word:?} is not in {message:?}");
        assert_eq!(error["request_id"], self.header("x-request-id"), "{error}");
        assert!(error["code"].is_string() && error["type"].is_string());
    }
}

/// The events of a stream: names and data.
#[track_caller]
pub(crate) fn events(text: &str) -> Vec<(String, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.trim().to_owned()).unwrap_or_default()
    };
    blocks
        .map(|block| {
            let data = serde_json::from_str(&field(block, "data:")).expect("JSON");
            (field(block, "event:"), data)
        })
        .collect()
}

/// The image of base64 in JSON.
#[track_caller]
pub(crate) fn image_of(value: &Value) -> RgbImage {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let file = BASE64_STANDARD
        .decode(value.as_str().expect("text"))
        .expect("base64");
    image::load_from_memory(&file).expect("an image").to_rgb8()
}
