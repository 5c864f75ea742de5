//! A server and its latency: a pipeline behind HTTP on a free port, measured with 1, 2, 4 and 8 requests at once.
//!
//! ```text
//! cargo run --release --example serve_and_measure [-- OUT_FOLDER [REQUESTS]]
//! ```
//!
//! The pipeline is small and has random weights; it is written to `OUT_FOLDER/pipeline`. The table has `REQUESTS` requests (40) a
//! line: about a minute in all. `OUT_FOLDER/concurrency.png` shows images a second and latency by requests at once; `latency.png`
//! shows every request of the last line.

mod small_pipeline;

use std::{
    net::SocketAddr,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use pyrograph::{
    backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff},
    figures::{ChartOptions, Series, line_chart, panels},
    models::weights::Precision,
    pipelines::stable_diffusion::MemoryLimit,
    serve::{
        Metrics, Model, ModelSettings, ModelState,
        http::{Server, ServerSettings},
        tasks::{ModelOptions, TaskKind},
    },
    vision::write_png,
};
use pyrograph_loadtest::{Load, LoadPlan, LoadReport, latency_picture, run};
use serde_json::json;
use tokio::sync::oneshot;

/// Memory stays with the program from one step to the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AT_ONCE: [usize; 4] = [1, 2, 4, 8];
const REQUESTS: u64 = 40;
const STEPS: usize = 10;
const SIDE: usize = 64;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let out: PathBuf = arguments
        .next()
        .map_or("serve-and-measure-out".into(), Into::into);
    let requests = match arguments.next() {
        Some(text) => text.parse().context("REQUESTS is a number")?,
        None => REQUESTS,
    };
    // 1. A pipeline with random weights.
    let folder = out.join("pipeline");
    DeviceSpec::Auto.run(WritePipeline(&folder))??;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve_and_measure(&folder, &out, requests))
}

struct WritePipeline<'a>(&'a Path);

impl BackendTask for WritePipeline<'_> {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> anyhow::Result<()> {
        small_pipeline::write::<B::InnerBackend>(self.0, &device)
    }
}

async fn serve_and_measure(folder: &Path, out: &Path, requests: u64) -> anyhow::Result<()> {
    // 2. The model behind its queue, and a server on a free port.
    let metrics = Metrics::new();
    let model = start_model(folder, &metrics);
    let settings = ServerSettings {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Default::default()
    };
    let server = Server::bind(settings, vec![model.clone()], metrics).await?;
    let url = format!("http://{}/invocations", server.address());
    let (shutdown, asked) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = asked.await;
    }));
    wait_until_ready(&model).await?;

    // 3. The load, from one request at once to eight.
    println!("{url}: {STEPS} steps of {SIDE}×{SIDE} pixels, {requests} requests a line\n");
    println!("at once  images/s   P50 ms   P95 ms   95 % interval of P95   in queue ms");
    let mut reports = Vec::new();
    for clients in AT_ONCE {
        let report = measure(&url, clients, requests).await?;
        print_line(clients, &report)?;
        reports.push(report);
    }
    draw(&reports, out)?;

    // 4. Shutdown: what runs ends first.
    let _ = shutdown.send(());
    Ok(serving.await??)
}

fn start_model(folder: &Path, metrics: &Metrics) -> Model {
    let options = ModelOptions {
        precision: Precision::F32,
        tiny_vae: None,
        loras: Vec::new(),
        embeddings: Vec::new(),
        sizes: vec![[SIDE, SIDE]],
        steps: STEPS,
        memory: MemoryLimit::default(),
    };
    let settings = ModelSettings {
        max_batch: 8,
        ..ModelSettings::default()
    };
    TaskKind::Txt2img.start("small", folder, options, settings, metrics.clone())
}

async fn wait_until_ready(model: &Model) -> anyhow::Result<()> {
    loop {
        match model.state() {
            ModelState::Ready => return Ok(()),
            ModelState::Failed(reason) => bail!("the model does not load: {reason}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn measure(url: &str, clients: usize, requests: u64) -> anyhow::Result<LoadReport> {
    // Several seeds, so that requests of a batch differ.
    let body = |seed: u64| {
        let parameters = json!({"seed": seed, "width": SIDE, "height": SIDE});
        json!({"prompt": "a lovely cat", "parameters": parameters})
            .to_string()
            .into_bytes()
    };
    let plan = LoadPlan {
        bodies: (0..8).map(body).collect(),
        accept: Some("image/png".into()),
        load: Load::Closed { clients },
        requests: Some(requests),
        warm_up: clients as u64,
        ..LoadPlan::new(url)
    };
    let report = run(plan, |_| ControlFlow::Continue(())).await?;
    anyhow::ensure!(report.failed == 0, "{report}");
    Ok(report)
}

fn print_line(clients: usize, report: &LoadReport) -> anyhow::Result<()> {
    let figures = report.latency.as_ref().context("no request succeeded")?;
    let [low, high] = figures
        .spread
        .as_ref()
        .map_or([f64::NAN; 2], |spread| spread.p95_ms);
    let queue = report.stages_ms.get("queue").copied().unwrap_or(0.0);
    println!(
        "{clients:>7}{:>10.2}{:>9.1}{:>9.1}   {:<20}{queue:>14.1}",
        report.images_per_second,
        figures.p50_ms,
        figures.p95_ms,
        format!("{low:.1} to {high:.1}")
    );
    Ok(())
}

/// Images a second and latencies by requests at once, and every request of the last report.
fn draw(reports: &[LoadReport], out: &Path) -> anyhow::Result<()> {
    let line = |value: &dyn Fn(&LoadReport) -> Option<f64>| {
        let points = AT_ONCE.iter().zip(reports);
        points
            .filter_map(|(&clients, report)| Some((clients as f64, value(report)?)))
            .collect::<Vec<_>>()
    };
    let chart = |y_label: &str, series: &[Series]| {
        let options = ChartOptions {
            x_label: "requests at once".into(),
            y_label: y_label.into(),
            smoothing: 0.0,
            width: 560,
            height: 420,
            ..Default::default()
        };
        line_chart(&options, series)
    };
    // A point at zero, and a gap after it, so that the axis begins there.
    let mut throughput = vec![(1.0, 0.0), (f64::NAN, f64::NAN)];
    throughput.extend(line(&|report| Some(report.images_per_second)));
    let images = Series::new("", throughput);
    let p50 = Series::new("P50", line(&|report| Some(report.latency.as_ref()?.p50_ms)));
    let p95 = Series::new("P95", line(&|report| Some(report.latency.as_ref()?.p95_ms)));
    let charts = [
        ("throughput", chart("images a second", &[images])?),
        ("latency", chart("ms", &[p50, p95])?),
    ];
    write_png(out.join("concurrency.png"), &panels(&charts)?)?;
    let last = reports.last().context("nothing was measured")?;
    write_png(out.join("latency.png"), &latency_picture(last)?)?;
    println!(
        "\nwrote {}",
        out.join("{concurrency,latency}.png").display()
    );
    Ok(())
}
