//! Tiny pipelines: diffusers' config files from the fixtures, weights by formula.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use burn_flex::Flex;
use pyrograph_models::{
    blocks::ParamInit,
    stable_diffusion::{
        clip::{ClipTextConfig, ClipTextModel},
        tiny_vae::{AutoencoderTiny, AutoencoderTinyConfig},
        unet::{UNet2DConditionConfig, UNet2DConditionModel},
        vae::{AutoencoderKl, AutoencoderKlConfig},
    },
    weights::{NamedModel, StateDict, TensorEntry, state_dict_of},
};
use pyrograph_pipelines::stable_diffusion::{
    ImagePrompt, ImageRequest, ImageStart, OpenOptions, SchedulerChoice, StableDiffusion,
};
use pyrograph_vision::{RgbImage, read_image};
use serde_json::Value;

use crate::formula::parameter;

pub(crate) fn fixture(place: &str) -> PathBuf {
    // Other crates' tests take this file too.
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../pyrograph-pipelines/tests/fixtures/stable_diffusion")
        .join(place)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A case of the fixtures with its pipeline folder.
pub(crate) struct Case {
    name: &'static str,
    folder: tempfile::TempDir,
    pub(crate) numbers: Value,
    pub(crate) results: StateDict,
}

impl Case {
    pub(crate) fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_pipeline(name, folder.path());
        Self {
            name,
            folder,
            numbers: serde_json::from_str(&text(&fixture(name).join("case.json"))).unwrap(),
            results: StateDict::open(fixture(name).join("results.safetensors")).unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self, options: &OpenOptions) -> StableDiffusion<Flex> {
        StableDiffusion::open(self.path(), options, &Default::default())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The request that diffusers was given.
    pub(crate) fn request(&self) -> ImageRequest {
        let numbers = &self.numbers;
        let prompts = numbers["prompts"].as_array().unwrap().iter();
        let seeds = numbers["seeds"].as_array().unwrap().iter();
        let images = prompts.zip(seeds).map(|(prompt, seed)| ImagePrompt {
            prompt: prompt.as_str().unwrap().into(),
            negative: numbers["negative"].as_str().unwrap().into(),
            seed: seed.as_u64().unwrap(),
        });
        let name = numbers["scheduler"].as_str();
        let side = |field: &str| numbers[field].as_u64().map(|side| side as usize);
        ImageRequest {
            images: images.collect(),
            steps: numbers["steps"].as_u64().unwrap() as usize,
            guidance: numbers["guidance"].as_f64().unwrap(),
            guidance_rescale: numbers["guidance_rescale"].as_f64().unwrap(),
            width: side("width"),
            height: side("height"),
            scheduler: SchedulerChoice {
                name: name.map(|name| name.parse().unwrap()),
                ..SchedulerChoice::default()
            },
            start: self.start(),
            ..ImageRequest::new("", 0)
        }
    }

    fn start(&self) -> ImageStart {
        let strength = self.numbers["strength"].as_f64().unwrap_or(1.0);
        let image = || picture("image.png");
        match self.numbers["mode"].as_str().unwrap() {
            "img2img" => ImageStart::Image {
                image: image(),
                strength,
            },
            "inpaint" => ImageStart::Inpaint {
                image: image(),
                mask: picture("mask.png"),
                strength,
            },
            _ => ImageStart::Noise,
        }
    }

    /// The values of a result.
    pub(crate) fn result(&self, key: &str) -> Vec<f32> {
        let entry = self
            .results
            .get(key)
            .unwrap_or_else(|| panic!("{}: no {key}", self.name));
        entry.to_f32()
    }
}

pub(crate) fn picture(name: &str) -> RgbImage {
    read_image(fixture(name)).unwrap()
}

/// A pipeline folder of the fixture `name`.
pub(crate) fn write_pipeline(name: &str, folder: &Path) {
    let source = fixture(name);
    for part in ["scheduler", "text_encoder", "unet", "vae", "tokenizer"] {
        fs::create_dir_all(folder.join(part)).unwrap();
        for entry in fs::read_dir(source.join(part)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(part).join(path.file_name().unwrap())).unwrap();
        }
    }
    for file in ["vocab.json", "merges.txt"] {
        fs::copy(
            fixture("tokenizer").join(file),
            folder.join("tokenizer").join(file),
        )
        .unwrap();
    }
    fs::copy(
        source.join("model_index.json"),
        folder.join("model_index.json"),
    )
    .unwrap();
    let config = |part: &str| text(&folder.join(part).join("config.json"));
    let diffusers = "diffusion_pytorch_model.safetensors";
    write_weights::<ClipTextModel<Flex>>(
        &ClipTextConfig::from_diffusers(&config("text_encoder")).unwrap(),
        &folder.join("text_encoder/model.safetensors"),
    );
    write_weights::<UNet2DConditionModel<Flex>>(
        &UNet2DConditionConfig::from_diffusers(&config("unet")).unwrap(),
        &folder.join("unet").join(diffusers),
    );
    write_weights::<AutoencoderKl<Flex>>(
        &AutoencoderKlConfig::from_diffusers(&config("vae")).unwrap(),
        &folder.join("vae").join(diffusers),
    );
}

/// The tiny VAE of the fixture `name`, in a folder of its own.
pub(crate) fn write_tiny_vae(name: &str, folder: &Path) {
    let json = text(&fixture(name).join("taesd/config.json"));
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.json"), &json).unwrap();
    let path = folder.join("diffusion_pytorch_model.safetensors");
    let config = AutoencoderTinyConfig::from_diffusers(&json).unwrap();
    write_weights::<AutoencoderTiny<Flex>>(&config, &path);
    change_weights(&path, |_, shape, values| {
        // Half the kernels, as the fixture's script has them.
        let gain = if shape.len() == 4 { 0.5 } else { 1.0 };
        let values = values.into_iter().map(|value| gain * value).collect();
        TensorEntry::from_f32(shape, values)
    });
}

/// The same file with every tensor changed.
pub(crate) fn change_weights(
    path: &Path,
    change: impl Fn(&str, Vec<usize>, Vec<f32>) -> TensorEntry,
) {
    let old = StateDict::open(path).unwrap();
    let mut dict = StateDict::new();
    for key in old.keys() {
        let entry = old.get(key).unwrap();
        dict.insert(key, change(key, entry.shape().to_vec(), entry.to_f32()));
    }
    drop(old);
    dict.save(path, HashMap::new()).unwrap();
}

/// The weights of a part by formula.
pub(crate) fn write_weights<M: NamedModel<Flex>>(config: &M::Config, path: &Path) {
    let device = Default::default();
    let model = M::from_config(config, &mut ParamInit::new(&device, 0)).unwrap();
    let drawn = state_dict_of(&model).unwrap();
    let mut dict = StateDict::new();
    for key in drawn.keys() {
        let shape = drawn.get(key).unwrap().shape();
        dict.insert(key, parameter(key, shape));
    }
    dict.save(path, HashMap::new()).unwrap();
}

/// The largest difference over the largest magnitude of `expected`.
#[track_caller]
pub(crate) fn difference(seen: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(seen.len(), expected.len());
    assert!(seen.iter().all(|value| value.is_finite()));
    let scale = expected
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let pairs = seen.iter().zip(expected);
    pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / scale
}

/// The peak signal-to-noise ratio in dB of bytes.
pub(crate) fn psnr(seen: &[u8], expected: &[u8]) -> f64 {
    assert_eq!(seen.len(), expected.len());
    let squares = seen
        .iter()
        .zip(expected)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    let mean = squares.sum::<f64>() / seen.len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

/// The bytes of all pictures, one after the other.
pub(crate) fn bytes(images: &[RgbImage]) -> Vec<u8> {
    images
        .iter()
        .flat_map(|image| image.as_raw().clone())
        .collect()
}
