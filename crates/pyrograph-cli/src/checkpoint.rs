//! Networks in files of weights.

use std::{fs, path::Path};

use anyhow::{Context, anyhow};
use burn::tensor::backend::Backend;
use clap::Args;
use pyrograph::models::weights::{
    FoundModel, NamedModel, StateDict, find_model, model_name, read_config,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::arguments::Common;

/// Which of a file's networks is taken.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PartOption {
    /// For a file with several networks: the name of the part to take, such as netG or ema
    /// [default: the part that fits best, trained weights before their average; a remark names the
    /// parts].
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
}

impl PartOption {
    /// Whether a part was named.
    pub(crate) fn is_given(&self) -> bool {
        self.part.is_some()
    }

    /// The model `M` in a file, with its numbers from `config`, else from the file's header, else
    /// from the shapes of its weights. Numbers that a config file leaves out are read from the
    /// shapes too.
    pub(crate) fn find<B: Backend, M: NamedModel<B>>(
        &self,
        dict: &StateDict,
        config: Option<&Path>,
        common: &Common,
        device: &B::Device,
    ) -> anyhow::Result<FoundModel<M::Config>> {
        let carried = match config {
            None if model_name(dict).is_some() => {
                Some(serde_json::to_value(read_config::<B, M>(dict)?)?)
            }
            _ => None,
        };
        let mut found = self.find_by::<B, M>(dict, common, device, |inferred| {
            if let Some(value) = &carried {
                return Ok(serde_json::from_value(value.clone())?);
            }
            match config {
                Some(path) => config_over(path, inferred),
                None => inferred.ok_or_else(|| {
                    anyhow!(
                        "{}: the file carries no config, and the shapes of its weights do not tell the numbers of a {}: \
                         give them by --config",
                        dict.path().display(),
                        M::NAME
                    )
                }),
            }
        })?;
        if config.is_none() && carried.is_none() {
            for assumed in M::assume(&mut found.config, dict) {
                common.say(format!("{assumed}: --config says otherwise"));
            }
        }
        Ok(found)
    }

    /// The same with numbers that `config_of` gives, from those of the shapes.
    pub(crate) fn find_by<B: Backend, M: NamedModel<B>>(
        &self,
        dict: &StateDict,
        common: &Common,
        device: &B::Device,
        config_of: impl Fn(Option<M::Config>) -> anyhow::Result<M::Config>,
    ) -> anyhow::Result<FoundModel<M::Config>> {
        let found =
            find_model::<B, M, anyhow::Error>(dict, self.part.as_deref(), device, config_of)?;
        let source = &found.source;
        if !source.is_whole_file() {
            let choice = match source.left().is_empty() {
                true => "",
                false => " (--part NAME takes another)",
            };
            common.say(format!("{}: {source}{choice}", dict.path().display()));
        }
        for remark in &found.remarks {
            common.say(format!("{}: {remark}", dict.path().display()));
        }
        Ok(found)
    }
}

/// A model's numbers from a JSON file, over those of `base` where it leaves any out.
fn config_over<C: Serialize + DeserializeOwned>(path: &Path, base: Option<C>) -> anyhow::Result<C> {
    let name = || path.display().to_string();
    let text = fs::read(path).with_context(name)?;
    // By way of a map: serde would take a bare list for the fields in their order.
    let given: Map<_, _> = serde_json::from_slice(&text)
        .with_context(|| format!("{}: an object is expected", path.display()))?;
    let mut fields = match base {
        Some(base) => serde_json::to_value(base)?,
        None => Value::Object(Map::new()),
    };
    overlay(&mut fields, Value::Object(given));
    serde_json::from_value(fields).with_context(name)
}

/// Puts the fields of `over` into `value`, object by object.
fn overlay(value: &mut Value, over: Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (key, value) in over {
                overlay(fields.entry(key).or_insert(Value::Null), value);
            }
        }
        (value, over) => *value = over,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn given_fields_lie_over_those_of_the_shapes() {
        let mut value = json!({"width": 8, "discriminator": {"norm": false, "bias": true}});
        overlay(
            &mut value,
            json!({"z_dim": 3, "discriminator": {"bias": false}}),
        );
        assert_eq!(
            value,
            json!({"width": 8, "z_dim": 3, "discriminator": {"norm": false, "bias": false}})
        );
    }
}
