//! Images that two sets have in common.

use std::collections::HashSet;
use std::fs;

use super::{DetectionSet, Pixels};

impl Pixels {
    /// The source by which two images are the same: of a file, the path without links.
    fn identity(&self) -> Pixels {
        match self {
            Self::File(path) => Self::File(fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
            other @ (Self::Memory(_) | Self::Drawn(_)) => other.clone(),
        }
    }
}

impl DetectionSet {
    /// The name of the first image that `other` contains too: the same file, the same pixels in
    /// memory, or the same drawing.
    pub fn shared_with(&self, other: &DetectionSet) -> Option<&str> {
        let theirs = other.identities();
        let mut samples = self.samples.iter();
        let shared = samples.find(|sample| theirs.contains(&sample.pixels.identity()));
        shared.map(|sample| sample.name.as_str())
    }

    /// The images that are not in `other`, compared as in [`shared_with`](Self::shared_with). The
    /// result may be empty.
    pub fn without(&self, other: &DetectionSet) -> DetectionSet {
        let theirs = other.identities();
        let is_left = |&index: &usize| !theirs.contains(&self.samples[index].pixels.identity());
        let left: Vec<usize> = (0..self.len()).filter(is_left).collect();
        self.subset(&left)
    }

    fn identities(&self) -> HashSet<Pixels> {
        let samples = self.samples.iter();
        samples.map(|sample| sample.pixels.identity()).collect()
    }
}
