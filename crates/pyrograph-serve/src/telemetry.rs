//! Traces to an OpenTelemetry collector: the feature `otel`.

use std::{io, sync::OnceLock};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

/// Variables of OpenTelemetry that name the collector; without one, no trace is sent.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// The name of the service, where `OTEL_SERVICE_NAME` names none.
const SERVICE: &str = "pyrograph";

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that sends the spans of requests to the collector of the environment, by OTLP over HTTP.
pub(crate) fn layer<S>() -> io::Result<Option<OpenTelemetryLayer<S, SdkTracer>>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if ENDPOINTS
        .iter()
        .all(|name| std::env::var_os(name).is_none())
    {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .build()
        .map_err(io::Error::other)?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer(SERVICE);
    // A second log is refused by its caller.
    let _ = PROVIDER.set(provider);
    Ok(Some(tracing_opentelemetry::layer().with_tracer(tracer)))
}

/// Sends what has not been sent. Blocks until the collector has it.
pub(crate) fn flush() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.force_flush()
    {
        tracing::warn!(%error, "the last traces are lost");
    }
}
