//! Figures that others published, or that were computed once in f64, for loops with a toy model.

use pyrograph_diffusion::{
    BetaSchedule, DdpmVariance, DpmSolverConfig, ExtraNoise, FinalPoint, NoiseScheduleConfig,
    PredictionType, SamplerConfig, SamplerKind, SamplerPlan, SigmaSpacing, TimestepGrid,
};

use crate::support::torch_rng::TorchRng;
use crate::support::{
    Samples, TOY_LEN, abs_sum, assert_close, in_f64, plan, toy_loop, toy_noise, toy_sample,
};

/// Figures computed in f64 and printed to six decimals.
const PRINTED_SIX: f64 = 5.1e-7;
/// Sums that diffusers' tests state, computed there with tables and tensors in f32.
const DIFFUSERS_SUM: f64 = 2e-3;
/// Means that diffusers' tests state, to four digits.
const DIFFUSERS_MEAN: f64 = 5.1e-5;

fn no_noise() -> Samples {
    panic!("a deterministic sampler asked for noise")
}

fn loop_sum(plan: &SamplerPlan) -> f64 {
    abs_sum(toy_loop(plan, toy_sample(), no_noise))
}

/// DPM-Solver++ with diffusers' test settings: the end at `σ_min`, no lower order at the end.
fn test_solver(steps: usize, sigmas: SigmaSpacing) -> SamplerConfig {
    SamplerConfig {
        kind: SamplerKind::DpmSolver(DpmSolverConfig {
            lower_order_final: false,
            sigmas,
            ..DpmSolverConfig::default()
        }),
        final_point: FinalPoint::TableStart,
        ..SamplerConfig::dpm_solver_pp(steps)
    }
}

/// DDIM with diffusers' class defaults.
fn test_ddim() -> SamplerConfig {
    SamplerConfig {
        clip_sample: Some(1.0),
        ..SamplerConfig::ddim(10, 0.0)
    }
}

#[test]
fn ddim_on_the_course_grid_reaches_the_published_sums() {
    for (steps, expected) in [(20, 187.412838), (25, 189.308108)] {
        let plan = plan(
            &NoiseScheduleConfig::course(),
            &SamplerConfig::ddim(steps, 0.0),
        );
        assert_eq!(plan.len(), steps);
        assert_close(
            loop_sum(&plan),
            expected,
            PRINTED_SIX,
            "DDIM on the course grid",
        );
    }
}

#[test]
fn ancestral_sampling_without_noise_collapses_to_the_published_sum() {
    let mut config = SamplerConfig::ddpm(500);
    let course = NoiseScheduleConfig::course();
    let zeros = || in_f64(vec![0.0; TOY_LEN]);
    let seen = abs_sum(toy_loop(&plan(&course, &config), toy_sample(), zeros));
    assert_close(seen, 8.360403, PRINTED_SIX, "z = 0");

    config.kind = SamplerKind::Ddpm {
        variance: DdpmVariance::Beta,
        extra_noise: ExtraNoise::Off,
    };
    assert_close(
        loop_sum(&plan(&course, &config)),
        8.360403,
        PRINTED_SIX,
        "extra noise off",
    );
}

#[test]
fn ddim_reaches_the_sums_of_diffusers_tests() {
    let ddpm = NoiseScheduleConfig::ddpm();
    let from_one_percent = NoiseScheduleConfig {
        kind: BetaSchedule::LinearBetween {
            beta_start: 0.01,
            beta_end: 0.02,
        },
        ..ddpm.clone()
    };
    let v = SamplerConfig {
        prediction_type: PredictionType::VPrediction,
        ..test_ddim()
    };
    let table_start = SamplerConfig {
        final_point: FinalPoint::TableStart,
        ..test_ddim()
    };
    let cases = [
        ("epsilon", ddpm.clone(), test_ddim(), 172.0067),
        ("v", ddpm, v, 52.5302),
        ("alpha one", from_one_percent.clone(), test_ddim(), 149.8295),
        ("no alpha one", from_one_percent, table_start, 149.0784),
    ];
    for (name, schedule, config, expected) in cases {
        assert_close(
            loop_sum(&plan(&schedule, &config)),
            expected,
            DIFFUSERS_SUM,
            name,
        );
    }
}

#[test]
fn a_partial_ddim_run_reaches_the_sum_of_diffusers_tests() {
    let plan = plan(&NoiseScheduleConfig::ddpm(), &test_ddim());
    let plan = plan.tail(8).unwrap();
    let start = plan.add_noise(0, toy_sample(), toy_noise()).unwrap();
    let seen = abs_sum(toy_loop(&plan, start, no_noise));
    assert_close(seen, 354.5418, DIFFUSERS_SUM, "from step 8");
}

