//! Figures of samples whose quality is known.

use burn_flex::Flex;
use pyrograph_data::SpriteSet;
use pyrograph_train::sprites::{SpriteJudge, SpriteReport};

use crate::common::A;

struct Judged {
    training: SpriteSet,
    held_out: SpriteSet,
    judge: SpriteJudge<Flex>,
}

/// Twelve passes over 320 sprites: enough to know the classes of most of them.
fn judged() -> Judged {
    let (training, held_out) = pyrograph_art::sprites(400, 5)
        .expect("legal")
        .split(0.2, 0)
        .expect("legal");
    let judge =
        SpriteJudge::<Flex>::new::<A>(&training, &held_out, 0, &Default::default()).expect("legal");
    Judged {
        training,
        held_out,
        judge,
    }
}

fn classes(set: &SpriteSet) -> Vec<usize> {
    (0..set.len()).map(|item| set.class_of(item)).collect()
}

#[test]
fn samples_of_known_quality_are_ranked_as_they_should_be() {
    let Judged {
        training,
        held_out,
        judge,
    } = judged();
    let judge =
        |samples: &[f32], asked: Option<&[usize]>| judge.judge(samples, asked).expect("legal");

    // Real images that the judge has not seen: what the report calls "held out".
    let real: SpriteReport = judge(&held_out.to_nchw(), Some(&classes(&held_out)));
    assert_eq!(real.samples, held_out.len());
    assert_eq!(real.sliced_wasserstein, 0.0, "a set and itself");
    assert_eq!(real.class_agreement, Some(real.class_agreement_held_out));
    assert_eq!(real.nearest_training, real.nearest_training_held_out);
    assert_eq!(real.near_copies, real.near_copies_held_out);
    // Chance is a fifth.
    assert!(real.class_agreement_held_out > 0.5, "{real:?}");

    // Copies of the training images: new they are not.
    let copies = judge(&training.to_nchw(), Some(&classes(&training)));
    assert!(copies.nearest_training < 1e-6, "{copies:?}"); // f32_op
    assert_eq!(copies.near_copies, 1.0);
    assert_eq!(
        copies.sliced_wasserstein,
        copies.sliced_wasserstein_training
    );
    assert!(
        copies.class_agreement >= Some(0.8),
        "it was trained on these: {copies:?}"
    );
    let by_class: Vec<_> = copies
        .class_agreement_by_class
        .iter()
        .map(|share| share.expect("asked for"))
        .collect();
    // The classes are of equal size here, so the whole is the mean of the parts.
    let whole = by_class.iter().sum::<f64>() / by_class.len() as f64;
    assert!(
        (whole - copies.class_agreement.expect("asked for")).abs() < 1e-9,
        "{by_class:?}"
    );

    // Copies whose least difference is beyond rounding: new to the letter.
    let shifted: Vec<f32> = training.to_nchw().iter().map(|v| v * 0.8).collect();
    let shifted = judge(&shifted, None);
    assert!(
        shifted.near_copies < 0.1 && shifted.nearest_training > 0.02,
        "{shifted:?}"
    );

    // Grey: of no class, and unlike every image.
    let grey = judge(
        &vec![0.0; held_out.to_nchw().len()],
        Some(&classes(&held_out)),
    );
    assert!(
        grey.sliced_wasserstein > 2.0 * real.sliced_wasserstein_training,
        "{grey:?}"
    );
    assert!(
        grey.nearest_training > real.nearest_training_held_out,
        "{grey:?}"
    );
    assert!(
        grey.class_agreement < Some(0.3),
        "one class fits by chance: {grey:?}"
    );
    assert_eq!(grey.near_copies, 0.0);

    // The right images under the wrong names.
    let wrong: Vec<_> = classes(&training)
        .iter()
        .map(|class| (class + 1) % training.context_width())
        .collect();
    let wrong = judge(&training.to_nchw(), Some(&wrong));
    assert!(wrong.class_agreement < Some(0.2), "{wrong:?}");
    assert_eq!(wrong.sliced_wasserstein, copies.sliced_wasserstein);

    // Nothing asked for, nothing agreed.
    let unasked = judge(&training.to_nchw(), None);
    assert!(unasked.class_agreement.is_none() && unasked.class_agreement_by_class.is_empty());
}

#[test]
fn the_judge_is_the_same_for_the_same_seed() {
    let (training, held_out) = pyrograph_art::sprites(100, 5)
        .expect("legal")
        .split(0.2, 0)
        .expect("legal");
    let report = |seed| {
        let judge = SpriteJudge::<Flex>::new::<A>(&training, &held_out, seed, &Default::default())
            .expect("legal");
        judge
            .judge(&training.to_nchw(), Some(&classes(&training)))
            .expect("legal")
    };
    assert_eq!(report(1), report(1));
}

#[test]
fn samples_and_sets_that_cannot_be_judged_are_refused() {
    let (training, held_out) = pyrograph_art::sprites(20, 5)
        .expect("legal")
        .split(0.25, 0)
        .expect("legal");
    let device = Default::default();
    let (all, none) = training.split(0.0, 0).expect("legal");
    assert!(
        SpriteJudge::<Flex>::new::<A>(&all, &none, 0, &device).is_err(),
        "nothing held out"
    );
    assert!(
        SpriteJudge::<Flex>::new::<A>(&none, &held_out, 0, &device).is_err(),
        "nothing to train on"
    );

    let judge = SpriteJudge::<Flex>::new::<A>(&training, &held_out, 0, &device).expect("legal");
    let images = held_out.to_nchw();
    let asked = classes(&held_out);
    let mut torn = images.clone();
    torn[3] = f32::NAN;
    assert!(judge.judge(&[], None).is_err(), "no samples");
    assert!(judge.judge(&images[1..], None).is_err(), "no whole images");
    assert!(judge.judge(&torn, Some(&asked)).is_err(), "not finite");
    assert!(
        judge.judge(&images, Some(&asked[1..])).is_err(),
        "fewer classes than images"
    );
    let strange: Vec<_> = asked.iter().map(|_| 5).collect();
    assert!(
        judge.judge(&images, Some(&strange)).is_err(),
        "a sixth class"
    );
    assert!(judge.judge(&images, Some(&asked)).is_ok());
}
