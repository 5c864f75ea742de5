//! One form for convolutions, their input gradients and transposed convolutions.

use super::shape::Shape;

/// `y[o, to + t·target_step] = Σ x[i, from + t·step + k·tap_step] · w[o, i, k]` for every output `t` of every lattice, every input
/// channel `i` and tap `k`, along both axes; pixels outside of an image are zero.
///
/// Inputs may come in phases: groups of the same channels seen at an offset of their own, with weights of their own.
#[derive(Clone, Debug)]
pub(super) struct Correlation {
    pub(super) batch: usize,
    pub(super) source: Planes,
    pub(super) target: Planes,
    pub(super) taps: [usize; 2],
    pub(super) step: [usize; 2],
    pub(super) tap_step: [usize; 2],
    pub(super) target_step: [usize; 2],
    pub(super) phases: Vec<Phase>,
    pub(super) lattices: Vec<Lattice>,
    pub(super) kernel: Kernel,
}

/// The channels of an image and the size of each [height, width].
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    pub(super) channels: usize,
    pub(super) size: [usize; 2],
}

impl Planes {
    pub(super) fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Values of one image.
    pub(super) fn image(&self) -> usize {
        self.channels * self.pixels()
    }
}

/// Where a phase of the inputs is seen, and where its weights begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) offset: [isize; 2],
    pub(super) weights: usize,
}

/// Outputs at equal distances: the first sees from `from` on and goes to `to`; `size` along each axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lattice {
    pub(super) from: [isize; 2],
    pub(super) to: [usize; 2],
    pub(super) size: [usize; 2],
}

/// Where the values of a weight stand: (o, i, ky, kx) at `phase.weights + o·output + i·input + ky·tap[0] + kx·tap[1]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    pub(super) output: usize,
    pub(super) input: usize,
    pub(super) tap: [isize; 2],
}

impl Kernel {
    /// The place of a tap of input channel `i` of output channel `o`.
    pub(super) fn place(&self, phase: &Phase, o: usize, i: usize, tap: [usize; 2]) -> usize {
        let first = phase.weights + o * self.output + i * self.input;
        first
            .wrapping_add_signed(tap[0] as isize * self.tap[0])
            .wrapping_add_signed(tap[1] as isize * self.tap[1])
    }
}

impl Correlation {
    /// A convolution.
    pub(super) fn of(s: &Shape) -> Self {
        let [kh, kw] = s.kernel;
        Self {
            batch: s.batch,
            source: Planes {
                channels: s.channels_in,
                size: s.image,
            },
            target: Planes {
                channels: s.channels_out,
                size: s.out,
            },
            taps: s.kernel,
            step: s.stride,
            tap_step: s.dilation,
            target_step: [1, 1],
            phases: vec![Phase {
                offset: s.padding.map(|padding| -(padding as isize)),
                weights: 0,
            }],
            lattices: vec![Lattice {
                from: [0, 0],
                to: [0, 0],
                size: s.out,
            }],
            kernel: Kernel {
                output: s.channels_in * kh * kw,
                input: kh * kw,
                tap: [kw as isize, 1],
            },
        }
    }

