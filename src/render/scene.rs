//! What to draw, as plain data: the window and the command line fill these in.
//!
//! Volumes and labels are named by keys (`u64`) under which they were handed to the renderer.
//! Layers are listed from the lowest to the topmost.

use std::sync::Arc;

use glam::{DAffine3, DVec2, DVec3};
use serde::{Deserialize, Serialize};

use super::camera::{BoxUm, OrbitCamera};
use super::colormap::ColorMap;
use super::surfaces::SurfaceLayer;
use super::transfer::TransferFunction;
use crate::volume::ClassTable;
use crate::volume::classes::palette_color;

/// Key of a volume or label volume in the renderer.
pub type LayerId = u64;
/// Key of a view: its offscreen pictures and refinement are kept under it.
pub type ViewId = u64;

/// The near black behind data, sRGB with alpha.
pub const BACKGROUND: [f32; 4] = [6.0 / 255.0, 6.0 / 255.0, 6.0 / 255.0, 1.0];

/// A cutting plane: what runs right and what runs down on the screen. Never a mirror image:
/// the viewer looks along right × down.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plane {
    /// x right, y down, seen along +z.
    #[default]
    Xy,
    /// x right, z down, seen along -y: lies below an XY view and shares its x.
    Xz,
    /// z right, y down, seen along -x: lies right of an XY view and shares its y.
    Yz,
    /// Any plane by two perpendicular unit vectors in world space.
    Oblique {
        /// What runs right on the screen.
        right: DVec3,
        /// What runs down on the screen.
        down: DVec3,
    },
}

impl Plane {
    /// World directions that run right and down on the screen, length 1.
    pub fn right_down(self) -> (DVec3, DVec3) {
        match self {
            Self::Xy => (DVec3::X, DVec3::Y),
            Self::Xz => (DVec3::X, DVec3::Z),
            Self::Yz => (DVec3::Z, DVec3::Y),
            Self::Oblique { right, down } => (right, down),
        }
    }

    /// The direction of scrolling: +z, +y, +x for the three standard planes, right × down otherwise.
    pub fn axis(self) -> DVec3 {
        match self {
            Self::Xy => DVec3::Z,
            Self::Xz => DVec3::Y,
            Self::Yz => DVec3::X,
            Self::Oblique { right, down } => right.cross(down),
        }
    }
}

/// How a layer meets what lies below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blend {
    /// Covers it, by its opacity.
    #[default]
    Over,
    /// Adds to it: fluorescence channels.
    Additive,
}

/// How values between voxel centres are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The nearest voxel: what was measured, as squares.
    #[default]
    Nearest,
    /// Linear between voxel centres.
    Linear,
    /// Cubic through voxel centres (Catmull and Rom): smooth and sharp; may go a little beyond the values around.
    Cubic,
}

/// The pixels of a picture that a layer is drawn in, where two layers are compared side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PixelMask {
    /// Left of a column of the picture, in pixels from its left edge.
    LeftOf(f32),
    /// That column and right of it.
    RightOf(f32),
    /// The light squares of a checkerboard with squares of this many pixels, counted from the upper left corner.
    EvenSquares(f32),
    /// The dark squares.
    OddSquares(f32),
}

impl PixelMask {
    /// The other pixels.
    #[must_use]
    pub fn complement(self) -> Self {
        match self {
            Self::LeftOf(x) => Self::RightOf(x),
            Self::RightOf(x) => Self::LeftOf(x),
            Self::EvenSquares(edge) => Self::OddSquares(edge),
            Self::OddSquares(edge) => Self::EvenSquares(edge),
        }
    }

    /// Whether a pixel, given by its centre, is drawn.
    pub fn shows(self, x: f64, y: f64) -> bool {
        let is_odd = |edge: f32| {
            let edge = f64::from(edge.max(1.0));
            ((x / edge).floor() + (y / edge).floor()).rem_euclid(2.0) > 0.5
        };
        match self {
            Self::LeftOf(at) => x < f64::from(at),
            Self::RightOf(at) => x >= f64::from(at),
            Self::EvenSquares(edge) => !is_odd(edge),
            Self::OddSquares(edge) => is_odd(edge),
        }
    }

    /// The same in a picture that is `across` times as wide, drawn `factor` times as large.
    #[must_use]
    pub(crate) fn scaled(self, across: f64, factor: f64) -> Self {
        let edge = |edge: f32| (f64::from(edge) * factor).round().max(1.0) as f32;
        let at = |at: f32| (f64::from(at) * across) as f32;
        match self {
            Self::LeftOf(x) => Self::LeftOf(at(x)),
            Self::RightOf(x) => Self::RightOf(at(x)),
            Self::EvenSquares(length) => Self::EvenSquares(edge(length)),
            Self::OddSquares(length) => Self::OddSquares(edge(length)),
        }
    }

