//! Everything that is checked, a line each.

use pyrograph_backend::{Device, vision::VisionAutodiff};
use pyrograph_gradcheck::GradCheckError;
use serde::Serialize;

use crate::{
    entries::{
        convolutions, distill, layers, losses, models, operations, quantised, sampling, sequence,
        ssd, stable_diffusion, training, walks,
    },
    recorder::{Recorded, Recorder, Work},
    tolerance::Cause,
};

/// What an entry is, which sets how far its numbers may be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One operation on tensors.
    Operation,
    /// A layer with parameters.
    Layer,
    /// A loss.
    Loss,
    /// A whole network.
    Model,
    /// A sampler, or its noise.
    Sampler,
    /// A training step.
    Training,
}

impl Kind {
    fn causes(self) -> [Cause; 2] {
        match self {
            Self::Operation | Self::Layer | Self::Loss => {
                [Cause::Operation, Cause::OperationGradient]
            }
            Self::Model | Self::Sampler | Self::Training => {
                [Cause::Network, Cause::NetworkGradient]
            }
        }
    }
}

/// One line of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name: that of the method, or of the type.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What its cases run through besides: methods of the backward pass, and the private parts of a model.
    pub parts: &'static [&'static str],
}

/// One line an entry: `Kind "name" => function`, and `with [...]` what its cases run through besides.
macro_rules! registry {
    ($($kind:ident $name:literal $(with [$($part:literal),*])? => $body:path;)*) => {
        const ENTRIES: &[Entry] = &[
            $(Entry { name: $name, kind: Kind::$kind, parts: &[$($($part),*)?] }),*
        ];

        fn run<A: VisionAutodiff>(entry: &Entry, recorder: &mut Recorder<'_, A>) -> Result<(), GradCheckError> {
            match entry.name {
                $($name => $body(recorder),)*
                other => unreachable!("{other} is not in the registry"),
            }
        }
    };
}

