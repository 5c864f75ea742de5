//! Objects in images by the command: a detector that knows nothing, at tiny size.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use pyrograph::{
    backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff},
    models::{
        ssd::{DetectorCard, SsdConfig},
        weights::{save_model, state_dict_of},
    },
    vision::{ColourNormalisation, Rgb, RgbImage},
};
use serde_json::Value;

use crate::common::succeeds;

mod comparing;
mod distilling;
mod finding;
mod own_data;
mod sets;
mod sweeping;
mod training;
mod weights;

/// The classes of the built-in scenes, which a detector must have to be scored on them.
const SHAPES: [&str; 5] = ["ellipse", "rectangle", "triangle", "star", "cross"];
/// An image that claims 20,000 by 20,000 pixels, with the checksums right.
const CLAIMING_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\x02\0\0\0\x6c\x12\xd1\x6e\0\0\0\x0bIDAT\x78\x9c\x63\x60\x80\x01\0\0\x0a\0\x01\x7f\x80\x74\x5e\0\0\0\0IEND\xae\x42\x60\x82";

/// Writes a detector that knows nothing: with its card, and as published weights are, without a word.
struct Save {
    model: PathBuf,
    weights: PathBuf,
}

impl BackendTask for Save {
    type Output = ();

    fn run<B: VisionAutodiff>(self, device: Device<B>) {
        let config = SsdConfig {
            width: 0.03125,
            ..SsdConfig::vgg16(6)
        };
        let card = DetectorCard {
            classes: SHAPES.map(String::from).to_vec(),
            normalisation: ColourNormalisation::SSD,
        };
        let network = config.init::<B::InnerBackend>(&device, 5).expect("legal");
        let notes = card.to_note().expect("finite");
        save_model(&network, &config, notes, self.model).expect("writable");
        let dict = state_dict_of(&network).expect("readable");
        dict.save(self.weights, HashMap::new()).expect("writable");
    }
}

/// Both files in `folder`, and the numbers of the published one.
pub(crate) fn detector(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let at = |name| folder.join(name);
    let paths = (
        at("model.safetensors"),
        at("weights.safetensors"),
        at("config.json"),
    );
    let task = Save {
        model: paths.0.clone(),
        weights: paths.1.clone(),
    };
    DeviceSpec::Cpu.run(task).expect("a CPU");
    let config = r#"{"num_classes": 6, "width": 0.03125}"#;
    fs::write(&paths.2, config).expect("writable");
    paths
}

/// A picture that is no single colour.
pub(crate) fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 2) as u8, (x ^ y) as u8])
    })
}

/// What the command prints.
pub(crate) fn json(arguments: &[&str]) -> Value {
    let printed = succeeds(&[arguments, &["--json", "--device", "cpu"]].concat());
    serde_json::from_str(&printed).expect("JSON")
}

/// What every detection of these tests is asked for: the untrained network is sure of nothing.
pub(crate) const FEW: [&str; 6] = ["--score", "0.01", "--top-k", "5", "--device", "cpu"];
