//! Quantiles of the symmetric beta distribution.

/// Terms of the continued fraction, far more than double precision takes.
const TERMS: usize = 300;
/// A divisor of the continued fraction is at least this large.
const TINY: f64 = 1e-300;
/// Halvings of the interval, until it is narrower than double precision tells apart.
const HALVINGS: usize = 200;

/// The `x` at which the distribution function of `Beta(shape, shape)` reaches `probability`.
pub(super) fn beta_quantile(probability: f64, shape: f64) -> f64 {
    if probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 {
        return 1.0;
    }
    if probability > 0.5 {
        return 1.0 - beta_quantile(1.0 - probability, shape);
    }
    // I_x(a, a) is 1/2 at x = 1/2; the ratio of unnormalised integrals gives the rest, without Γ.
    let half = unnormalised(0.5, shape);
    let target = 2.0 * probability * half;
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if unnormalised(middle, shape) < target {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// `∫_0^x (t(1 − t))^{a−1} dt · a` by the continued fraction (DLMF 8.17.22, modified Lentz), for
/// `x ≤ 1/2`.
fn unnormalised(x: f64, a: f64) -> f64 {
    let guard = |value: f64| {
        if value.abs() < TINY { TINY } else { value }
    };
    let (mut c, mut d) = (1.0, 1.0 / guard(1.0 - 2.0 * a * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..=TERMS {
        let m = m as f64;
        let even = m * (a - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (2.0 * a + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    (x * (1.0 - x)).powf(a) * fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_scipy() {
        // scipy.stats.beta.ppf(p, 0.6, 0.6)
        for (probability, expected) in SCIPY {
            let seen = beta_quantile(probability, 0.6);
            assert!((seen - expected).abs() < 1e-12, "{seen} at {probability}");
        }
    }

    #[test]
    fn the_arcsine_distribution_has_its_closed_form() {
        for probability in [0.01, 0.2, 0.5, 0.9] {
            let expected = (std::f64::consts::FRAC_PI_2 * probability).sin().powi(2);
            assert!((beta_quantile(probability, 0.5) - expected).abs() < 1e-13);
        }
    }

    const SCIPY: [(f64, f64); 4] = [
        (0.001, 0.0000185587385175),
        (0.1, 0.0395844055887808),
        (0.4, 0.3627009907532143),
        (0.95, 0.9874455431263885),
    ];
}
