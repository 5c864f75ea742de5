//! Numbers, names and shapes that are refused.

use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_losses::{
    ChannelWiseKl, DistillMethod, LabelAssignment, LossError, MultiBoxLoss, MultiBoxLossKd, Needs,
    Objective, PriorMatcher, PriorOutputs, ResponseLoss, ScoreWeightedL2,
};
use pyrograph_vision::{BoxCoder, CenterBox};

use crate::step::Parts;

fn outputs(priors: usize, classes: usize) -> PriorOutputs<Flex> {
    let device = Default::default();
    PriorOutputs {
        loc: Tensor::zeros([2, priors, 4], &device),
        conf: Tensor::zeros([2, priors, classes], &device),
    }
}

fn map(shape: [usize; 4]) -> Tensor<Flex, 4> {
    Tensor::zeros(shape, &Default::default())
}

fn parts() -> Parts<Flex> {
    let matcher = PriorMatcher::new(vec![CenterBox::default(); 6], BoxCoder::SSD);
    let (student, teacher) = (outputs(6, 3), outputs(6, 3));
    let truths = vec![Vec::new(), Vec::new()];
    Parts {
        student_maps: vec![map([2, 4, 3, 3]), map([2, 5, 1, 1])],
        teacher_maps: vec![map([2, 4, 2, 2]), map([2, 5, 1, 1])],
        per_cell: vec![1, 2],
        ..Parts::new(student, teacher, truths, matcher, MultiBoxLoss::default())
    }
}

const ALL: Needs = Needs {
    responses: true,
    scores: true,
    maps: true,
};

#[track_caller]
fn refusal(parts: &Parts<Flex>) -> LossError {
    parts.step().check(ALL).expect_err("refused")
}

#[test]
fn numbers_outside_their_range_are_refused_by_value() {
    let chen = MultiBoxLossKd::default();
    for seen in [f64::NAN, f64::INFINITY, -0.5] {
        let methods = [
            DistillMethod::Chen(MultiBoxLossKd {
                margin: seen,
                ..chen
            }),
            DistillMethod::Chen(MultiBoxLossKd {
                background_weight: seen,
                ..chen
            }),
            DistillMethod::Chen(MultiBoxLossKd {
                foreground_weight: seen,
                ..chen
            }),
            DistillMethod::Chen(MultiBoxLossKd { soft: seen, ..chen }),
            DistillMethod::Chen(MultiBoxLossKd { conf: seen, ..chen }),
            DistillMethod::Chen(MultiBoxLossKd {
                bounded: seen,
                ..chen
            }),
            DistillMethod::Chen(MultiBoxLossKd { loc: seen, ..chen }),
            DistillMethod::Chen(MultiBoxLossKd {
                temperature: seen,
                ..chen
            }),
            DistillMethod::Cwd(ChannelWiseKl { temperature: seen }),
            DistillMethod::ScoreL2(ScoreWeightedL2 { dis: seen }),
            DistillMethod::Response(ResponseLoss {
                temperature: seen,
                ..Default::default()
            }),
            DistillMethod::Response(ResponseLoss {
                cls: seen,
                ..Default::default()
            }),
            DistillMethod::Response(ResponseLoss {
                loc: seen,
                ..Default::default()
            }),
            DistillMethod::Lad(LabelAssignment {
                candidate_iou: seen as f32,
            }),
        ];
        for method in methods {
            let message = method.check().expect_err("refused").to_string();
            assert!(message.contains(&seen.to_string()), "{method:?}: {message}");
        }
    }
    let still = ChannelWiseKl { temperature: 0.0 };
    assert!(still.check().unwrap_err().to_string().contains("above 0"));
    let free = MultiBoxLossKd {
        soft: 0.0,
        conf: 0.0,
        bounded: 0.0,
        loc: 0.0,
        ..chen
    };
    assert!(free.check().is_ok());
}

