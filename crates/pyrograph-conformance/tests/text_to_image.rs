//! Tiny text-to-image pipelines on every backend of this build, held to Flex's.
//!
//! `cargo test -p pyrograph-conformance --features wgpu --test text_to_image -- --nocapture` prints how far WGPU is from
//! it.

#![cfg(all(
    feature = "flex",
    any(feature = "ndarray", feature = "wgpu", feature = "cuda")
))]

#[path = "../../pyrograph-pipelines/tests/stable_diffusion/common.rs"]
#[allow(dead_code)] // Shared with the tests of the pipelines.
mod common;
#[path = "../../pyrograph-models/tests/common/formula.rs"]
#[allow(dead_code)] // Shared with the tests of the models.
mod formula;

use std::{ops::ControlFlow, path::Path};

use burn::tensor::{DType, backend::Backend};
use common::{Case, bytes, difference, psnr};
use pyrograph_backend::{
    BackendTask, Device, DeviceSpec,
    vision::{VisionAutodiff, VisionBackend},
};
use pyrograph_models::{ModelError, weights::Precision};
use pyrograph_pipelines::{
    PipelineError,
    stable_diffusion::{ImageRequest, ImageResponse, OpenOptions, StableDiffusion},
};

/// Each step multiplies the rounding of those before it by the guidance.
const STEPS: usize = 3;
const GUIDANCE: f64 = 3.0;
/// Latents beside Flex's, relative to the largest.
const LATENTS: f32 = 1e-4;
/// dB of a picture beside Flex's, in f32 and with weights of half the bytes.
const PICTURE: f64 = 50.0;
const HALF_PICTURE: f64 = 30.0;

/// A picture by one backend.
struct Picture<'a> {
    folder: &'a Path,
    request: &'a ImageRequest,
    precision: Precision,
}

/// The response, or the refusal with whether the backend lacks bf16.
type Outcome = (Result<ImageResponse, PipelineError>, bool);

impl BackendTask for Picture<'_> {
    type Output = Outcome;

    fn run<A: VisionAutodiff>(self, device: Device<A>) -> Outcome {
        let lacks_bf16 = !A::InnerBackend::supports_dtype(&device, DType::BF16);
        (self.generate::<A::InnerBackend>(&device), lacks_bf16)
    }
}

impl Picture<'_> {
    fn generate<B: VisionBackend>(
        &self,
        device: &B::Device,
    ) -> Result<ImageResponse, PipelineError> {
        let options = OpenOptions {
            precision: self.precision,
            ..OpenOptions::default()
        };
        let pipeline = StableDiffusion::<B>::open(self.folder, &options, device)?;
        pipeline.generate(self.request, &mut |_| ControlFlow::Continue(()))
    }
}

fn run(spec: DeviceSpec, case: &Case, request: &ImageRequest, precision: Precision) -> Outcome {
    let picture = Picture {
        folder: case.path(),
        request,
        precision,
    };
    spec.run(picture).unwrap_or_else(|error| {
        panic!("the test of `{spec}` needs that device, since its feature is on: {error}")
    })
}

/// The request of a fixture with few steps and little guidance.
fn short(case: &Case) -> ImageRequest {
    ImageRequest {
        steps: STEPS,
        guidance: GUIDANCE,
        ..case.request()
    }
}

fn equals_flex(name: &'static str, spec: DeviceSpec) {
    let case = Case::new(name);
    let request = short(&case);
    let (expected, _) = run(DeviceSpec::Cpu, &case, &request, Precision::F32);
    let expected = expected.unwrap();
    let (seen, _) = run(spec, &case, &request, Precision::F32);
    let seen = seen.unwrap_or_else(|error| panic!("{name} on {spec}: {error}"));
    let latents = difference(&seen.latents.values, &expected.latents.values);
    let ratio = psnr(&bytes(&seen.images), &bytes(&expected.images));
    println!("{name} on {spec}: latents {latents:e}, {ratio:.1} dB");
    assert!(
        latents < LATENTS,
        "{name} on {spec}: latents differ by {latents}"
    );
    assert!(ratio >= PICTURE, "{name} on {spec}: {ratio:.1} dB");
}

fn bf16_is_near_or_refused(spec: DeviceSpec) {
    let case = Case::new("base");
    let request = short(&case);
    let (exact, _) = run(DeviceSpec::Cpu, &case, &request, Precision::F32);
    let exact = bytes(&exact.unwrap().images);
    let (seen, lacks_bf16) = run(spec, &case, &request, Precision::Bf16);
    match seen {
        Ok(response) => {
            let ratio = psnr(&bytes(&response.images), &exact);
            println!("bf16 on {spec}: {ratio:.1} dB");
            assert!(ratio >= HALF_PICTURE, "{spec}: {ratio:.1} dB");
        }
        Err(PipelineError::Model(ModelError::MissingType { wanted, .. })) => {
            println!("bf16 on {spec}: refused");
            assert!(lacks_bf16, "{spec} has bf16");
            assert_eq!(wanted.to_lowercase(), "bf16");
        }
        Err(error) => panic!("{spec}: {error}"),
    }
}

#[test]
fn bf16_weights_give_nearly_the_picture_of_f32_on_flex() {
    bf16_is_near_or_refused(DeviceSpec::Cpu);
}

/// The tests of one backend, under its name: `--skip cuda::` leaves out the backend of a device that is not there.
macro_rules! tests_of {
    ($name:ident, $spec:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn a_base_pipeline_gives_the_pictures_of_flex() {
                equals_flex("base", $spec);
            }

            #[test]
            fn a_pipeline_of_velocities_gives_the_pictures_of_flex() {
                equals_flex("v_prediction", $spec);
            }

            #[test]
            fn a_pipeline_of_stable_diffusion_1_gives_the_pictures_of_flex() {
                equals_flex("old", $spec);
            }

            #[test]
            fn image_to_image_gives_the_pictures_of_flex() {
                equals_flex("image", $spec);
            }

            #[test]
            fn inpainting_with_nine_channels_gives_the_pictures_of_flex() {
                equals_flex("nine", $spec);
            }

            #[test]
            fn bf16_weights_give_nearly_the_picture_or_are_refused_with_the_backend() {
                bf16_is_near_or_refused($spec);
            }
        }
    };
}

#[cfg(feature = "ndarray")]
tests_of!(ndarray, DeviceSpec::NdArray);
#[cfg(feature = "wgpu")]
tests_of!(wgpu, DeviceSpec::Wgpu { index: None });
#[cfg(feature = "cuda")]
tests_of!(cuda, DeviceSpec::Cuda { index: 0 });
