//! The log of a server.

use std::{io, str::FromStr};

use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

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

/// Begins the log on standard error, and with the feature `otel` the traces to the collector that
/// OpenTelemetry's environment variables name.
///
/// `level` is error, warn, info, debug or trace, or a list of targets with levels as in
/// `info,pyrograph_serve=debug`.
///
/// # Errors
/// When the level does not read, a log was begun before, or the collector's settings do not read.
pub fn init_logging(format: LogFormat, level: &str) -> Result<(), ServeError> {
    let refuse = |reason: String| ServeError::Setting {
        name: "--log-level".into(),
        seen: format!("`{level}`"),
        allowed: format!("error, warn, info, debug, trace or TARGET=LEVEL,…: {reason}"),
    };
    // The filter takes a word that is no level for a target, and is silent on everything else.
    let is_slip = |part: &&str| !part.contains('=') && part.trim().parse::<LevelFilter>().is_err();
    if let Some(word) = level.split(',').find(is_slip) {
        return Err(refuse(format!("`{word}` is none of these")));
    }
    let filter = EnvFilter::try_new(level).map_err(|error| refuse(error.to_string()))?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let log = tracing_subscriber::registry().with(lines).with(filter);
    #[cfg(feature = "otel")]
    let log = log.with(crate::telemetry::layer().map_err(|error| refuse(error.to_string()))?);
    log.try_init().map_err(|error| refuse(error.to_string()))
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}
