//! The DCGAN against PyTorch; see `fixtures/dcgan/make.py`.

use std::path::PathBuf;

use burn::{
    backend::Autodiff,
    module::{AutodiffModule, Module},
    tensor::{Tensor, backend::Backend},
};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::{rng::host_tensor, vision::VisionBackend};
use pyrograph_losses::{AdversarialLoss, AnomalyScore, GradientPenalty};
use pyrograph_models::{
    blocks::BatchStatistics,
    dcgan::{
        Dcgan, DcganConfig, Discriminator, DiscriminatorConfig, Encoder, Generator, LATENT_BOUND,
    },
    weights::{
        NamedModel, StateDict, build_model, load_model, read_config, save_model, state_dict_of,
    },
};

use crate::common;
use crate::common::{F32_GRADIENT, F32_MODEL, Gradients, assert_close, assert_is, tensor, values};

type A = Autodiff<Flex>;

fn open(name: &str) -> StateDict {
    StateDict::open(common::fixture("dcgan", name)).expect(name)
}

fn config() -> DcganConfig {
    DcganConfig {
        z_dim: 6,
        width: 2,
        ..DcganConfig::default()
    }
}

fn load<B: VisionBackend, M: NamedModel<B, Config = DcganConfig>>(
    config: &DcganConfig,
    dict: &StateDict,
) -> M {
    build_model(config, &dict.part("weights."), &Default::default()).expect("the weights fit")
}

fn latents<B: Backend>(dict: &StateDict, key: &str) -> Tensor<B, 2> {
    tensor::<B, 4>(dict, key).flatten(1, 3)
}

fn forward_agrees<B: VisionBackend>() {
    let cases = open("generator.safetensors");
    let generator: Generator<B> = load(&config(), &cases);
    assert_is(&cases, "image", generator.forward(latents(&cases, "z")));
    assert_is(
        &cases,
        "image",
        generator.frozen().forward(latents(&cases, "z")),
    );

    let cases = open("discriminator.safetensors");
    let discriminator: Discriminator<B> = load(&config(), &cases);
    for network in [&discriminator, &discriminator.frozen()] {
        let x: Tensor<B, 4> = tensor(&cases, "x");
        let judgement = network.forward(x.clone());
        assert_is(&cases, "logit", judgement.logit);
        assert_is(&cases, "feature", judgement.feature.clone());
        assert_is(&cases, "feature", network.features(x.clone()));
        let twin = x.clone() * 0.5;
        let features = network.features(twin.clone());
        let parts = AnomalyScore::default()
            .forward(x, twin, judgement.feature, features)
            .expect("fits");
        assert_is(&cases, "score", parts.score);
        assert_is(&cases, "residual", parts.residual);
        assert_is(&cases, "discrimination", parts.discrimination);
    }
}

#[test]
fn forward_passes_and_the_score_agree_with_pytorch() {
    forward_agrees::<Flex>();
    forward_agrees::<NdArray>();
}

#[test]
fn losses_gradients_and_statistics_of_an_adversarial_step_agree_with_pytorch() {
    let cases = open("train.safetensors");
    let generator: Generator<A> = load(&config(), &open("generator.safetensors"));
    let discriminator: Discriminator<A> = load(&config(), &open("discriminator.safetensors"));
    let real = (generator.valid().forward(latents(&cases, "z_real")) * 2.0).tanh();
    let (mut g_seen, mut d_seen) = (BatchStatistics::new(), BatchStatistics::new());
    let fake = generator.forward_training(latents(&cases, "z"), &mut g_seen);

    // The discriminator's step: the fake is detached.
    let judge = |x, seen: &mut BatchStatistics<A>| discriminator.forward_training(x, seen).logit;
    let real = judge(Tensor::from_inner(real), &mut d_seen);
    let detached = judge(fake.clone().detach(), &mut d_seen);
    let loss = AdversarialLoss::Bce
        .discriminator(real, detached, 1.0)
        .expect("legal");
    assert_is(&cases, "d_loss", loss.clone());
    let gradients = loss.backward();
    let found = Gradients::<A>::of(&discriminator, &gradients);
    let compared = found.assert_norms(&discriminator, &cases, "d_grad_norm.");
    assert_eq!(
        compared,
        found.dict.keys().count(),
        "a gradient for every parameter"
    );
    let of_generator = Gradients::<A>::of(&generator, &gradients);
    assert_eq!(of_generator.dict.keys().count(), 0, "the fake is detached");
    assert_statistics(&cases, "d_stats.", &d_seen.update(discriminator.clone()));

    // The generator's step, through the same discriminator.
    let loss = AdversarialLoss::Bce.generator(judge(fake, &mut BatchStatistics::new()));
    assert_is(&cases, "g_loss", loss.clone());
    let gradients = loss.backward();
    let found = Gradients::<A>::of(&generator, &gradients);
    let compared = found.assert_norms(&generator, &cases, "g_grad_norm.");
    assert_eq!(
        compared,
        found.dict.keys().count(),
        "a gradient for every parameter"
    );
    assert_statistics(&cases, "g_stats.", &g_seen.update(generator));
}

