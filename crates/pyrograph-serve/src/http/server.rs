//! A server from its start to its end.

use std::{
    collections::HashSet,
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::net::TcpListener;

use crate::{Metrics, Model, ServeError};

use super::{
    ServerSettings,
    app::{App, SharedApp},
    auth::Tokens,
    budget::Budget,
    connections::Connections,
    jobs::{Jobs, seconds_since_1970},
};

/// Time for the answers to requests that are refused at the end of the grace time.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Time for connections that came before the end.
const LAST_ACCEPTED: Duration = Duration::from_secs(1);

/// How often the end of the running requests is looked for.
const IDLE_CHECK: Duration = Duration::from_millis(20);

/// A server that listens.
pub struct Server {
    app: SharedApp,
    connections: Connections,
    address: SocketAddr,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("models", &self.app.models)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Binds the address. The models may still load: the first is that of requests which name none.
    ///
    /// # Errors
    /// When the address cannot be bound, two models have one name, or the folder for bodies is not there.
    pub async fn bind(
        settings: ServerSettings,
        models: Vec<Model>,
        metrics: Metrics,
    ) -> Result<Self, ServeError> {
        check_names(&models)?;
        let input_folder = match &settings.input_folder {
            None => None,
            Some(path) => {
                let path = path.clone();
                let folder = path.canonicalize();
                Some(folder.map_err(|source| ServeError::File { path, source })?)
            }
        };
        let unbound = |source| ServeError::Bind {
            address: settings.address,
            source,
        };
        let listener = TcpListener::bind(settings.address).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let bodies = models.iter().map(|model| model.limits().body_bytes);
        let bodies = Budget::for_bodies_of(bodies.max().unwrap_or(0));
        let app = Arc::new(App {
            tokens: Tokens::new(&settings.tokens),
            settings,
            models,
            metrics,
            jobs: Jobs::default(),
            bodies,
            input_folder,
            created: seconds_since_1970(),
        });
        let connections = Connections::new(listener, &app);
        Ok(Self {
            app,
            connections,
            address,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is there. Then refuses new requests, lets accepted ones end within the
    /// grace time, answers the rest as unavailable, and stops the models.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Self {
            app, connections, ..
        } = self;
        tokio::select! {
            never = connections.accept() => match never {},
            () = shutdown => {}
        }
        let grace = app.settings.grace;
        tracing::info!(
            seconds = grace.as_secs_f64(),
            "the server shuts down: running requests get their time"
        );
        for model in &app.models {
            model.drain();
        }
        // Requests that still come are told that the server shuts down, probes among them, until the models are idle.
        let idle = async {
            while !app.models.iter().all(Model::is_idle) {
                tokio::time::sleep(IDLE_CHECK).await;
            }
        };
        let begun = Instant::now();
        let is_idle = tokio::select! {
            never = connections.accept() => match never {},
            result = tokio::time::timeout(grace, idle) => result.is_ok(),
        };
        if !is_idle {
            tracing::warn!("the grace time is over: what still runs is answered as unavailable");
        }
        stop(&app).await;
        // Where connections come without a pause, the rest is refused by the system.
        let _ = tokio::time::timeout(LAST_ACCEPTED, connections.accept_rest()).await;
        let kill = connections.kill();
        let left = grace.saturating_sub(begun.elapsed()).max(LAST_ANSWERS);
        let _ = tokio::time::timeout(left, connections.close()).await;
        kill.cancel();
        #[cfg(feature = "otel")]
        let _ = tokio::task::spawn_blocking(crate::telemetry::flush).await;
        Ok(())
    }
}

/// Stops all models, which end after their step, side by side.
async fn stop(app: &SharedApp) {
    let stopping: Vec<_> = app
        .models
        .iter()
        .cloned()
        .map(|model| tokio::task::spawn_blocking(move || model.stop()))
        .collect();
    for one in stopping {
        if let Err(error) = one.await {
            tracing::error!(%error, "a model does not stop");
        }
    }
}

fn check_names(models: &[Model]) -> Result<(), ServeError> {
    let mut names = HashSet::new();
    for model in models {
        if !names.insert(model.name()) {
            return Err(ServeError::Setting {
                name: "model".into(),
                seen: format!("`{}` twice", model.name()),
                allowed: "a name that no other model has".into(),
            });
        }
    }
    Ok(())
}
