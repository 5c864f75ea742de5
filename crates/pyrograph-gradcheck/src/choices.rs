//! Which slope autodiff may choose where a function bends.
//!
//! Where an output bends, autodiff takes one of its one-sided slopes, as ReLU's 0 does, or their
//! mean, as that of |x|. Any other number between them may be an accident.

use crate::slopes::{Base, Sides};

/// Outputs that bend at once, whose choices are tried in all combinations.
const COMBINED: usize = 6;

/// The one-sided slopes of the outputs that bend, and what the others have between theirs.
pub(crate) struct Bends {
    /// `None` where too many bend to try all.
    pairs: Option<Vec<[f64; 2]>>,
    /// The mean slope of the outputs that do not bend.
    smooth: f64,
    /// By how much curvature leaves that open.
    open: f64,
}

impl Bends {
    /// An output bends where its one-sided slopes differ by more than `threshold`.
    pub(crate) fn of(base: Base<'_>, sides: &Sides, threshold: f64) -> Self {
        let (mut pairs, mut smooth, mut open) = (Vec::new(), 0.0, 0.0);
        for (j, weight) in base.cotangent.iter().enumerate() {
            let up = weight * (sides.plus[j] - base.values[j]) / sides.up;
            let down = weight * (base.values[j] - sides.minus[j]) / sides.down;
            if (up - down).abs() <= threshold {
                smooth += f64::midpoint(up, down);
                open += (up - down).abs() / 2.0;
            } else if pairs.len() <= COMBINED {
                pairs.push([up, down]);
            }
        }
        Self {
            pairs: (pairs.len() <= COMBINED).then_some(pairs),
            smooth,
            open,
        }
    }
}

/// Whether `analytic` is one of `whole`, or what the bending outputs give together when each takes
/// one of its slopes.
pub(crate) fn settles_on_a_choice(
    analytic: f64,
    whole: [f64; 3],
    bends: &Bends,
    slack: f64,
) -> bool {
    if whole.iter().any(|slope| (analytic - slope).abs() <= slack) {
        return true;
    }
    let Some(pairs) = &bends.pairs else {
        return false;
    };
    let mut sums = vec![bends.smooth];
    for pair in pairs {
        sums = sums
            .iter()
            .flat_map(|sum| pair.map(|slope| sum + slope))
            .collect();
    }
    let slack = slack + bends.open;
    sums.iter().any(|sum| (analytic - sum).abs() <= slack)
}
