//! Where a run's images come from, and what is held out.

use pyrograph_data::{LabelledImages, LabelledOptions, Split};
use pyrograph_train::{
    DataFingerprint, TrainError,
    dcgan::{DcganRun, ImageSource},
};

use crate::common::tiny;

fn built_in(classes: &[&str]) -> ImageSource {
    ImageSource {
        path: None,
        per_class: 10,
        classes: classes.iter().map(|&name| name.into()).collect(),
        limit: None,
        seed: 1,
        options: LabelledOptions::default(),
    }
}

fn run(source: ImageSource, held_out: f64) -> (DcganRun, LabelledImages) {
    let set = source.load(Split::Train, 16).expect("drawn");
    let run = DcganRun {
        data: source,
        fingerprint: DataFingerprint::of(&set),
        held_out,
        training: tiny(1),
    };
    (run, set)
}

#[test]
fn built_in_digits_of_the_test_split_are_others() {
    let source = built_in(&["7", "8"]);
    let train = source.load(Split::Train, 16).expect("drawn");
    let test = source.load(Split::Test, 16).expect("drawn");
    assert_eq!((train.len(), test.len()), (20, 20));
    assert_eq!((train.height(), train.width()), (16, 16));
    let known: Vec<_> = (0..20).map(|index| train.pixels(index)).collect();
    assert!((0..20).all(|index| !known.contains(&test.pixels(index))));
}

#[test]
fn what_is_held_out_and_what_is_trained_on_make_the_whole() {
    let (run, set) = run(built_in(&["7", "8"]), 0.25);
    let (training, held_out) = run.split(&set).expect("legal");
    let held_out = held_out.expect("a quarter");
    assert_eq!((training.len(), held_out.len()), (15, 5));
    let images = |set: &LabelledImages| {
        let mut images: Vec<_> = (0..set.len()).map(|i| set.pixels(i).to_vec()).collect();
        images.sort();
        images
    };
    let mut parts = [images(&training), images(&held_out)].concat();
    parts.sort();
    assert_eq!(parts, images(&set));
    assert_eq!(run.normal_names(&training), ["7", "8"]);
    // None held out, and a share that leaves nothing.
    let (none, set) = run_with(0.0);
    assert!(none.split(&set).expect("legal").1.is_none());
    let (all, set) = run_with(1.0);
    let message = all.split(&set).expect_err("refused").to_string();
    assert!(message.contains("held_out is 1"), "{message}");
}

fn run_with(held_out: f64) -> (DcganRun, LabelledImages) {
    run(built_in(&["7"]), held_out)
}

#[test]
fn other_data_than_the_run_was_begun_with_are_refused() {
    let (mut run, _) = run(built_in(&["7"]), 0.1);
    run.data.seed = 2;
    let error = run.load_data().expect_err("refused");
    assert!(matches!(error, TrainError::DataChanged { .. }), "{error}");
}

#[test]
fn classes_that_are_no_digits_and_filters_that_leave_nothing_are_refused() {
    let load = |source: ImageSource| {
        source
            .load(Split::Train, 16)
            .expect_err("refused")
            .to_string()
    };
    assert!(load(built_in(&["cat"])).contains("classes is cat"));
    let mut none = built_in(&["7"]);
    none.limit = Some(0);
    assert!(load(none).contains('0'));
    let mut more = built_in(&["7"]);
    more.limit = Some(11);
    assert!(load(more).contains("11"));
}
