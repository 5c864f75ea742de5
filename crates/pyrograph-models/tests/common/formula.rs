//! Weights and inputs that the fixtures' scripts compute alike; see `benches/pytorch/formula.py`.

use pyrograph_models::weights::TensorEntry;

/// The gain of a head, and the scale of an input.
const HEAD_GAIN: f64 = 0.5;
const INPUT_SCALE: f64 = 1.5;

/// Numbers in [−1, 1), a function of the key and the place.
pub(crate) fn uniform(key: &str, count: usize) -> Vec<f32> {
    let start = key.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let number = |place: u64| {
        let z = start
            .wrapping_add(place)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..count as u64).map(number).collect()
}

fn scaled(key: &str, shape: &[usize], scale: f64, offset: f32) -> TensorEntry {
    let values = uniform(key, shape.iter().product());
    let scale = scale as f32;
    TensorEntry::from_f32(
        shape.to_vec(),
        values.into_iter().map(|u| scale * u + offset).collect(),
    )
}

/// The parameter or running statistic of this published key.
pub(crate) fn parameter(key: &str, shape: &[usize]) -> TensorEntry {
    if shape.len() > 1 {
        let fan_in: usize = shape[1..].iter().product();
        let head = key.starts_with("loc.")
            || key.starts_with("conf.")
            || key.contains("head.")
            || key.contains("_headers.");
        let gain = if head { HEAD_GAIN } else { 1.0 };
        return scaled(key, shape, (6.0 / fan_in as f64).sqrt() * gain, 0.0);
    }
    match key.rsplit('.').next() {
        _ if key == "L2Norm.weight" || key == "backbone.scale_weight" => {
            scaled(key, shape, 2.0, 20.0)
        }
        Some("weight") => scaled(key, shape, 0.2, 1.0),
        Some("running_mean") => scaled(key, shape, 0.1, 0.0),
        Some("running_var") => scaled(key, shape, 0.5, 1.0),
        _ => scaled(key, shape, 0.05, 0.0),
    }
}

/// Images [batch, 3, side, side].
pub(crate) fn images(batch: usize, side: usize) -> TensorEntry {
    scaled("input", &[batch, 3, side, side], INPUT_SCALE, 0.0)
}
