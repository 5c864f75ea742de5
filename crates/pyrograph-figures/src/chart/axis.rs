//! From values to places along an axis, and the ticks on the way.

/// Ranges narrower than this, in decades, have the ticks of a linear axis on a logarithmic one.
const FEW_DECADES: f64 = 1.0;
/// Up to this many decades a logarithmic axis has ticks at 2 and 5 too.
const LABELLED_DECADES: f64 = 3.0;

/// How values spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    /// By the decimal logarithm; values have to be above zero.
    Log,
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        }
    }
}

/// A labelled value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// An axis over a range of values.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    scale: Scale,
    /// The ends in scaled units, the first below the second.
    low: f64,
    high: f64,
}

impl Axis {
    /// An axis over the values from `range.0` to `range.1`, with `headroom` (a share of the range)
    /// added at both ends. A single value gets a range around it.
    pub(super) fn new(range: (f64, f64), scale: Scale, headroom: f64) -> Self {
        let (low, high) = widened((scale.apply(range.0), scale.apply(range.1)));
        let extra = headroom * (high - low);
        Self {
            scale,
            low: low - extra,
            high: high + extra,
        }
    }

    /// Where `value` lies: 0 at the lower end, 1 at the upper.
    pub(super) fn position(&self, value: f64) -> f64 {
        (self.scale.apply(value) - self.low) / (self.high - self.low)
    }

    /// About `target` ticks at round values.
    pub(super) fn ticks(&self, target: usize) -> Vec<Tick> {
        let decades = self.high - self.low;
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, target),
            Scale::Log if decades < FEW_DECADES => {
                linear_ticks(10_f64.powf(self.low), 10_f64.powf(self.high), target)
            }
            Scale::Log => log_ticks(self.low, self.high, target),
        }
    }
}

/// The range, or one around it where it holds a single value, as far as can be told.
pub(super) fn widened((low, high): (f64, f64)) -> (f64, f64) {
    // Relative to the values, so that neither end is lost to rounding.
    let least = 1e-9 * f64::max(low.abs(), high.abs());
    if high - low > least {
        return (low, high);
    }
    let around = if low == 0.0 { 0.5 } else { 0.05 * low.abs() };
    (low - around, high + around)
}

fn linear_ticks(low: f64, high: f64, target: usize) -> Vec<Tick> {
    let step = round_step((high - low) / target.max(1) as f64);
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    // At most a few more than `target`, as the step is not below the range over the target.
    // Negative, and then 0 after the cast, where no multiple of the step lies in the range.
    let count = (last - first + 1.0) as usize;
    let largest = f64::max(first.abs(), last.abs()) * step;
    (0..count)
        .map(|index| (first + index as f64) * step)
        .map(|value| Tick {
            value,
            label: linear_label(value, step, largest),
        })
        .collect()
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0];
    // A little tolerance keeps a step that rounding has pushed just above a round value.
    let fits = |step: &f64| step * power >= least * (1.0 - 1e-9);
    steps.into_iter().find(fits).unwrap_or(10.0) * power
}

/// A label with the decimals that `step` needs, in thousands or powers of ten where that is shorter.
fn linear_label(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if largest >= 1e7 || step < 0.99e-4 {
        let digits = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 6.0);
        // Between 0 and 6; one more for the half of 2.5.
        let text = format!("{value:.*e}", digits as usize + 1);
        return shorten_exponent(&text);
    }
    if largest >= 10_000.0 && step >= 100.0 {
        return format!("{:.*}k", decimals(step / 1000.0), value / 1000.0);
    }
    format!("{value:.*}", decimals(step))
}

/// `1.50e5` as `1.5e5`, `2.0e-7` as `2e-7`.
fn shorten_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => {
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}e{exponent}")
        }
        _ => text.into(),
    }
}

/// The decimals that show a round step exactly.
fn decimals(step: f64) -> usize {
    let is_whole = |decimals: &usize| {
        // Up to 8, so it fits.
        let scaled = step * 10_f64.powi(*decimals as i32);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.abs()
    };
    (0..8).find(is_whole).unwrap_or(8)
}

