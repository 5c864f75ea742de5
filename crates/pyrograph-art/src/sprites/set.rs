//! Drawn sprites as a set.

use pyrograph_data::{DataError, SpriteSet};

use super::{SPRITE_SIDE, SpriteClass, sprite_set};

/// `count` sprites, no two of them equal, with the five classes in turn. The same arguments give
/// the same set everywhere.
///
/// # Errors
/// [`DataError::Parts`] for a count of 0, [`DataError::TooManySprites`] for a count above the
/// number that can be drawn without a repeat (more than 20 000).
pub fn sprites(count: usize, seed: u64) -> Result<SpriteSet, DataError> {
    let sprites = sprite_set(count, seed);
    if sprites.len() < count {
        return Err(DataError::TooManySprites {
            seen: count,
            allowed: sprites.len(),
        });
    }
    let mut pixels = Vec::with_capacity(sprites.len() * size_of::<[u8; 768]>());
    let mut contexts = Vec::with_capacity(sprites.len() * SpriteClass::ALL.len());
    for (class, sprite) in sprites {
        pixels.extend(sprite);
        contexts.extend(SpriteClass::ALL.map(|other| if other == class { 1.0 } else { 0.0 }));
    }
    let names = SpriteClass::ALL.map(|class| class.name().to_owned()).into();
    SpriteSet::new(pixels, SPRITE_SIDE, 3, contexts, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_has_five_classes_in_turn() {
        let set = sprites(12, 3).unwrap();
        assert_eq!((set.len(), set.side(), set.channels()), (12, 16, 3));
        assert_eq!(set.class_counts(), [3, 3, 2, 2, 2]);
        assert_eq!(set.class_names()[1], "non-hero");
        assert_eq!(set.context(6), [0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(set, sprites(12, 3).unwrap());
        assert_ne!(set, sprites(12, 4).unwrap());
        let error = sprites(0, 3).unwrap_err();
        assert!(
            matches!(error, DataError::Parts { .. }) && error.to_string().contains("0 where"),
            "{error}"
        );
    }
}
