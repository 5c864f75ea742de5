//! Every model at a tiny size.

use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_gradcheck::{GradCheckError, HostTensor};
use pyrograph_models::{
    blocks::BatchStatistics,
    context_unet::{ContextUnetConfig, Residual},
    dcgan::{DcganConfig, DiscriminatorConfig},
    sprite_classifier::SpriteClassifierConfig,
};

use super::lived_in::lived_in;
use crate::recorder::{Outcome, Recorder};

const SEED: u64 = 4;

/// A network small enough for f64.
pub(crate) fn tiny_unet() -> ContextUnetConfig {
    ContextUnetConfig {
        n_feat: 8,
        ..ContextUnetConfig::default()
    }
}

pub(crate) fn context_unet<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let contexts = [[1.0, 0.0, 0.0, 0.0, 0.0], [0.2, 0.3, 0.0, 0.5, 0.0]].concat();
    let inputs = [
        r.normal("x", &[2, 3, 16, 16]),
        HostTensor::new("t", &[2], vec![0.25, 1.0])?,
        HostTensor::new("c", &[2, 5], contexts)?.affine(1.0, 0.0),
    ];
    let models = [
        ("", tiny_unet()),
        (
            ", learned shortcut",
            ContextUnetConfig {
                residual: Residual::Learned,
                ..tiny_unet()
            },
        ),
    ];
    for (name, config) in models {
        let model = config
            .init::<A>(r.device(), SEED)
            .map_err(GradCheckError::function)?;
        let model = lived_in(model);
        r.module(
            &format!("running statistics{name}"),
            &model,
            &inputs,
            |model, i| Ok(model.forward(i.tensor("x")?, i.tensor("t")?, Some(i.tensor("c")?))),
        )?;
        r.module(
            &format!("the batch's statistics{name}"),
            &model,
            &inputs,
            |model, i| {
                let (x, t, c) = (i.tensor("x")?, i.tensor("t")?, Some(i.tensor("c")?));
                Ok(model.forward_training(x, t, c, &mut BatchStatistics::new()))
            },
        )?;
    }
    let model = lived_in(
        tiny_unet()
            .init::<A>(r.device(), SEED)
            .map_err(GradCheckError::function)?,
    );
    let inputs = [inputs[0].clone(), HostTensor::new("t", &[1], vec![0.5])?];
    r.module(
        "without context, one time for all",
        &model,
        &inputs,
        |model, i| Ok(model.forward(i.tensor("x")?, i.tensor("t")?, None)),
    )
}

pub(crate) fn sprite_classifier<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let config = SpriteClassifierConfig {
        in_channels: 3,
        height: 8,
        classes: 5,
        width: 4,
    };
    let model = config
        .init::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let x = [r.normal("x", &[3, 3, 8, 8])];
    r.module("", &model, &x, |model, i| Ok(model.forward(i.tensor("x")?)))
}

/// Images of 16×16 pixels.
fn tiny_dcgan() -> DcganConfig {
    DcganConfig {
        z_dim: 3,
        width: 2,
        channels: 2,
        blocks: 2,
        ..DcganConfig::default()
    }
}

pub(crate) fn generator<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let model = tiny_dcgan()
        .init_generator::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let model = lived_in(model);
    let z = [r.normal("z", &[3, 3])];
    r.module("running statistics", &model, &z, |model, i| {
        Ok(model.forward(i.tensor("z")?))
    })?;
    r.module("the batch's statistics", &model, &z, |model, i| {
        Ok(model.forward_training(i.tensor("z")?, &mut BatchStatistics::new()))
    })?;
    let frozen = model.frozen();
    r.case("frozen", &z, |i| Ok(frozen.forward(i.tensor("z")?)))
}

pub(crate) fn discriminator<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let x = [r.normal("x", &[3, 2, 16, 16])];
    let plain = DcganConfig {
        discriminator: DiscriminatorConfig {
            norm: false,
            bias: false,
            ..DiscriminatorConfig::default()
        },
        ..tiny_dcgan()
    };
    for (name, config) in [("", tiny_dcgan()), (", no norm", plain.clone())] {
        let model = config
            .init_discriminator::<A>(r.device(), SEED)
            .map_err(GradCheckError::function)?;
        let model = lived_in(model);
        r.module(&format!("logits{name}"), &model, &x, |model, i| {
            Ok(model.forward(i.tensor("x")?).logit)
        })?;
        r.module(&format!("training{name}"), &model, &x, |model, i| {
            let (x, seen) = (i.tensor("x")?, &mut BatchStatistics::new());
            Ok(model.forward_training(x, seen).logit)
        })?;
        let frozen = model.frozen();
        r.case(&format!("frozen features{name}"), &x, |i| {
            Ok(frozen.features(i.tensor("x")?))
        })?;
    }
    let model = plain
        .init_discriminator::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let inputs = [x[0].clone(), r.normal("direction", &[3, 2, 16, 16])];
    r.module("directional derivative", &model, &inputs, |model, i| {
        Ok(model.directional_derivative(i.tensor("x")?, i.tensor("direction")?))
    })
}

pub(crate) fn encoder<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let model = tiny_dcgan()
        .init_encoder::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let model = lived_in(model);
    let x = [r.normal("x", &[3, 2, 16, 16])];
    r.module("running statistics", &model, &x, |model, i| {
        Ok(model.forward(i.tensor("x")?))
    })?;
    r.module("the batch's statistics", &model, &x, |model, i| {
        Ok(model.forward_training(i.tensor("x")?, &mut BatchStatistics::new()))
    })
}
