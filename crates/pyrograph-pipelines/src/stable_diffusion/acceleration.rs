//! Fewer and cheaper passes of the UNet without training.

use pyrograph_models::stable_diffusion::unet::TokenMerging;

use super::request::refuse;
use crate::PipelineError;

/// Ways to make passes of the UNet cheaper, each off by default. All go together.
///
/// A step is one pass of the UNet here: PNDM has one more than the steps asked for, Heun nearly twice as many, a start from a
/// picture fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acceleration {
    /// DeepCache ([Ma et al., 2023](https://arxiv.org/abs/2312.00858)): every so many steps the pass is full, and the steps between
    /// run the layers of `cache_branch` alone. 1 is off. The first step with guidance and the last before `gate_step` are full
    /// in any case.
    pub cache_interval: usize,
    /// DeepCache's branch, 0 for the fewest layers; see
    /// [`PassDepth`](pyrograph_models::stable_diffusion::unet::PassDepth).
    pub cache_branch: usize,
    /// T-GATE ([Zhang et al., 2024](https://arxiv.org/abs/2404.02747)): after so many steps the output of every cross-attention is
    /// that of the last of them, the mean over the conditional and the unconditional row, and guidance ends. Nothing, or as many
    /// as there are steps, is off.
    pub gate_step: Option<usize>,
    /// ToMe ([Bolya and Hoffman, 2023](https://arxiv.org/abs/2303.17604)): the share of the tokens that are merged before
    /// self-attention, at most 0.75. 0 is off.
    pub merge_ratio: f64,
    /// The levels whose tokens merge, the highest resolution first.
    pub merge_levels: usize,
    /// The share of the steps after which guidance begins
    /// ([Kynkäänniemi et al., 2024](https://arxiv.org/abs/2404.07724)). Outside of the interval the UNet runs on one row a picture.
    pub guidance_from: f64,
    /// The share of the steps after which guidance ends.
    pub guidance_until: f64,
}

impl Default for Acceleration {
    /// The plain pass at every step.
    fn default() -> Self {
        Self {
            cache_interval: 1,
            cache_branch: 0,
            gate_step: None,
            merge_ratio: 0.0,
            merge_levels: 1,
            guidance_from: 0.0,
            guidance_until: 1.0,
        }
    }
}

impl Acceleration {
    /// Refuses every number that no checkpoint can serve.
    pub(super) fn check(&self) -> Result<(), PipelineError> {
        if self.cache_interval == 0 {
            return Err(refuse("cache_interval", 0, "1 or more; 1 is off"));
        }
        if self.gate_step == Some(0) {
            let allowed = "1 or more: the first step makes what later ones reuse";
            return Err(refuse("gate_step", 0, allowed));
        }
        let most = TokenMerging::MAX_RATIO;
        if !(0.0..=most).contains(&self.merge_ratio) {
            let allowed = format!("0 to {most}: one token of each 2 × 2 stays");
            return Err(refuse("merge_ratio", self.merge_ratio, &allowed));
        }
        if self.merge_levels == 0 {
            return Err(refuse("merge_levels", 0, "1 or more"));
        }
        let (from, until) = (self.guidance_from, self.guidance_until);
        if !(0.0..1.0).contains(&from) {
            return Err(refuse("guidance_from", from, "0 or more, and below 1"));
        }
        if !(until > from && until <= 1.0) {
            let allowed = format!("above {from}, which is guidance_from, and at most 1");
            return Err(refuse("guidance_until", until, &allowed));
        }
        Ok(())
    }
}
