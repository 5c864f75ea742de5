//! The networks of detection, sprites and anomaly scores with weights in half precision.

use burn::tensor::{DType, Tensor};
use burn_flex::Flex;
use pyrograph_models::{
    context_unet::ContextUnetConfig,
    dcgan::{DcganConfig, Discriminator, Encoder, Generator},
    ssd::{Ssd, SsdConfig},
    weights::{
        LoadOptions, NamedModel, Precision, StateDict, TensorEntry, build_model_by,
        build_model_with, state_dict_of,
    },
};

type Device = burn::tensor::Device<Flex>;

/// The greatest root mean square of the differences from weights in f32, as a share of that of the outputs:
/// bf16 rounds weights and factors by 2⁻⁹, f16 weights by 2⁻¹².
const BF16: f64 = 1.5e-2;
const F16: f64 = 2e-3;
/// Untrained, the many layers of MobileNetV2 multiply the rounding of weights by as much.
const DEEP: f64 = 5.0;
/// Products by the same numbers: the rounding of f32.
const SAME: f64 = 1e-5;

fn values<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
    assert_eq!(tensor.dtype(), DType::F32, "activations");
    tensor.into_data().to_vec().expect("f32")
}

/// Numbers in ±1.
fn input<const D: usize>(shape: [usize; D]) -> Tensor<Flex, D> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::<Flex, 1>::from_floats(values.as_slice(), &Device::default()).reshape(shape)
}

/// Weights whose norms have statistics and scales of their own.
fn moved(dict: &StateDict) -> StateDict {
    let mut moved = StateDict::new();
    for key in dict.keys() {
        let tensor = dict.get(key).expect("listed");
        let mut values = tensor.to_f32();
        if tensor.shape().len() == 1 {
            for (place, value) in values.iter_mut().enumerate() {
                let shift = 0.3 * (place as f32 * 0.7).cos();
                *value += if key.ends_with("running_var") {
                    shift.abs()
                } else {
                    shift
                };
            }
        }
        let shape = tensor.shape().to_vec();
        moved.insert(key, TensorEntry::from_f32(shape, values));
    }
    moved
}

/// The root mean square of the differences, as a share of that of the values.
fn distance(values: &[f32], exact: &[f32]) -> f64 {
    assert_eq!(values.len(), exact.len());
    assert!(values.iter().chain(exact).all(|value| value.is_finite()));
    let squares = |values: &mut dyn Iterator<Item = f32>| -> f64 {
        values.map(|value| f64::from(value).powi(2)).sum()
    };
    let pairs = values.iter().zip(exact);
    let error = squares(&mut pairs.map(|(a, b)| a - b));
    (error / squares(&mut exact.iter().copied())).sqrt()
}

/// Holds every way of loading half precision to the weights in f32, and f32 to the usual way of loading, to the bit.
fn check<M: NamedModel<Flex>>(
    config: &M::Config,
    drawn: &M,
    (what, depth): (&str, f64),
    run: impl Fn(&M) -> Vec<f32>,
) {
    let device = Device::default();
    let dict = moved(&state_dict_of(drawn).expect("readable"));
    let by = |options: LoadOptions| -> M {
        build_model_by(config, &dict, &options, &device).expect("fits")
    };
    let exact = run(&by(LoadOptions::default()));
    assert_eq!(
        run(&by(LoadOptions::of_weights(Precision::F32))),
        exact,
        "{what}"
    );
    for (precision, share) in [(Precision::Bf16, BF16), (Precision::F16, F16)] {
        let (name, share) = (format!("{what} in {precision}"), depth * share);
        let model = by(LoadOptions::of_weights(precision));
        let expected = precision.parameter_type(DType::F32);
        for (key, tensor) in entries(&state_dict_of(&model).expect("readable")) {
            let is_vector = tensor.shape().len() < 2;
            let type_of = if is_vector { DType::F32 } else { expected };
            assert_eq!(tensor.dtype(), type_of, "{name}: {key}");
        }
        let found = run(&model);
        // In f32, with weights that were rounded before; bf16 rounds the factors of its products too.
        let mut rounded = dict.clone();
        for (key, tensor) in entries(&dict).filter(|(_, tensor)| tensor.shape().len() > 1) {
            rounded.insert(key, tensor.cast(expected));
        }
        let widened: M = build_model_with(config, &rounded, Precision::F32, &device).expect("fits");
        let widened = run(&widened);
        // Norms and biases in the type of the weights, as `forward` loads them.
        let whole: M = build_model_with(config, &dict, precision, &device).expect("fits");
        let [of_weights, of_factors, in_all, of_norms] = [
            distance(&widened, &exact),
            distance(&found, &widened),
            distance(&found, &exact),
            distance(&run(&whole), &exact),
        ];
        assert!(
            of_weights > 0.0 && of_weights <= share,
            "{name}: {of_weights}"
        );
        let of_products = if precision == Precision::F16 {
            SAME
        } else {
            share
        };
        assert!(of_factors <= of_products, "{name}: {of_factors}");
        assert!(in_all > 0.0 && in_all <= share, "{name}: {in_all}");
        assert!(of_norms <= 2.0 * share, "{name}: {of_norms}");
    }
}

