//! Passes of the U-Net of Stable Diffusion that reuse parts of earlier ones, on the networks of
//! `fixtures/stable_diffusion/unet/make.py`. Accelerated walks are held to diffusers in `pyrograph-pipelines`.

use std::{fs, path::PathBuf};

use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_backend::rng::{NoiseKey, Purpose};
use pyrograph_models::{
    stable_diffusion::unet::{
        PassDepth, PassOptions, PassOutput, TextKeys, TokenMerging, UNet2DConditionConfig,
        UNet2DConditionModel,
    },
    weights::{StateDict, build_model},
};

use crate::formula;

const CASES: [&str; 7] = [
    "v2",
    "v1",
    "odd",
    "padding",
    "inpainting",
    "distilled",
    "lists",
];
const LENGTH: usize = 5;

fn read(file: &str) -> String {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stable_diffusion/unet");
    fs::read_to_string(folder.join(file)).expect(file)
}

/// A network and an input of two rows.
struct Case {
    config: UNet2DConditionConfig,
    model: UNet2DConditionModel<Flex>,
    sample: Tensor<Flex, 4>,
    timestep: Tensor<Flex, 1>,
    context: Tensor<Flex, 3>,
}

fn noise<const D: usize>(stream: u64, shape: [usize; D]) -> Tensor<Flex, D> {
    NoiseKey::new(4, Purpose::Other, stream).normal_tensor(0, shape, &Default::default())
}

impl Case {
    fn new(case: &str) -> Self {
        let config = UNet2DConditionConfig::from_diffusers(&read(&format!("{case}.json")));
        let config = config.expect(case);
        let mut dict = StateDict::new();
        for line in read(&format!("{case}.keys")).lines() {
            let (key, shape) = line.split_once(' ').expect("key and shape");
            let shape = shape.split('x').map(|side| side.parse().expect("a side"));
            let shape: Vec<usize> = shape.collect();
            dict.insert(key, formula::parameter(key, &shape));
        }
        let sides = config.sample_size.unwrap_or([8, 8]);
        let width = config.context_width().expect(case);
        Self {
            model: build_model(&config, &dict, &Default::default()).expect(case),
            sample: noise(0, [2, config.in_channels, sides[0], sides[1]]),
            timestep: Tensor::from_floats([321.0], &Default::default()),
            context: noise(1, [2, LENGTH, width]),
            config,
        }
    }

    fn keys(&self) -> TextKeys<Flex> {
        self.model.text_keys(self.context.clone())
    }

    fn pass(&self, text: &TextKeys<Flex>, options: &PassOptions<'_, Flex>) -> PassOutput<Flex> {
        let (sample, timestep) = (self.sample.clone(), self.timestep.clone());
        self.model.pass(sample, timestep, text, options)
    }

    fn plain(&self) -> Vec<f32> {
        let (sample, timestep) = (self.sample.clone(), self.timestep.clone());
        values(self.model.forward(sample, timestep, self.context.clone()))
    }
}

fn values<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn a_shallow_pass_at_every_branch_gives_the_whole_pass_of_its_own_features_to_the_bit() {
    for name in CASES {
        let case = Case::new(name);
        let (plain, text) = (case.plain(), case.keys());
        for branch in 0..case.config.skips() {
            let depth = PassDepth::Keep { branch };
            let kept = case.pass(
                &text,
                &PassOptions {
                    depth,
                    ..PassOptions::default()
                },
            );
            assert_eq!(values(kept.sample), plain, "{name}, keeping at {branch}");
            let features = kept.features.expect("features");
            let of = |features: Tensor<Flex, 4>| {
                let depth = PassDepth::Shallow { branch, features };
                let options = PassOptions {
                    depth,
                    ..PassOptions::default()
                };
                values(case.pass(&text, &options).sample)
            };
            assert_eq!(of(features.clone()), plain, "{name}, branch {branch}");
            // The features have a part in the result.
            assert_ne!(of(features * 1.5), plain, "{name}, branch {branch}");
        }
    }
}

