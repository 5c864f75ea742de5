//! Values that are worked out by hand.

use burn_flex::Flex;
use pyrograph_losses::{
    ChannelWiseKl, LabelAssignment, MultiBoxLoss, MultiBoxLossKd, Objective, PearsonLoss,
    PriorMatcher, PriorOutputs, ResponseLoss, ScoreWeightedL2, TruthBox,
};
use pyrograph_vision::{BoundingBox, BoxCoder, CenterBox};

use crate::step::{Parts, tensor};

/// KL of (¾, ¼) from (½, ½): ¾·ln 1.5 + ¼·ln 0.5.
const KL: f32 = 0.130_812;
/// Logits of (¾, ¼): ln 3 and 0.
const LOGIT: f32 = 1.098_612_3;

const WHOLE: CenterBox = CenterBox {
    cx: 0.5,
    cy: 0.5,
    w: 1.0,
    h: 1.0,
};

fn truth(bbox: BoundingBox, class: usize) -> TruthBox {
    TruthBox { bbox, class }
}

fn outputs(loc: &[f32], conf: &[f32], priors: usize) -> PriorOutputs<Flex> {
    PriorOutputs {
        loc: tensor(loc, [1, priors, 4]),
        conf: tensor(conf, [1, priors, conf.len() / priors]),
    }
}

/// One prior with an object exactly on it, so that its offsets are 0; the student's logits are 0.
fn one_prior(student_loc: [f32; 4], teacher_loc: [f32; 4]) -> Parts<Flex> {
    Parts::new(
        outputs(&student_loc, &[0.0, 0.0], 1),
        outputs(&teacher_loc, &[LOGIT, 0.0], 1),
        vec![vec![truth(BoundingBox::from_center(WHOLE), 0)]],
        PriorMatcher::new(vec![WHOLE], BoxCoder::SSD),
        MultiBoxLoss::default(),
    )
}

fn with_maps(student: &[f32], teacher: &[f32], shape: [usize; 4]) -> Parts<Flex> {
    Parts {
        student_maps: vec![tensor(student, shape)],
        teacher_maps: vec![tensor(teacher, shape)],
        per_cell: vec![1],
        ..one_prior([0.0; 4], [0.0; 4])
    }
}

#[track_caller]
fn terms_are(objective: &impl Objective, parts: &Parts<Flex>, expected: &[(&str, f32)]) {
    let step = parts.step();
    step.check(objective.needs()).expect("a step that fits");
    let seen: Vec<_> = objective
        .terms(&step)
        .into_iter()
        .map(|term| (term.name, term.value.into_scalar()))
        .collect();
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(seen.0, expected.0);
        assert!((seen.1 - expected.1).abs() < 1e-5, "{seen:?} {expected:?}");
    }
}

#[test]
fn soft_targets_are_the_weighted_divergence() {
    let parts = one_prior([0.0; 4], [0.0; 4]);
    let loss = |background_weight, foreground_weight| MultiBoxLossKd {
        background_weight,
        foreground_weight,
        soft: 1.0,
        ..MultiBoxLossKd::default()
    };
    // 1.5 · ¾·ln 1.5 + ¼·ln 0.5, and with 2 on the foreground.
    terms_are(
        &loss(1.5, 1.0),
        &parts,
        &[("soft", 0.282_861_7), ("bounded", 0.0)],
    );
    terms_are(
        &loss(1.5, 2.0),
        &parts,
        &[("soft", 0.109_574_9), ("bounded", 0.0)],
    );
    // Class weights act only above 1.
    terms_are(&loss(1.0, 1.0), &parts, &[("soft", KL), ("bounded", 0.0)]);
    terms_are(&loss(0.5, 2.0), &parts, &[("soft", KL), ("bounded", 0.0)]);
    let warm = MultiBoxLossKd {
        temperature: 2.0,
        ..loss(1.0, 1.0)
    };
    // 4 · KL of softmax(ln 3 / 2, 0) = (0.633975, 0.366025).
    terms_are(&warm, &parts, &[("soft", 0.145_363_1), ("bounded", 0.0)]);
}

