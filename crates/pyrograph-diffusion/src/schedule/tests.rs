//! The tables against published points, and what they refuse.

use super::*;

fn schedule(kind: BetaSchedule, timesteps: usize) -> NoiseSchedule {
    NoiseSchedule::new(&NoiseScheduleConfig::new(kind, timesteps)).unwrap()
}

fn assert_close(seen: f64, expected: f64, tolerance: f64) {
    assert!(
        (seen - expected).abs() <= tolerance,
        "{seen} is not {expected} within {tolerance}"
    );
}

#[test]
fn the_course_table_matches_the_published_points() {
    // The figures are printed to eleven digits.
    let course = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    assert_close(course.beta(1).unwrap(), 0.0001398, 1e-15);
    assert_eq!(course.alpha_cumprod(0).unwrap(), 1.0);
    for (t, expected) in [
        (1, 0.99976021398),
        (250, 0.27855975689),
        (500, 0.00628876017),
    ] {
        assert_close(course.alpha_cumprod(t).unwrap(), expected, 5.1e-12);
    }
}

#[test]
fn the_stable_diffusion_table_matches_the_published_points() {
    let sd = NoiseSchedule::new(&NoiseScheduleConfig::stable_diffusion()).unwrap();
    for (t, expected) in [
        (0, 0.99915),
        (1, 0.998296028),
        (500, 0.276332684),
        (999, 0.004660099),
    ] {
        assert_close(sd.alpha_cumprod(t).unwrap(), expected, 5.1e-10);
    }
    let sigma = |t: usize| sd.snr(t).unwrap().recip().sqrt();
    assert_close(sigma(0), 0.029167158, 5.1e-10);
    assert_close(sigma(999), 14.614641229, 5.1e-10);
}

#[test]
fn every_timestep_outside_the_table_is_refused_with_the_range_allowed() {
    let course = schedule(BetaSchedule::CourseLinear, 500);
    let expected = DiffusionError::TimestepOutOfRange {
        seen: 501,
        first: 0,
        last: 500,
    };
    assert_eq!(course.beta(501), Err(expected.clone()));
    assert_eq!(course.alpha_cumprod(501), Err(expected.clone()));
    assert_eq!(course.snr(501), Err(expected));
    let linear = schedule(BetaSchedule::Linear, 1000);
    assert_eq!(
        linear.beta(1000),
        Err(DiffusionError::TimestepOutOfRange {
            seen: 1000,
            first: 0,
            last: 999
        })
    );
}

#[test]
fn the_noisiest_timestep_is_seen_as_time_one_by_the_network() {
    for kind in [
        BetaSchedule::CourseLinear,
        BetaSchedule::Linear,
        BetaSchedule::Cosine,
        BetaSchedule::Sigmoid,
    ] {
        let schedule = schedule(kind.clone(), 40);
        assert_eq!(
            schedule.time_fraction(schedule.last_timestep() as f64),
            1.0,
            "{kind:?}"
        );
        assert_eq!(
            schedule.time_fraction(schedule.first_timestep() as f64),
            1.0 / 40.0,
            "{kind:?}"
        );
    }
}

#[test]
fn a_schedule_needs_at_least_one_timestep_and_not_billions() {
    for timesteps in [0, MAX_TIMESTEPS + 1, usize::MAX] {
        let config = NoiseScheduleConfig::new(BetaSchedule::Cosine, timesteps);
        assert!(
            matches!(NoiseSchedule::new(&config), Err(DiffusionError::Timesteps { seen, .. }) if seen == timesteps)
        );
    }
}

#[test]
fn a_schedule_that_leaves_no_signal_or_no_noise_is_refused() {
    for (beta, timesteps) in [(0.99, 1000), (1e-16, 10)] {
        let kind = BetaSchedule::LinearBetween {
            beta_start: beta,
            beta_end: beta,
        };
        let refused = NoiseSchedule::new(&NoiseScheduleConfig::new(kind, timesteps));
        assert!(
            matches!(refused, Err(DiffusionError::DegenerateSchedule { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn the_signal_falls_from_timestep_to_timestep_in_every_schedule() {
    let scaled = BetaSchedule::ScaledLinear {
        beta_start: 0.00085,
        beta_end: 0.012,
    };
    let kinds = [
        BetaSchedule::CourseLinear,
        BetaSchedule::Linear,
        scaled,
        BetaSchedule::Cosine,
        BetaSchedule::Sigmoid,
    ];
    for kind in kinds {
        for timesteps in [1, 2, 500, 1000] {
            let schedule = schedule(kind.clone(), timesteps);
            let table = schedule.alphas_cumprod();
            assert!(
                table.windows(2).all(|pair| pair[1] < pair[0]),
                "{kind:?} at T = {timesteps}"
            );
        }
    }
}
