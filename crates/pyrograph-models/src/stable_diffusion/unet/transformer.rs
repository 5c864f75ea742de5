//! The transformer between residual blocks: self-attention over the image, cross-attention to the text, feed-forward.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::{Shared, pass::Passage, text::TextSource};
use crate::blocks::{Conv2d, GroupNorm, LayerNorm, Linear, ParamInit};

/// Epsilon of the group norm before the projection, independent of `norm_eps`.
const GROUP_EPSILON: f64 = 1e-6;
/// PyTorch's default, which diffusers leaves.
const LAYER_EPSILON: f64 = 1e-5;
/// The feed-forward's hidden features over its input's.
const WIDENING: usize = 4;

/// The numbers of one level's transformers.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformerShape {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) layers: usize,
    pub(super) context_width: usize,
    /// Whether the first attention attends to the text too.
    pub(super) only_cross_attention: bool,
}

/// Norm, projection, layers, projection, and the input added; diffusers' `Transformer2DModel`.
#[derive(Module, Debug)]
pub(super) struct Transformer2D<B: Backend> {
    norm: GroupNorm<B>,
    proj_in: Projection<B>,
    transformer_blocks: Vec<BasicTransformerBlock<B>>,
    proj_out: Projection<B>,
}

impl<B: Backend> Transformer2D<B> {
    pub(super) fn new(
        init: &mut ParamInit<'_, B>,
        shared: &Shared,
        shape: TransformerShape,
    ) -> Self {
        let channels = shape.channels;
        let blocks = 0..shape.layers;
        Self {
            norm: GroupNorm::new(init, shared.groups, channels).with_epsilon(GROUP_EPSILON),
            proj_in: Projection::new(init, shared, channels),
            transformer_blocks: blocks
                .map(|_| BasicTransformerBlock::new(init, shape))
                .collect(),
            proj_out: Projection::new(init, shared, channels),
        }
    }
}

impl<B: VisionBackend> Transformer2D<B> {
    /// `x` [batch, channels, height, width]; result as `x`.
    pub(super) fn forward(&self, x: Tensor<B, 4>, pass: &mut Passage<'_, B>) -> Tensor<B, 4> {
        let [_, _, height, width] = x.dims();
        let normal = self.norm.forward(x.clone(), Activation::Identity);
        let tokens = self.proj_in.of_pixels(normal);
        let sides = [height, width];
        let blocks = self.transformer_blocks.iter();
        let tokens = blocks.fold(tokens, |tokens, block| block.forward(tokens, sides, pass));
        self.proj_out.to_pixels(tokens, x)
    }

    /// Adds what the attentions read of `context` [batch, length, width], in the order of a pass.
    pub(super) fn read_text(&self, context: &Tensor<B, 3>, sources: &mut Vec<TextSource<B>>) {
        for block in &self.transformer_blocks {
            let first = block.only_cross_attention.then_some(&block.attn1);
            let attentions = first.into_iter().chain([&block.attn2]);
            sources.extend(attentions.map(|attention| attention.read(context.clone())));
        }
    }

    /// The attentions to the text.
    pub(super) fn text_reads(&self) -> usize {
        let of = |block: &BasicTransformerBlock<B>| 1 + usize::from(block.only_cross_attention);
        self.transformer_blocks.iter().map(of).sum()
    }
}

/// A linear layer over the channels, whose published weight is that of a 1×1 convolution in models before 2.0.
#[derive(Module, Debug)]
pub(super) enum Projection<B: Backend> {
    /// Weight [out, in].
    Linear(Linear<B>),
    /// Weight [out, in, 1, 1].
    Convolution(Conv2d<B>),
}

impl<B: Backend> Projection<B> {
    fn new(init: &mut ParamInit<'_, B>, shared: &Shared, channels: usize) -> Self {
        match shared.use_linear_projection {
            true => Self::Linear(Linear::new(init, channels, channels)),
            false => Self::Convolution(Conv2d::same(init, [channels, channels], 1)),
        }
    }
}

