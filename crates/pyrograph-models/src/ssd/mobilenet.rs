//! SSDLite on MobileNetV2.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};

use super::{MAPS, SsdConfig, SsdFeatures, heads};
use crate::blocks::{BatchNorm2d, Conv2d, InitScheme, Kernel, NormMode, ParamInit, Stacked};

/// Channels of the first convolution.
pub(super) const STEM: usize = 32;
/// Expansion, channels, blocks and stride of each row of Table 2 of the paper.
const ROWS: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
/// The block whose expansion is the first feature map, 19×19: the first of the row of 160 channels.
pub(super) const FIRST_MAP: usize = 13;
/// Channels of the last convolution, which widths below 1 do not change.
pub(super) const LAST: usize = 1280;
/// Channels, and fraction of hidden channels, of the extra blocks, which no width changes.
const EXTRAS: [(usize, f64); 4] = [(512, 0.2), (256, 0.25), (256, 0.5), (64, 0.25)];
pub(super) const POINT: Kernel = Kernel {
    size: 1,
    stride: 1,
    padding: 0,
};

pub(super) fn around(stride: usize) -> Kernel {
    Kernel {
        size: 3,
        stride,
        padding: 1,
    }
}

/// Channels [in, hidden, out] and stride of an inverted residual.
pub(super) type ResidualShape = ([usize; 3], usize);

/// The blocks of the backbone.
pub(super) fn block_shapes(config: &SsdConfig) -> Vec<ResidualShape> {
    let mut shapes = Vec::new();
    let mut channels = config.mobilenet_channels(STEM);
    for (expansion, next, count, stride) in ROWS {
        let next = config.mobilenet_channels(next);
        for place in 0..count {
            let stride = if place == 0 { stride } else { 1 };
            shapes.push(([channels, channels * expansion, next], stride));
            channels = next;
        }
    }
    shapes
}

/// Channels of the last convolution of the backbone.
pub(super) fn last_channels(config: &SsdConfig) -> usize {
    LAST.max((LAST as f64 * config.width) as usize)
}

/// The blocks behind the backbone.
pub(super) fn extra_shapes(config: &SsdConfig) -> Vec<ResidualShape> {
    let mut channels = last_channels(config);
    let shape = |(next, share): (usize, f64)| {
        let hidden = (channels as f64 * share).round_ties_even() as usize;
        ([std::mem::replace(&mut channels, next), hidden, next], 2)
    };
    EXTRAS.into_iter().map(shape).collect()
}

/// Channels of the six feature maps.
pub(super) fn map_channels(config: &SsdConfig) -> Vec<usize> {
    let ([_, expanded, _], _) = block_shapes(config)[FIRST_MAP];
    let extras = EXTRAS.map(|(channels, _)| channels);
    [expanded, last_channels(config)]
        .into_iter()
        .chain(extras)
        .collect()
}

/// SSDLite on MobileNetV2.
#[derive(Module, Debug)]
pub struct MobilenetSsd<B: Backend> {
    stem: ConvNorm<B>,
    blocks: Vec<InvertedResidual<B>>,
    last: ConvNorm<B>,
    extras: Vec<InvertedResidual<B>>,
    classification_headers: Vec<Head<B>>,
    regression_headers: Vec<Head<B>>,
    num_classes: usize,
    /// The number of frozen layers, counted from the first: `stem`, then blocks.
    frozen: usize,
}

impl<B: Backend> MobilenetSsd<B> {
    /// Random initial parameters; the caller checks the config.
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &SsdConfig) -> Self {
        init.set_scheme(InitScheme::He);
        let stem = config.mobilenet_channels(STEM);
        let stem = ConvNorm::new(init, [3, stem], around(2));
        let shapes = block_shapes(config);
        let channels = shapes
            .last()
            .map_or(STEM, |([_, _, channels], _)| *channels);
        let blocks = InvertedResidual::all(init, shapes);
        let last = ConvNorm::new(init, [channels, last_channels(config)], POINT);
        let extras = InvertedResidual::all(init, extra_shapes(config));
        let sources = map_channels(config);
        let priors = config.priors_per_cell();
        let mut heads = |values: usize| -> Vec<_> {
            let maps = sources.iter().zip(&priors).enumerate();
            maps.map(|(map, (&channels, priors))| {
                Head::new(init, [channels, priors * values], map + 1 < MAPS)
            })
            .collect()
        };
        Self {
            classification_headers: heads(config.num_classes),
            regression_headers: heads(4),
            stem,
            blocks,
            last,
            extras,
            num_classes: config.num_classes,
            frozen: 0,
        }
    }

    /// Freezes the first `layers` layers: the first convolution and `layers` − 1 blocks.
    pub(super) fn freeze(mut self, layers: usize) -> Self {
        self.frozen = layers.min(1 + self.blocks.len());
        if self.frozen > 0 {
            self.stem = self.stem.no_grad();
            let rest = self.blocks.split_off(self.frozen - 1);
            self.blocks = self.blocks.no_grad();
            self.blocks.extend(rest);
        }
        self
    }
}

