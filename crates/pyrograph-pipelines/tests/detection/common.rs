//! A small detector, and pictures for it.

use burn_flex::Flex;
use pyrograph_models::ssd::{Detector, DetectorCard, Ssd, SsdConfig};
use pyrograph_pipelines::detection::DetectionPipeline;
use pyrograph_vision::{ColourNormalisation, DetectOptions, Rgb, RgbImage};

pub(crate) fn config() -> SsdConfig {
    SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(3)
    }
}

pub(crate) fn card() -> DetectorCard {
    DetectorCard {
        classes: vec!["red cell".into(), "white cell".into()],
        normalisation: ColourNormalisation::SSD,
    }
}

pub(crate) fn network() -> Ssd<Flex> {
    config().init(&Default::default(), 5).expect("legal")
}

pub(crate) fn pipeline() -> DetectionPipeline<Flex> {
    let detector = Detector::new(network(), config(), card(), Default::default());
    DetectionPipeline::new(detector.expect("fits"))
}

pub(crate) fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 2) as u8, (x ^ y) as u8])
    })
}

/// A few boxes a picture: the detector knows nothing and is sure of nothing.
pub(crate) fn options() -> DetectOptions {
    DetectOptions {
        keep: 8,
        ..DetectOptions::default()
    }
}
