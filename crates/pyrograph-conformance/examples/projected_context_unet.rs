//! A projected gradient check of the full-size ContextUnet (1.5 million parameters) in f64, with its time.
//!
//! `cargo run --release -p pyrograph-conformance --example projected_context_unet`

use std::time::Instant;

use burn::module::Module;
use pyrograph_gradcheck::{GradCheck, GradCheckError, HostTensor, Oracle, gradcheck_module};
use pyrograph_models::{blocks::BatchStatistics, context_unet::ContextUnetConfig};

fn main() -> Result<(), GradCheckError> {
    let device = Default::default();
    let config = ContextUnetConfig::default();
    let model = config
        .init::<Oracle>(&device, 1)
        .map_err(GradCheckError::function)?;
    let inputs = [
        HostTensor::normal("x", &[2, 3, 16, 16], 2),
        HostTensor::new("t", &[2], vec![0.25, 1.0])?,
        HostTensor::normal("c", &[2, 5], 3),
    ];
    let (check, start) = (GradCheck::projected(1), Instant::now());
    let report = gradcheck_module(&check, &model, &inputs, &device, |model, i| {
        let (x, t, c) = (i.tensor("x")?, i.tensor("t")?, Some(i.tensor("c")?));
        Ok(model.forward_training(x, t, c, &mut BatchStatistics::new()))
    })?;
    let (seconds, parameters) = (start.elapsed().as_secs_f64(), model.num_params());
    println!("{report}");
    println!(
        "{parameters} parameters, {} calls, {seconds:.1} s",
        report.calls
    );
    Ok(())
}
