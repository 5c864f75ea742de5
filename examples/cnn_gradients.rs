//! A small CNN differentiated by hand and by burn, step by step: convolution 3×3 of stride 2, ReLU, max pooling 2×2, a dense layer,
//! softmax and cross-entropy. At every step it prints both gradients and their difference; then it holds burn's gradients of the
//! whole network to differences of its loss.
//!
//! ```text
//! cargo run --release --example cnn_gradients [-- OUT.png]
//! ```
//!
//! A second. The picture (`cnn_gradients.png`) has the loss's gradient by each step's value, from the logits back to the image,
//! blue below zero, grey at zero, red above: 3 logits, 2×2 pooled values, 4×4 places of which at most 4 receive anything, and the 9×9 image,
//! where each of these 4 has left the kernel, times its value.

use anyhow::Context;
use burn::tensor::{
    DType, Shape, Tensor, TensorData, activation,
    module::{conv2d as burn_conv2d, max_pool2d as burn_max_pool2d},
    ops::ConvOptions,
};
use pyrograph::figures::panels;
use pyrograph::gradcheck::{GradCheck, HostTensor, Oracle, closed_forms::*, gradcheck};
use pyrograph::vision::{Rgb, RgbImage, enlarge, pick_factor, write_png};

const ARTICLE: &str =
    include_str!("../crates/pyrograph-gradcheck/tests/fixtures/cnn_gradients.json");
/// The dense weights were never printed; these are as good as any.
const DENSE: [[f64; 3]; 4] = [
    [0.3, -0.1, 0.2],
    [-0.2, 0.4, 0.1],
    [0.5, -0.3, -0.4],
    [0.1, 0.2, -0.5],
];
const STRIDE: usize = 2;
const PANEL: u32 = 144;
/// Zero stands out from the white page.
const GREY: f64 = 224.0;

fn main() -> anyhow::Result<()> {
    let out = std::env::args().nth(1);
    let article: serde_json::Value = serde_json::from_str(ARTICLE)?;
    let x = plane(&article["x"])?;
    let kernel = plane(&article["case_a"]["kernel"])?;
    let target: Vec<f64> =
        serde_json::from_value(article["softmax_cross_entropy"]["y_true"].clone())?;
    let (w, y) = (
        Array::new([4, 3], DENSE.concat())?,
        Array::new([1, 3], target)?,
    );

    // 1. Forward by hand.
    let geometry = ConvGeometry {
        stride: [STRIDE, STRIDE],
        ..Default::default()
    };
    let pool = PoolGeometry::square(2);
    let z1 = conv2d(&x, &kernel, &[0.0], geometry)?;
    let a1 = relu(&z1);
    let p = max_pool2d(&a1, pool)?;
    let flat = Array::new([1, 4], p.values().to_vec())?;
    let z3 = dense(&flat, &w, &[0.0; 3])?;
    println!("loss {:.8}\n", softmax_cross_entropy(&z3, &y)?[0]);

    // 2. Backward by hand: each δ from the one after it.
    let by_z3 = softmax_cross_entropy_gradient(&z3, &y)?;
    let by_dense = dense_gradients(&flat, &w, &by_z3)?;
    let by_p = Array::new(p.shape(), by_dense.x.values().to_vec())?;
    let by_a1 = max_pool2d_gradient(&a1, &by_p, pool)?;
    let by_z1 = relu_gradient(&z1, &by_a1)?;
    let by_x = conv2d_input_gradient(&by_z1, &kernel, [9, 9], geometry)?;
    let by_kernel = conv2d_weight_gradient(&x, &by_z1, [3, 3], geometry)?;
    let by_bias = conv2d_bias_gradient(&by_z1);

    // 3. Forward and backward by burn, from each value on.
    let k = leaf(kernel.values(), [1, 1, 3, 3]);
    let (b, w, y) = (
        leaf(&[0.0], [1]),
        leaf(w.values(), [4, 3]),
        leaf(y.values(), [1, 3]),
    );
    let cross_entropy = |z: Tensor<Oracle, 2>| -(activation::log_softmax(z, 1) * y.clone()).sum();
    let from_p = |p: Tensor<Oracle, 4>| cross_entropy(p.flatten(1, 3).matmul(w.clone()));
    let from_a1 = |a| from_p(burn_max_pool2d(a, [2, 2], [2, 2], [0, 0], [1, 1], false));
    let from_z1 = |z| from_a1(activation::relu(z));
    let from_all = |x, k, b| {
        let options = ConvOptions::new([STRIDE, STRIDE], [0, 0], [1, 1], 1);
        from_z1(burn_conv2d(x, k, Some(b), options))
    };
    println!("gradient by     largest by hand   by burn  largest difference");
    beside("logits", by_z3.values(), &z3, &cross_entropy)?;
    beside("pooled", by_p.values(), &p, &from_p)?;
    beside("a of layer 1", by_a1.values(), &a1, &from_a1)?;
    beside("z of layer 1", by_z1.values(), &z1, &from_z1)?;
    beside("image", by_x.values(), &x, &|x| {
        from_all(x, k.clone(), b.clone())
    })?;
    let image = leaf(x.values(), [1, 1, 9, 9]);
    let of_kernel = |k| from_all(image.clone(), k, b.clone());
    beside("kernel", by_kernel.values(), &kernel, &of_kernel)?;
    let bias = Array::new([1], vec![0.0])?;
    let of_bias = |b| from_all(image.clone(), k.clone(), b);
    beside("bias", &by_bias, &bias, &of_bias)?;

    // 4. burn's gradients of the whole held to differences, element by element.
    let inputs = [
        HostTensor::new("image", &x.shape(), x.values().to_vec())?,
        HostTensor::new("kernel", &kernel.shape(), kernel.values().to_vec())?,
        HostTensor::new("bias", &[1], vec![0.0])?,
    ];
    let report = gradcheck(&GradCheck::full(), &inputs, &Default::default(), |inputs| {
        let (image, kernel) = (inputs.tensor("image")?, inputs.tensor("kernel")?);
        Ok(from_all(image, kernel, inputs.tensor("bias")?))
    })?;
    println!("\n{report}");
    anyhow::ensure!(report.passed(), "burn's gradients are not the loss's");

    // 5. The δ maps, from the logits back.
    let logits = Array::new([1, 1, 1, 3], by_z3.values().to_vec())?;
    let maps = [
        ("by logits", &logits),
        ("by pooled", &by_p),
        ("by a, layer 1", &by_a1),
        ("by z, layer 1", &by_z1),
        ("by image", &by_x),
        ("by kernel", &by_kernel),
    ];
    let drawn = maps.iter().map(|(title, map)| Ok((*title, picture(map)?)));
    let out = out.unwrap_or_else(|| "cnn_gradients.png".into());
    write_png(&out, &panels(&drawn.collect::<anyhow::Result<Vec<_>>>()?)?)?;
    println!("wrote {out}");
    Ok(())
}

