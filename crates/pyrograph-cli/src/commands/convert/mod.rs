//! `pyrograph convert`: a checkpoint of Stable Diffusion as a diffusers folder.

mod auto;
mod hub;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff},
    models::{
        ModelError,
        stable_diffusion::{
            checkpoint::{
                Checkpoint, CheckpointOptions, Manifest, Prediction, WeightTypes, write_parts,
            },
            lora::{Lora, apply_loras},
        },
    },
    pipelines::stable_diffusion::tokenizer::write_tokenizer,
};
use serde_json::json;

use self::auto::{AutoOptions, Report, Target};
use crate::{
    arguments::{lora_and_scale, print},
    stop::remove_on_interrupt,
};

/// Exit code where keys are missing or unused: the folder is written, and its manifest names them.
const INCOMPLETE: u8 = 1;

/// The checkpoint, and what is made of it.
#[derive(Args)]
pub(crate) struct Convert {
    /// A diffusers folder, a single-file checkpoint (.safetensors, .ckpt), or the id of a repository of the Hugging
    /// Face Hub such as stabilityai/stable-diffusion-2-1-base.
    #[arg(required_unless_present = "model")]
    source: Option<String>,
    /// The same as SOURCE, spelt as the other commands spell it.
    #[arg(long, value_name = "SOURCE", conflicts_with = "source")]
    model: Option<String>,
    /// The folder to write; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Type of the weights in the new files: stored, f32, bf16, f16; int8 for the layers of the UNet beside bf16;
    /// int8-activations, the same for products with activations in int8; or auto, which measures each of these layers
    /// and makes it int8 where its error allows, else bf16.
    #[arg(long, default_value = "stored", value_name = "TYPE")]
    dtype: Target,
    #[command(flatten)]
    auto: AutoOptions,
    /// A LoRA file whose changes are added to the weights, and its scale [default scale: 1]; several are added
    /// together.
    #[arg(long, value_name = "FILE[:SCALE]", value_parser = lora_and_scale)]
    lora: Vec<(PathBuf, f64)>,
    /// Branch, tag or commit of a Hub repository.
    #[arg(long, default_value = "main", value_name = "NAME")]
    revision: String,
    /// The variant of the files where a folder holds several, such as fp16 [default: the files without a variant].
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// The quantity that the UNet predicts, which a single file does not tell: epsilon, v or sample [default: for a
    /// 2.x file v].
    #[arg(long, value_parser = prediction, value_name = "KIND")]
    prediction: Option<Prediction>,
    /// Take a single file's moving averages in the place of the trained weights.
    #[arg(long)]
    averages: bool,
    /// Print the result as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// No remarks.
    #[arg(long, short)]
    quiet: bool,
}

impl Convert {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        if self.out.exists() {
            bail!(
                "--out {}: it exists already; remove it or name another folder",
                self.out.display()
            );
        }
        self.auto.check(self.dtype, Path::new(self.source()))?;
        let (path, revision) = self.local_source()?;
        let options = CheckpointOptions {
            prediction: self.prediction,
            variant: self.variant.clone(),
            averages: self.averages,
            tiny_vae: None,
        };
        let mut checkpoint = Checkpoint::open(&path, &options)?;
        let mut manifest = Manifest::new(self.source(), self.dtype);
        manifest.revision = revision;
        manifest.notes = checkpoint.notes.clone();
        self.merge_loras(&mut checkpoint, &mut manifest)?;
        let (types, measured) = match self.dtype {
            Target::One(precision) => (precision.into(), None),
            Target::Auto => {
                let report = self.auto.measure(&checkpoint, self.source(), self.quiet)?;
                manifest.error_limit = Some(report.error_limit);
                (report.types(), Some(report))
            }
        };

