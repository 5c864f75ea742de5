//! `scheduler_config.json` as diffusers reads it, and what is refused in it.

use pyrograph_diffusion::{
    DiffusersScheduler, DiffusionError, DpmAlgorithm, FinalPoint, NoiseSchedule, PredictionType,
    SamplerConfig, SamplerKind, SamplerPlan, SchedulerName, SigmaSpacing, TimestepGrid,
};

fn read(json: &str, name: Option<&str>) -> pyrograph_diffusion::DiffusersSampler {
    let name = name.map(|name| name.parse().expect("a known name"));
    SamplerConfig::from_diffusers(json, name, 20).expect("a supported file")
}

fn refusal(key: &str, value: &str, name: &str) -> String {
    let json = format!(r#"{{"_class_name": "DDIMScheduler", "{key}": {value}}}"#);
    let name = Some(name.parse().expect("a known name"));
    let refused = SamplerConfig::from_diffusers(&json, name, 20).expect_err(&json);
    assert!(matches!(&refused, DiffusionError::SchedulerValue { key: seen, .. } if seen == key));
    refused.to_string()
}

#[test]
fn defaults_are_those_of_the_class_that_is_asked_for() {
    let file = r#"{"_class_name": "DDIMScheduler"}"#;
    let own = read(file, None);
    assert_eq!(own.sampler.clip_sample, Some(1.0));
    assert_eq!(own.sampler.final_point, FinalPoint::Clean);
    assert_eq!(
        own.sampler.grid,
        Some(TimestepGrid::Leading { steps_offset: 0 })
    );
    let solver = read(file, Some("dpm++2m")).sampler;
    assert_eq!(
        (solver.clip_sample, solver.grid),
        (None, Some(TimestepGrid::Linspace))
    );
    assert_eq!(
        read(file, Some("pndm")).sampler.final_point,
        FinalPoint::TableStart
    );
    assert_eq!(read(file, Some("lcm")).sampler.clip_sample, None);
    // The noise schedule too has defaults of its own in LCM and Heun.
    let last = |name| {
        let schedule = NoiseSchedule::new(&read(file, name).schedule).expect("legal");
        schedule.alpha_cumprod(999).expect("in range")
    };
    assert!((last(Some("lcm")) - 0.004660099).abs() < 1e-8);
    assert!((last(None) - 4.035830e-5).abs() < 1e-10);
}

#[test]
fn values_that_the_writer_took_from_its_defaults_are_not_read() {
    let file = r#"{"_class_name": "PNDMScheduler", "timestep_spacing": "leading", "steps_offset": 1,
        "_use_default_values": ["timestep_spacing"]}"#;
    assert_eq!(
        read(file, Some("dpm++2m")).sampler.grid,
        Some(TimestepGrid::Linspace)
    );
    let saved = file.replace("_use_default_values", "_unused");
    let grid = read(&saved, Some("dpm++2m")).sampler.grid;
    assert_eq!(grid, Some(TimestepGrid::Leading { steps_offset: 1 }));
}

#[test]
fn keys_that_the_class_does_not_know_are_named() {
    let file = r#"{"_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", "skip_prk_steps": true,
        "set_alpha_to_one": false, "spicing": 1}"#;
    assert_eq!(read(file, None).unknown, ["skip_prk_steps", "spicing"]);
    let unknown = read(file, Some("dpm++2m")).unknown;
    assert_eq!(unknown, ["set_alpha_to_one", "skip_prk_steps", "spicing"]);
    assert_eq!(read(file, Some("pndm")).unknown, ["spicing"]);
}

#[test]
fn a_name_sets_what_it_says_and_the_file_the_rest() {
    let file = r#"{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "use_karras_sigmas": true,
        "algorithm_type": "sde-dpmsolver++", "euler_at_final": true, "prediction_type": "v_prediction"}"#;
    let solver = |name| match read(file, name).sampler.kind {
        SamplerKind::DpmSolver(solver) => solver,
        other => panic!("{other:?}"),
    };
    assert_eq!(solver(None).order, 3);
    assert_eq!(solver(None).algorithm, DpmAlgorithm::SdePlusPlus);
    let named = solver(Some("dpm++2m"));
    assert_eq!((named.order, named.algorithm), (2, DpmAlgorithm::PlusPlus));
    assert!(named.euler_at_final && named.sigmas == SigmaSpacing::Karras);
    let euler = read(file, Some("euler")).sampler;
    let sigmas = SigmaSpacing::Karras;
    assert_eq!(euler.kind, SamplerKind::Euler { sigmas });
    assert_eq!(euler.prediction_type, PredictionType::VPrediction);
}

