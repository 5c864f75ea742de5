//! The closed forms of transformers' operations beside the vision operations' gradients, on NdArray in f64 and on Flex in f32.

use burn::tensor::{Int, Tensor, TensorData, module};
use pyrograph_backend::vision::{self, VisionAutodiff};
use pyrograph_gradcheck::{
    Oracle,
    closed_forms::{
        embedding, embedding_gradient, geglu, geglu_gradient, layer_norm, layer_norm_gradients,
        upsample_nearest, upsample_nearest_gradient,
    },
};

use super::agreement::{Single, array, close, tensor};

const EPSILON: f64 = 1e-5;

fn norms<A: VisionAutodiff>([rows, features]: [usize; 2]) {
    let (x, delta) = (array([rows, features], 1), array([rows, features], 2));
    let (w, b) = (array([features], 3), array([features], 4));
    let (tx, tw, tb) = (tensor::<A, 2>(&x), tensor::<A, 1>(&w), tensor::<A, 1>(&b));
    let y = vision::layer_norm(tx.clone(), tw.clone(), tb.clone(), EPSILON);
    let hand = layer_norm(&x, w.values(), b.values(), EPSILON).expect("legal");
    close(y.clone().inner(), hand.values(), "y");
    let gradients = (y * tensor::<A, 2>(&delta).detach()).sum().backward();
    let hand = layer_norm_gradients(&x, w.values(), EPSILON, &delta).expect("legal");
    close(
        tx.grad(&gradients).expect("tracked"),
        hand.x.values(),
        "by x",
    );
    close(tw.grad(&gradients).expect("tracked"), &hand.weight, "by w");
    close(tb.grad(&gradients).expect("tracked"), &hand.bias, "by b");
}

#[test]
fn layer_norms_agree_with_autodiff() {
    for shape in [[1, 4], [5, 3], [7, 40]] {
        norms::<Oracle>(shape);
        norms::<Single>(shape);
    }
}

fn gates<A: VisionAutodiff>([rows, features]: [usize; 2]) {
    let x = array([rows, 2 * features], 1);
    let delta = array([rows, features], 2);
    let tx = tensor::<A, 2>(&x);
    let y = vision::geglu(tx.clone());
    close(y.clone().inner(), geglu(&x).expect("legal").values(), "y");
    let gradients = (y * tensor::<A, 2>(&delta).detach()).sum().backward();
    let by_x = geglu_gradient(&x, &delta).expect("legal");
    close(tx.grad(&gradients).expect("tracked"), by_x.values(), "by x");
}

#[test]
fn gated_gelu_agrees_with_autodiff() {
    for shape in [[1, 1], [6, 9]] {
        gates::<Oracle>(shape);
        gates::<Single>(shape);
    }
}

fn enlarged<A: VisionAutodiff>(factor: usize) {
    let x = array([2, 3, 4, 5], 1);
    let delta = array([2, 3, 4 * factor, 5 * factor], 2);
    let tx = tensor::<A, 4>(&x);
    let y = vision::upsample_nearest(tx.clone(), factor);
    close(
        y.clone().inner(),
        upsample_nearest(&x, factor).values(),
        "y",
    );
    let gradients = (y * tensor::<A, 4>(&delta).detach()).sum().backward();
    let by_x = upsample_nearest_gradient(&delta, factor).expect("legal");
    close(tx.grad(&gradients).expect("tracked"), by_x.values(), "by x");
}

#[test]
fn upsampling_agrees_with_autodiff() {
    for factor in [1, 2, 3] {
        enlarged::<Oracle>(factor);
        enlarged::<Single>(factor);
    }
}

fn tables<A: VisionAutodiff>() {
    let ids = [3, 0, 3, 3, 6, 0];
    let (table, delta) = (array([7, 4], 1), array([6, 4], 2));
    let tt = tensor::<A, 2>(&table);
    let numbers = TensorData::new(ids.map(|id| id as i64).to_vec(), [1, 6]);
    let numbers = Tensor::<A, 2, Int>::from_data(numbers, &Default::default());
    let y = module::embedding(tt.clone(), numbers).reshape([6, 4]);
    let hand = embedding(&table, &ids).expect("legal");
    close(y.clone().inner(), hand.values(), "y");
    let gradients = (y * tensor::<A, 2>(&delta).detach()).sum().backward();
    let by_table = embedding_gradient(7, &ids, &delta).expect("legal");
    close(
        tt.grad(&gradients).expect("tracked"),
        by_table.values(),
        "by the table",
    );
}

#[test]
fn embeddings_agree_with_autodiff_repetitions_included() {
    tables::<Oracle>();
    tables::<Single>();
}

#[test]
fn sizes_that_do_not_fit_are_refused_by_transformers_operations_too() {
    assert!(layer_norm(&array([2, 3], 1), &[1.0; 2], &[0.0; 3], EPSILON).is_err());
    assert!(geglu(&array([2, 3], 1)).is_err());
    assert!(geglu_gradient(&array([2, 4], 1), &array([2, 4], 1)).is_err());
    assert!(upsample_nearest_gradient(&array([1, 1, 3, 4], 1), 2).is_err());
    assert!(upsample_nearest_gradient(&array([1, 1, 3, 4], 1), 0).is_err());
    let message = embedding(&array([4, 2], 1), &[4])
        .expect_err("refused")
        .to_string();
    assert_eq!(message, "an id is 4; it must be below 4");
}
