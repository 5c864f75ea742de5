//! Parameter ids that a later process finds again.

use burn::{
    module::{Module, ModuleMapper, Param, ParamId},
    tensor::{Tensor, backend::Backend},
};

/// Numbers `module`'s parameters in the order of its fields.
///
/// burn draws ids at random and keys an optimizer's state by them; a state saved by one process fits the module of
/// another only when the ids are a function of the architecture.
pub(crate) fn with_stable_ids<B: Backend, M: Module<B>>(module: M) -> M {
    struct Numbering(u64);

    impl<B: Backend> ModuleMapper<B> for Numbering {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            self.0 += 1;
            let (_, tensor, mapper) = param.consume();
            Param::from_mapped_value(ParamId::from(self.0), tensor, mapper)
        }
    }
    module.map(&mut Numbering(0))
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, module::ModuleVisitor};
    use burn_flex::Flex;
    use pyrograph_models::context_unet::ContextUnetConfig;

    use super::*;

    struct Seen(Vec<(ParamId, bool)>);

    impl<B: Backend> ModuleVisitor<B> for Seen {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0.push((param.id, param.val().is_require_grad()));
        }
    }

    fn seen<B: Backend>(module: &impl Module<B>) -> Vec<(ParamId, bool)> {
        let mut seen = Seen(Vec::new());
        module.visit(&mut seen);
        seen.0
    }

    #[test]
    fn ids_are_a_function_of_the_architecture_and_no_two_are_equal() {
        let config = ContextUnetConfig {
            n_feat: 8,
            ..ContextUnetConfig::default()
        };
        let model = |seed| {
            config
                .init::<Autodiff<Flex>>(&Default::default(), seed)
                .expect("legal")
        };
        let (raw, first, second) = (
            model(0),
            with_stable_ids(model(0)),
            with_stable_ids(model(1)),
        );
        assert_eq!(seen(&first), seen(&second));
        assert_ne!(seen(&raw), seen(&first));
        let expected = (1..=seen(&first).len() as u64).map(ParamId::from);
        assert!(seen(&first).into_iter().map(|(id, _)| id).eq(expected));
    }

    #[test]
    fn what_is_trained_stays_trained() {
        let config = ContextUnetConfig {
            n_feat: 8,
            ..ContextUnetConfig::default()
        };
        let model = config
            .init::<Autodiff<Flex>>(&Default::default(), 0)
            .expect("legal");
        let trained = |module: &_| {
            seen::<Autodiff<Flex>>(module)
                .into_iter()
                .map(|(_, trained)| trained)
                .collect::<Vec<_>>()
        };
        let before = trained(&model);
        // Parameters and running statistics.
        assert!(before.contains(&true) && before.contains(&false));
        assert_eq!(trained(&with_stable_ids(model)), before);
    }
}
