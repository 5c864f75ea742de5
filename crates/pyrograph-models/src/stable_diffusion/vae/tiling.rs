//! Encoding and decoding in tiles, and image by image, so that memory does not grow with the image.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use pyrograph_backend::vision::VisionBackend;

use super::{AutoencoderKl, AutoencoderKlConfig, LatentDistribution, MODEL};
use crate::{ModelError, stable_diffusion::fields::config_error};

/// The share of a tile that its neighbours overlap, as in diffusers.
const OVERLAP: f64 = 0.25;
/// The smallest tile of latents that has a step to its neighbour of 1 or more.
const LEAST_TILE: usize = 2;

/// The size and overlap of tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiling {
    /// Side of a tile of latents.
    pub latent_size: usize,
    /// Side of a tile of an image.
    pub sample_size: usize,
    /// The fraction of a tile that its neighbours overlap, 0 to below 1.
    pub overlap: f64,
}

/// One of the two axes of tiles: from which sizes to which.
struct Grid {
    tile: usize,
    step: usize,
    /// Pixels of the output that are blended with the neighbour, and those of a tile that stay.
    blend: usize,
    keep: usize,
}

impl Tiling {
    /// Tiles of the `sample_size` of `config`, as in diffusers.
    pub fn of(config: &AutoencoderKlConfig) -> Self {
        Self::with_sample_size(config, config.sample_size)
    }

    /// Tiles of images of `sample_size` pixels along a side.
    pub fn with_sample_size(config: &AutoencoderKlConfig, sample_size: usize) -> Self {
        Self {
            latent_size: sample_size / config.factor(),
            sample_size,
            overlap: OVERLAP,
        }
    }

    /// Checks that a tile has a step to its neighbour.
    ///
    /// # Errors
    /// When the tiles are too small, or overlap completely.
    pub fn check(&self) -> Result<(), ModelError> {
        if self.latent_size < LEAST_TILE {
            let allowed = format!("{LEAST_TILE} latents or more along a side");
            return Err(config_error(MODEL, "tile size", self.latent_size, allowed));
        }
        let [decoding, encoding] = [self.decoding(), self.encoding()];
        if !(0.0..1.0).contains(&self.overlap) || decoding.step == 0 || encoding.step == 0 {
            let allowed = "0 or more, and so far below 1 that a tile has a step to its neighbour";
            return Err(config_error(MODEL, "tile overlap", self.overlap, allowed));
        }
        Ok(())
    }

    fn decoding(&self) -> Grid {
        self.grid(self.latent_size, self.sample_size)
    }

    fn encoding(&self) -> Grid {
        self.grid(self.sample_size, self.latent_size)
    }

    fn grid(&self, from: usize, to: usize) -> Grid {
        // Rounded down, as Python's `int`.
        let share = |size: usize, share: f64| (size as f64 * share) as usize;
        let blend = share(to, self.overlap);
        Grid {
            tile: from,
            step: share(from, 1.0 - self.overlap),
            blend,
            keep: to - blend.min(to),
        }
    }
}

impl<B: VisionBackend> AutoencoderKl<B> {
    /// The tiles of the `sample_size` that this model was trained on.
    pub fn tiling(&self) -> Tiling {
        Tiling::of(&self.config)
    }

    /// Like [`decode`](Self::decode), but tile by tile if the latents are larger than a tile. Each
    /// tile is decoded separately, and neighbours are blended where they overlap, so the image
    /// differs slightly from an untiled one.
    ///
    /// # Shapes
    /// As [`decode`](Self::decode).
    ///
    /// # Errors
    /// When the shape or the tiles are not allowed.
    pub fn decode_tiled(
        &self,
        latents: Tensor<B, 4>,
        tiling: Tiling,
    ) -> Result<Tensor<B, 4>, ModelError> {
        tiling.check()?;
        let shape = latents.dims();
        self.config.check_latents(&shape)?;
        let grid = tiling.decoding();
        if shape[2].max(shape[3]) <= grid.tile {
            return Ok(self.decode(latents));
        }
        Ok(by_tiles(&grid, latents, |tile| self.decode(tile)))
    }

