//! Operations on floats.

use burn::tensor::{
    BoolDType, DType, Distribution, FloatDType, IndexingUpdateOp, IntDType, Scalar, Shape, Slice,
    TensorData, TensorMetadata,
    backend::ExecutionError,
    ops::{ActivationOps, FloatTensorOps, GridSampleOptions},
};

use super::{Bool, CPU, Float, Ground, Int, OracleBackend, OracleDevice, hand_on};

impl FloatTensorOps<Self> for OracleBackend {
    fn float_from_data(data: TensorData, _: &OracleDevice) -> Float {
        Ground::float_from_data(data, &CPU)
    }

    fn float_random(
        shape: Shape,
        distribution: Distribution,
        _: &OracleDevice,
        dtype: FloatDType,
    ) -> Float {
        Ground::float_random(shape, distribution, &CPU, dtype)
    }

    fn float_into_data(
        tensor: Float,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        Ground::float_into_data(tensor)
    }

    fn float_device(_: &Float) -> OracleDevice {
        OracleDevice
    }

    fn float_to_device(tensor: Float, _: &OracleDevice) -> Float {
        tensor
    }

    fn float_empty(shape: Shape, _: &OracleDevice, dtype: FloatDType) -> Float {
        Ground::float_empty(shape, &CPU, dtype)
    }

    hand_on! { FloatTensorOps:
        (tensor: Float, out_dtype: IntDType) -> Int { float_into_int }
        (lhs: Float, rhs: Float) -> Float {
            float_add, float_sub, float_mul, float_div, float_remainder, float_matmul,
            float_powf, float_atan2
        }
        (lhs: Float, rhs: Scalar) -> Float {
            float_add_scalar, float_clamp_min, float_clamp_max, float_sub_scalar,
            float_mul_scalar, float_div_scalar, float_remainder_scalar,
            float_powf_scalar_impl
        }
        (tensor: Float, min: Scalar, max: Scalar) -> Float { float_clamp }
        (lhs: Float, rhs: Float, dim: usize) -> Float { float_cross }
        (tensor: Float) -> Float {
            float_recip, float_detach, float_sum, float_prod, float_mean, float_exp,
            float_log, float_log1p, float_sqrt, float_abs, float_cos, float_sin,
            float_tan, float_cosh, float_sinh, float_tanh, float_acos, float_acosh,
            float_asin, float_asinh, float_atan, float_atanh, float_round,
            float_floor, float_ceil, float_trunc, float_erf, float_max, float_min,
            float_sign
        }
        (tensor: Float, dim1: usize, dim2: usize) -> Float { float_swap_dims }
        (tensor: Float, axes: &[usize]) -> Float { float_permute, float_flip }
        (tensor: Float, shape: Shape) -> Float { float_reshape, float_expand }
        (dim: usize, tensor: Float, indices: Int) -> Float { float_gather }
        (dim: usize, tensor: Float, indices: Int, value: Float) -> Float { float_scatter_add }
        (data: Float, indices: Int, values: Float, reduction: IndexingUpdateOp) -> Float {
            float_scatter_nd
        }
        (data: Float, indices: Int) -> Float { float_gather_nd }
        (tensor: Float, dim: usize, indices: Int) -> Float { float_select }
        (tensor: Float, dim: usize, indices: Int, value: Float) -> Float { float_select_add }
        (tensor: Float, slices: &[Slice]) -> Float { float_slice }
        (tensor: Float, slices: &[Slice], value: Float) -> Float { float_slice_assign }
        (tensor: Float, mask: Bool, value: Float) -> Float { float_mask_where }
        (tensor: Float, mask: Bool, value: Scalar) -> Float { float_mask_fill }
        (lhs: Float, rhs: Float, out_dtype: BoolDType) -> Bool {
            float_equal, float_greater, float_greater_equal, float_lower,
            float_lower_equal
        }
        (lhs: Float, rhs: Scalar, out_dtype: BoolDType) -> Bool {
            float_equal_elem, float_greater_elem, float_greater_equal_elem,
            float_lower_elem, float_lower_equal_elem
        }
        (tensor: Float, dim: usize) -> Float {
            float_sum_dim, float_prod_dim, float_mean_dim, float_cumsum,
            float_cumprod, float_cummin, float_cummax
        }
        (tensor: Float, dtype: FloatDType) -> Float { float_cast }
        (tensors: Vec<Float>, dim: usize) -> Float { float_cat }
        (tensor: Float, dim: usize, out_dtype: IntDType) -> Int { float_argmax, float_argmin }
        (tensor: Float, dim: usize, k: usize, out_dtype: IntDType) -> Int { float_argtopk }
        (tensor: Float, grid: Float, options: GridSampleOptions) -> Float { float_grid_sample_2d }
        (tensor: Float, dim: usize, size: usize, step: usize) -> Float { float_unfold }
    }
}

impl ActivationOps<Self> for OracleBackend {
    hand_on! { ActivationOps: (tensor: Float) -> Float { relu } }

    /// `1 / (1 + exp(−x))` in f64, where burn's own computes in f32.
    fn sigmoid(tensor: Float) -> Float {
        in_f64(tensor, |wide| {
            let exponential = Ground::float_exp(Ground::float_neg(wide));
            Ground::float_recip(Ground::float_add_scalar(exponential, 1.0.into()))
        })
    }

    /// `clamp(alpha · x + beta, 0, 1)` in f64, where burn's own computes in f32.
    fn hard_sigmoid(tensor: Float, alpha: Scalar, beta: Scalar) -> Float {
        in_f64(tensor, |wide| {
            let line = Ground::float_add_scalar(Ground::float_mul_scalar(wide, alpha), beta);
            Ground::float_clamp(line, 0.0.into(), 1.0.into())
        })
    }
}

/// Computes in f64, and gives the result the type that the tensor had.
fn in_f64(tensor: Float, operation: impl Fn(Float) -> Float) -> Float {
    let dtype = tensor.dtype();
    let result = operation(Ground::float_cast(tensor, FloatDType::F64));
    match dtype {
        DType::F64 => result,
        dtype => Ground::float_cast(result, dtype.into()),
    }
}
