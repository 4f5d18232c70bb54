//! Filters of whole pictures in Fourier space.

use ndarray::{Array2, ArrayView2};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::fft::fast_len;

/// A picture whose frequencies were multiplied by `gain(fy, fx)`, cycles a pixel from -1/2 to 1/2; a real, even gain.
///
/// The picture is continued by its mirror image before, so that opposite edges do not meet.
pub fn filtered(image: ArrayView2<'_, f32>, gain: impl Fn(f64, f64) -> f64) -> Array2<f32> {
    let (ny, nx) = image.dim();
    if ny == 0 || nx == 0 {
        return image.to_owned();
    }
    // Half a mirror image on every side.
    let (height, width) = (fast_len(2 * ny), fast_len(2 * nx));
    let mirrored = |i: usize, n: usize, length: usize| {
        let from = i as isize - ((length - n) / 2) as isize;
        let folded = from.rem_euclid(2 * n as isize) as usize;
        if folded < n { folded } else { 2 * n - 1 - folded }
    };
    let rows: Vec<usize> = (0..height).map(|y| mirrored(y, ny, height)).collect();
    let cols: Vec<usize> = (0..width).map(|x| mirrored(x, nx, width)).collect();
    let mut values =
        Array2::from_shape_fn((height, width), |(y, x)| Complex::new(image[[rows[y], cols[x]]], 0.0f32));
    transform(&mut values, false);
    let scale = 1.0 / (height * width) as f64;
    let frequency = |i: usize, n: usize| {
        let signed = if 2 * i > n { i as f64 - n as f64 } else { i as f64 };
        signed / n as f64
    };
    for ((y, x), value) in values.indexed_iter_mut() {
        *value *= (gain(frequency(y, height), frequency(x, width)) * scale) as f32;
    }
    transform(&mut values, true);
    let (y0, x0) = ((height - ny) / 2, (width - nx) / 2);
    Array2::from_shape_fn((ny, nx), |(y, x)| values[[y + y0, x + x0]].re)
}

/// Transforms rows, then columns; without scaling.
fn transform(values: &mut Array2<Complex<f32>>, inverse: bool) {
    let (height, width) = values.dim();
    let mut planner = FftPlanner::<f32>::new();
    let plan = |planner: &mut FftPlanner<f32>, n| {
        if inverse { planner.plan_fft_inverse(n) } else { planner.plan_fft_forward(n) }
    };
    let along = plan(&mut planner, width);
    if let Some(values) = values.as_slice_mut() {
        along.process(values);
    }
    let across = plan(&mut planner, height);
    let mut column = vec![Complex::default(); height];
    for mut lane in values.columns_mut() {
        column.iter_mut().zip(&lane).for_each(|(to, from)| *to = *from);
        across.process(&mut column);
        lane.iter_mut().zip(&column).for_each(|(to, from)| *to = *from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_of_one_changes_nothing_and_no_gain_leaves_the_mean() {
        let image = Array2::from_shape_fn((15, 22), |(y, x)| ((y * 5 + x * 3) % 7) as f32);
        let same = filtered(image.view(), |_, _| 1.0);
        for (a, b) in same.iter().zip(&image) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        let mean = filtered(image.view(), |fy, fx| f64::from(fy == 0.0 && fx == 0.0));
        // The mirror images repeat some rows more than others, so the mean is not quite that of the picture.
        assert!(mean.iter().all(|value| (value - mean[[0, 0]]).abs() < 1e-4));
    }

    #[test]
    fn a_blur_is_that_of_its_gaussian() {
        let mut image = Array2::zeros((41, 41));
        image[[20, 20]] = 1.0;
        let sigma = 2.0f64;
        let gain =
            |fy: f64, fx: f64| (-2.0 * (std::f64::consts::PI * sigma).powi(2) * (fy * fy + fx * fx)).exp();
        let blurred = filtered(image.view(), gain);
        let expected =
            |d2: f64| (-d2 / (2.0 * sigma * sigma)).exp() / (std::f64::consts::TAU * sigma * sigma);
        for (y, x) in [(20, 20), (20, 23), (17, 22)] {
            let d2 = ((y as f64 - 20.0).powi(2)) + (x as f64 - 20.0).powi(2);
            assert!((f64::from(blurred[[y, x]]) - expected(d2)).abs() < 1e-5);
        }
    }
}
