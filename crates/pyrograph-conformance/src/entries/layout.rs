//! How an input lies in memory.

use burn::tensor::{Tensor, backend::Backend};

/// How a tensor [batch, channels, height, width] lies in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    Contiguous,
    /// As a view of [batch, width, height, channels]. A kernel that reads storage in order would read other pixels.
    ChannelsLast,
}

impl Layout {
    /// The shape in memory of [batch, channels, height, width].
    pub(crate) fn memory(self, [batch, channels, height, width]: [usize; 4]) -> [usize; 4] {
        match self {
            Self::Contiguous => [batch, channels, height, width],
            Self::ChannelsLast => [batch, width, height, channels],
        }
    }

    /// From memory to [batch, channels, height, width] and back. On an output, its gradient comes in this layout too.
    pub(crate) fn view<B: Backend>(self, tensor: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Contiguous => tensor,
            Self::ChannelsLast => tensor.swap_dims(1, 3),
        }
    }
}