    /// The same in a part of the picture that begins at a column; parts begin at even multiples of squares.
    #[must_use]
    pub(crate) fn in_part(self, left: u32) -> Self {
        match self {
            Self::LeftOf(at) => Self::LeftOf(at - left as f32),
            Self::RightOf(at) => Self::RightOf(at - left as f32),
            squares => squares,
        }
    }

    /// Number of the kind, as the shader has it, and its length in pixels.
    pub(crate) fn code(self) -> [f32; 2] {
        match self {
            Self::LeftOf(at) => [1.0, at],
            Self::RightOf(at) => [2.0, at],
            Self::EvenSquares(edge) => [3.0, edge.max(1.0)],
            Self::OddSquares(edge) => [4.0, edge.max(1.0)],
        }
    }
}

/// Values in a range lit up, as brushed on a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Highlight {
    /// Lowest and highest value that lights up, in the volume's unit.
    pub range: [f32; 2],
    /// Colour, sRGB 0 to 1.
    pub rgb: [f32; 3],
    /// How much of the colour, 0 to 1.
    pub strength: f32,
}

/// A slab instead of a plane: values gathered over a thickness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlabMode {
    /// Mean over the thickness.
    #[default]
    Mean,
    /// Largest value.
    Max,
    /// Smallest value.
    Min,
}

/// A volume shown in a slice.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageLayer {
    /// Key of the volume.
    pub volume: LayerId,
    /// World µm from voxel index; the volume's own map, or that of a registration.
    pub world_from_voxel: DAffine3,
    /// Values that get the first and the last colour, in the volume's unit.
    pub window: [f32; 2],
    /// Colours.
    pub color_map: ColorMap,
    /// 0 to 1.
    pub opacity: f32,
    /// How it meets the layers below.
    pub blend: Blend,
    /// Between voxel centres.
    pub interpolation: Interpolation,
    /// A range of values that lights up.
    pub highlight: Option<Highlight>,
    /// The pixels that it is drawn in; `None` for all.
    pub mask: Option<PixelMask>,
}

impl ImageLayer {
    /// A grey, opaque layer.
    pub fn new(volume: LayerId, world_from_voxel: DAffine3, window: [f32; 2]) -> Self {
        Self {
            volume,
            world_from_voxel,
            window,
            color_map: ColorMap::Grey,
            opacity: 1.0,
            blend: Blend::Over,
            interpolation: Interpolation::Nearest,
            highlight: None,
            mask: None,
        }
    }
}

/// Colour of each label id: 65 536 entries of sRGB with alpha; alpha 0 hides an id.
#[derive(Debug, Clone)]
pub struct LabelColors(Arc<[[u8; 4]]>);

/// Opacity of an id that cuts leave whole. Keep in sync with `is_kept` in volume.wgsl.
pub(crate) const KEPT: u8 = 255;

impl PartialEq for LabelColors {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl LabelColors {
    /// Number of entries: every `u16`.
    pub const LEN: usize = 65_536;

    /// The colours of a class table; ids without a class get palette colours, 0 is clear.
    pub fn from_classes(classes: &ClassTable) -> Self {
        let mut colors = Self::palette_table();
        for class in &classes.classes {
            let [r, g, b] = class.color;
            colors[usize::from(class.id)] = [r, g, b, if class.visible { 255 } else { 0 }];
        }
        colors[0] = [0; 4];
        Self(colors.into())
    }

    /// Palette colours by id, for instances and labels without a class table.
    pub fn palette() -> Self {
        Self(Self::palette_table().into())
    }

    fn palette_table() -> Vec<[u8; 4]> {
        let color = |id: usize| {
            let [r, g, b] = palette_color(id - 1);
            [r, g, b, 255]
        };
        std::iter::once([0; 4]).chain((1..Self::LEN).map(color)).collect()
    }

    /// The same, with these ids marked as kept: cuts leave them whole. The mark is the last bit of the opacity.
    #[must_use]
    pub fn keeping(&self, kept: &[u16]) -> Self {
        let mut colors = self.0.to_vec();
        for [.., alpha] in &mut colors {
            *alpha = (*alpha).min(KEPT - 1);
        }
        for id in kept {
            if let Some([.., alpha]) = colors.get_mut(usize::from(*id)).filter(|[.., alpha]| *alpha > 0) {
                *alpha = KEPT;
            }
        }
        Self(colors.into())
    }

