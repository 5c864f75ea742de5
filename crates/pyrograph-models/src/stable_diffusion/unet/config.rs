//! Configuration of a UNet, as in diffusers' `config.json`.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::MODEL;
use crate::{ModelError, stable_diffusion::fields::ConfigFields};

/// A kind of block on the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownBlockType {
    /// Residual blocks, each followed by a transformer.
    CrossAttnDownBlock2D,
    /// Residual blocks.
    DownBlock2D,
}

/// A kind of block in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MidBlockType {
    /// A residual block, a transformer, and a residual block.
    UNetMidBlock2DCrossAttn,
}

/// A kind of block on the way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpBlockType {
    /// Residual blocks, each followed by a transformer.
    CrossAttnUpBlock2D,
    /// Residual blocks.
    UpBlock2D,
}

/// Configuration of a [`UNet2DConditionModel`](super::UNet2DConditionModel), with diffusers' field
/// names.
///
/// A field that may differ between blocks is a list, in the order of the down blocks. The file may
/// give one value for all blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct UNet2DConditionConfig {
    /// Height and width of the latents in training, which set the default size of a picture. Other
    /// sizes work too.
    pub sample_size: Option<[usize; 2]>,
    /// Channels of the input: 4, or 9 for inpainting (latents, mask, masked latents).
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Whether the input is in `[0, 1]` and must be centred.
    pub center_input_sample: bool,
    /// Whether the cosines of the time embedding come before the sines.
    pub flip_sin_to_cos: bool,
    /// Shift of the frequencies of the time embedding.
    pub freq_shift: f64,
    /// The blocks on the way down.
    pub down_block_types: Vec<DownBlockType>,
    /// The block in the middle; distilled models have none.
    pub mid_block_type: Option<MidBlockType>,
    /// The blocks on the way up, the lowest resolution first.
    pub up_block_types: Vec<UpBlockType>,
    /// Whether the first attention of a transformer's layer attends to the text instead of to the image.
    pub only_cross_attention: Vec<bool>,
    /// Channels of each block.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each block on the way down; there is one more on the way up.
    pub layers_per_block: Vec<usize>,
    /// Padding of a downsampling convolution on each side; 0 means one pixel at the right and at
    /// the bottom.
    pub downsample_padding: usize,
    /// Groups of the group norms.
    pub norm_num_groups: usize,
    /// Epsilon of the group norms outside the transformers.
    pub norm_eps: f64,
    /// Width of the text's embeddings.
    pub cross_attention_dim: Vec<usize>,
    /// Layers of each transformer.
    pub transformer_layers_per_block: Vec<usize>,
    /// The number of attention heads: diffusers' name is a misnomer.
    pub attention_head_dim: Vec<usize>,
    /// Whether the projections around a transformer are linear layers instead of 1×1 convolutions.
    pub use_linear_projection: bool,
    /// Whether attention scores must be f32. In this crate they always are.
    pub upcast_attention: bool,
    /// Width of the time embedding; by default four times the first block's channels.
    pub time_embedding_dim: Option<usize>,
    /// The number of sines and cosines of the guidance, an input of latent consistency models in
    /// addition to the timestep.
    pub time_cond_proj_dim: Option<usize>,
    /// Side of the first convolution's kernel.
    pub conv_in_kernel: usize,
    /// Side of the last convolution's kernel.
    pub conv_out_kernel: usize,
}

impl Default for UNet2DConditionConfig {
    /// diffusers' defaults: the network of Stable Diffusion 1, except its text width of 768.
    fn default() -> Self {
        use {DownBlockType::*, UpBlockType::*};
        let attending = CrossAttnDownBlock2D;
        Self {
            sample_size: None,
            in_channels: 4,
            out_channels: 4,
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: vec![attending, attending, attending, DownBlock2D],
            mid_block_type: Some(MidBlockType::UNetMidBlock2DCrossAttn),
            up_block_types: vec![
                UpBlock2D,
                CrossAttnUpBlock2D,
                CrossAttnUpBlock2D,
                CrossAttnUpBlock2D,
            ],
            only_cross_attention: vec![false; 4],
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: vec![2; 4],
            downsample_padding: 1,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: vec![1280; 4],
            transformer_layers_per_block: vec![1; 4],
            attention_head_dim: vec![8; 4],
            use_linear_projection: false,
            upcast_attention: false,
            time_embedding_dim: None,
            time_cond_proj_dim: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
        }
    }
}

impl UNet2DConditionConfig {
    /// The network of Stable Diffusion 1.5.
    pub fn stable_diffusion_1_5() -> Self {
        Self {
            sample_size: Some([64; 2]),
            cross_attention_dim: vec![768; 4],
            ..Self::default()
        }
    }

    /// The network of Stable Diffusion 2.1 base, and of SD-Turbo.
    pub fn stable_diffusion_2_1_base() -> Self {
        Self {
            sample_size: Some([64; 2]),
            cross_attention_dim: vec![1024; 4],
            attention_head_dim: vec![5, 10, 20, 20],
            use_linear_projection: true,
            ..Self::default()
        }
    }

    /// Reads the text of diffusers' `unet/config.json`. Missing fields have diffusers' defaults.
    ///
    /// # Errors
    /// When the text is not JSON, when a value is not allowed, or when a field requires a part that
    /// this model does not have.
    pub fn from_diffusers(json: &str) -> Result<Self, ModelError> {
        let mut fields = ConfigFields::parse(MODEL, json)?;
        let config = read(&mut fields)?;
        refuse_other_parts(&mut fields, &config)?;
        fields.finish()?;
        config.check()?;
        Ok(config)
    }
}

