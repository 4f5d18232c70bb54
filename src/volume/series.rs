//! A scan as it comes from the microscope, and the tilt series made of it.

use std::collections::BTreeMap;

use ndarray::Array3;

use super::any::AnyArray;
use crate::base::Unit;

/// What was read of a scan: raw frames and what the file says about them.
///
/// `projections`, `flats` and `darks` have shape (n, rows, columns).
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Views, shape (n_views, n_rows, n_cols), in file order and in the file's type.
    pub projections: AnyArray,
    /// Flat-field frames (no sample in the beam), same rows and columns.
    pub flats: Option<AnyArray>,
    /// Dark frames (no beam), same rows and columns.
    pub darks: Option<AnyArray>,
    /// Tilt of each view in degrees; one entry a view once the scan is complete, empty where none were found.
    pub angles_deg: Vec<f64>,
    /// What the values of `projections` are: counts, transmission or absorbance.
    pub unit: Unit,
    /// Pixel size at the sample in µm.
    pub pixel_um: Option<f64>,
    /// Photon energy in eV.
    pub energy_ev: Option<f64>,
    /// Beam monitor (ring current, ion chamber) of each view; empty where not recorded.
    pub beam: Vec<f64>,
    /// Beam monitor of each flat frame; empty where not recorded.
    pub flat_beam: Vec<f64>,
    /// Position of each flat frame in the acquisition, in views (0 before the first, n_views after the last); empty where not recorded.
    pub flat_times: Vec<f64>,
    /// Exposure of each view in s; empty where not recorded.
    pub exposure_s: Vec<f64>,
    /// Exposure of each flat frame in s; empty where not recorded.
    pub flat_exposure_s: Vec<f64>,
    /// Anything else the file says, as text.
    pub metadata: BTreeMap<String, String>,
    /// What the reader had to assume or repair; shown to the user.
    pub warnings: Vec<String>,
}

impl Scan {
    /// A scan of `projections` with nothing else known.
    pub fn new(projections: AnyArray, unit: Unit) -> Self {
        Self {
            projections,
            flats: None,
            darks: None,
            angles_deg: Vec::new(),
            unit,
            pixel_um: None,
            energy_ev: None,
            beam: Vec::new(),
            flat_beam: Vec::new(),
            flat_times: Vec::new(),
            exposure_s: Vec::new(),
            flat_exposure_s: Vec::new(),
            metadata: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Number of views.
    pub fn n_views(&self) -> usize {
        self.projections.shape()[0]
    }
}

/// A normalised tilt series: absorbance, ready for alignment and reconstruction.
#[derive(Debug, Clone, PartialEq)]
pub struct TiltSeries {
    /// Absorbance (no unit), shape (n_views, n_rows, n_cols), every value finite.
    pub data: Array3<f32>,
    /// Tilt of each view in degrees, one a view.
    pub angles_deg: Vec<f64>,
    /// Pixel size at the sample in µm.
    pub pixel_um: Option<f64>,
    /// Photon energy in eV.
    pub energy_ev: Option<f64>,
}

impl TiltSeries {
    /// Number of views.
    pub fn n_views(&self) -> usize {
        self.data.dim().0
    }

    /// Detector rows, along the rotation axis.
    pub fn n_rows(&self) -> usize {
        self.data.dim().1
    }

    /// Detector columns, across the rotation axis.
    pub fn n_cols(&self) -> usize {
        self.data.dim().2
    }

    /// Smallest and largest angle in degrees; zeros for an empty series.
    pub fn angle_range_deg(&self) -> (f64, f64) {
        range_of(&self.angles_deg).unwrap_or_default()
    }

    /// Whether the views cover (nearly) a half turn: no missing wedge worth the name.
    pub fn is_full_rotation(&self) -> bool {
        let (lo, hi) = self.angle_range_deg();
        let step = (hi - lo) / (self.n_views().max(2) - 1) as f64;
        hi - lo + step >= 175.0
    }
}

/// Smallest and largest of angles; `None` where there are none.
pub fn range_of(angles_deg: &[f64]) -> Option<(f64, f64)> {
    let first = *angles_deg.first()?;
    Some(angles_deg.iter().fold((first, first), |(lo, hi), a| (lo.min(*a), hi.max(*a))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_rotation_counts_the_step_after_the_last_view() {
        let series = |lo: f64, step: f64, n: usize| TiltSeries {
            data: Array3::zeros((n, 1, 1)),
            angles_deg: (0..n).map(|i| lo + step * i as f64).collect(),
            pixel_um: None,
            energy_ev: None,
        };
        assert!(series(0.0, 1.0, 180).is_full_rotation());
        assert!(series(-90.0, 2.0, 90).is_full_rotation());
        assert!(!series(-65.0, 1.0, 131).is_full_rotation());
    }
}
