//! The walk of one request over a plan.

use std::collections::VecDeque;
use std::sync::Arc;

use burn::tensor::{DType, Tensor, backend::Backend};

use super::SamplerPlan;
use super::build::Call;
use super::coefficients::Update;
use crate::DiffusionError;
use crate::ops::{dynamic_threshold, in_dtype, require_shape, weighted_sum, widened};

/// The state of one request: a plan, the position in it, the sample, and the history of multistep
/// samplers.
///
/// A loop takes the network's next input from the walk and passes the output back. Walks of several
/// requests may be at different calls of different plans; a server concatenates their inputs into
/// one batch.
///
/// ```
/// # mod pyrograph {
/// #     pub use burn;
/// #     pub mod backend { pub use burn_flex::Flex; }
/// #     pub use pyrograph_diffusion as diffusion;
/// # }
/// use std::sync::Arc;
/// use pyrograph::burn::tensor::Tensor;
/// use pyrograph::diffusion::{NoiseSchedule, NoiseScheduleConfig, SamplerPlan, SchedulerName, Walk};
/// # type B = pyrograph::backend::Flex;
/// # fn network(x: Tensor<B, 4>, timestep: f64) -> Tensor<B, 4> { x * (timestep / 1000.0) }
///
/// let schedule = NoiseSchedule::new(&NoiseScheduleConfig::stable_diffusion())?;
/// let plan = Arc::new(SamplerPlan::new(&schedule, &SchedulerName::Heun.config(10))?);
/// let mut walk = Walk::from_noise(plan, Tensor::<B, 4>::ones([1, 4, 8, 8], &Default::default()));
/// while let Some((input, timestep)) = walk.input() {
///     let noise = walk.needs_noise().then(|| input.ones_like());
///     let output = network(input, timestep);
///     walk.absorb(output, noise)?;
/// }
/// let image = walk.into_sample();
/// # assert_eq!(image.dims(), [1, 4, 8, 8]);
/// # Ok::<(), pyrograph::diffusion::DiffusionError>(())
/// ```
///
/// Half-precision samples are stepped in f32 and returned in their own type. Nothing is read from
/// the device.
#[derive(Clone, Debug)]
pub struct Walk<B: Backend, const D: usize = 4> {
    plan: Arc<SamplerPlan>,
    position: usize,
    /// In at least single precision.
    sample: Tensor<B, D>,
    /// The type in which samples come and go.
    dtype: DType,
    /// Recorded predictions, newest first.
    history: VecDeque<Tensor<B, D>>,
    /// The sample kept by an earlier call.
    base: Option<Tensor<B, D>>,
    depth: usize,
}

impl<B: Backend, const D: usize> Walk<B, D> {
    /// A walk from a sample at the noise level of the plan's first call.
    ///
    /// # Shapes
    /// `start`: `[batch, …]`, as every tensor of the walk.
    pub fn new(plan: Arc<SamplerPlan>, start: Tensor<B, D>) -> Self {
        let updates = plan.calls.iter().flat_map(Call::updates);
        let depth = updates.map(Update::depth).max().unwrap_or(0);
        let dtype = start.dtype();
        Self {
            plan,
            position: 0,
            sample: widened(start),
            dtype,
            history: VecDeque::with_capacity(depth),
            base: None,
            depth,
        }
    }

    /// A walk from standard normal noise, which is multiplied by the plan's
    /// [`init_noise_sigma`](SamplerPlan::init_noise_sigma).
    ///
    /// # Shapes
    /// `noise`: `[batch, …]`.
    pub fn from_noise(plan: Arc<SamplerPlan>, noise: Tensor<B, D>) -> Self {
        let sigma = plan.init_noise_sigma();
        if sigma == 1.0 {
            return Self::new(plan, noise);
        }
        let dtype = noise.dtype();
        let mut walk = Self::new(plan, widened(noise).mul_scalar(sigma));
        walk.dtype = dtype;
        walk
    }

