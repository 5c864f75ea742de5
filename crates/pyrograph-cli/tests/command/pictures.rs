//! `txt2img`, `img2img` and `inpaint` on the tiny pipelines of the fixtures.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use pyrograph::{
    backend::{
        BackendTask, Device, DeviceSpec,
        vision::{VisionAutodiff, VisionBackend},
    },
    models::{
        blocks::ParamInit,
        stable_diffusion::{
            clip::{ClipTextConfig, ClipTextModel},
            unet::{UNet2DConditionConfig, UNet2DConditionModel},
            vae::{AutoencoderKl, AutoencoderKlConfig},
        },
        weights::{NamedModel, StateDict, state_dict_of},
    },
    vision::{read_image, read_png_text},
};
use serde_json::Value;

use crate::{
    common::{folder, refuses, succeeds, text},
    formula::parameter,
};

/// dB beside diffusers' picture.
const F32_PICTURE: f64 = 50.0;

fn fixture(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../pyrograph-pipelines/tests/fixtures/stable_diffusion")
        .join(place)
}

/// Writes the pipeline folder of a fixture: its config files, and weights by formula.
struct Write {
    case: &'static str,
    to: PathBuf,
}

impl BackendTask for Write {
    type Output = ();

    fn run<B: VisionAutodiff>(self, device: Device<B>) {
        let Self { case, to } = self;
        for part in ["scheduler", "text_encoder", "unet", "vae", "tokenizer"] {
            fs::create_dir_all(to.join(part)).expect("a folder");
            for entry in fs::read_dir(fixture(case).join(part)).expect("the fixture") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name");
                fs::copy(&path, to.join(part).join(name)).expect("a copy");
            }
        }
        for file in ["tokenizer/vocab.json", "tokenizer/merges.txt"] {
            fs::copy(fixture(file), to.join(file)).expect("a copy");
        }
        let index = "model_index.json";
        fs::copy(fixture(case).join(index), to.join(index)).expect("a copy");
        let config =
            |part: &str| fs::read_to_string(to.join(part).join("config.json")).expect("a config");
        let clip = ClipTextConfig::from_diffusers(&config("text_encoder")).expect("a config");
        let unet = UNet2DConditionConfig::from_diffusers(&config("unet")).expect("a config");
        let vae = AutoencoderKlConfig::from_diffusers(&config("vae")).expect("a config");
        let name = "diffusion_pytorch_model.safetensors";
        write::<B::InnerBackend, ClipTextModel<_>>(
            &clip,
            &to.join("text_encoder/model.safetensors"),
            &device,
        );
        write::<B::InnerBackend, UNet2DConditionModel<_>>(
            &unet,
            &to.join("unet").join(name),
            &device,
        );
        write::<B::InnerBackend, AutoencoderKl<_>>(&vae, &to.join("vae").join(name), &device);
    }
}

fn write<B: VisionBackend, M: NamedModel<B>>(config: &M::Config, path: &Path, device: &B::Device) {
    let model = M::from_config(config, &mut ParamInit::new(device, 0)).expect("a model");
    let drawn = state_dict_of(&model).expect("weights");
    let mut dict = StateDict::new();
    for key in drawn.keys() {
        let shape = drawn.get(key).expect("a tensor").shape();
        dict.insert(key, parameter(key, shape));
    }
    dict.save(path, HashMap::new()).expect("writable");
}

pub(crate) fn pipeline(case: &'static str, to: &Path) -> PathBuf {
    let to = to.join("model");
    let task = Write {
        case,
        to: to.clone(),
    };
    "cpu"
        .parse::<DeviceSpec>()
        .expect("a device")
        .run(task)
        .expect("the CPU");
    to
}

/// The peak signal-to-noise ratio in dB of the picture at `path` beside the fixture's first.
fn psnr(path: &Path, case: &str) -> f64 {
    let seen = read_image(path).expect("a picture").into_raw();
    let results = StateDict::open(fixture(case).join("results.safetensors")).expect("the fixture");
    let expected = results.get("picture").expect("a picture").to_f32();
    let squares = seen
        .iter()
        .zip(&expected)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    10.0 * (255.0 * 255.0 * seen.len() as f64 / squares.sum::<f64>()).log10()
}

