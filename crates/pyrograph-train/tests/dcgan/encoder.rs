//! The encoder that goes back through a generator.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};
use burn_flex::Flex;
use pyrograph_backend::rng::{NoiseKey, Purpose};
use pyrograph_models::weights::state_dict_of;
use pyrograph_train::dcgan::{EncoderTraining, train_encoder};
use pyrograph_vision::Normalisation;

use crate::common::{A, digits, tiny, weights};

/// Weights three times as large: images that differ by their latent vectors.
struct Louder;

impl ModuleMapper<Flex> for Louder {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Flex, D>>,
    ) -> Param<Tensor<Flex, D>> {
        match D {
            4 => param.map(|weight| weight * 3.0),
            _ => param,
        }
    }
}

#[test]
fn its_loss_falls_it_finds_latent_vectors_again_and_the_other_networks_stay() {
    let model = tiny(1).model;
    let device = Default::default();
    let mut networks = model.init::<Flex>(&device, 5).expect("legal");
    // A fresh generator makes images that are all alike.
    networks.generator = networks.generator.map(&mut Louder);
    let before = state_dict_of(&networks).expect("readable");
    let config = EncoderTraining {
        latent_weight: 1.0,
        batch_size: 8,
        steps: 120,
        learning_rate: 5e-3,
        ..EncoderTraining::default()
    };
    let mut records = Vec::new();
    let encoder = train_encoder::<A>(
        &config,
        &model,
        &networks.generator,
        &networks.discriminator,
        &digits(),
        Normalisation::TANH,
        &mut |record| records.push(record),
        &device,
    )
    .expect("legal");
    assert!(
        records
            .iter()
            .map(|record| record.step)
            .eq((10..=120).step_by(10))
    );
    assert!(records[11].loss < 0.8 * records[0].loss, "{records:?}");
    let after = weights(&networks);
    assert!(before.keys().all(|key| before.get(key) == after.get(key)));

    // Vectors that the training has not seen are found better than by a guess at the prior's mean.
    let z: Tensor<Flex, 2> =
        NoiseKey::new(99, Purpose::Other, 0).normal_tensor(0, [64, 5], &device);
    let found = encoder.forward(networks.generator.forward(z.clone()));
    let error = (found - z.clone()).square().mean().into_scalar();
    let guess = z.square().mean().into_scalar();
    assert!(error < 0.8 * guess, "{error} is not below {guess}");
}

#[test]
fn the_same_seed_gives_the_same_encoder() {
    let model = tiny(1).model;
    let device = Default::default();
    let networks = model.init::<Flex>(&device, 5).expect("legal");
    let train = |seed| {
        let config = EncoderTraining {
            batch_size: 6,
            steps: 5,
            seed,
            ..EncoderTraining::default()
        };
        let encoder = train_encoder::<A>(
            &config,
            &model,
            &networks.generator,
            &networks.discriminator,
            &digits(),
            Normalisation::TANH,
            &mut |_| {},
            &device,
        );
        weights(&encoder.expect("legal"))
    };
    let (a, b, c) = (train(1), train(1), train(2));
    assert!(a.keys().all(|key| a.get(key) == b.get(key)));
    assert!(a.keys().any(|key| a.get(key) != c.get(key)));
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let usual = EncoderTraining::default;
    let mut kappa = usual();
    kappa.loss.kappa = -1.0;
    for (name, config) in [
        ("kappa", kappa),
        (
            "latent_weight",
            EncoderTraining {
                latent_weight: f64::NAN,
                ..usual()
            },
        ),
        (
            "learning_rate",
            EncoderTraining {
                learning_rate: 0.0,
                ..usual()
            },
        ),
        (
            "images a step",
            EncoderTraining {
                batch_size: 1,
                ..usual()
            },
        ),
        (
            "steps",
            EncoderTraining {
                steps: 0,
                ..usual()
            },
        ),
    ] {
        let message = config.check().expect_err(name).to_string();
        assert!(message.contains(name), "{message}");
    }
}
