//! Linear layers and what goes before and after them in one pass.

use burn::tensor::{Tensor, ops::FloatTensor};

use super::{
    VisionBackend, plain,
    primitives::{into, tensor},
};

/// A linear layer `x·Wᵀ + b`. The weight may be of another kind of tensor, as quantised ones are.
#[derive(Clone, Debug)]
pub struct Linear<F, W = F> {
    /// Tokens; see [`LinearForm`].
    pub x: F,
    /// [out, in].
    pub weight: W,
    /// `[out]`.
    pub bias: Option<F>,
    /// Where the tokens lie, and what becomes of the outputs.
    pub form: LinearForm<F>,
}

/// Where the tokens of a linear layer lie, and what becomes of its outputs.
#[derive(Clone, Debug)]
pub enum LinearForm<F> {
    /// [tokens, in] → [tokens, out].
    Rows,
    /// [tokens, in] → [tokens, out], with a tensor of the output's shape added.
    Plus(F),
    /// [tokens, in] → [tokens, out / 2]: the value is multiplied by the GELU of the gate; see
    /// [`super::plain::geglu`].
    Gated,
    /// [batch, in, height, width] → [batch, height·width, out]: the pixels of images are the tokens.
    OfPixels,
    /// [batch, height·width, in] → [batch, out, height, width]: the tokens become pixels of images, and a tensor of
    /// their shape is added.
    ToPixels(F),
}

impl<F, W> Linear<F, W> {
    /// The same layer with what `f` makes of its weight.
    pub(super) fn with_weight<V>(self, f: impl FnOnce(W) -> V) -> Linear<F, V> {
        Linear {
            x: self.x,
            weight: f(self.weight),
            bias: self.bias,
            form: self.form,
        }
    }
}

impl<F, W> Linear<F, W> {
    /// The tensors but for the weight.
    pub(super) fn tensors_beside_weight(&self) -> impl Iterator<Item = &F> {
        let of_form = match &self.form {
            LinearForm::Plus(tensor) | LinearForm::ToPixels(tensor) => Some(tensor),
            LinearForm::Rows | LinearForm::Gated | LinearForm::OfPixels => None,
        };
        [&self.x].into_iter().chain(&self.bias).chain(of_form)
    }

    /// The same layer and its weight on other tensors.
    pub(super) fn map_beside_weight<G>(self, f: impl Fn(F) -> G) -> Linear<G, W> {
        Linear {
            x: f(self.x),
            weight: self.weight,
            bias: self.bias.map(&f),
            form: match self.form {
                LinearForm::Rows => LinearForm::Rows,
                LinearForm::Plus(residual) => LinearForm::Plus(f(residual)),
                LinearForm::Gated => LinearForm::Gated,
                LinearForm::OfPixels => LinearForm::OfPixels,
                LinearForm::ToPixels(skip) => LinearForm::ToPixels(f(skip)),
            },
        }
    }
}

impl<F> Linear<F> {
    /// The tensors.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &F> {
        [&self.weight]
            .into_iter()
            .chain(self.tensors_beside_weight())
    }

    /// The same layer on other tensors.
    pub(super) fn map<G>(self, f: impl Fn(F) -> G) -> Linear<G> {
        self.map_beside_weight(&f).with_weight(f)
    }
}

/// Tokens in rows by [`plain::linear`], all other forms [`composed`].
pub(super) fn by_plain_operations<B: VisionBackend>(
    layer: Linear<FloatTensor<B>>,
) -> FloatTensor<B> {
    match layer.form {
        LinearForm::Rows => into(plain::linear(
            tensor::<B, 2>(layer.x),
            tensor(layer.weight),
            layer.bias.map(tensor),
        )),
        _ => composed::<B>(layer),
    }
}

/// Any form by the form [`Rows`](LinearForm::Rows) and operations before and after it.
pub(super) fn composed<B: VisionBackend>(layer: Linear<FloatTensor<B>>) -> FloatTensor<B> {
    let Linear {
        x,
        weight,
        bias,
        form,
    } = layer;
    let rows = |x: Tensor<B, 2>| {
        tensor::<B, 2>(B::linear_layer(Linear {
            x: into(x),
            weight,
            bias,
            form: LinearForm::Rows,
        }))
    };
    match form {
        LinearForm::Rows => into(rows(tensor(x))),
        LinearForm::Plus(residual) => into(rows(tensor(x)) + tensor(residual)),
        LinearForm::Gated => B::geglu_rows(into(rows(tensor(x)))),
        LinearForm::OfPixels => {
            let x = tensor::<B, 4>(x);
            let [batch, inner, height, width] = x.dims();
            let tokens = x.reshape([batch, inner, height * width]).swap_dims(1, 2);
            let y = rows(tokens.reshape([batch * height * width, inner]));
            let [_, outputs] = y.dims();
            into(y.reshape([batch, height * width, outputs]))
        }
        LinearForm::ToPixels(skip) => {
            let (x, skip) = (tensor::<B, 3>(x), tensor::<B, 4>(skip));
            let [batch, count, inner] = x.dims();
            let y = rows(x.reshape([batch * count, inner]));
            let [_, outputs] = y.dims();
            let y = y.reshape([batch, count, outputs]).swap_dims(1, 2);
            into(y.reshape(skip.dims()) + skip)
        }
    }
}
