//! Every number of the article, to 1e-6.

use pyrograph_gradcheck::closed_forms::{
    Array, ConvGeometry, PoolGeometry, conv2d, conv2d_bias_gradient, conv2d_input_gradient,
    conv2d_weight_gradient, max_pool2d, max_pool2d_gradient, relu, relu_gradient, softmax,
    softmax_cross_entropy_gradient,
};
use serde_json::Value;

/// The article prints seven or eight digits of f32.
const PRINTED: f64 = 1e-6;

const STRIDE_TWO: ConvGeometry = ConvGeometry {
    stride: [2, 2],
    padding: [0, 0],
    dilation: [1, 1],
};

fn article() -> Value {
    serde_json::from_str(include_str!("../fixtures/cnn_gradients.json")).expect("valid JSON")
}

fn row(value: &Value) -> Vec<f64> {
    let values = value.as_array().expect("an array").iter();
    values.map(|v| v.as_f64().expect("a number")).collect()
}

/// A printed matrix as one plane.
fn plane(value: &Value) -> Array<4> {
    let rows: Vec<_> = value.as_array().expect("rows").iter().map(row).collect();
    Array::new([1, 1, rows.len(), rows[0].len()], rows.concat()).expect("rows of one length")
}

fn assert_printed<const D: usize>(seen: &Array<D>, printed: &Array<D>, what: &str) {
    assert_eq!(seen.shape(), printed.shape(), "{what}");
    for (at, (seen, printed)) in seen.values().iter().zip(printed.values()).enumerate() {
        assert!(
            (seen - printed).abs() <= PRINTED,
            "{what}, value {at}: {seen} for {printed}"
        );
    }
}

#[test]
fn the_forward_pass_and_the_route_through_pool_and_relu_are_those_of_case_a() {
    let article = article();
    let case = &article["case_a"];
    let bias = case["bias"].as_f64().expect("a number");
    let z1 = conv2d(
        &plane(&article["x"]),
        &plane(&case["kernel"]),
        &[bias],
        STRIDE_TWO,
    );
    let z1 = z1.expect("legal");
    assert_printed(&z1, &plane(&case["z_l1"]), "z of layer 1");
    let a1 = relu(&z1);
    assert_printed(&a1, &plane(&case["a_l1"]), "a of layer 1");
    let pool = PoolGeometry::square(2);
    let z2 = max_pool2d(&a1, pool).expect("legal");
    assert_printed(&z2, &plane(&case["z_l2"]), "z of layer 2");

    let by_a1 = max_pool2d_gradient(&a1, &plane(&case["dl_dz2"]), pool).expect("legal");
    let by_z1 = relu_gradient(&z1, &by_a1).expect("legal");
    assert_printed(&by_z1, &plane(&case["dl_dz1"]), "dl/dz of layer 1");
}

#[test]
fn the_printed_products_of_single_windows_are_those_of_case_a() {
    let article = article();
    let case = &article["case_a"];
    let (x, kernel) = (plane(&article["x"]), plane(&case["kernel"]));
    let z = conv2d(&x, &kernel, &[0.0], STRIDE_TWO).expect("legal");
    let products = case["window_products"].as_array().expect("an array");
    assert_eq!(products.len(), 3);
    for product in products {
        let (window, printed) = (row(&product["window"]), product["sum"].as_f64());
        let [row, column] = [window[0] as usize, window[1] as usize];
        // By the definition, and as the convolution has it.
        let places = (0..9).map(|at| (at / 3, at % 3));
        let sum: f64 = places
            .map(|(i, j)| {
                x.values()[9 * (2 * row + i) + 2 * column + j] * kernel.values()[3 * i + j]
            })
            .sum();
        let of_layer = z.values()[4 * row + column];
        let printed = printed.expect("a number");
        assert!((sum - printed).abs() <= PRINTED, "{sum} for {printed}");
        assert!(
            (of_layer - printed).abs() <= PRINTED,
            "{of_layer} for {printed}"
        );
    }
}

#[test]
fn the_upsampled_delta_of_case_b_gives_its_gradient_without_a_stride() {
    const PLAIN: ConvGeometry = ConvGeometry {
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
    };
    let case = &article()["case_b"];
    let (delta, upsampled) = (plane(&case["dl_dz1"]), plane(&case["dl_dz1_upsampled"]));
    assert_eq!(upsampled.shape(), [1, 1, 7, 7]);
    for (at, value) in upsampled.values().iter().enumerate() {
        let (i, j) = (at / 7, at % 7);
        let of_stride = i % 2 == 0 && j % 2 == 0;
        let expected = if of_stride {
            delta.values()[4 * (i / 2) + j / 2]
        } else {
            0.0
        };
        assert_eq!(*value, expected, "[{i}, {j}]");
    }
    let by_x = conv2d_input_gradient(&upsampled, &plane(&case["kernel"]), [9, 9], PLAIN);
    assert_printed(&by_x.expect("legal"), &plane(&case["dl_dx"]), "dl/dx");
}

#[test]
fn the_gradient_by_the_image_is_that_of_case_b() {
    let case = &article()["case_b"];
    let (delta, kernel) = (plane(&case["dl_dz1"]), plane(&case["kernel"]));
    let by_x = conv2d_input_gradient(&delta, &kernel, [9, 9], STRIDE_TWO).expect("legal");
    assert_printed(&by_x, &plane(&case["dl_dx"]), "dl/dx");
}

#[test]
fn the_gradients_by_kernel_and_bias_are_those_of_case_c() {
    let article = article();
    let case = &article["case_c"];
    let (x, delta) = (plane(&article["x"]), plane(&case["dl_dz1"]));
    let by_w = conv2d_weight_gradient(&x, &delta, [3, 3], STRIDE_TWO).expect("legal");
    assert_printed(&by_w, &plane(&case["dl_dW"]), "dl/dW");
    let printed = case["dl_db"].as_f64().expect("a number");
    assert!((conv2d_bias_gradient(&delta)[0] - printed).abs() <= PRINTED);
}

#[test]
fn softmax_less_target_is_the_printed_gradient_of_the_logits() {
    let case = &article()["softmax_cross_entropy"];
    let (target, printed) = (row(&case["y_true"]), row(&case["dl_dz3"]));
    // The logits were not printed: dl_dz3 + y is the softmax, and its logarithm are logits that give it.
    let chances: Vec<f64> = target.iter().zip(&printed).map(|(y, d)| y + d).collect();
    assert!((chances.iter().sum::<f64>() - 1.0).abs() <= PRINTED);
    let logits = Array::new([1, 3], chances.iter().map(|a| a.ln() + 2.0).collect());
    let logits = logits.expect("filled");
    let given = Array::new([1, 3], chances).expect("filled");
    assert_printed(&softmax(&logits), &given, "softmax");
    let target = Array::new([1, 3], target).expect("filled");
    let by_z = softmax_cross_entropy_gradient(&logits, &target).expect("legal");
    assert_printed(
        &by_z,
        &Array::new([1, 3], printed).expect("filled"),
        "dl/dz of layer 3",
    );
}
