//! Statistics of a few numbers.

/// The mean; `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    match values {
        [] => None,
        values => Some(values.iter().sum::<f64>() / values.len() as f64),
    }
}

/// The sample standard deviation, `√(Σ(x − mean)² / (n − 1))`; `None` for fewer than two values.
pub fn sample_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let middle = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The median; for an even number of values the mean of the two middle ones. `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        0 => Some(0.5 * (sorted[sorted.len() / 2 - 1] + upper)),
        _ => Some(upper),
    }
}
