//! State that all requests share.

use std::{path::PathBuf, sync::Arc};

use crate::{Metrics, Model, ModelState, Refusal, RefusalKind};

use super::{ServerSettings, auth::Tokens, budget::Budget, jobs::Jobs};

/// State that all requests share.
pub(super) struct App {
    pub(super) settings: ServerSettings,
    pub(super) models: Vec<Model>,
    pub(super) metrics: Metrics,
    pub(super) tokens: Tokens,
    pub(super) jobs: Jobs,
    /// Bytes of bodies.
    pub(super) bodies: Budget,
    /// The folder below which a body may be read, without links.
    pub(super) input_folder: Option<PathBuf>,
    /// Seconds since 1970 at which the server began.
    pub(super) created: u64,
}

pub(super) type SharedApp = Arc<App>;

impl App {
    /// Whether every model can serve.
    pub(super) fn is_ready(&self) -> bool {
        self.models
            .iter()
            .all(|model| model.state() == ModelState::Ready)
    }

    /// The model of a name.
    pub(super) fn model(&self, name: &str) -> Result<&Model, Refusal> {
        let found = self.models.iter().find(|model| model.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.models.iter().map(Model::name).collect();
            let message = format!(
                "there is no model `{name}`; this server has {}",
                names.join(", ")
            );
            Refusal::new(RefusalKind::NotFound, message).of_field("model")
        })
    }

    /// The only model, where there is one.
    pub(super) fn only_model(&self) -> Option<&Model> {
        match self.models.as_slice() {
            [model] => Some(model),
            _ => None,
        }
    }

    /// The most bytes that any model reads.
    pub(super) fn body_bytes(&self) -> usize {
        let bytes = self.models.iter().map(|model| model.limits().body_bytes);
        bytes.max().unwrap_or(0)
    }
}
