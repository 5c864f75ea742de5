//! Values and student gradients against PyTorch; see `../fixtures/distill/make.py`.

use std::{collections::HashMap, fs, path::PathBuf};

use burn::{backend::Autodiff, tensor::Tensor};
use burn_flex::Flex;
use pyrograph_backend::lock_autodiff;
use pyrograph_losses::{
    DistillMethod, MultiBoxKdTerms, MultiBoxLoss, Objective, PriorMatcher, PriorOutputs, TruthBox,
};
use pyrograph_vision::{BoundingBox, BoxCoder, CenterBox};
use safetensors::SafeTensors;

use crate::step::{Parts, tensor};

type A = Autodiff<Flex>;

/// `f32_model`: what f32 may be off from PyTorch's f64.
const TOLERANCE: f32 = 1e-4;

/// The scale of gradients that are 0 but for rounding; all others of the fixtures are larger.
const FAINT: f32 = 1e-3;

const CASES: [&str; 20] = [
    "chen_article",
    "chen_warm",
    "chen_plain",
    "chen_light",
    "chen_none",
    "cwd",
    "cwd_warm",
    "cwd_equal",
    "pkd",
    "pkd_equal",
    "pkd_alone",
    "pkd_constant",
    "score_l2",
    "score_l2_equal",
    "response",
    "response_warm",
    "lad",
    "lad_strict",
    "lad_crowd",
    "lad_none",
];

struct Case {
    name: &'static str,
    method: DistillMethod,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Case {
    fn open(name: &'static str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/distill")
            .join(format!("{name}.safetensors"));
        let bytes = fs::read(path).expect("a fixture");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let texts = header.metadata().as_ref().expect("metadata");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file.iter().map(|(key, view)| {
            let words = view.data().chunks_exact(4);
            let values = words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (key.to_owned(), (view.shape().to_vec(), values.collect()))
        });
        Self {
            name,
            method: serde_json::from_str(&texts["method"]).expect("a method"),
            tensors: tensors.collect(),
        }
    }

    fn values(&self, key: &str) -> &[f32] {
        &self.tensors[key].1
    }

    fn tracked<const D: usize>(&self, key: &str) -> Tensor<A, D> {
        let (shape, values) = &self.tensors[key];
        let shape: [usize; D] = shape.as_slice().try_into().expect("the rank");
        tensor(values, shape).require_grad()
    }

    fn outputs(&self, who: &str) -> PriorOutputs<A> {
        PriorOutputs {
            loc: self.tracked(&format!("{who}_loc")),
            conf: self.tracked(&format!("{who}_conf")),
        }
    }

    fn maps(&self, who: &str) -> Vec<Tensor<A, 4>> {
        let keys = (0..3).map(|level| format!("{who}_map.{level}"));
        let there = keys.filter(|key| self.tensors.contains_key(key));
        there.map(|key| self.tracked(&key)).collect()
    }

    fn truths(&self) -> Vec<Vec<TruthBox>> {
        let mut rows = self.values("truths").chunks_exact(5).map(|t| TruthBox {
            bbox: BoundingBox::new(t[0], t[1], t[2], t[3]),
            class: t[4] as usize,
        });
        let counts = self.values("counts").iter();
        counts
            .map(|count| rows.by_ref().take(*count as usize).collect())
            .collect()
    }

    fn matcher(&self) -> PriorMatcher {
        let priors = self.values("priors").chunks_exact(4).map(|p| CenterBox {
            cx: p[0],
            cy: p[1],
            w: p[2],
            h: p[3],
        });
        PriorMatcher::new(priors.collect(), BoxCoder::SSD)
    }

    fn parts(&self) -> Parts<A> {
        let (student, teacher) = (self.outputs("student"), self.outputs("teacher"));
        let loss = MultiBoxLoss::default();
        Parts {
            student_maps: self.maps("student"),
            teacher_maps: self.maps("teacher"),
            per_cell: vec![2, 3, 2],
            ..Parts::new(student, teacher, self.truths(), self.matcher(), loss)
        }
    }

    #[track_caller]
    fn value_is(&self, key: &str, ours: &Tensor<A, 1>) {
        let (ours, theirs) = (ours.clone().into_scalar(), self.values(key)[0]);
        self.close(key, ours, theirs, theirs.abs().max(1.0));
    }

    /// The gradient is that of the fixture; where the fixture has none, it is missing or 0.
    #[track_caller]
    fn gradient_is<const D: usize>(&self, key: &str, ours: Option<Tensor<Flex, D>>) {
        let ours = ours.map(|g| g.into_data().iter::<f32>().collect::<Vec<_>>());
        let Some((_, theirs)) = self.tensors.get(key) else {
            let is_zero = ours.is_none_or(|g| g.iter().all(|v| *v == 0.0));
            assert!(is_zero, "{}: {key} is not 0", self.name);
            return;
        };
        let ours = ours.expect(key);
        assert_eq!(ours.len(), theirs.len(), "{}: {key}", self.name);
        let largest = theirs.iter().fold(FAINT, |most, g| most.max(g.abs()));
        for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            self.close(&format!("{key}[{place}]"), *ours, *theirs, largest);
        }
    }

