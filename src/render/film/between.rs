//! What is seen between two scenes: numbers in between, rotations the shorter way, cuts that come and go from outside.
//!
//! What cannot be in between (another mode, other colours of labels) is that of the first scene; the film then dissolves
//! from one to the other.

use glam::{DMat3, DQuat, DVec3};

use super::super::camera::{BoxUm, OrbitCamera};
use super::super::figure::Scene;
use super::super::scene::{
    Cut, ImageLayer, LabelColors, LabelLayer, MOST_CUTS, PixelMask, Plane, SlabMode, SliceLayer, SliceScene,
    VolumeChannel, VolumeLabels, VolumeScene,
};
use super::super::surfaces::{PartStyle, SurfaceLayer};
use super::super::transfer::{TransferFunction, TransferPoint};

/// Cosine above which two normals point the same way, and against each other below its negative.
const ALIKE: f64 = 1.0 - 1e-9;

pub(super) fn mix(a: f64, b: f64, t: f64) -> f64 {
    a + (b - a) * t
}

pub(super) fn grow(a: f64, b: f64, t: f64) -> f64 {
    a * (b / a).powf(t)
}

fn mix_f32(a: f32, b: f32, t: f64) -> f32 {
    mix(f64::from(a), f64::from(b), t) as f32
}

fn mix_all<const N: usize>(a: [f32; N], b: [f32; N], t: f64) -> [f32; N] {
    std::array::from_fn(|k| mix_f32(a[k], b[k], t))
}

/// The scene between two, at a share of the way from the first.
pub(super) fn between(a: &Scene, b: &Scene, t: f64) -> Scene {
    match (a, b) {
        (Scene::Volume(a), Scene::Volume(b)) => {
            let (a, b) = alike(a, b);
            Scene::Volume(volume(&a, &b, t))
        }
        (Scene::Slice(a), Scene::Slice(b)) => Scene::Slice(slice(a, b, t)),
        _ => a.clone(),
    }
}

/// Whether it takes two pictures to get from one to the other.
pub(super) fn dissolves(a: &Scene, b: &Scene) -> bool {
    match (a, b) {
        (Scene::Volume(a), Scene::Volume(b)) => {
            let (a, b) = alike(a, b);
            !is_one_volume(&a, &b)
        }
        (Scene::Slice(a), Scene::Slice(b)) => !is_one_slice(a, b),
        _ => true,
    }
}

/// Where only one of both is cut, the other keeps the same classes whole: a cut comes in around them.
fn alike(a: &VolumeScene, b: &VolumeScene) -> (VolumeScene, VolumeScene) {
    let (mut a, mut b) = (a.clone(), b.clone());
    if b.keeps && !a.is_cut() {
        keep_as(&b, &mut a);
    } else if a.keeps && !b.is_cut() {
        keep_as(&a, &mut b);
    }
    (a, b)
}

fn keep_as(cut: &VolumeScene, whole: &mut VolumeScene) {
    whole.keeps = true;
    if let Some(labels) = &cut.labels {
        let unmarked = |colors: &LabelColors| colors.keeping(&[]);
        let strength = whole.labels.as_ref().map_or(0.0, |labels| labels.strength);
        let is_same = whole.labels.as_ref().is_none_or(|known| {
            known.labels == labels.labels && unmarked(&known.colors) == unmarked(&labels.colors)
        });
        if is_same {
            whole.labels = Some(VolumeLabels { strength, ..labels.clone() });
        }
    }
    if let (Some(from), Some(to)) = (&cut.surfaces, &mut whole.surfaces)
        && from.styles.len() == to.styles.len()
    {
        let kept =
            to.styles.iter().zip(from.styles.iter()).map(|(to, from)| PartStyle { kept: from.kept, ..*to });
        to.styles = kept.collect();
    }
}

