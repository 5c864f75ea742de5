//! Watches the inputs of layers while a model runs, for measurements of the layers one by one.

use std::{any::Any, cell::RefCell};

use burn::{
    module::ParamId,
    tensor::{Tensor, backend::Backend, ops::ConvOptions},
};

thread_local! {
    /// The watcher of this thread, a [`Watcher`] of any backend. None outside [`watching`].
    static WATCHER: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// A function that sees each call of a layer before the layer computes its output.
type Watcher<B> = Box<dyn FnMut(LayerCall<B>)>;

/// One call of a linear layer or a convolution.
pub(crate) struct LayerCall<B: Backend> {
    /// The id of the weight.
    pub(crate) id: ParamId,
    /// Input and weight.
    pub(crate) input: LayerInput<B>,
    /// `[out]`.
    pub(crate) bias: Option<Tensor<B, 1>>,
}

/// The input of a layer and its weight.
pub(crate) enum LayerInput<B: Backend> {
    /// Of a linear layer, or of a 1×1 convolution over tokens.
    Tokens {
        /// [tokens, in].
        x: Tensor<B, 2>,
        /// [out, in].
        weight: Tensor<B, 2>,
    },
    /// Of a convolution.
    Images {
        /// [batch, in, height, width].
        x: Tensor<B, 4>,
        /// [out, in / groups, kernel, kernel].
        weight: Tensor<B, 4>,
        /// Stride, padding, dilation and groups.
        options: ConvOptions<2>,
    },
}

/// Runs `pass` while `watcher` sees every call of a layer of the backend `B` on this thread.
pub(crate) fn watching<B: Backend, T>(
    watcher: impl FnMut(LayerCall<B>) + 'static,
    pass: impl FnOnce() -> T,
) -> T {
    let watcher: Watcher<B> = Box::new(watcher);
    let before = WATCHER.replace(Some(Box::new(watcher)));
    let _restored = Restored(before);
    pass()
}

/// Puts the watcher of before back when it is dropped, after a panic too.
struct Restored(Option<Box<dyn Any>>);

impl Drop for Restored {
    fn drop(&mut self) {
        WATCHER.set(self.0.take());
    }
}

/// Whether a watcher sees the calls of this thread.
pub(super) fn is_watched() -> bool {
    WATCHER.with_borrow(Option::is_some)
}

/// Shows a call to the watcher; without a watcher the call is not made.
pub(super) fn watch<B: Backend>(call: impl FnOnce() -> LayerCall<B>) {
    // The cell is empty while the watcher computes, so that its own layers are not watched.
    let Some(mut watcher) = WATCHER.take() else {
        return;
    };
    if let Some(watcher) = watcher.downcast_mut::<Watcher<B>>() {
        watcher(call());
    }
    WATCHER.set(Some(watcher));
}

/// [.., features] as [tokens, features].
pub(super) fn tokens<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, 2> {
    let dims = x.dims();
    let features = dims[D - 1];
    let count = dims[..D - 1].iter().product();
    x.reshape([count, features])
}

/// The pixels of images [batch, channels, height, width] as [tokens, channels].
pub(super) fn pixels<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 2> {
    let [batch, channels, height, width] = x.dims();
    let x = x.reshape([batch, channels, height * width]).swap_dims(1, 2);
    tokens(x)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use burn_flex::Flex;
    use burn_ndarray::NdArray;
    use pyrograph_backend::vision::Activation;

    use super::*;
    use crate::blocks::{Conv2d, GroupNorm, Linear, ParamInit};

    #[test]
    fn every_form_of_a_layer_shows_its_input_once_and_nothing_is_seen_afterwards() {
        let device = Default::default();
        let mut init = ParamInit::<Flex>::new(&device, 3);
        let linear = Linear::new(&mut init, 4, 6);
        let square = Conv2d::same(&mut init, [4, 4], 1);
        let norm = GroupNorm::new(&mut init, 2, 4);
        let images = Tensor::<Flex, 4>::ones([2, 4, 3, 3], &device);
        let rows = Tensor::<Flex, 3>::ones([2, 9, 4], &device);
        let seen = Rc::new(Cell::new(0));
        let run = || {
            linear.forward(rows.clone());
            linear.forward_pixels(images.clone());
            linear.forward_plus(rows.clone(), Tensor::ones([2, 9, 6], &device));
            linear.forward_geglu(rows.clone());
            linear.forward_to_pixels(rows.clone(), Tensor::ones([2, 6, 3, 3], &device));
            square.forward(images.clone(), Activation::Silu);
            square.forward_of_norm(images.clone(), &norm, Activation::Silu);
            for items in [1, 2] {
                let shift = Tensor::ones([items, 4], &device);
                square.forward_of_norm_shifted(images.clone(), &norm, Activation::Silu, shift);
            }
            square.forward_pixels(images.clone());
            square.forward_to_pixels(rows.clone(), images.clone());
        };
        let counter = Rc::clone(&seen);
        let ids = [linear.weight.id, square.weight.id];
        let of_other = Linear::<NdArray>::new(&mut ParamInit::new(&Default::default(), 0), 2, 2);
        watching::<Flex, _>(
            move |call| {
                assert!(ids.contains(&call.id));
                match call.input {
                    LayerInput::Tokens { x, weight } => {
                        assert_eq!((x.dims()[0], x.dims()[1]), (18, weight.dims()[1]));
                    }
                    LayerInput::Images { x, weight, .. } => {
                        assert_eq!((x.dims(), weight.dims()), ([2, 4, 3, 3], [4, 4, 1, 1]));
                    }
                }
                counter.set(counter.get() + 1);
            },
            || {
                run();
                // A layer of another backend is not for this watcher.
                of_other.forward(Tensor::<NdArray, 2>::ones([1, 2], &Default::default()));
            },
        );
        assert_eq!(seen.get(), 11);
        run();
        assert_eq!(seen.get(), 11);
    }
}
