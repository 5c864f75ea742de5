//! Matching and the multibox loss against PyTorch; see `fixtures/multibox/make.py`.

use std::{collections::HashMap, fs, path::PathBuf};

use burn::{
    backend::Autodiff,
    tensor::{Tensor, TensorData},
};
use burn_flex::Flex;
use pyrograph_backend::lock_autodiff;
use pyrograph_losses::{MultiBoxLoss, PriorMatcher, TruthBox};
use pyrograph_vision::{BoundingBox, BoxCoder, CenterBox, PriorConfig};
use safetensors::{Dtype, SafeTensors};

type A = Autodiff<Flex>;
type Case = HashMap<String, Vec<f32>>;

/// `f32_model`: what f32 may be off from PyTorch's f64.
const TOLERANCE: f32 = 1e-4;

fn open(name: &str) -> Case {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/multibox")
        .join(format!("{name}.safetensors"));
    let bytes = fs::read(path).expect("a fixture");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensors = file.iter().map(|(key, view)| {
        let words = view
            .data()
            .chunks_exact(4)
            .map(|b| [b[0], b[1], b[2], b[3]]);
        let values = match view.dtype() {
            Dtype::F32 => words.map(f32::from_le_bytes).collect(),
            Dtype::I32 => words.map(|b| i32::from_le_bytes(b) as f32).collect(),
            other => panic!("{key} is {other:?}"),
        };
        (key.to_owned(), values)
    });
    tensors.collect()
}

/// See `benches/pytorch/formula.py`.
fn uniform(key: &str, count: usize) -> Vec<f32> {
    let start = key.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let number = |place: u64| {
        let z = start
            .wrapping_add(place)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..count as u64).map(number).collect()
}

fn matcher(case: &Case) -> PriorMatcher {
    let priors = match case.get("priors") {
        Some(values) => values
            .chunks_exact(4)
            .map(|p| CenterBox {
                cx: p[0],
                cy: p[1],
                w: p[2],
                h: p[3],
            })
            .collect(),
        None => PriorConfig::voc().boxes().expect("a table"),
    };
    PriorMatcher::new(priors, BoxCoder::SSD)
}

fn truths(case: &Case) -> Vec<Vec<TruthBox>> {
    let mut rows = case["truths"].chunks_exact(5);
    let mut next = || {
        let t = rows.next().expect("as many as are counted");
        TruthBox {
            bbox: BoundingBox::new(t[0], t[1], t[2], t[3]),
            class: t[4] as usize,
        }
    };
    let counts = case["counts"].iter().map(|count| *count as usize);
    counts
        .map(|count| (0..count).map(|_| next()).collect())
        .collect()
}

#[track_caller]
fn close(what: &str, ours: f32, theirs: f32) {
    close_to_scale(what, ours, theirs, theirs.abs().max(1.0));
}

/// To [`TOLERANCE`] of `scale`, the largest value of what is compared.
#[track_caller]
fn close_to_scale(what: &str, ours: f32, theirs: f32, scale: f32) {
    assert!(
        ours.is_finite() && theirs.is_finite(),
        "{what}: {ours} {theirs}"
    );
    assert!(
        (ours - theirs).abs() <= TOLERANCE * scale,
        "{what}: {ours} is not {theirs}"
    );
}

struct Outcome {
    loc: f32,
    conf: f32,
    positives: usize,
    negatives: usize,
    gradients: [Vec<f32>; 2],
}

