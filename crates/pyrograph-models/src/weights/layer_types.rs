//! The type of each layer's weight, by the error that the type makes in the layer's outputs.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Instant};

use burn::{
    module::ParamId,
    tensor::{DType, Tensor},
};
use pyrograph_backend::vision::{self, Activation, Int8Products, VisionBackend, quantised_weight};

use super::{
    LoadOptions, NamedModel, Precision, StateDict, TensorEntry, build_model_by, match_keys,
    matched::places,
};
use crate::{
    ModelError,
    blocks::{LayerCall, LayerInput, watching},
};

/// Runs of a layer in each type; the fastest counts, because the first one also prepares buffers.
const RUNS: usize = 2;

/// A type that the weight of a layer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerType {
    /// Its name in tables, reports and options.
    pub name: &'static str,
    /// The type of the numbers in a file.
    pub(crate) dtype: DType,
    /// The products of a weight in int8.
    products: Option<Int8Products>,
}

/// The types that a layer may have, in the order of preference.
pub const LAYER_TYPES: &[LayerType] = &[
    LayerType::INT8_ACTIVATIONS,
    LayerType::INT8,
    LayerType::BF16,
];

impl LayerType {
    /// int8 with a scale for each output, and activations in int8 too.
    pub const INT8_ACTIVATIONS: Self = Self {
        name: "int8-activations",
        dtype: DType::I8,
        products: Some(Int8Products::Activations),
    };
    /// int8 with a scale for each output.
    pub const INT8: Self = Self {
        name: "int8",
        dtype: DType::I8,
        products: Some(Int8Products::WeightsAlone),
    };
    /// bfloat16: the type of a layer for which no type is near enough.
    pub const BF16: Self = Self {
        name: "bf16",
        dtype: DType::BF16,
        products: None,
    };

    /// A weight that takes this type when it is written.
    pub(crate) fn marked(self, weight: &TensorEntry) -> TensorEntry {
        match self.products {
            Some(products) => weight.with_products(products),
            None => weight.clone(),
        }
    }

    /// The weight in this type; none where a weight of its shape cannot have the type.
    fn weight(self, weight: &TensorEntry) -> Option<TensorEntry> {
        match self.dtype {
            DType::I8 => self.marked(weight).to_int8(),
            dtype => Some(weight.cast(dtype)),
        }
    }
}

/// The figures of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerFigures {
    /// The published key of the weight.
    pub key: String,
    /// The shape of the weight.
    pub shape: Vec<usize>,
    /// Seconds of the layer with its weight in f32; none where the pass did not run the layer.
    pub seconds: Option<f64>,
    /// The figures of each type that the weight can have, in the order of [`LAYER_TYPES`].
    pub types: Vec<TypeFigures>,
}

/// The figures of one layer in one type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TypeFigures {
    /// The type of the weight.
    pub layer_type: LayerType,
    /// Bytes of the weight in a file, scales included.
    pub bytes: usize,
    /// The error of the layer's outputs: the root of the mean square of their difference from the outputs with the
    /// weight in f32, divided by that of the outputs themselves. None where the pass did not run the layer.
    pub error: Option<f64>,
    /// Seconds of the layer; none where the pass did not run it.
    pub seconds: Option<f64>,
}

impl LayerFigures {
    /// The first type whose error is at most `limit`; bf16 where none is.
    pub fn choice(&self, limit: f64) -> LayerType {
        let fits = |figures: &&TypeFigures| figures.error.is_some_and(|error| error <= limit);
        let chosen = self.types.iter().find(fits);
        chosen.map_or(LayerType::BF16, |figures| figures.layer_type)
    }

    /// The figures of the layer in one type.
    pub fn of(&self, layer_type: LayerType) -> Option<&TypeFigures> {
        let mut types = self.types.iter();
        types.find(|figures| figures.layer_type == layer_type)
    }
}

