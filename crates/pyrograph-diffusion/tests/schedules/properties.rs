//! Properties of samplers that hold for every schedule and every number of steps.

use std::sync::Arc;

use proptest::prelude::*;
use pyrograph_diffusion::{
    BetaSchedule, DdpmVariance, ExtraNoise, FinalPoint, NoiseScheduleConfig, PredictionType,
    SamplerConfig, SamplerKind, SchedulerName, SigmaSpacing, TimestepGrid, Walk,
};

use crate::support::{PREDICTIONS, assert_close, clean_and_noise, in_f64, plan, toy_loop, values};

/// A few thousand roundings in f64, magnified by `1/√ᾱ` of up to 1e5.
const F64_LOOP: f64 = 1e-8;
const SCALED: BetaSchedule = BetaSchedule::ScaledLinear {
    beta_start: 0.00085,
    beta_end: 0.012,
};
const SPACINGS: [SigmaSpacing; 4] = [
    SigmaSpacing::Grid,
    SigmaSpacing::Karras,
    SigmaSpacing::Exponential,
    SigmaSpacing::Beta,
];

fn any_schedule() -> impl Strategy<Value = BetaSchedule> {
    use BetaSchedule::{Cosine, CourseLinear, Linear, Sigmoid};
    prop::sample::select(vec![CourseLinear, Linear, SCALED, Cosine, Sigmoid])
}

fn schedule(kind: &BetaSchedule, timesteps: usize) -> NoiseScheduleConfig {
    NoiseScheduleConfig::new(kind.clone(), timesteps)
}

/// Samplers whose steps are exact for a network that knows the noise of the sample.
fn exact_samplers(steps: usize) -> Vec<SamplerConfig> {
    use SchedulerName::{Ddim, DpmPlusPlus2M, DpmPlusPlus3M, Euler, Heun, Lms, UniPc};
    let mut samplers = vec![Ddim.config(steps)];
    for name in [DpmPlusPlus2M, DpmPlusPlus3M, Euler, Heun, Lms, UniPc] {
        for spacing in SPACINGS {
            samplers.push(name.config(steps).with_sigmas(spacing).unwrap());
        }
    }
    samplers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_network_that_knows_the_noise_recovers_the_image(
        kind in any_schedule(),
        timesteps in 1usize..200,
        share in 0.0..1.0f64,
        prediction in prop::sample::select(PREDICTIONS.to_vec()),
    ) {
        let steps = 1 + ((timesteps - 1) as f64 * share) as usize;
        let config = schedule(&kind, timesteps);
        for sampler in exact_samplers(steps) {
            let sampler = SamplerConfig { prediction_type: prediction, ..sampler };
            let plan = Arc::new(plan(&config, &sampler));
            let (x0, noise) = clean_and_noise();
            let mut walk = Walk::from_sample(plan.clone(), x0.clone(), noise.clone()).unwrap();
            while !walk.is_done() {
                // The mixture at the call, with which v = √ᾱ ε − √(1−ᾱ) x_0 agrees.
                let of = |x0: f64, noise: f64| {
                    let i = walk.position();
                    values(plan.add_noise(i, in_f64(vec![x0]), in_f64(vec![noise])).unwrap())[0]
                };
                let (signal, spread) = (of(1.0, 0.0), of(0.0, 1.0));
                let norm = signal.hypot(spread);
                let output = match prediction {
                    PredictionType::Epsilon => noise.clone(),
                    PredictionType::Sample => x0.clone(),
                    PredictionType::VPrediction => noise.clone() * (signal / norm) - x0.clone() * (spread / norm),
                };
                walk.absorb(output, None).unwrap();
            }
            for (seen, expected) in values(walk.into_sample()).into_iter().zip(values(x0)) {
                assert_close(seen, expected, F64_LOOP, &format!("{config:?} {sampler:?}"));
            }
        }
    }

    #[test]
    fn every_schedule_steps_to_finite_samples_whatever_the_number_of_steps(
        kind in any_schedule(),
        timesteps in 1usize..24,
        final_point in prop::sample::select(vec![FinalPoint::Clean, FinalPoint::TableStart]),
        eta in 0.0..=1.0f64,
    ) {
        let tilde = SamplerKind::Ddpm { variance: DdpmVariance::BetaTilde, extra_noise: ExtraNoise::On };
        let few = [1, 2, 3, timesteps / 2, timesteps - timesteps.min(1), timesteps];
        for steps in few.into_iter().filter(|steps| (1..=timesteps).contains(steps)) {
            let named = SchedulerName::ALL
                .into_iter()
                .filter(|name| *name != SchedulerName::Lcm)
                .map(|name| name.config(steps));
            let samplers = exact_samplers(steps).into_iter().chain(named).chain([
                SamplerConfig::of_kind(tilde, steps),
                SamplerConfig::ddim(steps, eta),
            ]);
            let grids = [None, Some(TimestepGrid::Leading { steps_offset: 0 }), Some(TimestepGrid::Linspace),
                Some(TimestepGrid::Trailing)];
            for (sampler, grid) in samplers.flat_map(|sampler| grids.map(|grid| (sampler, grid))) {
                let sampler = SamplerConfig { grid, final_point, ..sampler };
                let plan = plan(&schedule(&kind, timesteps), &sampler);
                let (x, noise) = clean_and_noise();
                let last = values(toy_loop(&plan, x, || noise.clone()));
                prop_assert!(last.iter().all(|x| x.is_finite()), "{kind:?} {timesteps} {sampler:?}: {last:?}");
            }
        }
    }
}
