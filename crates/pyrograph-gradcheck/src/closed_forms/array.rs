//! Arrays on the host.

use crate::GradCheckError;

/// A row-major array of f64: images are [batch, channels, height, width], kernels [out, in, height, width].
#[derive(Clone, Debug, PartialEq)]
pub struct Array<const D: usize> {
    shape: [usize; D],
    values: Vec<f64>,
}

impl<const D: usize> Array<D> {
    /// Values in row-major order.
    ///
    /// # Errors
    /// When `values` do not fill `shape`.
    pub fn new(shape: [usize; D], values: Vec<f64>) -> Result<Self, GradCheckError> {
        let allowed = shape.iter().product();
        if values.len() != allowed {
            return Err(GradCheckError::Values {
                name: "array".to_owned(),
                seen: values.len(),
                shape: shape.to_vec(),
                allowed,
            });
        }
        Ok(Self { shape, values })
    }

    /// All zeros.
    pub fn zeros(shape: [usize; D]) -> Self {
        let values = vec![0.0; shape.iter().product()];
        Self { shape, values }
    }

    /// The value that `f` gives for each index.
    pub(super) fn from_fn(shape: [usize; D], mut f: impl FnMut([usize; D]) -> f64) -> Self {
        let mut out = Self::zeros(shape);
        for flat in 0..out.values.len() {
            out.values[flat] = f(out.index(flat));
        }
        out
    }

    /// The size along each axis.
    pub fn shape(&self) -> [usize; D] {
        self.shape
    }

    /// The values in row-major order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The value at an index, or `None` outside.
    pub fn get(&self, index: [usize; D]) -> Option<f64> {
        let inside = index.iter().zip(&self.shape).all(|(i, size)| i < size);
        inside.then(|| self.at(index))
    }

    /// The value at an index that is inside.
    pub(super) fn at(&self, index: [usize; D]) -> f64 {
        self.values[self.flat(index)]
    }

    pub(super) fn add(&mut self, index: [usize; D], value: f64) {
        let flat = self.flat(index);
        self.values[flat] += value;
    }

    pub(super) fn flat(&self, index: [usize; D]) -> usize {
        let axes = index.iter().zip(&self.shape);
        axes.fold(0, |flat, (i, size)| flat * size + i)
    }

    pub(super) fn index(&self, mut flat: usize) -> [usize; D] {
        let mut index = [0; D];
        for (place, size) in index.iter_mut().zip(&self.shape).rev() {
            (*place, flat) = (flat % size, flat / size);
        }
        index
    }

    /// Values of equal shape, combined one by one.
    pub(super) fn zip(
        &self,
        other: &Self,
        f: impl Fn(f64, f64) -> f64,
    ) -> Result<Self, GradCheckError> {
        for (seen, allowed) in other.shape.iter().zip(self.shape) {
            super::expect("an axis of the second array", *seen, allowed)?;
        }
        let pairs = self.values.iter().zip(&other.values);
        Ok(Self {
            shape: self.shape,
            values: pairs.map(|(a, b)| f(*a, *b)).collect(),
        })
    }
}

impl Array<4> {
    /// The planes with `step − 1` zeros between neighbours: what strides and dilations leave out.
    pub(super) fn upsample(&self, step: [usize; 2]) -> Self {
        let [n, c, h, w] = self.shape;
        let spread = |size: usize, step: usize| size.saturating_sub(1) * step + size.min(1);
        let mut out = Self::zeros([n, c, spread(h, step[0]), spread(w, step[1])]);
        for flat in 0..self.values.len() {
            let [n, c, y, x] = self.index(flat);
            out.add([n, c, y * step[0], x * step[1]], self.values[flat]);
        }
        out
    }

    /// The planes turned by 180 degrees.
    pub(super) fn rotate180(&self) -> Self {
        let [_, _, h, w] = self.shape;
        Self::from_fn(self.shape, |[n, c, y, x]| {
            self.at([n, c, h - 1 - y, w - 1 - x])
        })
    }

    /// The planes within a frame of zeros.
    pub(super) fn pad(&self, by: [usize; 2]) -> Self {
        let [n, c, h, w] = self.shape;
        let mut out = Self::zeros([n, c, h + 2 * by[0], w + 2 * by[1]]);
        for flat in 0..self.values.len() {
            let [n, c, y, x] = self.index(flat);
            out.add([n, c, y + by[0], x + by[1]], self.values[flat]);
        }
        out
    }

    /// The window of `size` at `from`, with zeros where it reaches beyond the planes.
    pub(super) fn window(&self, from: [usize; 2], size: [usize; 2]) -> Self {
        let [n, c, ..] = self.shape;
        Self::from_fn([n, c, size[0], size[1]], |[n, c, y, x]| {
            self.get([n, c, y + from[0], x + from[1]]).unwrap_or(0.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(h: usize, w: usize, values: &[f64]) -> Array<4> {
        Array::new([1, 1, h, w], values.to_vec()).expect("filled")
    }

    #[test]
    fn upsampling_puts_zeros_between_neighbours_only() {
        let up = plane(2, 2, &[1.0, 2.0, 3.0, 4.0]).upsample([2, 3]);
        assert_eq!(
            up,
            plane(
                3,
                4,
                &[1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 4.0]
            )
        );
    }

    #[test]
    fn rotation_reverses_rows_and_columns() {
        let turned = plane(2, 2, &[1.0, 2.0, 3.0, 4.0]).rotate180();
        assert_eq!(turned, plane(2, 2, &[4.0, 3.0, 2.0, 1.0]));
    }

    #[test]
    fn a_window_undoes_padding_and_reads_zeros_beyond() {
        let image = plane(1, 2, &[1.0, 2.0]);
        assert_eq!(image.pad([1, 2]).window([1, 2], [1, 2]), image);
        assert_eq!(image.window([0, 1], [1, 3]), plane(1, 3, &[2.0, 0.0, 0.0]));
    }

    #[test]
    fn values_that_do_not_fill_the_shape_are_refused() {
        assert!(Array::new([2, 2], vec![0.0; 3]).is_err());
        assert_eq!(Array::<2>::zeros([2, 2]).get([2, 0]), None);
    }
}