fn run(case: &Case) -> Outcome {
    let [priors, classes, scale, ratio, for_empty] = case["settings"][..] else {
        panic!("settings");
    };
    let (priors, classes) = (priors as usize, classes as usize);
    let truths = truths(case);
    let shape = |values: usize| [truths.len(), priors, values];
    let tensor = |key: &str, scale: f32, values: usize| {
        let numbers = uniform(key, truths.len() * priors * values);
        let numbers = numbers.into_iter().map(|u| u * scale).collect();
        let data = TensorData::new::<f32, _>(numbers, shape(values));
        Tensor::<A, 3>::from_data(data, &Default::default()).require_grad()
    };
    let (loc, conf) = (tensor("loc", 1.0, 4), tensor("conf", scale, classes));
    let loss = MultiBoxLoss {
        negatives_per_positive: ratio as usize,
        negatives_for_hard: for_empty as usize,
        ..MultiBoxLoss::default()
    };
    let _turn = lock_autodiff();
    let terms = loss
        .forward(loc.clone(), conf.clone(), &matcher(case), &truths)
        .expect("legal");
    let gradients = terms.total().backward();
    let of = |tensor: &Tensor<A, 3>| {
        let gradient = tensor.grad(&gradients).expect("tracked").into_data();
        gradient.iter::<f32>().collect::<Vec<_>>()
    };
    Outcome {
        gradients: [of(&loc), of(&conf)],
        loc: terms.loc.into_scalar(),
        conf: terms.conf.into_scalar(),
        positives: terms.positives,
        negatives: terms.negatives,
    }
}

const CASES: [&str; 13] = [
    "one",
    "three_images",
    "none",
    "none_kept",
    "same_truth",
    "on_a_prior",
    "same_best",
    "outside",
    "ratio_1",
    "ratio_many",
    "small",
    "small_ties",
    "small_crowded",
];

#[test]
fn losses_and_gradients_agree_with_the_reference() {
    for name in CASES {
        let case = open(name);
        let ours = run(&case);
        close(&format!("{name}: loc"), ours.loc, case["loss_l"][0]);
        close(&format!("{name}: conf"), ours.conf, case["loss_c"][0]);
        let sum = |key: &str| case[key].iter().sum::<f32>() as usize;
        assert_eq!(ours.positives, sum("num_pos"), "{name}: positives");
        assert_eq!(ours.negatives, sum("num_neg"), "{name}: negatives");
        for (part, gradient) in ["loc", "conf"].into_iter().zip(&ours.gradients) {
            let squares = gradient.iter().map(|g| f64::from(*g).powi(2));
            let norm = squares.sum::<f64>().sqrt() as f32;
            close(
                &format!("{name}: norm of {part}"),
                norm,
                case[&format!("{part}_grad_norm")][0],
            );
            let at = &case[&format!("{part}_grad_at")];
            assert!(!at.is_empty());
            let theirs = &case[&format!("{part}_grad")];
            let largest = theirs
                .iter()
                .fold(0.0_f32, |largest, g| largest.max(g.abs()));
            for (place, theirs) in at.iter().zip(theirs) {
                close_to_scale(
                    &format!("{name}: {part}[{place}]"),
                    gradient[*place as usize],
                    *theirs,
                    largest,
                );
            }
        }
    }
}

#[test]
fn every_prior_is_matched_as_in_the_reference() {
    for name in CASES {
        let case = open(name);
        let matched = matcher(&case).matches(&truths(&case), 0.5);
        let offsets: HashMap<_, _> = matched.positives().iter().copied().collect();
        for (row, place) in case["match_at"].iter().enumerate() {
            let place = *place as usize;
            let class = matched.classes()[place];
            assert_eq!(class as f32, case["match_class"][row], "{name}: {place}");
            let ours = offsets.get(&place).copied().unwrap_or_default();
            for (ours, theirs) in ours.iter().zip(&case["match_loc"][row * 4..]) {
                close(&format!("{name}: {place}"), *ours, *theirs);
            }
        }
    }
}

/// The reference forces the first prior on such an object, whose target is the logarithm of 0: its loss is infinite.
#[test]
fn an_object_without_an_area_leaves_a_finite_loss() {
    let case = open("degenerate");
    assert_eq!(case["loss_l"][0], f32::INFINITY);
    let ours = run(&case);
    assert!(ours.loc.is_finite() && ours.conf.is_finite());
    let theirs = case["num_pos"].iter().sum::<f32>() as usize;
    assert_eq!(ours.positives, theirs - 1);
    let finite = |values: &Vec<f32>| values.iter().all(|v| v.is_finite());
    assert!(ours.gradients.iter().all(finite));
}

