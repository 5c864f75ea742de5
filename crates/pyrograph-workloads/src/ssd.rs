//! The steps of the detection job, as `pyrograph-train` takes them.

use burn::{
    module::AutodiffModule,
    optim::{
        GradientsParams, Optimizer, SgdConfig, decay::WeightDecayConfig, momentum::MomentumConfig,
    },
    tensor::{DType, Tensor},
};
use pyrograph_backend::{
    Device, lock_autodiff,
    rng::{NoiseKey, Purpose},
    vision::{PreparedWeights, VisionAutodiff},
};
use pyrograph_losses::{MultiBoxLoss, PriorMatcher, TruthBox};
use pyrograph_models::ssd::{Ssd, SsdConfig};
use pyrograph_vision::{BoundingBox, DetectOptions, postprocess};

use crate::{
    Workload,
    half::{in_type, types},
};

/// Those of `benches/pytorch/ssd.py`.
const CLASSES: usize = 21;
const OBJECTS: usize = 5;
const FORWARD_BATCHES: [usize; 2] = [1, 4];
const TRAIN_BATCH: usize = 4;
const RATE: f64 = 1e-3;
const MOMENTUM: f64 = 0.9;
const WEIGHT_DECAY: f32 = 5e-4;

pub(crate) fn all<A: VisionAutodiff>(device: &Device<A>) -> Vec<Workload> {
    let mut list = Vec::new();
    for (kind, dtype) in types::<A>(device) {
        list.extend(FORWARD_BATCHES.map(|batch| {
            let name = format!("ssd/forward{kind}/b{batch}");
            let pass = move |device: &Device<A>| forward::<A>(batch, dtype, device);
            Workload::new::<A, _>(name, device, pass)
        }));
    }
    let step = format!("ssd/train_step/b{TRAIN_BATCH}");
    list.push(Workload::new::<A, _>(step, device, train_step::<A>));
    let loss = format!("ssd/loss/b{TRAIN_BATCH}");
    list.push(Workload::new::<A, _>(loss, device, loss_alone::<A>));
    // What a trained detector says of most priors is background; of a fresh one every class of every prior is a candidate.
    for (name, background) in [
        ("ssd/postprocess/8732x21", 8.0),
        ("ssd/postprocess-fresh/8732x21", 0.0),
    ] {
        list.push(Workload::new::<A, _>(name, device, move |_| {
            post_processing(background)
        }));
    }
    list
}

fn network<A: VisionAutodiff>(device: &Device<A>) -> Ssd<A> {
    SsdConfig::vgg16(CLASSES)
        .init(device, 0)
        .expect("the reference's numbers are legal")
}

fn images<A: VisionAutodiff>(batch: usize, device: &Device<A>) -> Tensor<A, 4> {
    let key = NoiseKey::new(0, Purpose::Other, 0);
    key.normal_tensor::<A, 4>(0, [batch, 3, 300, 300], device)
}

fn matcher() -> PriorMatcher {
    let config = SsdConfig::vgg16(CLASSES);
    let priors = config.prior_boxes().expect("a table");
    PriorMatcher::new(priors, config.prior_config().coder())
}

/// Objects of a twentieth to a quarter of the image.
fn objects() -> Vec<Vec<TruthBox>> {
    let shares = NoiseKey::new(0, Purpose::Other, 1).uniform(0, TRAIN_BATCH * OBJECTS * 4);
    let boxes: Vec<TruthBox> = shares
        .chunks_exact(4)
        .enumerate()
        .map(|(place, s)| {
            let (x, y) = (s[0] * 0.5, s[1] * 0.5);
            TruthBox {
                bbox: BoundingBox::new(x, y, x + 0.1 + s[2] * 0.4, y + 0.1 + s[3] * 0.4),
                class: place % (CLASSES - 1),
            }
        })
        .collect();
    boxes.chunks_exact(OBJECTS).map(<[_]>::to_vec).collect()
}

/// A pass of the published network, without gradients.
fn forward<A: VisionAutodiff>(
    batch: usize,
    dtype: DType,
    device: &Device<A>,
) -> impl FnMut() + use<A> {
    let (network, x) = (
        in_type(network::<A>(device).valid(), dtype),
        images::<A>(batch, device).inner(),
    );
    let prepared = PreparedWeights::of(&network);
    move || {
        let _ = &prepared;
        drop(network.forward(x.clone()));
    }
}

/// Forward, matching, loss, backward, and a step of SGD with momentum and weight decay.
fn train_step<A: VisionAutodiff>(device: &Device<A>) -> impl FnMut() + use<A> {
    let (mut network, x) = (Some(network::<A>(device)), images::<A>(TRAIN_BATCH, device));
    let (matcher, truths) = (matcher(), objects());
    let momentum = MomentumConfig {
        momentum: MOMENTUM,
        dampening: 0.0,
        nesterov: false,
    };
    let mut sgd = SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(WeightDecayConfig::new(WEIGHT_DECAY)))
        .init();
    move || {
        let Some(before) = network.take() else {
            unreachable!("every step puts the network back")
        };
        let turn = lock_autodiff();
        let output = before.forward(x.clone());
        let terms = MultiBoxLoss::default()
            .forward(output.loc, output.conf, &matcher, &truths)
            .expect("shapes that agree");
        let gradients = terms.total().backward();
        let gradients = GradientsParams::from_grads(gradients, &before);
        drop(turn);
        network = Some(sgd.step(RATE, before, gradients));
    }
}

/// Matching, mining, both terms and their gradients alone: what of a training step is not the network's.
fn loss_alone<A: VisionAutodiff>(device: &Device<A>) -> impl FnMut() + use<A> {
    let (matcher, truths) = (matcher(), objects());
    let priors = matcher.priors().len();
    let key = NoiseKey::new(0, Purpose::Other, 2);
    let loc = key.normal_tensor::<A, 3>(0, [TRAIN_BATCH, priors, 4], device);
    let conf = key.normal_tensor::<A, 3>(0, [TRAIN_BATCH, priors, CLASSES], device);
    let (loc, conf) = (loc.inner(), conf.inner());
    move || {
        let tracked = |tensor: &Tensor<A::InnerBackend, 3>| {
            Tensor::<A, 3>::from_inner(tensor.clone()).require_grad()
        };
        let turn = lock_autodiff();
        let (loc, conf) = (tracked(&loc), tracked(&conf));
        let terms = MultiBoxLoss::default()
            .forward(loc.clone(), conf.clone(), &matcher, &truths)
            .expect("shapes that agree");
        let gradients = terms.total().backward();
        drop(turn);
        drop((loc.grad(&gradients), conf.grad(&gradients)));
    }
}

/// Softmax, decoding, the best of each class, suppression, for one image on the host; `background` is added to the first logit.
fn post_processing(background: f32) -> impl FnMut() {
    let matcher = matcher();
    let priors = matcher.priors().to_vec();
    let loc = NoiseKey::new(0, Purpose::Other, 3).normal(0, priors.len() * 4);
    let mut conf = NoiseKey::new(0, Purpose::Other, 4).normal(0, priors.len() * CLASSES);
    for row in conf.chunks_exact_mut(CLASSES) {
        // Logits of a deviation of 2, and the background's lead.
        row.iter_mut().for_each(|logit| *logit *= 2.0);
        row[0] += background;
    }
    let coder = SsdConfig::vgg16(CLASSES).prior_config().coder();
    let options = DetectOptions::default();
    move || {
        let found = postprocess(&loc, &conf, &priors, &coder, &options);
        drop(found.expect("outputs that fit"));
    }
}
