//! The moving average of a model's weights.

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::{Tensor, TensorPrimitive, backend::Backend, ops::FloatTensor},
};

/// An exponential moving average: `average ← d·average + (1 − d)·model` after each step, over
/// parameters and running statistics alike. In early updates `d` is limited to `(1 + n)/(10 + n)`
/// at update `n`, so that the random initial weights are forgotten.
#[derive(Clone, Debug)]
pub struct Ema<M> {
    average: M,
    decay: f64,
    updates: u64,
}

impl<M> Ema<M> {
    /// Starts the average at `model`; `updates` is the number of updates already in it (0, or a
    /// checkpoint's step).
    pub fn new(model: M, decay: f64, updates: u64) -> Self {
        Self {
            average: model,
            decay,
            updates,
        }
    }

    /// The averaged model.
    pub fn model(&self) -> &M {
        &self.average
    }

    /// Moves the average one step towards `model`, whose parameters must have the same ids.
    pub fn update<B: Backend>(&mut self, model: &M)
    where
        M: Module<B>,
    {
        let warm = (1 + self.updates) as f64 / (10 + self.updates) as f64;
        self.updates += 1;
        let mut current = Current::<B> {
            values: HashMap::new(),
        };
        model.visit(&mut current);
        let mut blend = Blend {
            current,
            decay: self.decay.min(warm),
        };
        self.average = self.average.clone().map(&mut blend);
    }
}

struct Current<B: Backend> {
    values: HashMap<ParamId, FloatTensor<B>>,
}

impl<B: Backend> ModuleVisitor<B> for Current<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.values
            .insert(param.id, param.val().into_primitive().tensor());
    }
}

struct Blend<B: Backend> {
    current: Current<B>,
    decay: f64,
}

impl<B: Backend> ModuleMapper<B> for Blend<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(current) = self.current.values.remove(&param.id) else {
            return param;
        };
        let current: Tensor<B, D> = Tensor::from_primitive(TensorPrimitive::Float(current));
        param.map(|average| average * self.decay + current * (1.0 - self.decay))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleMapper, ParamId};
    use burn_flex::Flex;
    use pyrograph_models::context_unet::{ContextUnet, ContextUnetConfig};

    use super::*;
    use crate::ids::with_stable_ids;

    /// `f32_op`: a product and a sum on values near 1.
    const F32_OP: f32 = 1e-6;

    #[derive(Module, Debug)]
    struct Pair<B: Backend> {
        weight: Param<Tensor<B, 2>>,
        running: Param<Tensor<B, 1>>,
    }

    fn pair(values: [f32; 3]) -> Pair<Flex> {
        let device = Default::default();
        let [a, b, c] = values;
        let running = Tensor::from_floats([c], &device);
        with_stable_ids(Pair {
            weight: Param::from_tensor(Tensor::from_floats([[a, b]], &device)),
            running: Param::initialized(ParamId::new(), running),
        })
    }

    fn values(model: &Pair<Flex>) -> Vec<f32> {
        let (weight, running) = (
            model.weight.val().into_data(),
            model.running.val().into_data(),
        );
        weight.iter::<f32>().chain(running.iter::<f32>()).collect()
    }

    #[track_caller]
    fn assert_close(ours: &[f32], theirs: &[f64]) {
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(theirs) {
            // Written so that NaN fails.
            assert!(
                (f64::from(*a) - b).abs() <= f64::from(F32_OP),
                "{ours:?} is not {theirs:?}"
            );
        }
    }

    /// The model after step `step`.
    fn target(step: u64) -> [f32; 3] {
        let phase = step as f32;
        [phase.sin(), 1.0 - 0.1 * phase, (0.7 * phase).cos()]
    }

    #[test]
    fn the_average_follows_the_formula_from_the_warm_up_into_the_decay() {
        // (1 + n)/(10 + n) passes 0.6 at n = 12.5: both ends of the minimum are walked.
        let decay = 0.6;
        let mut ema = Ema::new(pair([1.0, -2.0, 0.5]), decay, 0);
        let mut expected = [1.0, -2.0, 0.5];
        for step in 0..30 {
            let warm = (1 + step) as f64 / (10 + step) as f64;
            let d = f64::min(decay, warm);
            for (average, model) in expected.iter_mut().zip(target(step)) {
                *average = d * *average + (1.0 - d) * f64::from(model);
            }
            ema.update::<Flex>(&pair(target(step)));
            assert_close(&values(ema.model()), &expected);
        }
    }

    #[test]
    fn an_average_from_a_checkpoint_warms_up_no_more() {
        let mut ema = Ema::new(pair([0.0; 3]), 0.6, 1000);
        ema.update::<Flex>(&pair([1.0; 3]));
        assert_close(&values(ema.model()), &[0.4; 3]);
        // A fresh one takes nine tenths of the first model.
        let mut ema = Ema::new(pair([0.0; 3]), 0.6, 0);
        ema.update::<Flex>(&pair([1.0; 3]));
        assert_close(&values(ema.model()), &[0.9; 3]);
    }

    #[test]
    fn the_average_and_the_model_share_nothing() {
        struct Zero;
        impl ModuleMapper<Flex> for Zero {
            fn map_float<const D: usize>(
                &mut self,
                param: Param<Tensor<Flex, D>>,
            ) -> Param<Tensor<Flex, D>> {
                param.map(|tensor| tensor.zeros_like())
            }
        }
        let model = pair([1.0, 2.0, 3.0]);
        let mut ema = Ema::new(model.clone(), 0.5, 1000);
        let moved = model.map(&mut Zero);
        assert_eq!(
            (values(ema.model()), values(&moved)),
            (vec![1.0, 2.0, 3.0], vec![0.0; 3])
        );
        let before = ema.model().clone();
        ema.update::<Flex>(&moved);
        assert_close(&values(ema.model()), &[0.5, 1.0, 1.5]);
        assert_eq!(
            (values(&moved), values(&before)),
            (vec![0.0; 3], vec![1.0, 2.0, 3.0])
        );
    }

    #[test]
    fn every_parameter_of_a_whole_model_is_averaged() {
        let config = ContextUnetConfig {
            n_feat: 8,
            ..ContextUnetConfig::default()
        };
        let model = |seed| {
            with_stable_ids(
                config
                    .init::<Flex>(&Default::default(), seed)
                    .expect("legal"),
            )
        };
        let mut ema = Ema::new(model(0), 0.0, 0);
        ema.update::<Flex>(&model(1));
        let all = |model: &ContextUnet<Flex>| {
            pyrograph_models::weights::state_dict_of(model).expect("readable")
        };
        let (ours, theirs) = (all(ema.model()), all(&model(1)));
        for key in theirs.keys() {
            assert_eq!(ours.get(key), theirs.get(key), "{key}");
        }
    }
}