fn is_one_volume(a: &VolumeScene, b: &VolumeScene) -> bool {
    let labels = match (&a.labels, &b.labels) {
        (Some(a), Some(b)) => {
            (a.labels, a.world_from_voxel) == (b.labels, b.world_from_voxel) && a.colors == b.colors
        }
        (a, b) => a.is_none() && b.is_none(),
    };
    let surfaces = match (&a.surfaces, &b.surfaces) {
        (Some(a), Some(b)) => {
            let is_one = |(a, b): (&PartStyle, &PartStyle)| (a.by_value, a.kept) == (b.by_value, b.kept);
            (a.surfaces, a.color_map, a.styles.len()) == (b.surfaces, b.color_map, b.styles.len())
                && a.styles.iter().zip(b.styles.iter()).all(is_one)
        }
        (a, b) => a.is_none() && b.is_none(),
    };
    let channels = |scene: &VolumeScene| -> Vec<_> {
        scene.channels.iter().map(|channel| (channel.volume, channel.world_from_voxel)).collect()
    };
    (a.volume, a.world_from_voxel, a.mode) == (b.volume, b.world_from_voxel, b.mode)
        && (a.color_map == b.color_map || a.mode == super::super::scene::VolumeMode::Composite)
        && a.transfer.points.len() == b.transfer.points.len()
        && cuts(a, b, 0.5).len() <= MOST_CUTS
        && labels
        && surfaces
        && channels(a) == channels(b)
}

fn volume(a: &VolumeScene, b: &VolumeScene, t: f64) -> VolumeScene {
    let mixed = |of: fn(&VolumeScene) -> f32| mix_f32(of(a), of(b), t);
    let mut cuts = cuts(a, b, t);
    if cuts.len() > MOST_CUTS {
        cuts.clone_from(&a.cuts);
    }
    VolumeScene {
        camera: camera(&a.camera, &b.camera, t),
        transfer: curve(&a.transfer, &b.transfer, t),
        window: mix_all(a.window, b.window, t),
        iso_value: mixed(|scene| scene.iso_value),
        iso_rgb: mix_all(a.iso_rgb, b.iso_rgb, t),
        shading: mixed(|scene| scene.shading),
        depth_cue: mixed(|scene| scene.depth_cue),
        occlusion: mixed(|scene| scene.occlusion),
        shadow: mixed(|scene| scene.shadow),
        clip: clip(a, b, t),
        cuts,
        labels: a.labels.as_ref().map(|labels| VolumeLabels {
            strength: mix_f32(labels.strength, b.labels.as_ref().map_or(labels.strength, |b| b.strength), t),
            ..labels.clone()
        }),
        surfaces: a
            .surfaces
            .as_ref()
            .map(|layer| b.surfaces.as_ref().map_or_else(|| layer.clone(), |b| surfaces(layer, b, t))),
        channels: channels(a, b, t),
        background: mix_all(a.background, b.background, t),
        ..a.clone()
    }
}

fn camera(a: &OrbitCamera, b: &OrbitCamera, t: f64) -> OrbitCamera {
    OrbitCamera {
        target_um: a.target_um.lerp(b.target_um, t),
        distance_um: grow(a.distance_um, b.distance_um, t),
        rotation: a.rotation.normalize().slerp(b.rotation.normalize(), t).normalize(),
        projection: if t < 0.5 { a.projection } else { b.projection },
        fov_y_rad: mix(a.fov_y_rad, b.fov_y_rad, t),
    }
}

/// A curve between two of as many points; else the first.
fn curve(a: &TransferFunction, b: &TransferFunction, t: f64) -> TransferFunction {
    if a.points.len() != b.points.len() {
        return a.clone();
    }
    let points = a.points.iter().zip(&b.points).map(|(a, b)| TransferPoint {
        lac_per_um: mix_f32(a.lac_per_um, b.lac_per_um, t),
        rgb: mix_all(a.rgb, b.rgb, t),
        opacity_per_um: mix_f32(a.opacity_per_um, b.opacity_per_um, t),
    });
    TransferFunction { points: points.collect() }
}

/// A little more than the volume and any box: nothing of it is cut by that.
fn open_box(scene: &VolumeScene, other: BoxUm) -> BoxUm {
    let margin = (scene.bounds.1 - scene.bounds.0) * 0.02;
    (other.0.min(scene.bounds.0 - margin), other.1.max(scene.bounds.1 + margin))
}

