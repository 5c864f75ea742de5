//! From CompVis' key names to diffusers', by tables over whole path segments.

use crate::weights::StateDict;

/// Layers of the UNet outside its blocks.
const UNET: [(&str, &str); 5] = [
    ("time_embed.0.", "time_embedding.linear_1."),
    ("time_embed.2.", "time_embedding.linear_2."),
    ("input_blocks.0.0.", "conv_in."),
    ("out.0.", "conv_norm_out."),
    ("out.2.", "conv_out."),
];
/// Layers of the UNet's residual blocks.
const UNET_RESNET: [(&str, &str); 6] = [
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
];
/// The UNet's middle: a residual block, a transformer, a residual block.
const UNET_MIDDLE: [&str; 3] = ["resnets.0", "attentions.0", "resnets.1"];
/// Layers of the VAE's halves outside the blocks.
const VAE: [(&str, &str); 4] = [
    ("mid.block_1.", "mid_block.resnets.0."),
    ("mid.block_2.", "mid_block.resnets.1."),
    ("mid.attn_1.", "mid_block.attentions.0."),
    ("norm_out.", "conv_norm_out."),
];
/// Layers of the VAE's attention, 1×1 convolutions there and linear layers here.
const VAE_ATTENTION: [(&str, &str); 5] = [
    ("norm.", "group_norm."),
    ("q.", "to_q."),
    ("k.", "to_k."),
    ("v.", "to_v."),
    ("proj_out.", "to_out.0."),
];
const VAE_MIDDLE_ATTENTION: &str = "mid_block.attentions.0.";
/// Prefixes of the VAE's halves.
const VAE_HALVES: [&str; 2] = ["encoder.", "decoder."];

/// The key after the first rule whose left side it begins with.
fn replaced(key: &str, table: &[(&str, &str)]) -> Option<String> {
    let rule = |(from, to): &(&str, &str)| Some(format!("{to}{}", key.strip_prefix(from)?));
    table.iter().find_map(rule)
}

/// The number after `prefix`, and what follows its dot.
fn numbered<'a>(key: &'a str, prefix: &str) -> Option<(usize, &'a str)> {
    let (number, rest) = key.strip_prefix(prefix)?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// The number of residual blocks in each block of a UNet on the way down. The first downsampling
/// follows the first block's.
fn layers_per_block(dict: &StateDict) -> usize {
    let inputs = dict.keys().filter_map(|key| numbered(key, "input_blocks."));
    let (mut down, mut last) = (usize::MAX, 0);
    for (number, rest) in inputs {
        last = last.max(number);
        if rest.starts_with("0.op.") {
            down = down.min(number);
        }
    }
    down.min(last + 1).saturating_sub(1).max(1)
}

/// A UNet's weights under diffusers' names. A key that no rule knows stays, so that strict loading names it.
pub(super) fn unet(dict: &StateDict) -> StateDict {
    let layers = layers_per_block(dict);
    dict.renamed(|key| unet_key(key, layers).unwrap_or_else(|| key.to_owned()))
}

fn unet_key(key: &str, layers: usize) -> Option<String> {
    if let Some(key) = replaced(key, &UNET) {
        return Some(key);
    }
    if let Some((number, rest)) = numbered(key, "middle_block.") {
        let place = UNET_MIDDLE.get(number)?;
        let rest = replaced(rest, &UNET_RESNET).unwrap_or_else(|| rest.to_owned());
        return Some(format!("mid_block.{place}.{rest}"));
    }
    let (side, number, rest) = match numbered(key, "input_blocks.") {
        // Number 0 is the first convolution.
        Some((number, rest)) => ("down", number.checked_sub(1)?, rest),
        None => {
            let (number, rest) = numbered(key, "output_blocks.")?;
            ("up", number, rest)
        }
    };
    let (block, layer) = (number / (layers + 1), number % (layers + 1));
    let (place, rest) = rest.split_once('.')?;
    let in_block = match (side, place, rest) {
        ("down", "0", rest) if rest.starts_with("op.") => {
            format!("downsamplers.0.conv.{}", &rest["op.".len()..])
        }
        ("up", "1" | "2", rest) if rest.starts_with("conv.") => format!("upsamplers.0.{rest}"),
        (_, "0", rest) => format!("resnets.{layer}.{}", replaced(rest, &UNET_RESNET)?),
        (_, "1", rest) => format!("attentions.{layer}.{rest}"),
        _ => return None,
    };
    Some(format!("{side}_blocks.{block}.{in_block}"))
}

/// A VAE's weights under diffusers' names.
pub(super) fn vae(dict: &StateDict) -> StateDict {
    let blocks = dict.keys().filter_map(|key| numbered(key, "decoder.up."));
    let blocks = blocks
        .map(|(number, _)| number + 1)
        .max()
        .unwrap_or_default();
    let mut renamed = dict.renamed(|key| vae_key(key, blocks).unwrap_or_else(|| key.to_owned()));
    let attention: Vec<_> = renamed
        .keys()
        .filter(|key| key.contains(VAE_MIDDLE_ATTENTION))
        .map(str::to_owned)
        .collect();
    for key in attention {
        if let Some(tensor) = renamed.get(&key)
            && let &[rows, columns, ..] = tensor.shape()
        {
            let linear = tensor.reshaped(vec![rows, columns]);
            renamed.insert(key, linear);
        }
    }
    renamed
}

fn vae_key(key: &str, blocks: usize) -> Option<String> {
    let (half, rest) = VAE_HALVES
        .iter()
        .find_map(|half| Some((*half, key.strip_prefix(half)?)))?;
    let (place, rest) = if let Some((block, rest)) = numbered(rest, "down.") {
        (format!("down_blocks.{block}."), rest)
    } else if let Some((block, rest)) = numbered(rest, "up.") {
        // The authors count from the image up, diffusers from the latents up.
        (
            format!("up_blocks.{}.", blocks.checked_sub(block + 1)?),
            rest,
        )
    } else {
        let rest = replaced(rest, &VAE)?;
        let rest = match rest.strip_prefix(VAE_MIDDLE_ATTENTION) {
            Some(layer) => format!("{VAE_MIDDLE_ATTENTION}{}", replaced(layer, &VAE_ATTENTION)?),
            None => with_shortcut(&rest),
        };
        return Some(format!("{half}{rest}"));
    };
    let in_block = match numbered(rest, "block.") {
        Some((layer, rest)) => format!("resnets.{layer}.{}", with_shortcut(rest)),
        None => {
            let table = [
                ("downsample.", "downsamplers.0."),
                ("upsample.", "upsamplers.0."),
            ];
            replaced(rest, &table)?
        }
    };
    Some(format!("{half}{place}{in_block}"))
}

/// The layer of a residual block, of which only the shortcut has another name.
fn with_shortcut(rest: &str) -> String {
    replaced(rest, &[("nin_shortcut.", "conv_shortcut.")]).unwrap_or_else(|| rest.to_owned())
}