    /// A walk from a clean sample with noise added as the plan's first call expects it
    /// (image-to-image, after [`SamplerPlan::with_strength`]). A plan without calls leaves it clean.
    ///
    /// # Shapes
    /// `x0`, `noise`: `[batch, …]`, equal.
    ///
    /// # Errors
    /// [`DiffusionError::Shape`] where `noise` differs.
    pub fn from_sample(
        plan: Arc<SamplerPlan>,
        x0: Tensor<B, D>,
        noise: Tensor<B, D>,
    ) -> Result<Self, DiffusionError> {
        require_shape("noise", &noise, &x0)?;
        if plan.is_empty() {
            return Ok(Self::new(plan, x0));
        }
        let dtype = x0.dtype();
        let start = plan.add_noise(0, widened(x0), widened(noise))?;
        let mut walk = Self::new(plan, start);
        walk.dtype = dtype;
        Ok(walk)
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<SamplerPlan> {
        &self.plan
    }

    /// The number of network calls made.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether every call has been made.
    pub fn is_done(&self) -> bool {
        self.position == self.plan.len()
    }

    /// The network's next input and its timestep; `None` at the end.
    ///
    /// # Shapes
    /// The input is `[batch, …]`, as the sample.
    pub fn input(&self) -> Option<(Tensor<B, D>, f64)> {
        let call = self.plan.calls.get(self.position)?;
        let input = match call.input_scale {
            1.0 => self.sample.clone(),
            scale => self.sample.clone().mul_scalar(scale),
        };
        Some((in_dtype(input, self.dtype), call.timestep))
    }

    /// Whether the next [`absorb`](Self::absorb) needs noise; false at the end.
    pub fn needs_noise(&self) -> bool {
        !self.is_done() && self.plan.needs_noise(self.position)
    }

    /// The current sample `x_t`.
    ///
    /// # Shapes
    /// `[batch, …]`
    pub fn sample(&self) -> Tensor<B, D> {
        in_dtype(self.sample.clone(), self.dtype)
    }

    /// The sample, at the end of the walk.
    ///
    /// # Shapes
    /// `[batch, …]`
    pub fn into_sample(self) -> Tensor<B, D> {
        in_dtype(self.sample, self.dtype)
    }

    /// Replaces the sample by another one of the same noise level, as inpainting does for the known
    /// part of a picture (see [`SamplerPlan::add_noise`]).
    ///
    /// # Shapes
    /// `sample`: as the walk's own.
    ///
    /// # Errors
    /// [`DiffusionError::Shape`] for another shape.
    pub fn replace_sample(&mut self, sample: Tensor<B, D>) -> Result<(), DiffusionError> {
        require_shape("the sample", &sample, &self.sample)?;
        self.sample = in_dtype(widened(sample), self.sample.dtype());
        Ok(())
    }

    /// The clean sample `x_0` that an output for the current [`input`](Self::input) implies,
    /// clipped if so configured. It serves as a preview, before [`absorb`](Self::absorb) takes the
    /// output.
    ///
    /// # Shapes
    /// `output` and the result: as the sample.
    ///
    /// # Errors
    /// [`DiffusionError::WalkDone`] at the end, [`DiffusionError::Shape`].
    pub fn predict_x0(&self, output: Tensor<B, D>) -> Result<Tensor<B, D>, DiffusionError> {
        let call = self.call()?;
        require_shape("the network's output", &output, &self.sample)?;
        let output = in_dtype(output, self.sample.dtype());
        Ok(in_dtype(self.bounded_x0(call, output), self.dtype))
    }

    /// Takes the network's output for the current [`input`](Self::input), and moves to the next call.
    ///
    /// `output` is `ε̂`, `x̂_0` or `v̂` as the plan's prediction type says; `noise` is standard
    /// normal, and ignored if [`needs_noise`](Self::needs_noise) is false.
    ///
    /// # Shapes
    /// `output`, `noise`: as the sample.
    ///
    /// # Errors
    /// [`DiffusionError::WalkDone`] at the end, [`DiffusionError::MissingNoise`],
    /// [`DiffusionError::Shape`]. The walk is then unchanged.
    pub fn absorb(
        &mut self,
        output: Tensor<B, D>,
        noise: Option<Tensor<B, D>>,
    ) -> Result<(), DiffusionError> {
        let plan = self.plan.clone();
        let call = self.call()?;
        require_shape("the network's output", &output, &self.sample)?;
        let noise = noise.filter(|_| self.needs_noise());
        match &noise {
            Some(noise) => require_shape("noise", noise, &self.sample)?,
            None if self.needs_noise() => {
                return Err(DiffusionError::MissingNoise {
                    step: self.position,
                });
            }
            None => {}
        }
        let dtype = self.sample.dtype();
        let model = in_dtype(output, dtype);
        let needs_x0 = call.updates().any(Update::needs_x0);
        let tensors = Tensors {
            x0: needs_x0.then(|| self.bounded_x0(call, model.clone())),
            model,
            noise: noise.map(|noise| in_dtype(noise, dtype)),
        };
        let next = self.sum(&call.next, &tensors);
        let kept = call.keep.as_ref().map(|update| self.sum(update, &tensors));
        let recorded = call
            .record
            .as_ref()
            .map(|update| self.sum(update, &tensors));

        self.sample = next;
        self.base = kept.or(self.base.take());
        if let Some(recorded) = recorded {
            self.history.push_front(recorded);
            self.history.truncate(self.depth);
        }
        self.position += 1;
        if self.position == plan.len() {
            self.history.clear();
            self.base = None;
        }
        Ok(())
    }

    fn call(&self) -> Result<&Call, DiffusionError> {
        let end = DiffusionError::WalkDone {
            calls: self.plan.len(),
        };
        self.plan.calls.get(self.position).ok_or(end)
    }

    /// `x_0` as the network's output implies it, clipped or thresholded.
    fn bounded_x0(&self, call: &Call, model: Tensor<B, D>) -> Tensor<B, D> {
        let blend = call.prediction.x0;
        let sample = (blend.sample, self.sample.clone());
        let x0 = weighted_sum(sample, [(blend.model, model)]);
        let config = self.plan.config();
        match (config.thresholding, config.clip_sample) {
            (Some(thresholding), _) => dynamic_threshold(x0, thresholding),
            (None, Some(range)) => x0.clamp(-range, range),
            (None, None) => x0,
        }
    }

    fn sum(&self, update: &Update, tensors: &Tensors<B, D>) -> Tensor<B, D> {
        let past = update
            .history
            .iter()
            .map(|&(age, weight)| (weight, self.history.get(age)));
        let rest = [
            (update.model, Some(&tensors.model)),
            (update.x0, tensors.x0.as_ref()),
        ]
        .into_iter()
        .chain(past)
        .chain([
            (update.base, self.base.as_ref()),
            (update.noise, tensors.noise.as_ref()),
        ]);
        let present = rest.filter_map(|(weight, tensor)| Some((weight, tensor?.clone())));
        weighted_sum((update.sample, self.sample.clone()), present)
    }
}

/// The tensors of one call, in one precision.
struct Tensors<B: Backend, const D: usize> {
    model: Tensor<B, D>,
    x0: Option<Tensor<B, D>>,
    noise: Option<Tensor<B, D>>,
}
