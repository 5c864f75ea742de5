//! The networks of Stable Diffusion.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use burn::tensor::{Int, Tensor, TensorData};
use pyrograph::{
    backend::{Device, vision::VisionAutodiff},
    models::{
        ModelError,
        stable_diffusion::{
            clip::{ClipTextConfig, ClipTextModel},
            tiny_vae::{AutoencoderTiny, AutoencoderTinyConfig},
            unet::{UNet2DConditionConfig, UNet2DConditionModel},
            vae::{AutoencoderKl, AutoencoderKlConfig},
        },
        weights::{Precision, TensorEntry},
    },
};

use super::{
    Forward,
    files::{on_device, read},
};

impl Forward {
    pub(super) fn sd_text_encoder<B: VisionAutodiff>(
        &self,
        device: &Device<B>,
    ) -> anyhow::Result<()> {
        let read_config = from_diffusers(ClipTextConfig::from_diffusers);
        let (config, model, _) =
            self.model_by::<B::InnerBackend, ClipTextModel<_>>(read_config, device)?;
        let name = "input_ids";
        let inputs = self.inputs(&[name])?;
        let entry = self.tensor(&inputs, name)?;
        let ids = self.integers(name, entry)?;
        let shape = config.check_ids(entry.shape(), &ids)?;
        let ids = Tensor::<_, 2, Int>::from_data(TensorData::new(ids, shape), device);
        self.finish(&model, || {
            let hidden = model.forward(ids.clone());
            Ok(vec![("last_hidden_state", read(hidden)?)])
        })
    }

    pub(super) fn sd_unet<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let read_config = from_diffusers(UNet2DConditionConfig::from_diffusers);
        let (config, model, _) =
            self.model_by::<B::InnerBackend, UNet2DConditionModel<_>>(read_config, device)?;
        let names = ["sample", "timestep", "encoder_hidden_states"];
        let inputs = self.inputs(&names)?;
        let mut found = Vec::new();
        for name in names {
            found.push(self.tensor(&inputs, name)?);
        }
        let (sample, timestep, context) = (found[0], found[1], found[2]);
        config.check_input(sample.shape(), timestep.shape(), context.shape())?;
        let sample = on_device(sample, device)?;
        let timestep = on_device(timestep, device)?;
        let context = on_device(context, device)?;
        self.finish(&model, || {
            let out = model.forward(sample.clone(), timestep.clone(), context.clone());
            Ok(vec![("sample", read(out)?)])
        })
    }

    pub(super) fn sd_vae_encoder<B: VisionAutodiff>(
        &self,
        device: &Device<B>,
    ) -> anyhow::Result<()> {
        let read_config = from_diffusers(AutoencoderKlConfig::from_diffusers);
        let (config, model, _) =
            self.model_by::<B::InnerBackend, AutoencoderKl<_>>(read_config, device)?;
        let inputs = self.inputs(&["image"])?;
        let image = self.tensor(&inputs, "image")?;
        config.check_image(image.shape())?;
        let image = on_device(image, device)?;
        self.finish(&model, || {
            let latents = model.encode(image.clone());
            let (mean, logvar) = (read(latents.mean)?, read(latents.logvar)?);
            Ok(vec![("mean", mean), ("logvar", logvar)])
        })
    }

    pub(super) fn sd_vae_decoder<B: VisionAutodiff>(
        &self,
        device: &Device<B>,
    ) -> anyhow::Result<()> {
        let read_config = from_diffusers(AutoencoderKlConfig::from_diffusers);
        let (config, model, _) =
            self.model_by::<B::InnerBackend, AutoencoderKl<_>>(read_config, device)?;
        let inputs = self.inputs(&["latents"])?;
        let latents = self.tensor(&inputs, "latents")?;
        config.check_latents(latents.shape())?;
        let latents = on_device(latents, device)?;
        self.finish(&model, || {
            Ok(vec![("image", read(model.decode(latents.clone()))?)])
        })
    }

    pub(super) fn sd_tiny_vae_encoder<B: VisionAutodiff>(
        &self,
        device: &Device<B>,
    ) -> anyhow::Result<()> {
        let read_config = from_diffusers(AutoencoderTinyConfig::from_diffusers);
        let (config, model, _) =
            self.model_by::<B::InnerBackend, AutoencoderTiny<_>>(read_config, device)?;
        let inputs = self.inputs(&["image"])?;
        let image = self.tensor(&inputs, "image")?;
        config.check_image(image.shape())?;
        let image = on_device(image, device)?;
        self.finish(&model, || {
            Ok(vec![("latents", read(model.encode(image.clone()))?)])
        })
    }

    pub(super) fn sd_tiny_vae_decoder<B: VisionAutodiff>(
        &self,
        device: &Device<B>,
    ) -> anyhow::Result<()> {
        let read_config = from_diffusers(AutoencoderTinyConfig::from_diffusers);
        let (config, model, _) =
            self.model_by::<B::InnerBackend, AutoencoderTiny<_>>(read_config, device)?;
        let inputs = self.inputs(&["latents"])?;
        let latents = self.tensor(&inputs, "latents")?;
        config.check_latents(latents.shape())?;
        let latents = on_device(latents, device)?;
        self.finish(&model, || {
            Ok(vec![("image", read(model.decode(latents.clone()))?)])
        })
    }

    /// The values of an input of any integer type.
    fn integers(&self, name: &str, tensor: &TensorEntry) -> anyhow::Result<Vec<i64>> {
        let dtype = tensor.dtype();
        if dtype.is_float() {
            bail!(
                "{}: input `{name}` is of type {}, but must be of an integer type",
                self.input.display(),
                tensor.type_name()
            );
        }
        Ok(tensor.to_data(Precision::AsStored).iter::<i64>().collect())
    }
}

/// A reader of the config files that `parse` reads.
fn from_diffusers<C>(
    parse: fn(&str) -> Result<C, ModelError>,
) -> impl Fn(&Path) -> anyhow::Result<C> {
    move |path| {
        let name = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(name)?;
        parse(&text).with_context(name)
    }
}
