//! Winograd's minimal filtering F(m, r) along one axis: the matrices A, B and G of `y = Aᵀ[(G·w) ⊙ (Bᵀ·d)]` for m outputs of r taps,
//! as straight-line arithmetic. They follow from the points at which the polynomials are evaluated.

/// F(OUT, TAPS) over IN = OUT + TAPS − 1 points.
pub(super) trait Minimal<const TAPS: usize, const IN: usize, const OUT: usize>:
    Sync
{
    /// Bᵀ·d.
    fn input(d: [f32; IN]) -> [f32; IN];
    /// G·w.
    fn weight(w: [f32; TAPS]) -> [f32; IN];
    /// Aᵀ·m.
    fn output(m: [f32; IN]) -> [f32; OUT];
    /// A·∂y.
    fn output_adjoint(dy: [f32; OUT]) -> [f32; IN];
    /// Gᵀ·u.
    fn weight_adjoint(u: [f32; IN]) -> [f32; TAPS];
}

/// F(4, ·), whose error is within 2e-5 of the output's scale.
pub(super) struct Four;

/// F(2, ·), whose error is within 5e-6 of the output's scale.
pub(super) struct Two;

/// F(4, 3) at the points 0, ±1, ±2 and ∞.
impl Minimal<3, 6, 4> for Four {
    #[inline(always)]
    fn input([a, b, c, d, e, f]: [f32; 6]) -> [f32; 6] {
        let (even, odd) = (e - 4.0 * c, d - 4.0 * b);
        let (near, twice) = (e - c, 2.0 * (d - b));
        [
            4.0 * a - 5.0 * c + e,
            even + odd,
            even - odd,
            near + twice,
            near - twice,
            4.0 * b - 5.0 * d + f,
        ]
    }

    #[inline(always)]
    fn weight([a, b, c]: [f32; 3]) -> [f32; 6] {
        let (outer, wide) = ((a + c) * (-1.0 / 6.0), a * (1.0 / 24.0) + c * (1.0 / 6.0));
        let (middle, half) = (b * (1.0 / 6.0), b * (1.0 / 12.0));
        [
            0.25 * a,
            outer - middle,
            outer + middle,
            wide + half,
            wide - half,
            c,
        ]
    }

    #[inline(always)]
    fn output([a, b, c, d, e, f]: [f32; 6]) -> [f32; 4] {
        let (near, near_odd, far, far_odd) = (b + c, b - c, d + e, d - e);
        [
            a + near + far,
            near_odd + 2.0 * far_odd,
            near + 4.0 * far,
            near_odd + 8.0 * far_odd + f,
        ]
    }

    #[inline(always)]
    fn output_adjoint([a, b, c, d]: [f32; 4]) -> [f32; 6] {
        let (even, odd) = (a + c, b + d);
        let (far_even, far_odd) = (a + 4.0 * c, 2.0 * b + 8.0 * d);
        [
            a,
            even + odd,
            even - odd,
            far_even + far_odd,
            far_even - far_odd,
            d,
        ]
    }

    #[inline(always)]
    fn weight_adjoint([a, b, c, d, e, f]: [f32; 6]) -> [f32; 3] {
        let (near, far) = ((b + c) * (1.0 / 6.0), d + e);
        [
            0.25 * a - near + far * (1.0 / 24.0),
            (c - b) * (1.0 / 6.0) + (d - e) * (1.0 / 12.0),
            f - near + far * (1.0 / 6.0),
        ]
    }
}

/// F(4, 2) at the points 0, ±1, 2 and ∞.
impl Minimal<2, 5, 4> for Four {
    #[inline(always)]
    fn input([a, b, c, d, e]: [f32; 5]) -> [f32; 5] {
        let near = d - 2.0 * c;
        [
            near + 2.0 * a - b,
            d - c - 2.0 * b,
            d - 3.0 * c + 2.0 * b,
            d - b,
            e - c - 2.0 * (d - b),
        ]
    }

    #[inline(always)]
    fn weight([a, b]: [f32; 2]) -> [f32; 5] {
        let (sixth, other) = (a * (1.0 / 6.0), b * (1.0 / 6.0));
        [
            0.5 * a,
            -0.5 * (a + b),
            other - sixth,
            sixth + 2.0 * other,
            b,
        ]
    }

    #[inline(always)]
    fn output([a, b, c, d, e]: [f32; 5]) -> [f32; 4] {
        let (even, odd) = (b + c, b - c);
        [
            a + even + d,
            odd + 2.0 * d,
            even + 4.0 * d,
            odd + 8.0 * d + e,
        ]
    }

    #[inline(always)]
    fn output_adjoint([a, b, c, d]: [f32; 4]) -> [f32; 5] {
        let (even, odd) = (a + c, b + d);
        [
            a,
            even + odd,
            even - odd,
            a + 4.0 * c + 2.0 * b + 8.0 * d,
            d,
        ]
    }

    #[inline(always)]
    fn weight_adjoint([a, b, c, d, e]: [f32; 5]) -> [f32; 2] {
        let half = 0.5 * b;
        [
            0.5 * a - half + (d - c) * (1.0 / 6.0),
            (c + 2.0 * d) * (1.0 / 6.0) - half + e,
        ]
    }
}

/// F(2, 3) at the points 0, ±1 and ∞.
impl Minimal<3, 4, 2> for Two {
    #[inline(always)]
    fn input([a, b, c, d]: [f32; 4]) -> [f32; 4] {
        [a - c, b + c, c - b, b - d]
    }

    #[inline(always)]
    fn weight([a, b, c]: [f32; 3]) -> [f32; 4] {
        let outer = 0.5 * (a + c);
        [a, outer + 0.5 * b, outer - 0.5 * b, c]
    }

    #[inline(always)]
    fn output([a, b, c, d]: [f32; 4]) -> [f32; 2] {
        [a + b + c, b - c - d]
    }

    #[inline(always)]
    fn output_adjoint([a, b]: [f32; 2]) -> [f32; 4] {
        [a, a + b, a - b, -b]
    }

    #[inline(always)]
    fn weight_adjoint([a, b, c, d]: [f32; 4]) -> [f32; 3] {
        let sum = 0.5 * (b + c);
        [a + sum, 0.5 * (b - c), d + sum]
    }
}

/// F(2, 2) at the points 0, 1 and ∞.
impl Minimal<2, 3, 2> for Two {
    #[inline(always)]
    fn input([a, b, c]: [f32; 3]) -> [f32; 3] {
        [a - b, b, c - b]
    }

    #[inline(always)]
    fn weight([a, b]: [f32; 2]) -> [f32; 3] {
        [a, a + b, b]
    }

    #[inline(always)]
    fn output([a, b, c]: [f32; 3]) -> [f32; 2] {
        [a + b, b + c]
    }

    #[inline(always)]
    fn output_adjoint([a, b]: [f32; 2]) -> [f32; 3] {
        [a, a + b, b]
    }

    #[inline(always)]
    fn weight_adjoint([a, b, c]: [f32; 3]) -> [f32; 2] {
        [a + b, b + c]
    }
}
