//! What a pooling looks at.

/// The windows of a pooling over [batch, channels, height, width]: as many as fit, as in PyTorch without `ceil_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// [height, width], at least 1.
    pub size: [usize; 2],
    /// Pixels from one window to the next, at least 1.
    pub stride: [usize; 2],
    /// Pixels that are added on all sides, at most half the size: no value for a maximum, zeros for a mean.
    pub padding: [usize; 2],
}

impl Window {
    /// Windows of `side`×`side` pixels side by side.
    pub fn tiles(side: usize) -> Self {
        Self {
            size: [side; 2],
            stride: [side; 2],
            padding: [0; 2],
        }
    }
}