/// Runs `pass` on a model of `config` with the weights of `dict` in f32, and measures each layer that
/// [`NamedModel::is_int8_layer`] names: the layer's own inputs in this pass go through the layer with its weight in f32
/// and in each of [`LAYER_TYPES`]. The pass itself goes on with f32, so that every layer is measured by itself. `seen`
/// hears the number of layers measured so far, and of all.
///
/// # Errors
/// As [`build_model_by`](super::build_model_by); when a weight is in int8 already.
pub fn measure_layers<B: VisionBackend, M: NamedModel<B>>(
    config: &M::Config,
    dict: &StateDict,
    device: &B::Device,
    mut seen: impl FnMut(usize, usize) + 'static,
    pass: impl FnOnce(&M),
) -> Result<Vec<LayerFigures>, ModelError> {
    let (weights, _) = match_keys::<B, M>(config, dict, device)?;
    check_floats(&weights)?;
    let options = LoadOptions {
        precision: Some(Precision::F32),
        ..LoadOptions::default()
    };
    let model: M = build_model_by(config, dict, &options, device)?;
    let mut gauge = Gauge {
        places: HashMap::new(),
        layers: Vec::new(),
        measured: 0,
        device: device.clone(),
    };
    for place in places::<B, M>(&model) {
        if !M::is_int8_layer(&place.key) || place.shape.len() < 2 {
            continue;
        }
        if let Some(weight) = weights.get(&place.key) {
            gauge.places.insert(place.id, gauge.layers.len());
            gauge.layers.push(Layer::new(place.key, weight.clone()));
        }
    }
    let gauge = Rc::new(RefCell::new(gauge));
    let watcher = Rc::clone(&gauge);
    let watcher = move |call| {
        let mut gauge = watcher.borrow_mut();
        gauge.measure(&call);
        seen(gauge.measured, gauge.layers.len());
    };
    watching::<B, _>(watcher, || pass(&model));
    let gauge = gauge.borrow();
    Ok(gauge.layers.iter().map(Layer::figures).collect())
}

/// Refuses weights in int8, whose rounding no measurement sees.
fn check_floats(weights: &StateDict) -> Result<(), ModelError> {
    let is_int8 = |key: &&str| weights.get(key).is_some_and(TensorEntry::is_quantised);
    match weights.keys().find(is_int8) {
        Some(key) => Err(ModelError::AlreadyInt8 {
            path: weights.path().into(),
            key: weights.origin(key).to_owned(),
        }),
        None => Ok(()),
    }
}

/// Measures the calls of layers.
struct Gauge<B: VisionBackend> {
    /// The places of layers in `layers`, by their weights.
    places: HashMap<ParamId, usize>,
    layers: Vec<Layer>,
    /// Layers that were called at least once.
    measured: usize,
    device: B::Device,
}

/// What is known of a layer so far.
struct Layer {
    key: String,
    weight: TensorEntry,
    /// The sum of the squares of its outputs, and seconds.
    exact: Sums,
    /// The sums of the squares of the differences, and seconds, of each type that the weight can have.
    types: Vec<(LayerType, Sums)>,
    calls: usize,
}

/// A sum of squares, seconds and bytes.
#[derive(Clone, Copy, Default)]
struct Sums {
    squares: f64,
    seconds: f64,
    bytes: usize,
}

impl Layer {
    fn new(key: String, weight: TensorEntry) -> Self {
        Self {
            key,
            weight,
            exact: Sums::default(),
            types: Vec::new(),
            calls: 0,
        }
    }

    fn figures(&self) -> LayerFigures {
        let was_run = self.calls > 0;
        let types = self.types.iter().map(|(layer_type, sums)| TypeFigures {
            layer_type: *layer_type,
            bytes: sums.bytes,
            error: was_run.then(|| relative(sums.squares, self.exact.squares)),
            seconds: was_run.then_some(sums.seconds),
        });
        LayerFigures {
            key: self.key.clone(),
            shape: self.weight.shape().to_vec(),
            seconds: was_run.then_some(self.exact.seconds),
            types: types.collect(),
        }
    }
}

/// The root of the quotient of two sums of squares; 0 where nothing differs.
fn relative(difference: f64, whole: f64) -> f64 {
    match difference == 0.0 {
        true => 0.0,
        false => (difference / whole).sqrt(),
    }
}

impl<B: VisionBackend> Gauge<B> {
    /// Runs the layer of the call in f32 and in every type. Weights in other types are made for this call and dropped
    /// after it.
    fn measure(&mut self, call: &LayerCall<B>) {
        let Some(&place) = self.places.get(&call.id) else {
            return;
        };
        let layer = &mut self.layers[place];
        let (exact, seconds) = run(call, None, &self.device);
        layer.exact.squares += exact.iter().map(|y| f64::from(*y).powi(2)).sum::<f64>();
        layer.exact.seconds += seconds;
        for &layer_type in LAYER_TYPES {
            let Some(weight) = layer_type.weight(&layer.weight) else {
                continue;
            };
            let bytes = weight.stored_size();
            let (outputs, seconds) = run(call, Some(&weight), &self.device);
            let pairs = outputs.iter().zip(&exact);
            let squares = pairs.map(|(y, exact)| (f64::from(*y) - f64::from(*exact)).powi(2));
            let squares = squares.sum::<f64>();
            let sums = match layer.types.iter_mut().find(|(of, _)| *of == layer_type) {
                Some((_, sums)) => sums,
                None => {
                    layer.types.push((layer_type, Sums::default()));
                    let last = layer.types.len() - 1;
                    &mut layer.types[last].1
                }
            };
            sums.squares += squares;
            sums.seconds += seconds;
            sums.bytes = bytes;
        }
        self.measured += usize::from(layer.calls == 0);
        layer.calls += 1;
    }
}

