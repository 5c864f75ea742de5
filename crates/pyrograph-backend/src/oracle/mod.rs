//! What other backends are held to: burn's NdArray in f64.
//!
//! NdArray computes sigmoid, and with it SiLU, in f32 whatever the type of its tensors; its gradient
//! of GELU is that of an approximation; and its device has one default type for f32 and f64 programs
//! alike. [`OracleBackend`] has NdArray's tensors and operations, a device of its own, on which
//! floats are f64 by default, a sigmoid in f64 and the gradient of GELU itself. It is generic over the backend that has the operations, so that only those in use are
//! compiled.

mod float;
mod integer;
mod layers;

use std::marker::PhantomData;

use burn::tensor::{
    DType,
    backend::{Backend, BackendTypes, DTypeUsageSet, DeviceId, DeviceOps},
    ops::TransactionOps,
};
use burn_ndarray::NdArray;

use crate::vision::VisionBackend;

/// The CPU, with f64 as the default type of floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OracleDevice;

impl burn::tensor::backend::Device for OracleDevice {
    fn from_id(_: DeviceId) -> Self {
        Self
    }

    fn to_id(&self) -> DeviceId {
        DeviceId::new(0, 0)
    }
}

impl DeviceOps for OracleDevice {}

/// burn's NdArray in f64, with the operations in f64 that NdArray computes in f32, and the gradient
/// of GELU.
///
/// `G` is the backend that has the tensors and the other operations.
#[derive(Clone, Copy, Debug, Default)]
pub struct OracleBackend<G = NdArray<f64>> {
    ground: PhantomData<G>,
}

impl<G: Backend> BackendTypes for OracleBackend<G> {
    type Device = OracleDevice;
    type FloatTensorPrimitive = G::FloatTensorPrimitive;
    type FloatElem = f64;
    type IntTensorPrimitive = G::IntTensorPrimitive;
    type IntElem = G::IntElem;
    type BoolTensorPrimitive = G::BoolTensorPrimitive;
    type BoolElem = G::BoolElem;
    type QuantizedTensorPrimitive = G::QuantizedTensorPrimitive;
}

impl<G: Backend> Backend for OracleBackend<G> {
    fn name(_: &OracleDevice) -> String {
        "oracle".to_owned()
    }

    fn seed(_: &OracleDevice, seed: u64) {
        G::seed(&G::Device::default(), seed);
    }

    fn dtype_usage(_: &OracleDevice, dtype: DType) -> DTypeUsageSet {
        G::dtype_usage(&G::Device::default(), dtype)
    }

    fn device_count(type_id: u16) -> usize {
        G::device_count(type_id)
    }
}

impl<G: Backend> TransactionOps<Self> for OracleBackend<G> {}

impl<G: Backend> VisionBackend for OracleBackend<G> {}

/// Operations that the ground backend `G` does: their arguments and result, and their names.
macro_rules! hand_on {
    (@one $ops:ident $name:ident ($($argument:ident: $type:ty),*) -> $out:ty) => {
        fn $name($($argument: $type),*) -> $out {
            <G as $ops<G>>::$name($($argument),*)
        }
    };
    ($ops:ident: $($arguments:tt -> $out:ty { $($name:ident),* $(,)? })*) => {
        $($(hand_on!(@one $ops $name $arguments -> $out);)*)*
    };
}
use hand_on;

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, TensorData, activation};

    use super::{OracleBackend as Generic, *};

    type OracleBackend = Generic;

    #[test]
    fn sigmoid_and_silu_keep_the_digits_of_f64() {
        let x = [-700.0, -30.0, -2.5, -1e-9, 0.0, 0.3, 4.0, 40.0, 800.0_f64];
        let tensor = Tensor::<OracleBackend, 1>::from_data(TensorData::from(x), &OracleDevice);
        assert_eq!(tensor.dtype(), DType::F64);
        let values = |tensor: Tensor<OracleBackend, 1>| -> Vec<f64> {
            tensor.into_data().iter::<f64>().collect()
        };
        let (sigmoid, silu) = (
            values(activation::sigmoid(tensor.clone())),
            values(activation::silu(tensor)),
        );
        for (at, x) in x.into_iter().enumerate() {
            let expected = 1.0 / (1.0 + (-x).exp());
            assert!(
                (sigmoid[at] - expected).abs() <= 1e-15,
                "{x}: {}",
                sigmoid[at]
            );
            let expected = x * expected;
            assert!((silu[at] - expected).abs() <= 1e-14, "{x}: {}", silu[at]);
        }
    }

    #[test]
    fn floats_are_f64_by_default_though_ndarray_has_run_in_f32() {
        let single = Tensor::<NdArray<f32>, 1>::ones([2], &Default::default());
        assert_eq!(single.dtype(), DType::F32);
        let ones = Tensor::<OracleBackend, 1>::ones([2], &Default::default());
        assert_eq!(ones.dtype(), DType::F64);
        let scaled = ones * (1.0 / 3.0);
        assert_eq!(scaled.into_data().iter::<f64>().next(), Some(1.0 / 3.0));
    }
}
