//! Rulers: lengths, angles and areas of points in the world, and the values of a volume along and within them.
//!
//! Points are world µm, so that voxels of unequal edges and planes across the axes need no care. Values within an
//! area are those of the nearest voxels, one sample a voxel edge, so that their standard deviation is that of what was
//! measured; values along a line are linear between voxel centres.

use glam::{DAffine3, DVec3};
use serde::{Deserialize, Serialize};

use crate::volume::Volume;

/// What a ruler measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RulerKind {
    /// The distance of two points.
    Distance,
    /// The angle at the second of three points.
    Angle,
    /// The area of a polygon.
    Area,
    /// The values along a line.
    Profile,
}

impl RulerKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Distance, Self::Angle, Self::Area, Self::Profile];

    /// What a user calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Distance => "Distance",
            Self::Angle => "Angle",
            Self::Area => "Area",
            Self::Profile => "Profile",
        }
    }

    /// The number of its points; `None` for a polygon, which has three or more.
    pub fn n_points(self) -> Option<usize> {
        match self {
            Self::Distance | Self::Profile => Some(2),
            Self::Angle => Some(3),
            Self::Area => None,
        }
    }

    /// Whether so many points make one.
    pub fn is_whole(self, n: usize) -> bool {
        self.n_points().map_or(n >= 3, |wanted| n == wanted)
    }
}

/// Length of the way through points, µm.
pub fn length_um(points: &[DVec3]) -> f64 {
    points.windows(2).map(|pair| pair[0].distance(pair[1])).sum()
}

/// Length of the way around a polygon, µm.
pub fn perimeter_um(points: &[DVec3]) -> f64 {
    let back = points.first().zip(points.last()).map_or(0.0, |(first, last)| first.distance(*last));
    length_um(points) + back
}

/// Angle at the second of three points, degrees from 0 to 180; `None` where two of them are one.
pub fn angle_deg(points: &[DVec3]) -> Option<f64> {
    let [a, b, c] = *points else { return None };
    let (to_a, to_c) = ((a - b).try_normalize()?, (c - b).try_normalize()?);
    // Exact near 0° and 180° too, where the arc cosine is not.
    Some(to_a.cross(to_c).length().atan2(to_a.dot(to_c)).to_degrees())
}

/// Area of a plane polygon, µm²; of one that crosses itself what its turns leave over.
pub fn area_um2(points: &[DVec3]) -> f64 {
    let Some(first) = points.first() else { return 0.0 };
    // About a corner, so that far-away origins cost no precision.
    let next = points.iter().cycle().skip(1);
    let sum: DVec3 = points.iter().zip(next).map(|(a, b)| (*a - *first).cross(*b - *first)).sum();
    0.5 * sum.length()
}

/// A volume where it lies in the world.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The values.
    pub volume: &'a Volume<f32>,
    /// World µm from voxel index, placement included.
    pub world_from_voxel: DAffine3,
}

impl Placed<'_> {
    /// World length of a step of one voxel along a direction of length 1.
    fn step_um(&self, along: DVec3) -> f64 {
        let steps = (self.world_from_voxel.matrix3.inverse() * along).abs().max_element();
        if steps > 0.0 && steps.is_finite() { 1.0 / steps } else { 1.0 }
    }

    fn get(&self, p: DVec3) -> Option<f64> {
        let [nz, ny, nx] = self.volume.shape();
        let inside = p.cmpge(DVec3::ZERO).all() && p.x < nx as f64 && p.y < ny as f64 && p.z < nz as f64;
        let value = self.volume.data.get([p.z as usize, p.y as usize, p.x as usize])?;
        (inside && value.is_finite()).then_some(f64::from(*value))
    }

    /// Value of the nearest voxel; `None` outside and where it is no number.
    fn nearest(&self, world: DVec3) -> Option<f64> {
        // A place halfway between two voxels falls to the lower one, whatever the last digits say.
        self.get((self.voxel(world) - 1e-9).round())
    }

    fn voxel(&self, world: DVec3) -> DVec3 {
        self.world_from_voxel.inverse().transform_point3(world)
    }

    /// Value linear between voxel centres; `None` more than half a voxel outside and beside values that are no numbers.
    fn linear(&self, world: DVec3) -> Option<f64> {
        let [nz, ny, nx] = self.volume.shape();
        let last = DVec3::new(nx as f64, ny as f64, nz as f64) - 1.0;
        let p = self.voxel(world);
        if p.cmplt(DVec3::splat(-0.5)).any() || p.cmpgt(last + 0.5).any() {
            return None;
        }
        let p = p.clamp(DVec3::ZERO, last.max(DVec3::ZERO));
        let base = p.floor();
        let f = p - base;
        let mut sum = 0.0;
        for k in 0..8 {
            let corner = DVec3::new(f64::from(k & 1), f64::from(k >> 1 & 1), f64::from(k >> 2));
            let weight = ((1.0 - corner) * (1.0 - f) + corner * f).to_array().into_iter().product::<f64>();
            if weight > 0.0 {
                sum += weight * self.get(base + corner)?;
            }
        }
        Some(sum)
    }
}

