//! How the 3D view is drawn: the choices of its menus, and the scene that they make.

use std::collections::BTreeSet;

use glam::DVec3;
use serde::{Deserialize, Serialize};

use crate::render::camera::BoxUm;
use crate::render::scene::{Cut, VolumeMode, VolumeScene};
use crate::render::transfer::{TransferFunction, TransferPreset};

/// Which side of the crosshair is cut away along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CutSide {
    /// Nothing is.
    #[default]
    Off,
    /// What has the smaller coordinate.
    Below,
    /// What has the larger coordinate.
    Above,
}

/// A plane that cuts the volume wherever it is put.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct FreePlane {
    /// A point of it, where its handle is, world µm.
    pub(crate) point_um: DVec3,
    /// Points to the side that stays, length 1.
    pub(crate) normal: DVec3,
}

impl FreePlane {
    /// Azimuth about the upright axis, 0 away from the viewer, and elevation, degrees.
    pub(crate) fn angles_deg(&self) -> [f64; 2] {
        let azimuth = self.normal.x.atan2(self.normal.z).to_degrees();
        [azimuth, (-self.normal.y).clamp(-1.0, 1.0).asin().to_degrees()]
    }

    /// Turns it.
    pub(crate) fn set_angles_deg(&mut self, angles: [f64; 2]) {
        let [azimuth, elevation] = angles.map(f64::to_radians);
        self.normal =
            DVec3::new(azimuth.sin() * elevation.cos(), -elevation.sin(), azimuth.cos() * elevation.cos());
    }
}

/// How the 3D view is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VolumeLook {
    /// Haze, projection or surface.
    pub(crate) mode: VolumeMode,
    /// The preset that the curve started from.
    pub(crate) preset: TransferPreset,
    /// The curve.
    pub(crate) transfer: TransferFunction,
    /// Threshold of the surface, in the volume's unit.
    pub(crate) iso: f32,
    /// Labels tint the volume.
    pub(crate) labels: bool,
    /// Strength of the shading, 0 to 1.
    pub(crate) shading: f32,
    /// How much the farthest point fades, 0 to 1.
    pub(crate) depth_cue: f32,
    /// How much hollows of surfaces are darkened, 0 to 1.
    pub(crate) occlusion: f32,
    /// How dark shadows on surfaces are, 0 to 1.
    pub(crate) shadow: f32,
    /// What is cut away at the crosshair, along x, y, z.
    pub(crate) cuts: [CutSide; 3],
    /// Only what lies in this box is drawn, world µm.
    pub(crate) clip: Option<BoxUm>,
    /// A plane that cuts.
    pub(crate) plane: Option<FreePlane>,
    /// Classes that box, plane and cuts leave whole, with all that lies inside them.
    pub(crate) kept: BTreeSet<u16>,
    /// Whether the handles of box and plane are drawn.
    pub(crate) handles: bool,
    /// Whether the crosshair is drawn.
    pub(crate) crosshair: bool,
    /// Whether annotations are drawn.
    pub(crate) annotations: bool,
}

impl Default for VolumeLook {
    fn default() -> Self {
        Self {
            mode: VolumeMode::Composite,
            preset: TransferPreset::default(),
            transfer: TransferFunction::default(),
            iso: 0.3,
            labels: true,
            shading: 0.8,
            depth_cue: 0.3,
            occlusion: 0.7,
            shadow: 0.0,
            cuts: [CutSide::Off; 3],
            clip: None,
            plane: None,
            kept: BTreeSet::new(),
            handles: true,
            crosshair: false,
            annotations: true,
        }
    }
}

impl VolumeLook {
    /// Whether the mode shows surfaces.
    pub(crate) fn has_surfaces(&self) -> bool {
        matches!(self.mode, VolumeMode::Iso | VolumeMode::Labels)
    }

    /// Whether the mode shows light and shade.
    pub(crate) fn is_lit(&self) -> bool {
        self.has_surfaces() || self.mode == VolumeMode::Composite
    }

