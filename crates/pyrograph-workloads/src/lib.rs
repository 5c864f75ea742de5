//! What is timed, and how.
//!
//! [`workloads`] lists the operations that fill pyrograph's jobs and the steps of the jobs themselves, each ready to be run on any
//! backend. criterion (`cargo bench`), `pyrograph bench` and the comparison with PyTorch (`cargo xtask bench compare`) all take
//! this list; the operations stand in `operations.json`, which the Python side reads too.

mod dcgan;
mod half;
mod operations;
mod sprites;
mod ssd;
mod timing;

use pyrograph_backend::{Device, vision::VisionAutodiff};

pub use timing::{Timing, time};

/// A named piece of work on one device.
pub struct Workload {
    name: String,
    prepare: Box<dyn Fn() -> Work>,
}

/// Does the work once, and returns when the device is done with it.
pub type Work = Box<dyn FnMut()>;

impl Workload {
    /// `body` is made by `prepare` when the work is started, so that a list of workloads holds no tensors.
    fn new<A: VisionAutodiff, F: FnMut() + 'static>(
        name: impl Into<String>,
        device: &Device<A>,
        prepare: impl Fn(&Device<A>) -> F + 'static,
    ) -> Self {
        let device = device.clone();
        Self {
            name: name.into(),
            prepare: Box::new(move || {
                let (mut body, device) = (prepare(&device), device.clone());
                Box::new(move || {
                    body();
                    A::sync(&device).expect("the device computes");
                })
            }),
        }
    }

    /// `area/what/shape`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the inputs and hands out the work.
    pub fn start(&self) -> Work {
        (self.prepare)()
    }
}

/// Every workload on one backend: operations first, then the steps of the jobs.
pub fn workloads<A: VisionAutodiff>(device: &Device<A>) -> Vec<Workload> {
    let mut list = operations::all::<A>(device);
    list.extend(sprites::all::<A>(device));
    list.extend(dcgan::all::<A>(device));
    list.extend(ssd::all::<A>(device));
    list
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn every_workload_has_a_name_of_its_own() {
        let list = workloads::<Autodiff<Flex>>(&Default::default());
        let names: HashSet<_> = list.iter().map(Workload::name).collect();
        assert!(list.len() > 20 && names.len() == list.len());
    }
}
