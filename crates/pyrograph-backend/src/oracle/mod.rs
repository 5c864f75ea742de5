//! What other backends are held to: burn's NdArray in f64 throughout.
//!
//! NdArray computes sigmoid, and with it SiLU, in f32 whatever the type of its tensors; and its device has one default type for
//! f32 and f64 programs alike. [`OracleBackend`] has NdArray's tensors and operations, a device of its own, on which floats are
//! f64 by default, and a sigmoid in f64.

mod float;
mod integer;
mod layers;

use burn::tensor::{
    DType,
    backend::{Backend, BackendTypes, DTypeUsageSet, DeviceId, DeviceOps},
    ops::TransactionOps,
};
use burn_ndarray::{NdArray, NdArrayDevice};

use crate::vision::VisionBackend;

/// The backend that has the operations.
type Ground = NdArray<f64>;
type Float = <Ground as BackendTypes>::FloatTensorPrimitive;
type Int = <Ground as BackendTypes>::IntTensorPrimitive;
type Bool = <Ground as BackendTypes>::BoolTensorPrimitive;
type Quantized = <Ground as BackendTypes>::QuantizedTensorPrimitive;

/// Where NdArray's tensors lie.
const CPU: NdArrayDevice = NdArrayDevice::Cpu;

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

/// burn's NdArray in f64, with the operations in f64 that NdArray computes in f32.
#[derive(Clone, Copy, Debug, Default)]
pub struct OracleBackend;

impl BackendTypes for OracleBackend {
    type Device = OracleDevice;
    type FloatTensorPrimitive = Float;
    type FloatElem = f64;
    type IntTensorPrimitive = Int;
    type IntElem = i64;
    type BoolTensorPrimitive = Bool;
    type BoolElem = bool;
    type QuantizedTensorPrimitive = Quantized;
}

impl Backend for OracleBackend {
    fn name(_: &OracleDevice) -> String {
        "oracle".to_owned()
    }

    fn seed(_: &OracleDevice, seed: u64) {
        Ground::seed(&CPU, seed);
    }

    fn dtype_usage(_: &OracleDevice, dtype: DType) -> DTypeUsageSet {
        Ground::dtype_usage(&CPU, dtype)
    }

    fn device_count(type_id: u16) -> usize {
        Ground::device_count(type_id)
    }
}

impl TransactionOps<Self> for OracleBackend {}

impl VisionBackend for OracleBackend {}

/// Operations that NdArray does: their arguments and result, and their names.
macro_rules! hand_on {
    (@one $ops:ident $name:ident ($($argument:ident: $type:ty),*) -> $out:ty) => {
        fn $name($($argument: $type),*) -> $out {
            <Ground as $ops<Ground>>::$name($($argument),*)
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

    use super::*;

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
