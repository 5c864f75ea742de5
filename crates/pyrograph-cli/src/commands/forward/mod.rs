//! `pyrograph forward`: one forward pass on named tensors.

mod detector;
mod drawing;
mod files;
mod stable_diffusion;

use std::{path::PathBuf, time::Instant};

use burn::module::Module;
use clap::{Args, ValueEnum};
use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{PreparedWeights, VisionAutodiff, VisionBackend},
    },
    models::weights::{Precision, TensorEntry},
};

use crate::{arguments::Common, checkpoint::PartOption, outputs::check_outputs};

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// x [n,c,h,h], t `[n]` or `[1]` in (0, 1] (timestep over timesteps), c [n,k] (optional) → eps.
    ContextUnet,
    /// z [n,z_dim] or [n,z_dim,1,1] → image.
    DcganGenerator,
    /// x [n,c,h,h] → logit [n,1,1,1], feature [n,f].
    DcganDiscriminator,
    /// x [n,3,300,300] → loc [n,p,4], conf [n,p,classes], priors [p,4] as cx, cy, w, h.
    #[value(name = "ssd300")]
    Ssd300,
    /// input_ids [n,length], integers → last_hidden_state [n,length,width].
    SdTextEncoder,
    /// sample [n,c,h,w], timestep `[n]` or `[1]`, encoder_hidden_states [n,length,width] → sample.
    SdUnet,
    /// image [n,3,h,w] in [−1, 1] → mean, logvar, clamped to [−30, 20].
    SdVaeEncoder,
    /// latents [n,c,h,w] without the scaling factor → image, not clamped.
    SdVaeDecoder,
    /// image [n,3,h,w] in [−1, 1] → latents.
    SdTinyVaeEncoder,
    /// latents [n,c,h,w] → image.
    SdTinyVaeDecoder,
}

#[derive(Args)]
pub(crate) struct Forward {
    /// The model.
    #[arg(value_enum)]
    model: Model,
    /// The weights: .pth, .bin, .safetensors or .safetensors.index.json, with their published key
    /// names.
    #[arg(long)]
    weights: PathBuf,
    /// The model's configuration as JSON; for sd-* the config.json of diffusers. A model file of
    /// pyrograph contains it. For context-unet, dcgan-* and ssd300, missing fields are read from
    /// the shapes of the weights (docs/weights.md).
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    part: PartOption,
    /// A safetensors file with the input tensors.
    #[arg(long)]
    input: PathBuf,
    /// The safetensors file to write the output tensors to, in f32.
    #[arg(long)]
    output: PathBuf,
    /// Type of the weights in memory: f32, bf16, f16, int8 (for the layers of a UNet, with bf16 for
    /// all other weights), int8-activations (with activations in int8 too), or stored for the types
    /// in the file [default: the device's float type].
    #[arg(long, value_name = "TYPE")]
    dtype: Option<Precision>,
    /// Run the pass N more times, and print their median milliseconds and the peak memory of the
    /// process (--json: median_ms, peak_memory_bytes).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    #[command(flatten)]
    common: Common,
}

/// Output tensors by name.
type Outputs = Vec<(&'static str, TensorEntry)>;

impl Forward {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut inputs = vec![self.weights.clone(), self.input.clone()];
        inputs.extend(self.config.clone());
        check_outputs(&[("--output", &self.output)], &inputs)?;
        let device = self.common.device;
        device.run(self)?
    }

    /// Runs the pass of `model`, once for its outputs and then as often as `--repeat` says, and writes the outputs.
    fn finish<B: VisionBackend, M: Module<B>>(
        &self,
        model: &M,
        pass: impl Fn() -> anyhow::Result<Outputs>,
    ) -> anyhow::Result<()> {
        let _prepared = self.repeat.map(|_| PreparedWeights::of(model));
        let outputs = pass()?;
        let mut times = Vec::new();
        for _ in 0..self.repeat.unwrap_or(0) {
            let start = Instant::now();
            pass()?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        self.write(outputs, median(times))
    }
}

/// The middle value, or the mean of both; none of none.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some((values[last / 2] + values[last.div_ceil(2)]) / 2.0)
}

impl BackendTask for Forward {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        match self.model {
            Model::ContextUnet => self.context_unet::<B>(&device),
            Model::DcganGenerator => self.dcgan_generator::<B>(&device),
            Model::DcganDiscriminator => self.dcgan_discriminator::<B>(&device),
            Model::Ssd300 => self.ssd300::<B>(&device),
            Model::SdTextEncoder => self.sd_text_encoder::<B>(&device),
            Model::SdUnet => self.sd_unet::<B>(&device),
            Model::SdVaeEncoder => self.sd_vae_encoder::<B>(&device),
            Model::SdVaeDecoder => self.sd_vae_decoder::<B>(&device),
            Model::SdTinyVaeEncoder => self.sd_tiny_vae_encoder::<B>(&device),
            Model::SdTinyVaeDecoder => self.sd_tiny_vae_decoder::<B>(&device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_both() {
        assert_eq!(median(Vec::new()), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
