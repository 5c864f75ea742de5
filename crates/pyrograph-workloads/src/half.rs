//! The same networks with weights of bf16.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Tensor, backend::Backend},
};

/// The types of weights with which passes without gradients are timed, each with the suffix of the
/// workload's name.
pub(crate) fn types<B: Backend>(device: &B::Device) -> Vec<(&'static str, DType)> {
    let all = [("", DType::F32), ("-bf16", DType::BF16)];
    let has = |dtype: DType| dtype == DType::F32 || B::supports_dtype(device, dtype);
    all.into_iter().filter(|(_, dtype)| has(*dtype)).collect()
}

/// `module` with the weights of convolutions and linear layers in `dtype`, as `--dtype` loads them.
pub(crate) fn in_type<B: Backend, M: Module<B>>(module: M, dtype: DType) -> M {
    match dtype {
        DType::F32 => module,
        _ => module.map(&mut Cast(dtype)),
    }
}

struct Cast(DType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        match D {
            0 | 1 => param,
            _ => param.map(|weight| weight.cast(self.0)),
        }
    }
}