fn entries(dict: &StateDict) -> impl Iterator<Item = (&str, &TensorEntry)> {
    dict.keys().filter_map(|key| Some((key, dict.get(key)?)))
}

#[test]
fn detectors() {
    let vgg = SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(3)
    };
    let normed = SsdConfig {
        batch_norm: true,
        ..vgg.clone()
    };
    let mobile = SsdConfig {
        width: 0.25,
        ..SsdConfig::mobilenet_v2(3)
    };
    let run = |network: &Ssd<Flex>| {
        let output = network.forward(input([1, 3, 300, 300]));
        [values(output.loc), values(output.conf)].concat()
    };
    for (config, what) in [
        (vgg, ("VGG16", 1.0)),
        (normed, ("VGG16 with norms", 1.0)),
        (mobile, ("MobileNetV2", DEEP)),
    ] {
        let network = config.init(&Device::default(), 3).expect("legal");
        check::<Ssd<Flex>>(&config, &network, what, run);
    }
}

#[test]
fn the_network_of_sprites() {
    let config = ContextUnetConfig {
        n_feat: 8,
        ..ContextUnetConfig::default()
    };
    let network = config.init::<Flex>(&Device::default(), 3).expect("legal");
    let shape = [2, config.in_channels, config.height, config.height];
    check(&config, &network, ("ContextUnet", 1.0), |network| {
        let times = Tensor::from_floats([0.3, 0.8], &Device::default());
        values(network.forward(input(shape), times, Some(input([2, config.n_cfeat]))))
    });
}

#[test]
fn the_networks_of_anomaly_scores() {
    let config = DcganConfig {
        z_dim: 6,
        width: 8,
        blocks: 2,
        ..DcganConfig::default()
    };
    let device = Device::default();
    let images = || input([2, config.channels, config.side(), config.side()]);
    let generator = config.init_generator::<Flex>(&device, 3).expect("legal");
    check::<Generator<Flex>>(&config, &generator, ("generator", 1.0), |network| {
        values(network.forward(input([2, config.z_dim])))
    });
    check::<Generator<Flex>>(&config, &generator, ("frozen generator", 1.0), |network| {
        values(network.frozen().forward(input([2, config.z_dim])))
    });
    let discriminator = config
        .init_discriminator::<Flex>(&device, 3)
        .expect("legal");
    check::<Discriminator<Flex>>(&config, &discriminator, ("discriminator", 1.0), |network| {
        let judged = network.forward(images());
        [values(judged.logit), values(judged.feature)].concat()
    });
    check::<Discriminator<Flex>>(
        &config,
        &discriminator,
        ("frozen discriminator", 1.0),
        |network| values(network.frozen().features(images())),
    );
    let encoder = config.init_encoder::<Flex>(&device, 3).expect("legal");
    check::<Encoder<Flex>>(&config, &encoder, ("encoder", 1.0), |network| {
        values(network.forward(images()))
    });
}