/// The outputs of a layer with its own weight or another, bias included, and the seconds of the fastest run.
fn run<B: VisionBackend>(
    call: &LayerCall<B>,
    weight: Option<&TensorEntry>,
    device: &B::Device,
) -> (Vec<f32>, f64) {
    match &call.input {
        LayerInput::Tokens { x, weight: own } => {
            let weight = match weight {
                // The kernel of a 1×1 convolution is a matrix here.
                Some(weight) => parameter(&weight.reshaped(own.dims().to_vec()), device),
                None => own.clone(),
            };
            let layer = || vision::linear(x.clone(), weight.clone(), call.bias.clone());
            timed(layer, device)
        }
        LayerInput::Images {
            x,
            weight: own,
            options,
        } => {
            let weight = match weight {
                Some(weight) => parameter(weight, device),
                None => own.clone(),
            };
            let layer = || {
                vision::conv2d(
                    x.clone(),
                    weight.clone(),
                    call.bias.clone(),
                    options.clone(),
                    Activation::Identity,
                )
            };
            timed(layer, device)
        }
    }
}

/// The values of the outputs, and the seconds of the fastest run.
fn timed<B: VisionBackend, const D: usize>(
    layer: impl Fn() -> Tensor<B, D>,
    device: &B::Device,
) -> (Vec<f32>, f64) {
    let mut least = f64::INFINITY;
    let mut outputs = None;
    for _ in 0..RUNS {
        let begun = Instant::now();
        let y = layer();
        // A device that does not compute says so when the outputs are read.
        let _ = B::sync(device);
        least = least.min(begun.elapsed().as_secs_f64());
        outputs = Some(y);
    }
    let values = outputs.map(|y| y.into_data().iter::<f32>().collect());
    (values.unwrap_or_default(), least)
}

/// A weight as a tensor of its type, or in f32 where the backend does not keep such weights.
fn parameter<B: VisionBackend, const D: usize>(
    weight: &TensorEntry,
    device: &B::Device,
) -> Tensor<B, D> {
    if let (Some(scales), Some(products)) = (weight.scales(), weight.int8_products()) {
        let (numbers, scales) = (weight.data_of(DType::I8), scales.to_vec());
        if let Some(quantised) = quantised_weight(numbers, scales, products, device) {
            return quantised;
        }
    }
    let dtype = match weight.dtype() {
        dtype if !weight.is_quantised() && B::supports_dtype(device, dtype) => dtype,
        _ => DType::F32,
    };
    Tensor::from_data(weight.data_of(dtype), (device, dtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(errors: [Option<f64>; 2]) -> LayerFigures {
        let types = [LayerType::INT8, LayerType::BF16].into_iter().zip(errors);
        LayerFigures {
            key: "layer.weight".into(),
            shape: vec![2, 2],
            seconds: Some(1.0),
            types: types
                .map(|(layer_type, error)| TypeFigures {
                    layer_type,
                    bytes: 1,
                    error,
                    seconds: None,
                })
                .collect(),
        }
    }

    #[test]
    fn the_first_type_within_the_limit_is_chosen_and_bf16_where_none_is() {
        let [int8, bf16] = [LayerType::INT8, LayerType::BF16];
        let layer = figures([Some(0.01), Some(0.002)]);
        assert_eq!(layer.choice(0.01), int8);
        assert_eq!(layer.choice(0.009), bf16);
        assert_eq!(layer.choice(1e-9), bf16);
        // A layer that was not run, and one whose outputs are not finite.
        assert_eq!(figures([None, None]).choice(1.0), bf16);
        assert_eq!(figures([Some(f64::NAN), Some(0.1)]).choice(1.0), bf16);
    }

    #[test]
    fn errors_are_relative_and_nothing_differs_from_nothing() {
        assert_eq!(relative(1.0, 4.0), 0.5);
        assert_eq!(relative(0.0, 0.0), 0.0);
        assert_eq!(relative(1.0, 0.0), f64::INFINITY);
    }
}