/// A box that comes closes in from outside, one that goes opens.
fn clip(a: &VolumeScene, b: &VolumeScene, t: f64) -> Option<BoxUm> {
    let (a, b) = match (a.clip, b.clip) {
        (Some(from), Some(to)) => (from, to),
        (Some(from), None) => (from, open_box(a, from)),
        (None, Some(to)) => (open_box(b, to), to),
        (None, None) => return None,
    };
    Some((a.0.lerp(b.0, t), a.1.lerp(b.1, t)))
}

/// The cuts in between: the same planes go and turn on, others come in from outside and go there.
fn cuts(a: &VolumeScene, b: &VolumeScene, t: f64) -> Vec<Cut> {
    let middle = (a.bounds.0 + a.bounds.1) * 0.5;
    let mut left: Vec<Option<Cut>> = b.cuts.iter().copied().map(Some).collect();
    let mut pairs: Vec<(Cut, Option<Cut>)> = a.cuts.iter().map(|cut| (*cut, None)).collect();
    // Planes that lie alike belong together; then those that can turn into each other.
    for least in [ALIKE, -ALIKE] {
        for (from, to) in pairs.iter_mut().filter(|(_, to)| to.is_none()) {
            let fits = |cut: &&mut Option<Cut>| cut.is_some_and(|cut| cut.normal.dot(from.normal) > least);
            *to = left.iter_mut().find(fits).and_then(Option::take);
        }
    }
    let going = pairs.into_iter().map(|(from, to)| (from, to.unwrap_or_else(|| outside(from, a))));
    let coming = left.into_iter().flatten().map(|to| (outside(to, b), to));
    going.chain(coming).map(|(from, to)| plane_between(from, to, middle, t)).collect()
}

/// A cut moved to where nothing of the volume is cut.
fn outside(cut: Cut, scene: &VolumeScene) -> Cut {
    let (low, high) = open_box(scene, scene.bounds);
    let nearest = DVec3::select(cut.normal.cmpge(DVec3::ZERO), low, high);
    Cut { offset_um: cut.normal.dot(nearest).min(cut.offset_um), ..cut }
}

/// Turned by a share of the angle; the place nearest to the middle of the volume goes straight.
fn plane_between(a: Cut, b: Cut, middle: DVec3, t: f64) -> Cut {
    let place = |cut: Cut| middle + cut.normal * (cut.offset_um - cut.normal.dot(middle));
    let turn = DQuat::IDENTITY.slerp(DQuat::from_rotation_arc(a.normal, b.normal), t);
    let normal = (turn * a.normal).normalize_or(a.normal);
    Cut { normal, offset_um: normal.dot(place(a).lerp(place(b), t)) }
}

fn surfaces(a: &SurfaceLayer, b: &SurfaceLayer, t: f64) -> SurfaceLayer {
    let styles: Vec<PartStyle> = if a.styles.len() == b.styles.len() {
        let style = |(a, b): (&PartStyle, &PartStyle)| PartStyle {
            rgb: mix_all(a.rgb, b.rgb, t),
            opacity: mix_f32(a.opacity, b.opacity, t),
            ..*a
        };
        a.styles.iter().zip(b.styles.iter()).map(style).collect()
    } else {
        a.styles.to_vec()
    };
    SurfaceLayer {
        styles: styles.into(),
        range: mix_all(a.range, b.range, t),
        silhouettes: mix_f32(a.silhouettes, b.silhouettes, t),
        outline_px: mix_f32(a.outline_px, b.outline_px, t),
        ..a.clone()
    }
}

fn channels(a: &VolumeScene, b: &VolumeScene, t: f64) -> Vec<VolumeChannel> {
    let channel = |a: &VolumeChannel| match b.channels.iter().find(|b| b.volume == a.volume) {
        Some(b) => VolumeChannel {
            window: mix_all(a.window, b.window, t),
            rgb: mix_all(a.rgb, b.rgb, t),
            density_per_um: mix_f32(a.density_per_um, b.density_per_um, t),
            ..*a
        },
        None => *a,
    };
    a.channels.iter().map(channel).collect()
}

