//! The plane in which hand tools work: a slice along the axes of the volume, or one across them.
//!
//! Positions and directions are in voxels, as z, y, x. A plane across the axes passes between voxel centres; the voxels of
//! its slice are all that it cuts (the supercover of the plane), so that what is painted there has no holes on the screen.

/// A plane of slices, named by the axes that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Plane {
    /// Columns x, rows y, slices along z.
    #[default]
    Xy,
    /// Columns x, rows z, slices along y.
    Xz,
    /// The plane of y and z, slices along x.
    Yz,
    /// Any plane, by what runs right and down in it as steps in voxels along z, y, x.
    Oblique {
        /// What runs right.
        right_zyx: [f64; 3],
        /// What runs down; not along `right_zyx`.
        down_zyx: [f64; 3],
    },
}

impl Plane {
    /// The axis (0 = z, 1 = y, 2 = x) across the plane; `None` where it lies across the axes.
    pub fn normal_axis(self) -> Option<usize> {
        match self {
            Self::Xy => Some(0),
            Self::Xz => Some(1),
            Self::Yz => Some(2),
            Self::Oblique { .. } => None,
        }
    }

    /// Steps that run right and down in the plane.
    fn right_down(self) -> [[f64; 3]; 2] {
        match self {
            Self::Xy => [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]],
            Self::Xz => [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
            Self::Yz => [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
            Self::Oblique { right_zyx, down_zyx } => [right_zyx, down_zyx],
        }
    }

    /// Steps right and down from one position to another, whatever the steps across.
    pub(super) fn in_plane(self, from: [f64; 3], to: [f64; 3]) -> [f64; 2] {
        let [right, down] = self.right_down();
        let normal = cross(right, down);
        let step: [f64; 3] = std::array::from_fn(|a| to[a] - from[a]);
        [(right, cross(down, normal)), (down, cross(normal, right))]
            .map(|(along, dual)| dot(step, dual) / dot(along, dual))
    }

    /// The slice through a position, and `more` slices to either side of it.
    pub(super) fn slice(self, through_zyx: [f64; 3], more: usize) -> Slice {
        let [right, down] = self.right_down();
        let normal = match self.normal_axis() {
            Some(axis) => std::array::from_fn(|a| f64::from(u8::from(a == axis))),
            None => cross(right, down),
        };
        // The nearest slice along an axis; across the axes exactly where it is.
        let through = self.normal_axis().map_or(through_zyx, |_| through_zyx.map(f64::round));
        let width: f64 = normal.iter().map(|n| n.abs()).sum();
        // Voxels that the plane only touches are not of it, whatever the rounding.
        Slice { normal, offset: dot(normal, through), half: width * (0.5 + more as f64) * (1.0 - 1e-9) }
    }
}

/// The voxels of one slice, or of some slices together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slice {
    normal: [f64; 3],
    offset: f64,
    half: f64,
}

impl Slice {
    /// Whether a voxel belongs to it.
    pub(super) fn has(&self, zyx: [usize; 3]) -> bool {
        (dot(self.normal, zyx.map(|i| i as f64)) - self.offset).abs() <= self.half
    }

    /// Columns of the row (z, y) in it, as a closed interval; `None` where it has none.
    pub(super) fn columns(&self, z: usize, y: usize) -> Option<[f64; 2]> {
        let [nz, ny, nx] = self.normal;
        let rest = self.offset - nz * z as f64 - ny * y as f64;
        if nx.abs() < 1e-12 {
            return (rest.abs() <= self.half).then_some([f64::NEG_INFINITY, f64::INFINITY]);
        }
        let (a, b) = ((rest - self.half) / nx, (rest + self.half) / nx);
        Some([a.min(b), a.max(b)])
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| a[i] * b[i]).sum()
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_along_an_axis_is_one_voxel_thick() {
        for (plane, axis) in [(Plane::Xy, 0), (Plane::Xz, 1), (Plane::Yz, 2)] {
            let slice = plane.slice([4.4; 3], 0);
            for i in 0..9 {
                let mut at = [2; 3];
                at[axis] = i;
                assert_eq!(slice.has(at), i == 4, "{plane:?} {i}");
            }
            let thick = plane.slice([4.4; 3], 2);
            assert_eq!((0..9).filter(|i| thick.has([*i; 3])).count(), 5);
        }
    }

    #[test]
    fn an_oblique_slice_has_every_voxel_that_the_plane_passes_through() {
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let plane = Plane::Oblique { right_zyx: [half, 0.0, half], down_zyx: [0.0, 1.0, 0.0] };
        let slice = plane.slice([10.3, 10.0, 9.9], 0);
        // Points of the plane, and the voxels that they lie in.
        for right in -40..40 {
            let t = f64::from(right) * 0.2;
            let at = [10.3 + half * t, 10.0, 9.9 + half * t].map(|v| v.round() as usize);
            assert!(slice.has(at), "{at:?}");
            let columns = slice.columns(at[0], at[1]).unwrap();
            assert!(columns[0] <= at[2] as f64 && at[2] as f64 <= columns[1]);
        }
        // Two voxels away from it there are none.
        assert!(!slice.has([13, 10, 10]) && !slice.has([10, 10, 13]));
        let [right, down] = plane.in_plane([10.3, 10.0, 9.9], [10.3 + half * 3.0, 6.0, 9.9 + half * 3.0]);
        assert!((right - 3.0).abs() < 1e-12 && (down + 4.0).abs() < 1e-12, "{right} {down}");
    }
}
