//! From pictures to objects.

use burn::tensor::Tensor;
use pyrograph_backend::{rng::host_tensor, vision::VisionBackend};
use pyrograph_vision::{
    BoxCoder, CenterBox, DetectOptions, Detection, RgbImage, postprocess, resize_bilinear_chw,
};

use super::{DetectorCard, Ssd, SsdConfig, SsdOutput};
use crate::ModelError;

/// A picture as the network takes it, and its size: it takes no more memory than the network's side asks for, however large the
/// picture is.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorInput {
    /// Channels first, of the network's side.
    values: Vec<f32>,
    width: u32,
    height: u32,
}

impl DetectorInput {
    /// `image` for a network of these numbers with this card. It is resized without regard to its shape, as SSD is trained.
    ///
    /// # Errors
    /// When the picture has no pixels.
    pub fn new(
        image: &RgbImage,
        config: &SsdConfig,
        card: &DetectorCard,
    ) -> Result<Self, ModelError> {
        let side = config.side();
        let mut values = vec![0.0; 3 * side * side];
        // The side is a constant of the architecture, far below u32's bound.
        let (pixels, normalisation) = (side as u32, &card.normalisation);
        resize_bilinear_chw(image, pixels, pixels, normalisation, &mut values)?;
        Ok(Self {
            values,
            width: image.width(),
            height: image.height(),
        })
    }

    /// Width of the picture in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the picture in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }
}

/// A network with all that stands between it and pictures: prior boxes, normalisation, names.
#[derive(Debug)]
pub struct Detector<B: VisionBackend> {
    network: Ssd<B>,
    config: SsdConfig,
    card: DetectorCard,
    priors: Vec<CenterBox>,
    coder: BoxCoder,
    device: B::Device,
}

impl<B: VisionBackend> Detector<B> {
    /// A detector on `device`, where the network's weights are.
    ///
    /// # Errors
    /// When the card is not of a network with these numbers.
    pub fn new(
        network: Ssd<B>,
        config: SsdConfig,
        card: DetectorCard,
        device: B::Device,
    ) -> Result<Self, ModelError> {
        card.check(&config)?;
        Ok(Self {
            priors: config.prior_boxes()?,
            coder: config.prior_config().coder(),
            network,
            config,
            card,
            device,
        })
    }

    /// The classes by name, without the background.
    pub fn classes(&self) -> &[String] {
        &self.card.classes
    }

    /// Its numbers.
    pub fn config(&self) -> &SsdConfig {
        &self.config
    }

    /// What is known of the network beside its numbers.
    pub fn card(&self) -> &DetectorCard {
        &self.card
    }

    /// The objects in each of the pictures, which may differ in size, by falling score; boxes in pixels of the picture.
    ///
    /// Pictures are resized to the network's side as [`DetectorInput::new`] says.
    ///
    /// # Errors
    /// When an option is not allowed, a picture has no pixels, or the network puts out what is no number.
    pub fn detect(
        &self,
        images: &[RgbImage],
        options: &DetectOptions,
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let inputs = images
            .iter()
            .map(|image| DetectorInput::new(image, &self.config, &self.card))
            .collect::<Result<Vec<_>, _>>()?;
        let asked: Vec<_> = inputs.iter().map(|input| (input, options)).collect();
        self.detect_each(&asked)
    }

