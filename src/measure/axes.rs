//! Principal axes: which way a class or an object is long.
//!
//! They are those of the second moments of its voxels in the world, so that voxels of unequal edges turn nothing; each
//! voxel counts with its own extent. Of a solid ellipsoid the standard deviation along an axis is its half-axis / √5.

use glam::{DAffine3, DMat3, DVec3};

use crate::volume::Labels;
use crate::volume::labels::Brick;

/// Sums over voxels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    n: u64,
    /// Sums of x, y, z.
    sum: DVec3,
    /// Sums of x x, y y, z z, and of y z, x z, x y.
    squares: [DVec3; 2],
}

/// Where something lies, and which way it is long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrincipalAxes {
    /// Its centre of mass, world µm.
    pub center_um: DVec3,
    /// Directions of length 1, the longest first, perpendicular to each other and right-handed.
    pub directions: [DVec3; 3],
    /// Standard deviations along them, µm.
    pub sd_um: [f64; 3],
}

impl Moments {
    /// Counts a voxel, given as z, y, x.
    pub fn add(&mut self, [z, y, x]: [usize; 3]) {
        let p = DVec3::new(x as f64, y as f64, z as f64);
        self.n += 1;
        self.sum += p;
        self.squares[0] += p * p;
        self.squares[1] += DVec3::new(p.y * p.z, p.x * p.z, p.x * p.y);
    }

    /// Moments of all voxels of a class.
    pub fn of_class(labels: &Labels, class: u16) -> Self {
        let mut found = Self::default();
        for index in 0..labels.n_bricks() {
            if matches!(labels.brick(index), Brick::Uniform(id) if *id != class) {
                continue;
            }
            labels.for_each_in_brick(index, |zyx, id| {
                if id == class {
                    found.add(zyx);
                }
            });
        }
        found
    }

    /// Number of voxels.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The axes in the world; `None` of nothing.
    pub fn axes(&self, world_from_voxel: DAffine3) -> Option<PrincipalAxes> {
        if self.n == 0 {
            return None;
        }
        let n = self.n as f64;
        let mean = self.sum / n;
        // The extent of a voxel itself: a twelfth of its edge squared.
        let diagonal = self.squares[0] / n - mean * mean + 1.0 / 12.0;
        let mixed = self.squares[1] / n - DVec3::new(mean.y * mean.z, mean.x * mean.z, mean.x * mean.y);
        let covariance = DMat3::from_cols(
            DVec3::new(diagonal.x, mixed.z, mixed.y),
            DVec3::new(mixed.z, diagonal.y, mixed.x),
            DVec3::new(mixed.y, mixed.x, diagonal.z),
        );
        let map = world_from_voxel.matrix3;
        let (values, vectors) = eigen(map * covariance * map.transpose());
        let mut order = [0, 1, 2];
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        let [long, middle, _] = order.map(|i| vectors.col(i).normalize());
        // One of two opposite directions, the same every time: the larger part points forwards.
        let forwards = |v: DVec3| if v.dot(DVec3::new(1.0, 0.9, 0.8)) < 0.0 { -v } else { v };
        let long = forwards(long);
        let middle = forwards((middle - long * long.dot(middle)).normalize());
        Some(PrincipalAxes {
            center_um: world_from_voxel.transform_point3(mean),
            directions: [long, middle, long.cross(middle)],
            sd_um: order.map(|i| values[i].max(0.0).sqrt()),
        })
    }
}

/// Eigenvalues and eigenvectors, as columns, of a symmetric matrix: Jacobi's rotations.
fn eigen(matrix: DMat3) -> ([f64; 3], DMat3) {
    let (mut a, mut v) = (matrix, DMat3::IDENTITY);
    for _ in 0..32 {
        // The largest element off the diagonal is turned away.
        let pairs = [(0, 1), (0, 2), (1, 2)];
        let largest =
            pairs.into_iter().max_by(|p, q| a.col(p.1)[p.0].abs().total_cmp(&a.col(q.1)[q.0].abs()));
        let Some((i, j)) = largest else { break };
        let off = a.col(j)[i];
        if off.abs() <= 1e-15 * (a.col(i)[i].abs() + a.col(j)[j].abs()) {
            break;
        }
        let angle = 0.5 * (2.0 * off).atan2(a.col(j)[j] - a.col(i)[i]);
        let (s, c) = angle.sin_cos();
        let mut turn = DMat3::IDENTITY;
        (turn.col_mut(i)[i], turn.col_mut(j)[j]) = (c, c);
        (turn.col_mut(j)[i], turn.col_mut(i)[j]) = (s, -s);
        a = turn.transpose() * a * turn;
        v *= turn;
    }
    ([a.col(0)[0], a.col(1)[1], a.col(2)[2]], v)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::WorldFromVoxel;

    #[test]
    fn an_ellipsoid_in_unequal_voxels_has_its_own_axes() {
        let map = WorldFromVoxel::from_spacing([0.08, 0.05, 0.04], [1.0, -2.0, 0.5]).0;
        let turn = glam::DQuat::from_euler(glam::EulerRot::XYZ, 0.4, -0.7, 0.9);
        let half_axes = DVec3::new(1.2, 0.7, 0.4);
        let middle = map.transform_point3(DVec3::new(40.0, 32.0, 20.0));
        let array = Array3::from_shape_fn((41, 65, 81), |(z, y, x)| {
            let p = map.transform_point3(DVec3::new(x as f64, y as f64, z as f64)) - middle;
            u16::from((turn.inverse() * p / half_axes).length() < 1.0) * 3
        });
        let labels = Labels::from_dense(&array);
        let found = Moments::of_class(&labels, 3).axes(map).unwrap();
        // The border is known to a part of a voxel of up to 0.08 µm.
        assert!((found.center_um - middle).length() < 0.01, "{found:?}");
        for (axis, unit) in [DVec3::X, DVec3::Y, DVec3::Z].into_iter().enumerate() {
            let along = found.directions[axis].dot(turn * unit).abs();
            assert!(along > 0.999, "axis {axis}: {along}");
            let sd = half_axes[axis] / 5f64.sqrt();
            assert!(
                (found.sd_um[axis] / sd - 1.0).abs() < 0.02,
                "axis {axis}: {} for {sd}",
                found.sd_um[axis]
            );
        }
        assert!(found.directions[0].cross(found.directions[1]).dot(found.directions[2]) > 0.999);
        assert_eq!(Moments::of_class(&labels, 2).axes(map), None);
    }

    #[test]
    fn one_voxel_has_axes_and_eigenvalues_are_exact() {
        let mut one = Moments::default();
        one.add([5, 6, 7]);
        let found = one.axes(DAffine3::from_scale(DVec3::new(0.1, 0.2, 0.4))).unwrap();
        assert!((found.directions[0].z.abs() - 1.0).abs() < 1e-12);
        assert!((found.sd_um[0] - 0.4 / 12f64.sqrt()).abs() < 1e-12);
        let matrix = DMat3::from_cols_array(&[2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 5.0]);
        let (mut values, _) = eigen(matrix);
        values.sort_by(f64::total_cmp);
        for (found, wanted) in values.into_iter().zip([1.0, 3.0, 5.0]) {
            assert!((found - wanted).abs() < 1e-12, "{found}");
        }
    }
}