impl<B: VisionBackend> MobilenetSsd<B> {
    /// # Shapes
    /// `x` [batch, 3, 300, 300]; see [`SsdFeatures`].
    pub(super) fn forward(&self, x: Tensor<B, 4>, mode: &mut NormMode<'_, B>) -> SsdFeatures<B> {
        // 1. The backbone: 300 → 150 → … → 10. The first map is inside a block, after its expansion.
        let mut maps = Vec::with_capacity(MAPS);
        // The norms of frozen layers keep their statistics.
        let kept = &mut NormMode::Eval;
        let mut x = match self.frozen > 0 {
            true => self.stem.forward(x, Activation::Relu6, kept),
            false => self.stem.forward(x, Activation::Relu6, mode),
        };
        for (place, block) in self.blocks.iter().enumerate() {
            let mode = match place + 1 < self.frozen {
                true => &mut *kept,
                false => &mut *mode,
            };
            let expanded = block.expand(x.clone(), mode);
            if place == FIRST_MAP {
                maps.push(expanded.clone());
            }
            x = block.reduce(x, expanded, mode);
        }
        x = self.last.forward(x, Activation::Relu6, mode);
        maps.push(x.clone());
        // 2. The blocks behind: 5, 3, 2 and 1.
        for block in &self.extras {
            let expanded = block.expand(x.clone(), mode);
            x = block.reduce(x, expanded, mode);
            maps.push(x.clone());
        }
        // 3. The heads.
        let mut heads = |heads: &[Head<B>]| {
            let maps = heads.iter().zip(&maps);
            maps.map(|(head, map)| head.forward(map.clone(), mode))
                .collect()
        };
        let (conf, loc) = (
            heads(&self.classification_headers),
            heads(&self.regression_headers),
        );
        let output = heads::output(loc, conf, self.num_classes);
        SsdFeatures { maps, output }
    }
}

/// A convolution without bias and its norm.
#[derive(Module, Debug)]
struct ConvNorm<B: Backend> {
    conv: Conv2d<B>,
    norm: BatchNorm2d<B>,
}

impl<B: Backend> ConvNorm<B> {
    fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2], kernel: Kernel) -> Self {
        Self {
            conv: Conv2d::new(init, channels, kernel).without_bias(),
            norm: BatchNorm2d::new(init, channels[1]),
        }
    }

    fn depthwise(init: &mut ParamInit<'_, B>, channels: usize, stride: usize) -> Self {
        Self {
            conv: Conv2d::depthwise(init, channels, around(stride)).without_bias(),
            norm: BatchNorm2d::new(init, channels),
        }
    }
}

impl<B: VisionBackend> ConvNorm<B> {
    fn forward(
        &self,
        x: Tensor<B, 4>,
        act: Activation,
        mode: &mut NormMode<'_, B>,
    ) -> Tensor<B, 4> {
        self.conv.forward_norm(x, &self.norm, act, mode)
    }
}

/// Expansion by a 1×1 convolution, a depthwise 3×3 convolution, and a linear 1×1 convolution; the
/// input is added if the shapes agree.
#[derive(Module, Debug)]
struct InvertedResidual<B: Backend> {
    /// `None` if the block does not expand its channels.
    expand: Option<ConvNorm<B>>,
    depthwise: ConvNorm<B>,
    project: ConvNorm<B>,
    adds: bool,
}

impl<B: Backend> InvertedResidual<B> {
    fn new(init: &mut ParamInit<'_, B>, (channels, stride): ResidualShape) -> Self {
        let [before, hidden, after] = channels;
        Self {
            expand: (hidden != before).then(|| ConvNorm::new(init, [before, hidden], POINT)),
            depthwise: ConvNorm::depthwise(init, hidden, stride),
            project: ConvNorm::new(init, [hidden, after], POINT),
            adds: stride == 1 && before == after,
        }
    }

    fn all(init: &mut ParamInit<'_, B>, shapes: Vec<ResidualShape>) -> Vec<Self> {
        let shapes = shapes.into_iter();
        shapes.map(|shape| Self::new(init, shape)).collect()
    }
}

impl<B: VisionBackend> InvertedResidual<B> {
    fn expand(&self, x: Tensor<B, 4>, mode: &mut NormMode<'_, B>) -> Tensor<B, 4> {
        match &self.expand {
            Some(layer) => layer.forward(x, Activation::Relu6, mode),
            None => x,
        }
    }

    fn reduce(
        &self,
        x: Tensor<B, 4>,
        expanded: Tensor<B, 4>,
        mode: &mut NormMode<'_, B>,
    ) -> Tensor<B, 4> {
        let each = self.depthwise.forward(expanded, Activation::Relu6, mode);
        let y = self.project.forward(each, Activation::Identity, mode);
        if self.adds { x + y } else { y }
    }
}

/// A head: a depthwise 3×3 convolution with norm, and a 1×1 convolution; on the last map, of one
/// cell, only the 1×1 convolution.
#[derive(Module, Debug)]
struct Head<B: Backend> {
    depthwise: Option<ConvNorm<B>>,
    point: Conv2d<B>,
}

impl<B: Backend> Head<B> {
    fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2], separable: bool) -> Self {
        init.set_scheme(InitScheme::He);
        let depthwise = separable.then(|| ConvNorm {
            // The published heads have a bias before the norm.
            conv: Conv2d::depthwise(init, channels[0], around(1)),
            norm: BatchNorm2d::new(init, channels[0]),
        });
        init.set_scheme(InitScheme::Xavier);
        Self {
            depthwise,
            point: Conv2d::new(init, channels, POINT),
        }
    }
}

impl<B: VisionBackend> Head<B> {
    /// [batch, channels, height, width] → [batch, height · width, priors a cell · values].
    fn forward(&self, x: Tensor<B, 4>, mode: &mut NormMode<'_, B>) -> Tensor<B, 3> {
        let x = Stacked::new(x);
        let x = match &self.depthwise {
            Some(ConvNorm { conv, norm }) => x.conv_norm(conv, norm, Activation::Relu6, mode),
            None => x,
        };
        x.conv(&self.point, Activation::Identity).rows()
    }
}