#[test]
fn a_full_ddpm_run_with_torchs_noise_reaches_the_sums_of_diffusers_tests() {
    for (prediction_type, expected) in [
        (PredictionType::Epsilon, 258.9606),
        (PredictionType::VPrediction, 202.0296),
    ] {
        let config = SamplerConfig {
            kind: SamplerKind::Ddpm {
                variance: DdpmVariance::BetaTilde,
                extra_noise: ExtraNoise::On,
            },
            prediction_type,
            clip_sample: Some(1.0),
            ..SamplerConfig::ddpm(1000)
        };
        // diffusers' sample is laid out with the batch of four innermost, its noise outermost.
        let batch_outermost =
            |k: usize| (k % (TOY_LEN / 4) * 4 + k / (TOY_LEN / 4)) as f64 / TOY_LEN as f64;
        let sample = in_f64((0..TOY_LEN).map(batch_outermost).collect());
        let mut rng = TorchRng::new(0);
        let plan = plan(&NoiseScheduleConfig::ddpm(), &config);
        let seen = abs_sum(toy_loop(&plan, sample, || in_f64(rng.randn(TOY_LEN))));
        assert_close(seen, expected, DIFFUSERS_SUM, "1000 ancestral steps");
    }
}

#[test]
fn the_solver_reaches_the_means_of_diffusers_tests() {
    let ddpm = NoiseScheduleConfig::ddpm();
    let v = |config| SamplerConfig {
        prediction_type: PredictionType::VPrediction,
        ..config
    };
    let cases = [
        ("epsilon", test_solver(10, SigmaSpacing::Grid), 0.3301),
        ("v", v(test_solver(10, SigmaSpacing::Grid)), 0.2251),
        // diffusers' own test states 0.2096 and allows 1e-3; in f64 it is 0.20920.
        (
            "v with karras",
            v(test_solver(10, SigmaSpacing::Karras)),
            0.20920,
        ),
    ];
    for (name, config, expected) in cases {
        let seen = loop_sum(&plan(&ddpm, &config)) / TOY_LEN as f64;
        assert_close(seen, expected, DIFFUSERS_MEAN, name);
    }
}

#[test]
fn a_partial_run_of_the_solver_reaches_the_mean_of_diffusers_tests() {
    let plan = plan(
        &NoiseScheduleConfig::ddpm(),
        &test_solver(10, SigmaSpacing::Grid),
    );
    let plan = plan.tail(5).unwrap();
    let start = plan.add_noise(0, toy_sample(), toy_noise()).unwrap();
    let seen = abs_sum(toy_loop(&plan, start, no_noise)) / TOY_LEN as f64;
    assert_close(seen, 0.4146, DIFFUSERS_MEAN, "from step 5");
}

fn stable_diffusion(config: SamplerConfig, prediction_type: PredictionType) -> f64 {
    let config = SamplerConfig {
        prediction_type,
        ..config
    };
    loop_sum(&plan(&NoiseScheduleConfig::stable_diffusion(), &config))
}

#[test]
fn the_solver_reaches_the_published_sums_of_stable_diffusion_with_v_prediction() {
    let v = PredictionType::VPrediction;
    let ends = [
        (10, 76.767021, 81.261822),
        (25, 83.663898, 98.716361),
        (50, 85.332375, 92.594173),
    ];
    for (steps, zero, sigma_min) in ends {
        let config = SamplerConfig::dpm_solver_pp(steps);
        assert_close(stable_diffusion(config, v), zero, PRINTED_SIX, "zero");
        let config = SamplerConfig {
            final_point: FinalPoint::TableStart,
            ..config
        };
        assert_close(
            stable_diffusion(config, v),
            sigma_min,
            PRINTED_SIX,
            "sigma_min",
        );
    }
    let config = test_solver(10, SigmaSpacing::Grid);
    assert_close(
        stable_diffusion(config, v),
        131.710125,
        PRINTED_SIX,
        "no lower order at the end",
    );
    let config = SamplerConfig::dpm_solver_pp(25)
        .with_sigmas(SigmaSpacing::Karras)
        .unwrap();
    assert_close(
        stable_diffusion(config, v),
        93.068882,
        PRINTED_SIX,
        "karras",
    );
}

#[test]
fn the_solver_reaches_the_published_sums_of_stable_diffusion_base() {
    let epsilon = PredictionType::Epsilon;
    let leading = Some(TimestepGrid::Leading { steps_offset: 1 });
    for (steps, zero, sigma_min, with_leading) in [
        (25, 191.597153, 208.705549, 191.789103),
        (50, 193.915493, 204.572024, 194.001899),
    ] {
        let config = SamplerConfig::dpm_solver_pp(steps);
        assert_close(stable_diffusion(config, epsilon), zero, PRINTED_SIX, "zero");
        let to_table = SamplerConfig {
            final_point: FinalPoint::TableStart,
            ..config
        };
        assert_close(
            stable_diffusion(to_table, epsilon),
            sigma_min,
            PRINTED_SIX,
            "sigma_min",
        );
        let from_leading = SamplerConfig {
            grid: leading,
            ..config
        };
        assert_close(
            stable_diffusion(from_leading, epsilon),
            with_leading,
            PRINTED_SIX,
            "leading",
        );
    }
}

#[test]
fn ddim_reaches_the_published_sums_of_stable_diffusion() {
    for (steps, expected) in [(25, 81.210517), (50, 85.323878)] {
        let config = SamplerConfig {
            grid: Some(TimestepGrid::Leading { steps_offset: 1 }),
            final_point: FinalPoint::TableStart,
            ..SamplerConfig::ddim(steps, 0.0)
        };
        let seen = stable_diffusion(config, PredictionType::VPrediction);
        assert_close(seen, expected, PRINTED_SIX, "DDIM");
    }
}
