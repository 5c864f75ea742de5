//! Pipelines from files.

use std::{collections::HashMap, fs, path::Path};

use burn_flex::Flex;
use pyrograph_diffusion::{DiffusionCard, NoiseScheduleConfig, PredictionType, SamplerConfig};
use pyrograph_models::{
    ModelError,
    context_unet::ContextUnetConfig,
    weights::{LoadOptions, Precision, save_model},
};
use pyrograph_pipelines::{PipelineError, sprites::SpritePipeline};

use crate::common::{config, fixture, model, pipeline, pipeline_of, request, sample};

fn notes(card: &DiffusionCard) -> HashMap<String, String> {
    HashMap::from([(
        DiffusionCard::KEY.to_owned(),
        serde_json::to_string(card).expect("writable"),
    )])
}

fn open(path: &Path) -> Result<SpritePipeline<Flex>, PipelineError> {
    SpritePipeline::open(path, &Default::default())
}

#[track_caller]
fn no_config(result: Result<SpritePipeline<Flex>, PipelineError>) -> String {
    match result.expect_err("no config or card") {
        error @ PipelineError::Model(ModelError::NoConfig { .. }) => error.to_string(),
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_saved_model_opens_from_its_path_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let card = DiffusionCard {
        schedule: NoiseScheduleConfig::ddpm(),
        prediction_type: PredictionType::VPrediction,
        context_names: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
    };
    save_model(&model(), &config(), notes(&card), &path).expect("writable");
    let opened = open(&path).expect("whole");
    assert_eq!(opened.config(), &config());
    assert_eq!(
        (opened.context_names(), opened.timesteps()),
        (card.context_names.clone(), 1000)
    );
    let request = request(SamplerConfig::ddpm(3), 2);
    assert_eq!(
        sample(&opened, &request),
        sample(&pipeline_of(card), &request),
        "to the bit"
    );
}

#[test]
fn weights_in_half_precision_draw_nearly_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    save_model(&model(), &config(), notes(&DiffusionCard::course()), &path).expect("writable");
    let draw = |precision| {
        let options = LoadOptions::of_weights(precision);
        let opened = SpritePipeline::<Flex>::open_by(&path, &options, &Default::default());
        sample(
            &opened.expect("whole"),
            &request(SamplerConfig::ddim(3, 0.0), 2),
        )
        .values
    };
    let usual = sample(
        &open(&path).expect("whole"),
        &request(SamplerConfig::ddim(3, 0.0), 2),
    )
    .values;
    assert_eq!(draw(Precision::F32), usual, "to the bit");
    let scale = usual
        .iter()
        .fold(0_f32, |most, value| most.max(value.abs()));
    for precision in [Precision::Bf16, Precision::F16] {
        let half = draw(precision);
        // f16 holds the fixture's weights as they are.
        assert_eq!(half != usual, precision == Precision::Bf16, "{precision}");
        for (half, usual) in half.iter().zip(&usual) {
            assert!((half - usual).abs() <= 3e-2 * scale, "{half} {usual}");
        }
    }
}

#[test]
fn a_model_file_without_a_card_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    save_model(&model(), &config(), HashMap::new(), &path).expect("writable");
    let text = no_config(open(&path));
    assert!(
        text.contains("how its model was trained") && text.contains("model.safetensors"),
        "{text}"
    );
}

#[test]
fn a_card_that_does_not_read_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let mut unknown = serde_json::to_value(DiffusionCard::course()).expect("writable");
    unknown["skedule"] = 1.into();
    for (text, reason) in [
        ("{", "EOF"),
        ("{}", "schedule"),
        (unknown.to_string().as_str(), "skedule"),
    ] {
        let notes = HashMap::from([(DiffusionCard::KEY.to_owned(), text.to_owned())]);
        save_model(&model(), &config(), notes, &path).expect("writable");
        let message = no_config(open(&path));
        assert!(
            message.contains("does not read") && message.contains(reason),
            "{message}"
        );
    }
}

#[test]
fn a_card_whose_schedule_cannot_be_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let schedule = NoiseScheduleConfig {
        timesteps: 0,
        ..NoiseScheduleConfig::course()
    };
    save_model(
        &model(),
        &config(),
        notes(&DiffusionCard {
            schedule,
            ..DiffusionCard::course()
        }),
        &path,
    )
    .expect("writable");
    assert!(matches!(open(&path), Err(PipelineError::Diffusion(_))));
}

#[test]
fn weights_without_a_config_are_refused() {
    for name in ["weights.safetensors", "weights_zip.pth"] {
        let text = no_config(open(&fixture(name)));
        assert!(
            text.contains("carries no config") && text.contains(name),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_model_file_is_refused_by_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("picture.png");
    let text = open(&path).expect_err("not there").to_string();
    assert!(text.contains("picture.png"), "{text}");
    fs::write(&path, "no weights").expect("writable");
    let text = open(&path).expect_err("no weights").to_string();
    assert!(
        text.contains("picture.png") && text.contains("safetensors"),
        "{text}"
    );
}

#[test]
fn pytorch_weights_sample_as_the_same_weights_in_safetensors() {
    let request = request(SamplerConfig::ddim(4, 0.0), 2);
    let expected = sample(&pipeline(), &request);
    for name in [
        "weights_zip.pth",
        "weights_legacy.pth",
        "weights.safetensors",
    ] {
        let card = DiffusionCard::course();
        let from = SpritePipeline::<Flex>::from_weights(
            fixture(name),
            config(),
            card,
            &Default::default(),
        );
        let from = from.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(sample(&from, &request), expected, "{name}");
        assert_eq!(from.context_names()[2], "food");
    }
}

#[test]
fn weights_of_other_numbers_are_refused() {
    let from = |config: ContextUnetConfig| {
        let card = DiffusionCard::course();
        SpritePipeline::<Flex>::from_weights(
            fixture("weights_zip.pth"),
            config,
            card,
            &Default::default(),
        )
    };
    for other in [
        ContextUnetConfig {
            in_channels: 3,
            ..config()
        },
        ContextUnetConfig {
            n_feat: 16,
            ..config()
        },
        ContextUnetConfig {
            n_cfeat: 4,
            ..config()
        },
        ContextUnetConfig {
            height: 28,
            ..config()
        },
    ] {
        let error = from(other.clone()).expect_err("other numbers");
        assert!(
            matches!(error, PipelineError::Model(ModelError::Architecture { .. })),
            "{other:?}: {error:?}"
        );
    }
    let error = from(ContextUnetConfig {
        n_feat: 12,
        ..config()
    })
    .expect_err("12 features");
    assert!(
        matches!(error, PipelineError::Model(ModelError::Config { .. })),
        "{error:?}"
    );
}
