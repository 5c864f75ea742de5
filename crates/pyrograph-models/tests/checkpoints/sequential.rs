//! Networks in one Sequential, whose layers have numbers for names: what is taken, and what is refused by the file's names.

use std::collections::HashMap;

use burn::tensor::DType;
use burn_flex::Flex;
use pyrograph_models::{
    dcgan::{Discriminator, Generator},
    inspect::inspect,
    weights::{NamedModel, StateDict, TensorEntry, build_model},
};

use super::{add, discriminator, found, generator, with_unread};

/// A file of a generator in one Sequential.
fn published() -> StateDict {
    let mut dict = StateDict::new();
    add(&mut dict, "main.", &generator(1));
    dict
}

#[track_caller]
fn refusal<M: NamedModel<Flex>>(dict: &StateDict) -> String {
    match found::<M>(dict, None) {
        Ok(found) => panic!("taken: {}", found.source),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_part_that_is_named_leaves_the_others_of_the_model() {
    let mut dict = published();
    add(&mut dict, "ema.", &generator(2));
    let named = found::<Generator<Flex>>(&dict, Some("ema")).expect("averaged");
    assert_eq!(named.source.left(), ["main."]);
    assert!(named.source.beside().is_empty(), "{}", named.source);
}

#[test]
fn errors_name_keys_as_they_stand_in_the_file() {
    let mut dict = published();
    let zeros = |shape: &[usize]| {
        TensorEntry::from_f32(shape.to_vec(), vec![f32::NAN; shape.iter().product()])
    };
    dict.insert("main.1.weight", zeros(&[7]));
    dict.remove("main.4.bias");
    let message = refusal::<Generator<Flex>>(&dict);
    for words in [
        "1 missing: main.4.bias",
        "main.1.weight is [7], the model's is [4]",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let mut dict = published();
    dict.insert("main.1.weight", zeros(&[4]));
    let whole = found::<Generator<Flex>>(&dict, None).expect("whole");
    let build =
        |weights| build_model::<Flex, Generator<Flex>>(&whole.config, weights, &Default::default());
    for weights in [&whole.weights, &dict] {
        let message = build(weights).expect_err("NaN").to_string();
        assert!(message.contains("`main.1.weight` holds NaN"), "{message}");
    }
}

#[test]
fn layers_that_the_network_does_not_have_are_refused_and_take_no_place_of_others() {
    let values =
        |shape: &[usize]| TensorEntry::from_f32(shape.to_vec(), vec![2.0; shape.iter().product()]);
    // A PReLU behind a norm, a norm before the first convolution, a second norm.
    for (key, shape) in [("main.2.weight", [4]), ("main.5.weight", [2])] {
        let mut dict = published();
        dict.insert(key, values(&shape));
        let message = refusal::<Generator<Flex>>(&dict);
        assert!(message.contains(&format!("1 unused: {key}")), "{message}");
    }
    let mut dict = StateDict::new();
    add(&mut dict, "main.", &discriminator(1));
    dict.insert("main.6.bias", values(&[1]));
    let message = refusal::<Discriminator<Flex>>(&dict);
    assert!(message.contains("1 unused: main.6.bias"), "{message}");
    let shifted = published().renamed(|key| {
        let (layer, field) = key["main.".len()..].split_once('.').expect("a field");
        let layer: usize = layer.parse().expect("a number");
        format!("main.{}.{field}", layer + 1)
    });
    let mut dict = shifted;
    dict.insert("main.0.weight", values(&[5]));
    let message = refusal::<Generator<Flex>>(&dict);
    assert!(message.contains("1 unused: main.0.weight"), "{message}");
}

#[test]
fn convolutions_without_a_bias_stand_beside_some_that_have_one() {
    let mut dict = published();
    let bias = TensorEntry::from_f32(vec![1], vec![0.5]);
    dict.insert("main.6.bias", bias.clone());
    let whole = found::<Generator<Flex>>(&dict, None).expect("biases of zeros");
    assert!(whole.config.generator_bias);
    let bias_of = |key: &str| whole.weights.get(key).expect(key).to_f32();
    assert_eq!(bias_of("generator_network.2.0.bias"), [0.5]);
    assert_eq!(bias_of("generator_network.0.0.bias"), [0.0; 4]);
    assert_eq!(bias_of("generator_network.1.0.bias"), [0.0; 2]);

    let mut dict = StateDict::new();
    add(&mut dict, "main.", &discriminator(1));
    dict.insert("main.5.bias", bias);
    let whole = found::<Discriminator<Flex>>(&dict, None).expect("biases of zeros");
    assert!(whole.config.discriminator.bias);
    let bias = whole
        .weights
        .get("feature_network.1.0.bias")
        .expect("added");
    assert_eq!(bias.to_f32(), [0.0; 4]);
}

#[test]
fn a_network_without_its_first_or_last_layer_is_not_taken_for_a_smaller_one() {
    for (prefix, keys) in [
        ("main.", ["main.0.weight", "main.6.weight"]),
        ("", ["0.weight", "6.weight"]),
    ] {
        let mut dict = StateDict::new();
        add(&mut dict, prefix, &generator(1));
        for key in keys {
            let message = refusal::<Generator<Flex>>(&with_unread(&dict, key));
            assert!(
                message.contains(key) && message.contains("type C32"),
                "{key}: {message}"
            );
        }
    }
    // One that is of no layer is passed over.
    let mut dict = published();
    dict.insert("freqs", TensorEntry::from_f32(vec![1], vec![0.0]));
    found::<Generator<Flex>>(&with_unread(&dict, "freqs"), None).expect("beside");
}

#[test]
fn a_file_without_the_network_is_said_to_lack_it() {
    let mut dict = StateDict::new();
    add(&mut dict, "netD.main.", &discriminator(1));
    let message = refusal::<Generator<Flex>>(&dict);
    for words in [
        "no weights of a dcgan-generator are found",
        "`netD.main.0.weight` is [2, 1, 4, 4]",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let mut other = StateDict::new();
    other.insert("fc.weight", TensorEntry::from_f32(vec![1], vec![0.0]));
    let message = refusal::<Generator<Flex>>(&other);
    assert!(message.contains("its keys are fc.weight"), "{message}");
    // The first shard of a network tells numbers of no network, or of a smaller one.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model-00002-of-00003.safetensors");
    let mut dict = published();
    dict.remove("main.6.weight");
    dict.remove("main.3.weight");
    dict.save(&path, HashMap::new()).expect("writable");
    let message = refusal::<Generator<Flex>>(&StateDict::open(&path).expect("readable"));
    assert!(message.contains("one of 3 files"), "{message}");
    let path = folder.path().join("index.json");
    std::fs::write(&path, r#"{"weight_map": {}}"#).expect("writable");
    let message = StateDict::open(&path).expect_err("empty").to_string();
    assert!(
        message.contains("an index that names no tensor"),
        "{message}"
    );
}

#[test]
fn weights_of_whole_numbers_are_remarked_on() {
    let mut dict = published();
    let ones = TensorEntry::from_f32(vec![4], vec![1.0; 4]).cast(DType::I32);
    dict.insert("main.1.weight", ones);
    let whole = found::<Generator<Flex>>(&dict, None).expect("numbers");
    assert!(
        whole.remarks[0].contains("main.1.weight (i32)"),
        "{:?}",
        whole.remarks
    );
    assert!(
        found::<Generator<Flex>>(&published(), None)
            .expect("floats")
            .remarks
            .is_empty()
    );
}

#[test]
fn inspect_knows_networks_in_one_sequential() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gan.safetensors");
    let mut dict = StateDict::new();
    add(&mut dict, "netG.main.", &generator(1));
    add(&mut dict, "netD.main.", &discriminator(1));
    dict.save(&path, HashMap::new()).expect("writable");
    let found = inspect(&path).expect("readable");
    assert_eq!(
        found.notes,
        [
            "part `netD.main`: a discriminator of a DCGAN",
            "part `netG.main`: a generator of a DCGAN",
        ]
    );
    assert_eq!(found.kind, "a generator of a DCGAN");
}
