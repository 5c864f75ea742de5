//! Max pooling without padding.

use super::{Array, expect, places};
use crate::GradCheckError;

/// How the window walks, as [height, width].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolGeometry {
    /// The window's size.
    pub window: [usize; 2],
    /// The distance between two windows.
    pub stride: [usize; 2],
}

impl PoolGeometry {
    /// Square windows side by side.
    pub fn square(side: usize) -> Self {
        Self {
            window: [side, side],
            stride: [side, side],
        }
    }

    /// The index of the first maximum of each window, in row-major order.
    fn winners(&self, x: &Array<4>) -> Result<([usize; 4], Vec<[usize; 4]>), GradCheckError> {
        let ([n, c, h, w], [wh, ww]) = (x.shape(), self.window);
        let rows = places("the window's height", h, wh, self.stride[0])?;
        let columns = places("the window's width", w, ww, self.stride[1])?;
        let out = Array::<4>::zeros([n, c, rows, columns]);
        let winner = |flat| {
            let [n, c, y, at] = out.index(flat);
            let corner = [y * self.stride[0], at * self.stride[1]];
            let mut best = [n, c, corner[0], corner[1]];
            for i in 0..wh {
                for j in 0..ww {
                    let index = [n, c, corner[0] + i, corner[1] + j];
                    if x.at(index) > x.at(best) {
                        best = index;
                    }
                }
            }
            best
        };
        Ok((out.shape(), (0..out.values().len()).map(winner).collect()))
    }
}

/// `p[n,c,y,x] = max_{i,j} a[n, c, y·s + i, x·s + j]`.
///
/// # Errors
/// When the window does not fit the planes, and for a stride of 0.
pub fn max_pool2d(x: &Array<4>, geometry: PoolGeometry) -> Result<Array<4>, GradCheckError> {
    let (shape, winners) = geometry.winners(x)?;
    Array::new(
        shape,
        winners.into_iter().map(|index| x.at(index)).collect(),
    )
}

/// `∂a[k] = Σ δ[w]` over the windows `w` whose first maximum is at `k`: δ is routed to the winner, and of equal values the
/// first in row-major order wins, as in burn and PyTorch.
///
/// # Errors
/// As [`max_pool2d`], and when δ has not the shape of its result.
pub fn max_pool2d_gradient(
    x: &Array<4>,
    delta: &Array<4>,
    geometry: PoolGeometry,
) -> Result<Array<4>, GradCheckError> {
    let (shape, winners) = geometry.winners(x)?;
    for (seen, allowed) in delta.shape().into_iter().zip(shape) {
        expect("an axis of the delta", seen, allowed)?;
    }
    let mut gradient = Array::zeros(x.shape());
    for (index, value) in winners.into_iter().zip(delta.values()) {
        gradient.add(index, *value);
    }
    Ok(gradient)
}