#[test]
fn every_sampler_can_be_built_from_stable_diffusions_file() {
    let file = r#"{"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "beta_end": 0.012, "skip_prk_steps": true, "set_alpha_to_one": false, "steps_offset": 1}"#;
    let file = DiffusersScheduler::read(file).expect("a scheduler file");
    assert_eq!(file.class_name(), "PNDMScheduler");
    for name in SchedulerName::ALL {
        for steps in [1, 2, 4, 20] {
            let plan = file.plan(Some(name), steps).expect("a plan");
            let calls = match name {
                SchedulerName::Heun => 2 * steps - 1,
                SchedulerName::Pndm if steps > 1 => steps + 1,
                _ => steps,
            };
            assert_eq!(plan.len(), calls, "{name} {steps}");
        }
    }
}

#[test]
fn values_that_are_not_supported_are_refused_by_name() {
    for (key, value, name, allowed) in [
        (
            "prediction_type",
            r#""flow_prediction""#,
            "ddim",
            "v_prediction",
        ),
        ("timestep_spacing", r#""log""#, "euler", "trailing"),
        ("timestep_spacing", "7", "euler", "a string"),
        ("beta_schedule", r#""sigmoid""#, "ddpm", "scaled_linear"),
        ("beta_start", r#""small""#, "ddpm", "a number"),
        ("steps_offset", "-1", "ddim", "whole number"),
        ("clip_sample", "1", "ddim", "true and false"),
        ("trained_betas", "[0.1, null]", "ddim", "list of numbers"),
        ("variance_type", r#""learned_range""#, "ddpm", "fixed_small"),
        ("algorithm_type", r#""dpm""#, "dpm++2m", "sde-dpmsolver++"),
        ("solver_type", r#""rk4""#, "dpm++2m", "midpoint"),
        ("solver_type", r#""bh3""#, "unipc", "bh2"),
        ("final_sigmas_type", r#""one""#, "dpm++2m", "sigma_min"),
        ("use_flow_sigmas", "true", "dpm++2m", "false"),
        ("lambda_min_clipped", "-5.1", "dpm++2m", "infinity"),
        ("predict_x0", "false", "unipc", "true"),
        ("disable_corrector", "[0]", "unipc", "empty"),
        ("interpolation_type", r#""log_linear""#, "euler", "linear"),
        ("timestep_type", r#""continuous""#, "euler", "discrete"),
        ("sigma_max", "80.0", "euler", "null"),
    ] {
        let refused = refusal(key, value, name);
        assert!(refused.contains(allowed), "{refused}");
    }
    let two =
        r#"{"_class_name": "DDIMScheduler", "use_karras_sigmas": true, "use_beta_sigmas": true}"#;
    assert!(SamplerConfig::from_diffusers(two, Some(SchedulerName::Lms), 5).is_err());
}

#[test]
fn files_without_a_class_or_of_another_class_are_refused() {
    for text in [
        "",
        "[]",
        "{",
        r#"{"beta_start": 0.1}"#,
        r#"{"_class_name": 3}"#,
    ] {
        let refused = DiffusersScheduler::read(text).expect_err(text);
        assert!(
            matches!(refused, DiffusionError::SchedulerFile { .. }),
            "{refused}"
        );
    }
    let flow = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler"}"#;
    let refused = SamplerConfig::from_diffusers(flow, None, 20).expect_err("not supported");
    assert!(
        refused.to_string().contains("EulerDiscreteScheduler"),
        "{refused}"
    );
    // Its other settings may serve a sampler that is.
    assert!(SamplerConfig::from_diffusers(flow, Some(SchedulerName::Euler), 20).is_ok());
}

#[test]
fn numbers_that_the_schedule_or_the_sampler_cannot_serve_are_refused() {
    let plan = |json: &str, name: Option<&str>, steps: usize| {
        let file = DiffusersScheduler::read(json).expect("a scheduler file");
        let name = name.map(|name| name.parse().expect("a known name"));
        file.plan(name, steps).map(|plan| plan.len())
    };
    let ddim = r#"{"_class_name": "DDIMScheduler"}"#;
    for name in SchedulerName::ALL {
        for steps in [0, 1001] {
            let refused = plan(ddim, Some(name.as_str()), steps);
            assert!(
                matches!(refused, Err(DiffusionError::Steps { .. })),
                "{name} {steps}"
            );
        }
    }
    assert_eq!(
        plan(ddim, Some("lcm"), 51),
        Err(DiffusionError::Steps { seen: 51, max: 50 })
    );
    let runge_kutta = r#"{"_class_name": "PNDMScheduler"}"#;
    let refused = plan(runge_kutta, None, 3);
    assert_eq!(
        refused,
        Err(DiffusionError::RungeKuttaSteps { seen: 3, min: 4 })
    );
    let order = r#"{"_class_name": "UniPCMultistepScheduler", "solver_order": 4}"#;
    assert!(matches!(
        plan(order, None, 5),
        Err(DiffusionError::Number { .. })
    ));
    let final_zero =
        r#"{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"}"#;
    assert!(matches!(
        plan(final_zero, None, 5),
        Err(DiffusionError::Unsupported { .. })
    ));
    let betas = r#"{"_class_name": "DDIMScheduler", "trained_betas": [0.1, 2.0]}"#;
    assert!(matches!(
        plan(betas, None, 1),
        Err(DiffusionError::TrainedBetas { .. })
    ));
    let sample =
        r#"{"_class_name": "PNDMScheduler", "skip_prk_steps": true, "prediction_type": "sample"}"#;
    assert!(matches!(
        plan(sample, None, 5),
        Err(DiffusionError::Unsupported { .. })
    ));
    let no_signal = r#"{"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true,
        "timestep_spacing": "trailing"}"#;
    assert_eq!(plan(no_signal, None, 5), Err(DiffusionError::NoSignal));
    let with_v = no_signal.replace("{", r#"{"prediction_type": "v_prediction", "#);
    assert_eq!(plan(&with_v, None, 5), Ok(5));
}

#[test]
fn a_schedule_with_zero_terminal_snr_starts_as_before_and_ends_without_signal() {
    let file = r#"{"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true}"#;
    let rescaled = NoiseSchedule::new(&read(file, None).schedule).expect("legal");
    let plain =
        NoiseSchedule::new(&read(&file.replace("true", "false"), None).schedule).expect("legal");
    let at = |schedule: &NoiseSchedule, t| schedule.alpha_cumprod(t).expect("in range");
    assert!((at(&rescaled, 0) - at(&plain, 0)).abs() < 1e-15);
    assert_eq!(at(&rescaled, 999), 0.0);
    assert_eq!(rescaled.beta(999), Ok(1.0));
    // torch, f64: rescale_zero_terminal_snr of the linear schedule, ᾱ_500.
    assert!(
        (at(&rescaled, 500) - RESCALED_500).abs() < 1e-12,
        "{}",
        at(&rescaled, 500)
    );
}

const RESCALED_500: f64 = 0.07524621570432673;

#[test]
fn a_partial_run_takes_the_timesteps_of_diffusers() {
    // get_timesteps of the image-to-image pipeline: the last ⌊n·strength⌋ steps.
    let file = DiffusersScheduler::read(r#"{"_class_name": "DDIMScheduler", "steps_offset": 1}"#)
        .expect("a scheduler file");
    let plan =
        |name: &str, steps| -> SamplerPlan { file.plan(name.parse().ok(), steps).expect("a plan") };
    let starts = |name: &str, steps, strength| {
        let tail = plan(name, steps)
            .with_strength(strength)
            .expect("a strength");
        (tail.len(), tail.timesteps().next())
    };
    assert_eq!(starts("ddim", 50, 0.8), (40, Some(781.0)));
    assert_eq!(starts("ddim", 50, 0.01), (0, None));
    assert_eq!(starts("ddim", 50, 0.0), (0, None));
    assert_eq!(starts("ddim", 10, 1.0), (10, Some(901.0)));
    // Two calls a step but for the last.
    assert_eq!(starts("heun", 10, 0.5), (9, Some(444.0)));
    assert_eq!(plan("heun", 10).with_strength(1.0).expect("all").len(), 19);
    // A tail of a tail counts from its own start.
    let tail = plan("dpm++3m", 10)
        .tail(4)
        .and_then(|tail| tail.tail(3))
        .expect("in range");
    assert_eq!(tail.len(), 3);
    assert!(plan("ddim", 10).tail(11).is_err());
    for strength in [-0.1, 1.1, f64::NAN] {
        let refused = plan("ddim", 10).with_strength(strength).err();
        assert!(matches!(refused, Some(DiffusionError::Number { .. })));
    }
}

#[test]
fn a_file_that_diffusers_saved_reads_with_its_infinities_and_nulls() {
    // As `DPMSolverMultistepScheduler.save_pretrained` of diffusers 0.42.1 writes it.
    let file = r#"{
  "_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.42.1", "algorithm_type": "dpmsolver++",
  "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "dynamic_thresholding_ratio": 0.995,
  "euler_at_final": false, "final_sigmas_type": "zero", "flow_shift": 1.0, "lambda_min_clipped": -Infinity,
  "lower_order_final": true, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "rescale_betas_zero_snr": false, "sample_max_value": 1.0, "solver_order": 2, "solver_type": "midpoint",
  "steps_offset": 0, "thresholding": false, "time_shift_type": "exponential", "timestep_spacing": "linspace",
  "trained_betas": null, "use_beta_sigmas": false, "use_dynamic_shifting": false, "use_exponential_sigmas": false,
  "use_flow_sigmas": false, "use_karras_sigmas": false, "use_lu_lambdas": false, "variance_type": null
}"#;
    assert_eq!(read(file, None).unknown, [""; 0]);
    for name in SchedulerName::ALL {
        read(file, Some(name.as_str()));
    }
}
