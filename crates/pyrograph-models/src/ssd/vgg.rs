//! SSD300 on VGG16.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend, Window};

use super::{L2Norm, MAPS, SsdConfig, SsdFeatures, heads};
use crate::blocks::{BatchNorm2d, Conv2d, InitScheme, Kernel, NormMode, ParamInit, Stacked};

/// Channels of VGG16's convolutions (Simonyan and Zisserman, configuration D), stage by stage.
pub(super) const STAGES: [&[usize]; 5] = [
    &[64, 64],
    &[128, 128],
    &[256, 256, 256],
    &[512, 512, 512],
    &[512, 512, 512],
];
/// The stage whose output is the first feature map, and its channels.
pub(super) const CONV4: usize = 3;
const CONV4_CHANNELS: usize = 512;
/// The stage before which the pooling rounds up, as Caffe's did.
pub(super) const POOL_ROUNDED_UP: usize = 3;
/// fc6 and fc7 as convolutions.
pub(super) const FC_CHANNELS: usize = 1024;
pub(super) const FC6: Kernel = Kernel {
    size: 3,
    stride: 1,
    padding: 6,
};
const FC6_DILATION: usize = 6;
/// The extra layers: channels and kernel. Every second one yields a feature map.
const EXTRAS: [(usize, Kernel); 8] = [
    (256, POINT),
    (512, HALVING),
    (128, POINT),
    (256, HALVING),
    (128, POINT),
    (256, VALID),
    (128, POINT),
    (256, VALID),
];
const POINT: Kernel = Kernel {
    size: 1,
    stride: 1,
    padding: 0,
};
const HALVING: Kernel = Kernel {
    size: 3,
    stride: 2,
    padding: 1,
};
const VALID: Kernel = Kernel {
    size: 3,
    stride: 1,
    padding: 0,
};
/// The window of VGG16's convolutions, and of the heads.
pub(super) const SAME: Kernel = Kernel {
    size: 3,
    stride: 1,
    padding: 1,
};
/// fc6 is preceded by a pooling that keeps the size.
const POOL5: Window = Window {
    size: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
};

/// Channels [in, out] and window of conv1_1 to conv5_3, fc6 and fc7.
pub(super) fn vgg_shapes(config: &SsdConfig) -> Vec<([usize; 2], Kernel)> {
    let fc = config.vgg_channels(FC_CHANNELS);
    let mut shapes = Vec::new();
    let mut channels = 3;
    for &next in STAGES.into_iter().flatten() {
        let next = config.vgg_channels(next);
        shapes.push(([channels, next], SAME));
        channels = next;
    }
    shapes.extend([([channels, fc], FC6), ([fc, fc], POINT)]);
    shapes
}

/// Channels [in, out] and window of the layers behind fc7.
pub(super) fn extra_shapes(config: &SsdConfig) -> Vec<([usize; 2], Kernel)> {
    let mut channels = config.vgg_channels(FC_CHANNELS);
    let shape = |(next, kernel)| {
        let next = config.vgg_channels(next);
        ([std::mem::replace(&mut channels, next), next], kernel)
    };
    EXTRAS.into_iter().map(shape).collect()
}

/// Channels of the six feature maps.
pub(super) fn map_channels(config: &SsdConfig) -> Vec<usize> {
    let first = [CONV4_CHANNELS, FC_CHANNELS].map(|channels| config.vgg_channels(channels));
    let behind = extra_shapes(config).into_iter().skip(1).step_by(2);
    let behind = behind.map(|([_, channels], _)| channels);
    first.into_iter().chain(behind).collect()
}

/// SSD300 on VGG16.
#[derive(Module, Debug)]
pub struct VggSsd<B: Backend> {
    /// conv1_1 to conv5_3, fc6, fc7.
    vgg: Vec<Layer<B>>,
    l2_norm: L2Norm<B>,
    extras: Vec<Layer<B>>,
    loc: Vec<Conv2d<B>>,
    conf: Vec<Conv2d<B>>,
    num_classes: usize,
    /// The number of frozen layers of `vgg`, counted from the first.
    frozen: usize,
}

