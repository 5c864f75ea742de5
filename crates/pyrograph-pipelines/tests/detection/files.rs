//! Model files.

use burn_flex::Flex;
use pyrograph_models::weights::{StateDict, save_model, state_dict_of};
use pyrograph_pipelines::{
    PipelineError,
    detection::{DetectionPipeline, published_card},
};

use crate::common::*;

#[test]
fn a_model_file_is_all_that_is_needed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let notes = card().to_note().expect("finite");
    save_model(&network(), &config(), notes, &path).expect("writable");
    let read = DetectionPipeline::<Flex>::open(&path, &Default::default()).expect("readable");
    assert_eq!(read.detector().classes(), card().classes);
    let images = [picture(70, 50)];
    let found = read.detect(&images, &options()).expect("legal");
    assert_eq!(
        found,
        pipeline().detect(&images, &options()).expect("legal")
    );
}

#[test]
fn a_file_without_a_card_or_with_one_of_another_detector_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let open = || {
        let opened = DetectionPipeline::<Flex>::open(&path, &Default::default());
        opened.expect_err("refused")
    };
    save_model(&network(), &config(), Default::default(), &path).expect("writable");
    let error = open();
    assert!(matches!(error, PipelineError::NoDetectorCard { .. }));
    let message = error.to_string();
    assert!(
        message.contains("model.safetensors") && message.contains("--classes"),
        "{message}"
    );

    let mut short = card();
    short.classes.pop();
    let notes = short.to_note().expect("finite");
    save_model(&network(), &config(), notes, &path).expect("writable");
    let message = open().to_string();
    assert!(
        message.contains("1 names") && message.contains('2'),
        "{message}"
    );

    std::fs::write(&path, b"no model").expect("writable");
    assert!(open().to_string().contains("model.safetensors"));
}

#[test]
fn published_weights_take_their_numbers_and_names_from_beside_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ssd.safetensors");
    let dict = state_dict_of(&network()).expect("readable");
    dict.save(&path, Default::default()).expect("writable");
    let dict = StateDict::open(&path).expect("readable");
    let from = |config, card| {
        DetectionPipeline::<Flex>::from_weights(&dict, config, card, &Default::default())
    };
    let read = from(config(), published_card(&config(), None)).expect("fits");
    assert_eq!(read.detector().classes(), ["1", "2"]);

    let named = published_card(&config(), Some(vec!["cell".into()]));
    let message = from(config(), named).expect_err("one name").to_string();
    assert!(message.contains("1 names"), "{message}");
    let mut other = config();
    other.num_classes = 4;
    let message = from(other.clone(), published_card(&other, None));
    let message = message.expect_err("other weights").to_string();
    assert!(
        message.contains("ssd.safetensors") && message.contains("conf.0"),
        "{message}"
    );
}
