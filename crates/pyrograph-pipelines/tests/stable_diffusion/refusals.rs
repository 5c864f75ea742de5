//! Requests and folders that are refused, each with the word that helps.

use std::{fs, ops::ControlFlow, path::Path};

use burn_flex::Flex;
use pyrograph_models::weights::TensorEntry;
use pyrograph_pipelines::stable_diffusion::{
    ImageRequest, ImageStart, Latents, MemoryLimit, OpenOptions, StableDiffusion,
};
use pyrograph_vision::RgbImage;

use crate::common::{Case, change_weights, picture};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// The message of a folder that does not open.
#[track_caller]
fn refused_folder(change: impl FnOnce(&Path)) -> String {
    let case = Case::new("base");
    change(case.path());
    let opened =
        StableDiffusion::<Flex>::open(case.path(), &OpenOptions::default(), &Default::default());
    opened.expect_err("the folder is refused").to_string()
}

/// The message of a request that is not served.
#[track_caller]
fn refused(
    case: &Case,
    pipeline: &StableDiffusion<Flex>,
    change: impl FnOnce(&mut ImageRequest),
) -> String {
    let mut request = case.request();
    request.images.truncate(1);
    request.steps = 2;
    change(&mut request);
    let result = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()));
    result.expect_err("the request is refused").to_string()
}

/// The same file with another tensor under `key`.
fn replace(path: &Path, key: &str, change: impl Fn(Vec<usize>, Vec<f32>) -> TensorEntry) {
    change_weights(path, |name, shape, values| match name == key {
        true => change(shape, values),
        false => TensorEntry::from_f32(shape, values),
    });
}

#[test]
fn a_folder_with_a_missing_part_is_refused_by_its_name() {
    let message = refused_folder(|path| fs::remove_dir_all(path.join("vae")).unwrap());
    assert!(message.contains("vae"), "{message}");
}

#[test]
fn a_vae_of_other_images_than_coloured_ones_is_refused() {
    let message = refused_folder(|path| {
        let config = path.join("vae/config.json");
        let text = fs::read_to_string(&config).unwrap();
        let grey = text.replace("\"out_channels\": 3", "\"out_channels\": 1");
        assert_ne!(text, grey);
        fs::write(config, grey).unwrap();
    });
    assert!(message.contains("image channels"), "{message}");
}

#[test]
fn a_truncated_file_and_a_pointer_of_git_lfs_are_refused() {
    let message = refused_folder(|path| {
        let bytes = fs::read(path.join(UNET)).unwrap();
        fs::write(path.join(UNET), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(message.contains(UNET), "{message}");
    let message = refused_folder(|path| {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
        fs::write(path.join(UNET), pointer).unwrap();
    });
    assert!(
        message.contains("git-lfs") || message.contains("git lfs"),
        "{message}"
    );
}

#[test]
fn a_tensor_of_a_wrong_shape_and_weights_that_are_no_numbers_are_named() {
    let key = "conv_out.bias";
    let message = refused_folder(|path| {
        replace(&path.join(UNET), key, |_, _| {
            TensorEntry::from_f32(vec![5], vec![0.0; 5])
        });
    });
    assert!(message.contains(key), "{message}");
    let message = refused_folder(|path| {
        replace(&path.join(UNET), key, |shape, mut values| {
            values[1] = f32::NAN;
            TensorEntry::from_f32(shape, values)
        });
    });
    assert!(
        message.contains(key) && message.contains("NaN"),
        "{message}"
    );
}

#[test]
fn a_config_value_that_is_not_supported_is_named() {
    let message = refused_folder(|path| {
        let config = path.join("unet/config.json");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            &config,
            text.replace("\"act_fn\": \"silu\"", "\"act_fn\": \"mish\""),
        )
        .unwrap();
    });
    assert!(
        message.contains("act_fn") && message.contains("mish"),
        "{message}"
    );
}

#[test]
fn weights_too_large_for_the_number_type_name_the_stage_that_broke() {
    let case = Case::new("base");
    replace(
        &case.path().join(UNET),
        "conv_out.weight",
        |shape, values| {
            TensorEntry::from_f32(shape, values.iter().map(|value| value * 1e38).collect())
        },
    );
    let pipeline = case.open(&OpenOptions::default());
    let message = refused(&case, &pipeline, |_| {});
    assert!(message.contains("the UNet at step 1"), "{message}");
}

#[test]
fn an_encoder_that_breaks_is_named() {
    let case = Case::new("image");
    let vae = case.path().join("vae/diffusion_pytorch_model.safetensors");
    let key = "encoder.conv_out.weight";
    replace(&vae, key, |shape, values| {
        TensorEntry::from_f32(shape, values.iter().map(|value| value * 1e38).collect())
    });
    let pipeline = case.open(&OpenOptions::default());
    let message = refused(&case, &pipeline, |_| {});
    assert!(message.contains("the VAE's encoder"), "{message}");
}

#[test]
fn numbers_that_no_checkpoint_serves_are_refused() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let refused = |change: fn(&mut ImageRequest)| refused(&case, &pipeline, change);
    assert!(refused(|request| request.width = Some(100)).contains("multiple of 8"));
    assert!(refused(|request| request.steps = 0).contains("steps"));
    assert!(refused(|request| request.steps = 5000).contains("1000"));
    assert!(refused(|request| request.guidance = f64::INFINITY).contains("guidance"));
    let message = refused(|request| {
        request.start = ImageStart::Inpaint {
            image: picture("image.png"),
            mask: RgbImage::new(32, 64),
            strength: 1.0,
        };
    });
    assert!(message.contains("mask"), "{message}");
    let message = refused(|request| {
        request.start = ImageStart::Latents(Latents {
            shape: [1, 4, 9, 8],
            values: vec![0.0; 288],
        });
    });
    assert!(message.contains("latents"), "{message}");
}

#[test]
fn an_inpainting_unet_wants_a_picture_and_a_mask() {
    let case = Case::new("nine");
    let pipeline = case.open(&OpenOptions::default());
    let message = refused(&case, &pipeline, |request| {
        request.start = ImageStart::Noise
    });
    assert!(message.contains("mask"), "{message}");
}

#[test]
fn memory_that_would_not_do_is_foreseen() {
    let case = Case::new("base");
    let options = OpenOptions {
        memory: MemoryLimit::Bytes(1 << 22),
        ..OpenOptions::default()
    };
    let pipeline = case.open(&options);
    let message = refused(&case, &pipeline, |request| {
        (request.width, request.height) = (Some(1024), Some(1024));
    });
    assert!(message.contains("GiB"), "{message}");
    let options = OpenOptions {
        memory: MemoryLimit::Bytes(1000),
        ..OpenOptions::default()
    };
    let opened = StableDiffusion::<Flex>::open(case.path(), &options, &Default::default());
    assert!(
        opened
            .expect_err("too little")
            .to_string()
            .contains("the weights")
    );
}

#[test]
fn a_prompt_of_ten_thousand_words_makes_a_picture_and_tells_what_was_lost() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let mut request = case.request();
    request.images.truncate(1);
    request.steps = 1;
    request.images[0].prompt = "cat ".repeat(10_000);
    let response = pipeline
        .generate(&request, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(response.lost.len(), 1);
    assert!(response.lost[0].words.split_whitespace().count() > 9_900);
}