#[test]
fn regression_counts_only_where_the_student_is_worse_than_the_teacher() {
    let loss = |margin| MultiBoxLossKd {
        margin,
        soft: 0.0,
        ..MultiBoxLossKd::default()
    };
    let squared = |student: f32, teacher: f32, margin, expected| {
        let parts = one_prior([student, 0.0, 0.0, 0.0], [0.0, teacher, 0.0, 0.0]);
        // A term without a weight is left out.
        terms_are(&loss(margin), &parts, &[("bounded", expected)]);
    };
    squared(2.0, 1.0, 0.0, 0.5 * 4.0);
    squared(1.0, 2.0, 0.0, 0.0);
    squared(1.0, 1.0, 0.0, 0.0);
    squared(1.0, 2.0, 3.5, 0.5);
    squared(1.0, 2.0, 2.5, 0.0);
}

#[test]
fn channels_are_compared_as_distributions_over_places() {
    let teacher = [LOGIT, 0.0, 5.0, 5.0];
    let parts = with_maps(&[0.0, 0.0, 1.0, 1.0], &teacher, [1, 2, 1, 2]);
    // The second of two channels is equal.
    terms_are(&ChannelWiseKl::default(), &parts, &[("cwd", KL / 2.0)]);
    let warm = ChannelWiseKl { temperature: 2.0 };
    terms_are(&warm, &parts, &[("cwd", 0.145_363_1 / 2.0)]);
}

#[test]
fn channels_are_compared_by_their_correlation() {
    // ½·(1 − r) of two values with r = −1 and unbiased deviations: ½ · mean(2, 2).
    let parts = with_maps(&[3.0, 1.0], &[-7.0, 9.0], [1, 1, 1, 2]);
    terms_are(&PearsonLoss::default(), &parts, &[("pkd", 1.0)]);
    let parts = with_maps(&[1.0, 3.0], &[-7.0, 9.0], [1, 1, 1, 2]);
    terms_are(&PearsonLoss::default(), &parts, &[("pkd", 0.0)]);
    // One value a channel has no deviation.
    let parts = with_maps(&[1.0, 3.0], &[-7.0, 9.0], [1, 2, 1, 1]);
    terms_are(&PearsonLoss::default(), &parts, &[("pkd", 0.0)]);
}

#[test]
fn maps_count_by_the_best_foreground_score_of_a_cell() {
    let mut parts = with_maps(&[2.0, 1.0], &[0.0, 0.0], [1, 1, 1, 2]);
    parts.per_cell = vec![2];
    // Foreground scores ¼ and ½ in the first cell, ¼ twice in the second.
    let conf = [LOGIT, 0.0, 0.0, 0.0, LOGIT, 0.0, LOGIT, 0.0];
    parts.teacher = outputs(&[0.0; 16], &conf, 4);
    // 6 · (½·4 + ¼·1) / (½ + ¼)
    terms_are(&ScoreWeightedL2::default(), &parts, &[("score_l2", 18.0)]);
}

#[test]
fn outputs_count_by_the_teachers_score() {
    let teacher = outputs(&[0.0; 8], &[LOGIT, 0.0, 0.0, LOGIT], 2);
    let student = outputs(&[0.5, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], &[0.0; 4], 2);
    let priors = PriorMatcher::new(vec![WHOLE; 2], BoxCoder::SSD);
    let parts = Parts::new(
        student,
        teacher,
        vec![vec![]],
        priors,
        MultiBoxLoss::default(),
    );
    let loss = ResponseLoss {
        loc: 2.0,
        ..ResponseLoss::default()
    };
    // Scores ¼ and ¾, which add up to 1; distances ⅛ + 1½ and ½.
    let distance = 2.0 * (0.25 * 1.625 + 0.75 * 0.5);
    terms_are(
        &loss,
        &parts,
        &[("response_cls", KL), ("response_loc", distance)],
    );
}

/// Two priors beside each other and a third on the first.
fn three_priors() -> PriorMatcher {
    let prior = |cx| CenterBox {
        cx,
        cy: 0.5,
        w: 0.4,
        h: 0.4,
    };
    PriorMatcher::new(vec![prior(0.3), prior(0.5), prior(0.3)], BoxCoder::SSD)
}

