//! Encoding of boxes as offsets from priors, the targets of a detector, and decoding.

use serde::{Deserialize, Serialize};

use super::{BoundingBox, CenterBox};

/// The smallest ratio of a truth's side to a prior's that is encoded.
///
/// Priors are no larger than the picture, so that this is a thousandth of a pixel in one of a thousand: no box that
/// anyone drew is smaller, and the logarithm of what is degenerate stays finite.
const SMALLEST_RATIO: f32 = 1e-6;

/// The largest growth of a prior's side that is decoded, as in torchvision (`bbox_xform_clip`):
/// from 16 pixels to a thousand.
const LARGEST_RATIO: f32 = 1000.0 / 16.0;

/// The encoding of [SSD](https://arxiv.org/abs/1512.02325), equation 2: offsets from priors, each
/// divided by a variance so that all four have a similar magnitude.
///
/// Truths and priors must have the same unit, such as fractions of the image's sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxCoder {
    /// The divisors of the offsets of the centre and of the size; both are finite and above 0.
    pub variances: [f32; 2],
}

impl BoxCoder {
    /// The variances of SSD: 0.1 for the centre, 0.2 for the size. torchvision's weights (10, 10,
    /// 5, 5) are their inverses.
    pub const SSD: Self = Self {
        variances: [0.1, 0.2],
    };

    /// The offsets (x, y, width, height) of `truth` from `prior`, with v = [`variances`](Self::variances):
    ///
    /// `((t.cx − p.cx) / (v₀·p.w), (t.cy − p.cy) / (v₀·p.h), ln(t.w / p.w) / v₁, ln(t.h / p.h) / v₁)`
    ///
    /// A ratio below 1e-6, as of a truth without width or height, is replaced by 1e-6, so the
    /// offsets of a finite truth are finite if the prior has an area.
    pub fn encode(&self, truth: BoundingBox, prior: CenterBox) -> [f32; 4] {
        let [center, size] = self.variances;
        let CenterBox { cx, cy, w, h } = truth.to_center();
        let growth = |side: f32, of: f32| (side / of).max(SMALLEST_RATIO).ln() / size;
        [
            (cx - prior.cx) / (center * prior.w),
            (cy - prior.cy) / (center * prior.h),
            growth(w, prior.w),
            growth(h, prior.h),
        ]
    }

    /// Decodes `offsets` from `prior` into a box: the inverse of [`encode`](Self::encode).
    ///
    /// A side grows by a factor of at most 62.5, as in torchvision, so that no finite offset
    /// overflows. NaN offsets give NaN corners.
    pub fn decode(&self, offsets: [f32; 4], prior: CenterBox) -> BoundingBox {
        let [center, size] = self.variances;
        let [x, y, w, h] = offsets;
        let limit = LARGEST_RATIO.ln();
        let growth = |offset: f32| {
            let exponent = offset * size;
            // Not `min`, which would take the limit for what is not a number.
            if exponent > limit {
                LARGEST_RATIO
            } else {
                exponent.exp()
            }
        };
        BoundingBox::from_center(CenterBox {
            cx: x * center * prior.w + prior.cx,
            cy: y * center * prior.h + prior.cy,
            w: growth(w) * prior.w,
            h: growth(h) * prior.h,
        })
    }
}

impl Default for BoxCoder {
    fn default() -> Self {
        Self::SSD
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRIOR: CenterBox = CenterBox {
        cx: 0.3,
        cy: 0.4,
        w: 0.2,
        h: 0.3,
    };

    #[test]
    fn offsets_are_those_of_equation_2() {
        let offsets = BoxCoder::default().encode(BoundingBox::new(0.1, 0.2, 0.5, 0.7), PRIOR);
        // (0.45 − 0.4) / 0.03, ln(2) / 0.2 and ln(5/3) / 0.2 by hand.
        let expected = [0.0, 1.666_667, 3.465_736, 2.554_128];
        for (seen, expected) in offsets.into_iter().zip(expected) {
            assert!((seen - expected).abs() < 1e-5, "{offsets:?}");
        }
    }

    #[test]
    fn no_offsets_are_the_prior_itself() {
        let bbox = BoxCoder::SSD.decode([0.0; 4], PRIOR);
        assert_eq!(bbox, BoundingBox::from_center(PRIOR));
    }

    #[test]
    fn degenerate_truths_have_finite_offsets() {
        for truth in [
            BoundingBox::new(0.3, 0.2, 0.3, 0.7),
            BoundingBox::new(0.9, 0.9, 0.1, 0.1),
            BoundingBox::default(),
        ] {
            let offsets = BoxCoder::SSD.encode(truth, PRIOR);
            assert!(offsets.iter().all(|v| v.is_finite()), "{offsets:?}");
            assert!(BoxCoder::SSD.decode(offsets, PRIOR).is_finite());
        }
    }

    #[test]
    fn a_side_grows_by_a_limited_factor() {
        let bbox = BoxCoder::SSD.decode([0.0, 0.0, f32::MAX, 20.6], PRIOR);
        assert!((bbox.width() / PRIOR.w - 62.5).abs() < 1e-3);
        // exp(0.2 · 20.6) = 61.56, just below.
        assert!((bbox.height() / PRIOR.h - 61.559_2).abs() < 1e-2);
    }

    #[test]
    fn offsets_that_are_not_numbers_do_not_pass_for_boxes() {
        for k in 0..4 {
            let mut offsets = [0.5; 4];
            offsets[k] = f32::NAN;
            assert!(!BoxCoder::SSD.decode(offsets, PRIOR).is_finite(), "{k}");
        }
    }

    #[test]
    fn variances_are_written_and_unknown_keys_refused() {
        let text = serde_json::to_string(&BoxCoder::SSD).unwrap();
        assert_eq!(
            serde_json::from_str::<BoxCoder>(&text).unwrap(),
            BoxCoder::SSD
        );
        assert!(
            serde_json::from_str::<BoxCoder>(r#"{"variances": [0.1, 0.2], "weights": 1}"#).is_err()
        );
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(
            (x, y) in (0_f32..0.9, 0_f32..0.9),
            (width, height) in (0.01_f32..1.0, 0.01_f32..1.0),
            (cx, cy) in (0_f32..1.0, 0_f32..1.0),
            (w, h) in (0.02_f32..1.0, 0.02_f32..1.0),
            variances in [0.05_f32..1.0, 0.05_f32..1.0],
        ) {
            let truth = BoundingBox::new(x, y, x + width, y + height);
            let (coder, prior) = (BoxCoder { variances }, CenterBox { cx, cy, w, h });
            let back = coder.decode(coder.encode(truth, prior), prior);
            let pairs = [(back.x1, truth.x1), (back.y1, truth.y1), (back.x2, truth.x2), (back.y2, truth.y2)];
            for (seen, expected) in pairs {
                prop_assert!((seen - expected).abs() < 1e-5, "{back:?} for {truth:?}");
            }
        }
    }
}