#[test]
fn outputs_of_attentions_to_the_text_in_place_of_its_keys_give_the_same_to_the_bit() {
    for name in CASES {
        let case = Case::new(name);
        let options = PassOptions {
            keeps_text_outputs: true,
            ..PassOptions::default()
        };
        let kept = case.pass(&case.keys(), &options);
        assert_eq!(values(kept.sample), case.plain(), "{name}");
        let outputs = kept.text_outputs.expect("outputs");
        let (first, second) = (outputs.mean(&[0]), outputs.mean(&[1]));
        let text = TextKeys::gather(&[(&first, 0), (&second, 0)]);
        let again = case.pass(&text, &PassOptions::default()).sample;
        assert_eq!(values(again), case.plain(), "{name}");
        // The mean is of both rows, and one row reads it.
        let mean = outputs.mean(&[0, 1]);
        assert_eq!(mean.rows(), 1);
        let text = TextKeys::gather(&[(&mean, 0), (&mean, 0)]);
        let other = case.pass(&text, &PassOptions::default()).sample;
        assert_ne!(values(other), case.plain(), "{name}");
    }
}

#[test]
fn shallow_passes_take_outputs_too() {
    for name in ["v2", "lists"] {
        let case = Case::new(name);
        for branch in 0..case.config.skips() {
            let options = PassOptions {
                depth: PassDepth::Keep { branch },
                keeps_text_outputs: true,
                ..PassOptions::default()
            };
            let kept = case.pass(&case.keys(), &options);
            let outputs = kept.text_outputs.expect("outputs");
            let rows = [outputs.mean(&[0]), outputs.mean(&[1])];
            let text = TextKeys::gather(&[(&rows[0], 0), (&rows[1], 0)]);
            let features = kept.features.expect("features");
            let depth = PassDepth::Shallow { branch, features };
            let shallow = case.pass(
                &text,
                &PassOptions {
                    depth,
                    ..PassOptions::default()
                },
            );
            assert_eq!(values(shallow.sample), case.plain(), "{name}, {branch}");
        }
    }
}

#[test]
fn keys_of_other_rows_make_the_batch_of_those_rows() {
    let case = Case::new("v2");
    let keys = case.keys();
    let swapped = TextKeys::gather(&[(&keys, 1), (&keys, 0)]);
    let swapped = case.pass(&swapped, &PassOptions::default()).sample;
    let context = case.context.clone().flip([0]);
    let expected = case
        .model
        .forward(case.sample.clone(), case.timestep.clone(), context);
    assert_eq!(values(swapped), values(expected));
}

#[test]
fn merging_changes_the_levels_it_is_for_and_a_ratio_below_a_token_nothing() {
    let merged = |name: &str, ratio, levels| {
        let case = Case::new(name);
        let merging = TokenMerging {
            ratio,
            levels,
            draws: (0..2)
                .map(|seed| NoiseKey::new(seed, Purpose::TokenMerging, 0))
                .collect(),
        };
        let options = PassOptions {
            merging: Some(&merging),
            ..PassOptions::default()
        };
        values(case.pass(&case.keys(), &options).sample)
    };
    for name in ["v2", "odd", "distilled"] {
        let plain = Case::new(name).plain();
        let one = merged(name, 0.5, 1);
        assert!(one.iter().all(|value| value.is_finite()));
        assert_ne!(one, plain, "{name}");
        assert_ne!(merged(name, 0.5, 2), one, "{name}");
        assert_eq!(merged(name, 0.001, 3), plain, "{name}");
    }
    // The first level of this network has no self-attention.
    let lists = Case::new("lists").plain();
    assert_eq!(merged("lists", 0.5, 1), lists);
    assert_ne!(merged("lists", 0.5, 2), lists);
}

#[test]
fn skips_are_the_layers_on_the_way_up() {
    assert_eq!(
        UNet2DConditionConfig::stable_diffusion_2_1_base().skips(),
        12
    );
    assert_eq!(Case::new("lists").config.skips(), 1 + 4 + 2);
}