/// Values of the samples within an area.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AreaValues {
    /// Number of samples, one a voxel edge to the right and down.
    pub n: usize,
    /// Their mean, in the volume's unit.
    pub mean: f64,
    /// Their standard deviation (of the samples, not of the mean); 0 for one sample.
    pub sd: f64,
}

/// Values within a polygon that lies in the plane of two directions, right and down, of length 1.
///
/// `None` where no sample lies within it and the volume.
pub fn area_values(of: Placed<'_>, points: &[DVec3], (right, down): (DVec3, DVec3)) -> Option<AreaValues> {
    let first = *points.first()?;
    let (step_r, step_d) = (of.step_um(right), of.step_um(down));
    // Sampling places run through voxel (0, 0, 0), brought into the plane: along the axes they are voxel centres.
    let zero = of.world_from_voxel.transform_point3(DVec3::ZERO);
    let normal = right.cross(down);
    let origin = zero + normal * (first - zero).dot(normal);
    let flat: Vec<[f64; 2]> = points
        .iter()
        .map(|p| [(*p - origin).dot(right) / step_r, (*p - origin).dot(down) / step_d])
        .collect();
    let bound = |pick: fn(f64, f64) -> f64, axis: usize| flat.iter().map(|p| p[axis]).reduce(pick);
    let (top, bottom) = (bound(f64::min, 1)?.ceil(), bound(f64::max, 1)?.floor());
    let (left, right_end) = (bound(f64::min, 0)?, bound(f64::max, 0)?);
    // No polygon that a hand draws reaches further than any volume does.
    if ![top, bottom, left, right_end].iter().all(|v| v.abs() < 1e6) {
        return None;
    }
    let (mut n, mut mean, mut squares) = (0usize, 0.0, 0.0);
    for row in top as i64..=bottom as i64 {
        let y = row as f64;
        let mut crossings: Vec<f64> = flat
            .iter()
            .zip(flat.iter().cycle().skip(1))
            .filter(|(a, b)| (a[1] <= y) != (b[1] <= y))
            .map(|(a, b)| a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]))
            .collect();
        crossings.sort_by(f64::total_cmp);
        for span in crossings.chunks_exact(2) {
            for column in span[0].ceil() as i64..=span[1].floor() as i64 {
                let place = origin + right * (column as f64 * step_r) + down * (y * step_d);
                let Some(value) = of.nearest(place) else { continue };
                n += 1;
                let away = value - mean;
                mean += away / n as f64;
                squares += away * (value - mean);
            }
        }
    }
    let sd = if n > 1 { (squares / (n as f64 - 1.0)).sqrt() } else { 0.0 };
    (n > 0).then_some(AreaValues { n, mean, sd })
}

/// Values along a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Distance of each sample from the first point, µm.
    pub distance_um: Vec<f64>,
    /// Mean across the width; not a number where the line leaves the volume.
    pub mean: Vec<f64>,
    /// Standard deviation across the width; not a number with fewer than two samples.
    pub sd: Vec<f64>,
}

