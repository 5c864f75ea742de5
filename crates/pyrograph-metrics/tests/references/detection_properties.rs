//! What holds for the average precision of any scene, and that naive programs count the same.

use proptest::prelude::*;
use pyrograph_metrics::{
    DetectionScorer, Truth, TruthKind, VocConfig, VocInterpolation, VocReport,
};
use pyrograph_vision::{BoundingBox, Detection};

const CLASSES: usize = 2;
/// Sums of the same fractions in another order.
const EXACT: f64 = 1e-12;
/// A prime above the number of detections, for scores that all differ.
const SCORES: usize = 1009;
/// So large, in pixels, that some objects are small and some medium.
const UNIT: f32 = 16.0;

#[derive(Clone, Debug)]
struct Image {
    truths: Vec<Truth>,
    detections: Vec<Detection>,
}

fn bbox() -> impl Strategy<Value = BoundingBox> {
    (0_u8..4, 0_u8..4, 1_u8..5, 1_u8..5).prop_map(|(x, y, w, h)| {
        let [x, y, w, h] = [x, y, w, h].map(|v| f32::from(v) * UNIT);
        BoundingBox::new(x, y, x + w, y + h)
    })
}

fn kind() -> impl Strategy<Value = TruthKind> {
    prop_oneof![
        4 => Just(TruthKind::Counted),
        1 => Just(TruthKind::Difficult),
        1 => Just(TruthKind::Crowd),
    ]
}

/// Images whose detections all have different scores.
fn scene() -> impl Strategy<Value = Vec<Image>> {
    let truth = (bbox(), 0..CLASSES, kind());
    let truth = truth.prop_map(|(bbox, class, kind)| Truth {
        kind,
        ..Truth::new(bbox, class)
    });
    let truths = prop::collection::vec(truth, 0..6);
    let detections = prop::collection::vec((bbox(), 0..CLASSES), 0..8);
    let images = prop::collection::vec((truths, detections), 1..6);
    (images, 1..SCORES).prop_map(|(images, factor)| {
        let mut number = 0;
        let mut score = || {
            number += 1;
            (number * factor % SCORES) as f32 / SCORES as f32
        };
        let image = |(truths, boxes): (_, Vec<(BoundingBox, usize)>)| Image {
            truths,
            detections: boxes
                .into_iter()
                .map(|(bbox, class)| Detection {
                    bbox,
                    class,
                    score: score(),
                })
                .collect(),
        };
        images.into_iter().map(image).collect()
    })
}

fn scorer(images: &[Image]) -> DetectionScorer {
    let mut scorer = DetectionScorer::new(CLASSES).unwrap();
    for image in images {
        scorer.push(&image.truths, &image.detections).unwrap();
    }
    scorer
}

fn voc(images: &[Image], interpolation: VocInterpolation) -> VocReport {
    let config = VocConfig {
        interpolation,
        ..VocConfig::default()
    };
    scorer(images).voc(&config).unwrap()
}

/// Figures of COCO, and the place of the recall with one detection among them.
const COCO_FIGURES: usize = 12;
const AR_1: usize = 6;

/// Every average precision and recall there is: of COCO, then of VOC by both interpolations.
fn figures(images: &[Image]) -> Vec<Option<f64>> {
    let coco = scorer(images).coco();
    let of_classes = coco.classes.iter().flat_map(|class| class.figures.all());
    let mut figures: Vec<_> = coco.mean.all().into_iter().chain(of_classes).collect();
    for interpolation in [VocInterpolation::ElevenPoint, VocInterpolation::Area] {
        let report = voc(images, interpolation);
        figures.push(report.map);
        figures.extend(report.classes.iter().map(|class| class.ap));
    }
    figures
}

/// The detections of a class by falling score, each with the place of its image.
fn ranked(images: &[Image], class: usize) -> Vec<(usize, Detection)> {
    let of_image = |(place, image): (usize, &Image)| {
        let found = image.detections.clone().into_iter();
        found.map(move |found| (place, found)).collect::<Vec<_>>()
    };
    let mut ranked: Vec<_> = images.iter().enumerate().flat_map(of_image).collect();
    ranked.retain(|(_, found)| found.class == class);
    ranked.sort_by(|a, b| b.1.score.partial_cmp(&a.1.score).unwrap());
    ranked
}

/// (recall, precision) after each detection.
fn points(hits: &[bool], truths: usize) -> Vec<(f64, f64)> {
    let point = |kept: usize| {
        let right = hits[..kept].iter().filter(|hit| **hit).count() as f64;
        (right / truths as f64, right / kept as f64)
    };
    (1..=hits.len()).map(point).collect()
}

/// The highest precision at a recall of at least `recall`.
fn interpolated(points: &[(f64, f64)], recall: f64) -> f64 {
    let reached = points.iter().filter(|point| point.0 >= recall);
    reached.map(|point| point.1).fold(0.0, f64::max)
}

