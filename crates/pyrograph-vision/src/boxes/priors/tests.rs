use serde::Deserialize;

use super::*;

/// Of the last place of a float.
const EXACT: f32 = 1e-7;

#[derive(Deserialize)]
struct Reference {
    voc: Case,
    coco: Case,
    torchvision: Case,
    mobilenet: Case,
}

#[derive(Deserialize)]
struct Case {
    count: usize,
    every: usize,
    rows: Vec<[f32; 4]>,
    last: [f32; 4],
    sums: [f64; 4],
}

fn values(prior: &CenterBox) -> [f32; 4] {
    [prior.cx, prior.cy, prior.w, prior.h]
}

fn sums(priors: &[CenterBox]) -> [f64; 4] {
    std::array::from_fn(|k| priors.iter().map(|p| f64::from(values(p)[k])).sum())
}

fn close(seen: [f32; 4], expected: [f32; 4], tolerance: f32) -> bool {
    seen.iter()
        .zip(expected)
        .all(|(seen, expected)| (seen - expected).abs() <= tolerance)
}

#[test]
fn priors_are_those_of_the_published_detectors() {
    let text = include_str!("../../../tests/fixtures/priors/reference.json");
    let reference: Reference = serde_json::from_str(text).unwrap();
    for (config, case) in [
        (PriorConfig::voc(), reference.voc),
        (PriorConfig::coco(), reference.coco),
        (PriorConfig::torchvision(), reference.torchvision),
        (PriorConfig::mobilenet(), reference.mobilenet),
    ] {
        let priors = config.boxes().unwrap();
        assert_eq!((priors.len(), config.count()), (case.count, case.count));
        let sampled: Vec<_> = priors.iter().step_by(case.every).collect();
        assert_eq!(sampled.len(), case.rows.len());
        for (index, (prior, row)) in sampled.into_iter().zip(case.rows).enumerate() {
            let seen = values(prior);
            assert!(close(seen, row, EXACT), "{index}: {seen:?} for {row:?}");
        }
        assert!(close(values(&priors[case.count - 1]), case.last, EXACT));
        for (seen, expected) in sums(&priors).into_iter().zip(case.sums) {
            assert!((seen - expected).abs() < 1e-4, "{seen} for {expected}");
        }
    }
}

#[test]
fn the_first_and_the_last_priors_of_voc_are_those_worked_out_by_hand() {
    let priors = PriorConfig::voc().boxes().unwrap();
    // Half a step of 8 of 300 pixels, then 30/300, √(0.1 · 0.2), and 0.1 times and divided by √2.
    let sizes = [
        (0.1, 0.1),
        (0.141_421, 0.141_421),
        (0.141_421, 0.070_711),
        (0.070_711, 0.141_421),
    ];
    for (prior, (w, h)) in priors.iter().zip(sizes) {
        let row = [0.013_333, 0.013_333, w, h];
        assert!(close(values(prior), row, 1e-6), "{prior:?}");
    }
    let last = values(&priors[8731]);
    assert!(close(last, [0.5, 0.5, 0.622_254, 1.0], 1e-6), "{last:?}");
    let [cx, cy, w, h] = sums(&priors);
    assert!((cx - 4443.1467).abs() < 1e-3 && (cy - 4443.1467).abs() < 1e-3);
    assert!((w - 1510.148).abs() < 1e-3 && (h - 1510.148).abs() < 1e-3);
}

#[test]
fn maps_begin_where_the_one_before_ends() {
    let config = PriorConfig::voc();
    assert_eq!(config.per_cell(), [4, 6, 6, 6, 4, 4]);
    let counts = config
        .maps
        .iter()
        .map(|map| map.size * map.size * map.per_cell());
    let offsets: Vec<usize> = counts
        .scan(0, |offset, count| {
            *offset += count;
            Some(*offset)
        })
        .collect();
    assert_eq!(offsets, [5776, 7942, 8542, 8692, 8728, 8732]);
    assert_eq!(PriorConfig::mobilenet().per_cell(), [6; 6]);
    assert_eq!(config.coder(), BoxCoder::SSD);
}

