//! What a detector learns from a teacher.

use burn::tensor::{Tensor, s};
use pyrograph_backend::vision::{self, VisionAutodiff};
use pyrograph_gradcheck::{GradCheckError, HostTensor, Inputs};
use pyrograph_losses::{
    DistillMethod, DistillStep, MultiBoxLoss, Objective, PriorMatcher, PriorOutputs, TruthBox,
};
use pyrograph_models::ssd::{ProjectorKind, Projectors};
use pyrograph_vision::{BoundingBox, BoxCoder, CenterBox};

use crate::recorder::{Outcome, Recorder};

const SEED: u64 = 8;
/// Two objects and the background.
const CLASSES: usize = 3;
/// Cells a side and priors a cell of each level; the student's second map is smaller than the
/// teacher's.
const LEVELS: [(usize, usize); 2] = [(4, 2), (2, 1)];
const STUDENT_SIDES: [usize; 2] = [4, 3];
const CHANNELS: usize = 3;

/// The channel-wise divergence of maps.
pub(crate) fn channel_divergence<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    distance(r, |x, target| vision::channel_divergence(x, target, 1.5))
}

/// The squared distance of normalised maps.
pub(crate) fn normal_squares<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    distance(r, |x, target| vision::normal_squares(x, target, 1e-6))
}

/// The weighted squared distance of maps.
pub(crate) fn weighted_squares<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    distance(r, |x, target| {
        let weights = target.clone().slice(s![.., 0..1]).abs();
        vision::weighted_squares(x, target, weights)
    })
}

/// A distance from constant maps of several places, and of one.
fn distance<A: VisionAutodiff>(
    r: &mut Recorder<A>,
    body: impl Fn(Tensor<A, 4>, Tensor<A, 4>) -> Tensor<A, 1>,
) -> Outcome {
    for (name, shape) in [("map", [2, 3, 5, 4]), ("one place", [4, 3, 1, 1])] {
        let target = Inputs::on(&[r.normal("target", &shape)], r.device())?;
        let x = [r.normal("x", &shape).affine(1.5, 0.2)];
        r.case(name, &x, |i| {
            Ok(body(i.tensor("x")?, target.tensor("target")?))
        })?;
    }
    Ok(())
}

/// The weighted divergence of rows.
pub(crate) fn row_divergence<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    distance_of_rows(r, |x, t, weights| {
        vision::row_divergence(x, t, weights, 1.5)
    })
}

/// The weighted smooth L1 distance of rows.
pub(crate) fn row_smooth_l1<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    distance_of_rows(r, vision::row_smooth_l1)
}

/// A distance from constant rows: of classes, of offsets, and one row.
fn distance_of_rows<A: VisionAutodiff>(
    r: &mut Recorder<A>,
    body: impl Fn(Tensor<A, 2>, Tensor<A, 2>, Tensor<A, 1>) -> Tensor<A, 1>,
) -> Outcome {
    for (name, shape) in [
        ("classes", [5, 21]),
        ("offsets", [7, 4]),
        ("one row", [1, 6]),
    ] {
        let weights = r.normal("weights", &shape[..1]);
        let constants = Inputs::on(&[r.normal("target", &shape), weights], r.device())?;
        let x = [r.normal("x", &shape).affine(1.5, 0.2)];
        r.case(name, &x, |i| {
            let weights: Tensor<A, 1> = constants.tensor("weights")?;
            Ok(body(
                i.tensor("x")?,
                constants.tensor("target")?,
                weights.abs(),
            ))
        })?;
    }
    Ok(())
}

