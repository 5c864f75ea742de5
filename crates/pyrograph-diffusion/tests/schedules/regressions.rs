//! Mistakes that other implementations made.

use std::sync::Arc;

use pyrograph_diffusion::{
    DdpmVariance, FinalPoint, NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerKind,
    SchedulerName, SigmaSpacing, Walk,
};

use crate::support::{assert_close, clean_and_noise, in_f64, plan, toy_loop, values};

fn stable_diffusion() -> NoiseScheduleConfig {
    NoiseScheduleConfig::stable_diffusion()
}

#[test]
fn one_step_is_possible_with_every_sampler_and_spacing() {
    for name in SchedulerName::ALL {
        for spacing in [SigmaSpacing::Grid, SigmaSpacing::Karras, SigmaSpacing::Beta] {
            let Ok(config) = name.config(1).with_sigmas(spacing) else {
                continue;
            };
            let plan = plan(&stable_diffusion(), &config);
            assert_eq!(plan.len(), 1, "{name}");
            let (x, noise) = clean_and_noise();
            let last = values(toy_loop(&plan, x, || noise.clone()));
            assert!(last.iter().all(|x| x.is_finite()), "{name}: {last:?}");
        }
    }
}

#[test]
fn the_last_step_to_no_noise_returns_the_prediction_and_adds_nothing() {
    for name in SchedulerName::ALL {
        for spacing in [SigmaSpacing::Grid, SigmaSpacing::Karras] {
            let Ok(config) = name.config(6).with_sigmas(spacing) else {
                continue;
            };
            // These have last steps of their own; LMS extrapolates to its last sample.
            if matches!(
                name,
                SchedulerName::Pndm | SchedulerName::Lcm | SchedulerName::Ddpm | SchedulerName::Lms
            ) {
                continue;
            }
            let whole = plan(&stable_diffusion(), &config);
            let (x, noise) = clean_and_noise();
            let mut walk = Walk::from_noise(Arc::new(whole), x);
            let mut predicted = None;
            while let Some((input, t)) = walk.input() {
                let output = input * (t / 1100.0) + 0.1;
                predicted = Some(values(walk.predict_x0(output.clone()).unwrap()));
                let noise = walk.needs_noise().then(|| noise.clone());
                let is_last = walk.position() + 1 == walk.plan().len();
                assert!(
                    !(is_last && noise.is_some()),
                    "{name} adds noise at its end"
                );
                walk.absorb(output, noise).unwrap();
            }
            for (seen, expected) in values(walk.into_sample())
                .into_iter()
                .zip(predicted.unwrap())
            {
                assert_close(seen, expected, 1e-9, name.as_str());
            }
        }
    }
}

#[test]
fn the_end_of_ddim_is_the_one_that_was_asked_for() {
    // ᾱ' below the table is 1 or the table's first, never the entry of timestep 0 by clamping alone.
    let schedule = NoiseSchedule::new(&stable_diffusion()).unwrap();
    for (final_point, alpha_cumprod) in [
        (FinalPoint::Clean, 1.0),
        (FinalPoint::TableStart, schedule.alpha_cumprod(0).unwrap()),
    ] {
        let config = SamplerConfig {
            final_point,
            ..SamplerConfig::ddim(10, 0.0)
        };
        let last = Arc::new(plan(&stable_diffusion(), &config).tail(9).unwrap());
        let mut walk = Walk::from_sample(last, in_f64(vec![0.5]), in_f64(vec![-2.0])).unwrap();
        walk.absorb(in_f64(vec![-2.0]), None).unwrap();
        let expected = alpha_cumprod.sqrt() * 0.5 - (1.0 - alpha_cumprod).sqrt() * 2.0;
        assert_close(values(walk.into_sample())[0], expected, 1e-12, "the end");
    }
}

#[test]
fn clipping_is_optional_and_acts_on_the_prediction() {
    let clipped = SamplerConfig {
        clip_sample: Some(1.0),
        ..SamplerConfig::ddim(10, 0.0)
    };
    let predict = |config: &SamplerConfig| {
        let walk = Walk::new(
            Arc::new(plan(&stable_diffusion(), config)),
            in_f64(vec![30.0]),
        );
        values(walk.predict_x0(in_f64(vec![0.0])).unwrap())[0]
    };
    assert!(predict(&SamplerConfig::ddim(10, 0.0)) > 30.0);
    assert_eq!(predict(&clipped), 1.0);
}

#[test]
fn ddpm_adds_the_noise_of_the_last_step_only_where_a_timestep_is_left_below() {
    let kind = SamplerKind::Ddpm {
        variance: DdpmVariance::Beta,
        extra_noise: Default::default(),
    };
    let needs = |grid| {
        let config = SamplerConfig {
            grid: Some(grid),
            ..SamplerConfig::of_kind(kind, 10)
        };
        plan(&stable_diffusion(), &config).needs_noise(9)
    };
    use pyrograph_diffusion::TimestepGrid::{Leading, Linspace, Trailing};
    assert!(!needs(Leading { steps_offset: 0 }) && !needs(Linspace));
    assert!(needs(Leading { steps_offset: 1 }) && needs(Trailing));
}
