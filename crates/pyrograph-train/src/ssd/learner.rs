//! The modules that the optimizer updates.

use burn::{module::Module, tensor::backend::Backend};
use pyrograph_models::ssd::{Projectors, Ssd};

use crate::ids::with_stable_ids;

/// A detector, and the projectors of a distillation, of which there are none in a plain training.
#[derive(Module, Debug)]
pub(super) struct Learner<B: Backend> {
    pub(super) network: Ssd<B>,
    pub(super) projectors: Projectors<B>,
}

impl<B: Backend> Learner<B> {
    /// With ids by the order of the parameters: those of the network are the same with projectors
    /// and without.
    pub(super) fn new(network: Ssd<B>, projectors: Projectors<B>) -> Self {
        with_stable_ids(Self {
            network,
            projectors,
        })
    }

    /// With the first `layers` of the network's backbone as constants.
    pub(super) fn freeze(self, layers: usize) -> Self {
        Self {
            network: self.network.freeze(layers),
            ..self
        }
    }

    /// With every layer trained again.
    pub(super) fn thaw(self) -> Self {
        Self {
            network: self.network.thaw(),
            ..self
        }
    }
}
