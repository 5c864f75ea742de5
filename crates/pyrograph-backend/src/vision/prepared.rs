//! Weights whose layers keep the forms that kernels multiply.

use std::{any::Any, fmt, sync::Arc};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};

use super::VisionBackend;

/// The weights of a network that only computes from now on.
///
/// Kernels multiply weights in forms of their own: panels of a product, the transformed kernels of Winograd's method.
/// As long as this value lives, a layer makes such a form in its second pass and keeps it for the later ones, up to
/// [`set_prepared_bytes`](super::set_prepared_bytes) of additional memory in the process. The outputs stay the same.
///
/// Where the weight lies in a mapped file, its pages are given back to the system when its form is made. Flex keeps
/// forms; on other backends this value does nothing. It holds the weights in memory, so drop it with the network.
#[derive(Clone)]
pub struct PreparedWeights {
    weights: Arc<[PreparedWeight]>,
}

/// What a backend keeps beside one weight.
pub struct PreparedWeight(Box<dyn Any + Send + Sync>);

impl PreparedWeight {
    /// `kept` is dropped with the network.
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self(Box::new(kept))
    }
}

impl fmt::Debug for PreparedWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedWeight({:?})", (*self.0).type_id())
    }
}

impl fmt::Debug for PreparedWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedWeights({} weights)", self.weights.len())
    }
}

impl PreparedWeights {
    /// Those of `module`: its parameters of at least two axes.
    pub fn of<B: VisionBackend, M: Module<B>>(module: &M) -> Self {
        let mut visitor = Visitor(Vec::new());
        module.visit(&mut visitor);
        Self {
            weights: visitor.0.into(),
        }
    }
}

struct Visitor(Vec<PreparedWeight>);

impl<B: VisionBackend> ModuleVisitor<B> for Visitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if D >= 2 {
            self.0
                .extend(B::prepare_weight(param.val().into_primitive()));
        }
    }
}
