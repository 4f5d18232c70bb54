//! How the 3D view is drawn: the choices of its menus, and the scene that they make.

use glam::DVec3;

use crate::render::scene::{Cut, VolumeMode, VolumeScene};
use crate::render::transfer::{TransferFunction, TransferPreset};

/// Which side of the crosshair is cut away along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CutSide {
    /// Nothing is.
    #[default]
    Off,
    /// What has the smaller coordinate.
    Below,
    /// What has the larger coordinate.
    Above,
}

/// How the 3D view is drawn.
#[derive(Debug, Clone, PartialEq)]
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
    /// Whether the crosshair is drawn.
    pub(crate) crosshair: bool,
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
            crosshair: false,
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DAffine3;

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
