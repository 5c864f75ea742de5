//! The four tasks behind their queues, from files to results.

#[path = "../../../pyrograph-pipelines/tests/stable_diffusion/common.rs"]
#[allow(dead_code)] // Shared with the tests of the pipelines.
mod common;
#[path = "../../../pyrograph-models/tests/common/formula.rs"]
#[allow(dead_code)] // Shared with the tests of the models.
mod formula;
mod models;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use pyrograph_backend::DeviceSpec;
use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::MemoryLimit;
use pyrograph_serve::{
    ClientKey, Event, Finished, Limits, Metrics, Model, ModelSettings, ModelState, Refusal,
    RefusalKind, Submission, TaskBody, TaskOutput, Ticket,
    tasks::{ModelOptions, TaskKind},
};
use serde_json::{Value, json};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(120);

fn start(path: &Path) -> (TaskKind, Model) {
    let kind = TaskKind::of(path).unwrap_or_else(|error| panic!("{error}"));
    let options = ModelOptions {
        precision: Precision::AsStored,
        tiny_vae: None,
        loras: Vec::new(),
        embeddings: Vec::new(),
        sizes: Vec::new(),
        steps: 4,
        memory: MemoryLimit::None,
    };
    let settings = ModelSettings {
        devices: vec![DeviceSpec::Cpu],
        queue: 16,
        max_batch: 4,
        max_batch_delay: Duration::from_millis(5),
        limits: Limits::default(),
    };
    let model = kind.start("tiny", path, options, settings, Metrics::new());
    let begun = Instant::now();
    while model.state() == ModelState::Loading && begun.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(20));
    }
    (kind, model)
}

fn ready(path: &Path) -> (TaskKind, Model) {
    let (kind, model) = start(path);
    assert_eq!(model.state(), ModelState::Ready);
    assert_eq!(model.task(), kind.name());
    (kind, model)
}

fn submit(model: &Model, body: TaskBody, previews: usize) -> Result<Ticket, Refusal> {
    model.submit(Submission {
        body,
        client: ClientKey::default(),
        deadline: Instant::now() + LONG,
        previews,
        most_images: None,
        id: "a".into(),
    })
}

fn json_ticket(model: &Model, body: Value) -> Ticket {
    submit(model, TaskBody::Json(body), 0).expect("accepted")
}

fn images(finished: Finished) -> Vec<pyrograph_serve::OutputImage> {
    match finished.output {
        TaskOutput::Images { images, .. } => images,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pictures_of_requests_that_come_together_are_those_of_each_alone() {
    let folder = tempfile::tempdir().unwrap();
    common::write_pipeline("base", folder.path());
    let (kind, model) = ready(folder.path());
    assert_eq!(kind, TaskKind::Txt2img);
    let bodies = [
        json!({"prompt": "cat", "parameters": {"seed": 1, "num_images": 2}}),
        json!({"prompt": "dog", "parameters": {"seed": 2, "num_inference_steps": 7}}),
        json!({"prompt": "mars", "parameters": {"seed": 3, "guidance_scale": 1, "scheduler": "lms"}}),
        json!({"prompt": "small", "parameters": {"seed": 4, "width": 32, "height": 32}}),
    ];
    let tickets = bodies.clone().map(|body| json_ticket(&model, body));
    let mut together = Vec::new();
    for ticket in tickets {
        let finished = ticket.finished().await.expect("finished");
        let names: Vec<_> = finished.stages.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["queue", "text", "unet", "vae"]);
        together.push(images(finished));
    }
    for (body, together) in bodies.into_iter().zip(together) {
        let alone = json_ticket(&model, body)
            .finished()
            .await
            .expect("finished");
        let alone = images(alone);
        assert_eq!(alone.len(), together.len());
        for (alone, together) in alone.iter().zip(&together) {
            assert_eq!(alone.seed, together.seed);
            let pairs = alone.image.as_raw().iter().zip(together.image.as_raw());
            let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
            assert!(most <= Some(1), "{most:?}");
        }
    }
    model.stop();
}

#[tokio::test]
async fn previews_come_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    common::write_pipeline("base", folder.path());
    let (_, model) = ready(folder.path());
    let body = json!({"prompt": "cat", "parameters": {"scheduler": "ddim"}});
    let body = TaskBody::Json(body);
    let mut ticket = submit(&model, body, 2).expect("accepted");
    let (mut previews, mut steps) = (0, 0);
    while let Some(event) = ticket.next().await {
        match event {
            Event::Preview { images, .. } => {
                previews += 1;
                assert_eq!(images[0].dimensions(), (64, 64));
            }
            Event::Step(progress) => steps = progress.taken,
            Event::Done(result) => assert!(result.is_ok()),
            _ => {}
        }
    }
    assert_eq!((previews, steps), (2, 4));
    model.stop();
}

#[tokio::test]
async fn sprites_are_drawn_by_a_model_file_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    models::write_sprites(&folder.path().join("model.safetensors"));
    let (kind, model) = ready(folder.path());
    assert_eq!(kind, TaskKind::Sprites);
    let body = json!({"context": "hero:0.5,food:0.5", "parameters": {"num_images": 2, "scale": 3}});
    let finished = json_ticket(&model, body)
        .finished()
        .await
        .expect("finished");
    let images = images(finished);
    assert!(images.len() == 2 && images[0].image.dimensions() == (48, 48));
    let refusal = submit(&model, TaskBody::Json(json!({"context": "dragon"})), 0).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    model.stop();
}

#[tokio::test]
async fn images_are_scored_by_a_fitted_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anomaly.safetensors");
    models::write_anomaly(&path);
    let (kind, model) = ready(&path);
    assert_eq!(kind, TaskKind::Anomaly);
    let png = models::png(28);
    let ticket = submit(&model, TaskBody::Image(png.into()), 0).expect("accepted");
    match ticket.finished().await.expect("finished").output {
        TaskOutput::Json(report) => {
            assert_eq!(report["method"], "encoder");
            assert!(report["score"].is_number() && report["anomalous"].is_boolean());
        }
        other => panic!("{other:?}"),
    }
    model.stop();
}

#[tokio::test]
async fn objects_are_found_in_images_that_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    models::write_detector(&path);
    let (kind, model) = ready(&path);
    assert_eq!(kind, TaskKind::Detect);
    let tickets = [30, 50, 70].map(|side| {
        let body = TaskBody::Image(models::png(side).into());
        (side, submit(&model, body, 0).expect("accepted"))
    });
    for (side, ticket) in tickets {
        match ticket.finished().await.expect("finished").output {
            TaskOutput::Json(found) => {
                assert_eq!(
                    (&found["width"], &found["height"]),
                    (&json!(side), &json!(side))
                );
                assert!(found["detections"].is_array());
            }
            other => panic!("{other:?}"),
        }
    }
    model.stop();
}

#[test]
fn a_model_that_is_broken_is_told_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    common::write_pipeline("base", folder.path());
    let unet = folder
        .path()
        .join("unet/diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(&unet).unwrap();
    std::fs::write(&unet, &bytes[..bytes.len() / 2]).unwrap();
    let (_, model) = start(folder.path());
    match model.state() {
        ModelState::Failed(reason) => assert!(reason.contains("unet"), "{reason}"),
        other => panic!("{other:?}"),
    }
    model.stop();
}
