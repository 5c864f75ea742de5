//! What requests are answered.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use pyrograph::vision::read_image;
use serde_json::{Value, json};

use super::{Server, picture};
use crate::{
    common::{folder, refuses, succeeds, text},
    pictures::pipeline,
};

fn png_of(value: &Value) -> Vec<u8> {
    BASE64_STANDARD
        .decode(value.as_str().expect("base64"))
        .expect("base64")
}

#[test]
fn the_articles_bodies_get_the_picture_that_the_command_makes() {
    let server = Server::start(&[]);
    let ping = server.answer(server.client.get(format!("{}/ping", server.url)));
    assert_eq!((ping.status.as_u16(), ping.body.len()), (200, 0));
    for body in [
        json!({"prompt": "a lovely cat"}),
        json!({"prompt": "cat", "parameters": {}}),
    ] {
        let answer = server.answer(server.post("/invocations", &body));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "image/png");
        assert!(answer.body.starts_with(b"\x89PNG"));
        assert!(
            answer.header("x-seed").parse::<u64>().is_ok(),
            "{:?}",
            answer.headers
        );
        assert_eq!(
            answer.header("x-steps"),
            "21",
            "20 steps of PNDM are 21 calls"
        );
        for stage in ["queue", "text", "unet", "vae", "encode"] {
            let times = answer.header("server-timing");
            assert!(times.contains(&format!("{stage};dur=")), "{times}");
        }
    }
    let parameters = json!({"seed": 5, "num_inference_steps": 4, "guidance_scale": 3.0});
    let body =
        json!({"prompt": "a cat on mars", "negative_prompt": "blurry", "parameters": parameters});
    let served = server.answer(server.post("/invocations", &body));
    let out = server.folder.path().join("cat.png");
    let model = server.folder.path().join("model");
    succeeds(&[
        "txt2img",
        "a cat on mars",
        "--negative",
        "blurry",
        "--seed",
        "5",
        "--steps",
        "4",
        "--guidance",
        "3",
        "--model",
        text(&model),
        "--device",
        "cpu",
        "--out",
        text(&out),
    ]);
    let command = read_image(&out).expect("a picture");
    assert_eq!(picture(&served.body, server.folder.path()), command);
}

