//! `pyrograph gradcheck`.

use std::process::ExitCode;

use clap::Args;
use pyrograph_conformance::check;

use crate::{CHECK_FAILED, arguments::Common};

#[derive(Args)]
pub(crate) struct GradCheck {
    #[command(flatten)]
    common: Common,
    /// Only the entries with this in their name, such as `norm` or `DDIM`.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

impl GradCheck {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let report = check(self.common.device, self.only.as_deref())?;
        self.common
            .print(&serde_json::to_value(&report)?, &report.to_string())?;
        Ok(match report.passed() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(CHECK_FAILED),
        })
    }
}