    /// Colour of an id.
    pub fn get(&self, id: u16) -> [u8; 4] {
        self.0.get(usize::from(id)).copied().unwrap_or([0; 4])
    }

    /// All entries.
    pub fn entries(&self) -> &[[u8; 4]] {
        &self.0
    }
}

/// Labels shown in a slice.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelLayer {
    /// Key of the label volume.
    pub labels: LayerId,
    /// World µm from voxel index.
    pub world_from_voxel: DAffine3,
    /// Colour of each id.
    pub colors: LabelColors,
    /// Opacity of the areas, 0 to 1.
    pub fill_opacity: f32,
    /// Width of the contour inside each area in screen pixels, 0 for none.
    pub outline_px: f32,
    /// Opacity of the contour, 0 to 1.
    pub outline_opacity: f32,
}

impl LabelLayer {
    /// A translucent fill with a crisp contour.
    pub fn new(labels: LayerId, world_from_voxel: DAffine3, colors: LabelColors) -> Self {
        Self { labels, world_from_voxel, colors, fill_opacity: 0.28, outline_px: 1.25, outline_opacity: 0.95 }
    }
}

/// A layer of a slice. An uncertainty overlay is an image with [`ColorMap::Uncertainty`].
#[derive(Debug, Clone, PartialEq)]
pub enum SliceLayer {
    /// A volume.
    Image(ImageLayer),
    /// Labels.
    Labels(LabelLayer),
}

/// One slice view.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceScene {
    /// Which plane.
    pub plane: Plane,
    /// The world point, µm, in the middle of the picture; the plane goes through it.
    pub center_um: DVec3,
    /// World length of a screen pixel, µm.
    pub um_per_px: f64,
    /// Size of the picture in physical pixels, width and height.
    pub size_px: [u32; 2],
    /// Layers, lowest first.
    pub layers: Vec<SliceLayer>,
    /// A thickness in µm, centred on the plane, and how it is gathered; `None` for a plane.
    pub slab: Option<(SlabMode, f64)>,
    /// Colour behind the layers, sRGB with alpha.
    pub background: [f32; 4],
}

impl SliceScene {
    /// A view without layers that shows the whole of a box, middle slice.
    pub fn fitted(plane: Plane, bounds: BoxUm, size_px: [u32; 2]) -> Self {
        let (right, down) = plane.right_down();
        let extent = bounds.1 - bounds.0;
        let (w, h) = (extent.dot(right.abs()), extent.dot(down.abs()));
        let [px_w, px_h] = size_px.map(|n| f64::from(n.max(1)));
        Self {
            plane,
            center_um: (bounds.0 + bounds.1) * 0.5,
            um_per_px: (w / px_w).max(h / px_h).max(1e-12),
            size_px,
            layers: Vec::new(),
            slab: None,
            background: BACKGROUND,
        }
    }

    /// World point, µm, under a place in the picture given in pixels from the upper left corner.
    pub fn world_from_px(&self, px: DVec2) -> DVec3 {
        let (right, down) = self.plane.right_down();
        let [w, h] = self.size_px.map(f64::from);
        self.center_um
            + right * ((px.x - w * 0.5) * self.um_per_px)
            + down * ((px.y - h * 0.5) * self.um_per_px)
    }

    /// Place in the picture, in pixels from the upper left corner, of a world point dropped onto the plane.
    pub fn px_from_world(&self, world_um: DVec3) -> DVec2 {
        let (right, down) = self.plane.right_down();
        let [w, h] = self.size_px.map(f64::from);
        let offset = world_um - self.center_um;
        DVec2::new(offset.dot(right) / self.um_per_px + w * 0.5, offset.dot(down) / self.um_per_px + h * 0.5)
    }
}

/// How a volume is drawn in 3-D.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeMode {
    /// Light through a coloured haze: the transfer function.
    #[default]
    Composite,
    /// The largest value along each ray.
    Mip,
    /// The smallest value along each ray.
    MinIp,
    /// The mean value along each ray.
    Mean,
    /// The surface where the value reaches the threshold.
    Iso,
    /// Surfaces of the labels.
    Labels,
    /// Nothing of the volume: the surfaces of meshes alone.
    Surfaces,
}

impl VolumeMode {
    /// Whether values of the volume are drawn, not only labels or surfaces.
    pub fn shows_values(self) -> bool {
        !matches!(self, Self::Labels | Self::Surfaces)
    }

    /// Whether a pixel shows one value of its ray: the largest, the smallest or the mean.
    pub fn is_projection(self) -> bool {
        matches!(self, Self::Mip | Self::MinIp | Self::Mean)
    }
}

