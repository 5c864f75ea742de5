//! What is read, and what is refused.

use std::sync::LazyLock;

use proptest::prelude::*;
use pyrograph_diffusion::SchedulerName;
use pyrograph_pipelines::stable_diffusion::{
    Acceleration, ImageStart, OpenOptions, tokenizer::PromptSyntax,
};
use serde_json::{Value, json};

use super::{loaded, options, picture, plain};
use crate::{
    Limits, RefusalKind, Task, TaskBody,
    tasks::{
        text_to_image::{ImageInput, TextToImage},
        trial::{bodies, hold_to_schema, parse, png, png_text, refused},
    },
};

static TASK: LazyLock<TextToImage> = LazyLock::new(|| plain().0);
static INPAINT: LazyLock<TextToImage> = LazyLock::new(|| loaded("nine", &OpenOptions::default()).0);

fn input(body: Value) -> ImageInput {
    parse(&*TASK, body).expect("reads")
}

#[test]
fn the_articles_bodies_have_the_defaults() {
    for body in [
        json!({"prompt": "cat"}),
        json!({"prompt": "cat", "parameters": {}}),
        json!({"prompt": "cat", "parameters": null, "image": null, "quality": "high"}),
    ] {
        let ImageInput { request, size, .. } = input(body);
        assert_eq!((request.steps, request.guidance, size), (3, 7.5, [64, 64]));
        assert!(request.images.len() == 1 && request.images[0].prompt == "cat");
        assert!(request.images[0].seed < 1 << 32);
        assert_eq!(request.start, ImageStart::Noise);
        assert_eq!(request.syntax, PromptSyntax::Plain);
    }
}

#[test]
fn every_field_has_its_effect() {
    let ImageInput {
        request,
        size,
        steps,
        ..
    } = input(json!({
        "prompt": "cat", "negative_prompt": "dog",
        "parameters": {
            "num_inference_steps": 5, "guidance_scale": 1, "guidance_rescale": 0.5, "width": 32,
            "height": 48, "seed": u64::MAX - 1, "num_images": 2, "scheduler": "heun",
        },
    }));
    let seeds: Vec<u64> = request.images.iter().map(|image| image.seed).collect();
    assert_eq!((seeds, size), (vec![u64::MAX - 1, u64::MAX], [32, 48]));
    assert!(request.images.iter().all(|image| image.negative == "dog"));
    assert_eq!((request.guidance, request.guidance_rescale), (1.0, 0.5));
    assert_eq!(request.scheduler.name, Some(SchedulerName::Heun));
    // Two passes a step, but for the last.
    assert_eq!((request.steps, steps), (5, 9));
    let demand = TASK.demand(&input(
        json!({"prompt": "", "parameters": {"num_images": 3}}),
    ));
    assert_eq!((demand.rows, demand.key.0.as_str()), (6, "64x64"));
    let two = input(json!({"prompt": "", "parameters": {"num_images": 2}}));
    assert_eq!(TASK.images(&two), Some(2));
}

#[test]
fn parameters_of_cheaper_steps_have_their_effect_and_count_their_rows() {
    let of = |parameters: Value| {
        let mut body = json!({"prompt": "cat"});
        body["parameters"] = parameters;
        body
    };
    let ImageInput { request, rows, .. } = input(of(json!({
        "num_inference_steps": 5, "cache_interval": 3, "cache_branch": 1, "gate_step": 4, "merge_ratio": 0.5,
        "merge_levels": 2, "guidance_from": 0.2, "guidance_until": 0.6,
    })));
    let acceleration = Acceleration {
        cache_interval: 3,
        cache_branch: 1,
        gate_step: Some(4),
        merge_ratio: 0.5,
        merge_levels: 2,
        guidance_from: 0.2,
        guidance_until: 0.6,
    };
    assert_eq!((request.acceleration, rows), (acceleration, 2));
    let plain = input(of(json!({"cache_interval": null, "gate_step": null})));
    assert_eq!(plain.request.acceleration, Acceleration::default());
    for (field, parameters) in [
        ("cache_interval", json!({"cache_interval": 0})),
        ("cache_branch", json!({"cache_branch": 4})),
        ("gate_step", json!({"gate_step": 0})),
        ("merge_ratio", json!({"merge_ratio": 0.8})),
        ("merge_levels", json!({"merge_levels": 3})),
        ("guidance_from", json!({"guidance_from": 1})),
        (
            "guidance_until",
            json!({"guidance_from": 0.5, "guidance_until": 0.25}),
        ),
    ] {
        let refusal = refused(&*TASK, of(parameters));
        let field = format!("parameters.{field}");
        assert_eq!(refusal.kind, RefusalKind::Invalid, "{refusal}");
        assert_eq!(refusal.field, Some(field), "{refusal}");
    }
}

