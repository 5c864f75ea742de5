//! A task of your own behind pyrograph's queue, limits, batches, metrics and routes: here the edges of an image, by Sobel's
//! two kernels.
//!
//! ```text
//! cargo run --release --example serve_your_own [-- OUT.png]
//! ```
//!
//! A second. It serves on a free port, sends a white disc to itself, and prints the answer's headers and the server's
//! metrics. The picture (`edges.png`) has a white ring on black, where the disc ends.

use std::io::Cursor;

use anyhow::{Context, ensure};
use burn::tensor::{Tensor, TensorData, module::conv2d, ops::ConvOptions};
use pyrograph::{
    backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff},
    serve::{
        BatchKey, Batching, Demand, Engine, Limits, Metrics, Model, ModelSettings, OutputImage,
        Progress, Refusal, RefusalKind, Task, TaskBody, TaskError, TaskOutput, Watch, Worker,
        WorkerDevice,
        http::{Server, ServerSettings},
    },
    vision::{
        Rgb, RgbImage, from_chw,
        image::{self, ImageReader},
        to_chw,
    },
};

/// The half of the task that knows no device: it reads bodies.
struct Edges;

impl Task for Edges {
    type Input = RgbImage;

    fn name(&self) -> &'static str {
        "edges"
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<RgbImage, Refusal> {
        let TaskBody::Image(bytes) = body else {
            return Err(Refusal::new(
                RefusalKind::MediaType,
                "the body is JSON, but must be an image",
            ));
        };
        let unread =
            |error: image::ImageError| Refusal::new(RefusalKind::BadRequest, error.to_string());
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
        let (width, height) = reader
            .map_err(|error| unread(error.into()))?
            .into_dimensions()
            .map_err(unread)?;
        // Before it is decoded: a small file may unfold to gigabytes.
        if u64::from(width) * u64::from(height) > limits.input_pixels {
            return Err(Refusal::new(
                RefusalKind::TooLarge,
                format!("{width}×{height} pixels are too many"),
            ));
        }
        Ok(image::load_from_memory(&bytes).map_err(unread)?.to_rgb8())
    }

    fn demand(&self, image: &RgbImage) -> Demand {
        let (width, height) = image.dimensions();
        // Images of one size can share a batch.
        Demand {
            key: BatchKey(format!("{width}x{height}")),
            rows: 1,
            steps: 1,
            work: f64::from(width * height),
        }
    }

    fn work(&self, worker: Worker<'_, RgbImage>) -> Result<(), TaskError> {
        worker
            .device()
            .spec
            .run(Load(worker))
            .map_err(TaskError::failed)?
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({"description": "an image as image/png or image/jpeg"})
    }
}

/// Loads the model on whichever backend the worker's device names.
struct Load<'a>(Worker<'a, RgbImage>);

impl BackendTask for Load<'_> {
    type Output = Result<(), TaskError>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let across = [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0];
        let down = [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0];
        let kernels = TensorData::new([across, down].concat(), [2, 1, 3, 3]);
        let kernels = Tensor::<B::InnerBackend, 4>::from_data(kernels, &device);
        self.0.serve(Sobel { kernels })
    }
}

/// The half that computes, on the worker's thread.
struct Sobel<B: burn::prelude::Backend> {
    kernels: Tensor<B, 4>,
}

/// A request: the image, and its edges when they are there.
struct State {
    image: RgbImage,
    edges: Option<RgbImage>,
}

impl<B: burn::prelude::Backend> Engine for Sobel<B> {
    type Input = RgbImage;
    type State = State;

    fn begin(&mut self, image: RgbImage) -> Result<State, TaskError> {
        Ok(State { image, edges: None })
    }

    fn step(&mut self, states: &mut [&mut State], _: &Watch<'_>) -> Result<(), TaskError> {
        let Some((width, height)) = states.first().map(|state| state.image.dimensions()) else {
            return Ok(());
        };
        let [width, height] = [width, height].map(|side| side as usize);
        let values: Vec<f32> = states
            .iter()
            .flat_map(|state| to_chw(&state.image))
            .collect();
        let images = TensorData::new(values, [states.len(), 3, height, width]);
        let grey = Tensor::<B, 4>::from_data(images, &self.kernels.device()).mean_dim(1);
        let slopes = conv2d(
            grey,
            self.kernels.clone(),
            None,
            ConvOptions::new([1, 1], [1, 1], [1, 1], 1),
        );
        let strength = (slopes.powi_scalar(2).sum_dim(1).sqrt() / 4.0 - 1.0).clamp(-1.0, 1.0);
        let strength: Vec<f32> = strength.into_data().iter().collect();
        for (state, plane) in states.iter_mut().zip(strength.chunks(width * height)) {
            state.edges =
                Some(from_chw(&plane.repeat(3), 3, height, width).map_err(TaskError::failed)?);
        }
        Ok(())
    }

    fn progress(&self, state: &State) -> Progress {
        Progress {
            taken: state.edges.is_some().into(),
            steps: 1,
        }
    }

    fn finish(&mut self, state: State) -> Result<TaskOutput, TaskError> {
        let image = state.edges.unwrap_or(state.image);
        Ok(TaskOutput::Images {
            images: vec![OutputImage { image, seed: 0 }],
            notes: Vec::new(),
        })
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
    let out = std::env::args().nth(1).unwrap_or("edges.png".into());
    let settings = ModelSettings {
        devices: vec![WorkerDevice {
            spec: DeviceSpec::Auto,
            index: 0,
        }],
        queue: 100,
        max_batch: 16,
        max_batch_delay: std::time::Duration::from_millis(2),
        limits: Limits::default(),
    };
    let metrics = Metrics::new();
    let model = Model::start("edges", Edges, settings, metrics.clone());
    let free_port = ServerSettings {
        address: ([127, 0, 0, 1], 0).into(),
        ..ServerSettings::default()
    };
    let server = Server::bind(free_port, vec![model], metrics).await?;
    let url = format!("http://{}", server.address());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(server.run(async { stopped.await.unwrap_or(()) }));

    let client = reqwest::Client::new();
    while !client
        .get(format!("{url}/ping"))
        .send()
        .await?
        .status()
        .is_success()
    {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let disc = RgbImage::from_fn(96, 96, |x, y| {
        match x.abs_diff(48).pow(2) + y.abs_diff(48).pow(2) < 900 {
            true => Rgb([255; 3]),
            false => Rgb([0; 3]),
        }
    });
    let mut body = Cursor::new(Vec::new());
    disc.write_to(&mut body, image::ImageFormat::Png)?;
    let request = client
        .post(format!("{url}/invocations"))
        .header("content-type", "image/png");
    let answer = request.body(body.into_inner()).send().await?;
    println!("{} {:?}", answer.status(), answer.headers());
    ensure!(answer.status().is_success(), "{}", answer.text().await?);
    let edges = answer.bytes().await?;
    let picture = image::load_from_memory(&edges)?.to_rgb8();
    let ring = picture.pixels().filter(|pixel| pixel.0[0] > 127).count();
    println!(
        "{ring} of {} pixels are edges",
        picture.width() * picture.height()
    );
    std::fs::write(&out, &edges).context(out)?;
    let counted = client
        .get(format!("{url}/metrics"))
        .send()
        .await?
        .text()
        .await?;
    counted
        .lines()
        .filter(|line| line.starts_with("pyrograph_requests_total"))
        .for_each(|line| println!("{line}"));

    let _ = stop.send(());
    Ok(server.await??)
}
