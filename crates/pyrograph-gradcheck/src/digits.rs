//! Which of burn's operations compute f64 tensors in f32, on the backend at hand.

use burn::tensor::{
    DType, Tensor, TensorData, activation, backend::AutodiffBackend, module, ops::ConvOptions,
};

/// Points between ½ and 2, where every operation is defined and none gives a short number.
const POINTS: [f64; 8] = [
    0.612_345_678_901_23,
    0.723_456_789_012_34,
    0.834_567_890_123_45,
    0.945_678_901_234_56,
    1.156_789_012_345_67,
    1.267_890_123_456_78,
    1.578_901_234_567_89,
    1.889_012_345_678_91,
];

type Operation<A> = fn(Tensor<A, 2>) -> Tensor<A, 2>;

/// The names of the operations whose results have f32's digits alone, though their tensors are f64.
pub(crate) fn operations_in_single<A: AutodiffBackend>(device: &A::Device) -> Vec<&'static str> {
    let points = || {
        let data = TensorData::new(POINTS.to_vec(), [2, 4]);
        Tensor::<A, 2>::from_data(data, (device, DType::F64))
    };
    let is_single = |operation: Operation<A>| {
        let mut values = operation(points()).into_data();
        values = values.convert::<f64>();
        values
            .iter::<f64>()
            .all(|value| value == f64::from(value as f32))
    };
    let operations = operations::<A>().into_iter();
    operations
        .filter(|(_, operation)| is_single(*operation))
        .map(|(name, _)| name)
        .collect()
}

fn operations<A: AutodiffBackend>() -> Vec<(&'static str, Operation<A>)> {
    vec![
        ("exp", |x| x.exp()),
        ("log", |x| x.log()),
        ("log1p", |x| x.log1p()),
        ("sqrt", |x| x.sqrt()),
        ("recip", |x| x.recip()),
        ("tanh", |x| x.tanh()),
        ("sin", |x| x.sin()),
        ("cos", |x| x.cos()),
        ("erf", |x| x.erf()),
        ("powf_scalar", |x| x.powf_scalar(1.7)),
        ("div_scalar", |x| x.div_scalar(3.0)),
        ("sigmoid (of which silu is made)", activation::sigmoid),
        ("hard_sigmoid", |x| activation::hard_sigmoid(x, 0.2, 0.1)),
        ("log_sigmoid", activation::log_sigmoid),
        ("gelu", activation::gelu),
        ("softplus", |x| activation::softplus(x, 1.0)),
        ("softmax", |x| activation::softmax(x, 1)),
        ("log_softmax", |x| activation::log_softmax(x, 1)),
        ("mean_dim", |x| x.mean_dim(1)),
        ("var", |x| x.var(1)),
        ("matmul", |x| x.clone().matmul(x.transpose())),
        ("conv2d", |x| {
            let image: Tensor<A, 4> = x.clone().reshape([1, 1, 2, 4]);
            let weight: Tensor<A, 4> = x.reshape([4, 1, 1, 2]);
            let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
            module::conv2d(image, weight, None, options).reshape([4, 6])
        }),
    ]
}