#[test]
fn pictures_to_start_from_come_with_their_defaults() {
    let image = png_text(&picture(40, 33));
    let of = |body| input(body).request.start;
    match of(json!({"prompt": "", "image": image})) {
        ImageStart::Image { image, strength } => {
            assert_eq!(strength, 0.8);
            // As large as the picture will be: multiples of 8.
            assert_eq!(image.dimensions(), (40, 32));
        }
        other => panic!("{other:?}"),
    }
    let size = input(json!({"prompt": "", "image": image})).size;
    assert_eq!(size, [40, 32]);
    let mask = png_text(&picture(40, 33));
    match of(json!({"prompt": "", "image": image, "mask": mask, "strength": 0.9})) {
        ImageStart::Inpaint { strength, .. } => assert_eq!(strength, 0.9),
        other => panic!("{other:?}"),
    }
    match of(json!({"prompt": "", "image": image, "mask": mask})) {
        ImageStart::Inpaint { strength, .. } => assert_eq!(strength, 1.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_picture_above_the_limit_is_drawn_as_large_as_the_limit_allows() {
    let limits = Limits {
        pixels: 10_000,
        ..Limits::default()
    };
    let size = |width, height, mask: bool, parameters: Value| {
        let picture = png_text(&picture(width, height));
        let mut body = json!({"prompt": "", "image": picture, "parameters": parameters});
        if mask {
            body["mask"] = picture.into();
        }
        let parsed = TASK.parse(TaskBody::Json(body), &limits);
        parsed
            .map(|input| input.size)
            .map_err(|refusal| refusal.field)
    };
    for mask in [true, false] {
        // 2 : 1, of at most 10 000 pixels.
        assert_eq!(size(400, 200, mask, json!({})), Ok([136, 64]));
        assert_eq!(size(150, 600, mask, json!({})), Ok([48, 200]));
        // A strip whose short side cannot shrink below a latent.
        assert_eq!(size(4000, 9, mask, json!({})), Ok([1248, 8]));
        // What fits stays.
        assert_eq!(size(100, 96, mask, json!({})), Ok([96, 96]));
        // A size that was asked for is not another one.
        let asked = size(400, 200, mask, json!({"width": 400, "height": 200}));
        assert_eq!(asked, Err(Some("parameters.width".into())));
    }
    // A start is resized to what is drawn, before it waits; a mask is too.
    let picture = png_text(&picture(400, 200));
    let body = json!({"prompt": "", "image": picture, "mask": picture});
    let input = TASK.parse(TaskBody::Json(body), &limits).expect("fits");
    match input.request.start {
        ImageStart::Inpaint { image, mask, .. } => {
            assert_eq!(
                (image.dimensions(), mask.dimensions()),
                ((136, 64), (136, 64))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_outside_their_ranges_are_refused_with_their_fields() {
    let small = png_text(&picture(8, 8));
    for (field, change) in [
        ("parameters.width", json!({"parameters": {"width": -8}})),
        ("parameters.width", json!({"parameters": {"width": 100}})),
        (
            "parameters.width",
            json!({"parameters": {"width": 4096, "height": 4096}}),
        ),
        ("parameters.height", json!({"parameters": {"height": 0}})),
        (
            "parameters.num_inference_steps",
            json!({"parameters": {"num_inference_steps": 0}}),
        ),
        (
            "parameters.num_inference_steps",
            json!({"parameters": {"num_inference_steps": 201}}),
        ),
        (
            "parameters.guidance_scale",
            json!({"parameters": {"guidance_scale": 1e9}}),
        ),
        (
            "parameters.guidance_rescale",
            json!({"parameters": {"guidance_rescale": -0.1}}),
        ),
        (
            "parameters.num_images",
            json!({"parameters": {"num_images": 9}}),
        ),
        ("parameters.seed", json!({"parameters": {"seed": -1}})),
        (
            "parameters.scheduler",
            json!({"parameters": {"scheduler": "fast"}}),
        ),
        (
            "parameters.scheduler",
            json!({"parameters": {"scheduler": "ddpm-no-noise"}}),
        ),
        ("strength", json!({"strength": 1.5, "image": small})),
        ("strength", json!({"strength": 0.01, "image": small})),
        ("image", json!({"strength": 0.5})),
        ("image", json!({"mask": small})),
        (
            "mask",
            json!({"mask": png_text(&picture(8, 9)), "image": small}),
        ),
        (
            "parameters.width",
            json!({"image": png_text(&picture(4, 4))}),
        ),
    ] {
        let mut body = change;
        body["prompt"] = "cat".into();
        let refusal = refused(&*TASK, body);
        assert_eq!(refusal.kind, RefusalKind::Invalid, "{refusal}");
        assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
    }
    // A UNet for inpainting alone.
    for (field, body) in [
        ("image", json!({"prompt": "cat"})),
        ("mask", json!({"prompt": "cat", "image": small})),
    ] {
        assert_eq!(refused(&*INPAINT, body).field.as_deref(), Some(field));
    }
}

#[test]
fn bodies_that_do_not_read_and_what_is_too_large_have_their_own_kinds() {
    let kind = |body| {
        let refusal = refused(&*TASK, body);
        (refusal.kind, refusal.field)
    };
    let named = |kind, field: &str| (kind, Some(field.to_owned()));
    let bad = RefusalKind::BadRequest;
    assert_eq!(kind(json!({})).0, bad);
    assert_eq!(kind(json!({"prompt": 3})), named(bad, "prompt"));
    assert_eq!(
        kind(json!({"prompt": "", "promt": ""})),
        named(bad, "promt")
    );
    let seed = json!({"prompt": "", "parameters": {"seed": "1"}});
    assert_eq!(kind(seed), named(bad, "parameters.seed"));
    let image = json!({"prompt": "", "image": "no base64"});
    assert_eq!(kind(image), named(bad, "image"));
    let large = RefusalKind::TooLarge;
    let long = json!({"prompt": "a".repeat(8193)});
    assert_eq!(kind(long), named(large, "prompt"));
    let limits = Limits {
        input_pixels: 63,
        ..Limits::default()
    };
    let body = json!({"prompt": "", "image": png_text(&picture(8, 8))});
    let refusal = TASK
        .parse(TaskBody::Json(body), &limits)
        .expect_err("too large");
    assert_eq!((refusal.kind, refusal.field), named(large, "image"));
    let body = TaskBody::Image(png(&picture(8, 8)).into());
    let refusal = TASK.parse(body, &limits).expect_err("no JSON");
    assert_eq!(refusal.kind, RefusalKind::MediaType);
    let fresh = TextToImage::new("nowhere", options(), Limits::default());
    let early = refused(&fresh, json!({"prompt": ""}));
    assert_eq!(early.kind, RefusalKind::Unavailable);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_refuses_is_refused(body in bodies(&TASK.schema())) {
        hold_to_schema(&*TASK, body)?;
    }
}
