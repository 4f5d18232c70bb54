//! Reading a view that has turned or grown: one cubic interpolation along both axes.

use ndarray::ArrayView2;

/// How a view is read: `aligned(p) = view(A (p - pivot) + pivot + shift)`, p = (x, y).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// A, rows first.
    pub matrix: [[f64; 2]; 2],
    /// What stays in place.
    pub pivot: [f64; 2],
    /// How far the content has moved.
    pub shift: [f64; 2],
}

/// Weights of Keys' cubic (a = -1/2, doi:10.1109/TASSP.1981.1163711) at a fraction of a pixel, for pixels -1, 0, 1, 2.
pub fn keys(t: f64) -> [f32; 4] {
    [
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    ]
    .map(|w| w as f32)
}

impl Turn {
    /// Fills `out` with row `row` of the aligned view. What lies beyond the frame repeats its edge.
    pub fn row(&self, frame: &ArrayView2<'_, f32>, row: usize, out: &mut [f32]) {
        let (n_rows, n_cols) = frame.dim();
        let (last_y, last_x) = (n_rows as f64 - 1.0, n_cols as f64 - 1.0);
        let dy = row as f64 - self.pivot[1];
        for (column, value) in out.iter_mut().enumerate() {
            let dx = column as f64 - self.pivot[0];
            let at = |axis: usize, last: f64| {
                let moved = self.matrix[axis][0] * dx + self.matrix[axis][1] * dy;
                (moved + self.pivot[axis] + self.shift[axis]).clamp(0.0, last)
            };
            let (x, y) = (at(0, last_x), at(1, last_y));
            let (x0, y0) = (x.floor(), y.floor());
            let (along_x, along_y) = (keys(x - x0), keys(y - y0));
            let columns: [usize; 4] =
                std::array::from_fn(|k| (x0 + k as f64 - 1.0).clamp(0.0, last_x) as usize);
            let mut sum = 0.0;
            for (k, weight) in along_y.into_iter().enumerate() {
                let line = frame.row((y0 + k as f64 - 1.0).clamp(0.0, last_y) as usize);
                sum += weight
                    * ((along_x[0] * line[columns[0]] + along_x[1] * line[columns[1]])
                        + (along_x[2] * line[columns[2]] + along_x[3] * line[columns[3]]));
            }
            *value = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn a_turned_wave_is_turned_back() {
        let wave = |x: f64, y: f64| ((0.3 * x).sin() + (0.25 * y + 0.1 * x).cos()) as f32;
        let turn = Turn { matrix: [[0.98, -0.2], [0.2, 0.98]], pivot: [24.5, 19.5], shift: [1.3, -2.6] };
        let image = Array2::from_shape_fn((40, 50), |(y, x)| wave(x as f64, y as f64));
        let mut out = vec![0.0; 50];
        for row in 12..28 {
            turn.row(&image.view(), row, &mut out);
            for (x, value) in out.iter().enumerate().take(38).skip(12) {
                let (dx, dy) = (x as f64 - 24.5, row as f64 - 19.5);
                let expected = wave(24.5 + 1.3 + 0.98 * dx - 0.2 * dy, 19.5 - 2.6 + 0.2 * dx + 0.98 * dy);
                // Cubic interpolation of waves of twenty pixels.
                assert!((value - expected).abs() < 2e-3, "{row} {x}: {value} {expected}");
            }
        }
        let still = Turn { matrix: [[1.0, 0.0], [0.0, 1.0]], pivot: [0.0; 2], shift: [0.0; 2] };
        still.row(&image.view(), 7, &mut out);
        assert_eq!(out, image.row(7).to_vec());
    }
}
