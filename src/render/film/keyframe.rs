//! Keyframes as a file has them: what changes, over a scene.

use std::collections::BTreeMap;

use glam::{DVec2, DVec3};
use serde::{Deserialize, Deserializer, Serialize};

use super::super::camera::OrbitCamera;
use super::super::figure::Scene;
use super::super::scene::{Cut, LabelLayer, MOST_CUTS, SliceLayer, SliceScene, VolumeMode, VolumeScene};
use super::super::transfer::{TransferFunction, TransferPoint};
use super::Ease;

/// A cutting plane of a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutPlane {
    /// A point of it, world µm.
    pub point_um: [f64; 3],
    /// Points to the side that stays, any length.
    pub normal: [f64; 3],
}

impl CutPlane {
    fn cut(self) -> Option<Cut> {
        let normal = DVec3::from(self.normal).try_normalize()?;
        Some(Cut { normal, offset_um: normal.dot(self.point_um.into()) })
    }
}

/// A moment of a film. What is left out is as in the keyframe before, or as in the scene.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keyframe {
    /// When, seconds from the start.
    pub seconds: f64,
    /// How it goes on from here.
    pub ease: Ease,
    /// Where the volume is seen from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<OrbitCamera>,
    /// Turned to the right about the upright axis, degrees; added to the camera, any number of turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_deg: Option<f64>,
    /// Tilted so that more is seen from above, degrees; added to the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tilt_deg: Option<f64>,
    /// How many times larger than by the camera, or than the slice fitted; above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoom: Option<f64>,
    /// Haze, projection, surface or labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<VolumeMode>,
    /// Colour and opacity by value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferFunction>,
    /// Values that get the first and the last colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<[f32; 2]>,
    /// Threshold of the surface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<f32>,
    /// Strength of the shading, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shading: Option<f32>,
    /// How much the farthest point fades, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth_cue: Option<f32>,
    /// How much hollows of surfaces are darkened, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occlusion: Option<f32>,
    /// How dark shadows on surfaces are, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<f32>,
    /// How strongly labels are seen, 0 to 1: their tint of the haze, their surfaces, their areas in slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<f32>,
    /// Opacity of surfaces by the number of their class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surfaces: Option<BTreeMap<u16, f32>>,
    /// Darkness of outlines of surfaces, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silhouettes: Option<f32>,
    /// Where the slice lies along its normal, world µm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_um: Option<f64>,
    /// Corners of the box that is drawn, world µm, [[x, y, z], [x, y, z]]; null for no box.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub clip_um: Option<Option<[[f64; 3]; 2]>>,
    /// Planes that cut something away, 4 at most; none where the list is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuts: Option<Vec<CutPlane>>,
    /// Numbers of classes that box and planes leave whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Vec<u16>>,
}

/// Tells null, which is said, from what is left out.
#[expect(clippy::option_option, reason = "a box, no box, and nothing said are three things")]
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(source).map(Some)
}

