//! One step of a plan on tensors, and what a request carries from step to step.

use burn::tensor::{Tensor, backend::Backend};

use super::SamplerPlan;
use super::build::Point;
use super::coefficients::Update;
use crate::DiffusionError;
use crate::ops::{in_dtype, require_shape, weighted_sum, widened};

/// What one request carries from step to step: its position, and for multistep solvers the `x_0`
/// predicted by the step before.
///
/// Every request takes a fresh one. A state kept for a second image would start it at second order
/// on the first image's prediction; [`SamplerPlan::step`] refuses that as out of order.
#[derive(Clone, Debug)]
pub struct SamplerState<B: Backend, const D: usize> {
    /// The step that must come next; any may come first.
    next: Option<usize>,
    history: Option<Tensor<B, D>>,
}

impl<B: Backend, const D: usize> SamplerState<B, D> {
    /// The state of a request that has taken no step.
    pub fn new() -> Self {
        Self {
            next: None,
            history: None,
        }
    }
}

impl<B: Backend, const D: usize> Default for SamplerState<B, D> {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`SamplerPlan::step`] yields.
#[derive(Clone, Debug)]
pub struct StepOutput<B: Backend, const D: usize> {
    /// The sample `x_t'` at the next, lower noise level.
    pub prev_sample: Tensor<B, D>,
    /// The clean sample `x_0` as predicted at this step, clipped where that is configured. It serves
    /// as a preview.
    pub pred_original_sample: Tensor<B, D>,
}

impl SamplerPlan {
    /// Takes step `i`: from `sample` and what the network said of it to the next sample.
    ///
    /// | variable | symbol |
    /// | --- | --- |
    /// | `sample` | `x_t` |
    /// | `model_output` | `ε̂`, `x̂_0` or `v̂`, as [`SamplerConfig::prediction_type`] says |
    /// | `noise` | `z ~ N(0, I)` |
    /// | `prev_sample` | `x_t'` |
    /// | `pred_original_sample` | `x̂_0` |
    ///
    /// Half-precision tensors are stepped in f32; the outputs are in `sample`'s precision. Nothing
    /// is read from the device. Steps follow one another in order, beginning anywhere. `noise` is
    /// ignored where [`needs_noise`](Self::needs_noise) is false.
    ///
    /// # Shapes
    /// `sample`, `model_output`, `noise` and both outputs are equal in shape.
    ///
    /// # Errors
    /// [`DiffusionError::StepOutOfRange`], [`DiffusionError::StepOutOfOrder`] for a state that
    /// expects another step, [`DiffusionError::MissingNoise`], [`DiffusionError::Shape`]. The state
    /// is then unchanged.
    ///
    /// [`SamplerConfig::prediction_type`]: super::SamplerConfig::prediction_type
    pub fn step<B: Backend, const D: usize>(
        &self,
        i: usize,
        sample: Tensor<B, D>,
        model_output: Tensor<B, D>,
        state: &mut SamplerState<B, D>,
        noise: Option<Tensor<B, D>>,
    ) -> Result<StepOutput<B, D>, DiffusionError> {
        let dtype = sample.dtype();
        let point = self.point(i)?;
        let inputs = point.inputs(i, sample, model_output, state, noise)?;
        let x0 = self.predict_x0(point, &inputs);
        let prev_sample = point.update(&mut state.history, inputs, Some(x0.clone()));
        self.move_on(state, i, Some(x0.clone()));
        Ok(StepOutput {
            prev_sample: in_dtype(prev_sample, dtype),
            pred_original_sample: in_dtype(x0, dtype),
        })
    }

