//! Real sprites in the layout of the course: `$PYROGRAPH_DATA/sprites-dawnlike`, where at hand.

use pyrograph_data::SpriteSet;

fn dawnlike() -> Option<SpriteSet> {
    let Some(root) = std::env::var_os("PYROGRAPH_DATA") else {
        eprintln!("skipped: PYROGRAPH_DATA is not set");
        return None;
    };
    let folder = std::path::Path::new(&root).join("sprites-dawnlike");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(SpriteSet::open(folder, None).unwrap())
}

#[test]
fn the_set_has_the_counts_of_its_provenance() {
    let Some(set) = dawnlike() else { return };
    assert_eq!(
        (set.len(), set.side(), set.channels(), set.context_width()),
        (1807, 16, 3, 5)
    );
    assert_eq!(set.class_counts(), [144, 1131, 91, 233, 208]);
    assert_eq!(
        set.class_names(),
        ["hero", "non-hero", "food", "spell", "gear"]
    );
    assert!((0..set.len()).all(|index| set.context(index).iter().sum::<f32>() == 1.0));
    // Sprites stand on white.
    assert_eq!(set.pixels(0)[..3], [255; 3]);
}

#[test]
fn a_tenth_is_held_out_of_every_class() {
    let Some(set) = dawnlike() else { return };
    let (training, held_out) = set.split(0.1, 0).unwrap();
    assert_eq!(held_out.class_counts(), [14, 113, 9, 23, 21]);
    assert_eq!(training.len() + held_out.len(), set.len());
}
