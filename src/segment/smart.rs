//! The smart brush: within the disc or ball it paints only the side of an edge that the pointer is on.
//!
//! The values under the brush are smoothed over three voxels and split in two by Otsu's threshold (1979).
//! Where the two sides are no further apart than the halves of one Gaussian would be, there is no edge
//! and all is painted. Of the pointer's side, what hangs together with the middle is painted.

use crate::base::Progress;
use crate::volume::labels::BrickDelta;
use crate::volume::{Labels, Volume};

use super::brush::{Brush, Capsule};
use super::flood::Flood;

/// Variance between the halves of a Gaussian split at its mean, as a part of the whole: 2 / π.
const NO_EDGE: f64 = 0.637;
/// Bins of the histogram that Otsu's threshold is sought in.
const BINS: usize = 64;

/// Stamps the brush at a pointer position (fractional voxel indices z, y, x), following edges of the volume.
///
/// `sensitivity` from 0 to 1: at 0 only the clearest edges stop the brush, at 1 faint ones do. Returns the
/// bricks that changed as they were. Nothing is painted where the pointer is outside the volume, the shapes
/// differ, or its value is not finite.
pub fn smart_stamp(
    labels: &mut Labels,
    volume: &Volume<f32>,
    at_zyx: [f64; 3],
    brush: &Brush,
    sensitivity: f64,
) -> BrickDelta {
    let shape = labels.shape();
    if volume.shape() != shape || !brush.limits.allow(brush.class) {
        return BrickDelta::new();
    }
    let Some((capsule, lo, hi)) = Capsule::new(shape, at_zyx, at_zyx, brush) else {
        return BrickDelta::new();
    };
    let middle = at_zyx.map(|v| v.round().max(0.0) as usize);
    if (0..3).any(|a| middle[a] < lo[a] || middle[a] >= hi[a]) {
        return BrickDelta::new();
    }
    let patch = Patch::of(volume, lo, hi);
    let here = patch.at(middle);
    if !here.is_finite() {
        return BrickDelta::new();
    }
    let mut values = Vec::new();
    for z in lo[0]..hi[0] {
        for y in lo[1]..hi[1] {
            values.extend(capsule.row(z, y).map(|x| patch.at([z, y, x])).filter(|v| v.is_finite()));
        }
    }
    let edge = edge_among(&values, sensitivity);
    let same_side = |v: f32| v.is_finite() && edge.is_none_or(|edge| (v > edge) == (here > edge));
    let mut flood = Flood::new(lo, hi);
    let accept = |zyx: [usize; 3]| capsule.row(zyx[0], zyx[1]).contains(&zyx[2]) && same_side(patch.at(zyx));
    // A brush is small and nobody can cancel it.
    if flood.run(&Progress::new(), middle, u64::MAX, accept).is_err() {
        return BrickDelta::new();
    }
    let mut guard = brush.limits.guard(brush.class, Some(volume));
    labels.update_box(lo, hi, |zyx, old| if flood.has(zyx) { guard.painted(zyx, old) } else { old })
}

/// The box `lo..hi` of a volume, each value the mean of its neighbours within one voxel.
struct Patch {
    lo: [usize; 3],
    size: [usize; 3],
    values: Vec<f32>,
}

impl Patch {
    fn of(volume: &Volume<f32>, lo: [usize; 3], hi: [usize; 3]) -> Self {
        let shape = volume.shape();
        let size: [usize; 3] = std::array::from_fn(|a| hi[a] - lo[a]);
        // A disc looks at its own slice only.
        let reach = size.map(|n| usize::from(n > 1));
        let mut values = Vec::with_capacity(size.iter().product());
        for z in lo[0]..hi[0] {
            for y in lo[1]..hi[1] {
                for x in lo[2]..hi[2] {
                    let at = [z, y, x];
                    let range =
                        |a: usize| at[a].saturating_sub(reach[a])..(at[a] + reach[a] + 1).min(shape[a]);
                    let (mut sum, mut n) = (0.0f32, 0.0f32);
                    for z in range(0) {
                        for y in range(1) {
                            for x in range(2) {
                                sum += volume.data[[z, y, x]];
                                n += 1.0;
                            }
                        }
                    }
                    values.push(sum / n);
                }
            }
        }
        Self { lo, size, values }
    }

    fn at(&self, zyx: [usize; 3]) -> f32 {
        let [z, y, x] = std::array::from_fn(|a| zyx[a] - self.lo[a]);
        self.values[(z * self.size[1] + y) * self.size[2] + x]
    }
}

