//! What was found, as it is handed out.

use pyrograph_vision::{BoundingBox, Detection};
use serde::{Deserialize, Serialize};

/// An object that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundObject {
    /// The class, from 0, background not counted.
    pub class: usize,
    /// The name of the class.
    pub label: String,
    /// How sure, in [0, 1].
    pub score: f32,
    /// Left, upper, right and lower edge, in pixels of the image.
    #[serde(rename = "box")]
    pub corners: [f32; 4],
}

impl FoundObject {
    /// A detection in pixels with the name of its class.
    pub(super) fn new(detection: &Detection, classes: &[String]) -> Self {
        let BoundingBox { x1, y1, x2, y2 } = detection.bbox;
        Self {
            class: detection.class,
            label: classes[detection.class].clone(),
            score: detection.score,
            corners: [x1, y1, x2, y2],
        }
    }

    /// Where it is, in pixels of the image.
    pub fn bbox(&self) -> BoundingBox {
        let [x1, y1, x2, y2] = self.corners;
        BoundingBox { x1, y1, x2, y2 }
    }
}

/// What was found in one image, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundImage {
    /// Its path; none for an image from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// The objects, by falling score.
    pub detections: Vec<FoundObject>,
}

impl FoundImage {
    pub(super) fn new(
        (width, height): (u32, u32),
        found: &[Detection],
        classes: &[String],
    ) -> Self {
        let object = |detection| FoundObject::new(detection, classes);
        Self {
            image: None,
            width,
            height,
            detections: found.iter().map(object).collect(),
        }
    }

    /// How many objects of each label were found, in the order of the first of each.
    pub fn counts(&self) -> Vec<(&str, usize)> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for object in &self.detections {
            match counts.iter_mut().find(|(label, _)| *label == object.label) {
                Some((_, count)) => *count += 1,
                None => counts.push((&object.label, 1)),
            }
        }
        counts
    }
}