    /// [`step`](Self::step) without the predicted `x_0`, which is then computed only where the
    /// sampler itself needs it (clipping, multistep history). A DDIM step is three tensor
    /// operations this way.
    ///
    /// # Shapes
    /// Those of [`step`](Self::step).
    ///
    /// # Errors
    /// Those of [`step`](Self::step).
    pub fn advance<B: Backend, const D: usize>(
        &self,
        i: usize,
        sample: Tensor<B, D>,
        model_output: Tensor<B, D>,
        state: &mut SamplerState<B, D>,
        noise: Option<Tensor<B, D>>,
    ) -> Result<Tensor<B, D>, DiffusionError> {
        let dtype = sample.dtype();
        let point = self.point(i)?;
        let inputs = point.inputs(i, sample, model_output, state, noise)?;
        let needs_x0 = self.multistep || self.clip_sample.is_some();
        let x0 = needs_x0.then(|| self.predict_x0(point, &inputs));
        let prev_sample = point.update(&mut state.history, inputs, x0.clone());
        self.move_on(state, i, x0);
        Ok(in_dtype(prev_sample, dtype))
    }

    /// `x_0` as the network's output implies it.
    fn predict_x0<B: Backend, const D: usize>(
        &self,
        point: &Point,
        inputs: &Inputs<B, D>,
    ) -> Tensor<B, D> {
        let blend = point.prediction.x0;
        let Inputs {
            sample,
            model_output,
            ..
        } = inputs;
        let model_term = (blend.model, model_output.clone());
        let x0 = weighted_sum((blend.sample, sample.clone()), [model_term]);
        match self.clip_sample {
            Some(range) => x0.clamp(-range, range),
            None => x0,
        }
    }

    fn move_on<B: Backend, const D: usize>(
        &self,
        state: &mut SamplerState<B, D>,
        i: usize,
        x0: Option<Tensor<B, D>>,
    ) {
        state.next = Some(i + 1);
        state.history = x0.filter(|_| self.multistep && i + 1 < self.len());
    }
}

/// The tensors of a step, checked and in one precision.
struct Inputs<B: Backend, const D: usize> {
    sample: Tensor<B, D>,
    model_output: Tensor<B, D>,
    noise: Option<Tensor<B, D>>,
}

impl Point {
    /// Checks everything before anything is computed.
    fn inputs<B: Backend, const D: usize>(
        &self,
        i: usize,
        sample: Tensor<B, D>,
        model_output: Tensor<B, D>,
        state: &SamplerState<B, D>,
        noise: Option<Tensor<B, D>>,
    ) -> Result<Inputs<B, D>, DiffusionError> {
        if let Some(expected) = state.next
            && expected != i
        {
            return Err(DiffusionError::StepOutOfOrder { seen: i, expected });
        }
        require_shape("model_output", &model_output, &sample)?;
        if let Some(history) = &state.history {
            require_shape("the state of the step before", history, &sample)?;
        }
        let noise = noise.filter(|_| self.update.noise != 0.0);
        match &noise {
            Some(noise) => require_shape("noise", noise, &sample)?,
            None if self.update.noise != 0.0 => {
                return Err(DiffusionError::MissingNoise { step: i });
            }
            None => {}
        }
        let sample = widened(sample);
        let dtype = sample.dtype();
        Ok(Inputs {
            model_output: in_dtype(model_output, dtype),
            noise: noise.map(|noise| in_dtype(noise, dtype)),
            sample,
        })
    }

    /// The next sample. `x0` is needed where it was clipped; `history` is taken.
    fn update<B: Backend, const D: usize>(
        &self,
        history: &mut Option<Tensor<B, D>>,
        inputs: Inputs<B, D>,
        x0: Option<Tensor<B, D>>,
    ) -> Tensor<B, D> {
        let dtype = inputs.sample.dtype();
        let history = history.take().map(|history| in_dtype(history, dtype));
        let update: Update = match (&history, self.second_order) {
            (Some(_), Some(second_order)) => second_order,
            _ => self.update,
        };
        let rest = [
            (update.model, Some(inputs.model_output)),
            (update.x0, x0),
            (update.history, history),
            (update.noise, inputs.noise),
        ];
        let present = rest
            .into_iter()
            .filter_map(|(weight, tensor)| Some((weight, tensor?)));
        weighted_sum((update.sample, inputs.sample), present)
    }
}