#[test]
fn several_pictures_come_as_json_and_do_not_fit_into_one_png() {
    let server = Server::start(&[]);
    let parameters = json!({"num_images": 2, "seed": 7, "num_inference_steps": 2});
    let body = json!({"prompt": "a cat", "parameters": parameters});
    let answer = server.answer(server.post("/invocations", &body));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let value = answer.json();
    let seeds: Vec<_> = value["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| &image["seed"])
        .collect();
    assert_eq!(seeds, [&json!(7), &json!(8)]);
    assert!(png_of(&value["images"][1]["b64_json"]).starts_with(b"\x89PNG"));
    assert!(value["seconds"]["unet"].as_f64().unwrap() > 0.0);
    let only_png = server
        .post("/invocations", &body)
        .header("accept", "image/png");
    server
        .answer(only_png)
        .is_error(406, &["image/png", "application/json"]);
    let one = json!({"prompt": "a cat", "parameters": {"seed": 7, "num_inference_steps": 2}});
    let as_json = server.answer(
        server
            .post("/invocations", &one)
            .header("accept", "application/json"),
    );
    assert_eq!(as_json.json()["images"][0], value["images"][0]);
}

#[test]
fn what_cannot_be_served_is_refused_with_its_status_and_its_field() {
    let server = Server::start(&["--max-body", "100000", "--max-steps", "50"]);
    let invoke = |body: Value| server.answer(server.post("/invocations", &body));
    invoke(json!({"prompt": "a", "parameters": {"widht": 64}}))
        .is_error(400, &["widht", "parameters"]);
    invoke(json!({"prompt": 3})).is_error(400, &["prompt"]);
    invoke(json!({})).is_error(400, &["prompt"]);
    invoke(json!([])).is_error(400, &[]);
    invoke(json!({"prompt": "a", "background": "transparent"})).is_error(400, &["transparent"]);
    invoke(json!({"prompt": "a", "response_format": "url"})).is_error(400, &["url"]);
    invoke(json!({"prompt": "a", "parameters": {"width": -8}}))
        .is_error(422, &["parameters.width"]);
    invoke(json!({"prompt": "a", "parameters": {"width": 65}}))
        .is_error(422, &["parameters.width", "65"]);
    invoke(json!({"prompt": "a", "parameters": {"num_inference_steps": 51}}))
        .is_error(422, &["51", "50"]);
    invoke(json!({"prompt": "a", "parameters": {"num_images": 0}})).is_error(422, &["num_images"]);
    invoke(json!({"prompt": "a", "model": "other"})).is_error(404, &["other"]);
    invoke(json!({"prompt": "a".repeat(50_000)})).is_error(413, &["prompt"]);
    invoke(json!({"prompt": "a".repeat(200_000)})).is_error(413, &["100000"]);
    let url = format!("{}/invocations", server.url);
    let raw = |body: &'static str, kind: &str| {
        server.answer(
            server
                .client
                .post(&url)
                .header("content-type", kind)
                .body(body),
        )
    };
    raw("{\"prompt\": ", "application/json").is_error(400, &["JSON"]);
    raw("prompt=a", "application/x-www-form-urlencoded").is_error(415, &["application/json"]);
    server.answer(server.client.get(&url)).is_error(405, &[]);
    server
        .answer(server.client.get(format!("{}/nothing", server.url)))
        .is_error(404, &[]);
    let fine = invoke(
        json!({"prompt": "a", "quality": "high", "style": "vivid", "moderation": "low", "user": "u",
        "background": "auto", "parameters": {"num_inference_steps": 1}}),
    );
    assert_eq!(fine.status, 200, "{}", fine.text());
}

#[test]
fn tokens_guard_everything_but_health() {
    let (_guard, root) = folder();
    let tokens = root.join("tokens");
    std::fs::write(
        &tokens,
        "# clients\nfirst-token-of-a-client\nsecond-token-of-a-client\n",
    )
    .unwrap();
    let server = Server::start(&["--tokens", text(&tokens)]);
    let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 1}});
    server
        .answer(server.post("/invocations", &body))
        .is_error(401, &[]);
    server
        .answer(
            server
                .post("/invocations", &body)
                .bearer_auth("another-token"),
        )
        .is_error(401, &[]);
    let answer = server.answer(
        server
            .post("/invocations", &body)
            .bearer_auth("second-token-of-a-client"),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    for path in ["/ping", "/livez", "/readyz"] {
        assert_eq!(
            server.runtime.block_on(server.status(path)),
            Some(200),
            "{path}"
        );
    }
    assert!(
        !server.log().contains("token-of-a-client"),
        "{}",
        server.log()
    );
}

#[test]
fn a_job_tells_its_progress_and_keeps_its_result() {
    let server = Server::start(&[]);
    let body = json!({"prompt": "a cat", "parameters": {"seed": 3, "num_inference_steps": 3}});
    let accepted = server.answer(server.post("/v1/jobs", &body));
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let id = accepted.json()["id"].as_str().expect("an id").to_owned();
    let url = format!("{}/v1/jobs/{id}", server.url);
    assert!(
        accepted
            .header("location")
            .ends_with(&format!("/v1/jobs/{id}"))
    );
    let job = || server.answer(server.client.get(&url)).json();
    server.until("the job is done", || async {
        job_status(&server, &url).await == "done"
    });
    let done = job();
    assert_eq!(done["step"], done["steps"]);
    let direct = server.answer(server.post("/invocations", &body));
    assert_eq!(
        png_of(&done["result"]["images"][0]["b64_json"]),
        direct.body
    );
    let removed = server.answer(server.client.delete(&url));
    assert!(removed.status.is_success(), "{}", removed.text());

    let long = json!({"prompt": "a cat", "parameters": {"num_inference_steps": 200}});
    let id = server.answer(server.post("/v1/jobs", &long)).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = format!("{}/v1/jobs/{id}", server.url);
    server.answer(server.client.delete(&url));
    server.until("the job is cancelled", || async {
        ["cancelled", "gone"].contains(&job_status(&server, &url).await.as_str())
    });
    server
        .answer(server.client.get(format!("{}/v1/jobs/none", server.url)))
        .is_error(404, &["none"]);
}

