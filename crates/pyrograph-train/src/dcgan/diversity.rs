//! Whether a generator still makes different images.

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_metrics::mean_pairwise_distance;

use crate::TrainError;

/// Below this share of the real images' distances the generator has collapsed.
const COLLAPSED: f32 = 0.3;
/// Steps that a generator gets to leave its first, uniform images behind.
const YOUNG: u64 = 1000;
/// Images that a measurement compares.
const COMPARED: usize = 32;

/// The mean distance between generated images over that between real ones; none where an image
/// holds what is no number, which the losses of the step or of the next one tell.
pub(super) fn diversity<B: Backend>(
    fake: Tensor<B, 4>,
    real: Tensor<B, 4>,
) -> Result<Option<f32>, TrainError> {
    let [batch, channels, height, width] = fake.dims();
    let compared = batch.min(COMPARED);
    let dim = channels * height * width;
    let values = |images: Tensor<B, 4>| -> Vec<f32> {
        let data = images.slice(0..compared).into_data();
        data.iter::<f32>().collect()
    };
    let fake = values(fake);
    if fake.iter().any(|value| !value.is_finite()) {
        return Ok(None);
    }
    let real = mean_pairwise_distance(&values(real), dim)?;
    Ok(Some(if real > 0.0 {
        (mean_pairwise_distance(&fake, dim)? / real) as f32
    } else {
        1.0
    }))
}

/// What the user should know of a `share` measured after `step` steps.
pub(super) fn collapse_warning(share: f32, step: u64) -> Option<String> {
    (share < COLLAPSED && step > YOUNG).then(|| {
        format!(
            "the generator collapses: at step {step} its images differ by {:.0} % of what real ones do; \
             lower the discriminator's rate, or give it a penalty or instance noise",
            100.0 * share
        )
    })
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;
    use pyrograph_backend::rng::{NoiseKey, Purpose};

    use super::*;

    fn images(key: u64) -> Tensor<Flex, 4> {
        let key = NoiseKey::new(key, Purpose::Other, 0);
        key.normal_tensor(0, [40, 1, 4, 4], &Default::default())
    }

    #[test]
    fn images_as_different_as_real_ones_have_a_share_near_one_and_equal_ones_zero() {
        let share = |fake, real| diversity(fake, real).expect("of one size").expect("finite");
        let seen = share(images(1), images(2));
        assert!((0.8..1.25).contains(&seen), "{seen}");
        let half = share(images(1) * 0.5, images(1));
        assert!((half - 0.5).abs() < 1e-5, "{half}");
        let equal = images(1).slice(0..1).repeat_dim(0, 40);
        assert_eq!(share(equal.clone(), images(2)), 0.0);
        // Real images that are all equal say nothing.
        assert_eq!(share(images(1), equal), 1.0);
        let wild = diversity(images(1) * f32::NAN, images(2));
        assert_eq!(wild.expect("left to the losses"), None);
    }

    #[test]
    fn a_collapse_is_reported_with_its_share_and_not_at_the_start() {
        let warning = collapse_warning(0.05, 1100).expect("collapsed");
        assert!(
            warning.contains("step 1100") && warning.contains("5 %"),
            "{warning}"
        );
        assert!(collapse_warning(0.05, 900).is_none());
        assert!(collapse_warning(0.7, 1100).is_none());
    }
}
