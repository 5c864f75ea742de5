//! The log of a server.

use std::{io, str::FromStr};

use tracing_subscriber::EnvFilter;

use super::values::Allowed;
use crate::ServeError;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line, for CloudWatch and other collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = Allowed;

    fn from_str(text: &str) -> Result<Self, Allowed> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Allowed("text or json")),
        }
    }
}

/// Begins the log on standard error. `level` is error, warn, info, debug or trace, or a list of targets with levels as in
/// `info,pyrograph_serve=debug`.
///
/// # Errors
/// When the level does not read, or a log was begun before.
pub fn init_logging(format: LogFormat, level: &str) -> Result<(), ServeError> {
    let refuse = |reason: String| ServeError::Setting {
        name: "--log-level".into(),
        seen: format!("`{level}`"),
        allowed: format!("error, warn, info, debug, trace or TARGET=LEVEL,…: {reason}"),
    };
    let filter = EnvFilter::try_new(level).map_err(|error| refuse(error.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let begun = match format {
        LogFormat::Text => builder.with_ansi(is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| refuse(error.to_string()))
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}
