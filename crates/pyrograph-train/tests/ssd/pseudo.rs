//! Labels that a teacher gives to images without any.

use burn_flex::Flex;
use pyrograph_data::detection::{BoxObject, DetectionSet};
use pyrograph_metrics::{DetectionScorer, Truth, VocConfig, VocReport};
use pyrograph_models::ssd::{Detector, DetectorCard, SsdConfig};
use pyrograph_train::{
    TrainError,
    ssd::{PseudoLabelling, PseudoLabels, label_by_teacher},
};
use pyrograph_vision::{BoundingBox, ColourNormalisation, DetectOptions, Detection};

const LEFT: BoundingBox = BoundingBox::new(0.0, 0.0, 10.0, 10.0);
const MIDDLE: BoundingBox = BoundingBox::new(15.0, 0.0, 25.0, 10.0);
const RIGHT: BoundingBox = BoundingBox::new(30.0, 0.0, 40.0, 10.0);

fn found(bbox: BoundingBox, class: usize, score: f32) -> Detection {
    Detection { bbox, class, score }
}

fn floor(floor: f64) -> PseudoLabelling {
    PseudoLabelling {
        floor,
        ..PseudoLabelling::default()
    }
}

/// Class 0 is best at 0.8 (two of three, no miss), class 1 at 0.25, class 2 is never found,
/// classes 3 and 4 have no object; there are false detections of 3.
fn report() -> VocReport {
    let mut scorer = DetectionScorer::new(5).expect("classes");
    let truths = [
        Truth::new(LEFT, 0),
        Truth::new(MIDDLE, 0),
        Truth::new(LEFT, 2),
    ];
    let detections = [
        found(LEFT, 0, 0.9),
        found(MIDDLE, 0, 0.8),
        found(RIGHT, 0, 0.6),
        found(RIGHT, 2, 0.99),
        found(RIGHT, 3, 0.7),
    ];
    scorer.push(&truths, &detections).expect("legal");
    let truths = [Truth::new(LEFT, 0), Truth::new(RIGHT, 1)];
    let detections = [found(RIGHT, 1, 0.25), found(LEFT, 1, 0.125)];
    scorer.push(&truths, &detections).expect("legal");
    scorer.voc(&VocConfig::default()).expect("scored")
}

#[test]
fn thresholds_are_the_scores_of_the_best_f1_and_at_least_the_floor() {
    let high = f64::from(0.8_f32);
    // Class 0 at 0.8: precision 1, recall 2/3, F1 0.8; at 0.6 F1 is 2/3.
    let mean = (high + 0.25) / 2.0;
    let seen = floor(0.1).thresholds(&report());
    assert_eq!(seen, [high, 0.25, 2.0, mean, mean]);
    let mean = (high + 0.5) / 2.0;
    let seen = PseudoLabelling::default().thresholds(&report());
    assert_eq!(seen, [high, 0.5, 2.0, mean, mean]);
    assert_eq!(floor(0.9).thresholds(&report()), [0.9, 0.9, 2.0, 0.9, 0.9]);
}

#[test]
fn thresholds_are_the_floor_where_the_validation_images_have_no_objects() {
    let mut scorer = DetectionScorer::new(2).expect("classes");
    scorer.push(&[], &[found(LEFT, 0, 0.9)]).expect("legal");
    let report = scorer.voc(&VocConfig::default()).expect("scored");
    assert_eq!(floor(0.75).thresholds(&report), [0.75, 0.75]);
}

