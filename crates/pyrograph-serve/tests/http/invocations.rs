//! Results of `/invocations`, in every form.

use serde_json::json;

use crate::common::{Setup, answer, events, image_of};

#[tokio::test]
async fn one_image_comes_as_png_with_its_seed_steps_and_times() {
    let server = Setup::default().start().await;
    let plain = server.invoke(&json!({"prompt": "a lovely cat"})).await;
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert_eq!(plain.header("content-type"), "image/png");
    assert_eq!(
        (plain.header("x-seed"), plain.header("x-steps")),
        ("7", "3")
    );
    for stage in ["queue", "text", "unet", "vae", "encode"] {
        let times = plain.header("server-timing");
        assert!(times.contains(&format!("{stage};dur=")), "{times}");
    }
    let image = image::load_from_memory(&plain.body).unwrap().to_rgb8();
    assert_eq!(image.get_pixel(0, 0).0, [7, 3, 0]);
    for (accept, kind) in [
        ("image/*", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/webp, image/png;q=0.5", "image/webp"),
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
    ] {
        let request = server.post("/invocations", &json!({"prompt": "a"}));
        let answer = answer(request.header("accept", accept)).await;
        assert_eq!(answer.header("content-type"), kind, "{accept}");
    }
}

#[tokio::test]
async fn several_images_come_as_json() {
    let server = Setup::default().start().await;
    let body = json!({"prompt": "a", "parameters": {"num_images": 2, "seed": 5}});
    let value = server.invoke(&body).await.json();
    assert_eq!(value["images"][0]["seed"], 5);
    assert_eq!(
        image_of(&value["images"][1]["b64_json"]).get_pixel(0, 0).0,
        [6, 3, 0]
    );
    assert!(value["seconds"]["unet"].as_f64().unwrap() > 0.0);
    assert!(value["seconds"]["encode"].as_f64().is_some());
    let steps = server.steps.load(std::sync::atomic::Ordering::SeqCst);
    let only_png = server
        .post("/invocations", &body)
        .header("accept", "image/png");
    answer(only_png)
        .await
        .is_error(406, None, "application/json");
    let after = server.steps.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(after, steps, "the refusal came before any step");
    let too_many = json!({"prompt": "a", "parameters": {"num_images": 9}});
    let request = server.post("/invocations", &too_many);
    answer(request.header("accept", "image/png"))
        .await
        .is_error(422, Some("parameters.num_images"), "1 to 8");
}

#[tokio::test]
async fn images_and_json_are_told_apart_by_their_type() {
    let server = Setup::default().start().await;
    for kind in [
        "image/png",
        "application/x-image",
        "application/octet-stream",
    ] {
        let answer = answer(server.raw("/invocations", kind, vec![0x89, b'P', 1, 2])).await;
        assert_eq!(answer.json(), json!({"bytes": 4}), "{kind}");
    }
    for kind in [
        "",
        "application/octet-stream",
        "application/json; charset=utf-8",
    ] {
        let answer = answer(server.raw("/invocations", kind, " {\"prompt\": \"a\"}")).await;
        assert_eq!(answer.header("content-type"), "image/png", "{kind}");
    }
    let json = server
        .raw("/invocations", "image/png", vec![1])
        .header("accept", "image/png");
    answer(json).await.is_error(406, None, "application/json");
}

#[tokio::test]
async fn models_are_chosen_by_path_and_field() {
    let setup = Setup {
        models: vec![("first", "txt2img"), ("second", "detect")],
        ..Setup::default()
    };
    let server = setup.start().await;
    let body = json!({"prompt": "a"});
    for path in ["/invocations", "/models/second/invocations"] {
        assert_eq!(answer(server.post(path, &body)).await.status, 200, "{path}");
    }
    assert_eq!(
        server
            .metric(
                "pyrograph_stage_seconds_count",
                "model=\"second\",stage=\"unet\""
            )
            .await,
        1.0
    );
    let named = json!({"prompt": "a", "model": "second"});
    assert_eq!(server.invoke(&named).await.status, 200);
    let unknown = server
        .invoke(&json!({"prompt": "a", "model": "third"}))
        .await;
    unknown.is_error(404, Some("model"), "first, second");
    let path = answer(server.post("/models/third/invocations", &body)).await;
    path.is_error(404, Some("model"), "third");
    let both = answer(server.post("/models/first/invocations", &named)).await;
    both.is_error(400, Some("model"), "second");
    let drawn = json!({"prompt": "a", "model": "second"});
    let refused = answer(server.post("/v1/images/generations", &drawn)).await;
    refused.is_error(400, Some("model"), "txt2img");
    let models = answer(server.get("/models")).await.json();
    assert_eq!(
        models["models"][1],
        json!({"name": "second", "task": "detect", "state": "ready"})
    );
    let listed = answer(server.get("/v1/models")).await.json();
    assert_eq!(listed["data"][0]["id"], "first");
    assert_eq!(
        answer(server.get("/v1/models/second")).await.json()["object"],
        "model"
    );
}

#[tokio::test]
async fn events_tell_of_steps_previews_and_the_result() {
    let server = Setup::default().start().await;
    let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 6}});
    let request = server
        .post("/invocations?partial_images=2", &body)
        .header("accept", "text/event-stream");
    let answer = answer(request).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let events = events(&answer.text());
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    let expected = "started step step preview step step preview step step result";
    assert_eq!(names.join(" "), expected);
    assert_eq!(events[1].1, json!({"step": 1, "steps": 6}));
    let preview = &events[3].1;
    assert_eq!(preview["index"], 0);
    assert_eq!(
        image_of(&preview["images"][0]["b64_json"])
            .get_pixel(0, 0)
            .0,
        [7, 2, 0]
    );
    let result = &events.last().unwrap().1;
    assert_eq!(
        (&result["images"][0]["seed"], &result["steps"]),
        (&json!(7), &json!(6))
    );
}