    /// The objects in each of the pictures, of each by its own options: one forward pass for all of them. Each gets what
    /// [`detect`](Self::detect) finds in it.
    ///
    /// # Errors
    /// When an option is not allowed, a picture is for a network of another side, or the network puts out what is no number.
    pub fn detect_each(
        &self,
        pictures: &[(&DetectorInput, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let count = pictures.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let side = self.config.side();
        let mut values = Vec::with_capacity(count * 3 * side * side);
        for (input, _) in pictures {
            if input.values.len() != 3 * side * side {
                return Err(ModelError::Input {
                    model: super::NAME,
                    input: "picture",
                    seen: vec![input.values.len()],
                    allowed: format!("of {} values, 3 · {side} · {side}", 3 * side * side),
                });
            }
            values.extend_from_slice(&input.values);
        }
        let x = host_tensor(values, [count, 3, side, side], &self.device);
        let SsdOutput { loc, conf } = self.network.forward(x);
        let (loc, conf) = (host_values(loc), host_values(conf));
        let (loc_size, conf_size) = (loc.len() / count, conf.len() / count);
        pictures
            .iter()
            .zip(loc.chunks_exact(loc_size))
            .zip(conf.chunks_exact(conf_size))
            .enumerate()
            .map(|(picture, (((input, options), loc), conf))| {
                for (output, values) in [("loc", loc), ("conf", conf)] {
                    if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
                        return Err(ModelError::NonFiniteOutput {
                            model: super::NAME,
                            output,
                            picture,
                            value,
                        });
                    }
                }
                let mut found = postprocess(loc, conf, &self.priors, &self.coder, options)?;
                let (width, height) = (input.width as f32, input.height as f32);
                for detection in &mut found {
                    detection.bbox = detection.bbox.scaled(width, height);
                }
                Ok(found)
            })
            .collect()
    }
}

fn host_values<B: VisionBackend>(tensor: Tensor<B, 3>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;
    use pyrograph_vision::{ColourNormalisation, Rgb};

    use super::*;

    fn detector() -> Detector<Flex> {
        let config = SsdConfig {
            width: 0.03125,
            ..SsdConfig::vgg16(3)
        };
        let device = Default::default();
        let card = DetectorCard {
            classes: vec!["a".into(), "b".into()],
            normalisation: ColourNormalisation::SSD,
        };
        let network = config.init(&device, 5).expect("legal");
        Detector::new(network, config, card, device).expect("fits")
    }

    #[test]
    fn boxes_are_in_pixels_of_each_picture_and_do_not_depend_on_the_batch() {
        let picture = |width, height| {
            RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]))
        };
        let images = [picture(640, 480), picture(90, 200)];
        let options = DetectOptions {
            keep: 20,
            ..DetectOptions::default()
        };
        let detector = detector();
        let both = detector.detect(&images, &options).expect("found");
        for (image, found) in images.iter().zip(&both) {
            assert_eq!(found.len(), 20);
            let alone = detector.detect(std::slice::from_ref(image), &options);
            for (alone, found) in alone.expect("found")[0].iter().zip(found) {
                assert_eq!(alone.class, found.class);
                assert!((alone.bbox.x2 - found.bbox.x2).abs() < 0.1);
                assert!(found.bbox.x2 <= image.width() as f32);
                assert!(found.bbox.y2 <= image.height() as f32);
            }
        }
        let right = |found: &[Detection]| found.iter().map(|d| d.bbox.x2).fold(0.0, f32::max);
        assert!(right(&both[0]) > 320.0, "shares of the sides?");
        assert!(detector.detect(&[], &options).expect("nothing").is_empty());
    }

    #[test]
    fn every_picture_of_a_pass_has_its_own_options() {
        let detector = detector();
        let picture = |side| RgbImage::from_fn(side, 90, |x, y| Rgb([x as u8, y as u8, 7]));
        let asked = [(50, 3), (200, 9)].map(|(side, keep)| {
            let options = DetectOptions {
                keep,
                ..DetectOptions::default()
            };
            let image = picture(side);
            let input = DetectorInput::new(&image, &detector.config, &detector.card);
            (image, input.expect("has pixels"), options)
        });
        let each: Vec<_> = asked
            .iter()
            .map(|(_, input, options)| (input, options))
            .collect();
        let found = detector.detect_each(&each).expect("found");
        assert_eq!((found[0].len(), found[1].len()), (3, 9));
        for ((image, input, options), found) in asked.iter().zip(&found) {
            assert_eq!(
                (input.width(), input.height()),
                (image.width(), image.height())
            );
            let alone = detector.detect(std::slice::from_ref(image), options);
            for (alone, found) in alone.expect("found")[0].iter().zip(found) {
                assert_eq!(alone.class, found.class);
                assert!((alone.score - found.score).abs() < 1e-4);
                assert!((alone.bbox.x2 - found.bbox.x2).abs() < 0.1);
            }
        }
    }

    #[test]
    fn outputs_that_are_no_numbers_are_no_empty_picture() {
        let mut detector = detector();
        detector.card.normalisation.std = [4e-39; 3];
        let images = [RgbImage::from_pixel(9, 9, Rgb([200; 3]))];
        let error = detector
            .detect(&images, &DetectOptions::default())
            .expect_err("no numbers");
        assert!(
            matches!(error, ModelError::NonFiniteOutput { picture: 0, .. }),
            "{error}"
        );
    }

    #[test]
    fn names_that_are_not_as_many_as_classes_are_refused() {
        let Detector {
            network,
            config,
            mut card,
            device,
            ..
        } = detector();
        card.classes.pop();
        let error = Detector::new(network, config, card, device).expect_err("one name");
        assert!(error.to_string().contains("1 names"), "{error}");
    }
}
