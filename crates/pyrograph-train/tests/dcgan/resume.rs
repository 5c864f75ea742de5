//! Stopping and going on.

use pyrograph_train::TrainError;

use crate::common::{Notes, Run, assert_same_weights, digits, every_kind, tiny};

#[test]
fn a_resumed_run_takes_the_steps_of_an_unbroken_one_to_the_bit() {
    for (name, config) in every_kind(5) {
        let whole = Run::new(&config);
        let unbroken = whole.train(&config, &mut ()).expect(name);
        let broken = Run::new(&config);
        let stop = &mut Notes {
            stop_after: Some(2),
            ..Notes::default()
        };
        let first = broken.train(&config, stop).expect(name);
        assert_eq!((first.steps, first.interrupted), (2, true), "{name}");
        let second = broken.train(&config, &mut ()).expect(name);
        assert_eq!((second.steps, second.interrupted), (5, false), "{name}");
        assert_eq!(whole.log(), broken.log(), "{name}");
        assert_same_weights(&unbroken.generator, &second.generator);
        assert_same_weights(&unbroken.discriminator, &second.discriminator);
    }
}

#[test]
fn other_data_another_seed_and_other_networks_are_refused() {
    let config = tiny(2);
    let run = Run::new(&config);
    run.train(&config, &mut ()).expect("legal");
    let other = digits().head(20).expect("fewer");
    let device = Default::default();
    let error = pyrograph_train::dcgan::train_dcgan::<crate::common::A>(
        &config,
        &other,
        &run.folder,
        &mut (),
        &device,
    );
    let error = error.expect_err("refused");
    assert!(matches!(error, TrainError::DataChanged { .. }), "{error}");
    let mut seeded = tiny(4);
    seeded.seed = 12;
    let message = run
        .train(&seeded, &mut ())
        .expect_err("refused")
        .to_string();
    assert!(message.contains("seed 11"), "{message}");
    let mut wider = tiny(4);
    wider.model.width = 6;
    let message = run.train(&wider, &mut ()).expect_err("refused").to_string();
    assert!(
        message.contains("width: 4") && message.contains("width: 6"),
        "{message}"
    );
}
