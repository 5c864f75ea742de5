//! `pyrograph gradcheck`.

use std::process::ExitCode;

use clap::Args;
use pyrograph_conformance::{ConformanceReport, check};

use crate::{CHECK_FAILED, arguments::Common, progress};

#[derive(Args)]
pub(crate) struct GradCheck {
    #[command(flatten)]
    common: Common,
    /// Check only entries whose name contains this text, such as `norm` or `DDIM`.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

impl GradCheck {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let bar = progress::waiting("checking", self.common.quiet);
        let report = check(self.common.device, self.only.as_deref());
        bar.finish_and_clear();
        let report = report?;
        self.common
            .print(&serde_json::to_value(&report)?, &report.to_string())?;
        Ok(exit_code(&report))
    }
}

fn exit_code(report: &ConformanceReport) -> ExitCode {
    if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(CHECK_FAILED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_whose_numbers_are_wrong_is_told_by_the_exit_code() {
        let report = |passed| ConformanceReport {
            device: "wgpu".to_owned(),
            passed,
            entries: Vec::new(),
        };
        assert_eq!(exit_code(&report(true)), ExitCode::SUCCESS);
        assert_eq!(exit_code(&report(false)), ExitCode::from(1));
    }
}
