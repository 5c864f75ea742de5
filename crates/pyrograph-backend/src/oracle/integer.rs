//! Operations on integers and truth values.

use burn::tensor::{
    BoolDType, Distribution, FloatDType, IndexingUpdateOp, IntDType, Scalar, Shape, Slice,
    TensorData,
    backend::ExecutionError,
    ops::{BoolTensorOps, IntTensorOps},
};

use super::{Bool, CPU, Float, Ground, Int, OracleBackend, OracleDevice, hand_on};

impl IntTensorOps<Self> for OracleBackend {
    fn int_empty(shape: Shape, _: &OracleDevice, dtype: IntDType) -> Int {
        Ground::int_empty(shape, &CPU, dtype)
    }

    fn int_into_data(
        tensor: Int,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        Ground::int_into_data(tensor)
    }

    fn int_from_data(data: TensorData, _: &OracleDevice) -> Int {
        Ground::int_from_data(data, &CPU)
    }

    fn int_device(_: &Int) -> OracleDevice {
        OracleDevice
    }

    fn int_to_device(tensor: Int, _: &OracleDevice) -> Int {
        tensor
    }

    fn int_random(
        shape: Shape,
        distribution: Distribution,
        _: &OracleDevice,
        dtype: IntDType,
    ) -> Int {
        Ground::int_random(shape, distribution, &CPU, dtype)
    }

    hand_on! { IntTensorOps:
        (tensor: Int, shape: Shape) -> Int { int_reshape, int_expand }
        (tensor: Int, slices: &[Slice]) -> Int { int_slice }
        (tensor: Int, slices: &[Slice], value: Int) -> Int { int_slice_assign }
        (tensor: Int, out_dtype: FloatDType) -> Float { int_into_float }
        (tensor: Int, mask: Bool, value: Int) -> Int { int_mask_where }
        (tensor: Int, mask: Bool, value: Scalar) -> Int { int_mask_fill }
        (dim: usize, tensor: Int, indices: Int) -> Int { int_gather }
        (dim: usize, tensor: Int, indices: Int, value: Int) -> Int { int_scatter_add }
        (data: Int, indices: Int, values: Int, reduction: IndexingUpdateOp) -> Int {
            int_scatter_nd
        }
        (data: Int, indices: Int) -> Int {
            int_gather_nd, int_add, int_powi, int_sub, int_mul, int_div,
            int_remainder, int_matmul, bitwise_and, bitwise_or, bitwise_xor,
            bitwise_left_shift, bitwise_right_shift
        }
        (tensor: Int, dim: usize, indices: Int) -> Int { int_select }
        (tensor: Int, dim: usize, indices: Int, value: Int) -> Int { int_select_add }
        (tensors: Vec<Int>, dim: usize) -> Int { int_cat }
        (lhs: Int, rhs: Int, out_dtype: BoolDType) -> Bool {
            int_equal, int_greater, int_greater_equal, int_lower, int_lower_equal
        }
        (lhs: Int, rhs: Scalar, out_dtype: BoolDType) -> Bool {
            int_equal_elem, int_greater_elem, int_greater_equal_elem, int_lower_elem,
            int_lower_equal_elem
        }
        (lhs: Int, rhs: Scalar) -> Int {
            int_add_scalar, int_powi_scalar_impl, int_clamp_min, int_clamp_max,
            int_sub_scalar, int_mul_scalar, int_div_scalar, int_remainder_scalar,
            bitwise_and_scalar, bitwise_or_scalar, bitwise_xor_scalar,
            bitwise_left_shift_scalar, bitwise_right_shift_scalar
        }
        (tensor: Int, min: Scalar, max: Scalar) -> Int { int_clamp }
        (tensor: Int) -> Int {
            int_sum, int_prod, int_mean, int_max, int_min, int_abs, int_sign,
            bitwise_not
        }
        (tensor: Int, dim: usize) -> Int {
            int_sum_dim, int_prod_dim, int_mean_dim, int_cumsum, int_cumprod,
            int_cummin, int_cummax, int_argmax, int_argmin
        }
        (tensor: Int, dim: usize, k: usize) -> Int { int_argtopk, int_swap_dims }
        (tensor: Int, axes: &[usize]) -> Int { int_permute, int_flip }
        (tensor: Int, dtype: IntDType) -> Int { int_cast }
        (tensor: Int, dim: usize, size: usize, step: usize) -> Int { int_unfold }
    }
}

impl BoolTensorOps<Self> for OracleBackend {
    fn bool_empty(shape: Shape, _: &OracleDevice, dtype: BoolDType) -> Bool {
        Ground::bool_empty(shape, &CPU, dtype)
    }

    fn bool_zeros(shape: Shape, _: &OracleDevice, dtype: BoolDType) -> Bool {
        Ground::bool_zeros(shape, &CPU, dtype)
    }

    fn bool_ones(shape: Shape, _: &OracleDevice, dtype: BoolDType) -> Bool {
        Ground::bool_ones(shape, &CPU, dtype)
    }

    fn bool_into_data(
        tensor: Bool,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        Ground::bool_into_data(tensor)
    }

    fn bool_from_data(data: TensorData, _: &OracleDevice) -> Bool {
        Ground::bool_from_data(data, &CPU)
    }

    fn bool_device(_: &Bool) -> OracleDevice {
        OracleDevice
    }

    fn bool_to_device(tensor: Bool, _: &OracleDevice) -> Bool {
        tensor
    }

    hand_on! { BoolTensorOps:
        (tensor: Bool, out_dtype: IntDType) -> Int { bool_into_int }
        (tensor: Bool, out_dtype: FloatDType) -> Float { bool_into_float }
        (tensor: Bool, shape: Shape) -> Bool { bool_reshape, bool_expand }
        (tensor: Bool, slices: &[Slice]) -> Bool { bool_slice }
        (tensor: Bool, slices: &[Slice], value: Bool) -> Bool { bool_slice_assign }
        (tensor: Bool, mask: Bool, value: Bool) -> Bool { bool_mask_where }
        (tensor: Bool, mask: Bool, value: Scalar) -> Bool { bool_mask_fill }
        (dim: usize, tensor: Bool, indices: Int) -> Bool { bool_gather }
        (dim: usize, tensor: Bool, indices: Int, value: Bool) -> Bool { bool_scatter_or }
        (tensor: Bool, dim: usize, indices: Int) -> Bool { bool_select }
        (tensor: Bool, dim: usize, indices: Int, value: Bool) -> Bool { bool_select_or }
        (tensors: Vec<Bool>, dim: usize) -> Bool { bool_cat }
        (lhs: Bool, rhs: Bool) -> Bool { bool_equal, bool_and, bool_or }
        (lhs: Bool, rhs: Scalar) -> Bool { bool_equal_elem }
        (tensor: Bool) -> Bool { bool_not, bool_any, bool_all }
        (tensor: Bool, dim1: usize, dim2: usize) -> Bool { bool_swap_dims }
        (tensor: Bool, axes: &[usize]) -> Bool { bool_permute, bool_flip }
        (tensor: Bool, dim: usize, size: usize, step: usize) -> Bool { bool_unfold }
    }
}
