//! The figures on real sprites: `$PYROGRAPH_DATA/sprites-dawnlike`, where that is at hand.

use pyrograph_metrics::{SlicedWassersteinConfig, held_out_baseline, sliced_wasserstein};

const DIM: usize = 16 * 16 * 3;
/// Bytes before the pixels: the header that numpy writes for this file.
const NPY_HEADER: usize = 128;
/// Near enough to be taken for a copy.
const THRESHOLD: f32 = 0.05;

/// All sprites with values in [-1, 1], in the file's (shuffled) order.
fn sprites() -> Option<Vec<f32>> {
    let Some(root) = std::env::var_os("PYROGRAPH_DATA") else {
        eprintln!("skipped: PYROGRAPH_DATA is not set");
        return None;
    };
    let path = std::path::Path::new(&root).join("sprites-dawnlike/sprites_16x16.npy");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    Some(
        bytes[NPY_HEADER..]
            .iter()
            .map(|&byte| f32::from(byte) / 127.5 - 1.0)
            .collect(),
    )
}

#[test]
fn held_out_sprites_are_near_and_noise_is_far() {
    let Some(sprites) = sprites() else { return };
    let (held_out, training) = sprites.split_at(sprites.len() / DIM / 10 * DIM);
    let config = SlicedWassersteinConfig::default();
    let near = sliced_wasserstein(held_out, training, DIM, &config).unwrap();
    assert!((0.055..0.080).contains(&near), "{near}");

    // A grey sprite for each: all of the spread is missing.
    let grey = vec![0.0; held_out.len()];
    let far = sliced_wasserstein(&grey, training, DIM, &config).unwrap();
    assert!(far > 5.0 * near, "{far} against {near}");
    println!("sliced Wasserstein: held out {near:.4}, grey {far:.4}");
}

#[test]
fn held_out_sprites_are_no_copies_of_the_others() {
    let Some(sprites) = sprites() else { return };
    let (held_out, training) = sprites.split_at(sprites.len() / DIM / 10 * DIM);
    let summary = held_out_baseline(held_out, training, DIM, THRESHOLD).unwrap();
    println!("{summary:?}");
    // Exact duplicates were removed when the set was made.
    assert_eq!(summary.exact_copies, 0.0);
    assert!((0.05..0.6).contains(&summary.mean), "{summary:?}");
    let itself = held_out_baseline(training, training, DIM, THRESHOLD).unwrap();
    assert_eq!((itself.mean, itself.exact_copies), (0.0, 1.0));
}