impl<B: VisionBackend> Projection<B> {
    /// [batch, in, height, width] → [batch, height·width, out].
    fn of_pixels(&self, x: Tensor<B, 4>) -> Tensor<B, 3> {
        match self {
            Self::Linear(linear) => linear.forward_pixels(x),
            Self::Convolution(conv) => conv.forward_pixels(x),
        }
    }

    /// `x` [batch, height·width, in], `skip`, which is added, and result [batch, out, height, width].
    fn to_pixels(&self, x: Tensor<B, 3>, skip: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Linear(linear) => linear.forward_to_pixels(x, skip),
            Self::Convolution(conv) => conv.forward_to_pixels(x, skip),
        }
    }
}

/// One layer of a transformer; diffusers' `BasicTransformerBlock`.
#[derive(Module, Debug)]
pub(super) struct BasicTransformerBlock<B: Backend> {
    norm1: LayerNorm<B>,
    attn1: CrossAttention<B>,
    norm2: LayerNorm<B>,
    attn2: CrossAttention<B>,
    norm3: LayerNorm<B>,
    ff: FeedForward<B>,
    only_cross_attention: bool,
}

impl<B: Backend> BasicTransformerBlock<B> {
    fn new(init: &mut ParamInit<'_, B>, shape: TransformerShape) -> Self {
        let (channels, heads) = (shape.channels, shape.heads);
        let first_width = match shape.only_cross_attention {
            true => shape.context_width,
            false => channels,
        };
        Self {
            norm1: LayerNorm::new(init, channels, LAYER_EPSILON),
            attn1: CrossAttention::new(init, [channels, first_width], heads),
            norm2: LayerNorm::new(init, channels, LAYER_EPSILON),
            attn2: CrossAttention::new(init, [channels, shape.context_width], heads),
            norm3: LayerNorm::new(init, channels, LAYER_EPSILON),
            ff: FeedForward::new(init, channels),
            only_cross_attention: shape.only_cross_attention,
        }
    }
}

impl<B: VisionBackend> BasicTransformerBlock<B> {
    /// `x` [batch, tokens, channels], of which a picture has `sides` = [height, width]; result as `x`.
    fn forward(
        &self,
        x: Tensor<B, 3>,
        sides: [usize; 2],
        pass: &mut Passage<'_, B>,
    ) -> Tensor<B, 3> {
        let x = match self.only_cross_attention {
            true => text_attention(&self.norm1, &self.attn1, x, pass),
            false => self.self_attention(x, sides, pass),
        };
        let x = text_attention(&self.norm2, &self.attn2, x, pass);
        let h = self.norm3.forward(x.clone());
        self.ff.forward(h, x)
    }

    /// `x` plus the self-attention of its tokens; similar tokens are merged if the pass merges
    /// tokens.
    fn self_attention(
        &self,
        x: Tensor<B, 3>,
        sides: [usize; 2],
        pass: &Passage<'_, B>,
    ) -> Tensor<B, 3> {
        let h = self.norm1.forward(x.clone());
        let merging = pass.merging();
        match merging.and_then(|merging| merging.matched(&x, sides)) {
            Some(matched) => {
                let h = matched.merge(h);
                let (key, value) = self.attn1.keys(h.clone());
                let output = self.attn1.attend(h, key, value, None);
                vision::add(matched.undo(output), x, Activation::Identity)
            }
            None => {
                let (key, value) = self.attn1.keys(h.clone());
                self.attn1.attend(h, key, value, Some(x))
            }
        }
    }
}

/// `x` and the output of its attention to the text, or that of an earlier pass.
fn text_attention<B: VisionBackend>(
    norm: &LayerNorm<B>,
    attention: &CrossAttention<B>,
    x: Tensor<B, 3>,
    pass: &mut Passage<'_, B>,
) -> Tensor<B, 3> {
    let output = match pass.next_text() {
        TextSource::Projected { key, value } => {
            let (h, key, value) = (norm.forward(x.clone()), key.clone(), value.clone());
            if !pass.keeps_text_outputs() {
                return attention.attend(h, key, value, Some(x));
            }
            attention.attend(h, key, value, None)
        }
        TextSource::Output(output) => output.clone(),
    };
    pass.keep_text_output(&output);
    vision::add(output, x, Activation::Identity)
}

