//! pyrograph ("drawing with burn"): diffusion models, Stable Diffusion, anomaly detection and object
//! detection for vision in Rust, on any [burn](https://burn.dev) backend.
//!
//! This crate re-exports the workspace's libraries under one name:
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`base`] | a seeded generator for everything but noise, atomic files |
//! | [`backend`] | devices, the seam for fused kernels, seeded noise |
//! | [`vision`] | images: reading, resizing, PNG; boxes of detectors |
//! | [`figures`] | grids, charts, heat maps, drawn boxes, GIF |
//! | [`diffusion`] | noise schedules, samplers, scheduler files of diffusers |
//! | [`losses`] | losses without models |
//! | [`models`] | models, among them those of Stable Diffusion, and their weights by published names |
//! | [`data`] | sprites, labelled images, images with boxes: from files, folders and memory |
//! | [`art`] | such sets drawn by code |
//! | [`metrics`] | quality figures |
//! | [`gradcheck`] | gradients held to differences, and closed forms |
//! | [`train`] | training loops with exact resume |
//! | [`pipelines`] | from request to images, from prompt to pictures, from images to anomaly scores and detections |
//! | [`serve`] | the pipelines, or a task of your own, behind HTTP: queue, batches between steps, metrics |
//! | [`loadtest`] | latency of an HTTP endpoint: closed and open loops, percentiles with their spread |
//!
//! Backends are features: `flex` (the CPU, default), `ndarray`, `wgpu`, `cuda`; `fusion` fuses kernels
//! on the GPU ones. [`backend`] has their types. The feature `oracle` brings `gradcheck::Oracle`, NdArray
//! in f64, without the device `ndarray`.
//!
//! [`burn`] is the version that all of this is built on, **0.21**: take it from here, with `use
//! pyrograph::burn;` at the top of a file that derives burn's `Module`. Types of another version of
//! burn are other types, and errors of mixing them say that a trait is not implemented. A program
//! that needs more of burn's features adds `burn = { version = "0.21", default-features = false,
//! features = [...] }`, which Cargo unites with it. The examples of all modules are written for
//! this crate alone.
//!
//! Each job has a feature (`anomaly`, `detection`, `sprites`, `text-to-image`), and so have training
//! (`train`), data sets (`data`), drawn ones (`art`), figures (`figures`, which jobs but
//! `text-to-image` bring), gradient checks (`checks`), the server (`serve`) and the load generator
//! (`loadtest`). All are on by default. A program with one job turns the default features off and
//! names what it needs, such as `flex` and `detection`.
//!
//! # Inference on the device that a flag names
//!
//! ```no_run
//! use pyrograph::backend::{Device, DeviceSpec, InferenceTask, vision::VisionBackend};
//! use pyrograph::diffusion::SamplerConfig;
//! use pyrograph::pipelines::{PipelineError, sprites::{SpritePipeline, SpriteRequest, SpriteSamples}};
//!
//! /// Four sprites from a trained model, on any backend.
//! struct FourHeroes;
//! impl InferenceTask for FourHeroes {
//!     type Output = Result<SpriteSamples, PipelineError>;
//!     fn run<B: VisionBackend>(self, device: Device<B>) -> Self::Output {
//!         let pipeline = SpritePipeline::<B>::open("model.safetensors", &device)?;
//!         let hero = vec![1.0, 0.0, 0.0, 0.0, 0.0];
//!         let request = SpriteRequest::new(SamplerConfig::ddim(20, 0.0), vec![hero; 4]);
//!         pipeline.sample(&request, &mut |_, _| {})
//!     }
//! }
//! let flag = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
//! let device: DeviceSpec = flag.parse()?; // cpu, ndarray, wgpu, wgpu:1, cuda, cuda:1
//! let samples = device.infer(FourHeroes)??;
//! println!("{} values", samples.values.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Training on data in memory, without files
//!
//! [`RunFolder::in_memory`](train::run_folder::RunFolder::in_memory) keeps nothing on disk: figures
//! go to the hooks, and the network comes back. `LabelledImages::new` and
//! `DetectionSet::from_images` of [`data`] take images in memory as `SpriteSet::new` does.
//!
//! ```
//! # #[cfg(all(feature = "flex", feature = "train"))] {
//! use pyrograph::backend::Flex;
//! use pyrograph::burn::backend::Autodiff;
//! use pyrograph::data::SpriteSet;
//! use pyrograph::train::{run_folder::RunFolder, sprites::{SpriteTraining, train_sprites}};
//!
//! # fn train() -> Result<(), Box<dyn std::error::Error>> {
//! // Eight images of 16×16 RGB pixels, and a class for each.
//! let (pixels, contexts) = (vec![127; 8 * 16 * 16 * 3], vec![1.0; 8]);
//! let data = SpriteSet::new(pixels, 16, 3, contexts, vec!["grey".to_owned()])?;
//! let mut config = SpriteTraining { batch_size: 8, steps: Some(1), ..SpriteTraining::for_set(&data) };
//! config.model.n_feat = 8;
//! let run = RunFolder::in_memory();
//! let trained = train_sprites::<Autodiff<Flex>>(&config, &data, &run, &mut (), &Default::default())?;
//! assert_eq!(trained.steps, 1);
//! # Ok(())
//! # }
//! # train().unwrap();
//! # }
//! ```
//!
//! # A module of your own, its gradients checked
//!
//! ```
//! # #[cfg(feature = "oracle")] {
//! use pyrograph::burn::{self, module::Module, nn::{Linear, LinearConfig}, tensor::{activation, backend::Backend}};
//! use pyrograph::gradcheck::{GradCheck, HostTensor, Oracle, gradcheck_module};
//!
//! #[derive(Module, Debug)]
//! struct Gate<B: Backend> {
//!     linear: Linear<B>,
//! }
//! let device = Default::default();
//! let gate = Gate::<Oracle> { linear: LinearConfig::new(4, 3).init(&device) };
//! let inputs = [HostTensor::normal("x", &[2, 4], 7)];
//! let report = gradcheck_module(&GradCheck::full(), &gate, &inputs, &device, |gate, inputs| {
//!     Ok(activation::silu(gate.linear.forward(inputs.tensor::<2>("x")?)))
//! });
//! let report = report.unwrap();
//! assert!(report.passed(), "{report}");
//! # }
//! ```

pub use burn;
#[cfg(feature = "art")]
pub use pyrograph_art as art;
pub use pyrograph_backend as backend;
pub use pyrograph_base as base;
#[cfg(feature = "data")]
pub use pyrograph_data as data;
pub use pyrograph_diffusion as diffusion;
#[cfg(feature = "figures")]
pub use pyrograph_figures as figures;
#[cfg(feature = "checks")]
pub use pyrograph_gradcheck as gradcheck;
#[cfg(feature = "loadtest")]
pub use pyrograph_loadtest as loadtest;
pub use pyrograph_losses as losses;
pub use pyrograph_metrics as metrics;
pub use pyrograph_models as models;
pub use pyrograph_pipelines as pipelines;
#[cfg(feature = "serve")]
pub use pyrograph_serve as serve;
#[cfg(feature = "train")]
pub use pyrograph_train as train;
pub use pyrograph_vision as vision;

/// The README's program, compiled as a reader would.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
