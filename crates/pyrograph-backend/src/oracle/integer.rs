//! Operations on integers and truth values.

use burn::tensor::{
    BoolDType, Distribution, FloatDType, IndexingUpdateOp, IntDType, Scalar, Shape, Slice,
    TensorData,
    backend::{Backend, ExecutionError},
    ops::{BoolTensor, BoolTensorOps, FloatTensor, IntTensor, IntTensorOps},
};

use super::{OracleBackend, OracleDevice, hand_on};

impl<G: Backend> IntTensorOps<Self> for OracleBackend<G> {
    fn int_empty(shape: Shape, _: &OracleDevice, dtype: IntDType) -> IntTensor<G> {
        G::int_empty(shape, &G::Device::default(), dtype)
    }

    fn int_into_data(
        tensor: IntTensor<G>,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        G::int_into_data(tensor)
    }

    fn int_from_data(data: TensorData, _: &OracleDevice) -> IntTensor<G> {
        G::int_from_data(data, &G::Device::default())
    }

    fn int_device(_: &IntTensor<G>) -> OracleDevice {
        OracleDevice
    }

    fn int_to_device(tensor: IntTensor<G>, _: &OracleDevice) -> IntTensor<G> {
        tensor
    }

    fn int_random(
        shape: Shape,
        distribution: Distribution,
        _: &OracleDevice,
        dtype: IntDType,
    ) -> IntTensor<G> {
        G::int_random(shape, distribution, &G::Device::default(), dtype)
    }

    hand_on! { IntTensorOps:
        (tensor: IntTensor<G>, shape: Shape) -> IntTensor<G> { int_reshape, int_expand }
        (tensor: IntTensor<G>, slices: &[Slice]) -> IntTensor<G> { int_slice }
        (tensor: IntTensor<G>, slices: &[Slice], value: IntTensor<G>) -> IntTensor<G> {
            int_slice_assign
        }
        (tensor: IntTensor<G>, out_dtype: FloatDType) -> FloatTensor<G> { int_into_float }
        (tensor: IntTensor<G>, mask: BoolTensor<G>, value: IntTensor<G>) -> IntTensor<G> {
            int_mask_where
        }
        (tensor: IntTensor<G>, mask: BoolTensor<G>, value: Scalar) -> IntTensor<G> { int_mask_fill }
        (dim: usize, tensor: IntTensor<G>, indices: IntTensor<G>) -> IntTensor<G> { int_gather }
        (
            dim: usize,
            tensor: IntTensor<G>,
            indices: IntTensor<G>,
            value: IntTensor<G>
        ) -> IntTensor<G> {
            int_scatter_add
        }
        (
            data: IntTensor<G>,
            indices: IntTensor<G>,
            values: IntTensor<G>,
            reduction: IndexingUpdateOp
        ) -> IntTensor<G> {
            int_scatter_nd
        }
        (data: IntTensor<G>, indices: IntTensor<G>) -> IntTensor<G> {
            int_gather_nd, int_add, int_powi, int_sub, int_mul, int_div,
            int_remainder, int_matmul, bitwise_and, bitwise_or, bitwise_xor,
            bitwise_left_shift, bitwise_right_shift
        }
        (tensor: IntTensor<G>, dim: usize, indices: IntTensor<G>) -> IntTensor<G> { int_select }
        (
            tensor: IntTensor<G>,
            dim: usize,
            indices: IntTensor<G>,
            value: IntTensor<G>
        ) -> IntTensor<G> {
            int_select_add
        }
        (tensors: Vec<IntTensor<G>>, dim: usize) -> IntTensor<G> { int_cat }
        (lhs: IntTensor<G>, rhs: IntTensor<G>, out_dtype: BoolDType) -> BoolTensor<G> {
            int_equal, int_greater, int_greater_equal, int_lower, int_lower_equal
        }
        (lhs: IntTensor<G>, rhs: Scalar, out_dtype: BoolDType) -> BoolTensor<G> {
            int_equal_elem, int_greater_elem, int_greater_equal_elem, int_lower_elem,
            int_lower_equal_elem
        }
        (lhs: IntTensor<G>, rhs: Scalar) -> IntTensor<G> {
            int_add_scalar, int_powi_scalar_impl, int_clamp_min, int_clamp_max,
            int_sub_scalar, int_mul_scalar, int_div_scalar, int_remainder_scalar,
            bitwise_and_scalar, bitwise_or_scalar, bitwise_xor_scalar,
            bitwise_left_shift_scalar, bitwise_right_shift_scalar
        }
        (tensor: IntTensor<G>, min: Scalar, max: Scalar) -> IntTensor<G> { int_clamp }
        (tensor: IntTensor<G>) -> IntTensor<G> {
            int_sum, int_prod, int_mean, int_max, int_min, int_abs, int_sign,
            bitwise_not
        }
        (tensor: IntTensor<G>, dim: usize) -> IntTensor<G> {
            int_sum_dim, int_prod_dim, int_mean_dim, int_cumsum, int_cumprod,
            int_cummin, int_cummax, int_argmax, int_argmin
        }
        (tensor: IntTensor<G>, dim: usize, k: usize) -> IntTensor<G> { int_argtopk, int_swap_dims }
        (tensor: IntTensor<G>, axes: &[usize]) -> IntTensor<G> { int_permute, int_flip }
        (tensor: IntTensor<G>, dtype: IntDType) -> IntTensor<G> { int_cast }
        (tensor: IntTensor<G>, dim: usize, size: usize, step: usize) -> IntTensor<G> { int_unfold }
    }
}

