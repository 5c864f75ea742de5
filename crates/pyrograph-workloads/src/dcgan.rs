//! The steps of the anomaly job, as `pyrograph-train` and `pyrograph-pipelines` take them.

use burn::{
    module::{AutodiffModule, Module},
    optim::{AdamConfig, GradientsParams, Optimizer},
    tensor::{DType, Tensor},
};
use pyrograph_backend::{
    Device, lock_autodiff,
    rng::{NoiseKey, Purpose},
    vision::{PreparedWeights, VisionAutodiff},
};
use pyrograph_losses::{AdversarialLoss, AnomalyScore};
use pyrograph_models::{
    blocks::BatchStatistics,
    dcgan::{DcganConfig, Discriminator, Generator},
};

use crate::{
    Workload,
    half::{in_type, types},
};

/// Those of `benches/pytorch/dcgan.py`.
const GENERATE_BATCH: usize = 32;
const TRAIN_BATCH: usize = 128;
const SEARCH_BATCHES: [usize; 2] = [5, 32];
/// Those of `DcganTraining::article`.
const RATES: [f64; 2] = [1e-4, 4e-4];
const BETAS: [f32; 2] = [0.0, 0.9];
const ADAM_EPSILON: f32 = 1e-8;
/// Those of the search.
const SEARCH_RATE: f64 = 0.05;
const SEARCH_BETAS: [f64; 2] = [0.9, 0.999];

pub(crate) fn all<A: VisionAutodiff>(device: &Device<A>) -> Vec<Workload> {
    let train = format!("dcgan/train_step/b{TRAIN_BATCH}");
    let images = types::<A>(device).into_iter().map(|(kind, dtype)| {
        let name = format!("dcgan/generate{kind}/b{GENERATE_BATCH}");
        Workload::new::<A, _>(name, device, move |device| generate::<A>(dtype, device))
    });
    let mut list: Vec<_> = images.collect();
    list.push(Workload::new::<A, _>(train, device, train_step::<A>));
    list.extend(SEARCH_BATCHES.map(|batch| {
        let name = format!("anogan/search_step/b{batch}");
        Workload::new::<A, _>(name, device, move |device| search_step::<A>(batch, device))
    }));
    list
}

fn images<A: VisionAutodiff>(batch: usize, device: &Device<A>) -> Tensor<A, 4> {
    let side = DcganConfig::default().side();
    let key = NoiseKey::new(0, Purpose::Other, 0);
    key.normal_tensor::<A, 4>(0, [batch, 1, side, side], device)
        .tanh()
}

fn latents<A: VisionAutodiff>(batch: usize, draw: u64, device: &Device<A>) -> Tensor<A, 2> {
    let z_dim = DcganConfig::default().z_dim;
    NoiseKey::new(0, Purpose::Latent, draw).normal_tensor(0, [batch, z_dim], device)
}

fn networks<A: VisionAutodiff>(device: &Device<A>) -> (Generator<A>, Discriminator<A>) {
    let networks = DcganConfig::default()
        .init(device, 0)
        .expect("the reference's numbers are legal");
    (networks.generator, networks.discriminator)
}

/// 32 images of the generator, without gradients.
fn generate<A: VisionAutodiff>(dtype: DType, device: &Device<A>) -> impl FnMut() + use<A> {
    let generator = in_type(networks::<A>(device).0.valid(), dtype);
    let z = latents::<A>(GENERATE_BATCH, 0, device).inner();
    let prepared = PreparedWeights::of(&generator);
    move || {
        let _ = &prepared;
        drop(generator.forward(z.clone()));
    }
}

/// One step of each network on 128 images: cross-entropy, batch norms, two Adams, running statistics.
fn train_step<A: VisionAutodiff>(device: &Device<A>) -> impl FnMut() + use<A> {
    let real = images::<A>(TRAIN_BATCH, device);
    let adam = || {
        AdamConfig::new()
            .with_beta_1(BETAS[0])
            .with_beta_2(BETAS[1])
            .with_epsilon(ADAM_EPSILON)
    };
    let (mut of_generator, mut of_discriminator) = (adam().init(), adam().init());
    let mut both = Some(networks::<A>(device));
    let (mut draws, device) = (0, device.clone());
    move || {
        let Some((generator, discriminator)) = both.take() else {
            unreachable!("every step puts the networks back")
        };
        draws += 1;
        let turn = lock_autodiff();
        let (mut by_generator, mut seen) = (BatchStatistics::new(), BatchStatistics::new());
        let z = latents::<A>(TRAIN_BATCH, draws, &device);
        let fake = generator.forward_training(z, &mut by_generator);
        let judged = discriminator
            .forward_training(real.clone(), &mut seen)
            .logit;
        let found = discriminator.forward_training(fake.clone().detach(), &mut seen);
        let loss = AdversarialLoss::Bce
            .discriminator(judged, found.logit, 1.0)
            .expect("a legal label");
        let gradients = GradientsParams::from_grads(loss.backward(), &discriminator);
        let stepped = of_discriminator.step(RATES[1], discriminator, gradients);
        let discriminator = seen.update(stepped);

        let mut seen = BatchStatistics::new();
        let judge = discriminator.clone().no_grad();
        let loss = AdversarialLoss::Bce.generator(judge.forward_training(fake, &mut seen).logit);
        let gradients = GradientsParams::from_grads(loss.backward(), &generator);
        drop(turn);
        let stepped = of_generator.step(RATES[0], generator, gradients);
        both = Some((by_generator.update(stepped), seen.update(discriminator)));
    }
}

/// One step of Adam on the latent vectors of `batch` images, the networks frozen; without the note of the best vectors so far.
fn search_step<A: VisionAutodiff>(batch: usize, device: &Device<A>) -> impl FnMut() + use<A> {
    let (generator, discriminator) = networks::<A>(device);
    let (generator, discriminator) = (generator.valid().frozen(), discriminator.valid().frozen());
    let x = images::<A>(batch, device);
    let features = discriminator.features(x.clone().inner());
    let generator = Generator::<A>::from_inner(generator).no_grad();
    let discriminator = Discriminator::<A>::from_inner(discriminator).no_grad();
    let mut z = latents::<A>(batch, 0, device).inner();
    let (mut mean, mut square) = (z.zeros_like(), z.zeros_like());
    let mut steps = 0;
    move || {
        steps += 1;
        let turn = lock_autodiff();
        let tracked = Tensor::<A, 2>::from_inner(z.clone()).require_grad();
        let twin = generator.forward(tracked.clone());
        let found = discriminator.features(twin.clone());
        let known = Tensor::from_inner(features.clone());
        let parts = AnomalyScore::default()
            .forward(x.clone(), twin, known, found)
            .expect("equal shapes");
        let gradients = parts.score.sum().backward();
        drop(turn);
        let slopes = tracked.grad(&gradients).expect("tracked");
        let [b1, b2] = SEARCH_BETAS;
        mean = mean.clone() * b1 + slopes.clone() * (1.0 - b1);
        square = square.clone() * b2 + slopes.square() * (1.0 - b2);
        let correction = |b: f64| 1.0 - b.powi(steps);
        let size = (square.clone() / correction(b2)).sqrt() + f64::from(ADAM_EPSILON);
        z = z.clone() - mean.clone() / correction(b1) / size * SEARCH_RATE;
    }
}
