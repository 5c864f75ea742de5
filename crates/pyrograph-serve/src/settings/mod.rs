//! How a server is told what to do.
//!
//! [`ServePlan::new`] decides every setting: a flag goes before the environment, which goes before `serving.properties`
//! beside the model, which goes before a default.
//!
//! - [`ServeOptions`]: the command line, with the environment variables of pyrograph.
//! - [`DjlOptions`]: the options that users of DJL Serving have in `serving.properties` and in the environment.
//! - Without a model on the command line, a folder `/opt/ml/model` makes the server a container of SageMaker: it listens on
//!   0.0.0.0:8080, asks for no token, reads bodies of at most 6 MiB, answers within 60 s, and its log is JSON.

mod checks;
mod container;
mod djl;
mod logging;
mod overrides;
mod plan;
mod properties;
#[cfg(test)]
mod tests;
mod tokens;
mod values;

pub use djl::{DjlOptions, PROPERTIES, options_of_environment, options_of_properties};
pub use logging::{LogFormat, init_logging};
pub use overrides::{ModelOverrides, ServerOverrides};
pub use plan::{ModelPlan, ServeOptions, ServePlan};
pub use properties::{Property, parse_properties, read_properties};
pub use tokens::read_tokens;
pub use values::{
    Allowed, ModelChoice, is_model_name, parse_bytes, parse_count, parse_device, parse_dtype,
    parse_grace, parse_host, parse_lora, parse_milliseconds, parse_model, parse_pixels, parse_port,
    parse_seconds, parse_size, parse_task,
};