/// Every method by its name, on one step of two images.
pub(crate) fn methods<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let matcher = PriorMatcher::new(priors(), BoxCoder::SSD);
    let truth = |class, x1, y1, x2, y2| TruthBox {
        bbox: BoundingBox::new(x1, y1, x2, y2),
        class,
    };
    let truths = [
        vec![truth(0, 0.1, 0.1, 0.4, 0.35), truth(1, 0.5, 0.5, 0.95, 0.9)],
        vec![truth(1, 0.3, 0.6, 0.6, 0.9)],
    ];
    let [inputs, constants] = inputs(r);
    // No gradient reaches the teacher.
    let teacher = Inputs::on(&constants, r.device())?;
    for name in DistillMethod::NAMES {
        // A name of the list.
        let method: DistillMethod = name.parse().map_err(GradCheckError::function)?;
        r.case(name, &inputs, |i| {
            let outputs = |of: &Inputs<A>| -> Result<_, GradCheckError> {
                Ok(PriorOutputs {
                    loc: of.tensor("loc")?,
                    conf: of.tensor("conf")?,
                })
            };
            let maps = |of: &Inputs<A>| -> Result<_, GradCheckError> {
                Ok([of.tensor("map 0")?, of.tensor("map 1")?])
            };
            let student = outputs(i)?;
            let loss = MultiBoxLoss::default();
            let matched = matcher.matches(&truths, loss.iou_threshold);
            let selected = loss.select(&student.conf, &matched);
            let (loc, conf) = (student.loc.clone(), student.conf.clone());
            let hard = loss.forward_selected(loc, conf, &matched, &selected);
            let step = DistillStep {
                student: &student,
                teacher: &outputs(&teacher)?,
                student_maps: &maps(i)?,
                teacher_maps: &maps(&teacher)?,
                teacher_priors_per_cell: &LEVELS.map(|(_, priors)| priors),
                truths: &truths,
                matcher: &matcher,
                loss: &loss,
                matched: &matched,
                selected: &selected,
                hard: &hard,
            };
            step.check(method.needs())
                .map_err(GradCheckError::function)?;
            let terms = method.terms(&step).into_iter().map(|term| term.value);
            Ok(Tensor::cat(terms.collect(), 0))
        })?;
    }
    Ok(())
}

/// Both kinds of projectors.
pub(crate) fn projectors<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let maps = [
        r.normal("map 0", &[2, 3, 4, 5]),
        r.normal("map 1", &[2, 2, 1, 3]),
    ];
    for kind in [ProjectorKind::Linear, ProjectorKind::Mlp] {
        let projectors = Projectors::new(r.device(), SEED, kind, &[3, 2], &[5, 4])
            .map_err(GradCheckError::function)?;
        r.module(&kind.to_string(), &projectors, &maps, |projectors, i| {
            let maps = projectors.forward(&[i.tensor("map 0")?, i.tensor("map 1")?]);
            let flat = maps.into_iter().map(|map| map.flatten::<1>(0, 3));
            Ok(Tensor::cat(flat.collect(), 0))
        })?;
    }
    Ok(())
}

fn priors() -> Vec<CenterBox> {
    let level = |(side, per_cell): (usize, usize)| {
        (0..side * side * per_cell).map(move |place| {
            let cell = place / per_cell;
            let size = 1.2 / side as f32 / (1 + place % per_cell) as f32;
            CenterBox {
                cx: ((cell % side) as f32 + 0.5) / side as f32,
                cy: ((cell / side) as f32 + 0.5) / side as f32,
                w: size,
                h: size * 0.8,
            }
        })
    };
    LEVELS.into_iter().flat_map(level).collect()
}

/// What the student says, and what the teacher says.
fn inputs<A: VisionAutodiff>(r: &mut Recorder<A>) -> [Vec<HostTensor>; 2] {
    let count = priors().len();
    [STUDENT_SIDES, LEVELS.map(|(side, _)| side)].map(|sides| {
        let mut outputs = vec![
            r.normal("loc", &[2, count, 4]).affine(1.5, 0.0),
            r.normal("conf", &[2, count, CLASSES]).affine(1.5, 0.0),
        ];
        for (name, side) in ["map 0", "map 1"].into_iter().zip(sides) {
            outputs.push(r.normal(name, &[2, CHANNELS, side, side]));
        }
        outputs
    })
}