#[test]
fn an_unknown_method_is_refused_with_the_list() {
    let message = "fgd".parse::<DistillMethod>().unwrap_err().to_string();
    assert!(message.contains("fgd"), "{message}");
    let by_serde = serde_json::from_str::<DistillMethod>(r#"{"fgd": {}}"#)
        .unwrap_err()
        .to_string();
    for name in DistillMethod::NAMES {
        assert!(message.contains(name), "{message}");
        assert!(by_serde.contains(name), "{by_serde}");
    }
}

#[test]
fn methods_are_written_as_their_names_with_their_numbers() {
    for name in DistillMethod::NAMES {
        let method: DistillMethod = name.parse().expect("a name");
        assert_eq!(method.to_string(), name);
        assert!(method.check().is_ok());
        let text = serde_json::to_string(&method).expect("text");
        assert!(text.starts_with(&format!("{{\"{name}\":{{")), "{text}");
        assert_eq!(
            serde_json::from_str::<DistillMethod>(&text).unwrap(),
            method
        );
        let defaults = format!("{{\"{name}\":{{}}}}");
        assert_eq!(
            serde_json::from_str::<DistillMethod>(&defaults).unwrap(),
            method
        );
        let unknown = format!("{{\"{name}\":{{\"heat\":1}}}}");
        assert!(serde_json::from_str::<DistillMethod>(&unknown).is_err());
    }
}

#[test]
fn steps_that_fit_pass_and_others_name_what_differs() {
    assert!(parts().step().check(ALL).is_ok());

    let mut unequal = parts();
    unequal.student_maps[1] = map([2, 4, 1, 1]);
    let message = refusal(&unequal).to_string();
    assert!(
        message.contains("map 1") && message.contains("projector"),
        "{message}"
    );
    assert!(
        message.contains("[2, 4, 1, 1]") && message.contains("[2, 5, 1, 1]"),
        "{message}"
    );

    let mut fewer = parts();
    fewer.student_maps.pop();
    assert!(matches!(
        refusal(&fewer),
        LossError::MapCount {
            student: 1,
            teacher: 2
        }
    ));
    let none = Parts {
        student_maps: Vec::new(),
        teacher_maps: Vec::new(),
        ..parts()
    };
    assert!(matches!(
        refusal(&none),
        LossError::MapCount {
            student: 0,
            teacher: 0
        }
    ));

    let cells = Parts {
        per_cell: vec![2, 2],
        ..parts()
    };
    let message = refusal(&cells).to_string();
    assert!(
        message.contains("[2, 2]") && message.contains("10") && message.contains('6'),
        "{message}"
    );
    let short = Parts {
        per_cell: vec![1],
        ..parts()
    };
    assert!(matches!(refusal(&short), LossError::PriorsPerCell { .. }));

    for teacher in [outputs(7, 3), outputs(6, 4)] {
        let other = Parts { teacher, ..parts() };
        assert!(matches!(refusal(&other), LossError::Shape { .. }));
    }
}

#[test]
fn a_teacher_of_other_priors_serves_objectives_on_maps() {
    let teacher = outputs(12, 3);
    let other = Parts {
        teacher,
        per_cell: vec![2, 4],
        ..parts()
    };
    for name in ["cwd", "pkd", "score-l2"] {
        let method: DistillMethod = name.parse().expect("a name");
        assert!(other.step().check(method.needs()).is_ok(), "{name}");
    }
    for name in ["chen", "response", "lad"] {
        let method: DistillMethod = name.parse().expect("a name");
        assert!(other.step().check(method.needs()).is_err(), "{name}");
    }
}

#[test]
fn the_whole_loss_refuses_numbers_and_shapes() {
    let Parts {
        student,
        truths,
        matcher,
        ..
    } = parts();
    let forward = |loss: MultiBoxLossKd, hard: MultiBoxLoss, teacher: PriorOutputs<Flex>| {
        loss.forward(&hard, student.clone(), teacher, &matcher, &truths)
    };
    let (loss, hard) = (MultiBoxLossKd::default(), MultiBoxLoss::default());
    assert!(forward(loss, hard, outputs(6, 3)).is_ok());
    assert!(forward(loss, hard, outputs(6, 4)).is_err());
    assert!(
        forward(
            MultiBoxLossKd {
                temperature: 0.0,
                ..loss
            },
            hard,
            outputs(6, 3)
        )
        .is_err()
    );
    let hard = MultiBoxLoss {
        iou_threshold: 0.0,
        ..hard
    };
    assert!(forward(loss, hard, outputs(6, 3)).is_err());
}
