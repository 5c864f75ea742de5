//! Properties of samplers that hold for every schedule and every number of steps.

mod support;

use proptest::prelude::*;
use pyrograph_diffusion::{
    BetaSchedule, DdpmVariance, ExtraNoise, FinalPoint, NoiseScheduleConfig, PredictionType,
    SamplerConfig, SamplerKind, SamplerState, SigmaSpacing, TimestepGrid,
};
use support::{PREDICTIONS, assert_close, clean_and_noise, in_f64, plan, toy_loop, values};

/// A few thousand roundings in f64, magnified by `1/√ᾱ` of up to 1e5.
const F64_LOOP: f64 = 1e-8;
const SCALED: BetaSchedule = BetaSchedule::ScaledLinear {
    beta_start: 0.00085,
    beta_end: 0.012,
};

fn any_schedule() -> impl Strategy<Value = BetaSchedule> {
    use BetaSchedule::{Cosine, CourseLinear, Linear, Sigmoid};
    prop::sample::select(vec![CourseLinear, Linear, SCALED, Cosine, Sigmoid])
}

fn deterministic_samplers(steps: usize) -> [SamplerConfig; 3] {
    let karras = SamplerKind::DpmSolverPlusPlus2M {
        lower_order_final: true,
        sigmas: SigmaSpacing::Karras,
    };
    [
        SamplerConfig::ddim(steps, 0.0),
        SamplerConfig::dpm_solver_pp(steps),
        SamplerConfig {
            kind: karras,
            ..SamplerConfig::dpm_solver_pp(steps)
        },
    ]
}

proptest! {
    #[test]
    fn a_network_that_knows_the_noise_recovers_the_image(
        kind in any_schedule(),
        timesteps in 1usize..400,
        share in 0.0..1.0f64,
        prediction in prop::sample::select(PREDICTIONS.to_vec()),
    ) {
        let steps = 1 + ((timesteps - 1) as f64 * share) as usize;
        let config = NoiseScheduleConfig { kind, timesteps };
        for sampler in deterministic_samplers(steps) {
            let plan = plan(&config, &SamplerConfig { prediction_type: prediction, ..sampler });
            let (x0, noise) = clean_and_noise();
            let mut x = plan.start_at(0, x0.clone(), noise.clone()).unwrap();
            let mut state = SamplerState::new();
            for i in 0..plan.len() {
                // The mixture at the start of the step, with which v = √ᾱ ε − √(1−ᾱ) x_0 agrees.
                let signal = values(plan.start_at(i, in_f64(vec![1.0]), in_f64(vec![0.0])).unwrap())[0];
                let spread = values(plan.start_at(i, in_f64(vec![0.0]), in_f64(vec![1.0])).unwrap())[0];
                let output = match prediction {
                    PredictionType::Epsilon => noise.clone(),
                    PredictionType::Sample => x0.clone(),
                    PredictionType::VPrediction => noise.clone() * signal - x0.clone() * spread,
                };
                x = plan.step(i, x, output, &mut state, None).unwrap().prev_sample;
            }
            for (seen, expected) in values(x).into_iter().zip(values(x0)) {
                assert_close(seen, expected, F64_LOOP, &format!("{config:?} {sampler:?}"));
            }
        }
    }

    #[test]
    fn advancing_equals_stepping(steps in 1usize..40, clip in prop::option::of(0.1..2.0f64)) {
        let samplers = [SamplerConfig::ddpm(steps), SamplerConfig::ddim(steps, 0.7), SamplerConfig::dpm_solver_pp(steps)];
        for sampler in samplers {
            let plan = plan(&NoiseScheduleConfig::ddpm(), &SamplerConfig { clip_sample: clip, ..sampler });
            let (_, noise) = clean_and_noise();
            let (mut stepped, mut advanced) = (noise.clone(), noise.clone());
            let (mut state, mut other) = (SamplerState::new(), SamplerState::new());
            for i in 0..plan.len() {
                let output = stepped.clone() * 0.5;
                let z = plan.needs_noise(i).then(|| noise.clone());
                stepped = plan.step(i, stepped, output.clone(), &mut state, z.clone()).unwrap().prev_sample;
                advanced = plan.advance(i, advanced, output, &mut other, z).unwrap();
            }
            prop_assert_eq!(values(stepped), values(advanced));
        }
    }

    #[test]
    fn every_schedule_steps_to_finite_samples_whatever_the_number_of_steps(
        kind in any_schedule(),
        timesteps in 1usize..60,
        final_point in prop::sample::select(vec![FinalPoint::Clean, FinalPoint::TableStart]),
        eta in 0.0..=1.0f64,
    ) {
        let tilde = SamplerKind::Ddpm { variance: DdpmVariance::BetaTilde, extra_noise: ExtraNoise::On };
        for steps in 1..=timesteps {
            let samplers = deterministic_samplers(steps).into_iter().chain([
                SamplerConfig::ddpm(steps),
                SamplerConfig { kind: tilde, ..SamplerConfig::ddpm(steps) },
                SamplerConfig::ddim(steps, eta),
            ]);
            let grids = [None, Some(TimestepGrid::Leading { steps_offset: 0 }), Some(TimestepGrid::Linspace),
                Some(TimestepGrid::Trailing)];
            for (sampler, grid) in samplers.flat_map(|sampler| grids.map(|grid| (sampler, grid))) {
                let sampler = SamplerConfig { grid, final_point, ..sampler };
                let plan = plan(&NoiseScheduleConfig { kind, timesteps }, &sampler);
                let (x, noise) = clean_and_noise();
                let last = values(toy_loop(&plan, 0, x, || noise.clone()));
                prop_assert!(last.iter().all(|x| x.is_finite()), "{kind:?} {timesteps} {sampler:?}: {last:?}");
            }
        }
    }
}
