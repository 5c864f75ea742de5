//! Operations on floats.

use std::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};

use burn::tensor::{
    BoolDType, DType, Distribution, FloatDType, IndexingUpdateOp, IntDType, Scalar, Shape, Slice,
    TensorData, TensorMetadata,
    backend::{Backend, ExecutionError},
    ops::{ActivationOps, BoolTensor, FloatTensor, FloatTensorOps, GridSampleOptions, IntTensor},
};

use super::{OracleBackend, OracleDevice, hand_on};

impl<G: Backend> FloatTensorOps<Self> for OracleBackend<G> {
    fn float_from_data(data: TensorData, _: &OracleDevice) -> FloatTensor<G> {
        G::float_from_data(data, &G::Device::default())
    }

    fn float_random(
        shape: Shape,
        distribution: Distribution,
        _: &OracleDevice,
        dtype: FloatDType,
    ) -> FloatTensor<G> {
        G::float_random(shape, distribution, &G::Device::default(), dtype)
    }

    fn float_into_data(
        tensor: FloatTensor<G>,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        G::float_into_data(tensor)
    }

    fn float_device(_: &FloatTensor<G>) -> OracleDevice {
        OracleDevice
    }

    fn float_to_device(tensor: FloatTensor<G>, _: &OracleDevice) -> FloatTensor<G> {
        tensor
    }

    fn float_empty(shape: Shape, _: &OracleDevice, dtype: FloatDType) -> FloatTensor<G> {
        G::float_empty(shape, &G::Device::default(), dtype)
    }

    hand_on! { FloatTensorOps:
        (tensor: FloatTensor<G>, out_dtype: IntDType) -> IntTensor<G> { float_into_int }
        (lhs: FloatTensor<G>, rhs: FloatTensor<G>) -> FloatTensor<G> {
            float_add, float_sub, float_mul, float_div, float_remainder, float_matmul,
            float_powf, float_atan2
        }
        (lhs: FloatTensor<G>, rhs: Scalar) -> FloatTensor<G> {
            float_add_scalar, float_clamp_min, float_clamp_max, float_sub_scalar,
            float_mul_scalar, float_div_scalar, float_remainder_scalar,
            float_powf_scalar_impl
        }
        (tensor: FloatTensor<G>, min: Scalar, max: Scalar) -> FloatTensor<G> { float_clamp }
        (lhs: FloatTensor<G>, rhs: FloatTensor<G>, dim: usize) -> FloatTensor<G> { float_cross }
        (tensor: FloatTensor<G>) -> FloatTensor<G> {
            float_recip, float_detach, float_sum, float_prod, float_mean, float_exp,
            float_log, float_log1p, float_sqrt, float_abs, float_cos, float_sin,
            float_tan, float_cosh, float_sinh, float_tanh, float_acos, float_acosh,
            float_asin, float_asinh, float_atan, float_atanh, float_round,
            float_floor, float_ceil, float_trunc, float_erf, float_max, float_min,
            float_sign
        }
        (tensor: FloatTensor<G>, dim1: usize, dim2: usize) -> FloatTensor<G> { float_swap_dims }
        (tensor: FloatTensor<G>, axes: &[usize]) -> FloatTensor<G> { float_permute, float_flip }
        (tensor: FloatTensor<G>, shape: Shape) -> FloatTensor<G> { float_reshape, float_expand }
        (dim: usize, tensor: FloatTensor<G>, indices: IntTensor<G>) -> FloatTensor<G> {
            float_gather
        }
        (
            dim: usize,
            tensor: FloatTensor<G>,
            indices: IntTensor<G>,
            value: FloatTensor<G>
        ) -> FloatTensor<G> {
            float_scatter_add
        }
        (
            data: FloatTensor<G>,
            indices: IntTensor<G>,
            values: FloatTensor<G>,
            reduction: IndexingUpdateOp
        ) -> FloatTensor<G> {
            float_scatter_nd
        }
        (data: FloatTensor<G>, indices: IntTensor<G>) -> FloatTensor<G> { float_gather_nd }
        (tensor: FloatTensor<G>, dim: usize, indices: IntTensor<G>) -> FloatTensor<G> {
            float_select
        }
        (
            tensor: FloatTensor<G>,
            dim: usize,
            indices: IntTensor<G>,
            value: FloatTensor<G>
        ) -> FloatTensor<G> {
            float_select_add
        }
        (tensor: FloatTensor<G>, slices: &[Slice]) -> FloatTensor<G> { float_slice }
        (tensor: FloatTensor<G>, slices: &[Slice], value: FloatTensor<G>) -> FloatTensor<G> {
            float_slice_assign
        }
        (tensor: FloatTensor<G>, mask: BoolTensor<G>, value: FloatTensor<G>) -> FloatTensor<G> {
            float_mask_where
        }
        (tensor: FloatTensor<G>, mask: BoolTensor<G>, value: Scalar) -> FloatTensor<G> {
            float_mask_fill
        }
        (lhs: FloatTensor<G>, rhs: FloatTensor<G>, out_dtype: BoolDType) -> BoolTensor<G> {
            float_equal, float_greater, float_greater_equal, float_lower,
            float_lower_equal
        }
        (lhs: FloatTensor<G>, rhs: Scalar, out_dtype: BoolDType) -> BoolTensor<G> {
            float_equal_elem, float_greater_elem, float_greater_equal_elem,
            float_lower_elem, float_lower_equal_elem
        }
        (tensor: FloatTensor<G>, dim: usize) -> FloatTensor<G> {
            float_sum_dim, float_prod_dim, float_mean_dim, float_cumsum,
            float_cumprod, float_cummin, float_cummax
        }
        (tensor: FloatTensor<G>, dtype: FloatDType) -> FloatTensor<G> { float_cast }
        (tensors: Vec<FloatTensor<G>>, dim: usize) -> FloatTensor<G> { float_cat }
        (tensor: FloatTensor<G>, dim: usize, out_dtype: IntDType) -> IntTensor<G> {
            float_argmax, float_argmin
        }
        (tensor: FloatTensor<G>, dim: usize, k: usize, out_dtype: IntDType) -> IntTensor<G> {
            float_argtopk
        }
        (
            tensor: FloatTensor<G>,
            grid: FloatTensor<G>,
            options: GridSampleOptions
        ) -> FloatTensor<G> {
            float_grid_sample_2d
        }
        (tensor: FloatTensor<G>, dim: usize, size: usize, step: usize) -> FloatTensor<G> {
            float_unfold
        }
    }
}