    /// Like [`encode`](Self::encode), but tile by tile if the image is larger than a tile.
    ///
    /// # Shapes
    /// As [`encode`](Self::encode).
    ///
    /// # Errors
    /// When the shape or the tiles are not allowed, and when a last tile would be too narrow to be halved.
    pub fn encode_tiled(
        &self,
        image: Tensor<B, 4>,
        tiling: Tiling,
    ) -> Result<LatentDistribution<B>, ModelError> {
        tiling.check()?;
        let shape @ [batch, channels, height, width] = image.dims();
        self.config.check_image(&shape)?;
        let grid = tiling.encoding();
        if height.max(width) <= grid.tile {
            return Ok(self.encode(image));
        }
        let least = |side: usize| ranges(&grid, side).map(|tile| tile.len()).min();
        let smallest = [least(height), least(width)].map(Option::unwrap_or_default);
        if smallest.into_iter().any(|side| side < self.config.factor()) {
            return Err(ModelError::Input {
                model: MODEL,
                input: "image",
                seen: shape.into(),
                allowed: format!(
                    "[{batch}, {channels}, height, width] with sides that are multiples of {}, so that no tile is too narrow",
                    self.config.factor()
                ),
            });
        }
        let moments = by_tiles(&grid, image, |tile| self.moments(tile));
        Ok(LatentDistribution::from_moments(moments))
    }
}

/// Calls `run` for each image of a batch separately, so that memory does not grow with the batch.
///
/// # Shapes
/// `x` [batch, ..] → [batch, ..].
pub fn one_at_a_time<B: Backend>(
    x: Tensor<B, 4>,
    mut run: impl FnMut(Tensor<B, 4>) -> Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [batch, ..] = x.dims();
    let images = (0..batch).map(|image| run(x.clone().narrow(0, image, 1)));
    Tensor::cat(images.collect(), 0)
}

/// The tiles along a side, the last of which may be smaller.
fn ranges(grid: &Grid, side: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let tile = grid.tile;
    (0..side)
        .step_by(grid.step)
        .map(move |start| start..(start + tile).min(side))
}

/// `run` on every tile, and the results blended into one: each with the tile above, then with the one on the left.
fn by_tiles<B: Backend>(
    grid: &Grid,
    x: Tensor<B, 4>,
    run: impl Fn(Tensor<B, 4>) -> Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [_, _, height, width] = x.dims();
    let mut above: Vec<Tensor<B, 4>> = Vec::new();
    let mut strips = Vec::new();
    for rows in ranges(grid, height) {
        let mut strip: Vec<Tensor<B, 4>> = Vec::new();
        for (place, columns) in ranges(grid, width).enumerate() {
            let tile =
                x.clone()
                    .narrow(2, rows.start, rows.len())
                    .narrow(3, columns.start, columns.len());
            let mut tile = run(tile);
            if let Some(above) = above.get(place) {
                tile = blended(above, tile, 2, grid.blend);
            }
            if let Some(left) = strip.last() {
                tile = blended(left, tile, 3, grid.blend);
            }
            strip.push(tile);
        }
        let kept = strip.iter().map(|tile| {
            let [_, _, height, width] = tile.dims();
            tile.clone()
                .narrow(2, 0, height.min(grid.keep))
                .narrow(3, 0, width.min(grid.keep))
        });
        strips.push(Tensor::cat(kept.collect(), 3));
        above = strip;
    }
    Tensor::cat(strips, 2)
}

/// `tile` whose first `extent` places along `axis` fade in from the last of `before`.
fn blended<B: Backend>(
    before: &Tensor<B, 4>,
    tile: Tensor<B, 4>,
    axis: usize,
    extent: usize,
) -> Tensor<B, 4> {
    let (length, size) = (before.dims()[axis], tile.dims()[axis]);
    let extent = extent.min(length).min(size);
    if extent == 0 {
        return tile;
    }
    let share: Vec<f32> = (0..extent)
        .map(|place| place as f32 / extent as f32)
        .collect();
    let mut shape = [1; 4];
    shape[axis] = extent;
    let options = (&tile.device(), tile.dtype());
    let share = Tensor::<B, 4>::from_data(TensorData::new(share, shape), options);
    let out = before.clone().narrow(axis, length - extent, extent);
    let faded = tile.clone().narrow(axis, 0, extent) * share.clone() + out * (-share + 1.0);
    if extent == size {
        return faded;
    }
    let rest = tile.narrow(axis, extent, size - extent);
    Tensor::cat(vec![faded, rest], axis)
}
