//! The key names of published tiny autoencoders.

use burn::tensor::backend::Backend;

use super::{AutoencoderTiny, AutoencoderTinyConfig, MODEL};
use crate::{
    ModelError,
    weights::{NamedModel, Rename},
};

/// From our field paths to diffusers', whose `nn.Sequential` numbers its layers.
const RENAMES: &[Rename] = &[
    // The kinds of a layer have no name there.
    Rename::new(".Conv.", "."),
    Rename::new(".Block.", "."),
    // conv = Sequential(conv, activation, conv, activation, conv).
    Rename::new(".conv1.", ".conv.0."),
    Rename::new(".conv2.", ".conv.2."),
    Rename::new(".conv3.", ".conv.4."),
];

impl<B: Backend> NamedModel<B> for AutoencoderTiny<B> {
    type Config = AutoencoderTinyConfig;
    const NAME: &'static str = MODEL;
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = &[];

    fn telling_shapes(config: &Self::Config) -> Result<Vec<(String, Vec<usize>)>, ModelError> {
        config.check()?;
        let (encoder, decoder) = (config.encoder_width(), config.decoder_width());
        let mut shapes = vec![
            (
                "encoder.layers.0.weight".to_owned(),
                vec![encoder, config.in_channels, 3, 3],
            ),
            (
                "decoder.layers.0.weight".to_owned(),
                vec![decoder, config.latent_channels, 3, 3],
            ),
        ];
        // The convolution of every stage of the encoder but the first stands after the blocks of those before it.
        let mut place = 0;
        for blocks in &config.num_encoder_blocks[..config.num_encoder_blocks.len() - 1] {
            place += blocks + 1;
            let key = format!("encoder.layers.{place}.weight");
            shapes.push((key, vec![encoder, encoder, 3, 3]));
        }
        Ok(shapes)
    }

    fn from_config(config: &Self::Config, device: &B::Device) -> Result<Self, ModelError> {
        config.init(device, 0)
    }
}
