//! Randomness as an argument: seeded noise made on the host, the same on every backend.
//!
//! [`NoiseKey`] is a counter-based generator: the value at `index` depends on `(seed, stream, index)` alone, so the same
//! seed gives the same noise on every backend, for every batch split and thread count. [`TorchGenerator`] reproduces
//! PyTorch's CPU generator for comparisons with PyTorch and diffusers.

mod philox;
mod torch;

use burn::tensor::{Element, Shape, Tensor, TensorData, backend::Backend};
use serde::{Deserialize, Serialize};

pub use torch::TorchGenerator;

use philox::philox;

/// 2⁻³²: turns a 32-bit word into a fraction.
const WORD: f64 = 1.0 / 4_294_967_296.0;

/// What a stream of random numbers is for; streams of different purposes never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Purpose {
    /// Initial parameters of a model; the step is the number of the parameter.
    Parameters = 1,
    /// The noise that training adds to images; the step is the training step.
    TrainingNoise = 2,
    /// The diffusion time that training draws.
    TrainingTime = 3,
    /// Which contexts training drops.
    ContextDrop = 4,
    /// The noise that sampling starts from.
    InitialNoise = 5,
    /// The noise that an ancestral sampler adds; the step is the sampler's.
    StepNoise = 6,
    /// Anything of a caller's own.
    Other = 7,
    /// Latent vectors of a generator; the step is the draw.
    Latent = 8,
    /// The noise on what a discriminator sees.
    InstanceNoise = 9,
    /// How much of a real image is in the point where WGAN-GP takes a slope.
    Mixture = 10,
    /// Where a search for a latent vector starts; the step is the restart.
    SearchStart = 11,
    /// Which tokens of a transformer others merge into; the step is the pass.
    TokenMerging = 12,
}

/// The address of one stream of noise: a seed, a purpose and a step.
///
/// ```
/// # mod pyrograph { pub use pyrograph_backend as backend; }
/// use pyrograph::backend::rng::{NoiseKey, Purpose};
/// let key = NoiseKey::new(7, Purpose::InitialNoise, 0);
/// let whole = key.normal(0, 8);
/// assert_eq!(key.normal(4, 4), whole[4..]); // any split of a stream gives the same numbers
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseKey {
    seed: u64,
    stream: u64,
}

impl NoiseKey {
    /// The stream of `purpose` at `step` (below 2⁴⁸) under `seed`.
    pub fn new(seed: u64, purpose: Purpose, step: u64) -> Self {
        let stream = ((purpose as u64) << 48) | (step & ((1 << 48) - 1));
        Self { seed, stream }
    }

    /// The block of four words that covers the values `4·block..4·block + 4`.
    fn block(&self, block: u64) -> [u32; 4] {
        let counter = [
            block as u32,
            (block >> 32) as u32,
            self.stream as u32,
            (self.stream >> 32) as u32,
        ];
        philox(self.seed, counter)
    }

    fn fill(&self, start: u64, count: usize, four: impl Fn([u32; 4]) -> [f32; 4]) -> Vec<f32> {
        let mut out = Vec::with_capacity(count);
        let mut index = start;
        while out.len() < count {
            let values = four(self.block(index / 4));
            let from = (index % 4) as usize;
            let take = (4 - from).min(count - out.len());
            out.extend_from_slice(&values[from..from + take]);
            index += take as u64;
        }
        out
    }

    /// `count` uniform values in [0, 1), from place `start` of the stream.
    pub fn uniform(&self, start: u64, count: usize) -> Vec<f32> {
        // 24 bits: every value is a float, and none rounds up to 1.
        self.fill(start, count, |words| {
            words.map(|w| (w >> 8) as f32 / 16_777_216.0)
        })
    }

    /// `count` standard normal values, from place `start` of the stream (Box and Muller, 1958; computed in f64).
    pub fn normal(&self, start: u64, count: usize) -> Vec<f32> {
        self.fill(start, count, |[a, b, c, d]| {
            let [x0, x1] = box_muller(a, b);
            let [x2, x3] = box_muller(c, d);
            [x0, x1, x2, x3]
        })
    }

    /// `count` whole numbers in `0..bound`, from place `start` of the stream. The bias is below `bound`·2⁻³².
    pub fn below(&self, start: u64, count: usize, bound: u32) -> Vec<u32> {
        (start..start + count as u64)
            .map(|i| {
                let word = self.block(i / 4)[(i % 4) as usize];
                ((u64::from(word) * u64::from(bound)) >> 32) as u32
            })
            .collect()
    }

    /// Standard normal noise as a tensor, from place `start` of the stream.
    pub fn normal_tensor<B: Backend, const D: usize>(
        &self,
        start: u64,
        shape: [usize; D],
        device: &B::Device,
    ) -> Tensor<B, D> {
        let values = self.normal(start, shape.iter().product());
        host_tensor(values, shape, device)
    }
}