        let parent = match self.out.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        let folder = tempfile::Builder::new()
            .prefix(".pyrograph-convert-")
            .tempdir_in(parent)
            .with_context(|| format!("--out {}", self.out.display()))?;
        remove_on_interrupt(folder.path().into())?;
        DeviceSpec::Cpu.run(Writing {
            checkpoint: &checkpoint,
            folder: folder.path(),
            types: &types,
            manifest: &mut manifest,
        })??;
        write_tokenizer(&checkpoint.tokenizer, &folder.path().join("tokenizer"))?;
        manifest.save(folder.path())?;
        open_to_others(folder.path())?;
        fs::rename(folder.path(), &self.out)
            .with_context(|| format!("--out {}", self.out.display()))?;
        if let Some(report) = &measured {
            self.auto.write(report)?;
        }
        self.report(&manifest, measured.as_ref())
    }

    /// What is converted; one of both is required.
    fn source(&self) -> &str {
        let given = self.source.as_deref().or(self.model.as_deref());
        given.unwrap_or_default()
    }

    /// The source on this machine, and the commit of a Hub repository.
    fn local_source(&self) -> anyhow::Result<(PathBuf, Option<String>)> {
        let path = PathBuf::from(self.source());
        if path.exists() || !hub::is_id(self.source()) {
            return Ok((path, None));
        }
        let variant = self.variant.as_deref();
        let snapshot = hub::fetch(self.source(), &self.revision, variant, self.quiet)?;
        Ok((snapshot.path, Some(snapshot.commit)))
    }

    fn merge_loras(
        &self,
        checkpoint: &mut Checkpoint,
        manifest: &mut Manifest,
    ) -> anyhow::Result<()> {
        let mut loras = Vec::with_capacity(self.lora.len());
        for (path, scale) in &self.lora {
            loras.push((Lora::open(path)?, *scale));
            manifest.loras.push((path.display().to_string(), *scale));
        }
        let (unet, text_encoder) = (&mut checkpoint.unet, &mut checkpoint.text_encoder);
        Ok(apply_loras(
            &loras,
            &mut unet.weights,
            &mut text_encoder.weights,
        )?)
    }

    fn report(&self, manifest: &Manifest, measured: Option<&Report>) -> anyhow::Result<ExitCode> {
        let mut parts = serde_json::Map::new();
        let mut lines = vec![format!("wrote {}", self.out.display())];
        for (name, part) in &manifest.parts {
            let (tensors, missing, unused) = (part.tensors.len(), &part.missing, &part.unused);
            parts.insert(
                name.clone(),
                json!({ "tensors": tensors, "missing": missing, "unused": unused }),
            );
            lines.push(format!("{name}: {tensors} tensors of {}", part.class));
            for (what, keys) in [("missing", missing), ("unused", unused)] {
                if !keys.is_empty() {
                    lines.push(format!(
                        "{name}: {} {what}: {}",
                        keys.len(),
                        keys.join(", ")
                    ));
                }
            }
        }
        if !self.quiet {
            for note in &manifest.notes {
                eprintln!("{note}");
            }
        }
        let mut value = json!({
            "out": self.out.display().to_string(), "revision": manifest.revision,
            "dtype": manifest.dtype, "parts": parts,
        });
        if let Some(measured) = measured {
            value["auto"] = serde_json::to_value(measured)?;
            lines.push(measured.in_words());
        }
        print(self.json, &value, &lines.join("\n"))?;
        Ok(match manifest.is_complete() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(INCOMPLETE),
        })
    }
}

/// Writes the networks. The device holds no tensor: parameters are compared by their shapes.
struct Writing<'a> {
    checkpoint: &'a Checkpoint,
    folder: &'a Path,
    types: &'a WeightTypes,
    manifest: &'a mut Manifest,
}

impl BackendTask for Writing<'_> {
    type Output = Result<(), ModelError>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let Self {
            checkpoint,
            folder,
            types,
            manifest,
        } = self;
        write_parts::<B::InnerBackend>(checkpoint, folder, types, manifest, &device)
    }
}

/// A temporary folder is its owner's alone; a written one has the permissions that any new folder has.
#[cfg(unix)]
fn open_to_others(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let made = folder.join("unet");
    let usual = fs::metadata(&made).with_context(|| made.display().to_string())?;
    fs::set_permissions(
        folder,
        fs::Permissions::from_mode(usual.permissions().mode()),
    )
    .with_context(|| folder.display().to_string())
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

/// The word for velocities that the commands of pictures take too.
const SHORT_VELOCITY: &str = "v";

fn prediction(text: &str) -> Result<Prediction, String> {
    let all = [
        Prediction::Epsilon,
        Prediction::Velocity,
        Prediction::Sample,
    ];
    let is_meant = |prediction: &Prediction| match prediction {
        Prediction::Velocity => [prediction.name(), SHORT_VELOCITY].contains(&text),
        _ => prediction.name() == text,
    };
    let found = all.into_iter().find(is_meant);
    found.ok_or_else(|| "expected epsilon, v (or v_prediction) or sample".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn velocities_have_the_name_of_files_and_that_of_other_commands() {
        for name in ["v", "v_prediction"] {
            assert_eq!(prediction(name), Ok(Prediction::Velocity));
        }
        assert_eq!(prediction("epsilon"), Ok(Prediction::Epsilon));
        assert!(prediction("velocity").is_err());
    }
}