#[tokio::test]
async fn previews_have_a_stage_of_their_own() {
    let server = Setup::default().start().await;
    let body = json!({"prompt": "a", "stream": true, "partial_images": 2,
        "parameters": {"num_inference_steps": 6}});
    assert_eq!(server.invoke(&body).await.status, 200);
    for (stage, times) in [("preview", 2.0), ("encode", 1.0), ("vae", 1.0)] {
        let part = format!("stage=\"{stage}\"");
        let seen = server.metric("pyrograph_stage_seconds_count", &part).await;
        assert_eq!(seen, times, "{stage}");
    }
}

#[tokio::test]
async fn a_stream_is_counted_once_with_its_outcome() {
    let server = Setup::default().start().await;
    for (prompt, status) in [("a", 200), ("fail", 500)] {
        let body = json!({"prompt": prompt, "stream": true});
        assert_eq!(server.invoke(&body).await.status, 200);
        let part = format!("status=\"{status}\"");
        let counted = server.metric("pyrograph_requests_total", &part).await;
        // Those of `/metrics` are counted after their answer.
        let others = server
            .metric("pyrograph_requests_total", "route=\"/metrics\"")
            .await;
        let own = counted - if status == 200 { others - 1.0 } else { 0.0 };
        assert_eq!(
            own, 1.0,
            "{status}: {counted} of which {others} are of /metrics"
        );
    }
}

#[tokio::test]
async fn a_late_failure_is_an_event() {
    let server = Setup::default().start().await;
    let request = server.post("/invocations", &json!({"prompt": "fail", "stream": true}));
    let answer = answer(request).await;
    let (name, data) = events(&answer.text()).pop().unwrap();
    assert_eq!(
        (name.as_str(), &data["error"]["status"]),
        ("error", &json!(500))
    );
    assert!(!answer.text().contains("secret"), "{}", answer.text());
}

#[tokio::test]
async fn bodies_by_reference_stay_below_their_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("inputs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("body.json"), "{\"prompt\": \"a\"}").unwrap();
    std::fs::write(root.path().join("secret.json"), "{\"prompt\": \"a\"}").unwrap();
    std::os::unix::fs::symlink(root.path().join("secret.json"), folder.join("link.json")).unwrap();
    let mut setup = Setup::default();
    setup.server.input_folder = Some(folder.clone());
    let server = setup.start().await;
    let by = |path: String| {
        let request = server.raw("/invocations", "application/json", "");
        answer(request.header("x-amzn-sagemaker-inputlocation", path))
    };
    let file = folder.join("body.json").display().to_string();
    for path in ["body.json".to_owned(), format!("file://{file}"), file] {
        assert_eq!(by(path.clone()).await.status, 200, "{path}");
    }
    let outside = root.path().join("secret.json").display().to_string();
    for path in [
        "../secret.json".to_owned(),
        outside,
        "link.json".into(),
        "none".into(),
        "s3://a/b".into(),
    ] {
        by(path)
            .await
            .is_error(400, Some("x-amzn-sagemaker-inputlocation"), "");
    }
    let off = Setup::default().start().await;
    let request = off
        .raw("/invocations", "", "")
        .header("x-pyrograph-input", "body.json");
    answer(request)
        .await
        .is_error(400, Some("x-pyrograph-input"), "without a folder");
}
