//! The draws of PyTorch's CPU generator: MT19937 (Matsumoto and Nishimura, 1998) and PyTorch's own normal transform.
//!
//! Held to `torch.randn` of PyTorch 2.x, f32: equal to the bit below 16 values, within 2.4e-7 above (PyTorch's vector
//! kernels use other roundings of ln, sin and cos).

const STATE: usize = 624;
const MIDDLE: usize = 397;
/// From this many values on, PyTorch fills with uniforms and transforms blocks of this size.
const BLOCK: usize = 16;

/// A CPU `torch.Generator`: `manual_seed` and `torch.randn`.
///
/// ```
/// # mod pyrograph { pub use pyrograph_backend as backend; }
/// use pyrograph::backend::rng::TorchGenerator;
/// let values = TorchGenerator::new(0).randn(3); // torch.manual_seed(0); torch.randn(3)
/// assert_eq!(values, [1.5409961, -0.2934289, -2.1787894]);
/// ```
#[derive(Clone, Debug)]
pub struct TorchGenerator {
    state: [u32; STATE],
    next: usize,
    cached_normal: Option<f64>,
}

impl TorchGenerator {
    /// The generator after `manual_seed(seed)`; like PyTorch's, it sees the low 32 bits of the seed.
    pub fn new(seed: u64) -> Self {
        let mut state = [0; STATE];
        state[0] = seed as u32;
        for i in 1..STATE {
            let previous: u32 = state[i - 1];
            state[i] = 1_812_433_253_u32
                .wrapping_mul(previous ^ (previous >> 30))
                .wrapping_add(i as u32);
        }
        Self {
            state,
            next: STATE,
            cached_normal: None,
        }
    }

    fn twist(&mut self) {
        for i in 0..STATE {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % STATE] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u32 {
        if self.next == STATE {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn uniform_f32(&mut self) -> f32 {
        (self.word() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.word());
        let low = u64::from(self.word());
        (((high << 32) | low) & ((1 << 53) - 1)) as f64 / 9_007_199_254_740_992.0
    }

    fn single_normal(&mut self) -> f64 {
        if let Some(cached) = self.cached_normal.take() {
            return cached;
        }
        let angle = std::f64::consts::TAU * self.uniform_f64();
        let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
        self.cached_normal = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// `torch.rand(count, generator=self)` in f32.
    pub fn rand(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.uniform_f32()).collect()
    }

    /// `torch.randn(count, generator=self)` in f32.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK {
            return (0..count).map(|_| self.single_normal() as f32).collect();
        }
        let mut values = self.rand(count);
        let whole = count / BLOCK * BLOCK;
        values[..whole].chunks_exact_mut(BLOCK).for_each(transform);
        if whole < count {
            // The last block of 16 is drawn anew, over values already transformed.
            let last = &mut values[count - BLOCK..];
            last.iter_mut().for_each(|v| *v = self.uniform_f32());
            transform(last);
        }
        values
    }
}

/// Box and Muller over one block: the first half holds u₁, the second u₂.
fn transform(block: &mut [f32]) {
    for j in 0..BLOCK / 2 {
        let radius = (-2.0 * (1.0 - block[j]).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * block[j + BLOCK / 2]).sin_cos();
        block[j] = radius * cos;
        block[j + BLOCK / 2] = radius * sin;
    }
}