/// Labels in the 3-D view: the tint of the haze, or surfaces of their own with [`VolumeMode::Labels`].
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeLabels {
    /// Key of the label volume.
    pub labels: LayerId,
    /// World µm from voxel index.
    pub world_from_voxel: DAffine3,
    /// Colour of each id; an id with alpha 0 is cut away.
    pub colors: LabelColors,
    /// How much of the class colour a voxel takes on, 0 to 1; opacity of the surfaces in label mode.
    pub strength: f32,
}

/// A plane in the world that cuts away what lies behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Points to the side that stays, length 1.
    pub normal: DVec3,
    /// `normal · p` of the points of the plane, µm.
    pub offset_um: f64,
}

/// Cuts of one view, at most; more are left out.
pub const MOST_CUTS: usize = 4;

/// A second volume in the haze that glows by its values: a fluorescence channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VolumeChannel {
    /// Key of the volume.
    pub volume: LayerId,
    /// World µm from voxel index.
    pub world_from_voxel: DAffine3,
    /// Values that glow not at all and fully.
    pub window: [f32; 2],
    /// Colour, sRGB 0 to 1.
    pub rgb: [f32; 3],
    /// Extinction of what glows fully, 1/µm.
    pub density_per_um: f32,
}

/// Channels of one view, at most; more are left out.
pub const MOST_CHANNELS: usize = 2;

/// One 3-D view.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeScene {
    /// Key of the volume; `None` where only labels are shown.
    pub volume: Option<LayerId>,
    /// World µm from voxel index of the volume.
    pub world_from_voxel: DAffine3,
    /// The box around the volume, world µm.
    pub bounds: BoxUm,
    /// Where it is seen from.
    pub camera: OrbitCamera,
    /// How it is drawn.
    pub mode: VolumeMode,
    /// Colour and opacity by value, for [`VolumeMode::Composite`].
    pub transfer: TransferFunction,
    /// Values that get the first and last colour, for projections (maximum, minimum, mean).
    pub window: [f32; 2],
    /// Colours of projections.
    pub color_map: ColorMap,
    /// Threshold of the isosurface, in the volume's unit.
    pub iso_value: f32,
    /// Colour of the isosurface, sRGB 0 to 1.
    pub iso_rgb: [f32; 3],
    /// Strength of the shading, 0 (none) to 1.
    pub shading: f32,
    /// How much the farthest point fades into the background, 0 (not at all) to 1; not in projections, whose colours are
    /// values.
    pub depth_cue: f32,
    /// How much hollows of surfaces are darkened, 0 to 1.
    pub occlusion: f32,
    /// How dark the shadows on surfaces are, 0 (none) to 1.
    pub shadow: f32,
    /// Only what lies inside this box is drawn, world µm.
    pub clip: Option<BoxUm>,
    /// Planes that cut something away, [`MOST_CUTS`] at most. The inside of an isosurface shows its values there.
    pub cuts: Vec<Cut>,
    /// Whether what the colours of the labels mark as kept ([`LabelColors::keeping`]) stays whole, whatever box and cuts
    /// take away around it.
    pub keeps: bool,
    /// Labels that tint the volume or are drawn as surfaces.
    pub labels: Option<VolumeLabels>,
    /// Surfaces of meshes that lie in the volume.
    pub surfaces: Option<SurfaceLayer>,
    /// Volumes that glow in the haze, [`MOST_CHANNELS`] at most, for [`VolumeMode::Composite`].
    pub channels: Vec<VolumeChannel>,
    /// Distance of samples along a ray, in voxels; 0.5 is fine, 1 is quick.
    pub step_voxels: f32,
    /// Whether rays start at random fractions of a step: fine noise instead of rings.
    pub jitter: bool,
    /// Colour behind the volume, sRGB with alpha.
    pub background: [f32; 4],
    /// Size of the picture in physical pixels, width and height.
    pub size_px: [u32; 2],
}

impl VolumeScene {
    /// A scene of one volume with the defaults for a cell, seen whole from the front.
    pub fn new(
        volume: LayerId,
        world_from_voxel: DAffine3,
        shape_zyx: [usize; 3],
        size_px: [u32; 2],
    ) -> Self {
        let bounds = bounds_um(world_from_voxel, shape_zyx);
        Self {
            volume: Some(volume),
            world_from_voxel,
            bounds,
            camera: OrbitCamera::fitted(bounds),
            mode: VolumeMode::Composite,
            transfer: TransferFunction::default(),
            window: [0.1, 0.6],
            color_map: ColorMap::Grey,
            iso_value: 0.3,
            iso_rgb: [0.80, 0.74, 0.66],
            shading: 0.8,
            depth_cue: 0.0,
            occlusion: 0.0,
            shadow: 0.0,
            clip: None,
            cuts: Vec::new(),
            keeps: false,
            labels: None,
            surfaces: None,
            channels: Vec::new(),
            step_voxels: 0.5,
            jitter: true,
            background: BACKGROUND,
            size_px,
        }
    }

