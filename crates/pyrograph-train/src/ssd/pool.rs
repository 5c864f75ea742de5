//! Several devices through burn-train: its step on many devices, a thread for each, which copies
//! the network to the device.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
};

use burn::{
    data::dataloader::{DataLoaderIterator, Progress},
    module::Module,
    optim::{GradientsAccumulator, GradientsParams, LearningRate, Sgd, adaptor::OptimizerAdaptor},
    tensor::backend::Backend,
};
use burn_train::{
    InferenceStep, ItemLazy, LearningComponentsMarker, TrainOutput, TrainStep,
    train::MultiDevicesTrainStep,
};
use pyrograph_backend::vision::{VisionAutodiff, VisionBackend};
use pyrograph_losses::MultiBoxTerms;
use pyrograph_models::{blocks::BatchStatistics, ssd::Ssd};

use super::share::{Computed, Share};
use crate::TrainError;

/// The types that burn-train names a training by; its optimizer and its rate are not used here.
type Components<B> = LearningComponentsMarker<
    B,
    LearningRate,
    DetectionTask<B>,
    OptimizerAdaptor<
        Sgd<<B as burn::tensor::backend::AutodiffBackend>::InnerBackend>,
        DetectionTask<B>,
        B,
    >,
>;

/// Threads that wait for shares, one a device.
pub(super) struct Pool<B: VisionAutodiff> {
    step: MultiDevicesTrainStep<Components<B>>,
    devices: usize,
}

impl<B: VisionAutodiff> Pool<B> {
    pub(super) fn new(devices: &[B::Device]) -> Self {
        Self {
            step: MultiDevicesTrainStep::new(devices),
            devices: devices.len(),
        }
    }

    /// What the shares of a batch come to, on `main`: gradients and losses sum, since each is
    /// divided by the objects of the batch.
    pub(super) fn compute(
        &self,
        model: &Ssd<B>,
        shares: Vec<Share<B>>,
        main: &B::Device,
    ) -> Result<Computed<B>, TrainError> {
        let task = DetectionTask {
            model: model.clone(),
        };
        let mut waiting: Vec<Box<dyn DataLoaderIterator<(usize, Share<B>)>>> = Vec::new();
        for share in shares
            .into_iter()
            .enumerate()
            .map(Some)
            .chain(std::iter::repeat_with(|| None))
            .take(self.devices)
        {
            waiting.push(Box::new(Waiting(share)));
        }
        let (outputs, _) = self.step.step(&mut waiting, &task);

        let mut parts = Vec::with_capacity(outputs.len());
        for output in outputs {
            let TrainOutput { grads, item } = output.output;
            let seen = item.seen.map_err(|reason| TrainError::Device {
                place: item.place,
                reason,
            })?;
            parts.push((item.place, grads, seen));
        }
        // As they were dealt, not as they came back: a sum has one order.
        parts.sort_by_key(|(place, ..)| *place);

        let mut gradients = GradientsAccumulator::new();
        let mut statistics = Vec::with_capacity(parts.len());
        let mut terms: Option<MultiBoxTerms<B::InnerBackend>> = None;
        for (_, grads, seen) in parts {
            gradients.accumulate(&task, grads.to_device(main, &task));
            statistics.push((seen.images, seen.statistics));
            let here = MultiBoxTerms {
                loc: seen.terms.loc.to_device(main),
                conf: seen.terms.conf.to_device(main),
                ..seen.terms
            };
            terms = Some(match terms {
                None => here,
                Some(sum) => MultiBoxTerms {
                    loc: sum.loc + here.loc,
                    conf: sum.conf + here.conf,
                    positives: sum.positives + here.positives,
                    negatives: sum.negatives + here.negatives,
                },
            });
        }
        let nothing = || TrainError::Device {
            place: 0,
            reason: "nothing came back".into(),
        };
        Ok(Computed {
            gradients: gradients.grads(),
            terms: terms.ok_or_else(nothing)?,
            taught: Vec::new(),
            statistics: BatchStatistics::averaged(statistics, main),
        })
    }
}

/// A share for its thread, or none.
struct Waiting<T>(Option<T>);

impl<T> Iterator for Waiting<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> DataLoaderIterator<T> for Waiting<T> {
    fn progress(&self) -> Progress {
        Progress::new(0, 1)
    }
}

/// A detector as burn-train takes it.
#[derive(Module, Debug)]
struct DetectionTask<B: Backend> {
    model: Ssd<B>,
}

/// The result of a thread besides the gradients.
struct Done<B: VisionAutodiff> {
    place: usize,
    /// Or why it could not be computed: a thread that ended would leave burn-train waiting for ever.
    seen: Result<Seen<B>, String>,
}

struct Seen<B: VisionAutodiff> {
    images: usize,
    terms: MultiBoxTerms<B::InnerBackend>,
    statistics: BatchStatistics<B>,
}

impl<B: VisionAutodiff> ItemLazy for Done<B> {
    type ItemSync = ();

    fn sync(self) {}
}

impl<B: VisionAutodiff> TrainStep for DetectionTask<B> {
    type Input = (usize, Share<B>);
    type Output = Done<B>;

    fn step(&self, (place, share): (usize, Share<B>)) -> TrainOutput<Done<B>> {
        let images = share.images;
        let computed = panic::catch_unwind(AssertUnwindSafe(|| share.compute(&self.model)));
        let (grads, seen) = match computed {
            Ok(Computed {
                gradients,
                terms,
                statistics,
                ..
            }) => (
                gradients,
                Ok(Seen {
                    images,
                    terms,
                    statistics,
                }),
            ),
            Err(panic) => (GradientsParams::new(), Err(reason_of(panic.as_ref()))),
        };
        TrainOutput {
            grads,
            item: Done { place, seen },
        }
    }
}

/// The words of a panic.
fn reason_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it gave no reason").to_owned()
}

/// burn-train asks for it; networks are judged by [`score_set`](super::score_set).
impl<B: VisionBackend> InferenceStep for DetectionTask<B> {
    type Input = ();
    type Output = ();

    fn step(&self, (): ()) {}
}