/// Moves host values to a device.
///
/// # Panics
/// When `values` does not fill `shape`: a caller's bug.
pub fn host_tensor<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    let data = TensorData::new(values, Shape::from(shape));
    Tensor::from_data(data, (device, B::FloatElem::dtype()))
}

fn box_muller(a: u32, b: u32) -> [f32; 2] {
    // Half a step off zero keeps the logarithm finite; the largest radius is √(2 ln 2³³) ≈ 6.8.
    let radius = (-2.0 * ((f64::from(a) + 0.5) * WORD).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * (f64::from(b) * WORD)).sin_cos();
    [(radius * cos) as f32, (radius * sin) as f32]
}

/// Which generator makes a sampler's noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RngKind {
    /// Counter-based: independent of batch split and order.
    #[default]
    Counter,
    /// The draws of `torch.randn` on a CPU generator, in the order asked for.
    Torch,
}

/// A sampler's source of noise: one request's own.
#[derive(Clone, Debug)]
pub enum NoiseSource {
    /// Counter-based noise under this seed.
    Counter {
        /// The request's seed.
        seed: u64,
    },
    /// PyTorch's sequence.
    Torch(Box<TorchGenerator>),
}

impl NoiseSource {
    /// A fresh source.
    pub fn new(kind: RngKind, seed: u64) -> Self {
        match kind {
            RngKind::Counter => Self::Counter { seed },
            RngKind::Torch => Self::Torch(Box::new(TorchGenerator::new(seed))),
        }
    }

    /// Noise of `shape` = [items, …]. `first_item` is the place of the first item in the whole request, so that a
    /// request may be cut into batches. The Torch source ignores `purpose`, `step` and `first_item` and draws on.
    pub fn normal<B: Backend, const D: usize>(
        &mut self,
        purpose: Purpose,
        step: u64,
        first_item: u64,
        shape: [usize; D],
        device: &B::Device,
    ) -> Tensor<B, D> {
        let count: usize = shape.iter().product();
        let per_item: usize = shape.iter().skip(1).product();
        let values = match self {
            Self::Counter { seed } => {
                NoiseKey::new(*seed, purpose, step).normal(first_item * per_item as u64, count)
            }
            Self::Torch(generator) => generator.randn(count),
        };
        host_tensor(values, shape, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NoiseKey = NoiseKey {
        seed: 42,
        stream: (5 << 48) | 3,
    };

    #[test]
    fn any_split_gives_the_same_noise() {
        let whole = KEY.normal(0, 1000);
        for cut in [1, 2, 3, 5, 500, 999] {
            let mut parts = KEY.normal(0, cut);
            parts.extend(KEY.normal(cut as u64, 1000 - cut));
            assert_eq!(parts, whole, "cut at {cut}");
        }
        assert_eq!(KEY.below(7, 5, 500), KEY.below(0, 12, 500)[7..]);
    }

    #[test]
    fn seeds_purposes_and_steps_give_different_noise() {
        let base = KEY.normal(0, 4);
        for other in [
            NoiseKey::new(43, Purpose::InitialNoise, 3),
            NoiseKey::new(42, Purpose::StepNoise, 3),
            NoiseKey::new(42, Purpose::InitialNoise, 4),
        ] {
            assert_ne!(base, other.normal(0, 4));
        }
    }

    #[test]
    fn normal_noise_has_the_moments_of_a_standard_normal() {
        let n = 200_000;
        let values = KEY.normal(0, n);
        let moment = |p: i32| values.iter().map(|v| f64::from(*v).powi(p)).sum::<f64>() / n as f64;
        // Four standard errors of each moment: √(1/n), √(2/n), √(15/n), √(96/n).
        assert!(moment(1).abs() < 4.0 * (1.0 / n as f64).sqrt());
        assert!((moment(2) - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt());
        assert!(moment(3).abs() < 4.0 * (15.0 / n as f64).sqrt());
        assert!((moment(4) - 3.0).abs() < 4.0 * (96.0 / n as f64).sqrt());
        assert!(values.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn uniform_noise_stays_below_one_and_is_even() {
        let values = KEY.uniform(0, 100_000);
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mut counts = [0; 10];
        values.iter().for_each(|v| counts[(v * 10.0) as usize] += 1);
        assert!(
            counts.iter().all(|c| (9_500..10_500).contains(c)),
            "{counts:?}"
        );
        let times = KEY.below(0, 50_000, 500);
        assert_eq!(times.iter().max(), Some(&499));
        assert_eq!(times.iter().min(), Some(&0));
    }

    #[test]
    fn the_smallest_words_stay_finite() {
        assert!(box_muller(0, 0).iter().all(|v| v.is_finite()));
        assert!(box_muller(u32::MAX, u32::MAX).iter().all(|v| v.is_finite()));
    }
}
