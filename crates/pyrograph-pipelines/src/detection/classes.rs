//! What is known of a published detector beside its file.

use std::{fs::File, io::Read, path::Path};

use pyrograph_models::ssd::{DetectorCard, SsdBackbone, SsdConfig};
use pyrograph_vision::{ColourNormalisation, VisionError};

/// The classes of Pascal VOC in the order of every published detector.
pub const VOC_CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// The categories of COCO by their ids from 1 to 90, as torchvision's detectors have them. COCO leaves ten ids out.
#[rustfmt::skip]
pub const COCO_CLASSES: [&str; 90] = [
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "N/A", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep",
    "cow", "elephant", "bear", "zebra", "giraffe", "N/A", "backpack", "umbrella", "N/A", "N/A",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove",
    "skateboard", "surfboard", "tennis racket", "bottle", "N/A", "wine glass", "cup", "fork", "knife", "spoon",
    "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
    "cake", "chair", "couch", "potted plant", "bed", "N/A", "dining table", "N/A", "N/A", "toilet",
    "N/A", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster",
    "sink", "refrigerator", "N/A", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
];

/// COCO's names, those of ids that it leaves out told apart by their number: two classes of one name would be one.
fn coco_names() -> Vec<String> {
    let numbered = (1..).zip(COCO_CLASSES);
    let name = |(id, name): (usize, &str)| match name {
        "N/A" => format!("N/A {id}"),
        name => name.to_owned(),
    };
    numbered.map(name).collect()
}

/// What a line of a file of names says that stands for the background.
const BACKGROUND: &str = "background";
/// More than any list of names takes.
const MAX_BYTES: u64 = 1 << 20;

/// The card of a published detector, whose file has none: its backbone's normalisation, and the names given.
///
/// Without names, a detector of 20 classes has those of Pascal VOC, one of 90 those of COCO, and another one numbers from 1.
pub fn published_card(config: &SsdConfig, classes: Option<Vec<String>>) -> DetectorCard {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    DetectorCard {
        classes: classes.unwrap_or_else(|| match config.num_classes.saturating_sub(1) {
            20 => owned(&VOC_CLASSES),
            90 => coco_names(),
            count => (1..=count).map(|number| number.to_string()).collect(),
        }),
        normalisation: match config.backbone {
            SsdBackbone::Vgg16 => ColourNormalisation::SSD,
            SsdBackbone::MobilenetV2 => ColourNormalisation::MOBILENET,
        },
    }
}

/// The names in a text file, one a line. Empty lines count for nothing, nor does a first line that names the background, as the
/// published files of labels have it.
///
/// # Errors
/// [`VisionError::Read`] when the file cannot be read, is longer than 1 MiB or is no text.
pub fn read_class_names(path: impl AsRef<Path>) -> Result<Vec<String>, VisionError> {
    let path = path.as_ref();
    let unreadable = |source| VisionError::Read {
        path: path.into(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    if read.map_err(unreadable)? as u64 > MAX_BYTES {
        let long = std::io::Error::other(format!("it is longer than {MAX_BYTES} bytes"));
        return Err(unreadable(long));
    }
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_background = |line: &str| line.trim_matches('_').eq_ignore_ascii_case(BACKGROUND);
    Ok(lines
        .enumerate()
        .filter(|(place, line)| *place > 0 || !is_background(line))
        .map(|(_, line)| line.to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lines_without_the_background() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("labels.txt");
        for text in [
            "BACKGROUND\nRBC\nwhite cell\n",
            "\u{feff}__background__\r\nRBC\r\n\r\n  white cell",
            "RBC\nwhite cell",
        ] {
            std::fs::write(&path, text).expect("writable");
            assert_eq!(
                read_class_names(&path).expect("text"),
                ["RBC", "white cell"]
            );
        }
        std::fs::write(&path, b"\xff\xfe").expect("writable");
        let error = read_class_names(&path).expect_err("no text").to_string();
        assert!(error.contains("labels.txt"), "{error}");
        std::fs::write(&path, "a\n".repeat(1 << 20)).expect("writable");
        assert!(read_class_names(&path).is_err());
        assert!(read_class_names(folder.path()).is_err());
    }

    #[test]
    fn published_detectors_have_the_names_that_they_were_trained_on() {
        let card = |config: &SsdConfig| {
            let card = published_card(config, None);
            card.check(config).expect("as many as classes");
            card
        };
        assert_eq!(card(&SsdConfig::vgg16(21)).classes[14], "person");
        assert_eq!(card(&SsdConfig::torchvision(91)).classes[89], "toothbrush");
        // By their ids in COCO's annotations.
        assert_eq!(
            [COCO_CLASSES[17], COCO_CLASSES[61], COCO_CLASSES[71]],
            ["dog", "chair", "tv"]
        );
        let small = card(&SsdConfig::mobilenet_v2(4));
        assert_eq!(small.classes, ["1", "2", "3"]);
        assert_eq!(small.normalisation, ColourNormalisation::MOBILENET);
    }
}
