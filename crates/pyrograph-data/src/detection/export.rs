//! Objects of a set in the form of COCO's annotations.

use std::path::Path;

use pyrograph_vision::BoundingBox;
use serde::Serialize;

use super::{BoxObject, DetectionSample, DetectionSet, Pixels};
use crate::DataError;

/// Annotations in the form of COCO's `instances_*.json`, to be serialised as JSON.
///
/// [`DetectionSet::from_coco`] and pycocotools read them. All ids count from 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CocoInstances {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Image {
    id: usize,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Annotation {
    id: usize,
    image_id: usize,
    category_id: usize,
    /// Left, top, width and height in pixels.
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Category {
    id: usize,
    name: String,
}

impl CocoInstances {
    /// The number of images.
    pub fn images(&self) -> usize {
        self.images.len()
    }

    /// The number of objects of all images.
    pub fn annotations(&self) -> usize {
        self.annotations.len()
    }
}

impl DetectionSet {
    /// The images and objects in the form of COCO's annotations.
    ///
    /// - The `file_name` of an image is its name in the set. A name without the extension of its
    ///   file, such as VOC's ids, gets the extension; the name of an image without a file gets `.png`.
    /// - The id of a category is the index of the class, from 1.
    /// - The `area` of an object without an area is that of its box.
    /// - VOC's `difficult` and `truncated` are dropped, since COCO has no such fields.
    pub fn to_coco(&self) -> CocoInstances {
        let scores = self
            .samples
            .iter()
            .map(|sample| vec![None; sample.objects.len()]);
        self.instances(scores.collect())
    }

    /// As [`to_coco`](Self::to_coco), with a `score` for each object: one list for each image, with
    /// one score for each of its objects.
    ///
    /// # Errors
    /// [`DataError::Parts`] if the numbers of scores do not fit the images and objects,
    /// [`SetError::ObjectValue`](super::SetError::ObjectValue) for a score that is not finite.
    pub fn to_coco_with_scores(&self, scores: &[Vec<f32>]) -> Result<CocoInstances, DataError> {
        let parts = |what, seen, expected| DataError::Parts {
            what,
            seen,
            expected,
        };
        if scores.len() != self.len() {
            let expected = format!("{}, one for each image,", self.len());
            return Err(parts(
                "the number of lists of scores",
                scores.len(),
                expected,
            ));
        }
        for (sample, scores) in self.samples.iter().zip(scores) {
            let objects = sample.objects.len();
            if scores.len() != objects {
                let expected = format!("{objects}, one for each object of {},", sample.name);
                return Err(parts("the number of scores", scores.len(), expected));
            }
            let mut numbered = (1..).zip(scores);
            if let Some((number, score)) = numbered.find(|(_, score)| !score.is_finite()) {
                return Err(sample.refused(number, "the score", score, "a finite number"));
            }
        }
        let some = |scores: &Vec<f32>| scores.iter().copied().map(Some).collect();
        Ok(self.instances(scores.iter().map(some).collect()))
    }

    fn instances(&self, scores: Vec<Vec<Option<f32>>>) -> CocoInstances {
        let image = |(id, sample): (usize, &DetectionSample)| Image {
            id,
            file_name: file_name(sample),
            width: sample.width,
            height: sample.height,
        };
        let category = |(id, name): (usize, &String)| Category {
            id,
            name: name.clone(),
        };
        let mut annotations = Vec::with_capacity(self.objects());
        for ((image_id, sample), scores) in (1..).zip(&self.samples).zip(scores) {
            for (object, score) in sample.objects.iter().zip(scores) {
                let id = annotations.len() + 1;
                annotations.push(annotation(id, image_id, object, score));
            }
        }
        CocoInstances {
            images: (1..).zip(&self.samples).map(image).collect(),
            annotations,
            categories: (1..).zip(&self.class_names).map(category).collect(),
        }
    }
}

fn annotation(id: usize, image_id: usize, object: &BoxObject, score: Option<f32>) -> Annotation {
    let BoundingBox { x1, y1, x2, y2 } = object.bbox;
    // Differences in double precision, so that the corners come back to the bit.
    let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(f64::from);
    let (width, height) = (x2 - x1, y2 - y1);
    Annotation {
        id,
        image_id,
        category_id: object.class + 1,
        bbox: [x1, y1, width, height],
        area: object.area.map_or(width * height, f64::from),
        iscrowd: object.crowd.into(),
        score,
    }
}

/// The name of the file of an image, within the folder of the images.
fn file_name(sample: &DetectionSample) -> String {
    let name = &sample.name;
    let path: &Path = match &sample.pixels {
        Pixels::Memory(_) | Pixels::Drawn(_) => return format!("{name}.png"),
        Pixels::File(path) => path,
    };
    let extended = path
        .extension()
        .map(|extension| format!("{name}.{}", extension.to_string_lossy()));
    match extended {
        Some(extended) if !path.ends_with(name) && path.ends_with(&extended) => extended,
        _ => name.clone(),
    }
}
