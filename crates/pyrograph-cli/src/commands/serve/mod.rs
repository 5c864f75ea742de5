//! `pyrograph serve`: models behind HTTP.

mod listed;
mod options;
mod signals;
mod watch;

use std::{collections::BTreeMap, env, ffi::OsStr, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Arg, Args, Command};
use pyrograph::{
    models::weights::Precision,
    serve::{
        Metrics, Model,
        http::Server,
        settings::{ModelPlan, ServeOptions, ServePlan, init_logging},
    },
};
use tokio::{runtime::Runtime, sync::watch as channel};

use self::{
    listed::all,
    options::{LimitFlags, ModelFlags, ServerFlags, model_overrides, server_overrides},
    watch::{Failure, until_failure},
};
use crate::OUR_FAULT;

/// Serves models until SIGTERM or Ctrl-C.
#[derive(Args)]
#[command(mut_args = without_empty)]
pub(crate) struct Serve {
    #[command(flatten)]
    models: ModelFlags,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    server: ServerFlags,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let level = self.server.log_level.clone();
        let options = ServeOptions {
            server: server_overrides(self.server, &self.models),
            models: all(self.models.models.clone()),
            overrides: model_overrides(self.models, self.limits),
        };
        let environment = environment();
        let mut plan = ServePlan::new(options, &environment)?;
        plan.notes.extend(slips(&environment));
        init_logging(plan.log, &level)?;
        let runtime = Runtime::new().context("the threads of the server do not start")?;
        let code = runtime.block_on(serve(plan));
        // Whatever still loads or computes has nobody left to tell.
        runtime.shutdown_background();
        code
    }
}

/// A variable that is empty counts as unset, as a shell's default does.
fn without_empty(argument: Arg) -> Arg {
    let value = argument.get_env().and_then(env::var_os);
    match value.is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty())) {
        true => argument.env(None),
        false => argument,
    }
}

/// The environment, but for what is no text.
fn environment() -> BTreeMap<String, String> {
    let texts = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    env::vars_os().filter_map(texts).collect()
}

/// Notes on variables that look like those of flags, and belong to none.
fn slips(environment: &BTreeMap<String, String>) -> Vec<String> {
    let command = Serve::augment_args(Command::new("serve"));
    let known: Vec<&OsStr> = command.get_arguments().filter_map(Arg::get_env).collect();
    let is_slip = |(name, value): &(&String, &String)| {
        name.starts_with("PYROGRAPH_SERVE_")
            && !value.trim().is_empty()
            && !known.contains(&OsStr::new(name.as_str()))
    };
    let note = |(name, _)| format!("{name} in the environment is not known, and without effect");
    environment.iter().filter(is_slip).map(note).collect()
}

async fn serve(plan: ServePlan) -> anyhow::Result<ExitCode> {
    let stop = signals::first()?;
    for note in &plan.notes {
        tracing::warn!("{note}");
    }
    let metrics = Metrics::new();
    let start = |model| start(model, &metrics);
    let models: Vec<Model> = plan.models.into_iter().map(start).collect();
    let server = Server::bind(plan.server, models.clone(), metrics.clone()).await?;
    tracing::info!(address = %server.address(), "listening; /ping answers 200 when a model is ready");

    let (sender, failure) = channel::channel(None);
    server
        .run(async move {
            tokio::select! {
                () = stop => tracing::info!("shutting down; a second signal ends the server at once"),
                failure = until_failure(&models) => {
                    let _ = sender.send(Some(failure));
                }
            }
        })
        .await?;
    let failure = failure.borrow().clone();
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(Failure {
            model,
            reason,
            is_panic: true,
        }) => {
            eprintln!("error: the model `{model}`: {reason}; this is a bug in pyrograph");
            Ok(ExitCode::from(OUR_FAULT))
        }
        Some(Failure { model, reason, .. }) => bail!("the model `{model}`: {reason}"),
    }
}

/// A type of weights as --dtype has it.
fn dtype(precision: Precision) -> String {
    match precision {
        Precision::AsStored => "auto".into(),
        other => other.to_string(),
    }
}

fn start(plan: ModelPlan, metrics: &Metrics) -> Model {
    let devices = plan.settings.devices.iter();
    let devices: Vec<_> = devices.map(ToString::to_string).collect();
    tracing::info!(
        model = plan.name,
        path = %plan.path.display(),
        task = plan.task.name(),
        devices = devices.join(","),
        dtype = dtype(plan.options.precision),
        queue = plan.settings.queue,
        max_batch = plan.settings.max_batch,
        "loading"
    );
    let ModelPlan {
        name,
        path,
        task,
        options,
        settings,
    } = plan;
    task.start(&name, &path, options, settings, metrics.clone())
}
