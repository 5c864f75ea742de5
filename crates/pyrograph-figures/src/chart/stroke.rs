//! Lines with smooth edges.

/// Pixels of a dash, and of the gap after it.
const DASH: f32 = 5.0;

/// The coverage of the pixels of an area by lines. Where lines cross or join, the larger coverage
/// counts, so that a translucent line is evenly translucent.
#[derive(Clone, Debug)]
pub(super) struct Stroke {
    width: usize,
    height: usize,
    half_thickness: f32,
    coverage: Vec<f32>,
}

impl Stroke {
    /// No line yet on an area of the given width and height.
    pub(super) fn new((width, height): (u32, u32), half_thickness: f32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            half_thickness,
            coverage: vec![0.0; width * height],
        }
    }

    /// Adds a line through `points` in pixels from the upper left corner; one point is a dot.
    pub(super) fn add(&mut self, points: &[(f32, f32)]) {
        match points {
            [point] => self.segment(*point, *point),
            points => points
                .windows(2)
                .for_each(|ends| self.segment(ends[0], ends[1])),
        }
    }

    /// Adds a straight line of dashes, which are as long as the gaps between them.
    pub(super) fn add_dashed(&mut self, from: (f32, f32), to: (f32, f32)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = f32::hypot(dx, dy);
        let at = |along: f32| {
            let share = (along / length).min(1.0);
            (from.0 + share * dx, from.1 + share * dy)
        };
        // Saturates, and is 0 for a line without length or of NaN.
        let dashes = (length / (2.0 * DASH)).ceil() as u16;
        for dash in 0..dashes {
            let start = 2.0 * DASH * f32::from(dash);
            self.segment(at(start), at(start + DASH));
        }
    }

    /// The covered pixels: column, row, and coverage in (0, 1].
    pub(super) fn covered(&self) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
        let pixels = self.coverage.iter().enumerate();
        pixels
            .filter(|(_, coverage)| **coverage > 0.0)
            .map(|(index, &coverage)| (index % self.width, index / self.width, coverage))
    }

    /// Walks along the longer side of the segment and covers a band across it.
    fn segment(&mut self, from: (f32, f32), to: (f32, f32)) {
        let steep = (to.1 - from.1).abs() > (to.0 - from.0).abs();
        let swap = |(x, y): (f32, f32)| if steep { (y, x) } else { (x, y) };
        let (from, to) = (swap(from), swap(to));
        let (along_size, across_size) = if steep {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        let reach = self.half_thickness + 1.0;
        // The slope is at most one, so a distance of `reach` is at most this much across.
        let band = reach * std::f32::consts::SQRT_2;
        let length = to.0 - from.0;
        let ends = (
            f32::min(from.0, to.0) - reach,
            f32::max(from.0, to.0) + reach,
        );
        for along in pixels(ends.0, ends.1, along_size) {
            let share = (along as f32 + 0.5 - from.0) / length;
            // A dot has no length: 0 / 0 is NaN, which becomes its one point.
            let share = if share.is_nan() {
                0.0
            } else {
                share.clamp(0.0, 1.0)
            };
            let middle = from.1 + share * (to.1 - from.1);
            for across in pixels(middle - band, middle + band, across_size) {
                let centre = (along as f32 + 0.5, across as f32 + 0.5);
                let coverage = self.half_thickness + 0.5 - distance(centre, from, to);
                let (x, y) = if steep {
                    (across, along)
                } else {
                    (along, across)
                };
                let pixel = &mut self.coverage[y * self.width + x];
                *pixel = pixel.max(coverage.clamp(0.0, 1.0));
            }
        }
    }
}

/// The pixels that lie between two coordinates, on an axis of `size` pixels.
fn pixels(from: f32, to: f32, size: usize) -> std::ops::Range<usize> {
    // The casts saturate: below zero to 0, NaN to 0.
    from.floor() as usize..(to.ceil() as usize).min(size)
}

/// The distance of `point` from the segment.
fn distance(point: (f32, f32), from: (f32, f32), to: (f32, f32)) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (point.0 - from.0, point.1 - from.1);
    let squared = dx * dx + dy * dy;
    let share = if squared > 0.0 {
        ((px * dx + py * dy) / squared).clamp(0.0, 1.0)
    } else {
        0.0
    };
    f32::hypot(px - share * dx, py - share * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(stroke: &Stroke) -> f32 {
        stroke.covered().map(|(_, _, coverage)| coverage).sum()
    }

    #[test]
    fn a_line_covers_its_length_times_its_thickness_in_every_direction() {
        for (dx, dy) in [
            (60.0, 0.0),
            (0.0, 60.0),
            (40.0, 40.0),
            (-60.0, 20.0),
            (15.0, -60.0),
        ] {
            let mut stroke = Stroke::new((200, 200), 1.0);
            stroke.add(&[(100.0, 100.0), (100.0 + dx, 100.0 + dy)]);
            let area = 2.0 * f32::hypot(dx, dy) + std::f32::consts::PI;
            assert!(
                (total(&stroke) / area - 1.0).abs() < 0.03,
                "{dx}, {dy}: {}",
                total(&stroke)
            );
        }
    }

    #[test]
    fn joints_are_not_darker_than_lines() {
        let mut stroke = Stroke::new((50, 50), 1.0);
        stroke.add(&[(5.0, 5.0), (40.0, 40.0), (5.0, 40.0), (40.0, 5.0)]);
        assert!(stroke.covered().all(|(_, _, coverage)| coverage <= 1.0));
    }

    #[test]
    fn dashes_cover_about_half_of_their_line() {
        let mut stroke = Stroke::new((200, 20), 0.5);
        stroke.add_dashed((10.0, 10.0), (190.0, 10.0));
        assert!(
            (85.0..125.0).contains(&total(&stroke)),
            "{}",
            total(&stroke)
        );
        let mut nothing = Stroke::new((20, 20), 0.5);
        nothing.add_dashed((5.0, 5.0), (5.0, 5.0));
        nothing.add_dashed((f32::NAN, 5.0), (5.0, 5.0));
        assert_eq!(total(&nothing), 0.0);
    }

    #[test]
    fn one_point_is_a_dot_and_none_is_nothing() {
        let mut stroke = Stroke::new((20, 20), 1.5);
        stroke.add(&[]);
        assert_eq!(total(&stroke), 0.0);
        stroke.add(&[(10.0, 10.0)]);
        assert!(
            (total(&stroke) - std::f32::consts::PI * 2.25).abs() < 0.7,
            "{}",
            total(&stroke)
        );
    }

    #[test]
    fn lines_beyond_the_area_are_cut() {
        let mut stroke = Stroke::new((10, 10), 1.0);
        stroke.add(&[(-50.0, 5.0), (60.0, 5.0), (1e9, -1e9), (-40.0, -40.0)]);
        assert!(total(&stroke) >= 20.0);
    }
}
