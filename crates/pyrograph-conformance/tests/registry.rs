//! Nothing that models use is left out of the registry: the sources are read.

use std::{collections::BTreeSet, fs, path::Path};

use pyrograph_conformance::{Kind, entries};

/// Everything that the registry names: entries, and what their cases run through besides.
fn registered() -> BTreeSet<&'static str> {
    let names = entries().iter().map(|entry| entry.name);
    let parts = entries()
        .iter()
        .flat_map(|entry| entry.parts.iter().copied());
    names.chain(parts).collect()
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

/// The identifier that follows each `keyword` of a text.
fn named_after(text: &str, keyword: &str) -> Vec<String> {
    let identifier = |rest: &str| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        rest.chars().take_while(|&c| is_part(c)).collect::<String>()
    };
    text.split(keyword).skip(1).map(identifier).collect()
}

/// Structs that derive `Module`.
fn modules(text: &str) -> Vec<String> {
    let derived = text.split("#[derive(Module").skip(1);
    derived
        .filter_map(|rest| named_after(rest, "struct ").into_iter().next())
        .collect()
}

#[test]
fn every_module_of_the_models_is_registered() {
    let found: BTreeSet<_> = sources("pyrograph-models")
        .iter()
        .flat_map(|text| modules(text))
        .collect();
    assert!(found.len() > 10 && found.contains("Conv2d"), "{found:?}");
    let registered = registered();
    let missing: Vec<_> = found
        .iter()
        .filter(|name| !registered.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "without a line in registry.rs: {missing:?}"
    );

    let layers = entries()
        .iter()
        .filter(|e| matches!(e.kind, Kind::Layer | Kind::Model));
    let stale: Vec<_> = layers
        .map(|e| e.name)
        .filter(|name| !found.contains(*name))
        .collect();
    assert!(
        stale.is_empty(),
        "registered, but no module of pyrograph-models: {stale:?}"
    );
}

#[test]
fn every_method_of_vision_backend_is_registered() {
    let source = include_str!("../../pyrograph-backend/src/vision/backend.rs");
    let start = source.find("pub trait VisionBackend").expect("the trait");
    let end = start + source[start..].find("\n}").expect("its end");
    let methods = named_after(&source[start..end], "    fn ");
    assert!(methods.len() > 10, "{methods:?}");
    let registered = registered();
    let missing: Vec<_> = methods
        .iter()
        .filter(|name| !registered.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "without a line in registry.rs: {missing:?}"
    );
}

#[test]
fn every_loss_is_registered() {
    let found: Vec<_> = sources("pyrograph-losses")
        .iter()
        .flat_map(|text| named_after(text, "pub struct "))
        .collect();
    assert!(found.contains(&"DenoisingLoss".to_owned()), "{found:?}");
    let registered = registered();
    let missing: Vec<_> = found
        .iter()
        .filter(|name| !registered.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "without a line in registry.rs: {missing:?}"
    );
}

#[test]
fn a_module_without_a_line_would_be_found() {
    let text = "#[derive(Module, Debug)]\npub struct Planted<B: Backend> {";
    assert_eq!(modules(text), ["Planted"]);
    assert!(!registered().contains("Planted"));
}

#[test]
fn names_are_used_once() {
    let names: BTreeSet<_> = entries().iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), entries().len());
}
