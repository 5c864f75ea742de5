//! [`VisionBackend`] for burn's own backends, most of which take the default bodies.

#[cfg(feature = "wgpu")]
use burn::tensor::{
    TensorMetadata,
    ops::{ConvOptions, FloatTensor},
};

use super::VisionBackend;
#[cfg(feature = "wgpu")]
use super::primitives::in_type;

#[cfg(feature = "oracle")]
impl VisionBackend for burn_ndarray::NdArray<f32> {}

#[cfg(feature = "oracle")]
impl VisionBackend for burn_ndarray::NdArray<f64> {}

#[cfg(feature = "wgpu")]
impl VisionBackend for burn_wgpu::Wgpu {
    fn conv2d_weight_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let of = weight.dtype();
        let weight = in_type::<Self>(weight, x.dtype());
        in_type::<Self>(
            super::bands::weight_gradient::<Self>(x, weight, grad, options),
            of,
        )
    }
}

#[cfg(feature = "cuda")]
impl VisionBackend for burn_cuda::Cuda {}
