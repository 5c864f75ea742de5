//! Checkpoints as training scripts leave them: several networks, norms in parts, objects beside tensors. The fixtures are
//! PyTorch's.

mod sequential;

use std::{collections::HashMap, path::Path};

use burn_flex::Flex;
use pyrograph_models::{
    ModelError,
    context_unet::{ContextUnet, ContextUnetConfig},
    dcgan::{DcganConfig, Discriminator, DiscriminatorConfig, Generator},
    weights::{
        FoundModel, NamedModel, StateDict, TensorEntry, build_model, find_model, state_dict_of,
    },
};

fn open(name: &str) -> Result<StateDict, ModelError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    StateDict::open(folder.join(name))
}

/// The model with the numbers that its weights tell.
fn found<M: NamedModel<Flex>>(
    dict: &StateDict,
    part: Option<&str>,
) -> Result<FoundModel<M::Config>, ModelError> {
    find_model::<Flex, M, _>(dict, part, &Default::default(), |inferred| {
        inferred.ok_or_else(|| ModelError::NoConfig {
            path: dict.path().into(),
            reason: "the shapes tell no numbers".into(),
        })
    })
}

#[track_caller]
fn assert_near(what: &str, ours: &TensorEntry, theirs: &TensorEntry) {
    assert_eq!(ours.shape(), theirs.shape(), "{what}");
    for (ours, theirs) in ours.to_f32().into_iter().zip(theirs.to_f32()) {
        let bound = 1e-6 * theirs.abs().max(1.0);
        assert!((ours - theirs).abs() <= bound, "{what}: {ours} {theirs}");
    }
}

