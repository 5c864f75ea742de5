//! The sizes of the six feature maps.

use super::{SsdBackbone, SsdConfig, mobilenet, vgg};

impl SsdConfig {
    /// Channels of each feature map.
    pub fn map_channels(&self) -> Vec<usize> {
        match self.backbone {
            SsdBackbone::Vgg16 => vgg::map_channels(self),
            SsdBackbone::MobilenetV2 => mobilenet::map_channels(self),
        }
    }

    /// Height and width of each feature map in cells.
    pub fn map_sides(&self) -> Vec<usize> {
        let maps = self.prior_config().maps.into_iter();
        maps.map(|map| map.size).collect()
    }

    /// Prior boxes around the centre of a cell of each feature map.
    pub fn priors_per_cell(&self) -> Vec<usize> {
        self.prior_config().per_cell()
    }
}
