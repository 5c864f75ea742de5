//! Scaled dot-product attention in plain burn operations.

use burn::tensor::{Tensor, activation, backend::Backend};

use super::{
    super::{AttentionGradients, AttentionPass},
    in_type_of, widen,
};

/// Scores that a block of queries may have (256 MiB of f32).
const SCORES: usize = 1 << 26;

/// Scaled dot-product attention (Vaswani et al., 2017): `softmax(q·kᵀ·scale + bias)·v`.
///
/// `query` [batch, heads, n, d], `key` [batch, heads, m, d], `value` [batch, heads, m, e], `bias` broadcastable to
/// [batch, heads, n, m]; result [batch, heads, n, e]. Scores and softmax are f32 for half-precision input.
pub fn attention<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    bias: Option<Tensor<B, 4>>,
    scale: f64,
) -> Tensor<B, 4> {
    let dtype = value.dtype();
    // Widened before it is scaled: a scaled query of half precision loses digits.
    let scores = (widen(query) * scale).matmul(widen(key).swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + widen(bias),
        None => scores,
    };
    activation::softmax(scores, 3).cast(dtype).matmul(value)
}

/// [`attention`] by blocks of queries, so that the scores that exist at once take at most 256 MiB.
pub fn attention_by_blocks<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    bias: Option<Tensor<B, 4>>,
    scale: f64,
) -> Tensor<B, 4> {
    by_blocks_of(SCORES, query, key, value, bias, scale)
}

fn by_blocks_of<B: Backend>(
    scores: usize,
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    bias: Option<Tensor<B, 4>>,
    scale: f64,
) -> Tensor<B, 4> {
    let [batch, heads, n, _] = query.dims();
    let [_, _, m, _] = key.dims();
    let at_once = (scores / (batch * heads * m).max(1)).max(1);
    if n <= at_once {
        return attention(query, key, value, bias, scale);
    }
    let blocks = (0..n).step_by(at_once).map(|first| {
        let count = at_once.min(n - first);
        let bias = bias.clone().map(|bias| match bias.dims()[2] {
            1 => bias,
            _ => bias.narrow(2, first, count),
        });
        let query = query.clone().narrow(2, first, count);
        attention(query, key.clone(), value.clone(), bias, scale)
    });
    Tensor::cat(blocks.collect(), 2)
}

/// The gradients of [`attention`], given the gradient of its output.
///
/// With the weights `P = softmax(q·kᵀ·scale + bias)`, the output `O`, its gradient `dO`, `dP = dO·vᵀ` and
/// `dS = P∘(dP − Σ dO∘O)`, the sum over a row of values ([Dao, 2023](https://arxiv.org/abs/2307.08691), section 2.2):
/// `∂v = Pᵀ·dO`, `∂q = dS·k·scale`, `∂k = dSᵀ·q·scale`, and `∂bias = dS`, summed over the axes over which the bias is
/// broadcast. All is f32 for half-precision input. Blocks of queries are taken one after the other, so that the scores
/// that exist at once take at most 256 MiB.
///
/// # Shapes
/// `grad` [batch, heads, n, e]; the rest as in [`AttentionPass`].
pub fn attention_backward<B: Backend>(
    pass: AttentionPass<Tensor<B, 4>>,
    grad: Tensor<B, 4>,
    scale: f64,
) -> AttentionGradients<Tensor<B, 4>> {
    backward_by_blocks_of(SCORES, pass, grad, scale)
}

fn backward_by_blocks_of<B: Backend>(
    scores: usize,
    pass: AttentionPass<Tensor<B, 4>>,
    grad: Tensor<B, 4>,
    scale: f64,
) -> AttentionGradients<Tensor<B, 4>> {
    let types = [&pass.query, &pass.key, &pass.value].map(Tensor::dtype);
    let type_of_bias = pass.bias.as_ref().map(Tensor::dtype);
    let (pass, grad) = (pass.map(widen), widen(grad));
    let [batch, heads, n, _] = grad.dims();
    let [_, _, m, _] = pass.key.dims();
    let at_once = (scores / (batch * heads * m).max(1)).max(1);
    let blocks = (0..n).step_by(at_once).map(|first| {
        let rows = |x: &Tensor<B, 4>| x.clone().narrow(2, first, at_once.min(n - first));
        let pass = AttentionPass {
            query: rows(&pass.query),
            bias: pass.bias.as_ref().map(|bias| match bias.dims()[2] {
                1 => bias.clone(),
                _ => rows(bias),
            }),
            output: rows(&pass.output),
            ..pass.clone()
        };
        of_queries(pass, rows(&grad), scale)
    });
    let one_for_all = pass.bias.as_ref().is_some_and(|bias| bias.dims()[2] == 1);
    let mut queries = Vec::new();
    let mut biases = Vec::new();
    let mut sums: Option<[Tensor<B, 4>; 2]> = None;
    for block in blocks {
        queries.push(block.query);
        biases.extend(block.bias);
        sums = Some(match sums {
            Some([key, value]) => [key + block.key, value + block.value],
            None => [block.key, block.value],
        });
    }
    let [key, value] = sums.unwrap_or_else(|| [pass.key.zeros_like(), pass.value.zeros_like()]);
    let query = match queries.is_empty() {
        true => pass.query.zeros_like(),
        false => Tensor::cat(queries, 2),
    };
    let bias = match one_for_all {
        true => biases.into_iter().reduce(|sum, bias| sum + bias),
        false => (!biases.is_empty()).then(|| Tensor::cat(biases, 2)),
    };
    AttentionGradients {
        query: in_type_of(query, types[0]),
        key: in_type_of(key, types[1]),
        value: in_type_of(value, types[2]),
        bias: bias
            .zip(type_of_bias)
            .map(|(bias, dtype)| in_type_of(bias, dtype)),
    }
}