#[test]
fn txt2img_makes_the_picture_of_diffusers_and_makes_it_again_from_its_settings() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let (out, latents) = (root.join("cat.png"), root.join("latents.safetensors"));
    let printed = succeeds(&[
        "txt2img",
        "a cat on mars",
        "--model",
        text(&model),
        "--negative",
        "blurry",
        "--steps",
        "10",
        "--scheduler",
        "dpm++2m",
        "--seed",
        "1",
        "--device",
        "cpu",
        "--out",
        text(&out),
        "--json",
        "--save-latents",
        text(&latents),
    ]);
    let ratio = psnr(&out, "base");
    assert!(ratio >= F32_PICTURE, "{ratio:.1} dB");
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(value["images"][0]["path"], text(&out));
    assert_eq!(
        (&value["images"][0]["seed"], &value["steps"]),
        (&1.into(), &10.into())
    );
    for stage in ["load", "text", "unet", "vae", "total"] {
        assert!(value["seconds"][stage].as_f64().expect(stage) >= 0.0);
    }
    assert!(value["peak_memory_bytes"].as_u64().expect("Linux tells") > 1 << 20);
    let saved = StateDict::open(&latents).expect("latents");
    assert_eq!(
        saved.get("latents").expect("the tensor").shape(),
        [1, 4, 8, 8]
    );

    let again = root.join("again.png");
    succeeds(&[
        "txt2img",
        "--like",
        text(&out),
        "--device",
        "cpu",
        "--out",
        text(&again),
    ]);
    let same = |path: &Path| read_image(path).expect("a picture");
    assert_eq!(same(&out), same(&again));
}

#[test]
fn cheaper_steps_stand_in_the_picture_and_can_be_turned_off_again() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let make = |name: &str, more: &[&str]| {
        let out = root.join(name);
        let common = ["--device", "cpu", "--out", text(&out), "--quiet"];
        succeeds(&[&["txt2img"], more, &common].concat());
        read_image(&out).expect("a picture").into_raw()
    };
    let drawn = ["a cat", "--model", text(&model), "--steps", "6"];
    let plain = make("plain.png", &drawn);
    let flags = [
        "--cache-interval",
        "2",
        "--cache-branch",
        "1",
        "--gate-step",
        "4",
        "--merge-ratio",
        "0.5",
        "--merge-levels",
        "2",
        "--guidance-from",
        "0.2",
        "--guidance-until",
        "0.9",
    ];
    let cheaper = make("cheaper.png", &[&drawn[..], &flags].concat());
    assert_ne!(cheaper, plain);
    let cat = root.join("cheaper.png");
    let like = ["--like", text(&cat)];
    assert_eq!(make("again.png", &like), cheaper);
    let texts = read_png_text(&cat).expect("a PNG");
    let settings: Value = serde_json::from_str(&texts[0].1).expect("JSON");
    assert_eq!(
        (
            &settings["cache_interval"],
            &settings["gate_step"],
            &settings["guidance_until"]
        ),
        (&2.into(), &4.into(), &0.9.into())
    );
    let off = [
        "--cache-interval",
        "1",
        "--gate-step",
        "100",
        "--merge-ratio",
        "0",
        "--guidance-from",
        "0",
        "--guidance-until",
        "1",
    ];
    assert_eq!(make("off.png", &[&like[..], &off].concat()), plain);
    for (flag, value, words) in [
        (
            "--cache-interval",
            "0",
            ["--cache-interval is 0", "1 or more"],
        ),
        ("--cache-branch", "4", ["--cache-branch is 4", "0 to 3"]),
        ("--gate-step", "0", ["--gate-step is 0", "1 or more"]),
        ("--merge-ratio", "1", ["--merge-ratio is 1", "0 to 0.75"]),
        (
            "--guidance-until",
            "0",
            ["--guidance-until is 0", "above 0"],
        ),
        (
            "--guidance-from",
            "-1",
            ["--guidance-from is -1", "below 1"],
        ),
    ] {
        let bad = [&["txt2img"], &drawn[..], &[flag, value, "--device", "cpu"]].concat();
        refuses(&bad, &words);
    }
}

#[test]
fn several_pictures_are_numbered_and_count_their_seeds_on() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let out = root.join("out.png");
    let printed = succeeds(&[
        "txt2img",
        "a cat",
        "--model",
        text(&model),
        "--steps",
        "2",
        "--seed",
        "7",
        "-n",
        "2",
        "--rng",
        "counter",
        "--guidance",
        "1",
        "--preview-every",
        "1",
        "--dtype",
        "bf16",
        "--device",
        "cpu",
        "--out",
        text(&out),
        "--json",
    ]);
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(value["images"][1]["seed"], 8);
    for name in [
        "out-0.png",
        "out-1.png",
        "out-0-step-1.png",
        "out-1-step-2.png",
    ] {
        assert!(root.join(name).is_file(), "{name}");
    }
    assert!(!out.exists());
}

