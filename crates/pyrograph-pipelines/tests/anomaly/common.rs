//! Networks that look trained, images of theirs, and how both are scored.

use std::{collections::BTreeMap, ops::ControlFlow};

use burn::{backend::Autodiff, tensor::Tensor};
use burn_flex::Flex;
use pyrograph_backend::rng::{NoiseKey, Purpose};
use pyrograph_losses::AnomalyScore;
use pyrograph_models::dcgan::{AnoGan, DcganConfig};
use pyrograph_pipelines::anomaly::{AnomalyCard, AnomalyScorer, Method, ScoredImage, SearchConfig};
use pyrograph_vision::Normalisation;

pub(crate) type A = Autodiff<Flex>;

pub(crate) const SIZE: usize = 16 * 16;

pub(crate) fn config() -> DcganConfig {
    DcganConfig {
        z_dim: 4,
        width: 4,
        blocks: 2,
        ..DcganConfig::default()
    }
}

/// At PyTorch's initial scale all images of a generator are alike; ten times its latent vectors' weights tell them apart.
pub(crate) fn networks() -> AnoGan<Flex> {
    use burn::module::{Module, ModuleMapper, Param};
    struct Louder;
    impl ModuleMapper<Flex> for Louder {
        fn map_float<const D: usize>(
            &mut self,
            param: Param<Tensor<Flex, D>>,
        ) -> Param<Tensor<Flex, D>> {
            if D == 4 {
                param.map(|weight| weight * 3.0)
            } else {
                param
            }
        }
    }
    let networks = config()
        .init_anogan::<Flex>(&Default::default(), 3)
        .expect("legal");
    networks.map(&mut Louder)
}

pub(crate) fn scorer() -> AnomalyScorer<A> {
    let card = AnomalyCard {
        normalisation: Normalisation::TANH,
        score: AnomalyScore::default(),
        normal: vec!["good".into()],
        white_level: None,
        calibrations: BTreeMap::new(),
    };
    AnomalyScorer::new(networks(), config(), card, &Default::default())
}

/// Images that the generator can make.
pub(crate) fn known(count: usize) -> Vec<f32> {
    let z: Tensor<Flex, 2> =
        NoiseKey::new(5, Purpose::Other, 0).normal_tensor(0, [count, 4], &Default::default());
    let images = networks().generator.forward(z);
    images.into_data().iter::<f32>().collect()
}

/// Images that it cannot make: noise.
pub(crate) fn strange(count: usize) -> Vec<f32> {
    let noise = NoiseKey::new(6, Purpose::Other, 0).uniform(0, count * SIZE);
    noise.into_iter().map(|u| 2.0 * u - 1.0).collect()
}

pub(crate) fn short() -> SearchConfig {
    SearchConfig {
        steps: 60,
        pool: 40,
        ..SearchConfig::default()
    }
}

pub(crate) fn score(images: &[f32], method: Method, config: &SearchConfig) -> Vec<ScoredImage> {
    let go_on = &mut |_, _| ControlFlow::Continue(());
    scorer()
        .score(images, method, config, go_on)
        .expect("legal")
}

pub(crate) fn scores(scored: &[ScoredImage]) -> Vec<f32> {
    scored.iter().map(|image| image.score).collect()
}

#[track_caller]
pub(crate) fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(theirs) {
        // Written so that NaN fails.
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{ours:?} is not {theirs:?}"
        );
    }
}