impl<G: Backend> BoolTensorOps<Self> for OracleBackend<G> {
    fn bool_empty(shape: Shape, _: &OracleDevice, dtype: BoolDType) -> BoolTensor<G> {
        G::bool_empty(shape, &G::Device::default(), dtype)
    }

    fn bool_zeros(shape: Shape, _: &OracleDevice, dtype: BoolDType) -> BoolTensor<G> {
        G::bool_zeros(shape, &G::Device::default(), dtype)
    }

    fn bool_ones(shape: Shape, _: &OracleDevice, dtype: BoolDType) -> BoolTensor<G> {
        G::bool_ones(shape, &G::Device::default(), dtype)
    }

    fn bool_into_data(
        tensor: BoolTensor<G>,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        G::bool_into_data(tensor)
    }

    fn bool_from_data(data: TensorData, _: &OracleDevice) -> BoolTensor<G> {
        G::bool_from_data(data, &G::Device::default())
    }

    fn bool_device(_: &BoolTensor<G>) -> OracleDevice {
        OracleDevice
    }

    fn bool_to_device(tensor: BoolTensor<G>, _: &OracleDevice) -> BoolTensor<G> {
        tensor
    }

    hand_on! { BoolTensorOps:
        (tensor: BoolTensor<G>, out_dtype: IntDType) -> IntTensor<G> { bool_into_int }
        (tensor: BoolTensor<G>, out_dtype: FloatDType) -> FloatTensor<G> { bool_into_float }
        (tensor: BoolTensor<G>, shape: Shape) -> BoolTensor<G> { bool_reshape, bool_expand }
        (tensor: BoolTensor<G>, slices: &[Slice]) -> BoolTensor<G> { bool_slice }
        (tensor: BoolTensor<G>, slices: &[Slice], value: BoolTensor<G>) -> BoolTensor<G> {
            bool_slice_assign
        }
        (tensor: BoolTensor<G>, mask: BoolTensor<G>, value: BoolTensor<G>) -> BoolTensor<G> {
            bool_mask_where
        }
        (tensor: BoolTensor<G>, mask: BoolTensor<G>, value: Scalar) -> BoolTensor<G> {
            bool_mask_fill
        }
        (dim: usize, tensor: BoolTensor<G>, indices: IntTensor<G>) -> BoolTensor<G> { bool_gather }
        (
            dim: usize,
            tensor: BoolTensor<G>,
            indices: IntTensor<G>,
            value: BoolTensor<G>
        ) -> BoolTensor<G> {
            bool_scatter_or
        }
        (tensor: BoolTensor<G>, dim: usize, indices: IntTensor<G>) -> BoolTensor<G> { bool_select }
        (
            tensor: BoolTensor<G>,
            dim: usize,
            indices: IntTensor<G>,
            value: BoolTensor<G>
        ) -> BoolTensor<G> {
            bool_select_or
        }
        (tensors: Vec<BoolTensor<G>>, dim: usize) -> BoolTensor<G> { bool_cat }
        (lhs: BoolTensor<G>, rhs: BoolTensor<G>) -> BoolTensor<G> { bool_equal, bool_and, bool_or }
        (lhs: BoolTensor<G>, rhs: Scalar) -> BoolTensor<G> { bool_equal_elem }
        (tensor: BoolTensor<G>) -> BoolTensor<G> { bool_not, bool_any, bool_all }
        (tensor: BoolTensor<G>, dim1: usize, dim2: usize) -> BoolTensor<G> { bool_swap_dims }
        (tensor: BoolTensor<G>, axes: &[usize]) -> BoolTensor<G> { bool_permute, bool_flip }
        (tensor: BoolTensor<G>, dim: usize, size: usize, step: usize) -> BoolTensor<G> {
            bool_unfold
        }
    }
}
