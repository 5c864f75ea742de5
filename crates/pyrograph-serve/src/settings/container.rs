//! A server as a container of SageMaker.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::values::{Allowed, parse_port};
use crate::ServeError;

/// Where SageMaker lays the model out.
const MODEL_ROOT: &str = "/opt/ml/model";
/// Names another folder, for tests and for containers elsewhere.
const MODEL_ROOT_VARIABLE: &str = "PYROGRAPH_MODEL_ROOT";
/// The port that SageMaker calls, where it names no other.
const PORT: u16 = 8080;
/// Names the port where several containers share an endpoint.
const PORT_VARIABLE: &str = "SAGEMAKER_BIND_TO_PORT";

/// SageMaker's contract: what differs from a server on a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// The folder of the model.
    pub(super) root: PathBuf,
    /// The port.
    pub(super) port: u16,
}

impl Container {
    /// The name of the one model.
    pub(super) const MODEL_NAME: &'static str = "model";
    /// SageMaker waits so long for an answer.
    pub(super) const DEADLINE: Duration = Duration::from_secs(60);
    /// SageMaker sends bodies of at most 6 MiB.
    pub(super) const BODY_BYTES: usize = 6 << 20;
    /// SageMaker kills the container 30 s after SIGTERM: what is left is answered before.
    pub(super) const GRACE: Duration = Duration::from_secs(25);

    /// The folder in which a container's model lies.
    pub(super) fn root(environment: &BTreeMap<String, String>) -> PathBuf {
        let named = environment.get(MODEL_ROOT_VARIABLE).map(String::as_str);
        Path::new(named.unwrap_or(MODEL_ROOT)).into()
    }

    /// The container's contract, where its model folder is there. Of the ports in `SAGEMAKER_SAFE_PORT_RANGE` none is taken:
    /// one port serves everything.
    ///
    /// # Errors
    /// When the port does not read.
    pub(super) fn find(environment: &BTreeMap<String, String>) -> Result<Option<Self>, ServeError> {
        let root = Self::root(environment);
        if !root.is_dir() {
            return Ok(None);
        }
        let port = match environment.get(PORT_VARIABLE) {
            Some(text) => parse_port(text).map_err(|Allowed(allowed)| ServeError::Setting {
                name: PORT_VARIABLE.into(),
                seen: format!("`{text}`"),
                allowed: allowed.into(),
            })?,
            None => PORT,
        };
        Ok(Some(Self { root, port }))
    }
}
