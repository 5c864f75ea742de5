//! Checkpoints of Stable Diffusion whose UNet other programs wrote as 8-bit floats.

use std::{collections::HashMap, fs, path::Path};

use pyrograph::models::weights::{Precision, StateDict};
use serde_json::json;

use crate::{
    common::{folder, refuses, succeeds, text},
    pictures::pipeline,
};

/// Writes the weights of two axes and more as e5m2, the upper halves of numbers in f16, and the others as f32.
fn narrow(dict: &StateDict, path: &Path) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    let whole = |key: &&str| dict.get(key).expect("listed").shape().len() < 2;
    // The wide type first, so that its numbers are aligned.
    let (wide, narrow): (Vec<_>, Vec<_>) = dict.keys().partition(whole);
    for (keys, dtype) in [(wide, "F32"), (narrow, "F8_E5M2")] {
        for key in keys {
            let (tensor, begin) = (dict.get(key).expect("listed"), data.len());
            match dtype {
                "F32" => data.extend(tensor.to_f32().into_iter().flat_map(f32::to_le_bytes)),
                _ => {
                    let halves = tensor.to_data(Precision::F16);
                    data.extend(halves.as_bytes().iter().skip(1).step_by(2));
                }
            }
            let offsets = [begin, data.len()];
            let info = json!({"dtype": dtype, "shape": tensor.shape(), "data_offsets": offsets});
            header.insert(key.into(), info);
        }
    }
    let header = serde_json::Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    let bytes = [&length[..], header.as_bytes(), &data].concat();
    fs::write(path, bytes).expect("writable");
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[test]
fn a_unet_in_8_bits_is_widened_by_dtype_and_refused_as_stored() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let weights = model.join("unet/diffusion_pytorch_model.safetensors");
    let wide = root.join("wide.safetensors");
    fs::copy(&weights, &wide).expect("a copy");
    narrow(&StateDict::open(&wide).expect("readable"), &weights);

    let listed = succeeds(&["inspect", text(&weights), "--tensors"]);
    assert!(listed.contains("f32, f8_e5m2"), "{listed}");

    let draw = |out: &Path, dtype: &[&str]| {
        let start = ["txt2img", "a cat", "--model", text(&model), "--steps", "2"];
        let more = ["--device", "cpu", "--out", text(out)];
        [&start[..], &more, dtype]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let pixels = |path: &Path| pyrograph::vision::read_image(path).expect("a picture");
    let out = root.join("out.png");
    let refused = ["f8_e5m2", ".weight` is stored as", "--dtype bf16"];
    refuses(&words(&draw(&out, &[])), &refused);
    assert!(!out.exists());
    let half = root.join("half.png");
    succeeds(&words(&draw(&half, &["--dtype", "bf16"])));
    succeeds(&words(&draw(&out, &["--dtype", "f32"])));

    let to = root.join("converted");
    let convert = ["convert", text(&model), "--out", text(&to), "--dtype"];
    refuses(&[&convert[..], &["stored"]].concat(), &refused);
    assert!(!to.exists());
    succeeds(&[&convert[..], &["f32"]].concat());

    // Widened in the file they are the same weights.
    let dict = StateDict::open(&weights).expect("readable");
    dict.save_as(&wide, &HashMap::new(), Precision::F32, |_, _| Ok(()))
        .expect("writable");
    fs::copy(&wide, &weights).expect("a copy");
    let again = root.join("again.png");
    succeeds(&words(&draw(&again, &[])));
    assert_eq!(pixels(&again), pixels(&out));
}
