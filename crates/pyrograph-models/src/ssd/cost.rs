//! The size of a detector and the arithmetic of one image.

use super::{
    SsdBackbone, SsdConfig,
    mobilenet::{self, FIRST_MAP, POINT, ResidualShape, STEM, around},
    vgg::{self, CONV4, FC6, POOL_ROUNDED_UP, SAME, STAGES},
};
use crate::{ModelError, blocks::Kernel};

/// The values that a head predicts for the box of a prior.
const BOX: usize = 4;

/// The size of a detector and the arithmetic of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SsdCost {
    /// Trained values: weights and biases of convolutions, scales and shifts of
    /// norms. Running statistics do not count.
    pub parameters: u64,
    /// Floating-point operations of the convolutions for one image of 300×300: two for each
    /// multiply-add, as PyTorch's `FlopCounterMode` counts them; biases, norms, activations and
    /// poolings do not count.
    pub flops: u64,
}

impl SsdConfig {
    /// Counts the parameters and the operations from the layers' shapes, without making a network.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn cost(&self) -> Result<SsdCost, ModelError> {
        self.check()?;
        let mut walk = Walk::new(self.side());
        match self.backbone {
            SsdBackbone::Vgg16 => walk.vgg(self),
            SsdBackbone::MobilenetV2 => walk.mobilenet(self),
        }
        debug_assert_eq!(walk.map_sides, self.map_sides());
        walk.heads(self);
        Ok(walk.cost)
    }
}

/// Counts over the layers, in the order of the forward pass.
struct Walk {
    /// Height and width of the current feature map.
    side: usize,
    /// The sides of the maps that have heads.
    map_sides: Vec<usize>,
    cost: SsdCost,
}

impl Walk {
    fn new(side: usize) -> Self {
        Self {
            side,
            map_sides: Vec::new(),
            cost: SsdCost::default(),
        }
    }

    /// A convolution of `channels` [in of one group, out] without its bias.
    fn convolution(&mut self, channels: [usize; 2], kernel: Kernel) {
        let weight = (channels[0] * channels[1] * kernel.size * kernel.size) as u64;
        self.side = (self.side + 2 * kernel.padding - kernel.size) / kernel.stride + 1;
        self.cost.parameters += weight;
        self.cost.flops += 2 * weight * (self.side * self.side) as u64;
    }

    /// Adds `count` parameters for each of `channels`: a bias has one, a batch norm two.
    fn vectors(&mut self, count: usize, channels: usize) {
        self.cost.parameters += (count * channels) as u64;
    }

    /// A convolution with batch norm and without bias.
    fn conv_norm(&mut self, channels: [usize; 2], kernel: Kernel) {
        self.convolution(channels, kernel);
        self.vectors(2, channels[1]);
    }

    /// Records the side of a map with heads.
    fn map(&mut self) {
        self.map_sides.push(self.side);
    }

    fn vgg(&mut self, config: &SsdConfig) {
        let layer = |walk: &mut Self, (channels, kernel): ([usize; 2], Kernel)| {
            walk.convolution(channels, kernel);
            walk.vectors(if config.batch_norm { 2 } else { 1 }, channels[1]);
        };
        let mut shapes = vgg::vgg_shapes(config).into_iter();
        for (stage, layers) in STAGES.into_iter().enumerate() {
            self.side = match stage {
                0 => self.side,
                POOL_ROUNDED_UP => self.side.div_ceil(2),
                _ => self.side / 2,
            };
            let shapes = shapes.by_ref().take(layers.len());
            shapes.for_each(|shape| layer(self, shape));
            if stage == CONV4 {
                self.map();
                // The scale of the L2 norm.
                self.vectors(1, config.map_channels()[0]);
            }
        }
        for (channels, kernel) in shapes {
            // The padding of fc6 is its dilation, which keeps the side as `SAME` does.
            let kernel = if kernel == FC6 { SAME } else { kernel };
            layer(self, (channels, kernel));
        }
        self.map();
        for (place, shape) in vgg::extra_shapes(config).into_iter().enumerate() {
            layer(self, shape);
            if place % 2 == 1 {
                self.map();
            }
        }
    }

    fn mobilenet(&mut self, config: &SsdConfig) {
        let mut channels = config.mobilenet_channels(STEM);
        self.conv_norm([3, channels], around(2));
        for (place, shape) in mobilenet::block_shapes(config).into_iter().enumerate() {
            if place == FIRST_MAP {
                // The block's expansion keeps the side.
                self.map();
            }
            self.residual(shape);
            channels = shape.0[2];
        }
        self.conv_norm([channels, mobilenet::last_channels(config)], POINT);
        self.map();
        for shape in mobilenet::extra_shapes(config) {
            self.residual(shape);
            self.map();
        }
    }

    fn residual(&mut self, (channels, stride): ResidualShape) {
        let [before, hidden, after] = channels;
        if hidden != before {
            self.conv_norm([before, hidden], POINT);
        }
        self.conv_norm([1, hidden], around(stride));
        self.conv_norm([hidden, after], POINT);
    }

    /// Two heads for each map.
    fn heads(&mut self, config: &SsdConfig) {
        let sides = std::mem::take(&mut self.map_sides);
        let last = sides.len().saturating_sub(1);
        let maps = sides.into_iter().zip(config.map_channels());
        let maps = maps.zip(config.priors_per_cell()).enumerate();
        for (map, ((side, channels), priors)) in maps {
            self.side = side;
            for values in [BOX, config.num_classes] {
                let out = priors * values;
                match config.backbone {
                    SsdBackbone::Vgg16 => self.convolution([channels, out], SAME),
                    SsdBackbone::MobilenetV2 => {
                        if map < last {
                            // The depthwise convolution has a bias before its norm.
                            self.conv_norm([1, channels], around(1));
                            self.vectors(1, channels);
                        }
                        self.convolution([channels, out], POINT);
                    }
                }
                self.vectors(1, out);
            }
        }
    }
}
