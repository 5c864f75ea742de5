//! Bounds on what one request may ask for.

use std::time::Duration;

/// Bounds on what one request may ask for. All of them can be set on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of a prompt.
    pub prompt_bytes: usize,
    /// Pixels of a drawn image: width · height.
    pub pixels: u64,
    /// Pixels of an image in a body, checked before it is decoded.
    pub input_pixels: u64,
    /// Denoising steps, or steps of a search.
    pub steps: usize,
    /// Images of a request.
    pub images: usize,
    /// Time from the arrival of a request to its answer; a request may ask for less. Jobs have `job_deadline`.
    pub deadline: Duration,
    /// Time from the arrival of a job to its result.
    pub job_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            prompt_bytes: 8 << 10,
            pixels: 1 << 20,
            input_pixels: 1 << 25,
            steps: 200,
            images: 8,
            deadline: Duration::from_secs(600),
            job_deadline: Duration::from_secs(3600),
        }
    }
}
