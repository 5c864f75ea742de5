//! Times the U-Net of Stable Diffusion 2.1 at its real shapes, with random weights: the guidance pair of one step.
//!
//!     cargo run --release -p pyrograph-models --example sd_unet -- bf16 64 3
//!
//! The arguments are the type of the weights (`f32` or `bf16`), the side of the latents (64 is a picture of 512²) and the number of
//! passes. Prints the seconds of each pass and the peak of memory above the weights. About a minute on two cores.

use std::{fs, time::Instant};

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Tensor, backend::Backend},
};
use burn_flex::Flex;
use pyrograph_backend::rng::{NoiseKey, Purpose, host_tensor};
use pyrograph_models::stable_diffusion::unet::{UNet2DConditionConfig, UNet2DConditionModel};

/// The two prompts of guidance, and the tokens of each.
const PAIR: usize = 2;
const TOKENS: usize = 77;

/// Converts every parameter.
struct Cast(DType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|value| value.cast(self.0))
    }
}

fn noise<const D: usize>(stream: u64, shape: [usize; D]) -> Tensor<Flex, D> {
    let values = NoiseKey::new(0, Purpose::Other, stream).normal(0, shape.iter().product());
    host_tensor(values, shape, &Default::default())
}

/// A line of /proc/self/status in MB; 0 on other systems.
fn megabytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    number.unwrap_or(0) / 1024
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize, default: &str| match arguments.get(place) {
        Some(text) => text.clone(),
        None => default.to_owned(),
    };
    let precision = argument(0, "f32");
    let side: usize = argument(1, "64").parse()?;
    let passes: usize = argument(2, "2").parse()?;

    let config = UNet2DConditionConfig::stable_diffusion_2_1_base();
    let width = config.context_width()?;
    let mut model: UNet2DConditionModel<Flex> = config.init(&Default::default(), 0)?;
    if precision == "bf16" {
        model = model.map(&mut Cast(DType::BF16));
    }
    let sample = noise(0, [PAIR, config.in_channels, side, side]);
    let context = noise(1, [PAIR, TOKENS, width]);
    let timestep = Tensor::from_floats([500.0], &Default::default());
    // Linux forgets the peak so far.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let before = megabytes("VmRSS");
    for _ in 0..passes {
        let start = Instant::now();
        let output = model.forward(sample.clone(), timestep.clone(), context.clone());
        let mean: f32 = output.abs().mean().into_scalar();
        println!(
            "{precision} {side}: {:.2} s, mean {mean:.4}",
            start.elapsed().as_secs_f64()
        );
    }
    let peak = megabytes("VmHWM");
    println!(
        "memory: {before} MB before, {peak} MB at the peak, {} MB above",
        peak - before.min(peak)
    );
    Ok(())
}
