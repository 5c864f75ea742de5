//! Extreme inputs and empty targets.

use burn::{backend::Autodiff, tensor::Tensor};
use burn_flex::Flex;
use pyrograph_backend::lock_autodiff;
use pyrograph_losses::{
    DistillMethod, MultiBoxLoss, MultiBoxLossKd, Objective, PriorMatcher, PriorOutputs, TruthBox,
};
use pyrograph_vision::{BoundingBox, BoxCoder, CenterBox};

use crate::step::{Parts, tensor};

type A = Autodiff<Flex>;

fn matcher() -> PriorMatcher {
    let prior = |i: usize| CenterBox {
        cx: 0.25 + 0.5 * (i % 2) as f32,
        cy: 0.25 + 0.5 * (i / 2) as f32,
        w: 0.5,
        h: 0.5,
    };
    PriorMatcher::new((0..4).map(prior).collect(), BoxCoder::SSD)
}

fn parts(conf: f32, loc: f32, map: f32, truths: Vec<TruthBox>, loss: MultiBoxLoss) -> Parts<A> {
    let outputs = |sign: f32| {
        let conf = [1.0, -1.0, 0.5, -1.0, 1.0, 0.0].map(|v| v * sign * conf);
        PriorOutputs {
            loc: tensor::<A, 3>(&[loc * sign; 16], [1, 4, 4]).require_grad(),
            conf: tensor::<A, 3>(&conf.repeat(2), [1, 4, 3]).require_grad(),
        }
    };
    let maps = |sign: f32| {
        let values = [1.0, -1.0, 0.5, 0.0].map(|v| v * sign * map);
        vec![tensor::<A, 4>(&values, [1, 1, 2, 2]).require_grad()]
    };
    Parts {
        student_maps: maps(1.0),
        teacher_maps: maps(-1.0),
        per_cell: vec![1],
        ..Parts::new(outputs(1.0), outputs(-1.0), vec![truths], matcher(), loss)
    }
}

fn methods() -> impl Iterator<Item = DistillMethod> {
    DistillMethod::NAMES
        .into_iter()
        .map(|name| name.parse().expect("a name"))
}

/// The sum of the terms, and the student's gradients of offsets, logits and map.
fn total(method: DistillMethod, parts: &Parts<A>) -> (f32, [Vec<f32>; 3]) {
    let step = parts.step();
    step.check(method.needs()).expect("a step that fits");
    let _turn = lock_autodiff();
    let values = method.terms(&step).into_iter().map(|term| term.value);
    let total: Tensor<A, 1> = values.reduce(|sum, value| sum + value).expect("a term");
    let gradients = total.backward();
    let host = |gradient: Option<burn::tensor::TensorData>| {
        gradient.map_or(Vec::new(), |g| g.iter::<f32>().collect())
    };
    let (student, map) = (&parts.student, &parts.student_maps[0]);
    let of = [
        host(student.loc.grad(&gradients).map(|g| g.into_data())),
        host(student.conf.grad(&gradients).map(|g| g.into_data())),
        host(map.grad(&gradients).map(|g| g.into_data())),
    ];
    (total.into_scalar(), of)
}

#[test]
fn extreme_outputs_stay_finite() {
    let truths = || {
        vec![TruthBox {
            bbox: BoundingBox::new(0.0, 0.0, 0.5, 0.5),
            class: 1,
        }]
    };
    for size in [0.0, 1e-30, 1e4, 1e30] {
        let parts = parts(
            size,
            size.min(1e6),
            size.min(1e12),
            truths(),
            MultiBoxLoss::default(),
        );
        for method in methods() {
            let (total, gradients) = total(method, &parts);
            assert!(
                total.is_finite() && total >= 0.0,
                "{method} {size}: {total}"
            );
            let mut all = gradients.iter().flatten();
            assert!(all.all(|g| g.is_finite()), "{method} {size}: {gradients:?}");
        }
    }
}

#[test]
fn nothing_to_learn_is_zero_and_can_be_differentiated() {
    let loss = MultiBoxLoss {
        negatives_for_hard: 0,
        ..MultiBoxLoss::default()
    };
    let parts = parts(1.0, 1.0, 1.0, Vec::new(), loss);
    for name in ["chen", "lad"] {
        let (total, [loc, conf, _]) = total(name.parse().expect("a name"), &parts);
        assert_eq!(total, 0.0, "{name}");
        assert_eq!((loc, conf), (vec![0.0; 16], vec![0.0; 12]), "{name}");
    }
}

#[test]
fn a_student_that_equals_its_teacher_has_nothing_to_learn_from_the_map_or_the_outputs() {
    let mut parts = parts(1.0, 1.0, 1.0, Vec::new(), MultiBoxLoss::default());
    parts.teacher = parts.student.clone();
    parts.teacher_maps = parts.student_maps.clone();
    for method in methods() {
        let method = match method {
            // Class weights move the minimum away from the teacher.
            DistillMethod::Chen(loss) => DistillMethod::Chen(MultiBoxLossKd {
                background_weight: 1.0,
                ..loss
            }),
            // It has the hard loss of other labels.
            DistillMethod::Lad(_) => continue,
            other => other,
        };
        let (total, gradients) = total(method, &parts);
        assert!(total.abs() < 1e-6, "{method}: {total}");
        let mut all = gradients.iter().flatten();
        assert!(all.all(|g| g.abs() < 1e-6), "{method}: {gradients:?}");
    }
}

#[test]
fn outputs_that_are_not_numbers_show_in_the_terms() {
    let parts = parts(f32::NAN, 1.0, f32::NAN, Vec::new(), MultiBoxLoss::default());
    for method in methods() {
        assert!(total(method, &parts).0.is_nan(), "{method}");
    }
}
