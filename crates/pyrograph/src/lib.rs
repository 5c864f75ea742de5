//! pyrograph ("drawing with burn"): diffusion models, Stable Diffusion, anomaly detection and object
//! detection for vision in Rust, on any [burn](https://burn.dev) backend.
//!
//! This crate re-exports the workspace's libraries under one name:
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`backend`] | devices, the seam for fused kernels, seeded noise |
//! | [`vision`] | grids, charts, heat maps, PNG and GIF |
//! | [`diffusion`] | noise schedules, samplers, scheduler files of diffusers |
//! | [`losses`] | losses without models |
//! | [`models`] | models, among them those of Stable Diffusion, and their weights by published names |
//! | [`data`] | sprites and labelled images: files, folders, and sets drawn by code |
//! | [`metrics`] | quality figures |
//! | [`gradcheck`] | gradients held to differences, and closed forms |
//! | [`train`] | training loops with exact resume |
//! | [`pipelines`] | from request to images, from prompt to pictures, from images to anomaly scores and detections |
//! | [`serve`] | the pipelines, or a task of your own, behind HTTP: queue, batches between steps, metrics |
//! | [`loadtest`] | latency of an HTTP endpoint: closed and open loops, percentiles with their spread |
//!
//! Backends are features: `flex` (the CPU, default), `ndarray`, `wgpu`, `cuda`; `fusion` fuses kernels on the GPU ones.
//!
//! ```no_run
//! use pyrograph::backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff};
//! use pyrograph::diffusion::SamplerConfig;
//! use pyrograph::pipelines::{PipelineError, sprites::{SpritePipeline, SpriteRequest, SpriteSamples}};
//!
//! /// Four sprites from a trained model, on any backend.
//! struct FourHeroes;
//! impl BackendTask for FourHeroes {
//!     type Output = Result<SpriteSamples, PipelineError>;
//!     fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
//!         let pipeline = SpritePipeline::<B::InnerBackend>::open("model.safetensors", &device)?;
//!         let hero = vec![1.0, 0.0, 0.0, 0.0, 0.0];
//!         let request = SpriteRequest::new(SamplerConfig::ddim(20, 0.0), vec![hero; 4]);
//!         pipeline.sample(&request, &mut |_, _| {})
//!     }
//! }
//! let samples = DeviceSpec::Auto.run(FourHeroes)??;
//! println!("{} values", samples.values.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use pyrograph_backend as backend;
pub use pyrograph_data as data;
pub use pyrograph_diffusion as diffusion;
pub use pyrograph_gradcheck as gradcheck;
pub use pyrograph_loadtest as loadtest;
pub use pyrograph_losses as losses;
pub use pyrograph_metrics as metrics;
pub use pyrograph_models as models;
pub use pyrograph_pipelines as pipelines;
pub use pyrograph_serve as serve;
pub use pyrograph_train as train;
pub use pyrograph_vision as vision;
