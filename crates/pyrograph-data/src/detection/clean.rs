//! Boxes that no model can learn from.

use pyrograph_vision::BoundingBox;

use super::options::{BeyondImage, BoxPolicy, Degenerate};
use super::remark::{BoxAction, BoxFault};

/// The result of cleaning a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cleaned {
    /// The box stays unchanged.
    Sound,
    /// The box is changed or skipped.
    Changed(BoxFault, BoxAction),
    /// The data are refused because of the box.
    Refused(BoxFault),
}

/// Applies the policy to a box in an image of `width` by `height` pixels.
pub(super) fn clean(bbox: BoundingBox, width: u32, height: u32, policy: BoxPolicy) -> Cleaned {
    let degenerate = |fault| match policy.degenerate {
        Degenerate::Skip => Cleaned::Changed(fault, BoxAction::Skipped),
        Degenerate::Refuse => Cleaned::Refused(fault),
    };
    let corners = [bbox.x1, bbox.y1, bbox.x2, bbox.y2];
    if !corners.iter().all(|corner| corner.is_finite()) {
        return degenerate(BoxFault::NotFinite);
    }
    if !bbox.is_proper() {
        return degenerate(BoxFault::NoArea);
    }
    let clipped = bbox.clip(width as f32, height as f32);
    if clipped == bbox {
        let is_speck = bbox.x2 - bbox.x1 < 1.0 || bbox.y2 - bbox.y1 < 1.0;
        return match is_speck {
            true => Cleaned::Changed(BoxFault::Speck, BoxAction::Kept),
            false => Cleaned::Sound,
        };
    }
    let fault = if clipped.is_proper() {
        BoxFault::Beyond
    } else {
        BoxFault::Outside
    };
    match policy.beyond {
        BeyondImage::Keep => Cleaned::Sound,
        BeyondImage::Refuse => Cleaned::Refused(fault),
        BeyondImage::Skip => Cleaned::Changed(fault, BoxAction::Skipped),
        BeyondImage::Clip if fault == BoxFault::Outside => degenerate(fault),
        BeyondImage::Clip => Cleaned::Changed(fault, BoxAction::Clipped(clipped)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INSIDE: BoundingBox = BoundingBox::new(1.0, 2.0, 10.0, 20.0);

    fn cleaned(corners: [f32; 4], beyond: BeyondImage) -> Cleaned {
        let [x1, y1, x2, y2] = corners;
        let policy = BoxPolicy {
            beyond,
            ..BoxPolicy::default()
        };
        clean(BoundingBox::new(x1, y1, x2, y2), 10, 20, policy)
    }

    #[test]
    fn a_box_up_to_the_edges_of_its_image_is_sound() {
        assert_eq!(clean(INSIDE, 10, 20, BoxPolicy::default()), Cleaned::Sound);
    }

    #[test]
    fn boxes_without_an_area_are_left_out_or_refused() {
        let cases = [
            ([5.0, 5.0, 5.0, 9.0], BoxFault::NoArea),
            ([5.0, 5.0, 9.0, 5.0], BoxFault::NoArea),
            ([6.0, 5.0, 5.0, 9.0], BoxFault::NoArea),
            ([f32::NAN, 5.0, 5.0, 9.0], BoxFault::NotFinite),
            ([0.0, 0.0, f32::INFINITY, 9.0], BoxFault::NotFinite),
            // Clipping leaves nothing.
            ([10.0, 5.0, 12.0, 9.0], BoxFault::Outside),
            ([-7.0, -7.0, -1.0, -1.0], BoxFault::Outside),
        ];
        for (corners, fault) in cases {
            let skipped = Cleaned::Changed(fault, BoxAction::Skipped);
            assert_eq!(cleaned(corners, BeyondImage::Clip), skipped, "{corners:?}");
            let policy = BoxPolicy {
                degenerate: Degenerate::Refuse,
                ..BoxPolicy::default()
            };
            let [x1, y1, x2, y2] = corners;
            let refused = clean(BoundingBox::new(x1, y1, x2, y2), 10, 20, policy);
            assert_eq!(refused, Cleaned::Refused(fault), "{corners:?}");
        }
    }

    #[test]
    fn boxes_beyond_the_image_are_clipped_skipped_refused_or_kept() {
        let (beyond, fault) = ([-1.0, 2.0, 10.5, 20.0], BoxFault::Beyond);
        let clipped = BoxAction::Clipped(BoundingBox::new(0.0, 2.0, 10.0, 20.0));
        let changed = |action| Cleaned::Changed(fault, action);
        assert_eq!(cleaned(beyond, BeyondImage::Clip), changed(clipped));
        let skipped = changed(BoxAction::Skipped);
        assert_eq!(cleaned(beyond, BeyondImage::Skip), skipped);
        let refused = Cleaned::Refused(fault);
        assert_eq!(cleaned(beyond, BeyondImage::Refuse), refused);
        assert_eq!(cleaned(beyond, BeyondImage::Keep), Cleaned::Sound);
        // Even where all of it is outside.
        let outside = [10.0, 5.0, 12.0, 9.0];
        assert_eq!(cleaned(outside, BeyondImage::Keep), Cleaned::Sound);
    }

    #[test]
    fn a_box_of_less_than_a_pixel_is_kept_and_said() {
        let speck = Cleaned::Changed(BoxFault::Speck, BoxAction::Kept);
        for corners in [[0.25, 0.3, 0.66, 0.77], [3.0, 4.0, 9.0, 4.5]] {
            assert_eq!(cleaned(corners, BeyondImage::Clip), speck, "{corners:?}");
        }
        assert_eq!(
            cleaned([3.0, 4.0, 4.0, 5.0], BeyondImage::Clip),
            Cleaned::Sound
        );
    }

    proptest! {
        #[test]
        fn what_is_left_can_be_learnt_from(
            corners in prop::array::uniform4(-30.0_f32..30.0),
            width in 1_u32..20,
            height in 1_u32..20,
        ) {
            let [x1, y1, x2, y2] = corners;
            let bbox = BoundingBox::new(x1, y1, x2, y2);
            let left = match clean(bbox, width, height, BoxPolicy::default()) {
                Cleaned::Sound | Cleaned::Changed(_, BoxAction::Kept) => Some(bbox),
                Cleaned::Changed(_, BoxAction::Clipped(to)) => Some(to),
                Cleaned::Changed(_, BoxAction::Skipped) | Cleaned::Refused(_) => None,
            };
            if let Some(left) = left {
                prop_assert!(left.is_proper());
                prop_assert_eq!(left.clip(width as f32, height as f32), left);
            }
        }
    }
}
