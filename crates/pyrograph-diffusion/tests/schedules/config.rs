//! What a user writes: configurations in JSON, and numbers out of bounds.

use pyrograph_diffusion::{
    DiffusionError, NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan, TimestepGrid,
};

use crate::support::{PREDICTIONS, plan};

#[test]
fn an_eta_or_a_clipping_range_out_of_bounds_is_refused() {
    let course = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    for eta in [-0.1, 1.5, f64::NAN] {
        let refused = SamplerPlan::new(&course, &SamplerConfig::ddim(10, eta)).err();
        assert!(matches!(refused, Some(DiffusionError::Eta { .. })), "{eta}");
    }
    for clip in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let config = SamplerConfig {
            clip_sample: Some(clip),
            ..SamplerConfig::ddim(10, 0.0)
        };
        let refused = SamplerPlan::new(&course, &config).err();
        assert!(
            matches!(refused, Some(DiffusionError::ClipSample { .. })),
            "{clip}"
        );
    }
}

#[test]
fn strength_chooses_how_many_of_the_last_steps_are_walked() {
    let plan = plan(
        &NoiseScheduleConfig::stable_diffusion(),
        &SamplerConfig::ddim(50, 0.0),
    );
    let starts = [0.0, 0.01, 0.5, 0.75, 1.0].map(|strength| plan.start_index(strength).unwrap());
    assert_eq!(starts, [50, 50, 25, 13, 0]);
    assert!(matches!(
        plan.start_index(1.01),
        Err(DiffusionError::Number { .. })
    ));
    assert!(matches!(
        plan.start_index(f64::NAN),
        Err(DiffusionError::Number { .. })
    ));
}

#[test]
fn configurations_survive_json_and_unknown_keys_are_refused() {
    let config = SamplerConfig {
        grid: Some(TimestepGrid::Leading { steps_offset: 1 }),
        clip_sample: Some(1.0),
        ..SamplerConfig::dpm_solver_pp(25)
    };
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<SamplerConfig>(&json).unwrap(),
        config
    );
    let short = r#"{"kind": {"ddim": {"eta": 0.0}}, "steps": 20}"#;
    assert_eq!(
        serde_json::from_str::<SamplerConfig>(short).unwrap(),
        SamplerConfig::ddim(20, 0.0)
    );
    assert!(
        serde_json::from_str::<SamplerConfig>(r#"{"kind": {"ddim": {}}, "steps": 20, "stepz": 1}"#)
            .is_err()
    );
    assert!(
        serde_json::from_str::<SamplerConfig>(r#"{"kind": {"ddim": {"ata": 1}}, "steps": 20}"#)
            .is_err()
    );

    let schedule = NoiseScheduleConfig::stable_diffusion();
    let json = serde_json::to_string(&schedule).unwrap();
    assert_eq!(
        serde_json::from_str::<NoiseScheduleConfig>(&json).unwrap(),
        schedule
    );
    assert!(
        serde_json::from_str::<NoiseScheduleConfig>(
            r#"{"kind": "linear", "timesteps": 9, "T": 9}"#
        )
        .is_err()
    );
    let names = PREDICTIONS.map(|prediction| serde_json::to_string(&prediction).unwrap());
    assert_eq!(names, ["\"epsilon\"", "\"sample\"", "\"v_prediction\""]);
}
