//! The size of a request's pictures.

use pyrograph_pipelines::stable_diffusion::{ImageRequest, ImageStart, RequestRules};

use crate::{Limits, Refusal};

/// Longest side that any checkpoint draws.
pub(super) const MAX_SIDE: usize = 8192;

/// A picture to start from that no size stands beside is drawn at its own, or as large as the limits let it be. One that is
/// painted anew in parts is never refused for its size; another one is drawn as the pipelines draw it, where that is allowed.
pub(super) fn take_size(request: &mut ImageRequest, rules: &RequestRules, limits: &Limits) {
    let (image, is_inpainted) = match &request.start {
        ImageStart::Inpaint { image, .. } => (image, true),
        ImageStart::Image { image, .. } => (image, false),
        _ => return,
    };
    if (request.width, request.height) != (None, None) {
        return;
    }
    let factor = rules.factor();
    let own = [image.width(), image.height()].map(|side| side as usize / factor * factor);
    let is_allowed = own == rules.own_size()
        || (pixels_of(own) <= limits.pixels && own.iter().all(|side| *side <= MAX_SIDE));
    if is_allowed && !is_inpainted {
        return;
    }
    let [width, height] = match is_allowed {
        true => own.map(|side| side.max(factor)),
        false => fitting([image.width(), image.height()], factor, limits.pixels),
    };
    (request.width, request.height) = (Some(width), Some(height));
}

/// The largest size of the aspect of `size` with at most `pixels` pixels and sides that are multiples of `factor`.
fn fitting(size: [u32; 2], factor: usize, pixels: u64) -> [usize; 2] {
    let [width, height] = size.map(f64::from);
    let scale = (pixels as f64 / (width * height))
        .sqrt()
        .min(MAX_SIDE as f64 / width.max(height))
        .min(1.0);
    // A little more than nothing, so that a side which comes out whole is not rounded down by its rounding error.
    let down = |side: f64| (side * scale + 1e-6) as usize / factor * factor;
    let [width, height] = [down(width), down(height)].map(|side| side.max(factor));
    // A side that was raised to one latent leaves less to the other.
    let most = |other: usize| (pixels as usize / other / factor * factor).max(factor);
    [width.min(most(height)), height.min(most(width))]
}

fn pixels_of([width, height]: [usize; 2]) -> u64 {
    width as u64 * height as u64
}

/// Refuses pictures that are too large. What the checkpoint was made for is always drawn.
pub(super) fn check_pixels(
    size: [usize; 2],
    rules: &RequestRules,
    limits: &Limits,
) -> Result<(), Refusal> {
    if size == rules.own_size() || pixels_of(size) <= limits.pixels {
        return Ok(());
    }
    let [width, height] = size;
    let allowed = format!(
        "so that width · height is at most {} pixels; the picture would be {width} × {height}",
        limits.pixels
    );
    Err(Refusal::invalid("parameters.width", width, &allowed))
}