/// Holds the convolutions of network `net` under every norm to those that PyTorch uses in eval mode.
fn norms_are_folded<M: NamedModel<Flex, Config = DcganConfig>>(
    net: &str,
    keys: [(&str, usize); 3],
) {
    let file = open(&format!("norms_{net}.safetensors")).expect("the fixture");
    for (kind, words) in [
        ("spectral_old", "spectral norm of 3 weights"),
        ("spectral_new", "spectral norm of 3 weights"),
        ("weight_old", "weight norm of 3 weights"),
        ("weight_new", "weight norm of 3 weights"),
        ("weight_dim1", "weight norm of 3 weights"),
        ("weight_all", "weight norm of 3 weights"),
        ("mask", "a pruning mask of 3 weights"),
    ] {
        let case = file.part(&format!("{kind}."));
        let found = found::<M>(&case, None).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(found.remarks[0].contains(words), "{:?}", found.remarks);
        assert_eq!(found.source.taken(), format!("{net}.main."));
        for (ours, number) in keys {
            let theirs = case.get(&format!("{net}.whole.{number}")).expect("torch's");
            let ours = found.weights.get(ours).expect(ours);
            assert_near(&format!("{net} {kind} {number}"), ours, theirs);
        }
        // The same without a search, as a library loads it.
        let model: Result<M, _> = build_model(&found.config, &case, &Default::default());
        model.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[test]
fn norms_of_a_discriminator_are_those_of_pytorch() {
    let keys = [
        ("feature_network.0.0.weight", 0),
        ("feature_network.1.0.weight", 2),
        ("critic_network.weight", 5),
    ];
    norms_are_folded::<Discriminator<Flex>>("netD", keys);
}

#[test]
fn norms_of_transposed_convolutions_are_those_of_pytorch() {
    let keys = [
        ("generator_network.0.0.weight", 0),
        ("generator_network.1.0.weight", 3),
        ("generator_network.2.0.weight", 6),
    ];
    norms_are_folded::<Generator<Flex>>("netG", keys);
}

#[test]
fn a_checkpoint_of_protocol_5_gives_its_tensors_and_says_which_are_not_read() {
    let dict = open("checkpoint.pth").expect("readable");
    let values = |key: &str| dict.get(key).expect(key).to_f32();
    assert_eq!(values("nets.0.1.bias"), [0.25; 4]);
    assert_eq!(values("nets.0.4.weight"), [0.0, 2.0]);
    assert_eq!(values("wide"), [1.0, 65535.0]);
    assert_eq!(values("tied.0"), values("tied.3"));
    assert_eq!(values("tied.1")[..3], [0.0, 4.0, 8.0]);
    assert_eq!(values("tied.2"), [4.0, 5.0, 6.0, 7.0]);
    assert!(dict.get("tied.0").expect("a view").is_mapped());
    let unread: Vec<_> = dict.unread_keys().collect();
    assert_eq!(unread, ["complex", "eighth", "quantised", "sparse"]);
    let reason = dict.unread("complex").expect("named");
    assert!(reason.contains("ComplexFloat"), "{reason}");
    let reason = dict.unread("eighth").expect("named");
    assert!(reason.contains("float8_e4m3fn"), "{reason}");

    let found = found::<Generator<Flex>>(&dict, None).expect("a generator");
    assert_eq!(found.source.taken(), "nets.0.");
    let expected = DcganConfig {
        z_dim: 4,
        width: 2,
        blocks: 2,
        generator_bias: false,
        ..DcganConfig::default()
    };
    assert_eq!(found.config, expected);
}

#[test]
fn a_list_of_names_and_tensors_is_a_state_dict() {
    let dict = open("pairs.pth").expect("readable");
    let found = found::<Generator<Flex>>(&dict, None).expect("a generator");
    assert!(found.source.is_whole_file());
}

#[test]
fn programs_and_pickles_are_named_with_what_to_do() {
    for (name, words) in [
        (
            "module.pth",
            &[
                "whole module",
                "torch.nn.modules.container.Sequential",
                "state_dict()",
            ][..],
        ),
        (
            "script.pt",
            &["TorchScript", "torch.jit.load", "state_dict()"],
        ),
        ("plain.pkl", &["not one of torch.save"]),
    ] {
        let message = open(name).expect_err(name).to_string();
        for word in words {
            assert!(message.contains(word), "{name}: {message}");
        }
    }
}

fn config() -> DcganConfig {
    DcganConfig {
        z_dim: 5,
        width: 2,
        blocks: 2,
        generator_bias: false,
        discriminator: DiscriminatorConfig {
            first_norm: false,
            bias: false,
            ..DiscriminatorConfig::default()
        },
        ..DcganConfig::default()
    }
}

/// A network's tensors by the names of one Sequential, under `prefix`.
fn add(dict: &mut StateDict, prefix: &str, weights: &StateDict) {
    for key in weights.keys() {
        let parts: Vec<_> = key.split('.').collect();
        let number = |place: usize| parts[place].parse::<usize>().expect("a number");
        let layer = match parts[0] {
            "critic_network" => 5,
            // The first block of the discriminator has no norm.
            "feature_network" => 3 * number(1) + number(2) - usize::from(number(1) > 0),
            _ => 3 * number(1) + number(2),
        };
        let field = parts.last().expect("a field");
        let tensor = weights.get(key).expect(key).clone();
        dict.insert(format!("{prefix}{layer}.{field}"), tensor);
    }
}

fn generator(seed: u64) -> StateDict {
    let model = config().init_generator::<Flex>(&Default::default(), seed);
    state_dict_of(&model.expect("legal")).expect("readable")
}

fn discriminator(seed: u64) -> StateDict {
    let model = config().init_discriminator::<Flex>(&Default::default(), seed);
    state_dict_of(&model.expect("legal")).expect("readable")
}

#[track_caller]
fn assert_same(ours: &StateDict, theirs: &StateDict) {
    assert!(ours.keys().eq(theirs.keys()));
    assert!(ours.keys().all(|key| ours.get(key) == theirs.get(key)));
}

#[test]
fn each_network_of_a_file_is_found_and_trained_weights_come_before_averages() {
    let (of_g, average, of_d) = (generator(1), generator(2), discriminator(3));
    for [g, e, d] in [
        ["netG.main.", "ema.main.", "netD.main."],
        ["netG_state_dict.", "netG_ema.", "netD_state_dict."],
        [
            "state_dict.generator.main.",
            "state_dict.ema_generator.main.",
            "state_dict.discriminator.main.",
        ],
        ["models.1.main.", "models.2_ema.main.", "models.0.main."],
        ["zz.", "average.", "aa."],
    ] {
        let mut dict = StateDict::new();
        add(&mut dict, e, &average);
        add(&mut dict, d, &of_d);
        add(&mut dict, g, &of_g);
        let found_g = found::<Generator<Flex>>(&dict, None).expect(g);
        assert_eq!(
            (found_g.source.taken(), found_g.source.left()),
            (g, &[e.to_owned()][..])
        );
        assert_eq!(found_g.source.beside().len(), 1, "{:?}", found_g.source);
        assert_same(&found_g.weights, &of_g);
        assert!(!found_g.config.generator_bias);
        let found_d = found::<Discriminator<Flex>>(&dict, None).expect(d);
        assert_eq!(found_d.source.taken(), d);
        assert_same(&found_d.weights, &of_d);
        let named = found::<Generator<Flex>>(&dict, Some(e)).expect(e);
        assert_same(&named.weights, &average);
        // A library that knows the numbers finds the same.
        let model: Generator<Flex> =
            build_model(&config(), &dict, &Default::default()).expect("fits");
        assert_same(&state_dict_of(&model).expect("readable"), &of_g);
    }
}

#[test]
fn a_part_that_does_not_hold_the_model_is_refused_with_those_that_do() {
    let mut dict = StateDict::new();
    add(&mut dict, "netG.main.", &generator(1));
    add(&mut dict, "netD.main.", &discriminator(1));
    let refusal = |part| {
        let error = found::<Generator<Flex>>(&dict, Some(part)).expect_err(part);
        error.to_string()
    };
    let message = refusal("generator");
    assert!(
        message.contains("no part `generator`") && message.contains("`netG.main`"),
        "{message}"
    );
    // A discriminator's layers do not follow one another as a generator's do.
    let message = refusal("netD");
    assert!(
        message.contains("no part `netD` holds weights of this dcgan-generator"),
        "{message}"
    );
}

#[test]
fn a_network_that_keeps_its_own_average_loads() {
    let config = ContextUnetConfig {
        n_feat: 8,
        ..ContextUnetConfig::default()
    };
    let weights = |seed| {
        let model = config
            .init::<Flex>(&Default::default(), seed)
            .expect("legal");
        state_dict_of(&model).expect("readable")
    };
    let (trained, average) = (weights(1), weights(2));
    let mut dict = trained.clone();
    for key in average.keys() {
        let tensor = average.get(key).expect(key).clone();
        dict.insert(format!("ema.module.{key}"), tensor);
    }
    dict.insert(
        "ema.n_averaged",
        TensorEntry::from_f32(Vec::new(), vec![3.0]),
    );
    let whole = found::<ContextUnet<Flex>>(&dict, None).expect("trained");
    assert_eq!(whole.config, config);
    assert_same(&whole.weights, &trained);
    let named = found::<ContextUnet<Flex>>(&dict, Some("ema")).expect("averaged");
    assert_same(&named.weights, &average);
    // What else it holds is still judged.
    dict.insert("betas", TensorEntry::from_f32(vec![1], vec![0.5]));
    let message = found::<ContextUnet<Flex>>(&dict, None)
        .expect_err("unused")
        .to_string();
    assert!(message.contains("1 unused: betas"), "{message}");
}

#[test]
fn a_wanted_tensor_of_a_type_that_is_not_read_is_named_with_it() {
    let dict = with_unread(&generator(1), "generator_network.2.0.weight");
    let message = build_model::<Flex, Generator<Flex>>(&config(), &dict, &Default::default())
        .expect_err("not read")
        .to_string();
    assert!(
        message.contains("generator_network.2.0.weight (it is of type C32, which is not read)"),
        "{message}"
    );
}

/// The file with the tensor `key` of a type that is not read.
fn with_unread(dict: &StateDict, key: &str) -> StateDict {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    dict.save(&path, HashMap::new()).expect("writable");
    let mut bytes = std::fs::read(&path).expect("written");
    let find = |bytes: &[u8], text: &str, from: usize| {
        let mut windows = bytes[from..].windows(text.len());
        from + windows.position(|w| w == text.as_bytes()).expect("listed")
    };
    let at = find(&bytes, &format!("\"{key}\":"), 0);
    let at = find(&bytes, "\"F32\"", at);
    bytes[at + 1..at + 4].copy_from_slice(b"C32");
    std::fs::write(&path, bytes).expect("writable");
    StateDict::open(&path).expect("the others read")
}