#[test]
fn the_teacher_moves_an_object_to_the_prior_that_finds_it() {
    let matcher = three_priors();
    let on_first = truth(BoundingBox::from_center(matcher.priors()[0]), 1);
    // An IoU of ⅓ with the second prior.
    let truths = vec![vec![on_first]];
    let plain = matcher.matches(&truths, 0.99);
    let loc = BoxCoder::SSD.encode(on_first.bbox, matcher.priors()[1]);
    let loc = [[0.0; 4], loc, [0.0; 4]].concat();
    let sure_of = |class: usize| (0..3).map(|c| if c == class { 4.0 } else { 0.0 }).collect();
    let unsure = || vec![0.0; 3];
    let conf: Vec<Vec<f32>> = vec![unsure(), sure_of(2), unsure()];
    let places = |conf: &[Vec<f32>], candidate_iou| {
        let conf = conf.concat();
        let matched = matcher.matches_by_teacher(&truths, &plain, &loc, &conf, candidate_iou);
        assert_eq!(
            matched.classes().iter().filter(|c| **c == 2).count(),
            matched.positives().len()
        );
        matched
            .positives()
            .iter()
            .map(|(place, _)| *place)
            .collect::<Vec<_>>()
    };
    // The plain match gives the object to both priors that lie on it.
    assert_eq!(
        plain.positives().iter().map(|p| p.0).collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!(places(&conf, 0.25), [0, 1]);
    // Below the candidates' IoU the second prior has no chance.
    assert_eq!(places(&conf, 0.4), [0, 2]);
    // Sure of another class.
    assert_eq!(places(&[unsure(), sure_of(1), unsure()], 0.25), [0, 2]);
    assert_eq!(places(&[sure_of(1), sure_of(2), unsure()], 0.25), [1, 2]);
    // Not a number ranks last.
    assert_eq!(
        places(&[unsure(), vec![f32::NAN; 3], unsure()], 0.25),
        [0, 2]
    );
}

#[test]
fn a_prior_that_two_objects_claim_goes_to_the_higher_score_then_to_the_earlier() {
    let prior = |cx| CenterBox {
        cx,
        cy: 0.5,
        w: 0.4,
        h: 0.4,
    };
    let matcher = PriorMatcher::new(vec![prior(0.3), prior(0.5)], BoxCoder::SSD);
    let on = |prior: usize, class| truth(BoundingBox::from_center(matcher.priors()[prior]), class);
    let truths = vec![vec![on(0, 0), on(1, 1)]];
    let plain = matcher.matches(&truths, 0.5);
    assert_eq!(plain.classes(), [1, 2]);
    // The second prior finds a box between both objects: an IoU of 0.6 with each. The first none.
    let middle = BoundingBox::from_center(prior(0.4));
    let away = BoundingBox::new(0.8, 0.0, 0.9, 0.1);
    let loc = [
        BoxCoder::SSD.encode(away, matcher.priors()[0]),
        BoxCoder::SSD.encode(middle, matcher.priors()[1]),
    ];
    let owner = |second: [f32; 3]| {
        let conf = [[0.0; 3], second].concat();
        let matched = matcher.matches_by_teacher(&truths, &plain, &loc.concat(), &conf, 0.25);
        matched.classes().to_vec()
    };
    assert_eq!(owner([0.0, 1.0, 2.0]), [0, 2]);
    assert_eq!(owner([0.0, 2.0, 1.0]), [0, 1]);
}

#[test]
fn assigned_labels_replace_the_hard_loss() {
    let parts = one_prior([2.0, 0.0, 0.0, 0.0], [0.0; 4]);
    let objective = LabelAssignment::default();
    // The only prior stays the positive one: 2 − ½, and ln 2.
    terms_are(
        &objective,
        &parts,
        &[("lad_loc", 1.5), ("lad_conf", std::f32::consts::LN_2)],
    );
    assert_eq!(
        (objective.takes_over().loc, objective.takes_over().conf),
        (1.0, 1.0)
    );
}