    /// Whether anything is cut away.
    pub(crate) fn is_cut(&self) -> bool {
        self.clip.is_some() || self.plane.is_some() || self.cuts.iter().any(|side| *side != CutSide::Off)
    }

    /// Shows everything again.
    pub(crate) fn cut_nothing(&mut self) {
        (self.clip, self.plane, self.cuts) = (None, None, [CutSide::Off; 3]);
    }

    /// Brings the choices into a scene; `cursor_um` is where the crosshair is.
    pub(crate) fn apply(&self, scene: &mut VolumeScene, cursor_um: DVec3) {
        scene.mode = self.mode;
        scene.transfer = self.transfer.clone();
        scene.iso_value = self.iso;
        scene.shading = self.shading;
        scene.depth_cue = self.depth_cue;
        scene.occlusion = self.occlusion;
        scene.shadow = self.shadow;
        let axes = [DVec3::X, DVec3::Y, DVec3::Z];
        scene.clip = self.clip;
        scene.cuts = axes
            .into_iter()
            .zip(self.cuts)
            .filter_map(|(axis, side)| {
                let normal = match side {
                    CutSide::Off => return None,
                    CutSide::Below => axis,
                    CutSide::Above => -axis,
                };
                Some(Cut { normal, offset_um: normal.dot(cursor_um) })
            })
            .collect();
        scene.cuts.extend(
            self.plane.map(|plane| Cut { normal: plane.normal, offset_um: plane.normal.dot(plane.point_um) }),
        );
        scene.keeps = !self.kept.is_empty() && self.is_cut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DAffine3;

    #[test]
    fn a_free_plane_is_turned_by_its_angles() {
        let mut plane = FreePlane { point_um: DVec3::ZERO, normal: DVec3::Z };
        assert_eq!(plane.angles_deg(), [0.0, 0.0]);
        for angles in [[30.0, 20.0], [-150.0, -75.0], [90.0, 0.0]] {
            plane.set_angles_deg(angles);
            assert!((plane.normal.length() - 1.0).abs() < 1e-12);
            let back = plane.angles_deg();
            assert!(angles.iter().zip(back).all(|(a, b)| (a - b).abs() < 1e-9), "{back:?}");
        }
        plane.set_angles_deg([0.0, 90.0]);
        assert!((plane.normal + DVec3::Y).length() < 1e-12, "up is against y");
    }

    #[test]
    fn what_is_kept_matters_only_where_something_is_cut() {
        let mut scene = VolumeScene::new(1, DAffine3::IDENTITY, [8; 3], [10, 10]);
        let mut look = VolumeLook { kept: BTreeSet::from([3]), ..VolumeLook::default() };
        look.apply(&mut scene, DVec3::ZERO);
        assert!(!scene.keeps);
        look.plane = Some(FreePlane { point_um: DVec3::splat(2.0), normal: DVec3::X });
        look.apply(&mut scene, DVec3::ZERO);
        assert!(scene.keeps && scene.cuts == [Cut { normal: DVec3::X, offset_um: 2.0 }]);
        look.cut_nothing();
        look.apply(&mut scene, DVec3::ZERO);
        assert!(!scene.keeps && scene.cuts.is_empty() && scene.clip.is_none());
    }

    #[test]
    fn a_cut_keeps_the_side_that_was_not_chosen() {
        let mut scene = VolumeScene::new(1, DAffine3::IDENTITY, [8; 3], [10, 10]);
        let look =
            VolumeLook { cuts: [CutSide::Below, CutSide::Off, CutSide::Above], ..VolumeLook::default() };
        let cursor = DVec3::new(2.0, 3.0, 5.0);
        look.apply(&mut scene, cursor);
        let keeps = |p: DVec3| scene.cuts.iter().all(|cut| cut.normal.dot(p) >= cut.offset_um);
        assert!(keeps(cursor + DVec3::new(1.0, 9.0, -1.0)));
        assert!(!keeps(cursor + DVec3::new(-1.0, 0.0, -1.0)), "below x is cut away");
        assert!(!keeps(cursor + DVec3::new(1.0, 0.0, 1.0)), "above z is cut away");
    }
}