    #[track_caller]
    fn close(&self, what: &str, ours: f32, theirs: f32, scale: f32) {
        assert!(
            ours.is_finite() && (ours - theirs).abs() <= TOLERANCE * scale,
            "{}: {what} is {ours}, not {theirs}",
            self.name
        );
    }
}

#[test]
fn values_and_gradients_agree_with_the_reference_and_the_teacher_gets_none() {
    for name in CASES {
        let case = Case::open(name);
        let parts = case.parts();
        let step = parts.step();
        case.method.check().expect("legal numbers");
        step.check(case.method.needs()).expect("a step that fits");
        let _turn = lock_autodiff();
        let terms = case.method.terms(&step);
        let wanted = case.tensors.keys().filter(|key| key.starts_with("term."));
        assert_eq!(terms.len(), wanted.count(), "{name}");
        for term in &terms {
            case.value_is(&format!("term.{}", term.name), &term.value);
        }
        let values = terms.into_iter().map(|term| term.value);
        let total = values.reduce(|sum, value| sum + value).expect("a term");
        let gradients = total.backward();
        case.gradient_is("grad_loc", parts.student.loc.grad(&gradients));
        case.gradient_is("grad_conf", parts.student.conf.grad(&gradients));
        for (level, map) in parts.student_maps.iter().enumerate() {
            case.gradient_is(&format!("grad_map.{level}"), map.grad(&gradients));
        }
        assert!(parts.teacher.loc.grad(&gradients).is_none(), "{name}");
        assert!(parts.teacher.conf.grad(&gradients).is_none(), "{name}");
        let mut maps = parts.teacher_maps.iter();
        assert!(maps.all(|m| m.grad(&gradients).is_none()), "{name}");
    }
}

#[test]
fn the_whole_loss_agrees_with_the_reference() {
    for name in CASES {
        let case = Case::open(name);
        let DistillMethod::Chen(loss) = case.method else {
            continue;
        };
        let (student, teacher) = (case.outputs("student"), case.outputs("teacher"));
        let (hard, matcher, truths) = (MultiBoxLoss::default(), case.matcher(), case.truths());
        let _turn = lock_autodiff();
        let terms = loss
            .forward(&hard, student.clone(), teacher.clone(), &matcher, &truths)
            .expect("legal");
        let MultiBoxKdTerms {
            soft,
            bounded,
            conf,
            loc,
            ..
        } = &terms;
        let total = loss.total(&terms);
        case.value_is("kd.soft", soft);
        case.value_is("kd.bounded", bounded);
        case.value_is("kd.conf", conf);
        case.value_is("kd.loc", loc);
        case.value_is("kd.total", &total);
        let gradients = total.backward();
        case.gradient_is("kd_grad_loc", student.loc.grad(&gradients));
        case.gradient_is("kd_grad_conf", student.conf.grad(&gradients));
        assert!(teacher.loc.grad(&gradients).is_none(), "{name}");
        assert!(teacher.conf.grad(&gradients).is_none(), "{name}");
        assert_eq!(terms.positives == 0, name == "chen_none");
    }
}

#[test]
fn a_run_of_weight_one_minimises_the_whole_loss() {
    for name in ["chen_article", "chen_warm"] {
        let case = Case::open(name);
        let (parts, taken) = (case.parts(), case.method.takes_over());
        let step = parts.step();
        let hard =
            step.hard.loc.clone() * (1.0 - taken.loc) + step.hard.conf.clone() * (1.0 - taken.conf);
        let terms = case.method.terms(&step).into_iter();
        let total = terms.fold(hard, |sum, term| sum + term.value);
        case.value_is("kd.total", &total);
    }
}

#[test]
fn the_losses_of_parts_of_a_batch_add_up_for_terms_over_the_positives() {
    for name in ["chen_article", "lad", "lad_crowd"] {
        let case = Case::open(name);
        let whole = case.parts();
        let matched = whole.step().matched.clone();
        let mut sums = HashMap::new();
        for image in 0..matched.batch() {
            let priors = whole.matcher.priors().len();
            let cut = |outputs: &PriorOutputs<A>| PriorOutputs {
                loc: outputs
                    .loc
                    .clone()
                    .slice([image..image + 1, 0..priors, 0..4]),
                conf: outputs
                    .conf
                    .clone()
                    .slice([image..image + 1, 0..priors, 0..4]),
            };
            let part = Parts::new(
                cut(&whole.student),
                cut(&whole.teacher),
                vec![whole.truths[image].clone()],
                whole.matcher.clone(),
                whole.loss,
            );
            let matched = matched.part(image..image + 1);
            let mut step = part.step();
            step.matched = &matched;
            for term in case.method.terms(&step) {
                *sums.entry(term.name).or_insert(0.0) += term.value.into_scalar();
            }
        }
        for term in case.method.terms(&whole.step()) {
            let whole = term.value.into_scalar();
            case.close(term.name, sums[term.name], whole, whole.max(1.0));
        }
    }
}
