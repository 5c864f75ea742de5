//! Tiny model files.

use std::{collections::HashMap, ops::ControlFlow, path::Path};

use burn::backend::Autodiff;
use burn_flex::Flex;
use pyrograph_diffusion::DiffusionCard;
use pyrograph_models::{
    context_unet::{ContextUnet, ContextUnetConfig},
    dcgan::DcganConfig,
    ssd::{DetectorCard, Ssd, SsdConfig},
    weights::save_model,
};
use pyrograph_pipelines::anomaly::{AnomalyCard, AnomalyScorer, Method, SearchConfig};
use pyrograph_vision::{ColourNormalisation, Rgb, RgbImage, image::ImageFormat};
use serde_json::json;

pub(crate) fn write_sprites(path: &Path) {
    let config = ContextUnetConfig {
        n_feat: 8,
        ..ContextUnetConfig::default()
    };
    let model: ContextUnet<Flex> = config.init(&Default::default(), 3).unwrap();
    let card = serde_json::to_string(&DiffusionCard::course()).unwrap();
    let notes = HashMap::from([(DiffusionCard::KEY.to_owned(), card)]);
    save_model(&model, &config, notes, path).unwrap();
}

pub(crate) fn write_anomaly(path: &Path) {
    let config = DcganConfig {
        z_dim: 4,
        width: 4,
        blocks: 2,
        ..DcganConfig::default()
    };
    let networks = config.init_anogan::<Flex>(&Default::default(), 3).unwrap();
    let card: AnomalyCard = serde_json::from_value(json!({
        "normalisation": {"mean": 0.5, "std": 0.5}, "score": 0.1, "normal": [], "calibrations": {},
    }))
    .unwrap();
    let device = Default::default();
    let scorer = AnomalyScorer::<Autodiff<Flex>>::new(networks, config, card, &device);
    let normal: Vec<f32> = (0..4 * 256).map(|place| (place % 7) as f32 / 7.0).collect();
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let scorer = scorer
        .calibrated(
            &normal,
            Method::Encoder,
            &SearchConfig::default(),
            0.9,
            go_on,
        )
        .unwrap();
    scorer.save(path).unwrap();
}

pub(crate) fn write_detector(path: &Path) {
    let config = SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(3)
    };
    let card = DetectorCard {
        classes: vec!["red cell".into(), "white cell".into()],
        normalisation: ColourNormalisation::SSD,
    };
    let network: Ssd<Flex> = config.init(&Default::default(), 5).unwrap();
    save_model(&network, &config, card.to_note().unwrap(), path).unwrap();
}

/// A grey image of `side` by `side` as PNG.
pub(crate) fn png(side: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(side, side, |x, y| Rgb([(x * y % 256) as u8; 3]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}