/// The gradients by one block of queries.
fn of_queries<B: Backend>(
    pass: AttentionPass<Tensor<B, 4>>,
    grad: Tensor<B, 4>,
    scale: f64,
) -> AttentionGradients<Tensor<B, 4>> {
    let AttentionPass {
        query,
        key,
        value,
        bias,
        bias_is_learned,
        output,
    } = pass;
    let shapes = [&query, &key, &value].map(Tensor::dims);
    let shape_of_bias = bias.as_ref().filter(|_| bias_is_learned).map(Tensor::dims);
    let query = query * scale;
    let scores = query.clone().matmul(key.clone().swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let weights = activation::softmax(scores, 3); // [batch, heads, n, m]
    let of_value = weights.clone().swap_dims(2, 3).matmul(grad.clone());
    let of_weights = grad.clone().matmul(value.swap_dims(2, 3));
    let slopes = weights * (of_weights - (grad * output).sum_dim(3)); // [batch, heads, n, m]
    AttentionGradients {
        query: summed_to(slopes.clone().matmul(key) * scale, shapes[0]),
        key: summed_to(slopes.clone().swap_dims(2, 3).matmul(query), shapes[1]),
        value: summed_to(of_value, shapes[2]),
        bias: shape_of_bias.map(|shape| summed_to(slopes, shape)),
    }
}

/// The sums over the axes along which a tensor of `shape` was broadcast.
fn summed_to<B: Backend>(x: Tensor<B, 4>, shape: [usize; 4]) -> Tensor<B, 4> {
    (0..4).fold(x, |x, axis| match shape[axis] == 1 && x.dims()[axis] != 1 {
        true => x.sum_dim(axis),
        false => x,
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;
    use burn_flex::Flex;

    use super::*;
    use crate::rng::{NoiseKey, Purpose};

    #[test]
    fn blocks_of_queries_add_up_to_the_whole() {
        let random = |stream: u64, shape: [usize; 4]| -> Tensor<Flex, 4> {
            NoiseKey::new(3, Purpose::Other, stream).normal_tensor(0, shape, &Default::default())
        };
        let (query, key, value) = (
            random(0, [2, 3, 7, 4]),
            random(1, [2, 3, 5, 4]),
            random(2, [2, 3, 5, 6]),
        );
        for rows in [1, 7] {
            let bias = Some(random(3, [1, 1, rows, 5]));
            let (q, k, v) = (query.clone(), key.clone(), value.clone());
            let whole = attention(q.clone(), k.clone(), v.clone(), bias.clone(), 0.5);
            let blocks = by_blocks_of(60, q, k, v, bias, 0.5);
            blocks
                .into_data()
                .assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn gradients_by_blocks_of_queries_add_up_to_the_whole() {
        let random = |stream: u64, shape: [usize; 4]| -> Tensor<Flex, 4> {
            NoiseKey::new(4, Purpose::Other, stream).normal_tensor(0, shape, &Default::default())
        };
        for rows in [1, 7] {
            let (query, key, value) = (
                random(0, [2, 3, 7, 4]),
                random(1, [2, 3, 5, 4]),
                random(2, [2, 3, 5, 6]),
            );
            let bias = Some(random(3, [1, 3, rows, 5]));
            let of = |bias| attention(query.clone(), key.clone(), value.clone(), bias, 0.5);
            let pass = AttentionPass {
                output: of(bias.clone()),
                query,
                key,
                value,
                bias,
                bias_is_learned: true,
            };
            let grad = random(4, [2, 3, 7, 6]);
            let whole = backward_by_blocks_of(SCORES, pass.clone(), grad.clone(), 0.5);
            let blocks = backward_by_blocks_of(60, pass, grad, 0.5);
            let pairs = [
                (blocks.query, whole.query),
                (blocks.key, whole.key),
                (blocks.value, whole.value),
                (blocks.bias.expect("learned"), whole.bias.expect("learned")),
            ];
            for (blocks, whole) in pairs {
                blocks
                    .into_data()
                    .assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-5));
            }
        }
    }
}