async fn job_status(server: &Server, url: &str) -> String {
    let response = server.client.get(url).send().await.expect("an answer");
    let value: Value = response.json().await.expect("JSON");
    value["status"].as_str().unwrap_or("gone").to_owned()
}

#[test]
fn events_show_the_picture_as_it_forms() {
    let server = Server::start(&[]);
    let body = json!({"prompt": "a cat", "n": 1, "stream": true, "partial_images": 2, "num_inference_steps": 9, "seed": 1});
    let answer = server.answer(server.post("/v1/images/generations", &body));
    assert_eq!(
        answer.header("content-type").split(';').next(),
        Some("text/event-stream"),
        "{}",
        answer.text()
    );
    let whole = String::from_utf8(answer.body.clone()).expect("text");
    let events: Vec<Value> = whole
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| serde_json::from_str(data.trim()).expect("JSON"))
        .collect();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let partial = "image_generation.partial_image";
    assert_eq!(kinds, [partial, partial, "image_generation.completed"]);
    let pictures: Vec<_> = events
        .iter()
        .map(|event| png_of(&event["b64_json"]))
        .collect();
    let sizes: Vec<_> = pictures
        .iter()
        .map(|png| picture(png, server.folder.path()).dimensions())
        .collect();
    assert_eq!(sizes, [(64, 64); 3]);
    assert!(pictures[0] != pictures[1] && pictures[1] != pictures[2]);
    let plain = json!({"prompt": "a cat", "num_inference_steps": 9, "seed": 1});
    let plain = server
        .answer(server.post("/v1/images/generations", &plain))
        .json();
    assert_eq!(png_of(&plain["data"][0]["b64_json"]), pictures[2]);
}

#[test]
fn metrics_count_every_request_and_gauges_return_to_nothing() {
    let server = Server::start(&[]);
    let before = server.metric("pyrograph_requests_total", "route=\"/invocations\"");
    let good = json!({"prompt": "a", "parameters": {"num_inference_steps": 1}});
    for _ in 0..3 {
        assert_eq!(
            server.answer(server.post("/invocations", &good)).status,
            200
        );
    }
    for _ in 0..2 {
        server
            .answer(server.post("/invocations", &json!({})))
            .is_error(400, &[]);
    }
    let count = |part: &str| server.metric("pyrograph_requests_total", part);
    assert_eq!(
        count("route=\"/invocations\"") - before,
        5.0,
        "{}",
        server.metrics()
    );
    assert_eq!(count("status=\"400\""), 2.0);
    assert_eq!(
        server.metric("pyrograph_stage_seconds_count", "stage=\"unet\""),
        3.0
    );
    assert_eq!(
        server.metric("pyrograph_stage_seconds_count", "stage=\"encode\""),
        3.0
    );
    server.until("gauges are back", || server.is_idle());
}

#[test]
fn a_model_that_does_not_load_ends_the_server() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let weights = Path::new("unet/diffusion_pytorch_model.safetensors");
    std::fs::write(model.join(weights), b"broken").unwrap();
    refuses(
        &["serve", "--port", "0", "--model", text(&model)],
        &["diffusion_pytorch_model.safetensors"],
    );
    refuses(
        &["serve", "--port", "0", "--model", text(&root.join("none"))],
        &["none"],
    );
    refuses(
        &[
            "serve",
            "--port",
            "0",
            "--model",
            text(&model),
            "--task",
            "draw",
        ],
        &["txt2img", "draw"],
    );
}
