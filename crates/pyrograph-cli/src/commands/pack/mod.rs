//! `pyrograph pack`: a model as one archive.

use std::path::{Path, PathBuf};

use clap::Args;
use pyrograph::serve::{
    pack::{MANIFEST, PackRequest, Packed, pack},
    settings::parse_task,
    tasks::TaskKind,
};
use serde_json::json;

use crate::{
    arguments::print,
    outputs::{as_text, check_files},
    progress,
};

/// The model, and where its archive goes.
#[derive(Args)]
pub(crate) struct Pack {
    /// A diffusers folder, a single-file checkpoint, a model file, or a run folder, whose model
    /// file is packed.
    #[arg(long, value_name = "DIR|FILE")]
    model: PathBuf,
    /// The archive to write; its name ends in .tar.gz or .tgz.
    #[arg(long, value_name = "FILE", default_value = "model.tar.gz")]
    out: PathBuf,
    /// txt2img, sprites, anomaly or detect; needed if the model's files do not tell the task.
    #[arg(long, value_name = "TASK", value_parser = parse_task)]
    task: Option<TaskKind>,
    /// A file of options that becomes serving.properties in the archive [default: the one in the folder, if any].
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// Print the manifest and the size of the archive as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Print no progress bar.
    #[arg(long, short)]
    quiet: bool,
}

impl Pack {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut inputs = vec![self.model.clone()];
        inputs.extend(self.properties.clone());
        check_files(&[("--out", Path::new(&self.out))], &inputs)?;
        let request = PackRequest {
            model: self.model,
            task: self.task,
            properties: self.properties,
        };
        let bar = progress::bar(0, self.quiet);
        let packed = pack(&request, &self.out, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let Packed { manifest, bytes } = packed?;
        let value = json!({ "archive": as_text(&self.out), "bytes": bytes, "manifest": manifest });
        let text = format!(
            "{}: {} files and {MANIFEST}, {:.1} MB, task {}",
            self.out.display(),
            manifest.files.len(),
            bytes as f64 / 1e6,
            manifest.task
        );
        print(self.json, &value, &text)
    }
}
