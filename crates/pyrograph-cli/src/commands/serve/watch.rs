//! Models on their way to be ready.

use std::{future, time::Duration};

use pyrograph::serve::{Model, ModelState};

use crate::arguments::STARTED;

/// Time between two looks at models that load.
const INTERVAL: Duration = Duration::from_millis(20);
/// Time between two looks at models that were ready.
const READY_INTERVAL: Duration = Duration::from_secs(1);
/// How the reason of a worker that panicked begins.
const PANIC: &str = "panic: ";

/// A model that does not load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) model: String,
    pub(super) reason: String,
    /// Whether the fault is ours.
    pub(super) is_panic: bool,
}

/// Waits for a model that does not load, at the start or after its worker failed, and says when all are ready.
///
/// A server whose model does not load ends: an orchestrator then shows its log and starts it anew, where a server that
/// answers 503 for ever would hide the reason.
pub(super) async fn until_failure(models: &[Model]) -> Failure {
    let mut was_ready = false;
    loop {
        let pause = if was_ready { READY_INTERVAL } else { INTERVAL };
        tokio::time::sleep(pause).await;
        let mut ready = 0;
        for model in models {
            match model.state() {
                ModelState::Failed(reason) => {
                    return Failure {
                        model: model.name().into(),
                        is_panic: reason.starts_with(PANIC),
                        reason,
                    };
                }
                ModelState::Ready => ready += 1,
                ModelState::Loading => {}
                // The server ends.
                ModelState::Draining => return future::pending().await,
            }
        }
        if ready == models.len() && !was_ready {
            was_ready = true;
            let seconds = STARTED.elapsed().as_secs_f64();
            tracing::info!(models = ready, seconds, "ready to serve");
        }
    }
}
