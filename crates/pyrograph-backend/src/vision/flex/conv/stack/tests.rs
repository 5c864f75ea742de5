//! Against the definition, on whole numbers.

use burn::tensor::{
    TensorData,
    ops::{ConvOptions, ConvTransposeOptions},
};
use burn_std::bf16;
use proptest::prelude::*;

use super::{
    super::{
        super::super::{Activation, Window},
        tests::products,
    },
    *,
};

/// Small whole numbers, whose sums of products are exact in any order.
fn wholes(count: usize, seed: usize) -> Vec<f32> {
    let number = |place: usize| (place * 2_654_435_761 + seed * 40_503) >> 7;
    (0..count)
        .map(|place| (number(place) % 5) as f32 - 2.0)
        .collect()
}

fn tensor(shape: &[usize], seed: usize) -> FlexTensor {
    let values = wholes(shape.iter().product(), seed);
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn weight(shape: [usize; 4], seed: usize) -> FlexTensor {
    // One of four is not 0, so that sums stay small.
    let values = wholes(shape.iter().product(), seed).into_iter().enumerate();
    let values = values.map(|(place, value)| {
        if place * 7 % 4 == seed % 4 {
            value
        } else {
            0.0
        }
    });
    let values: Vec<bf16> = values.map(bf16::from_f32).collect();
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn map(weight: FlexTensor, out: usize, seed: usize) -> StackMap<FlexTensor> {
    let vector = |seed| tensor(&[out], seed);
    StackMap {
        weight,
        scale: seed.is_multiple_of(2).then(|| vector(seed)),
        shift: (!seed.is_multiple_of(3)).then(|| vector(seed + 1)),
        act: [
            Activation::Identity,
            Activation::Relu,
            Activation::LeakyRelu(-1.0),
        ][seed % 3],
    }
}

/// The layer of a kind, and its output.
fn layer(
    kind: usize,
    [batch, channels, height, width]: [usize; 4],
    out: usize,
) -> (StackLayer<FlexTensor>, [usize; 4]) {
    let conv = |side: usize, stride: usize, padding: usize, dilation: usize| {
        let options = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], 1);
        let map = map(weight([out, channels, side, side], kind), out, kind);
        let reach = |size: usize| (size + 2 * padding - dilation * (side - 1) - 1) / stride + 1;
        let output = [batch, out, reach(height), reach(width)];
        (StackLayer::Conv { map, options }, output)
    };
    let transposed = |side: usize, padding: usize| {
        let options = ConvTransposeOptions::new([2, 2], [padding; 2], [0, 0], [1, 1], 1);
        let map = map(weight([channels, out, side, side], kind), out, kind);
        let reach = |size: usize| (size - 1) * 2 + side - 2 * padding;
        let output = [batch, out, reach(height), reach(width)];
        (StackLayer::ConvTranspose { map, options }, output)
    };
    let pool = |window: Window, zeros_after: bool| {
        let pooling = Pooling::with_zeros([batch, channels, height, width], window, zeros_after);
        let [height, width] = pooling.out();
        let layer = StackLayer::MaxPool {
            window,
            zeros_after,
        };
        (layer, [batch, channels, height, width])
    };
    match kind {
        0 => conv(3, 1, 1, 1),
        1 => conv(1, 1, 0, 1),
        2 => conv(4, 2, 1, 1),
        3 => conv(3, 1, 2, 2),
        4 => transposed(4, 1),
        5 => transposed(2, 0),
        6 => transposed(6, 2),
        10 => transposed(4, 0),
        11 => transposed(4, 2),
        12 => transposed(6, 1),
        7 => pool(Window::tiles(2), true),
        8 => pool(Window::tiles(2), false),
        _ => {
            let window = Window {
                size: [3, 3],
                stride: [1, 1],
                padding: [1, 1],
            };
            pool(window, false)
        }
    }
}

