//! OpenAI's routes.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::common::{Running, Setup, answer, events, image_of};

#[tokio::test]
async fn pictures_come_with_the_fields_that_clients_read() {
    let server = Setup::default().start().await;
    let body = json!({"prompt": "a cat", "model": "sd", "n": 2, "size": "32x16", "seed": 9, "num_inference_steps": 2,
        "negative_prompt": "dogs", "guidance_scale": 2.0, "quality": "high", "style": "vivid", "moderation": "low",
        "user": "me", "background": "auto", "response_format": "b64_json", "output_format": "png"});
    let answered = answer(server.post("/v1/images/generations", &body)).await;
    assert_eq!(answered.status, 200, "{}", answered.text());
    assert_eq!(answered.header("x-seed"), "9");
    let value = answered.json();
    let second = image_of(&value["data"][1]["b64_json"]);
    assert_eq!(
        (second.dimensions(), second.get_pixel(0, 0).0),
        ((32, 16), [10, 2, 0])
    );
    assert_eq!(
        (&value["size"], &value["quality"]),
        (&json!("32x16"), &json!("high"))
    );
    assert!(value["created"].is_u64() && value["usage"]["total_tokens"].is_u64());
    for format in ["jpeg", "webp"] {
        let body = json!({"prompt": "a", "output_format": format, "output_compression": 50});
        let value = answer(server.post("/v1/images/generations", &body))
            .await
            .json();
        assert_eq!(value["output_format"], format);
        assert_eq!(
            image_of(&value["data"][0]["b64_json"]).dimensions(),
            (16, 16)
        );
    }
}

#[tokio::test]
async fn refusals_name_openais_fields() {
    let server = Setup::default().start().await;
    for (field, value, status) in [
        ("size", json!("63x64"), 422),
        ("num_inference_steps", json!(0), 422),
        ("n", json!(9), 422),
        ("prompts", json!(1), 400),
        ("response_format", json!("url"), 400),
        ("image", json!("abc"), 400),
    ] {
        let mut body = json!({"prompt": "a"});
        body[field] = value;
        let answer = answer(server.post("/v1/images/generations", &body)).await;
        answer.is_error(status, Some(field), "");
    }
    let form = server.raw("/v1/images/edits", "application/json", "{}");
    answer(form)
        .await
        .is_error(415, None, "multipart/form-data");
    let image = server.raw("/v1/images/generations", "image/png", "x");
    answer(image).await.is_error(415, None, "application/json");
}

#[tokio::test]
async fn a_stream_has_real_previews_and_then_the_picture() {
    let server = Setup::default().start().await;
    let body =
        json!({"prompt": "a", "stream": true, "partial_images": 2, "num_inference_steps": 6});
    let streamed = answer(server.post("/v1/images/generations", &body)).await;
    let events = events(&streamed.text());
    let partial = "image_generation.partial_image";
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [partial, partial, "image_generation.completed"]);
    for (place, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], json!(name));
        assert_eq!(data["output_format"], "png");
        let colour = image_of(&data["b64_json"]).get_pixel(0, 0).0;
        assert_eq!(colour, [7, 2 * (place as u8 + 1), 0]);
    }
    assert_eq!(events[1].1["partial_image_index"], 1);
    assert!(events[2].1["usage"].is_object() && events[2].1["created_at"].is_u64());
    let failing = json!({"prompt": "fail", "stream": true});
    let failed = answer(server.post("/v1/images/generations", &failing)).await;
    assert!(
        failed.text().contains("\"status\":500"),
        "{}",
        failed.text()
    );
}

fn png(image: RgbaImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

async fn edit(
    server: &Running,
    files: &[(&'static str, &[u8])],
    fields: &[(&'static str, &'static str)],
) -> crate::common::Answer {
    let mut form = Form::new();
    for (name, bytes) in files {
        form = form.part(*name, Part::bytes(bytes.to_vec()).file_name("a.png"));
    }
    for (name, value) in fields {
        form = form.text(*name, *value);
    }
    let url = format!("{}/v1/images/edits", server.url);
    answer(server.client.post(url).multipart(form)).await
}

#[tokio::test]
async fn edits_take_forms_and_masks() {
    let server = Setup::default().start().await;
    let opaque = png(RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 255])));
    let clear = png(RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 0])));
    let colour = |value: &Value| image_of(&value["data"][0]["b64_json"]).get_pixel(0, 0).0;
    let fields = [
        ("prompt", "a hat"),
        ("n", "1"),
        ("seed", "3"),
        ("strength", "0.5"),
        ("size", "auto"),
    ];
    let plain = edit(&server, &[("image", &opaque)], &fields).await;
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert_eq!(colour(&plain.json()), [3, 3, 0]);
    let masked = edit(&server, &[("image[]", &opaque), ("mask", &clear)], &fields).await;
    assert_eq!(colour(&masked.json())[2], 255, "the mask came through");
    let own = edit(&server, &[("image", &clear)], &fields).await;
    assert_eq!(
        colour(&own.json())[2],
        255,
        "the image's own transparency is the mask"
    );
    let streamed = edit(
        &server,
        &[("image", &opaque)],
        &[("prompt", "a"), ("stream", "true"), ("partial_images", "1")],
    )
    .await;
    let names: Vec<_> = events(&streamed.text())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["image_edit.partial_image", "image_edit.completed"]);

    edit(&server, &[], &fields)
        .await
        .is_error(400, Some("image"), "missing");
    edit(&server, &[("image", b"text")], &fields)
        .await
        .is_error(400, Some("image"), "");
    let twice = edit(
        &server,
        &[("image", &opaque), ("image[]", &opaque)],
        &fields,
    )
    .await;
    twice.is_error(400, Some("image"), "twice");
    let wrong = edit(
        &server,
        &[("image", &opaque)],
        &[("prompt", "a"), ("n", "two")],
    )
    .await;
    wrong.is_error(400, Some("n"), "number");
    let unknown = edit(
        &server,
        &[("image", &opaque)],
        &[("prompt", "a"), ("colour", "red")],
    )
    .await;
    unknown.is_error(400, Some("colour"), "");
}
