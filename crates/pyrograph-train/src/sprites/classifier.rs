//! Training the judge: a small classifier of real sprites.

use burn::{
    module::AutodiffModule,
    nn::loss::CrossEntropyLossConfig,
    optim::{AdamConfig, GradientsParams, Optimizer},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use pyrograph_backend::{
    lock_autodiff,
    rng::host_tensor,
    vision::{VisionAutodiff, VisionBackend},
};
use pyrograph_data::{SpriteSet, epoch_order};
use pyrograph_models::sprite_classifier::{SpriteClassifier, SpriteClassifierConfig};

use crate::{TrainError, limits::linear_decay};

const EPOCHS: u64 = 12;
const BATCH: usize = 64;
const RATE: f64 = 1e-3;
const WIDTH: usize = 32;

/// Trains on `data` until it knows the classes.
pub(super) fn train_classifier<B: VisionAutodiff>(
    data: &SpriteSet,
    seed: u64,
    device: &B::Device,
) -> Result<SpriteClassifier<B::InnerBackend>, TrainError> {
    let config = SpriteClassifierConfig {
        in_channels: data.channels(),
        height: data.side(),
        classes: data.context_width(),
        width: WIDTH,
    };
    let mut model = config.init::<B>(device, seed)?;
    let mut optimizer = AdamConfig::new().init::<B, SpriteClassifier<B>>();
    let cross_entropy = CrossEntropyLossConfig::new().init::<B>(device);
    for epoch in 0..EPOCHS {
        let rate = linear_decay(RATE, epoch as f64 / EPOCHS as f64);
        for items in epoch_order(data.len(), seed, epoch).chunks(BATCH) {
            let items: Vec<_> = items.iter().map(|&item| item as usize).collect();
            let classes: Vec<_> = items
                .iter()
                .map(|&item| data.class_of(item) as i32)
                .collect();
            let labels = TensorData::new(classes, [items.len()]);
            let labels = Tensor::<B, 1, Int>::from_data(labels, device);
            let turn = lock_autodiff();
            let logits = model.forward(images_of(data, &items, device));
            let gradients = cross_entropy.forward(logits, labels).backward();
            drop(turn);
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = optimizer.step(rate, model, gradients);
        }
    }
    Ok(model.valid())
}

fn images_of<B: Backend>(data: &SpriteSet, items: &[usize], device: &B::Device) -> Tensor<B, 4> {
    let (channels, side) = (data.channels(), data.side());
    let pixels = channels * side * side;
    let mut values = vec![0.0; items.len() * pixels];
    for (image, &item) in values.chunks_exact_mut(pixels).zip(items) {
        data.write_chw(item, image);
    }
    host_tensor(values, [items.len(), channels, side, side], device)
}

/// The class that the judge sees in each image; `values` holds images [channels, side, side] one after another.
pub(super) fn classify<B: VisionBackend>(
    model: &SpriteClassifier<B>,
    values: &[f32],
    shape: [usize; 3],
    device: &B::Device,
) -> Vec<usize> {
    let [channels, height, width] = shape;
    let pixels = channels * height * width;
    let mut classes = Vec::with_capacity(values.len() / pixels);
    for batch in values.chunks(BATCH * pixels) {
        let shape = [batch.len() / pixels, channels, height, width];
        let logits = model.forward(host_tensor(batch.to_vec(), shape, device));
        classes.extend(
            logits
                .argmax(1)
                .into_data()
                .iter::<i64>()
                .map(|class| class as usize),
        );
    }
    classes
}