impl TryFrom<Value> for UNet2DConditionConfig {
    type Error = ModelError;

    fn try_from(value: Value) -> Result<Self, ModelError> {
        Self::from_diffusers(&value.to_string())
    }
}

/// The fields that the model honours.
fn read(fields: &mut ConfigFields) -> Result<UNet2DConditionConfig, ModelError> {
    let absent = UNet2DConditionConfig::default();
    let down_block_types = fields.take("down_block_types", absent.down_block_types)?;
    let blocks = down_block_types.len();
    let size: Option<Size> = fields.take("sample_size", None)?;
    Ok(UNet2DConditionConfig {
        sample_size: size.map(Size::sides),
        in_channels: fields.take("in_channels", absent.in_channels)?,
        out_channels: fields.take("out_channels", absent.out_channels)?,
        center_input_sample: fields.take("center_input_sample", absent.center_input_sample)?,
        flip_sin_to_cos: fields.take("flip_sin_to_cos", absent.flip_sin_to_cos)?,
        freq_shift: fields.take("freq_shift", absent.freq_shift)?,
        down_block_types,
        mid_block_type: fields.take("mid_block_type", absent.mid_block_type)?,
        up_block_types: fields.take("up_block_types", absent.up_block_types)?,
        only_cross_attention: per_block(fields, "only_cross_attention", blocks, false)?,
        block_out_channels: fields.take("block_out_channels", absent.block_out_channels)?,
        layers_per_block: per_block(fields, "layers_per_block", blocks, 2)?,
        downsample_padding: fields.take("downsample_padding", absent.downsample_padding)?,
        norm_num_groups: fields.take("norm_num_groups", absent.norm_num_groups)?,
        norm_eps: fields.take("norm_eps", absent.norm_eps)?,
        cross_attention_dim: per_block(fields, "cross_attention_dim", blocks, 1280)?,
        transformer_layers_per_block: per_block(fields, "transformer_layers_per_block", blocks, 1)?,
        attention_head_dim: per_block(fields, "attention_head_dim", blocks, 8)?,
        use_linear_projection: fields
            .take("use_linear_projection", absent.use_linear_projection)?,
        upcast_attention: fields.take("upcast_attention", absent.upcast_attention)?,
        time_embedding_dim: fields.take("time_embedding_dim", absent.time_embedding_dim)?,
        time_cond_proj_dim: fields.take("time_cond_proj_dim", absent.time_cond_proj_dim)?,
        conv_in_kernel: fields.take("conv_in_kernel", absent.conv_in_kernel)?,
        conv_out_kernel: fields.take("conv_out_kernel", absent.conv_out_kernel)?,
    })
}

/// One side for a square, or both.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a side, or height and width")]
enum Size {
    Square(usize),
    Sides([usize; 2]),
}

impl Size {
    fn sides(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Sides(sides) => sides,
        }
    }
}

/// One value for all blocks, or a list of one a block.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected one value, or a list of one value a block"
)]
enum PerBlock<T> {
    All(T),
    Each(Vec<T>),
}

/// The values of `field` for `blocks` blocks; a list is as long as the file has it.
fn per_block<T: DeserializeOwned + Clone>(
    fields: &mut ConfigFields,
    field: &str,
    blocks: usize,
    absent: T,
) -> Result<Vec<T>, ModelError> {
    match fields.take(field, PerBlock::All(absent))? {
        PerBlock::All(value) => Ok(vec![value; blocks]),
        PerBlock::Each(values) => Ok(values),
    }
}

/// Refuses the fields of parts that other models have: class and image embeddings, other norms, other attention.
fn refuse_other_parts(
    fields: &mut ConfigFields,
    config: &UNet2DConditionConfig,
) -> Result<(), ModelError> {
    fields.expect("act_fn", &["silu".into(), "swish".into()])?;
    fields.expect("mid_block_scale_factor", &[1.into()])?;
    fields.expect("resnet_out_scale_factor", &[1.into()])?;
    fields.expect("resnet_time_scale_shift", &["default".into()])?;
    fields.expect("time_embedding_type", &["positional".into()])?;
    fields.expect("attention_type", &["default".into()])?;
    fields.expect("addition_embed_type_num_heads", &[64.into(), Value::Null])?;
    // diffusers takes the number of heads from `attention_head_dim` and refuses this field.
    let heads = &config.attention_head_dim;
    let mut same_heads = vec![Value::Null, json!(heads)];
    same_heads.extend(
        heads
            .first()
            .filter(|one| heads.iter().all(|h| h == *one))
            .map(|one| json!(one)),
    );
    fields.expect("num_attention_heads", &same_heads)?;
    for name in [
        "dual_cross_attention",
        "resnet_skip_time_act",
        "class_embeddings_concat",
        "mid_block_only_cross_attention",
    ] {
        fields.expect(name, &[false.into(), Value::Null])?;
    }
    for name in [
        "reverse_transformer_layers_per_block",
        "encoder_hid_dim",
        "encoder_hid_dim_type",
        "class_embed_type",
        "addition_embed_type",
        "addition_time_embed_dim",
        "num_class_embeds",
        "time_embedding_act_fn",
        "timestep_post_act",
        "projection_class_embeddings_input_dim",
        "cross_attention_norm",
    ] {
        fields.expect(name, &[Value::Null])?;
    }
    Ok(())
}
