//! OpenCLIP's text tower under transformers' key names.

use crate::weights::{StateDict, TensorEntry};

/// Layers that Stable Diffusion 2 uses: the last of OpenCLIP-H's 24 is left out.
const LAYERS: usize = 23;
const PREFIX: &str = "text_model.";
/// Tensors outside the layers.
const OUTER: [(&str, &str); 4] = [
    (
        "token_embedding.weight",
        "embeddings.token_embedding.weight",
    ),
    (
        "positional_embedding",
        "embeddings.position_embedding.weight",
    ),
    ("ln_final.weight", "final_layer_norm.weight"),
    ("ln_final.bias", "final_layer_norm.bias"),
];
/// Parts of a layer.
const LAYER: [(&str, &str); 5] = [
    ("ln_1.", "layer_norm1."),
    ("ln_2.", "layer_norm2."),
    ("attn.out_proj.", "self_attn.out_proj."),
    ("mlp.c_fc.", "mlp.fc1."),
    ("mlp.c_proj.", "mlp.fc2."),
];
/// The fused projections of attention, and the parameter that each holds.
const FUSED: [(&str, &str); 2] = [
    ("attn.in_proj_weight", "weight"),
    ("attn.in_proj_bias", "bias"),
];
/// What the fused rows hold, a third each.
const PROJECTIONS: [&str; 3] = ["q_proj", "k_proj", "v_proj"];
/// Tensors of the whole CLIP model, and the mask, which is computed.
const UNUSED: [&str; 3] = ["text_projection", "logit_scale", "attn_mask"];

/// The tower's weights under transformers' names, and the keys that are not used. A key that no
/// rule knows stays, so that strict loading names it.
pub(super) fn text_encoder(dict: &StateDict) -> (StateDict, Vec<String>) {
    // The same file for messages.
    let mut converted = dict.part("text_model.");
    let mut unused = Vec::new();
    for key in dict.keys() {
        let Some(tensor) = dict.get(key) else {
            continue;
        };
        match layer(key) {
            _ if UNUSED.contains(&key) => unused.push(key.to_owned()),
            Some((number, _)) if number >= LAYERS => unused.push(key.to_owned()),
            Some((number, rest)) => {
                let place = format!("{PREFIX}encoder.layers.{number}.");
                insert_layer(&mut converted, &place, rest, tensor);
            }
            None => {
                let outer = OUTER.iter().find(|(theirs, _)| *theirs == key);
                let name = outer.map_or(key.to_owned(), |(_, ours)| format!("{PREFIX}{ours}"));
                converted.insert(name, tensor.clone());
            }
        }
    }
    (converted, unused)
}

fn layer(key: &str) -> Option<(usize, &str)> {
    let (number, rest) = key
        .strip_prefix("transformer.resblocks.")?
        .split_once('.')?;
    Some((number.parse().ok()?, rest))
}

fn insert_layer(converted: &mut StateDict, place: &str, rest: &str, tensor: &TensorEntry) {
    if let Some((_, parameter)) = FUSED.iter().find(|(name, _)| *name == rest) {
        let rows = tensor.shape().first().copied().unwrap_or_default() / PROJECTIONS.len();
        for (at, projection) in PROJECTIONS.iter().enumerate() {
            let part = tensor.rows(at * rows..(at + 1) * rows);
            converted.insert(format!("{place}self_attn.{projection}.{parameter}"), part);
        }
        return;
    }
    let rule = |(from, to): &(&str, &str)| Some(format!("{to}{}", rest.strip_prefix(from)?));
    let name = LAYER
        .iter()
        .find_map(rule)
        .unwrap_or_else(|| rest.to_owned());
    converted.insert(format!("{place}{name}"), tensor.clone());
}
