//! The figures of COCO's evaluation.

/// The number of figures in [`CocoFigures`].
pub(super) const FIGURES: usize = 12;

/// The figures of a detector by COCO's rules.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoReport {
    /// The means over the classes that have the figure.
    pub mean: CocoFigures,
    /// The figures of each class.
    pub classes: Vec<CocoClass>,
}

/// The figures of a detector on one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CocoClass {
    /// The number of objects, without crowds and difficult ones.
    pub truths: usize,
    /// All detections, counted or not.
    pub detections: usize,
    /// The figures.
    pub figures: CocoFigures,
}

/// The twelve figures of COCO's evaluation, all in [0, 1].
///
/// A figure is `None` if there are no objects, for which pycocotools gives −1. Small objects have
/// an area of up to 32² square pixels, large objects at least 96², medium objects lie between.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CocoFigures {
    /// The average precision, averaged over overlaps of at least 0.5, 0.55, … 0.95.
    pub ap: Option<f64>,
    /// The average precision at an overlap of at least 0.5.
    pub ap50: Option<f64>,
    /// The average precision at an overlap of at least 0.75.
    pub ap75: Option<f64>,
    /// As `ap`, of small objects.
    pub ap_small: Option<f64>,
    /// As `ap`, of medium objects.
    pub ap_medium: Option<f64>,
    /// As `ap`, of large objects.
    pub ap_large: Option<f64>,
    /// The fraction of the objects that are found with at most one detection for each image and
    /// class, averaged over the same overlaps.
    pub ar_1: Option<f64>,
    /// As `ar_1`, with at most ten detections.
    pub ar_10: Option<f64>,
    /// As `ar_1`, with at most a hundred detections.
    pub ar_100: Option<f64>,
    /// As `ar_100`, of small objects.
    pub ar_small: Option<f64>,
    /// As `ar_100`, of medium objects.
    pub ar_medium: Option<f64>,
    /// As `ar_100`, of large objects.
    pub ar_large: Option<f64>,
}

impl CocoFigures {
    /// All figures in the order of their fields, which is that of pycocotools' `stats`.
    pub const fn all(&self) -> [Option<f64>; FIGURES] {
        [
            self.ap,
            self.ap50,
            self.ap75,
            self.ap_small,
            self.ap_medium,
            self.ap_large,
            self.ar_1,
            self.ar_10,
            self.ar_100,
            self.ar_small,
            self.ar_medium,
            self.ar_large,
        ]
    }

    pub(super) const fn from_all(figures: [Option<f64>; FIGURES]) -> Self {
        let [
            ap,
            ap50,
            ap75,
            ap_small,
            ap_medium,
            ap_large,
            ar_1,
            ar_10,
            ar_100,
            ar_small,
            ar_medium,
            ar_large,
        ] = figures;
        Self {
            ap,
            ap50,
            ap75,
            ap_small,
            ap_medium,
            ap_large,
            ar_1,
            ar_10,
            ar_100,
            ar_small,
            ar_medium,
            ar_large,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_order() {
        let figures: [Option<f64>; FIGURES] = std::array::from_fn(|index| Some(index as f64));
        let named = CocoFigures::from_all(figures);
        assert_eq!(named.all(), figures);
        assert_eq!((named.ap75, named.ar_10), (Some(2.0), Some(7.0)));
    }
}
