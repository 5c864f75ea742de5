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

/// The greatest difference from weights in f32, of the output's scale: bf16 rounds weights and factors by 2⁻⁹, f16 by 2⁻¹².
const BF16: f32 = 3e-2;
const F16: f32 = 3e-3;

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

#[track_caller]
fn assert_near(values: &[f32], exact: &[f32], share: f32, what: &str) {
    assert_eq!(values.len(), exact.len());
    let scale = exact
        .iter()
        .fold(0_f32, |most, value| most.max(value.abs()));
    let pairs = values.iter().zip(exact);
    let worst = pairs.fold(0_f32, |most, (a, b)| {
        assert!(a.is_finite() && b.is_finite(), "{what}");
        most.max((a - b).abs())
    });
    assert!(
        worst > 0.0,
        "{what}: the type of the weights changed nothing"
    );
    assert!(
        worst <= share * scale,
        "{what}: {worst} at a scale of {scale}"
    );
}

/// Holds every way of loading half precision to the weights in f32, and f32 to the usual way of loading, to the bit.
fn check<M: NamedModel<Flex>>(
    config: &M::Config,
    drawn: &M,
    what: &str,
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
        let name = format!("{what} in {precision}");
        let model = by(LoadOptions::of_weights(precision));
        let expected = precision.parameter_type(DType::F32);
        for (key, tensor) in entries(&state_dict_of(&model).expect("readable")) {
            let is_vector = tensor.shape().len() < 2;
            let type_of = if is_vector { DType::F32 } else { expected };
            assert_eq!(tensor.dtype(), type_of, "{name}: {key}");
        }
        assert_near(&run(&model), &exact, share, &name);
        // Norms and biases in the type of the weights, as `forward` loads them: their rounding adds as much.
        let whole: M = build_model_with(config, &dict, precision, &device).expect("fits");
        assert_near(
            &run(&whole),
            &exact,
            2.0 * share,
            &format!("{name}, all of it"),
        );
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
        (vgg, "VGG16"),
        (normed, "VGG16 with norms"),
        (mobile, "MobileNetV2"),
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
    check(&config, &network, "ContextUnet", |network| {
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
    check::<Generator<Flex>>(&config, &generator, "generator", |network| {
        values(network.forward(input([2, config.z_dim])))
    });
    check::<Generator<Flex>>(&config, &generator, "frozen generator", |network| {
        values(network.frozen().forward(input([2, config.z_dim])))
    });
    let discriminator = config
        .init_discriminator::<Flex>(&device, 3)
        .expect("legal");
    check::<Discriminator<Flex>>(&config, &discriminator, "discriminator", |network| {
        let judged = network.forward(images());
        [values(judged.logit), values(judged.feature)].concat()
    });
    check::<Discriminator<Flex>>(&config, &discriminator, "frozen discriminator", |network| {
        values(network.frozen().features(images()))
    });
    let encoder = config.init_encoder::<Flex>(&device, 3).expect("legal");
    check::<Encoder<Flex>>(&config, &encoder, "encoder", |network| {
        values(network.forward(images()))
    });
}