registry! {
    Operation "conv2d_act" with ["conv2d_input_gradient", "conv2d_weight_gradient", "channel_sum"] => convolutions::conv2d;
    Operation "conv2d_of_group_norm" => convolutions::conv2d_of_group_norm;
    Operation "conv2d_of_upsampled" => convolutions::conv2d_of_upsampled;
    Operation "conv_stack" => convolutions::conv_stack;
    Operation "prepare_weight" => convolutions::prepare_weight;
    Operation "conv2d_scaled_act" => convolutions::conv2d_scaled;
    Operation "conv_transpose2d_act" => convolutions::conv_transpose2d;
    Operation "modulate" with ["modulate_backward"] => operations::modulate;
    Operation "group_norm_act" with ["group_norm_act_backward"] => operations::group_norm;
    Operation "batch_norm_act" => operations::batch_norm;
    Operation "batch_norm_training_act" with ["batch_norm_act_backward"] => operations::batch_norm_training;
    Operation "activate" with ["activate_backward"] => operations::activate;
    Operation "add_act" => operations::add;
    Operation "scaled_dot_product_attention" with ["attention_backward"] => operations::attention;
    Operation "concat_channels" => operations::concat_channels;
    Operation "l2_norm" with ["l2_norm_backward"] => operations::l2_norm;
    Operation "channel_divergence" => distill::channel_divergence;
    Operation "normal_squares" => distill::normal_squares;
    Operation "weighted_squares" => distill::weighted_squares;
    Operation "row_divergence" => distill::row_divergence;
    Operation "row_smooth_l1" => distill::row_smooth_l1;
    Operation "max_pool2d_window" with ["max_pool2d_window_backward"] => operations::max_pool;
    Operation "avg_pool2d_window" with ["avg_pool2d_window_backward"] => operations::avg_pool;
    Operation "softmax_last" with ["softmax_last_backward"] => operations::softmax;
    Operation "linear_layer" => sequence::linear;
    Operation "quantised_linear_layer" with ["quantised_weight", "quantised_matrix"] => quantised::linear;
    Operation "quantised_conv2d_act" => quantised::conv2d;
    Operation "layer_norm_last" => sequence::layer_norm;
    Operation "geglu_rows" => sequence::geglu;
    Operation "upsample_nearest" => sequence::upsample_nearest;
    Operation "embedding" => sequence::embedding;
    Layer "Conv2d" => layers::conv2d;
    Layer "ConvTranspose2d" => layers::conv_transpose2d;
    Layer "Linear" => layers::linear;
    Layer "GroupNorm" => layers::group_norm;
    Layer "BatchNorm2d" => layers::batch_norm;
    Layer "LayerNorm" => sequence::layer_norm_layer;
    Layer "Embedding" => sequence::embedding_layer;
    Layer "L2Norm" => ssd::l2_norm;
    Layer "Projectors" with ["Mlp"] => distill::projectors;
    Loss "DenoisingLoss" => losses::denoising;
    Loss "AdversarialLoss" => losses::adversarial;
    Loss "GradientPenalty" => losses::gradient_penalty;
    Loss "AnomalyScore" with ["ScoreParts"] => losses::anomaly_score;
    Loss "EncoderLoss" => losses::encoder;
    Loss "MultiBoxLoss" with ["MultiBoxTerms", "MatchedBoxes", "PriorMatcher", "TruthBox", "HardPriors"] => ssd::multibox;
    Loss "DistillMethod" with [
        "ChannelWiseKl", "LabelAssignment", "MultiBoxLossKd", "MultiBoxKdTerms", "PearsonLoss", "ResponseLoss", "ScoreWeightedL2",
        "DistillStep", "Needs", "PriorOutputs", "TakesOver", "Term"
    ] => distill::methods;
    Loss "CrossEntropyLoss" => losses::cross_entropy;
    Model "ContextUnet" with [
        "ConvNormAct", "ResidualConvBlock", "UnetDown", "UnetUp", "Embedding", "UpFromVector", "OutputHead"
    ] => models::context_unet;
    Model "Generator" with ["Block", "Dcgan", "AnoGan"] => models::generator;
    Model "Discriminator" with ["Block"] => models::discriminator;
    Model "Encoder" with ["Block"] => models::encoder;
    Model "SpriteClassifier" => models::sprite_classifier;
    Model "VggSsd" with ["Layer", "MobilenetSsd", "ConvNorm", "InvertedResidual", "Head"] => ssd::networks;
    Model "UNet2DConditionModel" with [
        "TimestepEmbedding", "DownBlock", "MidBlock", "UpBlock", "ResnetBlock2D", "Downsample2D", "Upsample2D", "Transformer2D",
        "BasicTransformerBlock", "CrossAttention", "FeedForward"
    ] => stable_diffusion::unet;
    Model "ClipTextModel" with [
        "TextTransformer", "Embeddings", "Encoder", "EncoderLayer", "SelfAttention", "Mlp"
    ] => stable_diffusion::clip;
    Model "AutoencoderKl" with [
        "Encoder", "Decoder", "DownBlock", "UpBlock", "MidBlock", "ResnetBlock", "Attention", "Resampler"
    ] => stable_diffusion::autoencoder;
    Model "AutoencoderTiny" with ["Encoder", "Decoder", "Layer", "Block"] => stable_diffusion::tiny_autoencoder;
    Sampler "seeded noise" => sampling::noise;
    Sampler "DDPM" => sampling::ddpm;
    Sampler "DDIM" => sampling::ddim;
    Sampler "DPM-Solver++" => sampling::dpm_solver_pp;
    Sampler "every other sampler" => sampling::others;
    Sampler "requests in company" => walks::company;
    Training "training step" => training::step;
}

/// Every line of the registry, in its order.
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

impl Entry {
    /// Runs its cases on one backend.
    pub(crate) fn record<A: VisionAutodiff>(
        &self,
        device: &Device<A>,
        work: Work,
    ) -> Result<Recorded, GradCheckError> {
        let mut recorder = Recorder::<A>::new(device, work, self.kind.causes());
        run(self, &mut recorder)?;
        Ok(recorder.finish())
    }
}
