//! A small convolutional classifier of sprites, which tells whether a sample looks like the
//! requested class.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend, Window};

use crate::{
    ModelError,
    blocks::{Conv2d, Linear, ParamInit},
};

const MODEL: &str = "sprite-classifier";
const KERNEL: usize = 3;
/// Two halvings.
const SHRINK: usize = 4;

/// Configuration of a [`SpriteClassifier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpriteClassifierConfig {
    /// Channels of an image.
    pub in_channels: usize,
    /// Side of an image; a multiple of 4.
    pub height: usize,
    /// Classes.
    pub classes: usize,
    /// Channels of the first stage; the second has twice as many.
    pub width: usize,
}

impl SpriteClassifierConfig {
    /// A classifier with random initial parameters.
    ///
    /// # Errors
    /// When a field is not allowed.
    pub fn init<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<SpriteClassifier<B>, ModelError> {
        let numbers = [
            ("in_channels", self.in_channels, 1, 1024),
            ("height", self.height, SHRINK, 128),
            ("classes", self.classes, 1, 65_536),
            ("width", self.width, 1, 256),
        ];
        // At these bounds the widest layer, from 2·width·(height/4)² to 4·width, has half a billion parameters: 2 GB.
        for (field, seen, unit, most) in numbers {
            if !(1..=most).contains(&seen) || !seen.is_multiple_of(unit) {
                let allowed = format!("a multiple of {unit} from {unit} to {most}");
                return Err(ModelError::Config {
                    model: MODEL,
                    field,
                    seen: seen.to_string(),
                    allowed,
                });
            }
        }
        let (w, side) = (self.width, self.height / SHRINK);
        let init = &mut ParamInit::new(device, seed);
        Ok(SpriteClassifier {
            conv1: Conv2d::same(init, [self.in_channels, w], KERNEL),
            conv2: Conv2d::same(init, [w, w], KERNEL),
            conv3: Conv2d::same(init, [w, 2 * w], KERNEL),
            hidden: Linear::new(init, 2 * w * side * side, 4 * w),
            output: Linear::new(init, 4 * w, self.classes),
        })
    }
}

/// Three convolutions with ReLU, two downsamplings by 2, two linear layers.
#[derive(Module, Debug)]
pub struct SpriteClassifier<B: Backend> {
    conv1: Conv2d<B>,
    conv2: Conv2d<B>,
    conv3: Conv2d<B>,
    hidden: Linear<B>,
    output: Linear<B>,
}

impl<B: VisionBackend> SpriteClassifier<B> {
    /// Class logits.
    ///
    /// # Shapes
    /// [batch, channels, h, h] → [batch, classes].
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        let x = self.conv1.forward(x, Activation::Relu);
        let x = halve(self.conv2.forward(x, Activation::Relu));
        let x = halve(self.conv3.forward(x, Activation::Relu));
        let x: Tensor<B, 2> = x.flatten(1, 3);
        let x = vision::activate(self.hidden.forward(x), Activation::Relu);
        self.output.forward(x)
    }
}

fn halve<B: VisionBackend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    vision::max_pool2d(x, Window::tiles(2))
}
