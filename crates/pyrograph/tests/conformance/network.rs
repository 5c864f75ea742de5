//! The ContextUnet: forward passes, and one training step as `pyrograph-train` takes it.

use burn::{
    module::{AutodiffModule, Module, ModuleVisitor, Param},
    optim::{AdamConfig, GradientsParams, Optimizer},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use pyrograph::{
    backend::{Device, rng::host_tensor, vision::VisionAutodiff},
    diffusion::{ForwardNoise, NoiseSchedule, NoiseScheduleConfig},
    losses::DenoisingLoss,
    models::{
        blocks::BatchStatistics,
        context_unet::{ContextUnet, ContextUnetConfig, Residual},
    },
    train::{Ema, clip_global_norm},
};

use crate::{
    draw::Draw,
    rows::{Cause, Row, Rows, values},
};

const BATCH: usize = 3;
const TIMESTEPS: [usize; BATCH] = [1, 250, 500];
const SEED: u64 = 4;
const LEARNING_RATE: f64 = 1e-2;
/// Adam's first step is `g / (|g| + ε)`: with the usual 1e-8 it is the sign of the gradient, and the gradient of a bias
/// before a batch norm is zero, so its sign is that of a rounding error. This ε is above those and below the others.
const ADAM_EPSILON: f32 = 1e-3;
/// Below the norm of this step's gradients, so that clipping acts.
const CLIP_NORM: f64 = 0.25;
const EMA_DECAY: f64 = 0.995;

pub(crate) fn config() -> ContextUnetConfig {
    ContextUnetConfig {
        n_feat: 8,
        ..ContextUnetConfig::default()
    }
}

pub(crate) fn init<B: Backend>(config: &ContextUnetConfig, device: &B::Device) -> ContextUnet<B> {
    config.init(device, SEED).expect("the numbers are legal")
}

struct Inputs<A: AutodiffBackend> {
    images: Tensor<A, 4>,
    noise: Tensor<A, 4>,
    times: Tensor<A, 1>,
    contexts: Tensor<A, 2>,
}

pub(crate) fn add<A: VisionAutodiff>(rows: &mut Rows, device: &Device<A>) {
    let draw = &mut Draw::<A>::new(device, 10_000);
    let inputs = Inputs {
        images: draw.normal([BATCH, 3, 16, 16]) * 0.5,
        noise: draw.normal([BATCH, 3, 16, 16]),
        times: host_tensor(vec![0.002, 0.5, 1.0], [BATCH], device),
        contexts: host_tensor(
            [
                [1.0, 0.0, 0.0, 0.0, 0.0],
                [0.0; 5],
                [0.2, 0.3, 0.0, 0.5, 0.0],
            ]
            .concat(),
            [BATCH, 5],
            device,
        ),
    };
    let model = init::<A>(&config(), device);
    all_of(rows, "initial parameters", Cause::Exact, &model);
    forward(rows, &model, &inputs);

    let learned = init::<A>(
        &ContextUnetConfig {
            residual: Residual::Learned,
            ..config()
        },
        device,
    );
    let y = learned.valid().forward(
        inputs.noise.clone().inner(),
        inputs.times.clone().inner(),
        None,
    );
    rows.tensor("network", "with a learned shortcut", Cause::F32Model, y);

    let model = training_step(rows, model, &inputs);
    let Inputs {
        noise,
        times,
        contexts,
        ..
    } = inputs;
    let y = model
        .valid()
        .forward(noise.inner(), times.inner(), Some(contexts.inner()));
    rows.tensor("network", "after a training step", Cause::F32Model, y);
}

/// Eval mode: outputs, and the gradient of the input through the running statistics.
fn forward<A: VisionAutodiff>(rows: &mut Rows, model: &ContextUnet<A>, inputs: &Inputs<A>) {
    let valid = model.valid();
    let Inputs {
        noise,
        times,
        contexts,
        ..
    } = inputs;
    let (x, t, c) = (
        noise.clone().inner(),
        times.clone().inner(),
        contexts.clone().inner(),
    );
    let mut add = |name, y| rows.tensor("network", name, Cause::F32Model, y);
    add(
        "forward",
        valid.forward(x.clone(), t.clone(), Some(c.clone())),
    );
    add("without context", valid.forward(x.clone(), t.clone(), None));
    add(
        "one time for all",
        valid.forward(x, t.narrow(0, 1, 1), Some(c)),
    );

    let x = noise.clone().require_grad();
    let y = model.forward(x.clone(), times.clone(), Some(contexts.clone()));
    let gradients = (y * inputs.images.clone()).sum().backward();
    let gradient = x.grad(&gradients).expect("the input is tracked");
    rows.tensor("network input gradient", "x", Cause::F32Gradient, gradient);
}

fn training_step<A: VisionAutodiff>(
    rows: &mut Rows,
    model: ContextUnet<A>,
    inputs: &Inputs<A>,
) -> ContextUnet<A> {
    let schedule =
        NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("the course's schedule is legal");
    let Inputs {
        images,
        noise,
        times,
        contexts,
    } = inputs;
    let noisy = schedule
        .add_noise(
            images.clone(),
            noise.clone(),
            &TIMESTEPS,
            ForwardNoise::Standard,
        )
        .expect("a timestep for each item");
    rows.tensor("add_noise", "x_t", Cause::F32Op, noisy.clone().inner());

    let mut statistics = BatchStatistics::new();
    let y = model.forward_training(
        noisy,
        times.clone(),
        Some(contexts.clone()),
        &mut statistics,
    );
    rows.tensor(
        "training step",
        "output",
        Cause::F32Model,
        y.clone().inner(),
    );
    let loss = DenoisingLoss::uniform()
        .forward(y, noise.clone())
        .expect("equal shapes");
    rows.tensor(
        "training step",
        "loss",
        Cause::F32Model,
        loss.clone().inner(),
    );

    let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
    parameter_gradients(rows, &model, &gradients);
    let norm = clip_global_norm(&model, &mut gradients, CLIP_NORM).expect("there are gradients");
    assert!(
        values(norm.clone())[0] > CLIP_NORM,
        "clipping does not act on {norm}"
    );
    rows.tensor("training step", "gradient norm", Cause::F32Gradient, norm);

    let mut ema = Ema::new(model.valid(), EMA_DECAY, 0);
    let mut optimizer = AdamConfig::new().with_epsilon(ADAM_EPSILON).init();
    let model = statistics.update(optimizer.step(LEARNING_RATE, model, gradients));
    ema.update(&model.valid());
    all_of(rows, "parameters after Adam", Cause::F32Model, &model);
    all_of(rows, "moving average", Cause::F32Model, ema.model());
    model
}

/// Parameters and running statistics.
fn all_of<B: Backend, M: Module<B>>(rows: &mut Rows, line: &str, cause: Cause, module: &M) {
    let mut named = Named {
        path: Vec::new(),
        found: Vec::new(),
        gradients: &(),
    };
    module.visit(&mut named);
    for (name, values) in named.found {
        rows.push(Row {
            line: line.into(),
            name,
            cause,
            values,
            beside: None,
        });
    }
}

fn parameter_gradients<A: VisionAutodiff>(
    rows: &mut Rows,
    model: &ContextUnet<A>,
    gradients: &GradientsParams,
) {
    let mut named = Named {
        path: Vec::new(),
        found: Vec::new(),
        gradients,
    };
    model.visit(&mut named);
    for (name, values) in named.found {
        // A norm takes the mean of its channel away, so a bias before it has no gradient but rounding. The group norm of
        // the head has as many groups as channels at this width.
        let before_norm = name.ends_with(".conv.bias") || name == "out.conv1.bias";
        let beside = before_norm.then(|| name.replace("bias", "weight"));
        let line = "parameter gradients".into();
        rows.push(Row {
            line,
            name,
            cause: Cause::F32Gradient,
            values,
            beside,
        });
    }
}

/// The tensors of a module by field path: the values, or with `gradients` those of the trained ones.
struct Named<'a, G> {
    path: Vec<String>,
    found: Vec<(String, Vec<f64>)>,
    gradients: &'a G,
}

impl<B: Backend> ModuleVisitor<B> for Named<'_, ()> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.found.push((self.path.join("."), values(param.val())));
    }
}

impl<A: AutodiffBackend> ModuleVisitor<A> for Named<'_, GradientsParams> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if param.val().is_require_grad() {
            let name = self.path.join(".");
            let gradient = self.gradients.get::<A::InnerBackend, D>(param.id);
            let gradient = gradient.unwrap_or_else(|| panic!("{name} has no gradient"));
            self.found.push((name, values(gradient)));
        }
    }
}
