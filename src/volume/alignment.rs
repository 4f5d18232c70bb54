//! Where the content of each view has moved: alignment as parameters, never as resampled pixels.
//!
//! `aligned(y, x) = view(y + shift_y, x + shift_x)`, in unbinned pixels. A constant offset of the
//! rotation axis is part of `shift_x`. Stored as ALIGN.json.

use serde::{Deserialize, Serialize};

/// The alignment of one view, in file order of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ViewShift {
    /// Position of the view in the scan, from 0.
    pub index: usize,
    /// Tilt in degrees.
    pub angle_deg: f64,
    /// How far the content has moved down, in unbinned pixels.
    pub shift_y_px: f64,
    /// How far the content has moved right, in unbinned pixels.
    pub shift_x_px: f64,
    /// Whether the view takes part in the reconstruction.
    pub used: bool,
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
}

impl Alignment {
    /// No shifts: the rotation axis at the middle column.
    pub fn identity(angles_deg: &[f64]) -> Self {
        let views = angles_deg
            .iter()
            .enumerate()
            .map(|(index, &angle_deg)| ViewShift {
                index,
                angle_deg,
                shift_y_px: 0.0,
                shift_x_px: 0.0,
                used: true,
            })
            .collect();
        Self { version: 1, method: "none".to_owned(), views, score: None }
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
        if let Some(view) = self
            .views
            .iter()
            .find(|v| ![v.angle_deg, v.shift_x_px, v.shift_y_px].iter().all(|s| s.is_finite()))
        {
            return Some(format!("the alignment of view {} is not a finite number", view.index));
        }
        (self.used_indices().is_empty() && n_views > 0)
            .then(|| "the alignment excludes every view: set \"used\" to true for some".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let json = serde_json::to_value(Alignment::identity(&[0.0, 1.0])).unwrap();
        assert_eq!(json["waterwindow_alignment"], 1);
        for field in ["index", "angle_deg", "shift_y_px", "shift_x_px", "used"] {
            assert!(json["views"][1].get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn problems_are_named() {
        let mut alignment = Alignment::identity(&[0.0, 1.0]);
        assert_eq!(alignment.problem(2), None);
        assert!(alignment.problem(3).unwrap().contains('3'));
        alignment.views[1].shift_x_px = f64::NAN;
        assert!(alignment.problem(2).unwrap().contains("view 1"));
    }
}
