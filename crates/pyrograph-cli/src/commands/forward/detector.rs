//! The detector.

use pyrograph::{
    backend::{Device, vision::VisionAutodiff},
    models::{
        ModelError,
        ssd::{Ssd, SsdConfig},
        weights::TensorEntry,
    },
};

use super::{
    Forward,
    files::{on_device, read},
};

impl Forward {
    pub(super) fn ssd300<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let (config, model, weights) = self.model::<B::InnerBackend, Ssd<_>>(device)?;
        let inputs = self.inputs(&["x"])?;
        let x = self.tensor(&inputs, "x")?;
        config.check_images(x.shape())?;
        let x = on_device(x, device)?;
        let priors = priors(&config.with_priors_of(&weights))?;
        self.finish(&model, || {
            let output = model.forward(x.clone());
            Ok(vec![
                ("loc", read(output.loc)?),
                ("conf", read(output.conf)?),
                ("priors", priors.clone()),
            ])
        })
    }
}

/// The boxes that a detector's outputs move, a row each.
fn priors(config: &SsdConfig) -> Result<TensorEntry, ModelError> {
    let boxes = config.prior_boxes()?;
    Ok(TensorEntry::from_f32(
        vec![boxes.len(), 4],
        boxes.iter().flat_map(|b| [b.cx, b.cy, b.w, b.h]).collect(),
    ))
}
