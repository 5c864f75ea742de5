//! Models of one to four steps, and the tiny VAE that goes with them.

use std::ops::ControlFlow;

use pyrograph_pipelines::stable_diffusion::{ImageRequest, ImageWalk, OpenOptions};

use crate::common::{Case, bytes, difference, psnr, write_tiny_vae};

/// A step in f32 against PyTorch's.
const STEP: f32 = 1e-4;
/// dB beside diffusers' picture.
const F32_PICTURE: f64 = 50.0;

fn picture(case: &Case) -> Vec<u8> {
    case.result("picture")
        .iter()
        .map(|value| *value as u8)
        .collect()
}

#[test]
fn one_step_of_a_turbo_pipeline_with_the_tiny_vae_gives_the_pictures_of_diffusers() {
    let case = Case::new("one_step");
    let folder = case.path().join("taesd");
    write_tiny_vae("one_step", &folder);
    let options = OpenOptions {
        tiny_vae: Some(folder),
        ..OpenOptions::default()
    };
    let pipeline = case.open(&options);
    // Guidance of 1 and of 0 are none.
    for guidance in [1.0, 0.0] {
        let request = ImageRequest {
            guidance,
            ..case.request()
        };
        let walk = &pipeline.begin(&request).unwrap().walks[0];
        assert_eq!((walk.steps(), walk.rows()), (1, 1));
        let response = pipeline
            .generate(&request, &mut |_| ControlFlow::Continue(()))
            .unwrap();
        let seen = difference(&response.latents.values, &case.result("latents"));
        assert!(seen < STEP, "the latents differ by {seen}");
        let ratio = psnr(&bytes(&response.images), &picture(&case));
        assert!(ratio >= F32_PICTURE, "{ratio:.1} dB");
    }
}

#[test]
fn a_consistency_pipeline_whose_unet_reads_guidance_gives_the_pictures_of_diffusers() {
    let case = Case::new("consistency");
    let pipeline = case.open(&OpenOptions::default());
    let request = case.request();
    let mut walks = pipeline.begin(&request).unwrap().walks;
    for step in 0..4 {
        assert!(walks.iter().all(|walk| walk.rows() == 1));
        pipeline
            .advance(&mut walks.iter_mut().collect::<Vec<_>>())
            .unwrap();
        if [0, 1].contains(&step) {
            let seen: Vec<f32> = walks
                .iter()
                .flat_map(|walk| walk.latents().into_data().iter::<f32>().collect::<Vec<_>>())
                .collect();
            let seen = difference(&seen, &case.result(&format!("latents_{step}")));
            assert!(seen < STEP, "latents after step {step} differ by {seen}");
        }
    }
    assert!(walks.iter().all(ImageWalk::is_done));
    let generate = |request: &ImageRequest| {
        pipeline
            .generate(request, &mut |_| ControlFlow::Continue(()))
            .unwrap()
    };
    let response = generate(&request);
    let seen = difference(&response.latents.values, &case.result("latents"));
    assert!(seen < STEP, "the latents differ by {seen}");
    let ratio = psnr(&bytes(&response.images), &picture(&case));
    assert!(ratio >= F32_PICTURE, "{ratio:.1} dB");
    let other = ImageRequest {
        guidance: 3.0,
        ..request.clone()
    };
    assert_ne!(generate(&other).latents, response.latents);
    // The negative prompt has no row.
    let mut other = request;
    other
        .images
        .iter_mut()
        .for_each(|image| image.negative = "a dog".into());
    assert_eq!(generate(&other).latents, response.latents);
}