/// The sums of a layer's products, inputs rounded to bf16 first.
fn sums(s: &Shape, x: &[f32], weight: &FlexTensor, transposed: bool) -> Vec<f32> {
    let x: Vec<f64> = x.iter().map(|x| bf16::from_f32(*x).to_f64()).collect();
    let weight: Vec<f64> = weight
        .storage::<bf16>()
        .iter()
        .map(|w| w.to_f64())
        .collect();
    let count = if transposed { s.input() } else { s.output() };
    let mut sums = vec![0.0; count.iter().product()];
    products(s, |output, input, place| {
        let (to, from) = if transposed {
            (input, output)
        } else {
            (output, input)
        };
        sums[to] += x[from] * weight[place];
    });
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// The output of a layer.
fn by_definition(x: &[f32], shape: [usize; 4], layer: &StackLayer<FlexTensor>) -> Vec<f32> {
    let (_, [_, channels, height, width]) = method(shape, layer).expect("a legal layer");
    let finished = |sums: Vec<f32>, map: &StackMap<FlexTensor>| {
        let of = |vector: &Option<FlexTensor>, channel: usize, without: f32| {
            vector
                .as_ref()
                .map_or(without, |vector| floats(vector)[channel])
        };
        let finish = |(place, sum): (usize, f32)| {
            let channel = place / (height * width) % channels;
            let value = sum.mul_add(of(&map.scale, channel, 1.0), of(&map.shift, channel, 0.0));
            match map.act {
                Activation::Relu => value.max(0.0),
                Activation::LeakyRelu(slope) if value < 0.0 => value * slope,
                _ => value,
            }
        };
        sums.into_iter().enumerate().map(finish).collect()
    };
    match layer {
        StackLayer::Conv { map, options } => {
            let s = Shape::new(shape, map.weight.shape().dims(), options).expect("legal");
            finished(sums(&s, x, &map.weight, false), map)
        }
        StackLayer::ConvTranspose { map, options } => {
            let c = transposed_of(shape, map.weight.shape().dims(), options).expect("legal");
            finished(sums(&c, x, &map.weight, true), map)
        }
        StackLayer::MaxPool {
            window,
            zeros_after,
        } => {
            let [.., image_height, image_width] = shape;
            let at = |plane: usize, row: usize, column: usize| {
                let [row, column] = [row, column].map(|at| at.wrapping_sub(window.padding[0]));
                let [height, width] = [image_height, image_width];
                let is_zero = *zeros_after && row <= height && column <= width;
                match row < height && column < width {
                    true => x[(plane * height + row) * width + column],
                    false if is_zero => 0.0,
                    false => f32::NEG_INFINITY,
                }
            };
            let outputs = 0..shape[0] * channels * height * width;
            let greatest = outputs.map(|place| {
                let (plane, pixel) = (place / (height * width), place % (height * width));
                let first = [pixel / width, pixel % width].map(|at| at * window.stride[0]);
                let taps = 0..window.size[0] * window.size[1];
                let seen = taps.map(|tap| {
                    let (row, column) = (tap / window.size[1], tap % window.size[1]);
                    at(plane, first[0] + row, first[1] + column)
                });
                seen.fold(f32::NEG_INFINITY, f32::max)
            });
            greatest.collect()
        }
    }
}

fn assert_agrees(x: [usize; 4], kinds: &[(usize, usize)]) {
    if !tiles_are_in_force() {
        return;
    }
    let input = tensor(&x, 1);
    let (mut shape, mut values) = (x, floats(&input).to_vec());
    let mut layers = Vec::new();
    for &(kind, out) in kinds {
        // Small images have neither windows of 4×4 nor poolings.
        let is_small = shape[2].min(shape[3]) < 4;
        let (next, output) = layer(if is_small { kind % 2 } else { kind }, shape, out);
        values = by_definition(&values, shape, &next);
        shape = output;
        layers.push(next);
    }
    for form in [StackForm::Images, StackForm::Rows] {
        let (x, layers) = (input.clone(), layers.clone());
        let stack = Stack { x, layers, form };
        let Some(plan) = StackPlan::of(&stack) else {
            continue;
        };
        let out = plan.forward(stack);
        let [_, channels, height, width] = shape;
        let (plane, found) = (height * width, floats(&out));
        assert_eq!(found.len(), values.len(), "{kinds:?}");
        for (place, exact) in values.iter().enumerate() {
            let (image, pixel) = (place / plane, place % plane);
            let (item, channel) = (image / channels, image % channels);
            let value = match form {
                StackForm::Images => found[place],
                StackForm::Rows => found[(item * plane + pixel) * channels + channel],
            };
            assert!(
                value == *exact,
                "{kinds:?}, {form:?}: {value} beside {exact}"
            );
        }
    }
}

#[test]
fn stacks_of_networks_agree_with_the_definition() {
    assert_agrees(
        [2, 3, 21, 20],
        &[(0, 24), (0, 40), (7, 40), (0, 33), (8, 33), (1, 26)],
    );
    assert_agrees([3, 32, 5, 7], &[(4, 40), (4, 24), (4, 1)]);
    assert_agrees([2, 24, 1, 1], &[(1, 40), (4, 24), (4, 30)]);
    assert_agrees(
        [1, 24, 24, 24],
        &[(0, 24), (9, 24), (3, 48), (1, 24), (5, 12)],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_stack_agrees_with_the_definition(
        x in [1..3_usize, 24..40_usize, 4..12_usize, 4..12_usize],
        few in 0..8_usize,
        kinds in proptest::collection::vec((0..13_usize, 24..48_usize), 1..4),
        last in 1..70_usize,
    ) {
        let [batch, channels, height, width] = x;
        let mut kinds = kinds;
        if let Some((_, out)) = kinds.last_mut() {
            *out = last;
        }
        // Few channels, whose windows are laid out.
        if few > 0 {
            kinds.insert(0, (0, channels));
            assert_agrees([batch, few, height, width], &kinds);
        }
        assert_agrees(x, &kinds);
    }
}
