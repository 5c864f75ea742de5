//! The parts of the text encoder.

use burn::{
    module::Module,
    tensor::{Element, Int, Tensor, TensorData, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::ClipTextConfig;
use crate::blocks::{Embedding, LayerNorm, Linear, ParamInit};

/// Token embedding plus position embedding.
#[derive(Module, Debug)]
pub(super) struct Embeddings<B: Backend> {
    token_embedding: Embedding<B>,
    position_embedding: Embedding<B>,
}

impl<B: Backend> Embeddings<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &ClipTextConfig) -> Self {
        let hidden = config.hidden_size;
        Self {
            token_embedding: Embedding::new(init, config.vocab_size, hidden),
            position_embedding: Embedding::new(init, config.max_position_embeddings, hidden),
        }
    }

    /// The vectors of the tokens in their places, in the backend's float type.
    ///
    /// # Shapes
    /// [batch, length] → [batch, length, hidden].
    pub(super) fn forward(&self, ids: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        let [_, length] = ids.dims();
        let dtype = B::FloatElem::dtype();
        let places = self.position_embedding.weight.val().narrow(0, 0, length);
        let tokens = self.token_embedding.forward(ids).cast(dtype);
        tokens + places.cast(dtype).unsqueeze()
    }
}

/// The layers.
#[derive(Module, Debug)]
pub(super) struct Encoder<B: Backend> {
    pub(super) layers: Vec<EncoderLayer<B>>,
}

impl<B: Backend> Encoder<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &ClipTextConfig) -> Self {
        let layers = (0..config.num_hidden_layers).map(|_| EncoderLayer::new(init, config));
        Self {
            layers: layers.collect(),
        }
    }
}

/// `x ← x + attention(norm1(x))`, then `x ← x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub(super) struct EncoderLayer<B: Backend> {
    layer_norm1: LayerNorm<B>,
    self_attn: SelfAttention<B>,
    layer_norm2: LayerNorm<B>,
    mlp: Mlp<B>,
}

impl<B: Backend> EncoderLayer<B> {
    fn new(init: &mut ParamInit<'_, B>, config: &ClipTextConfig) -> Self {
        let (hidden, epsilon) = (config.hidden_size, config.layer_norm_eps);
        Self {
            layer_norm1: LayerNorm::new(init, hidden, epsilon),
            self_attn: SelfAttention::new(init, hidden, config.num_attention_heads),
            layer_norm2: LayerNorm::new(init, hidden, epsilon),
            mlp: Mlp::new(init, config),
        }
    }
}

impl<B: VisionBackend> EncoderLayer<B> {
    /// # Shapes
    /// `x` and the result [batch, length, hidden]; `mask` [1, 1, length, length].
    pub(super) fn forward(&self, x: Tensor<B, 3>, mask: Tensor<B, 4>) -> Tensor<B, 3> {
        let normal = self.layer_norm1.forward(x.clone());
        let x = self.self_attn.forward(normal, mask, x);
        let normal = self.layer_norm2.forward(x.clone());
        self.mlp.forward(normal, x)
    }
}

/// Attention of several heads, each layer with bias.
#[derive(Module, Debug)]
struct SelfAttention<B: Backend> {
    q_proj: Linear<B>,
    k_proj: Linear<B>,
    v_proj: Linear<B>,
    out_proj: Linear<B>,
    heads: usize,
}

impl<B: Backend> SelfAttention<B> {
    fn new(init: &mut ParamInit<'_, B>, hidden: usize, heads: usize) -> Self {
        let mut linear = || Linear::new(init, hidden, hidden);
        Self {
            q_proj: linear(),
            k_proj: linear(),
            v_proj: linear(),
            out_proj: linear(),
            heads,
        }
    }
}

impl<B: VisionBackend> SelfAttention<B> {
    fn forward(&self, x: Tensor<B, 3>, mask: Tensor<B, 4>, residual: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, length, hidden] = x.dims();
        let width = hidden / self.heads;
        let split = |x: Tensor<B, 3>| {
            x.reshape([batch, length, self.heads, width])
                .swap_dims(1, 2)
        };
        let query = split(self.q_proj.forward(x.clone()));
        let key = split(self.k_proj.forward(x.clone()));
        let value = split(self.v_proj.forward(x));
        let scale = 1.0 / (width as f64).sqrt();
        let x = vision::attention(query, key, value, Some(mask), self.q_proj.attention(scale)); // [batch, heads, length, width]
        let x = x.swap_dims(1, 2).reshape([batch, length, hidden]);
        self.out_proj.forward_plus(x, residual)
    }
}

/// `fc2(act(fc1(x)))`.
#[derive(Module, Debug)]
struct Mlp<B: Backend> {
    fc1: Linear<B>,
    fc2: Linear<B>,
    act: Activation,
}

impl<B: Backend> Mlp<B> {
    fn new(init: &mut ParamInit<'_, B>, config: &ClipTextConfig) -> Self {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Self {
            fc1: Linear::new(init, hidden, inner),
            fc2: Linear::new(init, inner, hidden),
            act: config.hidden_act,
        }
    }
}

impl<B: VisionBackend> Mlp<B> {
    fn forward(&self, x: Tensor<B, 3>, residual: Tensor<B, 3>) -> Tensor<B, 3> {
        let hidden = vision::activate(self.fc1.forward(x), self.act);
        self.fc2.forward_plus(hidden, residual)
    }
}

/// What a mask adds to the score of a token that is not seen. It is finite, because some GPU
/// compilers assume finite numbers.
const UNSEEN: f32 = -1e9;

/// 0 where a token sees another, [`UNSEEN`] where the other comes later; [1, 1, length, length] in the type of `like`.
pub(super) fn causal_mask<B: Backend>(length: usize, like: &Tensor<B, 3>) -> Tensor<B, 4> {
    let values = (0..length * length).map(|place| {
        let (row, column) = (place / length, place % length);
        if column > row { UNSEEN } else { 0.0 }
    });
    let data = TensorData::new(values.collect::<Vec<f32>>(), [1, 1, length, length]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}