    /// What takes the gradient of a convolution's output to that of its input: a correlation with stride 1 for each residue of
    /// the input's pixels by the stride, so that nothing is scattered.
    pub(super) fn input_gradients(s: &Shape) -> Vec<Self> {
        let [rows, columns] = [0, 1].map(|axis| Residue::all(s, axis));
        let [kh, kw] = s.kernel;
        let each = |row: &Residue, column: &Residue| Self {
            batch: s.batch,
            source: Planes {
                channels: s.channels_out,
                size: s.out,
            },
            target: Planes {
                channels: s.channels_in,
                size: s.image,
            },
            taps: [row.taps, column.taps],
            step: [1, 1],
            tap_step: [row.tap_step, column.tap_step],
            target_step: s.stride,
            phases: vec![Phase {
                offset: [row.offset, column.offset],
                weights: row.last * kw + column.last,
            }],
            lattices: vec![Lattice {
                from: [0, 0],
                to: [row.to, column.to],
                size: [row.count, column.count],
            }],
            kernel: Kernel {
                output: kh * kw,
                input: s.channels_in * kh * kw,
                tap: [-((row.between * kw) as isize), -(column.between as isize)],
            },
        };
        let pairs = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (row, column)));
        pairs.map(|(row, column)| each(row, column)).collect()
    }

    /// The same correlation in the form where windows of neighbouring outputs overlap tap by tap (`step == tap_step`): a stride
    /// becomes phases of the inputs, a dilation lattices of the outputs.
    pub(super) fn by_windows(mut self) -> Option<Self> {
        for axis in 0..2 {
            let (step, tap_step) = (self.step[axis], self.tap_step[axis]);
            if step == tap_step {
                continue;
            }
            if tap_step == 1 && self.taps[axis].is_multiple_of(step) {
                self.split_inputs(axis);
            } else if step == 1 {
                self.split_outputs(axis);
            } else {
                return None;
            }
        }
        Some(self)
    }

    /// Tap `step·k + a` becomes tap `k` of phase `a`.
    fn split_inputs(&mut self, axis: usize) {
        let step = self.step[axis];
        let of = |phase: &Phase, a: usize| {
            let mut phase = *phase;
            phase.offset[axis] += a as isize;
            phase.weights = phase
                .weights
                .wrapping_add_signed(a as isize * self.kernel.tap[axis]);
            phase
        };
        let phases = self.phases.iter();
        self.phases = phases
            .flat_map(|p| (0..step).map(move |a| of(p, a)))
            .collect();
        self.taps[axis] /= step;
        self.tap_step[axis] = step;
        self.kernel.tap[axis] *= step as isize;
    }

    /// Output `tap_step·t + r` becomes output `t` of lattice `r`.
    fn split_outputs(&mut self, axis: usize) {
        let apart = self.tap_step[axis];
        let target_step = self.target_step[axis];
        let of = |lattice: &Lattice, r: usize| {
            let mut lattice = *lattice;
            lattice.from[axis] += r as isize;
            lattice.to[axis] += r * target_step;
            lattice.size[axis] = lattice.size[axis].saturating_sub(r).div_ceil(apart);
            lattice
        };
        let lattices = self.lattices.iter();
        self.lattices = lattices
            .flat_map(|l| (0..apart).map(move |r| of(l, r)))
            .filter(|l| l.size[axis] > 0)
            .collect();
        self.step[axis] = apart;
        self.target_step[axis] *= apart;
    }

    /// Input channels, counted once for each phase.
    pub(super) fn inputs(&self) -> usize {
        self.phases.len() * self.source.channels
    }

    /// Where the first tap of an input's weights for output channel 0 stands.
    pub(super) fn weights_of(&self, input: usize) -> usize {
        let channels = self.source.channels;
        self.phases[input / channels].weights + input % channels * self.kernel.input
    }

    /// All numbers that say where a weight of the correlation stands in the kernel.
    pub(super) fn places_of_weights(&self) -> impl Iterator<Item = isize> {
        let Kernel { output, input, tap } = self.kernel;
        let sizes = [self.target.channels, self.source.channels, output, input];
        let phases = self.phases.iter().map(|phase| phase.weights);
        let numbers = sizes.into_iter().chain(self.taps).chain(phases);
        numbers.map(|number| number as isize).chain(tap)
    }

    /// Outputs of a channel of one image.
    pub(super) fn outputs(&self) -> usize {
        self.lattices.iter().map(|l| l.size[0] * l.size[1]).sum()
    }

    /// Whether every tap's weights of an output lie one after the other, as the columns of an unfolded image need them.
    pub(super) fn has_plain_kernel(&self) -> bool {
        let area = self.taps[0] * self.taps[1];
        self.phases.len() == 1
            && self.phases[0].weights == 0
            && self.kernel.input == area
            && self.kernel.output == self.source.channels * area
            && (self.taps[1] == 1 || self.kernel.tap[1] == 1)
            && (self.taps[0] == 1 || self.kernel.tap[0] == self.taps[1] as isize)
    }
}

/// The pixels `to + stride·u` of an axis of a convolution's input, and the taps that saw them.
struct Residue {
    to: usize,
    count: usize,
    taps: usize,
    /// The last of these taps, and the distance between them, in the kernel.
    last: usize,
    between: usize,
    /// The output that the last tap belongs to, for u = 0, and the distance to that of the tap before.
    offset: isize,
    tap_step: usize,
}

impl Residue {
    /// One for each residue by the stride. Tap k of output t saw pixel t·stride + k·dilation − padding.
    fn all(s: &Shape, axis: usize) -> Vec<Self> {
        let (stride, dilation, padding) = (s.stride[axis], s.dilation[axis], s.padding[axis]);
        (0..stride.min(s.image[axis]))
            .map(|to| {
                let seen: Vec<usize> = (0..s.kernel[axis])
                    .filter(|k| (k * dilation) % stride == (to + padding) % stride)
                    .collect();
                let last = seen.last().copied().unwrap_or(0);
                let between = seen.get(1).map_or(1, |second| second - seen[0]);
                Self {
                    to,
                    count: (s.image[axis] - to).div_ceil(stride),
                    taps: seen.len(),
                    last,
                    between,
                    offset: ((to + padding) as isize - (last * dilation) as isize)
                        .div_euclid(stride as isize),
                    tap_step: if seen.len() > 1 {
                        between * dilation / stride
                    } else {
                        1
                    },
                }
            })
            .collect()
    }
}
