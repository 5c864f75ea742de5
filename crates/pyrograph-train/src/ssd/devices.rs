//! A step on one device, or on several at once.

use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_losses::MatchedBoxes;
use pyrograph_models::ssd::Ssd;

#[cfg(feature = "several-devices")]
use super::pool::Pool;
use super::{
    SsdTraining,
    learner::Learner,
    share::{Computed, Share},
};
use crate::{TrainError, checks::refuse};

/// Checks the number of devices of a run: 1, or more with the feature `several-devices`.
///
/// # Errors
/// [`TrainError::Config`].
pub fn check_devices(devices: usize) -> Result<(), TrainError> {
    let (is_allowed, allowed) = match cfg!(feature = "several-devices") {
        true => (devices > 0, "1 or more"),
        false => (
            devices == 1,
            "1: this build lacks the feature `several-devices`, which the command has with `--features wgpu` and `cuda`",
        ),
    };
    match is_allowed {
        true => Ok(()),
        false => Err(refuse("the number of devices", devices, allowed)),
    }
}

/// Where a run computes.
pub(super) struct Devices<B: VisionAutodiff> {
    all: Vec<B::Device>,
    #[cfg(feature = "several-devices")]
    pool: Pool<B>,
}

impl<B: VisionAutodiff> Devices<B> {
    /// The first is the main one, on which the optimizer steps and networks are judged.
    pub(super) fn new(devices: &[B::Device]) -> Result<Self, TrainError> {
        check_devices(devices.len())?;
        Ok(Self {
            all: devices.to_vec(),
            #[cfg(feature = "several-devices")]
            pool: Pool::new(devices),
        })
    }

    pub(super) fn main(&self) -> &B::Device {
        // There is one at least.
        &self.all[0]
    }

    /// The gradients, the loss and the observed statistics of a batch, all on the main device.
    pub(super) fn compute(
        &self,
        learner: &Learner<B>,
        pixels: &[f32],
        matched: MatchedBoxes,
        config: &SsdTraining,
    ) -> Result<Computed<B>, TrainError> {
        let mut shares = Share::of_batch(pixels, matched, config, &self.all);
        if shares.len() > 1 {
            return self.on_several(&learner.network, shares);
        }
        // A batch has one share at least.
        Ok(shares.remove(0).compute(&learner.network))
    }

    /// The whole batch as one share, on the main device.
    pub(super) fn whole(
        &self,
        pixels: &[f32],
        matched: MatchedBoxes,
        config: &SsdTraining,
    ) -> Share<B> {
        // One device has one share.
        Share::of_batch(pixels, matched, config, &self.all[..1]).remove(0)
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    #[cfg(feature = "several-devices")]
    fn on_several(
        &self,
        network: &Ssd<B>,
        shares: Vec<Share<B>>,
    ) -> Result<Computed<B>, TrainError> {
        self.pool.compute(network, shares, self.main())
    }

    #[cfg(not(feature = "several-devices"))]
    fn on_several(&self, _: &Ssd<B>, _: Vec<Share<B>>) -> Result<Computed<B>, TrainError> {
        unreachable!("one device has one share")
    }
}
