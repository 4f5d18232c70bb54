//! Where rays run: the parallel-beam geometry of a single rotation axis.

use super::simd::{Increments, RUN};

/// A parallel-beam tilt series around the y axis, and the size of the cross-section it is projected from.
///
/// A point (z, x) lands at column `c_u + (x - c_x) cos θ - (z - c_z) sin θ + shift_x_px`, where every
/// centre is `(n - 1) / 2`; rows are unchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct ParallelGeometry {
    /// Tilt of each view in degrees.
    pub angles_deg: Vec<f64>,
    /// How far right the content of each view lies, in columns; as many as angles.
    pub shift_x_px: Vec<f64>,
    /// Columns of the detector.
    pub n_cols: usize,
    /// Voxels along z, the beam at 0°.
    pub depth: usize,
    /// Voxels along x, across the detector at 0°.
    pub width: usize,
}

impl ParallelGeometry {
    /// The square section of a detector of `n_cols` columns, the axis at the middle column.
    pub fn new(angles_deg: &[f64], n_cols: usize) -> Self {
        Self {
            angles_deg: angles_deg.to_vec(),
            shift_x_px: vec![0.0; angles_deg.len()],
            n_cols,
            depth: n_cols,
            width: n_cols,
        }
    }

    /// Number of views.
    pub fn n_views(&self) -> usize {
        self.angles_deg.len()
    }

    /// Interpolations of one back or forward projection of one row, the unit of the work forecasts.
    pub fn updates_per_row(&self) -> u64 {
        (self.depth * self.width * self.n_views()) as u64
    }

    pub(super) fn prepare(&self) -> Prepared {
        assert_eq!(self.angles_deg.len(), self.shift_x_px.len(), "one shift a view");
        let views = self.angles_deg.iter().zip(&self.shift_x_px).map(|(a, s)| View::new(*a, *s)).collect();
        let centre = |n: usize| (n as f64 - 1.0) / 2.0;
        Prepared {
            views,
            n_cols: self.n_cols,
            depth: self.depth,
            width: self.width,
            centre_u: centre(self.n_cols),
            centre_z: centre(self.depth),
            centre_x: centre(self.width),
        }
    }
}

/// A geometry with its sines and increments worked out.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) views: Vec<View>,
    pub(super) n_cols: usize,
    pub(super) depth: usize,
    pub(super) width: usize,
    centre_u: f64,
    pub(super) centre_z: f64,
    pub(super) centre_x: f64,
}

/// One view of a prepared geometry.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) cos: f64,
    pub(super) sin: f64,
    shift: f64,
    /// Rays step along z, one sample a line; otherwise along x. The steeper axis is taken.
    pub(super) along_z: bool,
    /// Length of ray per step, in voxels.
    pub(super) length: f32,
    /// How far the crossing with a line moves from one column to the next.
    pub(super) per_column: f64,
    pub(super) cos_steps: Increments,
    pub(super) column_steps: Increments,
}

impl View {
    fn new(angle_deg: f64, shift: f64) -> Self {
        let (sin, cos) = angle_deg.to_radians().sin_cos();
        let along_z = cos.abs() >= sin.abs();
        let per_column = if along_z { 1.0 / cos } else { -1.0 / sin };
        let steps =
            |step: f64| -> Increments { std::array::from_fn::<f32, RUN, _>(|k| (step * k as f64) as f32) };
        Self {
            cos,
            sin,
            shift,
            along_z,
            length: per_column.abs() as f32,
            per_column,
            cos_steps: steps(cos),
            column_steps: steps(per_column),
        }
    }

    /// The column on which voxel (z, x) lands.
    #[inline(always)]
    pub(super) fn column(&self, geometry: &Prepared, z: usize, x: usize) -> f64 {
        geometry.centre_u + self.shift + (x as f64 - geometry.centre_x) * self.cos
            - (z as f64 - geometry.centre_z) * self.sin
    }

    /// Where the ray of column `u` crosses line `step`: x on a line of constant z, or z on one of constant x.
    #[inline(always)]
    pub(super) fn crossing(&self, geometry: &Prepared, u: usize, step: usize) -> f64 {
        let u = u as f64 - geometry.centre_u - self.shift;
        if self.along_z {
            geometry.centre_x + (u + (step as f64 - geometry.centre_z) * self.sin) * self.per_column
        } else {
            geometry.centre_z + (u - (step as f64 - geometry.centre_x) * self.cos) * self.per_column
        }
    }
}