fn plane(json: &serde_json::Value) -> anyhow::Result<Array<4>> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(json.clone())?;
    Ok(Array::new(
        [1, 1, rows.len(), rows[0].len()],
        rows.concat(),
    )?)
}

fn leaf<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<Oracle, D> {
    let data = TensorData::new(values.to_vec(), Shape::from(shape));
    Tensor::from_data(data, (&Default::default(), DType::F64)).require_grad()
}

/// One line: the gradient by `at` that was derived by hand, and burn's of `loss`.
fn beside<const D: usize>(
    name: &str,
    hand: &[f64],
    at: &Array<D>,
    loss: &dyn Fn(Tensor<Oracle, D>) -> Tensor<Oracle, 1>,
) -> anyhow::Result<()> {
    let value = leaf(at.values(), at.shape());
    let gradients = loss(value.clone()).backward();
    let burn = value.grad(&gradients).context("burn gave no gradient")?;
    let burn: Vec<f64> = burn.into_data().iter::<f64>().collect();
    let pairs = || hand.iter().zip(&burn);
    let largest = pairs().max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let (largest, same_place) = largest.context("an empty gradient")?;
    let difference = pairs().fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
    println!("{name:<14} {largest:>16.8} {same_place:>11.8} {difference:>12.1e}");
    Ok(())
}

/// Blue below zero, grey at zero, red above; the strongest colour is the map's largest size.
fn picture(map: &Array<4>) -> anyhow::Result<RgbImage> {
    let [_, _, height, width] = map.shape();
    let largest = map
        .values()
        .iter()
        .fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let small = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let value = map.values()[y as usize * width + x as usize] / largest;
        let pale = (GREY * (1.0 - value.abs())) as u8;
        let strong = (GREY + (255.0 - GREY) * value.abs()) as u8;
        Rgb(if value < 0.0 {
            [pale, pale, strong]
        } else {
            [strong, pale, pale]
        })
    });
    Ok(enlarge(
        &small,
        pick_factor(width.max(height) as u32, PANEL),
    )?)
}