impl Keyframe {
    /// The field that nothing can be drawn with, and what it may be.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let number = "a finite number";
        let is_fine = |value: Option<f64>| value.is_none_or(f64::is_finite);
        self.check_camera()?;
        for (field, value) in
            [("turn_deg", self.turn_deg), ("tilt_deg", self.tilt_deg), ("slice_um", self.slice_um)]
        {
            if !is_fine(value) {
                return Err((field, number));
            }
        }
        if self.zoom.is_some_and(|zoom| !(0.01..=1000.0).contains(&zoom)) {
            return Err(("zoom", "from 0.01 to 1000"));
        }
        if self.window.is_some_and(|[low, high]| !(low < high && low.is_finite() && high.is_finite())) {
            return Err(("window", "two numbers, the lower first"));
        }
        if self.iso.is_some_and(|iso| !iso.is_finite()) {
            return Err(("iso", number));
        }
        let parts = [
            ("shading", self.shading),
            ("depth_cue", self.depth_cue),
            ("occlusion", self.occlusion),
            ("shadow", self.shadow),
            ("labels", self.labels),
            ("silhouettes", self.silhouettes),
        ];
        let surfaces = self.surfaces.iter().flatten().map(|(_, opacity)| ("surfaces", Some(*opacity)));
        for (field, value) in parts.into_iter().chain(surfaces) {
            if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                return Err((field, "from 0 to 1"));
            }
        }
        let is_curve = |points: &[TransferPoint]| {
            let values = |p: &TransferPoint| [p.lac_per_um, p.opacity_per_um, p.rgb[0], p.rgb[1], p.rgb[2]];
            points.iter().flat_map(values).all(f32::is_finite)
                && points.windows(2).all(|pair| pair[0].lac_per_um <= pair[1].lac_per_um)
        };
        if self.transfer.as_ref().is_some_and(|curve| !is_curve(&curve.points)) {
            return Err(("transfer", "points of finite numbers in rising order"));
        }
        self.check_cuts()
    }

    fn check_camera(&self) -> Result<(), (&'static str, &'static str)> {
        let is_fine = self.camera.as_ref().is_none_or(|camera| {
            camera.target_um.is_finite()
                && camera.rotation.is_finite()
                && camera.rotation.length() > 0.5
                && (1e-6..=1e9).contains(&camera.distance_um)
                && (1e-3..3.0).contains(&camera.fov_y_rad)
        });
        let wanted = "a target, a distance above 0, a rotation of length 1 and an angle of view";
        if is_fine { Ok(()) } else { Err(("camera", wanted)) }
    }

    fn check_cuts(&self) -> Result<(), (&'static str, &'static str)> {
        let is_box =
            |[low, high]: [[f64; 3]; 2]| (0..3).all(|k| low[k] < high[k] && (high[k] - low[k]).is_finite());
        if self.clip_um.flatten().is_some_and(|clip| !is_box(clip)) {
            return Err(("clip_um", "two corners, the lower first, or null"));
        }
        let is_cut = |plane: &CutPlane| plane.cut().is_some_and(|cut| cut.offset_um.is_finite());
        if self.cuts.as_ref().is_some_and(|cuts| cuts.len() > MOST_CUTS || !cuts.iter().all(is_cut)) {
            return Err(("cuts", "up to 4 planes with a point and a normal longer than 0"));
        }
        Ok(())
    }

    /// What is seen at this moment: a scene with what the keyframe says. Turn, tilt and zoom are left out.
    pub(super) fn on(&self, scene: &Scene) -> Scene {
        let mut scene = scene.clone();
        match &mut scene {
            Scene::Slice(scene) => self.on_slice(scene),
            Scene::Volume(scene) => self.on_volume(scene),
        }
        if let Some(position) = self.slice_um {
            scene.move_slice(position);
        }
        scene
    }

    fn on_slice(&self, scene: &mut SliceScene) {
        let mut window = self.window;
        for layer in &mut scene.layers {
            match layer {
                // That of the lowest volume.
                SliceLayer::Image(image) => image.window = window.take().unwrap_or(image.window),
                SliceLayer::Labels(layer) => {
                    if let Some(strength) = self.labels {
                        let full =
                            LabelLayer::new(layer.labels, layer.world_from_voxel, layer.colors.clone());
                        layer.fill_opacity = full.fill_opacity * strength;
                        layer.outline_opacity = full.outline_opacity * strength;
                    }
                }
            }
        }
    }

    fn on_volume(&self, scene: &mut VolumeScene) {
        scene.camera = self.camera.unwrap_or(scene.camera);
        scene.mode = self.mode.unwrap_or(scene.mode);
        if let Some(transfer) = &self.transfer {
            scene.transfer = transfer.clone();
        }
        scene.window = self.window.unwrap_or(scene.window);
        scene.iso_value = self.iso.unwrap_or(scene.iso_value);
        scene.shading = self.shading.unwrap_or(scene.shading);
        scene.depth_cue = self.depth_cue.unwrap_or(scene.depth_cue);
        scene.occlusion = self.occlusion.unwrap_or(scene.occlusion);
        scene.shadow = self.shadow.unwrap_or(scene.shadow);
        if let Some(clip) = self.clip_um {
            scene.clip = clip.map(|[low, high]| (low.into(), high.into()));
        }
        if let Some(cuts) = &self.cuts {
            scene.cuts = cuts.iter().filter_map(|plane| plane.cut()).collect();
        }
        if let (Some(strength), Some(labels)) = (self.labels, &mut scene.labels) {
            labels.strength = strength;
        }
        if let Some(surfaces) = &mut scene.surfaces {
            surfaces.silhouettes = self.silhouettes.unwrap_or(surfaces.silhouettes);
            let opacity_of = |class: u16| self.surfaces.as_ref()?.get(&class).copied();
            surfaces.restyle(|class, style| style.opacity = opacity_of(class).unwrap_or(style.opacity));
        }
        if let Some(kept) = &self.kept {
            scene.keep_whole(kept);
        }
    }
}

/// Turns, tilts and brings near what is seen.
pub(super) fn moved(mut scene: Scene, [turn_deg, tilt_deg, zoom]: [f64; 3]) -> Scene {
    match &mut scene {
        Scene::Slice(scene) => scene.um_per_px /= zoom,
        Scene::Volume(scene) => {
            scene.camera.orbit_turntable(DVec2::new(turn_deg.to_radians(), tilt_deg.to_radians()));
            scene.camera.zoom(zoom);
            // Grain that stays where it is while the cell turns looks like a dirty window.
            scene.jitter = false;
        }
    }
    scene
}
