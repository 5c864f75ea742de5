//! Scaled dot-product attention in plain burn operations.

use burn::tensor::{Tensor, activation, backend::Backend};

use super::widen;

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
}
