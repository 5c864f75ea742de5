//! The networks that draw and judge small images.

use anyhow::bail;
use pyrograph::{
    backend::{Device, rng::host_tensor, vision::VisionAutodiff},
    models::{
        context_unet::ContextUnet,
        dcgan::{Discriminator, Generator},
        weights::TensorEntry,
    },
};

use super::{
    Forward,
    files::{on_device, read},
};

impl Forward {
    pub(super) fn context_unet<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let (config, model, _) = self.model::<B::InnerBackend, ContextUnet<_>>(device)?;
        let inputs = self.inputs(&["x", "t", "c"])?;
        let (x, t, c) = (
            self.tensor(&inputs, "x")?,
            self.tensor(&inputs, "t")?,
            inputs.get("c"),
        );
        config.check_input(x.shape(), t.shape(), c.map(TensorEntry::shape))?;
        self.check_times(t)?;
        let (x, t) = (on_device(x, device)?, on_device(t, device)?);
        let c = c.map(|c| on_device(c, device)).transpose()?;
        self.finish(&model, || {
            let eps = model.forward(x.clone(), t.clone(), c.clone());
            Ok(vec![("eps", read(eps)?)])
        })
    }

    /// Refuses times that the network was never trained on.
    fn check_times(&self, t: &TensorEntry) -> anyhow::Result<()> {
        let times = t.to_f32();
        let outside = |time: &f32| !(*time > 0.0 && *time <= 1.0);
        match times.iter().position(outside) {
            None => Ok(()),
            Some(place) => bail!(
                "{}: t[{place}] is {}, but must be above 0 and up to 1: the timestep over the number of timesteps, as 250 of 500 is 0.5",
                self.input.display(),
                times[place]
            ),
        }
    }

    pub(super) fn dcgan_generator<B: VisionAutodiff>(
        &self,
        device: &Device<B>,
    ) -> anyhow::Result<()> {
        let (config, model, _) = self.model::<B::InnerBackend, Generator<_>>(device)?;
        let inputs = self.inputs(&["z"])?;
        let z = self.tensor(&inputs, "z")?;
        let batch = config.check_latents(z.shape())?;
        let z = host_tensor(z.to_f32(), [batch, config.z_dim], device);
        self.finish(&model, || {
            Ok(vec![("image", read(model.forward(z.clone()))?)])
        })
    }

    pub(super) fn dcgan_discriminator<B: VisionAutodiff>(
        &self,
        device: &Device<B>,
    ) -> anyhow::Result<()> {
        let (config, model, _) = self.model::<B::InnerBackend, Discriminator<_>>(device)?;
        let inputs = self.inputs(&["x"])?;
        let x = self.tensor(&inputs, "x")?;
        config.check_images(x.shape())?;
        let x = on_device(x, device)?;
        self.finish(&model, || {
            let judgement = model.forward(x.clone());
            let (logit, feature) = (read(judgement.logit)?, read(judgement.feature)?);
            Ok(vec![("logit", logit), ("feature", feature)])
        })
    }
}
