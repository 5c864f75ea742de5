//! Some images with what was to be found and what was.

use std::path::Path;

use pyrograph::{
    backend::vision::VisionBackend,
    data::detection::DetectionSet,
    pipelines::detection::{DetectionPipeline, draw_compared},
    vision::{DetectOptions, write_png},
};

/// What is less sure is not drawn: an evaluation counts hundreds of boxes an image.
const SURE: f32 = 0.5;

/// The places of `count` images, spread over a set of `images`.
pub(super) fn places(images: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(images);
    (0..count).map(move |number| number * images / count)
}

/// What the picture of the image at `place` is called.
pub(super) fn picture_name(place: usize) -> String {
    format!("{place:05}.png")
}

/// Writes pictures of `count` images, spread over the set, each by its place.
pub(super) fn draw<B: VisionBackend>(
    pipeline: &DetectionPipeline<B>,
    set: &DetectionSet,
    options: &DetectOptions,
    count: usize,
    folder: &Path,
) -> anyhow::Result<()> {
    let sure = DetectOptions {
        score_threshold: options.score_threshold.max(SURE),
        ..*options
    };
    for place in places(set.len(), count) {
        let image = set.image(place)?;
        let truths: Vec<_> = set.samples()[place]
            .objects
            .iter()
            .map(|object| object.bbox)
            .collect();
        for found in pipeline.detect(std::slice::from_ref(&image), &sure)? {
            let picture = draw_compared(&image, &found, &truths);
            write_png(folder.join(picture_name(place)), &picture)?;
        }
    }
    Ok(())
}
