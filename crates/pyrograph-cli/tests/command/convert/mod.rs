//! `convert` and `inspect` on tiny pipelines with weights by formula.

mod auto;
mod folders;
mod hub;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use pyrograph::{
    backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff},
    models::{
        blocks::ParamInit,
        stable_diffusion::{
            clip::{ClipTextConfig, ClipTextModel},
            unet::{UNet2DConditionConfig, UNet2DConditionModel},
            vae::{AutoencoderKl, AutoencoderKlConfig},
        },
        weights::{NamedModel, StateDict, state_dict_of},
    },
};
use serde_json::Value;

use crate::formula;

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const TEXT_ENCODER: &str = "text_encoder/model.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../pyrograph-pipelines/tests/fixtures/stable_diffusion")
}

/// Writes a diffusers folder of a tiny pipeline.
fn pipeline(folder: &Path) {
    let source = fixtures().join("base");
    for part in ["scheduler", "text_encoder", "unet", "vae", "tokenizer"] {
        fs::create_dir_all(folder.join(part)).expect("writable");
        for entry in fs::read_dir(source.join(part)).expect("the fixture") {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a name");
            fs::copy(&path, folder.join(part).join(name)).expect("writable");
        }
    }
    for file in ["vocab.json", "merges.txt"] {
        let from = fixtures().join("tokenizer").join(file);
        fs::copy(from, folder.join("tokenizer").join(file)).expect("writable");
    }
    let index = "model_index.json";
    fs::copy(source.join(index), folder.join(index)).expect("writable");
    DeviceSpec::Cpu.run(Weights { folder }).expect("the CPU");
}

struct Weights<'a> {
    folder: &'a Path,
}

impl BackendTask for Weights<'_> {
    type Output = ();

    fn run<B: VisionAutodiff>(self, device: Device<B>) {
        let config = |part: &str| {
            fs::read_to_string(self.folder.join(part).join("config.json")).expect("a config")
        };
        let text = ClipTextConfig::from_diffusers(&config("text_encoder")).expect("legal");
        let unet = UNet2DConditionConfig::from_diffusers(&config("unet")).expect("legal");
        let vae = AutoencoderKlConfig::from_diffusers(&config("vae")).expect("legal");
        self.write::<B, ClipTextModel<B>>(&text, TEXT_ENCODER, &device);
        self.write::<B, UNet2DConditionModel<B>>(&unet, UNET, &device);
        self.write::<B, AutoencoderKl<B>>(&vae, VAE, &device);
    }
}

impl Weights<'_> {
    fn write<B: VisionAutodiff, M: NamedModel<B>>(
        &self,
        config: &M::Config,
        name: &str,
        device: &Device<B>,
    ) {
        let model = M::from_config(config, &mut ParamInit::lazy(device)).expect("legal");
        let shapes = state_dict_of(&model).expect("readable");
        let mut dict = StateDict::new();
        for key in shapes.keys() {
            let shape = shapes.get(key).expect(key).shape();
            dict.insert(key, formula::parameter(key, shape));
        }
        save(&dict, &self.folder.join(name));
    }
}

fn save(dict: &StateDict, path: &Path) {
    dict.save(path, HashMap::new()).expect("writable");
}

fn open(path: PathBuf) -> StateDict {
    StateDict::open(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn manifest(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("pyrograph.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}
