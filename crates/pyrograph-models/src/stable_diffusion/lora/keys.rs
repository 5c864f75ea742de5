//! The key names of LoRA files: diffusers', kohya's and PEFT's.

/// The network that a layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Network {
    Unet,
    TextEncoder,
}

/// The role of a tensor in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Down,
    Up,
    /// The kernel between them, where a convolution is factored in three (LoCon).
    Mid,
    Alpha,
}

/// The layer that a tensor belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// `None` if the key does not tell.
    pub(super) network: Option<Network>,
    /// The layer's path; with underscores in the place of dots where `is_flat`.
    pub(super) module: String,
    pub(super) is_flat: bool,
}

/// Endings of keys. The first that fits counts.
const ENDINGS: [(&str, Role); 10] = [
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_mid.weight", Role::Mid),
    (".alpha", Role::Alpha),
];
/// PEFT's factors; the adapter's name may follow.
const FACTORS: [(&str, Role); 2] = [(".lora_A.", Role::Down), (".lora_B.", Role::Up)];
/// What keys begin with, the network, and whether the path is flat.
const PREFIXES: [(&str, Network, bool); 5] = [
    ("lora_unet_", Network::Unet, true),
    ("lora_te_", Network::TextEncoder, true),
    ("lora_te1_", Network::TextEncoder, true),
    ("unet.", Network::Unet, false),
    ("text_encoder.", Network::TextEncoder, false),
];
/// PEFT's wrappers of a model.
const WRAPPER: &str = "base_model.model.";
/// diffusers' attention processors, between an attention and its layers.
const PROCESSOR: &str = ".processor";
/// Parts of keys that tell other methods.
const OTHERS: [(&str, &str); 8] = [
    ("dora_scale", "DoRA"),
    ("lora_magnitude_vector", "DoRA"),
    ("hada_w", "LoHa"),
    ("hada_t", "LoHa"),
    ("lokr_", "LoKr"),
    ("oft_", "OFT"),
    (".diff", "differences of whole weights"),
    ("lora_embedding_", "LoRA of embeddings"),
];

/// The unsupported method of a key, if any.
pub(super) fn other_method(key: &str) -> Option<&'static str> {
    OTHERS
        .iter()
        .find(|(part, _)| key.contains(part))
        .map(|(_, name)| *name)
}

/// The layer and role of a key; `None` for a key of unknown form.
pub(super) fn parse(key: &str) -> Option<(Target, Role)> {
    let (path, role) = split_role(key)?;
    let path = path.strip_prefix(WRAPPER).unwrap_or(path);
    let prefix = PREFIXES.iter().find_map(|(prefix, network, is_flat)| {
        Some((path.strip_prefix(prefix)?, Some(*network), *is_flat))
    });
    let (module, network, is_flat) = prefix.unwrap_or((path, None, false));
    let module = module.strip_prefix(WRAPPER).unwrap_or(module);
    let mut module = module.replace(PROCESSOR, "");
    // The output projection of diffusers' attention is the first of a list.
    if !is_flat && module.ends_with(".to_out") {
        module.push_str(".0");
    }
    Some((
        Target {
            network,
            module,
            is_flat,
        },
        role,
    ))
}

fn split_role(key: &str) -> Option<(&str, Role)> {
    for (factor, role) in FACTORS {
        if let Some((path, rest)) = key.split_once(factor) {
            return (rest == "weight" || rest.ends_with(".weight")).then_some((path, role));
        }
    }
    ENDINGS
        .iter()
        .find_map(|(ending, role)| Some((key.strip_suffix(ending)?, *role)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_target(key: &str, network: Option<Network>, module: &str, role: Role) {
        let is_flat = key.starts_with("lora_");
        let target = Target {
            network,
            module: module.into(),
            is_flat,
        };
        assert_eq!(parse(key), Some((target, role)), "{key}");
    }

    #[test]
    fn keys_of_every_tool_tell_the_layer() {
        let unet = Some(Network::Unet);
        let text = Some(Network::TextEncoder);
        let query = "a.attn1.to_q";
        assert_target("unet.a.attn1.to_q.lora_A.weight", unet, query, Role::Down);
        assert_target(
            "unet.a.attn1.to_q.lora_B.default.weight",
            unet,
            query,
            Role::Up,
        );
        assert_target("unet.a.attn1.to_q.lora.up.weight", unet, query, Role::Up);
        assert_target(
            "a.attn1.processor.to_q_lora.down.weight",
            None,
            query,
            Role::Down,
        );
        assert_target(
            "unet.a.attn1.processor.to_out_lora.up.weight",
            unet,
            "a.attn1.to_out.0",
            Role::Up,
        );
        assert_target(
            "text_encoder.x.q_proj.lora_linear_layer.up.weight",
            text,
            "x.q_proj",
            Role::Up,
        );
        assert_target(
            "lora_unet_a_attn1_to_q.lora_down.weight",
            unet,
            "a_attn1_to_q",
            Role::Down,
        );
        assert_target("lora_unet_conv.lora_mid.weight", unet, "conv", Role::Mid);
        assert_target("lora_te_x_q_proj.alpha", text, "x_q_proj", Role::Alpha);
        assert_target(
            "base_model.model.a.attn1.to_q.lora_A.weight",
            None,
            query,
            Role::Down,
        );
        assert_target(
            "unet.base_model.model.a.attn1.to_q.lora_A.weight",
            unet,
            query,
            Role::Down,
        );
        assert_eq!(parse("unet.a.attn1.to_q.weight"), None);
        assert_eq!(other_method("lora_unet_a.hada_w1_a"), Some("LoHa"));
        assert_eq!(other_method("lora_unet_a.lora_down.weight"), None);
    }
}
