//! Walks of several requests in one pass.

use pyrograph_diffusion::{SamplerConfig, SchedulerName};
use pyrograph_pipelines::sprites::{SpriteRequest, SpriteWalk};

use crate::common::{F32_OP, PIXELS, assert_close, contexts, pipeline, request, sample};

/// Requests that differ in everything that a request may differ in.
fn mixed() -> [SpriteRequest; 4] {
    let with = |sampler, count, seed, guidance| SpriteRequest {
        seed,
        guidance,
        ..request(sampler, count)
    };
    [
        with(SamplerConfig::ddpm(10), 1, 1, 1.0),
        with(SamplerConfig::ddim(4, 1.0), 2, 2, 3.0),
        with(SchedulerName::Heun.config(3), 1, 3, 0.5),
        with(SchedulerName::Euler.config(6), 3, 4, 1.0),
    ]
}

#[test]
fn a_request_sampled_with_others_is_the_request_alone() {
    let pipeline = pipeline();
    let requests = mixed();
    let begin = |request| pipeline.begin(request).expect("legal");
    let mut walks: Vec<_> = requests.iter().map(begin).collect();
    assert_eq!(
        walks.iter().map(SpriteWalk::rows).collect::<Vec<_>>(),
        [1, 4, 2, 3]
    );
    // The first two are two steps ahead of the others.
    for _ in 0..2 {
        let mut ahead: Vec<_> = walks.iter_mut().take(2).collect();
        pipeline.advance(&mut ahead).expect("steps are left");
    }
    while walks.iter().any(|walk| !walk.is_done()) {
        let mut going: Vec<_> = walks.iter_mut().filter(|walk| !walk.is_done()).collect();
        pipeline.advance(&mut going).expect("steps are left");
    }
    for (walk, request) in walks.into_iter().zip(&requests) {
        let expected = walk.expected();
        let seen = pipeline.finish(walk).expect("finite");
        let alone = sample(&pipeline, request);
        assert_eq!(seen.steps, alone.steps);
        // Rows of a pass are summed in blocks whose borders depend on their number.
        assert_close(&seen.values, &alone.values, 10.0 * F32_OP);
        assert_eq!(expected.dims(), seen.shape);
    }
}

#[test]
fn a_walk_alone_is_the_request_to_the_bit() {
    let pipeline = pipeline();
    for request in mixed() {
        let mut walk = pipeline.begin(&request).expect("legal");
        while !walk.is_done() {
            pipeline.advance(&mut [&mut walk]).expect("steps are left");
        }
        let seen = pipeline.finish(walk).expect("finite");
        assert_eq!(seen.values, sample(&pipeline, &request).values);
        assert_eq!(seen.values.len(), request.contexts.len() * PIXELS);
    }
}

#[test]
fn a_walk_that_is_done_and_a_request_that_is_not_legal_are_refused() {
    let pipeline = pipeline();
    let mut walk = pipeline
        .begin(&request(SamplerConfig::ddim(1, 0.0), 1))
        .expect("legal");
    pipeline.advance(&mut []).expect("nothing to do");
    pipeline.advance(&mut [&mut walk]).expect("the one step");
    let error = pipeline.advance(&mut [&mut walk]).expect_err("done");
    assert!(error.to_string().contains("done"), "{error}");
    let illegal = SpriteRequest::new(SamplerConfig::ddim(0, 0.0), contexts(1));
    assert!(pipeline.begin(&illegal).is_err());
}
