//! The detector, from pictures to objects.

use burn::tensor::{Element, Int, Tensor, TensorData};
use pyrograph_backend::{
    rng::host_tensor,
    vision::{PreparedWeights, VisionBackend},
};
use pyrograph_vision::{
    BoxCoder, CenterBox, DetectOptions, Detection, RgbImage, postprocess, resize_bilinear_chw,
};

use super::{DetectorCard, Ssd, SsdConfig, SsdFeatures, SsdOutput};
use crate::ModelError;

/// A picture resized and normalised for the network, with the size of the original. Its memory
/// depends on the side of the network's input, not on the size of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorInput {
    /// Channels first, of the network's side.
    values: Vec<f32>,
    width: u32,
    height: u32,
}

impl DetectorInput {
    /// Prepares `image` for a network of this configuration and card. The image is resized to a
    /// square without keeping its aspect ratio, as in SSD's training.
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

/// A network with its prior boxes, normalisation and class names, which takes pictures and returns
/// boxes.
#[derive(Debug)]
pub struct Detector<B: VisionBackend> {
    network: Ssd<B>,
    _prepared: PreparedWeights,
    config: SsdConfig,
    card: DetectorCard,
    priors: Vec<CenterBox>,
    coder: BoxCoder,
    device: B::Device,
    /// The columns of the network's logits that are used, the background first; `None` for all
    /// columns.
    columns: Option<Vec<i64>>,
}

impl<B: VisionBackend> Detector<B> {
    /// A detector on `device`, which must hold the network's weights.
    ///
    /// # Errors
    /// When the card does not fit the network's configuration.
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
            _prepared: PreparedWeights::of(&network),
            network,
            config,
            card,
            device,
            columns: None,
        })
    }

    /// Restricts and renames the classes of this detector: `classes` are the new names, and
    /// `theirs` has this detector's name for each of them. Logits of all other classes are dropped.
    ///
    /// # Errors
    /// When the lists differ in length, or a name in `theirs` is not a class of this detector.
    pub fn for_classes(self, classes: &[String], theirs: &[String]) -> Result<Self, ModelError> {
        let refuse = |seen: String, allowed: String| ModelError::Config {
            model: super::NAME,
            field: "classes",
            seen,
            allowed,
        };
        if classes.len() != theirs.len() {
            let allowed = format!("{}: one for each of {}", classes.len(), classes.join(", "));
            return Err(refuse(format!("{} names", theirs.len()), allowed));
        }
        let mut columns = vec![0];
        for name in theirs {
            let place = self.card.classes.iter().position(|class| class == name);
            let place = place.ok_or_else(|| {
                let allowed = format!("one of {}", self.card.classes.join(", "));
                refuse(format!("`{name}`"), allowed)
            })?;
            // A column of a tensor: far below the bound.
            columns.push(place as i64 + 1);
        }
        let card = DetectorCard {
            classes: classes.to_vec(),
            normalisation: self.card.normalisation,
        };
        Ok(Self {
            card,
            columns: Some(columns),
            ..self
        })
    }

    /// The classes by name, without the background.
    pub fn classes(&self) -> &[String] {
        &self.card.classes
    }

    /// The configuration of the network.
    pub fn config(&self) -> &SsdConfig {
        &self.config
    }

    /// The class names and the normalisation of the network.
    pub fn card(&self) -> &DetectorCard {
        &self.card
    }

    /// Detects the objects in each picture, sorted by falling score, with boxes in pixels of the
    /// picture. Pictures may differ in size.
    ///
    /// [`DetectorInput::new`] describes how pictures are resized.
    ///
    /// # Errors
    /// When an option is not allowed, a picture has no pixels, or an output of the network is not
    /// finite.
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

    /// Detects the objects in each picture with options of its own, by one forward pass for all
    /// pictures. The result of each picture equals that of [`detect`](Self::detect).
    ///
    /// # Errors
    /// When an option is not allowed, a picture was prepared for another input size, or an output
    /// of the network is not finite.
    pub fn detect_each(
        &self,
        pictures: &[(&DetectorInput, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let inputs: Vec<_> = pictures.iter().map(|(input, _)| *input).collect();
        self.objects(self.forward(&inputs)?, pictures)
    }

    /// The offsets and logits of a batch of at least one picture.
    ///
    /// # Errors
    /// When a picture was prepared for another input size, or there is no picture.
    pub fn forward(&self, pictures: &[&DetectorInput]) -> Result<SsdOutput<B>, ModelError> {
        let (count, side) = (pictures.len(), self.config.side());
        let mut values = Vec::with_capacity(count * 3 * side * side);
        for input in pictures {
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
        let shape = [count, 3, side, side];
        self.config.check_images(&shape)?;
        let output = self
            .network
            .forward(host_tensor(values, shape, &self.device));
        Ok(self.of_classes(output))
    }

    /// The source maps, offsets and logits of normalised images.
    ///
    /// # Shapes
    /// `x` [batch, 3, 300, 300]; see [`SsdFeatures`].
    pub fn forward_features(&self, x: Tensor<B, 4>) -> SsdFeatures<B> {
        let SsdFeatures { maps, output } = self.network.forward_features(x);
        SsdFeatures {
            maps,
            output: self.of_classes(output),
        }
    }

    /// Decodes an output of [`forward`](Self::forward) into the objects of each picture, with
    /// options for each picture.
    ///
    /// # Errors
    /// When an option is not allowed, when the output has another number of pictures, or when a
    /// value is not finite.
    pub fn objects(
        &self,
        output: SsdOutput<B>,
        pictures: &[(&DetectorInput, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let count = pictures.len();
        if output.loc.dims()[0] != count || count == 0 {
            return Err(ModelError::Input {
                model: super::NAME,
                input: "output",
                seen: output.loc.dims().to_vec(),
                allowed: format!("of {count} pictures, 1 or more"),
            });
        }
        let (loc, conf) = (host_values(output.loc), host_values(output.conf));
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

    /// The output with only the logits of this detector's classes.
    fn of_classes(&self, output: SsdOutput<B>) -> SsdOutput<B> {
        let Some(columns) = &self.columns else {
            return output;
        };
        let data = TensorData::new(columns.clone(), [columns.len()]);
        let columns = Tensor::<B, 1, Int>::from_data(data, (&self.device, B::IntElem::dtype()));
        SsdOutput {
            loc: output.loc,
            conf: output.conf.select(2, columns),
        }
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

    #[test]
    fn a_detector_for_other_classes_says_its_own_by_their_names_and_leaves_the_rest_out() {
        let image = RgbImage::from_fn(80, 60, |x, y| Rgb([x as u8, y as u8, 9]));
        let names =
            |names: &[&str]| -> Vec<String> { names.iter().map(|name| name.to_string()).collect() };
        // The logits of each class, the background first.
        let columns = |detector: &Detector<Flex>| -> Vec<Vec<f32>> {
            let input = DetectorInput::new(&image, &detector.config, &detector.card);
            let output = detector.forward(&[&input.expect("has pixels")]);
            let conf = output.expect("fits").conf;
            let classes = conf.dims()[2];
            let values = conf.into_data().to_vec::<f32>().expect("f32");
            let column = |class| {
                values
                    .iter()
                    .skip(class)
                    .step_by(classes)
                    .copied()
                    .collect()
            };
            (0..classes).map(column).collect()
        };
        let theirs = columns(&detector());
        let mapped = detector().for_classes(&names(&["x", "y"]), &names(&["b", "a"]));
        let mapped = mapped.expect("both are there");
        assert_eq!(mapped.classes(), ["x", "y"]);
        assert_eq!(
            columns(&mapped),
            [0, 2, 1].map(|class| theirs[class].clone())
        );
        let alone = detector().for_classes(&names(&["x"]), &names(&["b"]));
        let alone = columns(&alone.expect("there"));
        assert_eq!(alone, [0, 2].map(|class| theirs[class].clone()));
        for (theirs, word) in [(&["b"][..], "1 names"), (&["b", "c"], "`c`")] {
            let error = detector().for_classes(&names(&["x", "y"]), &names(theirs));
            let error = error.expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