fn is_one_slice(a: &SliceScene, b: &SliceScene) -> bool {
    let is_one = |pair: (&SliceLayer, &SliceLayer)| match pair {
        (SliceLayer::Image(a), SliceLayer::Image(b)) => {
            let of = |image: &ImageLayer| {
                (image.volume, image.world_from_voxel, image.color_map, image.blend, image.interpolation)
            };
            of(a) == of(b) && (a.mask == b.mask || mask(a.mask, b.mask, 0.5).is_some())
        }
        (SliceLayer::Labels(a), SliceLayer::Labels(b)) => {
            (a.labels, a.world_from_voxel) == (b.labels, b.world_from_voxel) && a.colors == b.colors
        }
        _ => false,
    };
    a.layers.len() == b.layers.len()
        && a.layers.iter().zip(&b.layers).all(is_one)
        && match (a.slab, b.slab) {
            (Some(a), Some(b)) => a.0 == b.0,
            _ => true,
        }
}

fn slice(a: &SliceScene, b: &SliceScene, t: f64) -> SliceScene {
    let layer = |(i, layer): (usize, &SliceLayer)| match (layer, b.layers.get(i)) {
        (SliceLayer::Image(a), Some(SliceLayer::Image(b))) => SliceLayer::Image(image(a, b, t)),
        (SliceLayer::Labels(a), Some(SliceLayer::Labels(b))) => SliceLayer::Labels(LabelLayer {
            fill_opacity: mix_f32(a.fill_opacity, b.fill_opacity, t),
            outline_px: mix_f32(a.outline_px, b.outline_px, t),
            outline_opacity: mix_f32(a.outline_opacity, b.outline_opacity, t),
            ..a.clone()
        }),
        (layer, _) => layer.clone(),
    };
    SliceScene {
        plane: plane(a.plane, b.plane, t),
        center_um: a.center_um.lerp(b.center_um, t),
        um_per_px: grow(a.um_per_px, b.um_per_px, t),
        layers: a.layers.iter().enumerate().map(layer).collect(),
        slab: slab(a.slab, b.slab, t),
        background: mix_all(a.background, b.background, t),
        ..a.clone()
    }
}

fn image(a: &ImageLayer, b: &ImageLayer, t: f64) -> ImageLayer {
    ImageLayer {
        window: mix_all(a.window, b.window, t),
        opacity: mix_f32(a.opacity, b.opacity, t),
        mask: mask(a.mask, b.mask, t).or(a.mask),
        ..a.clone()
    }
}

/// A divider between two of its places.
fn mask(a: Option<PixelMask>, b: Option<PixelMask>, t: f64) -> Option<PixelMask> {
    match (a?, b?) {
        (PixelMask::LeftOf(a), PixelMask::LeftOf(b)) => Some(PixelMask::LeftOf(mix_f32(a, b, t))),
        (PixelMask::RightOf(a), PixelMask::RightOf(b)) => Some(PixelMask::RightOf(mix_f32(a, b, t))),
        _ => None,
    }
}

/// A plane that turns from one to the other.
fn plane(a: Plane, b: Plane, t: f64) -> Plane {
    if a == b {
        return a;
    }
    let turn = |plane: Plane| {
        let (right, down) = plane.right_down();
        DQuat::from_mat3(&DMat3::from_cols(right, down, right.cross(down))).normalize()
    };
    let between = turn(a).slerp(turn(b), t).normalize();
    Plane::Oblique { right: between * DVec3::X, down: between * DVec3::Y }
}

/// A slab that grows; a plane is one without thickness.
fn slab(a: Option<(SlabMode, f64)>, b: Option<(SlabMode, f64)>, t: f64) -> Option<(SlabMode, f64)> {
    let (from, to) = (a.map_or(0.0, |slab| slab.1), b.map_or(0.0, |slab| slab.1));
    let thickness = mix(from, to, t);
    a.or(b).map(|(mode, _)| (mode, thickness)).filter(|_| thickness > 0.0)
}
