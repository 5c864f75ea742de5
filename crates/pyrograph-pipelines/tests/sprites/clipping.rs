//! Sampling on schedules that end in pure noise.

use pyrograph_diffusion::{
    BetaSchedule, DiffusionCard, NoiseScheduleConfig, PredictionType, SamplerConfig, SchedulerName,
};
use pyrograph_pipelines::sprites::{Clipping, Moments, SpriteRequest};

use crate::common::{assert_close, pipeline, pipeline_of, request, sample};

/// Ten timesteps whose last leaves hardly any signal.
fn cosine() -> DiffusionCard {
    DiffusionCard {
        schedule: NoiseScheduleConfig::new(BetaSchedule::Cosine, 10),
        ..DiffusionCard::course()
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn a_cosine_model_is_clipped_unless_told_otherwise() {
    let pipeline = pipeline_of(cosine());
    for name in [
        SchedulerName::Ddpm,
        SchedulerName::Ddim,
        SchedulerName::DpmPlusPlus2M,
        SchedulerName::Euler,
    ] {
        let usual = request(name.config(5), 2);
        let samples = sample(&pipeline, &usual);
        assert!(largest(&samples.values) <= 1.0 + 1e-5, "{name}");
        assert_eq!(samples.beyond_range(), None, "{name}");
        // By hand it is the same, and without it is not.
        let by_hand = SamplerConfig {
            clip_sample: Some(1.0),
            ..name.config(5)
        };
        let clipped = SpriteRequest {
            clipping: Clipping::AsConfigured,
            ..request(by_hand, 2)
        };
        assert_eq!(samples, sample(&pipeline, &clipped), "{name}");
        let off = SpriteRequest {
            clipping: Clipping::AsConfigured,
            ..usual
        };
        let off = sample(&pipeline, &off);
        assert!(largest(&off.values) > 10.0, "{name}");
        let beyond = off.beyond_range().expect("confetti");
        assert_eq!((beyond.images, beyond.of), (2, 2), "{name}");
        assert_eq!(beyond.largest, largest(&off.values));
    }
}

#[test]
fn the_rules_say_what_is_clipped_by_default() {
    let clipped = pipeline_of(cosine());
    let ddpm = SamplerConfig::ddpm(10);
    assert_eq!(clipped.rules().clip_by_default(&ddpm), Some(1.0));
    let bounded = SamplerConfig {
        clip_sample: Some(2.0),
        ..ddpm
    };
    assert_eq!(clipped.rules().clip_by_default(&bounded), None);
    assert_eq!(pipeline().rules().clip_by_default(&ddpm), None);
    let velocity = pipeline_of(DiffusionCard {
        prediction_type: PredictionType::VPrediction,
        ..cosine()
    });
    assert_eq!(velocity.rules().clip_by_default(&ddpm), None);
}

#[test]
fn the_course_is_sampled_as_it_always_was() {
    let usual = request(SamplerConfig::ddim(5, 0.0), 2);
    let unclipped = SpriteRequest {
        clipping: Clipping::AsConfigured,
        ..usual.clone()
    };
    assert_eq!(sample(&pipeline(), &usual), sample(&pipeline(), &unclipped));
}

#[test]
fn a_walk_of_a_server_is_clipped_too() {
    let pipeline = pipeline_of(cosine());
    let request = request(SamplerConfig::ddim(5, 0.0), 2);
    let mut walk = pipeline.begin(&request).expect("legal");
    while !walk.is_done() {
        pipeline.advance(&mut [&mut walk]).expect("steps left");
    }
    let walked = pipeline.finish(walk).expect("finite");
    assert_close(&walked.values, &sample(&pipeline, &request).values, 1e-6);
}

#[test]
fn moments_are_kept_after_steps_whatever_the_batch() {
    let pipeline = pipeline();
    let whole = SpriteRequest {
        moments: Some(Moments::Course),
        ..request(SamplerConfig::ddim(20, 0.0), 3)
    };
    let parts = SpriteRequest {
        batch_size: 2,
        ..whole.clone()
    };
    let samples = sample(&pipeline, &whole);
    let seen: Vec<_> = samples.frames.iter().map(|f| f.timestep).collect();
    assert_eq!(
        seen,
        [500.0, 400.0, 300.0, 200.0, 100.0, 25.0].map(Some).to_vec()
    );
    let last = samples.frames.last().expect("the end");
    assert_eq!(last.values, samples.values);
    assert_eq!(last.signal, 1.0);
    for (a, b) in samples.frames.iter().zip(&sample(&pipeline, &parts).frames) {
        assert_eq!(a.step, b.step);
        assert_close(&a.values, &b.values, 1e-4);
    }
    // A moment is the sample after its step: what a shorter run of the same walk holds.
    let mut walk = pipeline.begin(&whole).expect("legal");
    pipeline.advance(&mut [&mut walk]).expect("steps left");
    let first: Vec<f32> = walk.sample().into_data().iter::<f32>().collect();
    assert_close(&samples.frames[0].values, &first, 1e-6);
}