#[track_caller]
fn assert_statistics<M: NamedModel<A>>(cases: &StateDict, prefix: &str, model: &M) {
    let after = state_dict_of(model).expect("readable");
    let mut compared = 0;
    for key in cases.keys().filter_map(|key| key.strip_prefix(prefix)) {
        let theirs = cases.get(&format!("{prefix}{key}")).expect(key);
        assert_close(
            key,
            &after.get(key).expect(key).to_f32(),
            &theirs.to_f32(),
            F32_MODEL,
        );
        compared += 1;
    }
    assert_eq!(compared, 8, "mean and variance of four norms");
}

#[test]
fn gradient_penalties_agree_with_pytorchs_second_derivatives() {
    let cases = open("penalty.safetensors");
    let config = DcganConfig {
        discriminator: DiscriminatorConfig {
            norm: false,
            ..DiscriminatorConfig::default()
        },
        ..config()
    };
    let critic: Discriminator<A> = load(&config, &cases);
    let x = tensor::<A, 4>(&open("discriminator.safetensors"), "x").require_grad();
    let slopes = critic.forward(x.clone()).logit.sum().backward();
    let slopes = x.grad(&slopes).expect("tracked");
    for (name, penalty) in [
        ("gp", GradientPenalty::Unit(10.0)),
        ("r1", GradientPenalty::Zero(2.0)),
    ] {
        assert_is(&cases, name, penalty.value(slopes.clone()));
        let directions = Tensor::from_inner(penalty.directions(slopes.clone()));
        let surrogate = critic
            .directional_derivative(x.clone().detach(), directions)
            .sum();
        let gradients = surrogate.backward();
        let found = Gradients::<A>::of(&critic, &gradients);
        let mut compared = 0;
        for key in cases
            .keys()
            .filter_map(|key| key.strip_prefix(&format!("{name}.")))
        {
            let theirs = cases.get(&format!("{name}.{key}")).expect(key);
            let ours = found.dict.get(&common::field_path(&critic, key));
            match ours {
                Some(ours) => assert_close(key, &ours.to_f32(), &theirs.to_f32(), F32_GRADIENT),
                // PyTorch gives a bias, which moves no slope, zeros.
                None => assert!(theirs.to_f32().iter().all(|&v| v == 0.0), "{key}"),
            }
            compared += 1;
        }
        assert!(compared >= 5, "{compared}");
    }
}

#[test]
fn a_published_discriminator_of_another_shape_loads_and_agrees() {
    let Some(data) = std::env::var_os("PYROGRAPH_DATA") else {
        eprintln!("skipped: PYROGRAPH_DATA is not set");
        return;
    };
    let path = PathBuf::from(data).join("torch-checkpoints/dcgan_mnist_netD_epoch_99.pth");
    let dict = StateDict::open(path).expect("readable");
    let config = DcganConfig::pytorch_example_28();
    let model: Discriminator<Flex> =
        build_model(&config, &dict, &Default::default()).expect("the weights fit");
    let pixel = |b: usize, i: usize, j: usize| (0.3 * i as f64 + 0.2 * j as f64 + b as f64).sin();
    let places = (0..2).flat_map(|b| (0..28).flat_map(move |i| (0..28).map(move |j| (b, i, j))));
    let x = places.map(|(b, i, j)| pixel(b, i, j) as f32).collect();
    let x = host_tensor(x, [2, 1, 28, 28], &Default::default());
    assert_is(
        &open("published.safetensors"),
        "logits",
        model.forward(x).logit,
    );
    // With the numbers of another network the keys are named.
    let error = build_model::<Flex, Discriminator<Flex>>(
        &DcganConfig::default(),
        &dict,
        &Default::default(),
    );
    let message = error.expect_err("refused").to_string();
    assert!(message.contains("feature_network"), "{message}");
}

#[test]
fn an_image_does_not_depend_on_its_neighbours_in_the_batch() {
    let cases = open("generator.safetensors");
    let generator: Generator<Flex> = load(&config(), &cases);
    let z: Tensor<Flex, 2> = latents(&cases, "z");
    let whole = generator.forward(z.clone()).slice(1..2);
    assert_close(
        "image",
        &values(generator.forward(z.slice(1..2))),
        &values(whole),
        1e-6,
    );
}

#[test]
fn a_frozen_network_asks_for_no_gradient_but_the_inputs() {
    let cases = open("generator.safetensors");
    let generator: Generator<A> = load::<A, Generator<A>>(&config(), &cases).frozen();
    let z = latents::<A>(&cases, "z").require_grad();
    let gradients = generator.forward(z.clone()).sum().backward();
    assert_eq!(
        Gradients::<A>::of(&generator, &gradients)
            .dict
            .keys()
            .count(),
        0
    );
    let of_z = values(z.grad(&gradients).expect("tracked"));
    assert!(of_z.iter().all(|v| v.is_finite()) && of_z.iter().any(|&v| v != 0.0));
}