impl<B: Backend> VggSsd<B> {
    /// Random initial parameters; the caller checks the config.
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &SsdConfig) -> Self {
        let norm = config.batch_norm;
        init.set_scheme(InitScheme::He);
        let vgg = vgg_shapes(config).into_iter().map(|(channels, kernel)| {
            let layer = Layer::new(init, channels, kernel, norm);
            match kernel == FC6 {
                true => layer.dilated(FC6_DILATION),
                false => layer,
            }
        });
        let vgg = vgg.collect();
        let extras = extra_shapes(config).into_iter();
        let extras = extras.map(|(channels, kernel)| Layer::new(init, channels, kernel, norm));
        let extras = extras.collect();

        init.set_scheme(InitScheme::Xavier);
        let sources = map_channels(config);
        let priors = config.priors_per_cell();
        let mut heads = |values: usize| -> Vec<_> {
            let maps = sources.iter().zip(&priors);
            maps.map(|(&channels, priors)| Conv2d::new(init, [channels, priors * values], SAME))
                .collect()
        };
        Self {
            loc: heads(4),
            conf: heads(config.num_classes),
            l2_norm: L2Norm::new(init, sources[0]),
            vgg,
            extras,
            num_classes: config.num_classes,
            frozen: 0,
        }
    }

    /// Freezes the first `layers` convolutions.
    pub(super) fn freeze(mut self, layers: usize) -> Self {
        self.frozen = layers.min(self.vgg.len());
        let rest = self.vgg.split_off(self.frozen);
        self.vgg = self.vgg.no_grad();
        self.vgg.extend(rest);
        self
    }
}

impl<B: VisionBackend> VggSsd<B> {
    /// # Shapes
    /// `x` [batch, 3, 300, 300]; see [`SsdFeatures`].
    pub(super) fn forward(&self, x: Tensor<B, 4>, mode: &mut NormMode<'_, B>) -> SsdFeatures<B> {
        // 1. conv1_1 to conv4_3, with a pooling before each stage but the first: 300 → 150 → 75 → 38.
        let mut x = Stacked::new(x);
        let mut layer = 0;
        let mut maps = Vec::with_capacity(MAPS);
        for (stage, channels) in STAGES.into_iter().enumerate() {
            x = match stage {
                0 => x,
                // Rounded up: 75 pixels make 38 cells.
                // Zeros change no maximum of values that come from a ReLU.
                POOL_ROUNDED_UP => x.max_pool_of_zeros_after(Window::tiles(2)),
                _ => x.max_pool(Window::tiles(2)),
            };
            for _ in channels {
                x = self.layer(layer, x, mode);
                layer += 1;
            }
            if stage == CONV4 {
                let map = x.images();
                maps.push(self.l2_norm.forward(map.clone()));
                x = Stacked::new(map);
            }
        }
        // 2. fc6 and fc7: 19×19.
        x = x.max_pool(POOL5);
        for layer in layer..self.vgg.len() {
            x = self.layer(layer, x, mode);
        }
        let mut x = x.images();
        maps.push(x.clone());
        // 3. The layers behind: 10, 5, 3 and 1.
        for pair in self.extras.chunks(2) {
            let layers = pair.iter();
            x = layers
                .fold(Stacked::new(x), |x, layer| layer.forward(x, mode))
                .images();
            maps.push(x.clone());
        }
        // 4. The heads.
        let heads = |heads: &[Conv2d<B>]| {
            let maps = heads.iter().zip(&maps);
            maps.map(|(head, map)| heads::forward(head, map.clone()))
                .collect()
        };
        let output = heads::output(heads(&self.loc), heads(&self.conf), self.num_classes);
        SsdFeatures { maps, output }
    }

    /// One layer of `vgg`; the norm of a frozen one keeps its statistics.
    fn layer(&self, layer: usize, x: Stacked<B>, mode: &mut NormMode<'_, B>) -> Stacked<B> {
        match layer < self.frozen {
            true => self.vgg[layer].forward(x, &mut NormMode::Eval),
            false => self.vgg[layer].forward(x, mode),
        }
    }
}

/// A convolution, an optional norm, and ReLU.
#[derive(Module, Debug)]
struct Layer<B: Backend> {
    conv: Conv2d<B>,
    norm: Option<BatchNorm2d<B>>,
}

impl<B: Backend> Layer<B> {
    fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2], kernel: Kernel, norm: bool) -> Self {
        let conv = Conv2d::new(init, channels, kernel);
        match norm {
            false => Self { conv, norm: None },
            true => Self {
                conv: conv.without_bias(),
                norm: Some(BatchNorm2d::new(init, channels[1])),
            },
        }
    }

    fn dilated(self, dilation: usize) -> Self {
        Self {
            conv: self.conv.dilated(dilation),
            ..self
        }
    }
}

impl<B: VisionBackend> Layer<B> {
    fn forward(&self, x: Stacked<B>, mode: &mut NormMode<'_, B>) -> Stacked<B> {
        match &self.norm {
            None => x.conv(&self.conv, Activation::Relu),
            Some(norm) => x.conv_norm(&self.conv, norm, Activation::Relu, mode),
        }
    }
}