#[test]
fn img2img_and_inpaint_make_the_pictures_of_diffusers() {
    let (_guard, root) = folder();
    let (image, mask) = (fixture("image.png"), fixture("mask.png"));
    let model = pipeline("image", &root);
    let out = root.join("image.png");
    succeeds(&[
        "img2img",
        "a cat on mars",
        "--image",
        text(&image),
        "--strength",
        "0.6",
        "--model",
        text(&model),
        "--negative",
        "blurry",
        "--steps",
        "10",
        "--scheduler",
        "dpm++2m",
        "--seed",
        "1",
        "--device",
        "cpu",
        "--out",
        text(&out),
    ]);
    assert!(psnr(&out, "image") >= F32_PICTURE);
    let (_guard, root) = folder();
    let model = pipeline("nine", &root);
    let out = root.join("inpaint.png");
    succeeds(&[
        "inpaint",
        "a cat on mars",
        "--image",
        text(&image),
        "--mask",
        text(&mask),
        "--model",
        text(&model),
        "--negative",
        "blurry",
        "--steps",
        "10",
        "--scheduler",
        "dpm++2m",
        "--seed",
        "1",
        "--device",
        "cpu",
        "--out",
        text(&out),
    ]);
    assert!(psnr(&out, "nine") >= F32_PICTURE);
    let again = root.join("again.png");
    succeeds(&[
        "inpaint",
        "--like",
        text(&out),
        "--device",
        "cpu",
        "--out",
        text(&again),
    ]);
    let same = |path: &Path| read_image(path).expect("a picture");
    assert_eq!(same(&out), same(&again));
}

#[test]
fn a_picture_without_an_image_among_its_settings_needs_one() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let out = root.join("out.png");
    let of_model = ["--model", text(&model), "--device", "cpu"];
    let drawn = ["txt2img", "a cat", "--steps", "1", "--out", text(&out)];
    succeeds(&[&drawn[..], &of_model].concat());
    let again = root.join("again.png");
    let like = ["--like", text(&out), "--out", text(&again)];
    refuses(&[&["img2img"][..], &like].concat(), &["--like", "--image"]);
    refuses(&[&["inpaint"][..], &like].concat(), &["--like", "--image"]);
    assert!(!again.exists());
}

#[test]
fn wrong_settings_are_refused_before_a_picture_is_made() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let out = root.join("out.png");
    let with = |more: &[&str], words: &[&str]| {
        let common = [
            "--model",
            text(&model),
            "--device",
            "cpu",
            "--out",
            text(&out),
        ];
        refuses(&[more, &common].concat(), words);
    };
    with(&["txt2img", "a cat", "--width", "100"], &["multiple of 8"]);
    with(&["txt2img", "a cat", "--steps", "0"], &["steps"]);
    with(
        &["txt2img", "a cat", "--scheduler", "magic"],
        &["magic", "dpm++2m"],
    );
    with(
        &["txt2img", "a cat", "--lora", "nowhere.safetensors:0.5"],
        &["nowhere.safetensors"],
    );
    let lora = root.join("style.safetensors");
    fs::write(&lora, "weights").expect("writable");
    refuses(
        &[
            "txt2img",
            "a cat",
            "--model",
            text(&model),
            "--lora",
            &format!("{}:0.5", lora.display()),
            "--save-latents",
            text(&lora),
        ],
        &["--save-latents", "would overwrite", "style.safetensors"],
    );
    with(
        &["txt2img", "a cat", "--lora", "style.safetensors:nan"],
        &["the scale of a LoRA is NaN"],
    );
    with(
        &["txt2img", "a cat", "-n", "1000000000000"],
        &["1024 pictures"],
    );
    with(
        &["txt2img", "a cat", "--like", text(&fixture("mask.png"))],
        &["no settings"],
    );
    let small = root.join("small.png");
    fs::copy(fixture("mask.png"), &small).expect("a copy");
    let missing = root.join("missing");
    refuses(
        &["txt2img", "a cat", "--model", text(&missing)],
        &["missing", "pyrograph convert", "Hub"],
    );
    with(&["txt2img", "a cat", "--guidance", "1e30"], &["guidance"]);
    with(
        &["txt2img", "a cat", "-n", "1000000000000"],
        &["-n", "1024"],
    );
    with(
        &["txt2img", "((a cat:100000):100000) dog", "--prompt-weights"],
        &["weight"],
    );
    let unet = model.join("unet/config.json");
    let config = fs::read_to_string(&unet).expect("a config");
    fs::write(&unet, config.replace("silu", "magic")).expect("writable");
    with(
        &["txt2img", "a cat"],
        &["unet/config.json", "act_fn", "magic"],
    );
    refuses(&["txt2img", "--model", text(&model)], &["PROMPT"]);
    assert!(!out.exists());
}