/// Attention with several heads, of a sequence to itself or to another; diffusers' `Attention`.
#[derive(Module, Debug)]
pub(super) struct CrossAttention<B: Backend> {
    to_q: Linear<B>,
    to_k: Linear<B>,
    to_v: Linear<B>,
    to_out: Linear<B>,
    heads: usize,
}

impl<B: Backend> CrossAttention<B> {
    /// From `widths` [of the queries' sequence, of the keys' sequence].
    fn new(init: &mut ParamInit<'_, B>, widths: [usize; 2], heads: usize) -> Self {
        let [width, source] = widths;
        Self {
            to_q: Linear::without_bias(init, width, width),
            to_k: Linear::without_bias(init, source, width),
            to_v: Linear::without_bias(init, source, width),
            to_out: Linear::new(init, width, width),
            heads,
        }
    }
}

impl<B: VisionBackend> CrossAttention<B> {
    /// Keys and values [batch, length, width] of `source` [batch, length, width of the source].
    fn keys(&self, source: Tensor<B, 3>) -> (Tensor<B, 3>, Tensor<B, 3>) {
        (self.to_k.forward(source.clone()), self.to_v.forward(source))
    }

    /// The keys and values of `context` [batch, length, width of the source] for this attention.
    fn read(&self, context: Tensor<B, 3>) -> TextSource<B> {
        let (key, value) = self.keys(context);
        TextSource::Projected { key, value }
    }

    /// `x` [batch, tokens, width], `key` and `value` [batch, length, width]; result as `x`, with
    /// `residual` of its shape added.
    fn attend(
        &self,
        x: Tensor<B, 3>,
        key: Tensor<B, 3>,
        value: Tensor<B, 3>,
        residual: Option<Tensor<B, 3>>,
    ) -> Tensor<B, 3> {
        let [batch, tokens, width] = x.dims();
        let query = self.by_head(self.to_q.forward(x));
        let (key, value) = (self.by_head(key), self.by_head(value));
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let out = vision::attention(query, key, value, None, self.to_q.attention(scale)); // [batch, heads, tokens, features]
        let out = out.swap_dims(1, 2).reshape([batch, tokens, width]);
        match residual {
            Some(residual) => self.to_out.forward_plus(out, residual),
            None => self.to_out.forward(out),
        }
    }

    /// [batch, tokens, width] → [batch, heads, tokens, width / heads].
    fn by_head(&self, x: Tensor<B, 3>) -> Tensor<B, 4> {
        let [batch, tokens, width] = x.dims();
        x.reshape([batch, tokens, self.heads, width / self.heads])
            .swap_dims(1, 2)
    }
}

/// A gated linear unit and a linear layer; diffusers' `FeedForward` with `GEGLU`.
#[derive(Module, Debug)]
pub(super) struct FeedForward<B: Backend> {
    gated: Linear<B>,
    output: Linear<B>,
}

impl<B: Backend> FeedForward<B> {
    fn new(init: &mut ParamInit<'_, B>, channels: usize) -> Self {
        let hidden = WIDENING * channels;
        Self {
            gated: Linear::new(init, channels, 2 * hidden),
            output: Linear::new(init, hidden, channels),
        }
    }
}

impl<B: VisionBackend> FeedForward<B> {
    /// `x` and `residual`, which is added, [batch, tokens, channels]; result as `x`.
    fn forward(&self, x: Tensor<B, 3>, residual: Tensor<B, 3>) -> Tensor<B, 3> {
        let hidden = self.gated.forward_geglu(x);
        self.output.forward_plus(hidden, residual)
    }
}
