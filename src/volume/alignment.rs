//! Where the content of each view has moved: alignment as parameters, never as resampled pixels.
//!
//! `aligned(p) = view(A (p - c) + c + shift)` for a pixel p = (x, y), with the middle c = (n - 1) / 2 of the
//! view and `A = magnification · R(rotation)`, `R(φ) = [[cos φ, -sin φ], [sin φ, cos φ]]`: a positive rotation
//! turns x (right) towards y (down the rows). Without rotation and magnification that is
//! `aligned(y, x) = view(y + shift_y, x + shift_x)`. Everything in unbinned pixels. A constant offset
//! of the rotation axis is part of `shift_x`. Stored as ALIGN.json.

use serde::{Deserialize, Serialize};

use super::tracks::BeadTracks;

/// Largest magnification that is believed, and its inverse the smallest.
const MAX_MAGNIFICATION: f64 = 4.0;

/// The alignment of one view, in file order of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ViewShift {
    /// Position of the view in the scan, from 0.
    pub index: usize,
    /// Tilt in degrees, refined where the method refines it.
    pub angle_deg: f64,
    /// How far the content has moved down, in unbinned pixels.
    pub shift_y_px: f64,
    /// How far the content has moved right, in unbinned pixels.
    pub shift_x_px: f64,
    /// How far the content has turned about the middle, in degrees, x towards y.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rotation_deg: f64,
    /// How many times larger the content is than in the volume.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub magnification: f64,
    /// Root mean square distance of what was tracked in this view from where the model puts it, in unbinned pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual_px: Option<f64>,
    /// Whether the view takes part in the reconstruction.
    pub used: bool,
}

fn one() -> f64 {
    1.0
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

impl ViewShift {
    /// A view at this tilt that has not moved.
    pub fn still(index: usize, angle_deg: f64) -> Self {
        Self {
            index,
            angle_deg,
            shift_y_px: 0.0,
            shift_x_px: 0.0,
            rotation_deg: 0.0,
            magnification: 1.0,
            residual_px: None,
            used: true,
        }
    }

    /// Whether the content has neither turned nor grown.
    pub fn is_shift(&self) -> bool {
        self.rotation_deg == 0.0 && self.magnification == 1.0
    }

    /// A = magnification · R(rotation), rows first, on (x, y).
    pub fn matrix(&self) -> [[f64; 2]; 2] {
        let (sin, cos) = self.rotation_deg.to_radians().sin_cos();
        let m = self.magnification;
        [[m * cos, -m * sin], [m * sin, m * cos]]
    }

    /// Whether every number is finite and the magnification can be.
    pub fn is_sound(&self) -> bool {
        [self.angle_deg, self.shift_x_px, self.shift_y_px, self.rotation_deg].iter().all(|v| v.is_finite())
            && (1.0 / MAX_MAGNIFICATION..=MAX_MAGNIFICATION).contains(&self.magnification)
    }
}

/// The alignment of a whole scan: one entry per projection, excluded ones with `used: false`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Version of the layout, 1.
    #[serde(rename = "waterwindow_alignment")]
    pub version: u32,
    /// How it was found.
    #[serde(default)]
    pub method: String,
    /// One entry per projection in file order.
    pub views: Vec<ViewShift>,
    /// Quality on views held out or on the final residual; what it is, `method` says. Absent where nothing was measured.
    pub score: Option<f64>,
    /// The beads or patches that it was found from, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beads: Option<BeadTracks>,
}

impl Alignment {
    /// No shifts: the rotation axis at the middle column.
    pub fn identity(angles_deg: &[f64]) -> Self {
        let views = angles_deg.iter().enumerate().map(|(index, angle)| ViewShift::still(index, *angle));
        Self { version: 1, method: "none".to_owned(), views: views.collect(), score: None, beads: None }
    }

    /// Positions of the views that take part.
    pub fn used_indices(&self) -> Vec<usize> {
        self.views.iter().enumerate().filter(|(_, view)| view.used).map(|(i, _)| i).collect()
    }

    /// Says in one sentence what is wrong with it for a scan of `n_views`, if anything.
    pub fn problem(&self, n_views: usize) -> Option<String> {
        if self.version != 1 {
            return Some(format!("alignment of version {}, this program reads version 1", self.version));
        }
        if self.views.len() != n_views {
            return Some(format!(
                "alignment of {} views for a scan of {n_views}: it belongs to another scan, align this one",
                self.views.len()
            ));
        }
        if let Some(view) = self.views.iter().find(|view| !view.is_sound()) {
            return Some(format!(
                "the alignment of view {} is not a finite number, or magnifies more than {MAX_MAGNIFICATION} times",
                view.index
            ));
        }
        if let Some(problem) = self.beads.as_ref().and_then(|beads| beads.problem(n_views)) {
            return Some(problem);
        }
        (self.used_indices().is_empty() && n_views > 0)
            .then(|| "the alignment excludes every view: set \"used\" to true for some".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_fields_of_the_contract_and_no_others_where_nothing_turned() {
        let mut alignment = Alignment::identity(&[0.0, 1.0]);
        let json = serde_json::to_value(&alignment).unwrap();
        assert_eq!(json["waterwindow_alignment"], 1);
        for field in ["index", "angle_deg", "shift_y_px", "shift_x_px", "used"] {
            assert!(json["views"][1].get(field).is_some(), "{field}");
        }
        assert_eq!(json["views"][1].as_object().unwrap().len(), 5);
        assert_eq!(serde_json::from_value::<Alignment>(json).unwrap(), alignment);
        alignment.views[1].rotation_deg = 1.5;
        alignment.views[1].magnification = 1.01;
        let json = serde_json::to_value(&alignment).unwrap();
        assert_eq!(json["views"][1]["rotation_deg"], 1.5);
        assert_eq!(serde_json::from_value::<Alignment>(json).unwrap(), alignment);
    }

    #[test]
    fn problems_are_named() {
        let mut alignment = Alignment::identity(&[0.0, 1.0]);
        assert_eq!(alignment.problem(2), None);
        assert!(alignment.problem(3).unwrap().contains('3'));
        alignment.views[1].shift_x_px = f64::NAN;
        assert!(alignment.problem(2).unwrap().contains("view 1"));
        alignment.views[1] = ViewShift { magnification: 0.0, ..ViewShift::still(1, 1.0) };
        assert!(alignment.problem(2).unwrap().contains("view 1"));
    }
}