#[test]
fn clips_reach_what_their_names_say() {
    let centres_within = |config: PriorConfig| {
        let priors = config.boxes().unwrap();
        priors.iter().all(|p| p.cx <= 1.0 && p.cy <= 1.0)
    };
    let sizes_within = |config: PriorConfig| {
        let priors = config.boxes().unwrap();
        priors.iter().all(|p| p.w <= 1.0 && p.h <= 1.0)
    };
    let clipped = |clip| PriorConfig {
        clip,
        ..PriorConfig::voc()
    };
    assert!(centres_within(clipped(PriorClip::All)) && sizes_within(clipped(PriorClip::All)));
    assert!(!centres_within(clipped(PriorClip::Size)) && sizes_within(clipped(PriorClip::Size)));
    assert!(!centres_within(clipped(PriorClip::None)) && !sizes_within(clipped(PriorClip::None)));
}

/// A detector of one map of two by two cells for images of 128 pixels.
fn small() -> PriorConfig {
    PriorConfig {
        image_size: 128.0,
        maps: vec![PriorMap {
            size: 2,
            step: 64.0,
            min_size: 32.0,
            max_size: 64.0,
            ratios: vec![],
        }],
        clip: PriorClip::All,
        variances: [0.1, 0.2],
    }
}

#[test]
fn a_detector_of_ones_own_has_its_priors_row_by_row() {
    let priors = small().boxes().unwrap();
    assert_eq!(priors.len(), 8);
    let centres: Vec<_> = priors.iter().step_by(2).map(|p| (p.cx, p.cy)).collect();
    assert_eq!(
        centres,
        [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
    );
    assert_eq!((priors[0].w, priors[1].w), (0.25, 0.125_f32.sqrt()));
}

#[test]
fn numbers_that_make_no_priors_are_refused_with_what_is_allowed() {
    let refused = |change: fn(&mut PriorConfig)| {
        let mut config = small();
        change(&mut config);
        let error = config.boxes().unwrap_err();
        assert_eq!(config.check().unwrap_err().to_string(), error.to_string());
        error.to_string()
    };
    assert!(refused(|c| c.maps.clear()).contains("feature maps"));
    assert!(refused(|c| c.image_size = 0.0).contains("image size"));
    assert!(refused(|c| c.image_size = f32::INFINITY).contains("inf"));
    assert!(refused(|c| c.variances[0] = 0.0).contains("centre"));
    assert!(refused(|c| c.variances[1] = f32::NAN).contains("NaN"));
    assert!(refused(|c| c.maps[0].size = 0).contains("map 0 of the priors: size is 0"));
    assert!(refused(|c| c.maps[0].step = -8.0).contains("step is -8"));
    assert!(refused(|c| c.maps[0].min_size = f32::NAN).contains("min_size"));
    assert!(refused(|c| c.maps[0].max_size = 31.0).contains("at least min_size"));
    assert!(refused(|c| c.maps[0].ratios = vec![2.0, 0.0]).contains("ratio is 0"));
    assert!(refused(|c| c.maps[0].size = 708).contains("1002528 priors"));
    assert!(refused(|c| c.maps[0].size = usize::MAX).contains("1000000"));
}

#[test]
fn a_file_of_priors_is_read_and_unknown_keys_are_refused() {
    let text = serde_json::to_string(&PriorConfig::torchvision()).unwrap();
    assert!(text.contains(r#""clip":"size""#), "{text}");
    assert_eq!(
        serde_json::from_str::<PriorConfig>(&text).unwrap(),
        PriorConfig::torchvision()
    );
    let unknown = text.replace(r#""size":38"#, r#""size":38,"sides":1"#);
    assert!(serde_json::from_str::<PriorConfig>(&unknown).is_err());
}