impl<G: Backend> ActivationOps<Self> for OracleBackend<G> {
    hand_on! { ActivationOps: (tensor: FloatTensor<G>) -> FloatTensor<G> { relu } }

    /// `1 / (1 + exp(−x))` in f64, where burn's own computes in f32.
    fn sigmoid(tensor: FloatTensor<G>) -> FloatTensor<G> {
        in_f64::<G>(tensor, |wide| {
            let exponential = G::float_exp(G::float_neg(wide));
            G::float_recip(G::float_add_scalar(exponential, 1.0.into()))
        })
    }

    /// `(Φ(x) + x·φ(x)) · grad` in f64, where burn's own is the slope of GELU's tanh approximation.
    fn gelu_backward(x: FloatTensor<G>, grad: FloatTensor<G>) -> FloatTensor<G> {
        let slope = in_f64::<G>(x, |wide| {
            let erf = G::float_erf(G::float_div_scalar(wide.clone(), SQRT_2.into()));
            let normal = G::float_mul_scalar(G::float_add_scalar(erf, 1.0.into()), 0.5.into());
            let square = G::float_mul(wide.clone(), wide.clone());
            let bell = G::float_exp(G::float_mul_scalar(square, (-0.5).into()));
            let bell = G::float_mul_scalar(bell, (FRAC_2_SQRT_PI / (2.0 * SQRT_2)).into());
            G::float_add(normal, G::float_mul(wide, bell))
        });
        G::float_mul(slope, grad)
    }

    /// `clamp(alpha · x + beta, 0, 1)` in f64, where burn's own computes in f32.
    fn hard_sigmoid(tensor: FloatTensor<G>, alpha: Scalar, beta: Scalar) -> FloatTensor<G> {
        in_f64::<G>(tensor, |wide| {
            let line = G::float_add_scalar(G::float_mul_scalar(wide, alpha), beta);
            G::float_clamp(line, 0.0.into(), 1.0.into())
        })
    }
}

/// Computes in f64, and gives the result the type that the tensor had.
fn in_f64<G: Backend>(
    tensor: FloatTensor<G>,
    operation: impl Fn(FloatTensor<G>) -> FloatTensor<G>,
) -> FloatTensor<G> {
    let dtype = tensor.dtype();
    let result = operation(G::float_cast(tensor, FloatDType::F64));
    match dtype {
        DType::F64 => result,
        dtype => G::float_cast(result, dtype.into()),
    }
}
