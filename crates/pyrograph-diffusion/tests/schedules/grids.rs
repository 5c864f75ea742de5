//! Which timesteps each sampler visits, against published lists.

use pyrograph_diffusion::{
    BetaSchedule, DiffusionError, NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan,
    TimestepGrid,
};

use crate::support::plan;

fn stable_diffusion(config: SamplerConfig, grid: TimestepGrid) -> Vec<f64> {
    let config = SamplerConfig {
        grid: Some(grid),
        ..config
    };
    plan(&NoiseScheduleConfig::stable_diffusion(), &config)
        .timesteps()
        .collect()
}

fn solver(steps: usize, grid: TimestepGrid) -> Vec<f64> {
    stable_diffusion(SamplerConfig::dpm_solver_pp(steps), grid)
}

const LEADING: TimestepGrid = TimestepGrid::Leading { steps_offset: 1 };

#[test]
fn the_solvers_linspace_rounds_half_to_even() {
    let expected = [
        999, 959, 919, 879, 839, 799, 759, 719, 679, 639, 599, 559, 519, 480, 440, 400, 360, 320,
        280, 240, 200, 160, 120, 80, 40,
    ]
    .map(f64::from);
    assert_eq!(solver(25, TimestepGrid::Linspace), expected);
    let fifty = solver(50, TimestepGrid::Linspace);
    assert_eq!((fifty[0], fifty[1], fifty[49]), (999.0, 979.0, 20.0));
}

#[test]
fn the_solvers_leading_grid_counts_one_interval_more() {
    let of = |steps| solver(steps, LEADING);
    let (ten, twenty_five, fifty) = (of(10), of(25), of(50));
    assert_eq!((ten[0], ten[1], ten[9]), (901.0, 811.0, 91.0));
    assert_eq!(
        (twenty_five[..3].to_vec(), twenty_five[23..].to_vec()),
        (vec![951.0, 913.0, 875.0], vec![77.0, 39.0])
    );
    assert_eq!((fifty[0], fifty[1], fifty[49]), (951.0, 932.0, 20.0));
}

#[test]
fn the_trailing_grid_starts_at_the_last_timestep() {
    let trailing = solver(25, TimestepGrid::Trailing);
    assert_eq!(
        (trailing[..2].to_vec(), trailing[23..].to_vec()),
        (vec![999.0, 959.0], vec![79.0, 39.0])
    );
}

#[test]
fn ddims_leading_grid_counts_its_steps_only() {
    let five = stable_diffusion(SamplerConfig::ddim(5, 0.0), LEADING);
    assert_eq!(five, [801.0, 601.0, 401.0, 201.0, 1.0]);
}

#[test]
fn ddims_linspace_has_both_ends() {
    let ten = stable_diffusion(SamplerConfig::ddim(10, 0.0), TimestepGrid::Linspace);
    assert_eq!(
        ten,
        (0..10)
            .rev()
            .map(|i| 111.0 * f64::from(i))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_trailing_grid_never_has_a_point_too_many() {
    for steps in [61, 103, 121, 999, 1000] {
        let trailing = stable_diffusion(SamplerConfig::ddim(steps, 0.0), TimestepGrid::Trailing);
        assert_eq!((trailing.len(), trailing[0]), (steps, 999.0));
    }
}

#[test]
fn the_course_grid_walks_down_to_the_clean_image() {
    let course = NoiseScheduleConfig::course();
    let seven = plan(&course, &SamplerConfig::ddim(7, 0.0));
    assert_eq!(
        seven.timesteps().collect::<Vec<_>>(),
        [500.0, 429.0, 358.0, 287.0, 216.0, 145.0, 74.0, 3.0]
    );
    let next: Vec<_> = (0..8).map(|i| seven.next_timestep(i)).collect();
    assert_eq!(next[..2], [Some(429.0), Some(358.0)]);
    assert_eq!(next[6..], [Some(3.0), Some(0.0)]);
    assert_eq!(
        (seven.time_fraction(0), seven.time_fraction(7)),
        (1.0, 3.0 / 500.0)
    );
}

#[test]
fn other_grids_on_the_course_table_leave_out_the_clean_image() {
    let course = NoiseScheduleConfig::course();
    for grid in [
        TimestepGrid::Leading { steps_offset: 0 },
        TimestepGrid::Linspace,
        TimestepGrid::Trailing,
    ] {
        let config = SamplerConfig {
            grid: Some(grid),
            ..SamplerConfig::ddpm(500)
        };
        let timesteps: Vec<f64> = plan(&course, &config).timesteps().collect();
        let expected: Vec<f64> = (1..=500).rev().map(f64::from).collect();
        assert_eq!(timesteps, expected, "{grid:?}");
    }
}

#[test]
fn the_course_grid_is_refused_on_other_schedules() {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::ddpm()).unwrap();
    let config = SamplerConfig {
        grid: Some(TimestepGrid::Course),
        ..SamplerConfig::ddim(10, 0.0)
    };
    let refused = SamplerPlan::new(&schedule, &config).err();
    assert_eq!(
        refused,
        Some(DiffusionError::Grid {
            seen: TimestepGrid::Course
        })
    );
}

#[test]
fn an_offset_past_the_schedules_end_is_refused() {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::ddpm()).unwrap();
    for (steps, offset, timestep) in [
        (1000, 1, 1000),
        (10, 100, 1000),
        (10, usize::MAX, usize::MAX),
    ] {
        let grid = Some(TimestepGrid::Leading {
            steps_offset: offset,
        });
        let config = SamplerConfig {
            grid,
            ..SamplerConfig::ddim(steps, 0.0)
        };
        let refused = SamplerPlan::new(&schedule, &config).err();
        assert_eq!(
            refused,
            Some(DiffusionError::StepsOffset {
                offset,
                timestep,
                last: 999
            })
        );
    }
}

#[test]
fn no_steps_or_more_than_the_schedule_has_are_refused() {
    let course = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    for seen in [0, 501, usize::MAX] {
        for config in [
            SamplerConfig::ddpm(seen),
            SamplerConfig::ddim(seen, 0.0),
            SamplerConfig::dpm_solver_pp(seen),
        ] {
            let refused = SamplerPlan::new(&course, &config).err();
            assert_eq!(refused, Some(DiffusionError::Steps { seen, max: 500 }));
        }
    }
}

#[test]
fn a_schedule_of_one_timestep_has_a_plan_of_one_step() {
    let kinds = [
        BetaSchedule::CourseLinear,
        BetaSchedule::Linear,
        BetaSchedule::Cosine,
        BetaSchedule::Sigmoid,
    ];
    for kind in kinds {
        let first = f64::from(u8::from(kind == BetaSchedule::CourseLinear));
        let schedule = NoiseScheduleConfig::new(kind, 1);
        for config in [
            SamplerConfig::ddpm(1),
            SamplerConfig::ddim(1, 0.0),
            SamplerConfig::dpm_solver_pp(1),
        ] {
            assert_eq!(
                plan(&schedule, &config).timesteps().collect::<Vec<_>>(),
                [first],
                "{schedule:?} {config:?}"
            );
        }
    }
}