/// The value that parts these in two, if there are two kinds among them.
fn edge_among(values: &[f32], sensitivity: f64) -> Option<f32> {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if values.len() < 8 || high <= low {
        return None;
    }
    let scale = BINS as f32 / (high - low);
    let (mut count, mut sum) = ([0.0f64; BINS], [0.0f64; BINS]);
    for v in values {
        let bin = (((v - low) * scale) as usize).min(BINS - 1);
        count[bin] += 1.0;
        sum[bin] += f64::from(*v);
    }
    let n = values.len() as f64;
    let total: f64 = sum.iter().sum();
    let mean = total / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let (mut below, mut sum_below) = (0.0, 0.0);
    let mut best = (0.0, 0);
    for bin in 0..BINS - 1 {
        below += count[bin];
        sum_below += sum[bin];
        let above = n - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let apart = sum_below / below - (total - sum_below) / above;
        let between = below * above / (n * n) * apart * apart;
        if between > best.0 {
            best = (between, bin);
        }
    }
    // Between "as one Gaussian" and a clear step: how much of the variance the edge must explain.
    let wanted = NO_EDGE + (1.0 - sensitivity.clamp(0.0, 1.0)) * 0.25 + 0.02;
    (best.0 >= wanted * variance).then(|| low + (best.1 + 1) as f32 / scale)
}

#[cfg(test)]
mod tests {
    use super::super::brush::BrushShape;
    use super::*;
    use crate::base::Unit;
    use ndarray::Array3;

    /// Noise with a standard deviation of about 0.02, the same for every run.
    fn noise(z: usize, y: usize, x: usize) -> f32 {
        let mut h = (z as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ (x as u32);
        h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
        h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
        ((h ^ (h >> 15)) as f32 / u32::MAX as f32 - 0.5) * 0.07
    }

    /// A bright half space beyond x = 20, and a faint step beyond y = 40.
    fn halves() -> Volume<f32> {
        let data = Array3::from_shape_fn((9, 60, 60), |(z, y, x)| {
            let bright = if x >= 20 { 0.35 } else { 0.25 };
            bright + noise(z, y, x)
        });
        Volume::new(data, Some([0.02; 3]), Unit::PerUm)
    }

    fn brush(shape: BrushShape) -> Brush {
        Brush { shape, radius_voxels: 7.0, ..Brush::default() }
    }

    #[test]
    fn the_brush_stops_at_an_edge_and_is_whole_where_there_is_none() {
        let volume = halves();
        for shape in [BrushShape::Disc, BrushShape::Ball] {
            let mut labels = Labels::new([9, 60, 60]);
            smart_stamp(&mut labels, &volume, [4.0, 20.0, 17.0], &brush(shape), 0.5);
            let over =
                labels.to_dense().indexed_iter().filter(|((_, _, x), id)| **id == 1 && *x > 20).count();
            let all = labels.to_dense().iter().filter(|id| **id == 1).count();
            // One voxel of blur at the edge may go over; beyond it nothing.
            assert!(over == 0, "{shape:?}: {over} of {all} voxels beyond the edge");
            assert!(all > 60, "{shape:?}: only {all} voxels");
            let mut labels = Labels::new([9, 60, 60]);
            smart_stamp(&mut labels, &volume, [4.0, 20.0, 45.0], &brush(shape), 0.5);
            let mut plain = Labels::new([9, 60, 60]);
            super::super::brush::stamp_stroke(
                &mut plain,
                None,
                [4.0, 20.0, 45.0],
                [4.0, 20.0, 45.0],
                &brush(shape),
            );
            assert_eq!(labels, plain, "{shape:?}: no edge, so the whole stamp");
        }
    }

    #[test]
    fn outside_other_shapes_and_missing_values_paint_nothing() {
        let mut volume = halves();
        let mut labels = Labels::new([9, 60, 60]);
        let brush = brush(BrushShape::Disc);
        assert!(smart_stamp(&mut labels, &volume, [4.0, -30.0, 5.0], &brush, 0.5).is_empty());
        assert!(smart_stamp(&mut labels, &volume, [f64::NAN; 3], &brush, 0.5).is_empty());
        assert!(smart_stamp(&mut Labels::new([9, 60, 61]), &volume, [4.0; 3], &brush, 0.5).is_empty());
        volume.data.fill(f32::NAN);
        assert!(smart_stamp(&mut labels, &volume, [4.0; 3], &brush, 0.5).is_empty());
    }
}
