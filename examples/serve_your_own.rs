//! A task of your own behind pyrograph's queue, limits, batches, metrics and routes: here the negative of an image.
//!
//! ```text
//! cargo run --release --example serve_your_own [-- OUT.png]
//! ```
//!
//! A second. It serves on a free port, sends an image to itself, and prints the answer and what the server counted. The
//! picture (`negative.png`) goes from white on the left to black on the right.

use std::{io::Cursor, time::Duration};

use anyhow::ensure;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use pyrograph::{
    backend::{BackendTask, Device, vision::VisionAutodiff},
    serve::{
        BatchKey, Batching, Demand, Engine, Limits, Metrics, Model, ModelSettings, OutputImage,
        Progress, Refusal, RefusalKind, Task, TaskBody, TaskError, TaskOutput, Watch, Worker,
        decode_image,
        http::{Server, ServerSettings},
    },
    vision::{Rgb, RgbImage, from_chw, image::ImageFormat, to_chw},
};

/// The half that knows no device: it reads bodies.
struct Negative;

impl Task for Negative {
    type Input = RgbImage;

    fn name(&self) -> &'static str {
        "negative"
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<RgbImage, Refusal> {
        match body {
            // Not before its header has shown that it is within the limits.
            TaskBody::Image(bytes) => decode_image(&bytes, limits),
            TaskBody::Json(_) => Err(Refusal::new(RefusalKind::MediaType, "send an image")),
        }
    }

    fn demand(&self, image: &RgbImage) -> Demand {
        let (width, height) = image.dimensions();
        Demand {
            // Images of one size can share a batch.
            key: BatchKey(format!("{width}x{height}")),
            rows: 1,
            steps: 1,
            work: f64::from(width) * f64::from(height),
        }
    }

    fn work(&self, worker: Worker<'_, RgbImage>) -> Result<(), TaskError> {
        let device = worker.device();
        device.run(Load(worker)).map_err(TaskError::failed)?
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({"description": "an image"})
    }
}

/// Loads the model on the backend of the worker's device. A real one would read its weights here.
struct Load<'a>(Worker<'a, RgbImage>);

impl BackendTask for Load<'_> {
    type Output = Result<(), TaskError>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let minus_one = Tensor::<B::InnerBackend, 4>::full([1, 1, 1, 1], -1.0, &device);
        self.0.serve(Inverter { minus_one })
    }
}

/// The half that computes, on the worker's thread. A request is an image, and whether it was inverted.
struct Inverter<B: Backend> {
    minus_one: Tensor<B, 4>,
}

impl<B: Backend> Engine for Inverter<B> {
    type Input = RgbImage;
    type State = (RgbImage, bool);

    fn begin(&mut self, image: RgbImage) -> Result<Self::State, TaskError> {
        Ok((image, false))
    }

    fn step(&mut self, states: &mut [&mut Self::State], _: &Watch<'_>) -> Result<(), TaskError> {
        let values: Vec<f32> = states.iter().flat_map(|(image, _)| to_chw(image)).collect();
        // All of them have one size, since their keys are equal.
        let (width, height) = states[0].0.dimensions();
        let (width, height) = (width as usize, height as usize);
        let batch = TensorData::new(values, [states.len(), 3, height, width]);
        let batch = Tensor::from_data(batch, &self.minus_one.device()) * self.minus_one.clone();
        let values: Vec<f32> = batch.into_data().iter().collect();
        for (state, values) in states.iter_mut().zip(values.chunks(3 * width * height)) {
            let image = from_chw(values, 3, height, width).map_err(TaskError::failed)?;
            **state = (image, true);
        }
        Ok(())
    }

    fn progress(&self, (_, is_done): &Self::State) -> Progress {
        let taken = usize::from(*is_done);
        Progress { taken, steps: 1 }
    }

    fn finish(&mut self, (image, _): Self::State) -> Result<TaskOutput, TaskError> {
        let images = vec![OutputImage { image, seed: 0 }];
        let notes = Vec::new();
        Ok(TaskOutput::Images { images, notes })
    }

    fn batching(&self) -> Batching {
        Batching::Gathered
    }

    fn probe(&self, index: usize, _: u64) -> Option<RgbImage> {
        (index == 0).then(|| RgbImage::new(64, 64))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let out = std::env::args().nth(1).unwrap_or("negative.png".into());
    let metrics = Metrics::new();
    let model = Model::start(
        "negative",
        Negative,
        ModelSettings::default(),
        metrics.clone(),
    );
    let mut free_port = ServerSettings::default();
    free_port.address.set_port(0);
    let server = Server::bind(free_port, vec![model], metrics).await?;
    let url = format!("http://{}", server.address());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(server.run(async { stopped.await.unwrap_or(()) }));

    let client = reqwest::Client::new();
    let get = |path: &str| client.get(format!("{url}{path}")).send();
    while !get("/ping").await?.status().is_success() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ramp = RgbImage::from_fn(256, 64, |x, _| Rgb([x as u8; 3]));
    let mut body = Cursor::new(Vec::new());
    ramp.write_to(&mut body, ImageFormat::Png)?;
    let request = client.post(format!("{url}/invocations"));
    let request = request.header("content-type", "image/png");
    let answer = request.body(body.into_inner()).send().await?;
    println!("{} {:#?}", answer.status(), answer.headers());
    ensure!(answer.status().is_success(), "{}", answer.text().await?);
    std::fs::write(&out, answer.bytes().await?)?;
    let counted = get("/metrics").await?.text().await?;
    let counted = counted.lines().filter(|line| line.contains("_total{"));
    counted.for_each(|line| println!("{line}"));

    let _ = stop.send(());
    Ok(server.await??)
}
