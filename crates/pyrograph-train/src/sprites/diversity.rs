//! How varied samples of a class are, beside real images of it.

use pyrograph_metrics::{MetricsError, mean_pairwise_distance};

/// Items of a class whose pairs are measured; the cost grows with their square.
const MAX_ITEMS: usize = 200;

/// The mean distances between two real images: of each class, and of all.
#[derive(Clone, Debug)]
pub(super) struct ClassSpread {
    dim: usize,
    /// None for a class with fewer than two images.
    of_classes: Vec<Option<f64>>,
    of_any: Option<f64>,
}

impl ClassSpread {
    /// Measures images of `dim` values with their classes.
    pub(super) fn new(images: &[f32], classes: &[usize], dim: usize) -> Result<Self, MetricsError> {
        let count = classes.iter().max().map_or(0, |most| most + 1);
        let of_class = |class| spread(images, dim, |item| classes[item] == class);
        Ok(Self {
            dim,
            of_classes: (0..count).map(of_class).collect::<Result<_, _>>()?,
            of_any: spread(images, dim, |_| true)?,
        })
    }

    /// The same images as one class.
    pub(super) fn of_all(&self) -> Self {
        Self {
            of_classes: vec![self.of_any],
            ..self.clone()
        }
    }

    /// The distance between two samples of a class over that of two real images, the mean over the
    /// classes that have two of both; none where no class has.
    pub(super) fn diversity(
        &self,
        samples: &[f32],
        classes: &[usize],
    ) -> Result<Option<f64>, MetricsError> {
        let mut ratios = Vec::new();
        for (class, real) in self.of_classes.iter().enumerate() {
            let seen = spread(samples, self.dim, |item| classes[item] == class)?;
            if let (Some(seen), Some(real)) = (seen, real.filter(|real| *real > 0.0)) {
                ratios.push(seen / real);
            }
        }
        let count = ratios.len() as f64;
        Ok((!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / count))
    }
}

/// The mean distance between two of the chosen items, evenly spaced ones where there are many.
fn spread(
    values: &[f32],
    dim: usize,
    is_chosen: impl Fn(usize) -> bool,
) -> Result<Option<f64>, MetricsError> {
    let items: Vec<_> = (0..values.len() / dim)
        .filter(|&item| is_chosen(item))
        .collect();
    if items.len() < 2 {
        return Ok(None);
    }
    let count = items.len().min(MAX_ITEMS);
    let chosen = (0..count).map(|place| items[place * items.len() / count]);
    let chosen: Vec<f32> = chosen
        .flat_map(|item| &values[item * dim..(item + 1) * dim])
        .copied()
        .collect();
    mean_pairwise_distance(&chosen, dim).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes of two-dimensional items: far apart from each other, 1 and 2 wide.
    const IMAGES: [f32; 8] = [0.0, 0.0, 1.0, 0.0, 9.0, 9.0, 9.0, 11.0];
    const CLASSES: [usize; 4] = [0, 0, 1, 1];

    #[test]
    fn diversity_is_that_within_classes() {
        let spread = ClassSpread::new(&IMAGES, &CLASSES, 2).expect("legal");
        let of = |samples: &[f32]| spread.diversity(samples, &CLASSES).expect("legal");
        assert_eq!(of(&IMAGES), Some(1.0));
        // All of a class alike, though the classes differ: collapsed.
        assert_eq!(of(&[0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0]), Some(0.0));
        // Half as wide in the first, as wide in the second.
        assert_eq!(of(&[0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 2.0, 0.0]), Some(0.75));
    }

    #[test]
    fn a_class_of_one_has_no_diversity() {
        let spread = ClassSpread::new(&IMAGES, &CLASSES, 2).expect("legal");
        assert_eq!(spread.diversity(&IMAGES[..2], &[0]), Ok(None));
        let alone = ClassSpread::new(&IMAGES[..4], &[0, 1], 2).expect("legal");
        assert_eq!(alone.diversity(&IMAGES, &CLASSES), Ok(None));
        // Without classes the two count as one set.
        assert_eq!(
            alone.of_all().diversity(&IMAGES[..4], &[0, 0]),
            Ok(Some(1.0))
        );
    }
}