/// The average precision of VOC 2010, rule by rule.
fn naive_voc(images: &[Image], class: usize) -> Option<f64> {
    let counted = |truth: &Truth| truth.class == class && truth.kind == TruthKind::Counted;
    let truths = images.iter().flat_map(|image| &image.truths);
    let count = truths.filter(|truth| counted(truth)).count();
    let mut taken = Vec::new();
    let mut hits = Vec::new();
    for (place, found) in ranked(images, class) {
        let mut best = (0.0, None);
        for (index, truth) in images[place].truths.iter().enumerate() {
            let iou = found.bbox.iou(truth.bbox);
            if truth.class == class && iou > best.0 {
                best = (iou, Some(index));
            }
        }
        match best {
            (iou, Some(index)) if iou >= 0.5 => {
                if counted(&images[place].truths[index]) {
                    hits.push(!taken.contains(&(place, index)));
                    taken.push((place, index));
                }
            }
            _ => hits.push(false),
        }
    }
    let points = points(&hits, count);
    let mut area = 0.0;
    let mut before = 0.0;
    for &(recall, _) in &points {
        area += (recall - before) * interpolated(&points, recall);
        before = recall;
    }
    (count > 0).then_some(area)
}

/// COCO's average precision at an overlap of 0.5 where every truth counts.
fn naive_coco(images: &[Image], class: usize) -> Option<f64> {
    let truths = images.iter().flat_map(|image| &image.truths);
    let count = truths.filter(|truth| truth.class == class).count();
    let mut taken = Vec::new();
    let mut hits = Vec::new();
    for (place, found) in ranked(images, class) {
        let truths = images[place].truths.iter().enumerate();
        let free = truths
            .filter(|(index, truth)| truth.class == class && !taken.contains(&(place, *index)));
        let overlaps = free.map(|(index, truth)| (found.bbox.iou(truth.bbox), index));
        let best = overlaps
            .filter(|(iou, _)| *iou >= 0.5)
            .max_by(|a, b| a.partial_cmp(b).unwrap());
        hits.push(best.is_some());
        taken.extend(best.map(|(_, index)| (place, index)));
    }
    let points = points(&hits, count);
    let recalls = (0..=100).map(|index| f64::from(index) * 0.01);
    let sum: f64 = recalls.map(|recall| interpolated(&points, recall)).sum();
    (count > 0).then_some(sum / 101.0)
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < EXACT,
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn figures_are_shares_and_recall_rises_with_the_detections(images in scene()) {
        for figure in figures(&images).into_iter().flatten() {
            prop_assert!((0.0..=1.0 + EXACT).contains(&figure), "{}", figure);
        }
        let mean = scorer(&images).coco().mean;
        prop_assert!(mean.ar_1 <= mean.ar_10 && mean.ar_10 <= mean.ar_100);
    }

    #[test]
    fn a_detector_that_finds_exactly_what_is_there_achieves_everything(images in scene()) {
        let perfect = |image: &Image| {
            let mut truths: Vec<Truth> = Vec::new();
            for truth in &image.truths {
                // Of two objects in the same place it is open which is found.
                let same = |other: &Truth| (other.class, other.bbox) == (truth.class, truth.bbox);
                if truth.kind == TruthKind::Counted && !truths.iter().any(same) {
                    truths.push(*truth);
                }
            }
            let detections = truths.iter().zip(1_u8..).map(|(truth, place)| Detection {
                bbox: truth.bbox,
                class: truth.class,
                score: 1.0 / f32::from(place),
            });
            Image { detections: detections.collect(), truths }
        };
        let images: Vec<_> = images.iter().map(perfect).collect();
        let mut all = figures(&images);
        // With one detection for an image and a class not everything can be found.
        for figures in all.chunks_mut(COCO_FIGURES).take(1 + CLASSES) {
            figures[AR_1] = None;
        }
        for figure in all.into_iter().flatten() {
            prop_assert!((figure - 1.0).abs() < EXACT, "{}", figure);
        }
    }

    #[test]
    fn a_last_detection_of_nothing_never_raises_a_figure(images in scene(), class in 0..CLASSES) {
        let before = figures(&images);
        let mut images = images;
        let far = BoundingBox::new(1000.0, 1000.0, 1020.0, 1020.0);
        images[0].detections.push(Detection { bbox: far, class, score: -1.0 });
        for (before, after) in before.into_iter().zip(figures(&images)) {
            prop_assert_eq!(before.is_some(), after.is_some());
            prop_assert!(after <= before);
        }
    }

    #[test]
    fn the_order_of_the_images_does_not_matter_where_scores_differ(
        (images, shuffled) in scene().prop_flat_map(|images| {
            (Just(images.clone()), Just(images).prop_shuffle())
        })
    ) {
        prop_assert_eq!(figures(&images), figures(&shuffled));
    }

    #[test]
    fn the_area_of_voc_is_that_of_a_naive_program(images in scene()) {
        let report = voc(&images, VocInterpolation::Area);
        for (class, seen) in report.classes.iter().enumerate() {
            let expected = naive_voc(&images, class);
            prop_assert!(near(seen.ap, expected), "{:?} {:?}", seen.ap, expected);
        }
    }

    #[test]
    fn the_precision_of_coco_is_that_of_a_naive_program(images in scene()) {
        let mut images = images;
        for truth in images.iter_mut().flat_map(|image| &mut image.truths) {
            truth.kind = TruthKind::Counted;
        }
        for (class, seen) in scorer(&images).coco().classes.iter().enumerate() {
            let expected = naive_coco(&images, class);
            prop_assert!(near(seen.figures.ap50, expected), "{:?} {:?}", seen, expected);
        }
    }
}