#[test]
fn the_config_has_defaults_and_no_other_fields() {
    let read = |text: &str| serde_json::from_str::<PseudoLabelling>(text);
    let config = read("{}").expect("all defaults");
    assert_eq!(config, PseudoLabelling::default());
    assert_eq!(
        (config.floor, config.detect),
        (0.5, DetectOptions::default())
    );
    assert_eq!(read(r#"{"floor": 0.25}"#).expect("a floor"), floor(0.25));
    let error = read(r#"{"flooring": 0.25}"#).expect_err("misspelt");
    assert!(
        error.to_string().contains("unknown field `flooring`"),
        "{error}"
    );
    let text = serde_json::to_string(&floor(0.25)).expect("written");
    assert_eq!(read(&text).expect("read"), floor(0.25));
}

/// Four images of 48 by 48 pixels without objects.
fn bare() -> DetectionSet {
    let scenes = pyrograph_art::scenes(4, 48, 9).expect("a small set");
    scenes.without_objects()
}

fn all_at(set: &DetectionSet, threshold: f64) -> Vec<f64> {
    vec![threshold; set.class_names().len()]
}

#[test]
fn detections_that_reach_the_threshold_of_their_class_become_objects() {
    let mut thresholds = all_at(&bare(), 0.5);
    thresholds[1] = 0.75;
    let detections = [
        vec![
            found(LEFT, 0, 0.5),
            found(MIDDLE, 1, 0.7),
            found(RIGHT, 1, 0.75),
        ],
        vec![found(LEFT, 0, 0.49)],
        vec![],
        // Beyond the image, and outside of it.
        vec![
            found(BoundingBox::new(-2.0, 40.0, 50.0, 49.0), 2, 0.9),
            found(BoundingBox::new(48.0, 0.0, 50.0, 9.0), 2, 0.8),
        ],
    ];
    let labels = PseudoLabels::from_detections(bare(), &detections, thresholds.clone());
    let labels = labels.expect("two images with labels");
    assert_eq!((labels.images, labels.left_out), (4, 2));
    assert_eq!(labels.thresholds, thresholds);
    assert_eq!(labels.scores(), [vec![0.5, 0.75], vec![0.9]]);
    assert_eq!(labels.set.len(), 2);
    let [first, last] = labels.set.samples() else {
        panic!("{labels:?}");
    };
    assert_eq!(
        (first.name.as_str(), last.name.as_str()),
        ("scene-9-0", "scene-9-3")
    );
    let expected = [BoxObject::new(LEFT, 0), BoxObject::new(RIGHT, 1)];
    assert_eq!(first.objects, expected);
    let clipped = BoundingBox::new(0.0, 40.0, 48.0, 48.0);
    assert_eq!(last.objects, [BoxObject::new(clipped, 2)]);
    assert!(first.objects[0].is_trained_on(false));

    let coco = labels.to_coco().expect("scores fit");
    let json = serde_json::to_value(&coco).expect("written");
    let scores: Vec<_> = (0..3)
        .map(|i| json["annotations"][i]["score"].as_f64())
        .collect();
    assert_eq!(scores[..2], [Some(0.5), Some(0.75)]);
    assert_eq!(json["annotations"][2]["image_id"], 2);
    assert_eq!(json["images"][1]["file_name"], "scene-9-3.png");
}

#[test]
fn labels_for_other_images_or_classes_are_refused() {
    let label = |detections: &[Vec<Detection>], thresholds: Vec<f64>| {
        let refused = PseudoLabels::from_detections(bare(), detections, thresholds);
        refused.expect_err("refused").to_string()
    };
    let one = vec![found(LEFT, 0, 0.9)];
    let said = label(&vec![one.clone(); 3], all_at(&bare(), 0.5));
    assert!(said.contains("3 where 4, one for each image"), "{said}");
    let said = label(&vec![one.clone(); 5], all_at(&bare(), 0.5));
    assert!(said.contains("5 where 4, one for each image"), "{said}");
    let said = label(&vec![one; 4], vec![0.5]);
    assert!(said.contains("the number of thresholds is 1"), "{said}");
    let unknown = vec![vec![found(LEFT, 99, 0.9)]; 4];
    let said = label(&unknown, all_at(&bare(), 0.5));
    assert!(
        said.contains("object 1 of scene-9-0: the class is 99"),
        "{said}"
    );
}

#[test]
fn a_set_without_a_confident_detection_is_refused_with_the_thresholds() {
    let names = bare().class_names().to_vec();
    let mut thresholds = all_at(&bare(), 0.5);
    thresholds[..2].copy_from_slice(&[0.625, 2.0]);
    let error =
        PseudoLabels::from_detections(bare(), &vec![vec![]; 4], thresholds).expect_err("no label");
    let said = error.to_string();
    assert!(matches!(error, TrainError::Config { .. }), "{said}");
    let start = "the number of images with a confident detection is 0, but must be 1 or more";
    assert!(said.starts_with(start), "{said}");
    let thresholds = format!(
        "the thresholds are {} 0.625, {} out of reach, {} 0.500",
        names[0], names[1], names[2]
    );
    assert!(said.contains(&thresholds), "{said}");
}

/// An untrained network for the classes of the scenes.
fn teacher() -> Detector<Flex> {
    let classes = bare().class_names().to_vec();
    let config = SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(classes.len() + 1)
    };
    let device = Default::default();
    let card = DetectorCard {
        classes,
        // Small values, by which no softmax saturates.
        normalisation: ColourNormalisation::MOBILENET,
    };
    let network = config.init(&device, 5).expect("legal");
    Detector::new(network, config, card, device).expect("fits")
}

/// Few detections, so that the search for them is short.
fn few() -> PseudoLabelling {
    PseudoLabelling {
        floor: 0.01,
        detect: DetectOptions {
            keep: 6,
            ..DetectOptions::default()
        },
    }
}

/// The detections of the teacher in two scenes, and these scenes with its detections as objects.
/// Detections without an area, which it has as well, are misses.
fn validation(teacher: &Detector<Flex>) -> (Vec<Vec<Detection>>, DetectionSet) {
    let scenes = pyrograph_art::scenes(2, 48, 4).expect("a small set");
    let images = [0, 1].map(|place| scenes.image(place).expect("drawn"));
    let found = teacher.detect(&images, &few().detect).expect("found");
    let objects = found.iter().map(|found| {
        let proper = found.iter().filter(|found| found.bbox.is_proper());
        let object = |found: &Detection| BoxObject::new(found.bbox, found.class);
        proper.map(object).collect()
    });
    let set = scenes.with_objects(objects.collect());
    (found, set.expect("within the images"))
}

/// The score with the best F1 of a class, by trying each.
fn best_score(found: &[Vec<Detection>], class: usize, truths: usize) -> f64 {
    let of_class = || found.iter().flatten().filter(|found| found.class == class);
    let f1 = |score: f32| {
        let kept = || of_class().filter(|found| found.score >= score);
        let hits = kept().filter(|found| found.bbox.is_proper()).count();
        2.0 * hits as f64 / (kept().count() + truths) as f64
    };
    let mut scores: Vec<f32> = of_class().map(|found| found.score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let best = scores.iter().copied().reduce(
        |best, score| {
            if f1(score) > f1(best) { score } else { best }
        },
    );
    best.expect("a detection").into()
}

#[test]
fn a_teacher_labels_images_by_thresholds_from_the_validation_images() {
    let teacher = teacher();
    let (found, validation) = validation(&teacher);
    let label = |batch: usize| {
        let mut heard = Vec::new();
        let each = &mut |done| heard.push(done);
        let labels = label_by_teacher(&teacher, &validation, bare(), &few(), batch, each);
        assert!(heard.is_sorted() && heard.last() == Some(&6), "{heard:?}");
        labels.expect("labelled")
    };
    let labels = label(3);
    assert_eq!(labels, label(1), "the batch does not matter");
    assert_eq!((labels.images, labels.set.len() + labels.left_out), (4, 4));
    assert!(labels.set.objects() > 0);

    let counts = validation.class_counts();
    let mut between = labels.thresholds.iter().filter(|seen| **seen > 0.01);
    assert!(between.any(|seen| *seen < 1.0), "{:?}", labels.thresholds);
    for (class, truths) in counts.into_iter().enumerate() {
        if truths > 0 {
            let best = best_score(&found, class, truths);
            assert_eq!(labels.thresholds[class], best, "class {class}");
        }
    }
    for (sample, scores) in labels.set.samples().iter().zip(labels.scores()) {
        assert!(!sample.objects.is_empty());
        for (object, score) in sample.objects.iter().zip(scores) {
            assert!(f64::from(*score) >= labels.thresholds[object.class]);
            let inside = object.bbox.clip(48.0, 48.0);
            assert!(object.bbox.is_proper() && inside == object.bbox);
        }
    }
    labels.to_coco().expect("scores fit");
}

#[test]
fn sets_and_numbers_that_cannot_be_are_refused_before_anything_is_detected() {
    let teacher = teacher();
    let validation = pyrograph_art::scenes(2, 48, 4).expect("a small set");
    let refusal = |validation: &DetectionSet, unlabelled, config| {
        let each = &mut |_| panic!("an image was looked at");
        let refused = label_by_teacher(&teacher, validation, unlabelled, &config, 2, each);
        refused.expect_err("refused").to_string()
    };
    for bad in [0.0, -0.5, 1.5, f64::NAN] {
        let said = refusal(&validation, bare(), floor(bad));
        let expected = format!("floor is {bad}, but must be above 0 and at most 1");
        assert_eq!(said, expected);
    }
    let mut config = few();
    config.detect.keep = 0;
    refusal(&validation, bare(), config);
    let said = refusal(&validation.subset(&[]), bare(), few());
    assert!(
        said.starts_with("the number of validation images is 0"),
        "{said}"
    );
    let said = refusal(&validation, bare().subset(&[]), few());
    assert!(
        said.starts_with("the number of unlabelled images is 0"),
        "{said}"
    );
    let said = refusal(&bare().subset(&[2]), bare(), few());
    assert!(
        said.starts_with("an image of the unlabelled set is scene-9-2"),
        "{said}"
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let png = folder.path().join("a.png");
    pyrograph_vision::write_png(png, &bare().image(0).expect("drawn")).expect("written");
    let other = vec!["cat".to_owned(), "dog".to_owned()];
    let other = DetectionSet::unlabelled(folder.path(), other).expect("an image");
    let said = refusal(&validation, other.clone(), few());
    let start = "the list of classes of the unlabelled images is [cat, dog], but must be [";
    assert!(said.starts_with(start), "{said}");
    let said = refusal(&other, bare(), few());
    let start = "the list of classes of the validation images is [cat, dog]";
    assert!(said.starts_with(start), "{said}");
}

#[test]
fn a_teacher_that_is_never_sure_is_refused_with_its_thresholds() {
    let teacher = teacher();
    let (_, validation) = validation(&teacher);
    let config = PseudoLabelling {
        floor: 1.0,
        ..few()
    };
    let refused = label_by_teacher(&teacher, &validation, bare(), &config, 4, &mut |_| ());
    let said = refused.expect_err("no label").to_string();
    assert!(said.contains("confident detection is 0"), "{said}");
    assert!(said.contains(" 1.000"), "{said}");
    // Not even a certain detection labels a class that is never found.
    let thresholds = all_at(&bare(), 2.0);
    let certain = vec![vec![found(LEFT, 0, 1.0)]; 4];
    let refused = PseudoLabels::from_detections(bare(), &certain, thresholds);
    refused.expect_err("no label");
}