#[test]
fn huge_logits_stay_finite_and_those_that_are_no_numbers_show() {
    let case = open("small");
    let (matcher, truths) = (matcher(&case), truths(&case));
    let loss = |value: f32| {
        let device = Default::default();
        let conf = Tensor::<Flex, 3>::full([2, 12, 3], value, &device);
        let conf = conf * Tensor::from_floats([[[1.0, -1.0, 0.5]]], &device);
        let loc = Tensor::<Flex, 3>::full([2, 12, 4], 1e6, &device);
        let terms = MultiBoxLoss::default().forward(loc, conf, &matcher, &truths);
        terms.expect("legal").total().into_scalar()
    };
    assert!(loss(1e30).is_finite());
    assert!(loss(f32::NAN).is_nan());
}

#[test]
fn shapes_and_classes_that_do_not_fit_are_refused() {
    let case = open("small");
    let (matcher, truths) = (matcher(&case), truths(&case));
    let refusal = |loc: [usize; 3], conf: [usize; 3], truths: &[Vec<TruthBox>]| {
        let device = Default::default();
        let (loc, conf) = (
            Tensor::<Flex, 3>::zeros(loc, &device),
            Tensor::zeros(conf, &device),
        );
        let terms = MultiBoxLoss::default().forward(loc, conf, &matcher, truths);
        terms.expect_err("refused").to_string()
    };
    assert!(refusal([2, 12, 5], [2, 12, 3], &truths).contains("[2, 12, 5]"));
    assert!(refusal([2, 13, 4], [2, 13, 3], &truths).contains("[2, 13, 3]"));
    assert!(refusal([2, 12, 4], [2, 12, 3], &truths[..1]).contains("[1, 12, 3]"));
    let mut unknown = truths.clone();
    unknown[0][0].class = 2;
    let message = refusal([2, 12, 4], [2, 12, 3], &unknown);
    assert!(
        message.contains("class 2") && message.contains("0 to 1"),
        "{message}"
    );
    unknown[0][0].class = usize::MAX;
    assert!(refusal([2, 12, 4], [2, 12, 3], &unknown).contains("0 to 1"));
    // Nothing to tell, and nothing to tell it of.
    assert!(refusal([2, 12, 4], [2, 12, 1], &truths).contains("[2, 12, 1]"));
    assert!(refusal([0, 12, 4], [0, 12, 3], &[]).contains("[0, 12, 3]"));
    for loss in [
        MultiBoxLoss {
            iou_threshold: f32::NAN,
            ..MultiBoxLoss::default()
        },
        MultiBoxLoss {
            negatives_per_positive: 0,
            ..MultiBoxLoss::default()
        },
    ] {
        assert!(loss.check().is_err());
    }
}

/// The example that a published implementation of SSD prints of its matching.
#[test]
fn a_published_example_has_its_best_prior_and_its_fifteen_of_half_or_more() {
    let config = PriorConfig::voc();
    let matcher = PriorMatcher::new(config.boxes().expect("legal"), config.coder());
    let bbox = BoundingBox::new(0.2333, 0.2067, 0.6967, 1.0);
    let overlaps = matcher
        .priors()
        .iter()
        .map(|prior| bbox.iou(BoundingBox::from_center(*prior)));
    let (best, overlap) = overlaps
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .expect("priors");
    assert_eq!(best, 8711);
    assert!((overlap - 0.6904).abs() < 5e-5, "{overlap}");

    let truth = TruthBox { bbox, class: 14 };
    let priors = |threshold| -> Vec<usize> {
        let matched = matcher.matches(&[vec![truth]], threshold);
        matched
            .positives()
            .iter()
            .map(|(place, _)| *place)
            .collect()
    };
    let half = priors(0.5);
    assert_eq!(half.len(), 15, "{half:?}");
    assert!(half.contains(&8711));
    // Above every overlap the best alone is left, by force.
    assert_eq!(priors(0.7), [8711]);
}
