//! `torch.randn` of a CPU generator in f32, for figures that were published with it: MT19937, and
//! Box–Muller over blocks of sixteen.

const STATE: usize = 624;
const SHIFT: usize = 397;

/// A generator seeded as `torch.manual_seed` seeds it.
pub(crate) struct TorchRng {
    state: [u32; STATE],
    next: usize,
}

impl TorchRng {
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; STATE];
        for i in 1..STATE {
            let last = state[i - 1];
            state[i] = (last ^ (last >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        Self { state, next: STATE }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == STATE {
            for i in 0..STATE {
                let mixed =
                    (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE] & 0x7fff_ffff);
                let twist = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + SHIFT) % STATE] ^ (mixed >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut x = self.state[self.next];
        self.next += 1;
        x ^= x >> 11;
        x ^= (x << 7) & 0x9d2c_5680;
        x ^= (x << 15) & 0xefc6_0000;
        x ^ (x >> 18)
    }

    /// `count` standard normal values; a multiple of 16.
    pub(crate) fn randn(&mut self, count: usize) -> Vec<f64> {
        assert!(
            count > 0 && count.is_multiple_of(16),
            "{count} is no multiple of 16"
        );
        let mut values: Vec<f32> = (0..count)
            .map(|_| (self.next_u32() & 0xff_ffff) as f32 / 16_777_216.0)
            .collect();
        for block in values.chunks_exact_mut(16) {
            for j in 0..8 {
                let radius = (-2.0 * (1.0 - block[j]).ln()).sqrt();
                let (sin, cos) = (std::f32::consts::TAU * block[j + 8]).sin_cos();
                (block[j], block[j + 8]) = (radius * cos, radius * sin);
            }
        }
        values.into_iter().map(f64::from).collect()
    }
}