#[test]
fn every_parameter_gets_a_gradient_at_any_number_of_blocks_and_channels() {
    for (blocks, channels) in [(1, 1), (2, 3), (3, 2)] {
        let config = DcganConfig {
            z_dim: 3,
            width: 4,
            channels,
            blocks,
            ..DcganConfig::default()
        };
        let device = Default::default();
        let networks = config.init_anogan::<A>(&device, 3).expect("legal");
        let z = Tensor::<A, 2>::from_floats([[0.1, -0.5, 1.0], [2.0, 0.3, -1.0]], &device);
        let seen = &mut BatchStatistics::new();
        let image = networks.generator.forward_training(z, seen);
        let side = config.side();
        assert_eq!(image.dims(), [2, channels, side, side]);
        let judgement = networks.discriminator.forward_training(image.clone(), seen);
        assert_eq!(judgement.logit.dims(), [2, 1, 1, 1]);
        assert_eq!(judgement.feature.dims(), [2, 4 << (blocks - 1) << 4]);
        let z = networks.encoder.forward_training(image, seen);
        assert_eq!(z.dims(), [2, 3]);
        assert!(
            values(z.clone())
                .iter()
                .all(|v| f64::from(v.abs()) <= LATENT_BOUND)
        );
        let weights = Tensor::from_floats([[0.4, -1.0, 0.7], [1.0, 0.2, -0.3]], &device);
        let loss = judgement.logit.square().sum() + (z * weights).sum();
        let gradients = loss.backward();
        let found = Gradients::<A>::of(&networks, &gradients);
        assert_eq!(
            found.dict.keys().count(),
            trained(&networks),
            "{blocks} blocks"
        );
    }
}

/// The parameters of a module that are trained.
fn trained<M: Module<A>>(module: &M) -> usize {
    use burn::module::{ModuleVisitor, Param};
    struct Count(usize);
    impl ModuleVisitor<A> for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
            self.0 += usize::from(param.val().is_require_grad());
        }
    }
    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

#[test]
fn a_file_of_all_networks_round_trips_and_each_loads_from_it_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let device = Default::default();
    let networks = config().init_anogan::<Flex>(&device, 5).expect("legal");
    save_model(&networks, &config(), Default::default(), &path).expect("writable");
    let dict = StateDict::open(&path).expect("readable");
    assert!(dict.get("generator.generator_network.0.0.weight").is_some());
    assert!(
        dict.get("discriminator.feature_network.3.1.running_var")
            .is_some()
    );
    assert!(dict.get("encoder.latent_network.bias").is_some());
    let read = read_config::<Flex, Generator<Flex>>(&dict).expect("a holder's config");
    assert_eq!(read, config());
    let z = Tensor::<Flex, 2>::ones([1, 6], &device);
    let (generator, _) = load_model::<Flex, Generator<Flex>>(&path, &device).expect("held");
    let image = generator.forward(z.clone());
    assert_eq!(values(image.clone()), values(networks.generator.forward(z)));
    let (discriminator, _) = load_model::<Flex, Discriminator<Flex>>(&path, &device).expect("held");
    let ours = values(discriminator.forward(image.clone()).logit);
    assert_eq!(
        ours,
        values(networks.discriminator.forward(image.clone()).logit)
    );
    let (encoder, _) = load_model::<Flex, Encoder<Flex>>(&path, &device).expect("held");
    assert_eq!(
        values(encoder.forward(image.clone())),
        values(networks.encoder.forward(image))
    );
    // It is no training checkpoint.
    let error = load_model::<Flex, Dcgan<Flex>>(&path, &device).expect_err("another model");
    assert!(
        error.to_string().contains("it holds a anogan, not a dcgan"),
        "{error}"
    );
}

#[test]
fn one_seed_gives_one_model_and_its_networks_differ() {
    let init = |seed| {
        let networks = config()
            .init::<Flex>(&Default::default(), seed)
            .expect("legal");
        state_dict_of(&networks).expect("readable")
    };
    let (a, b, c) = (init(1), init(1), init(2));
    assert!(a.keys().all(|key| a.get(key) == b.get(key)));
    assert!(a.keys().any(|key| a.get(key) != c.get(key)));
}

#[test]
fn a_generator_in_the_layout_of_pytorchs_example_loads() {
    let config = DcganConfig {
        generator_bias: false,
        ..config()
    };
    let device = Default::default();
    let ours = config.init_generator::<Flex>(&device, 8).expect("legal");
    let dict = state_dict_of(&ours).expect("readable");
    assert!(dict.get("generator_network.0.0.bias").is_none());
    // One `nn.Sequential`: convolution, norm and ReLU of each block, counted through.
    let theirs = dict.renamed(|key| {
        let parts: Vec<_> = key.split('.').collect();
        let number = |place: usize| parts[place].parse::<usize>().expect("a number");
        format!("module.main.{}.{}", 3 * number(1) + number(2), parts[3])
    });
    let loaded: Generator<Flex> = build_model(&config, &theirs, &device).expect("the weights fit");
    let loaded = state_dict_of(&loaded).expect("readable");
    assert!(dict.keys().eq(loaded.keys()));
    assert!(dict.keys().all(|key| dict.get(key) == loaded.get(key)));
}
