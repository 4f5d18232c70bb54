//! Landmark pairs and the transforms fitted to them: what correlation reads, writes and keeps.

use glam::{DAffine3, DMat4, DVec3};
use serde::{Deserialize, Serialize};

/// The same point seen in two images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landmark {
    /// Name as the user sees it.
    pub name: String,
    /// Position in the moving image as x, y, z in µm.
    pub moving_um: [f64; 3],
    /// Position in the fixed image as x, y, z in µm.
    pub fixed_um: [f64; 3],
    /// Whether the fit uses it.
    #[serde(default = "yes")]
    pub used: bool,
}

fn yes() -> bool {
    true
}

/// Which maps a fit may choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransformModel {
    /// Rotation and translation.
    #[default]
    Rigid,
    /// Rotation, translation and one scale.
    Similarity,
    /// Any linear map and a translation.
    Affine,
}

impl TransformModel {
    /// The model in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rigid => "rigid",
            Self::Similarity => "similarity",
            Self::Affine => "affine",
        }
    }
}

/// A map from the moving into the fixed image, as TRANSFORM.json holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Version of the layout, 1.
    #[serde(rename = "waterwindow_transform")]
    pub version: u32,
    /// What was fitted.
    pub model: TransformModel,
    /// Rows of the 4×4 matrix on (x, y, z, 1) in µm.
    pub fixed_from_moving: [[f64; 4]; 4],
}

impl Transform {
    /// The transform of an affine map on (x, y, z) in µm.
    pub fn new(model: TransformModel, fixed_from_moving: &DAffine3) -> Self {
        let rows = DMat4::from(*fixed_from_moving).transpose().to_cols_array_2d();
        Self { version: 1, model, fixed_from_moving: rows }
    }

    /// The map that changes nothing.
    pub fn identity() -> Self {
        Self::new(TransformModel::Rigid, &DAffine3::IDENTITY)
    }

    /// The map as an affine.
    pub fn affine(&self) -> DAffine3 {
        DAffine3::from_mat4(DMat4::from_cols_array_2d(&self.fixed_from_moving).transpose())
    }

    /// Where a point of the moving image (x, y, z in µm) lies in the fixed one.
    pub fn apply(&self, moving_um: [f64; 3]) -> [f64; 3] {
        self.affine().transform_point3(DVec3::from(moving_um)).to_array()
    }

    /// Says in one sentence what is wrong with it, if anything.
    pub fn problem(&self) -> Option<String> {
        if self.version != 1 {
            return Some(format!("transform of version {}, this program reads version 1", self.version));
        }
        if !self.fixed_from_moving.iter().flatten().all(|v| v.is_finite()) {
            return Some("the transform holds a number that is not finite".to_owned());
        }
        if self.fixed_from_moving[3] != [0.0, 0.0, 0.0, 1.0] {
            return Some("the last row of the transform must be 0, 0, 0, 1".to_owned());
        }
        (self.affine().matrix3.determinant() == 0.0)
            .then(|| "the transform flattens space and cannot be undone".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_row_major_on_x_y_z_one() {
        let map = DAffine3::from_translation(DVec3::new(1.0, 2.0, 3.0));
        let transform = Transform::new(TransformModel::Similarity, &map);
        let json = serde_json::to_value(&transform).unwrap();
        assert_eq!(json["waterwindow_transform"], 1);
        assert_eq!(json["model"], "similarity");
        assert_eq!(json["fixed_from_moving"][1], serde_json::json!([0.0, 1.0, 0.0, 2.0]));
        let back: Transform = serde_json::from_value(json).unwrap();
        assert_eq!(back.apply([1.0, 1.0, 1.0]), [2.0, 3.0, 4.0]);
        assert_eq!(back.problem(), None);
    }

    #[test]
    fn problems_are_named() {
        let mut transform = Transform::identity();
        transform.fixed_from_moving[0][0] = 0.0;
        assert!(transform.problem().unwrap().contains("flattens"));
        transform.fixed_from_moving[0][0] = f64::NAN;
        assert!(transform.problem().unwrap().contains("finite"));
        transform.version = 2;
        assert!(transform.problem().unwrap().contains('2'));
    }
}