/// Values along a line in a plane with this normal, the mean of `width` lines beside each other, a voxel edge apart.
pub fn profile(of: Placed<'_>, [from, to]: [DVec3; 2], normal: DVec3, width: u32) -> Profile {
    let length = from.distance(to);
    let Some(along) = (to - from).try_normalize() else { return Profile::default() };
    let across = normal.cross(along).try_normalize().unwrap_or(DVec3::ZERO);
    let step = of.step_um(along);
    let beside = of.step_um(across);
    let n = ((length / step).round() as usize).clamp(1, 100_000);
    let width = width.clamp(1, 1000);
    let mut found = Profile::default();
    for i in 0..=n {
        let distance = length * i as f64 / n as f64;
        let middle = from + along * distance;
        let values: Vec<f64> = (0..width)
            .filter_map(|k| {
                let side = f64::from(k) - f64::from(width - 1) * 0.5;
                of.linear(middle + across * (side * beside))
            })
            .collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        found.distance_um.push(distance);
        found.mean.push(if values.is_empty() { f64::NAN } else { mean });
        found.sd.push(if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { f64::NAN });
    }
    found
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use proptest::prelude::*;

    use super::*;
    use crate::base::{Unit, WorldFromVoxel};

    fn frame(turn: [f64; 3]) -> (DVec3, DVec3) {
        let q = glam::DQuat::from_euler(glam::EulerRot::XYZ, turn[0], turn[1], turn[2]);
        (q * DVec3::X, q * DVec3::Y)
    }

    proptest! {
        #[test]
        fn lengths_angles_and_areas_are_those_of_the_plane_wherever_it_lies(
            turn in [-3.0f64..3.0, -3.0..3.0, -3.0..3.0],
            origin in [-500.0f64..500.0, -500.0..500.0, -500.0..500.0],
            (a, b) in (0.01f64..20.0, 0.01f64..20.0),
            angle in 1.0f64..179.0,
        ) {
            let (right, down) = frame(turn);
            let at = |x: f64, y: f64| DVec3::from_array(origin) + right * x + down * y;
            prop_assert!((length_um(&[at(0.0, 0.0), at(a, b)]) - a.hypot(b)).abs() < 1e-9);
            let rectangle = [at(0.0, 0.0), at(a, 0.0), at(a, b), at(0.0, b)];
            prop_assert!((area_um2(&rectangle) - a * b).abs() < 1e-9 * (1.0 + a * b));
            prop_assert!((perimeter_um(&rectangle) - 2.0 * (a + b)).abs() < 1e-9);
            let (s, c) = angle.to_radians().sin_cos();
            let found = angle_deg(&[at(a, 0.0), at(0.0, 0.0), at(b * c, b * s)]).unwrap();
            prop_assert!((found - angle).abs() < 1e-6);
        }
    }

    #[test]
    fn a_circle_of_many_corners_has_the_area_of_a_circle() {
        let corner = |i: i32| {
            let turn = std::f64::consts::TAU * f64::from(i) / 720.0;
            let (right, down) = frame([0.4, 1.1, -0.3]);
            right * (2.0 * turn.cos()) + down * (2.0 * turn.sin())
        };
        let points: Vec<_> = (0..720).map(corner).collect();
        // A polygon of 720 corners lacks 1.3e-5 of its circle.
        assert!((area_um2(&points) / (4.0 * std::f64::consts::PI) - 1.0).abs() < 2e-5);
        assert_eq!(area_um2(&[]), 0.0);
        assert_eq!(area_um2(&points[..2]), 0.0);
        assert_eq!(angle_deg(&[DVec3::X, DVec3::X, DVec3::Y]), None);
    }

    /// Values x + 10 y + 100 z in voxels of 0.1, 0.2 and 0.4 µm (x, y, z).
    fn ramp() -> Volume<f32> {
        let data = Array3::from_shape_fn((10, 20, 30), |(z, y, x)| (x + 10 * y + 100 * z) as f32);
        Volume { origin_um: [-1.0, 2.0, 5.0], ..Volume::new(data, Some([0.4, 0.2, 0.1]), Unit::PerUm) }
    }

    fn placed(volume: &Volume<f32>) -> Placed<'_> {
        Placed { volume, world_from_voxel: volume.world_from_voxel().0 }
    }

    #[test]
    fn a_rectangle_of_unequal_voxels_counts_each_once_in_every_plane() {
        let volume = ramp();
        let map = WorldFromVoxel::from_spacing([0.4, 0.2, 0.1], [-1.0, 2.0, 5.0]);
        // From voxel 2.5 to 8.5 right, 3.5 to 7.5 down, in the middle of the third axis.
        let cases: [([usize; 2], (DVec3, DVec3)); 3] =
            [([2, 1], (DVec3::X, DVec3::Y)), ([2, 0], (DVec3::X, DVec3::Z)), ([0, 1], (DVec3::Z, DVec3::Y))];
        for ([right, down], frame) in cases {
            let corner = |r: f64, d: f64| {
                let mut zyx = [4.0; 3];
                (zyx[right], zyx[down]) = (r, d);
                map.world_from_zyx(zyx)
            };
            let points = [corner(2.5, 3.5), corner(8.5, 3.5), corner(8.5, 7.5), corner(2.5, 7.5)];
            let found = area_values(placed(&volume), &points, frame).unwrap();
            assert_eq!(found.n, 24);
            let unit = [100.0, 10.0, 1.0];
            let rest: f64 = (0..3).filter(|a| ![right, down].contains(a)).map(|a| 4.0 * unit[a]).sum();
            let mean = rest + 5.5 * unit[right] + 5.5 * unit[down];
            assert!((found.mean - mean).abs() < 1e-9, "{found:?}, {mean}");
            // Six and four whole numbers in a row: variances 35/12 and 15/12, of samples 24/23 of that.
            let var = (35.0 / 12.0 * unit[right] * unit[right] + 15.0 / 12.0 * unit[down] * unit[down])
                * 24.0
                / 23.0;
            assert!((found.sd - var.sqrt()).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn an_oblique_area_has_the_mean_of_the_plane_through_a_ramp() {
        let volume = ramp();
        let centre = volume.world_from_voxel().world_from_zyx([5.0, 10.0, 15.0]);
        let (right, down) = frame([0.5, 0.3, 0.2]);
        let corner = |x: f64, y: f64| centre + right * x + down * y;
        let points = [corner(-0.8, -0.8), corner(0.8, -0.8), corner(0.8, 0.8), corner(-0.8, 0.8)];
        let found = area_values(placed(&volume), &points, (right, down)).unwrap();
        // The ramp is 615 in the middle and even about it; nearest voxels and the border move the mean by less
        // than half a step of z, 100.
        assert!((found.mean - 615.0).abs() < 15.0, "{found:?}");
        assert!(found.n > 100);
        assert_eq!(area_values(placed(&volume), &points.map(|p| p + 100.0), (right, down)), None);
        assert_eq!(area_values(placed(&volume), &[], (right, down)), None);
    }

    #[test]
    fn a_profile_follows_the_ramp_with_any_width_and_says_where_it_leaves_the_volume() {
        let volume = ramp();
        let map = volume.world_from_voxel();
        let [from, to] = [[4.0, 10.0, 5.0], [4.0, 10.0, 25.0]].map(|zyx| map.world_from_zyx(zyx));
        for width in [1, 5] {
            let found = profile(placed(&volume), [from, to], DVec3::Z, width);
            assert_eq!(found.distance_um.len(), 21);
            for (i, (distance, mean)) in found.distance_um.iter().zip(&found.mean).enumerate() {
                assert!((distance - 0.1 * i as f64).abs() < 1e-9);
                assert!((mean - (505.0 + i as f64)).abs() < 1e-6, "{mean} at {i}");
            }
            // Five lines of y, ten units apart: the variance of samples is 250.
            let sd = if width == 1 { f64::NAN } else { 250f64.sqrt() };
            assert!(found.sd.iter().all(|s| (s - sd).abs() < 1e-6 || s.is_nan() && sd.is_nan()));
        }
        let beyond = profile(placed(&volume), [from, from - DVec3::X * 5.0], DVec3::Z, 1);
        assert!(beyond.mean[0].is_finite() && beyond.mean.last().unwrap().is_nan());
        assert_eq!(profile(placed(&volume), [from, from], DVec3::Z, 1), Profile::default());
    }
}
