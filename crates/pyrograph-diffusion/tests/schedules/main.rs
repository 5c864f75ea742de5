//! Noise schedules, samplers and schedulers against diffusers, published figures and closed forms.

mod support;

mod collapse;
mod config;
mod diffusers;
mod forward;
mod goldens;
mod grids;
mod properties;
mod regressions;
mod scheduler_files;
mod schedulers;
mod schedulers_goldens;
mod steps;
mod thresholding;
