//! Nothing that models use is left out of the registry: the sources are read.

use std::{collections::BTreeSet, fs, path::Path};

use pyrograph_conformance::{Kind, entries};

/// Everything that the registry names: entries, and what their cases run through besides.
fn registered() -> BTreeSet<String> {
    let names = entries().iter().map(|entry| entry.name);
    let parts = entries()
        .iter()
        .flat_map(|entry| entry.parts.iter().copied());
    names.chain(parts).map(str::to_owned).collect()
}

#[track_caller]
fn assert_registered(found: &BTreeSet<String>, an_example: &str) {
    assert!(found.contains(an_example), "{found:?}");
    let missing: Vec<_> = found.difference(&registered()).cloned().collect();
    assert!(
        missing.is_empty(),
        "without a line in registry.rs: {missing:?}"
    );
}

/// The text of every source file below `crates/{krate}/src`.
fn sources(krate: &str) -> Vec<String> {
    fn read(folder: &Path, texts: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder of this workspace") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                read(&path, texts);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                texts.push(fs::read_to_string(path).expect("text"));
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(krate)
        .join("src");
    let mut texts = Vec::new();
    read(&folder, &mut texts);
    texts
}

fn found(krate: &str, by: fn(&str) -> Vec<String>) -> BTreeSet<String> {
    sources(krate).iter().flat_map(|text| by(text)).collect()
}

/// The identifier at the start of a text.
fn identifier(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.chars().take_while(|&c| is_part(c)).collect()
}

/// The identifiers that follow `keyword` in a text.
fn named_after(text: &str, keyword: &str) -> Vec<String> {
    text.split(keyword).skip(1).map(identifier).collect()
}

/// Structs that derive `Module`, wherever in the list it stands.
fn modules(text: &str) -> Vec<String> {
    let derived = text.split("#[derive(").skip(1).filter(|rest| {
        let list = rest.split(')').next().unwrap_or_default();
        list.split(',').any(|name| name.trim() == "Module")
    });
    derived
        .filter_map(|rest| named_after(rest, "struct ").into_iter().next())
        .collect()
}

fn public_types(text: &str) -> Vec<String> {
    ["pub struct ", "pub enum "]
        .map(|keyword| named_after(text, keyword))
        .concat()
}

/// Operations and layers of burn: what is taken from `tensor::module`, `tensor::activation` and `nn`, singly or as a list.
fn of_burn(text: &str) -> Vec<String> {
    let after = |path: &str| -> Vec<String> {
        let taken = text.split(path).skip(1);
        let names = taken.map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest.split([',', ';', '}']).next().unwrap_or_default(),
        });
        let lists = names.flat_map(|list| list.split(", ").map(|name| identifier(name.trim())));
        lists.filter(|name| !name.is_empty()).collect()
    };
    let operations = ["module::", "activation::"].map(after).concat();
    // `burn::module` holds types, and `tensor::module` functions.
    let is_function = |name: &String| name.starts_with(char::is_lowercase);
    let operations = operations.into_iter().filter(is_function);
    operations.chain(after("nn::")).collect()
}

#[test]
fn every_module_of_the_models_is_registered() {
    let found = found("pyrograph-models", modules);
    assert_registered(&found, "Conv2d");
    let layers = entries()
        .iter()
        .filter(|e| matches!(e.kind, Kind::Layer | Kind::Model));
    let names = layers.flat_map(|entry| entry.parts.iter().chain([&entry.name]));
    let stale: Vec<_> = names.filter(|name| !found.contains(**name)).collect();
    assert!(
        stale.is_empty(),
        "registered, but no module of pyrograph-models: {stale:?}"
    );
}

#[test]
fn every_operation_of_burn_that_models_call_is_registered() {
    let found = found("pyrograph-models", of_burn);
    let missing: Vec<_> = found.difference(&registered()).cloned().collect();
    assert!(
        missing.is_empty(),
        "without a line in registry.rs: {missing:?}"
    );
}

#[test]
fn every_method_of_vision_backend_is_registered() {
    let source = include_str!("../../pyrograph-backend/src/vision/backend.rs");
    let start = source.find("pub trait VisionBackend").expect("the trait");
    let end = start + source[start..].find("\n}").expect("its end");
    let methods: BTreeSet<_> = named_after(&source[start..end], "    fn ")
        .into_iter()
        .collect();
    assert_registered(&methods, "conv2d_act");
}

#[test]
fn every_loss_is_registered() {
    let mut found = found("pyrograph-losses", public_types);
    found.remove("LossError");
    assert_registered(&found, "DenoisingLoss");
    assert_registered(&found, "AdversarialLoss");
}

#[test]
fn what_is_without_a_line_would_be_found() {
    let text = "#[derive(Debug, Module)]\npub struct Planted<B: Backend> {\n    x: nn::Dropout,\n}";
    assert_eq!(modules(text), ["Planted"]);
    assert!(modules("#[derive(Debug)]\nstruct ModuleConfig {").is_empty());
    let text = "tensor::module::max_pool2d;\n module::{a1, b2},\nburn::tensor::activation::softmax(x, 1);\nnn::Dropout;";
    assert_eq!(
        of_burn(text),
        ["max_pool2d", "a1", "b2", "softmax", "Dropout"]
    );
    assert!(!registered().contains("Planted"));
}

#[test]
fn names_are_used_once() {
    let names: BTreeSet<_> = entries().iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), entries().len());
}
