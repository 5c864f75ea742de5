//! `pyrograph devices`.

use clap::Args;
use pyrograph::backend::{DeviceSpec, list_devices};
use serde_json::json;

use crate::arguments::Common;

#[derive(Args)]
pub(crate) struct Devices {
    #[command(flatten)]
    common: Common,
}

impl Devices {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let resolved = self.common.device.resolve().to_string();
        let usable = self.common.try_device();
        let list = list_devices();
        // `wgpu` without a number is the driver's choice, which no single line stands for.
        let is_used = |spec: &str| usable.is_ok() && spec == resolved;
        let lines: Vec<_> = list
            .iter()
            .map(|line| {
                json!({
                    "device": line.spec, "backend": line.kind.feature(), "compiled": line.compiled,
                    "present": line.present, "used": is_used(&line.spec), "description": line.description,
                    "threads": line.threads, "vectors": line.vectors,
                })
            })
            .collect();
        let mut text = format!(
            "{:<10} {:<9} {:<8} {}\n",
            "device", "compiled", "present", "description"
        );
        let yes_no = |yes| if yes { "yes" } else { "no" };
        for line in &list {
            let mark = if is_used(&line.spec) { "  <- used" } else { "" };
            let (compiled, present) = (yes_no(line.compiled), yes_no(line.present));
            text += &format!(
                "{:<10} {compiled:<9} {present:<8} {}{mark}\n",
                line.spec, line.description
            );
        }
        let asked = match self.common.device {
            DeviceSpec::Auto => "auto".to_owned(),
            spec => spec.to_string(),
        };
        let used = usable.as_ref().ok().map(|()| resolved.as_str());
        if let Some(used) = used {
            text += &format!("\n--device {asked} runs on {used}");
        }
        self.common
            .print(&json!({ "devices": lines, "used": used }), &text)?;
        Ok(usable?)
    }
}