    /// Leaves the haze its own colours where surfaces show the classes; what is hidden stays hidden.
    pub fn tint_less(&mut self) {
        let keeps = self.mode == VolumeMode::Labels || self.surfaces.is_none();
        if let Some(labels) = self.labels.as_mut().filter(|_| !keeps) {
            labels.strength = 0.0;
        }
    }

    /// Whether anything is cut away.
    pub fn is_cut(&self) -> bool {
        self.clip.is_some() || !self.cuts.is_empty()
    }

    /// Leaves these classes whole where box and cuts take everything else away.
    pub fn keep_whole(&mut self, classes: &[u16]) {
        self.keeps = !classes.is_empty();
        if let Some(labels) = &mut self.labels {
            labels.colors = labels.colors.keeping(classes);
        }
        if let Some(surfaces) = &mut self.surfaces {
            surfaces.restyle(|class, style| style.kept = classes.contains(&class));
        }
    }

    /// The surfaces that are drawn.
    pub(crate) fn drawn_surfaces(&self) -> Option<&SurfaceLayer> {
        self.surfaces.as_ref().filter(|_| !self.mode.is_projection())
    }

    /// The channels that are drawn.
    pub(crate) fn drawn_channels(&self) -> &[VolumeChannel] {
        let n = if self.mode == VolumeMode::Composite { self.channels.len().min(MOST_CHANNELS) } else { 0 };
        &self.channels[..n]
    }

    /// Width over height.
    pub fn aspect(&self) -> f64 {
        f64::from(self.size_px[0].max(1)) / f64::from(self.size_px[1].max(1))
    }
}

/// The axis-parallel box around a volume in world µm: outer faces of its voxels, not their centres.
pub fn bounds_um(world_from_voxel: DAffine3, shape_zyx: [usize; 3]) -> BoxUm {
    let [nz, ny, nx] = shape_zyx.map(|n| n as f64);
    let mut low = DVec3::INFINITY;
    let mut high = DVec3::NEG_INFINITY;
    for corner in 0..8 {
        let pick = |bit: usize, n: f64| if corner >> bit & 1 == 0 { -0.5 } else { n - 0.5 };
        let p = world_from_voxel.transform_point3(DVec3::new(pick(0, nx), pick(1, ny), pick(2, nz)));
        low = low.min(p);
        high = high.max(p);
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::WorldFromVoxel;

    #[test]
    fn pixels_and_world_are_inverse_in_every_plane() {
        let bounds = (DVec3::ZERO, DVec3::new(4.0, 3.0, 2.0));
        let tilt = Plane::Oblique { right: DVec3::new(0.6, 0.8, 0.0), down: DVec3::new(0.0, 0.0, 1.0) };
        for plane in [Plane::Xy, Plane::Xz, Plane::Yz, tilt] {
            let scene = SliceScene::fitted(plane, bounds, [200, 100]);
            let px = DVec2::new(13.0, 71.5);
            assert!((scene.px_from_world(scene.world_from_px(px)) - px).length() < 1e-9);
            assert_eq!(scene.world_from_px(DVec2::new(100.0, 50.0)), scene.center_um);
        }
    }

    #[test]
    fn bounds_reach_to_the_faces_of_the_outer_voxels() {
        let map = WorldFromVoxel::from_spacing([0.5, 0.2, 0.1], [0.0; 3]);
        let (low, high) = bounds_um(map.0, [4, 5, 10]);
        assert!((low - DVec3::new(-0.05, -0.1, -0.25)).length() < 1e-12, "{low}");
        assert!((high - DVec3::new(0.95, 0.9, 1.75)).length() < 1e-12, "{high}");
    }

    #[test]
    fn hidden_classes_are_clear_and_unknown_ids_have_a_colour() {
        let mut table = ClassTable::default();
        let mut class = table.proposed("nucleus").unwrap();
        class.visible = false;
        table.classes.push(class);
        let colors = LabelColors::from_classes(&table);
        assert_eq!(colors.get(0)[3], 0);
        assert_eq!(colors.get(1)[3], 0);
        assert_eq!(colors.get(900)[3], 255);
    }
}
