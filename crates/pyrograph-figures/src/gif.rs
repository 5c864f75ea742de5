//! Animated GIFs, such as the frames of one sampling run.

use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame, RgbImage};
use pyrograph_base::atomic_write;
use pyrograph_vision::VisionError;

use crate::FigureError;

/// Effort of the colour quantiser, from 1 (slowest) to 30. It is at work only in frames of more
/// than 256 colours; others keep theirs exactly.
const QUANTISER_SPEED: i32 = 5;

/// Timing and repetition of an animation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GifOptions {
    /// The time for which each frame is shown, in milliseconds; GIF stores multiples of ten.
    pub delay_ms: u32,
    /// The time for which the last frame is shown, in milliseconds; it is usually longer.
    pub last_frame_ms: u32,
    /// Whether the animation starts again when it has ended.
    pub looping: bool,
}

impl Default for GifOptions {
    /// Ten frames a second, two seconds for the last frame, repeated.
    fn default() -> Self {
        Self {
            delay_ms: 100,
            last_frame_ms: 2000,
            looping: true,
        }
    }
}

/// Writes the frames as an animated GIF, atomically as by [`atomic_write`]. Each frame has a
/// palette of its own: exact up to 256 colours, otherwise the 256 colours that fit it best.
///
/// # Errors
/// [`FigureError::Empty`] without frames, [`FigureError::FrameSize`] unless all have one size,
/// [`FigureError::GifSize`] for a side of 0 or beyond 65535, and those of [`atomic_write`].
pub fn write_gif(
    path: impl AsRef<Path>,
    frames: &[RgbImage],
    options: &GifOptions,
) -> Result<(), FigureError> {
    let path = path.as_ref();
    check_sizes(frames)?;
    let mut bytes = Vec::new();
    encode(&mut bytes, frames, options).map_err(|source| VisionError::Encode {
        path: path.into(),
        source,
    })?;
    Ok(atomic_write(path, &bytes)?)
}

fn check_sizes(frames: &[RgbImage]) -> Result<(), FigureError> {
    let Some(first) = frames.first().map(RgbImage::dimensions) else {
        return Err(FigureError::Empty {
            what: "frames of an animation",
        });
    };
    let allowed = 1..=u32::from(u16::MAX);
    if !allowed.contains(&first.0) || !allowed.contains(&first.1) {
        return Err(FigureError::GifSize {
            width: first.0,
            height: first.1,
        });
    }
    match frames.iter().position(|frame| frame.dimensions() != first) {
        None => Ok(()),
        Some(index) => Err(FigureError::FrameSize {
            index,
            seen: frames[index].dimensions(),
            first,
        }),
    }
}

fn encode(
    bytes: &mut Vec<u8>,
    frames: &[RgbImage],
    options: &GifOptions,
) -> image::ImageResult<()> {
    let mut encoder = GifEncoder::new_with_speed(bytes, QUANTISER_SPEED);
    if options.looping {
        encoder.set_repeat(Repeat::Infinite)?;
    }
    for (index, frame) in frames.iter().enumerate() {
        let last = index + 1 == frames.len();
        let delay = if last {
            options.last_frame_ms
        } else {
            options.delay_ms
        };
        let delay = Delay::from_numer_denom_ms(delay, 1);
        let pixels = DynamicImage::ImageRgb8(frame.clone()).into_rgba8();
        encoder.encode_frame(Frame::from_parts(pixels, 0, 0, delay))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::BufReader;

    use image::codecs::gif::GifDecoder;
    use image::{AnimationDecoder, Rgb};

    use super::*;

    #[test]
    fn frames_read_back_with_their_colours_and_delays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("walk.gif");
        let colours =
            |step: u32| move |x: u32, y: u32| Rgb([(x * 16) as u8, (y * 16) as u8, step as u8]);
        let frames: Vec<_> = (0..3)
            .map(|step| RgbImage::from_fn(16, 16, colours(step)))
            .collect();
        let options = GifOptions {
            delay_ms: 50,
            last_frame_ms: 700,
            looping: true,
        };
        write_gif(&path, &frames, &options).unwrap();

        let decoder = GifDecoder::new(BufReader::new(File::open(&path).unwrap())).unwrap();
        let read = decoder.into_frames().collect_frames().unwrap();
        let delays: Vec<_> = read
            .iter()
            .map(|frame| frame.delay().numer_denom_ms())
            .collect();
        assert_eq!(delays, [(50, 1), (50, 1), (700, 1)]);
        for (read, written) in read.into_iter().zip(frames) {
            assert_eq!(
                DynamicImage::ImageRgba8(read.into_buffer()).into_rgb8(),
                written
            );
        }
    }

    #[test]
    fn only_looping_animations_carry_the_loop_block() {
        let root = tempfile::tempdir().unwrap();
        let has_loop = |looping| {
            let path = root.path().join("x.gif");
            let options = GifOptions {
                looping,
                ..GifOptions::default()
            };
            write_gif(&path, &[RgbImage::new(2, 2)], &options).unwrap();
            std::fs::read(path)
                .unwrap()
                .windows(8)
                .any(|window| window == b"NETSCAPE")
        };
        assert!(has_loop(true));
        assert!(!has_loop(false));
    }

    #[test]
    fn frames_that_do_not_agree_or_do_not_fit_are_refused() {
        let options = GifOptions::default();
        let write = |frames: &[RgbImage]| write_gif("/nowhere/x.gif", frames, &options);
        assert!(matches!(write(&[]), Err(FigureError::Empty { .. })));
        let mixed = [RgbImage::new(2, 2), RgbImage::new(2, 3)];
        assert!(matches!(
            write(&mixed),
            Err(FigureError::FrameSize { index: 1, .. })
        ));
        assert!(matches!(
            write(&[RgbImage::new(0, 2)]),
            Err(FigureError::GifSize { .. })
        ));
        assert!(matches!(
            write(&[RgbImage::new(70_000, 1)]),
            Err(FigureError::GifSize { .. })
        ));
    }
}