/// Powers of ten, with 2 and 5 times them where there are few.
fn log_ticks(low: f64, high: f64, target: usize) -> Vec<Tick> {
    let decades = high - low;
    let every = (decades / target.max(1) as f64).ceil().max(1.0) as i32;
    let digits: &[u8] = if decades <= LABELLED_DECADES {
        &[1, 2, 5]
    } else {
        &[1]
    };
    // Exponents of drawable values, far within i32.
    let exponents = (low.floor() as i32..=high.ceil() as i32).filter(|power| power % every == 0);
    exponents
        .flat_map(|power| digits.iter().map(move |digit| format!("{digit}e{power}")))
        // Digits and an exponent always parse, exactly.
        .filter_map(|text| Some((text.parse::<f64>().ok()?, text)))
        .filter(|(value, _)| (low..=high).contains(&value.log10()))
        .map(|(value, text)| Tick {
            value,
            label: log_label(value, text),
        })
        .collect()
}

/// The value in full where that is short, else as digit and power of ten.
fn log_label(value: f64, scientific: String) -> String {
    if (1e-3..1e5).contains(&value) {
        value.to_string()
    } else {
        scientific
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(range: (f64, f64), scale: Scale, target: usize) -> Vec<String> {
        let ticks = Axis::new(range, scale, 0.0).ticks(target);
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_labels_short() {
        assert_eq!(
            labels((0.0, 1.0), Scale::Linear, 5),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels((0.0, 30_000.0), Scale::Linear, 3),
            ["0", "10k", "20k", "30k"]
        );
        assert_eq!(
            labels((0.0, 10_000.0), Scale::Linear, 4),
            ["0", "2.5k", "5.0k", "7.5k", "10.0k"]
        );
        assert_eq!(
            labels((-2.0, 2.0), Scale::Linear, 4),
            ["-2", "-1", "0", "1", "2"]
        );
        assert_eq!(
            labels((0.0, 4e-6), Scale::Linear, 4),
            ["0", "1e-6", "2e-6", "3e-6", "4e-6"]
        );
        assert_eq!(
            labels((0.0, 1e9), Scale::Linear, 4),
            ["0", "2.5e8", "5e8", "7.5e8", "1e9"]
        );
    }

    #[test]
    fn logarithmic_ticks_are_decades_with_twos_and_fives_where_there_is_room() {
        assert_eq!(
            labels((1e-3, 1e2), Scale::Log, 10),
            ["0.001", "0.01", "0.1", "1", "10", "100"]
        );
        assert_eq!(
            labels((0.01, 0.3), Scale::Log, 5),
            ["0.01", "0.02", "0.05", "0.1", "0.2"]
        );
        assert_eq!(
            labels((0.03, 0.06), Scale::Log, 3),
            ["0.03", "0.04", "0.05", "0.06"]
        );
        assert_eq!(labels((1e-8, 1e6), Scale::Log, 3), ["1e-5", "1", "1e5"]);
    }

    #[test]
    fn a_single_value_lies_in_the_middle() {
        for value in [0.0, 3.0, -1e99] {
            let axis = Axis::new((value, value), Scale::Linear, 0.1);
            assert!((axis.position(value) - 0.5).abs() < 1e-9);
        }
    }

    proptest! {
        #[test]
        fn ticks_lie_on_the_axis_and_are_not_many(
            low in -1e6_f64..1e6,
            span in 1e-3_f64..1e7,
            target in 1_usize..20,
        ) {
            let axis = Axis::new((low, low + span), Scale::Linear, 0.05);
            let ticks = axis.ticks(target);
            prop_assert!(ticks.len() <= target + 1, "{ticks:?}");
            for tick in ticks {
                let position = axis.position(tick.value);
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&position), "{tick:?}");
            }
        }

        #[test]
        fn logarithmic_axes_of_any_range_have_ticks(
            low in -100_f64..100.0,
            decades in 0_f64..200.0,
            target in 1_usize..20,
        ) {
            let high = (low + decades).min(100.0);
            let axis = Axis::new((10_f64.powf(low), 10_f64.powf(high)), Scale::Log, 0.05);
            let count = axis.ticks(target).len();
            prop_assert!(count <= 3 * target + 3, "{count}");
        }
    }
}
