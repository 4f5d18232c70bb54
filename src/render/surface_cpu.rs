//! Surfaces drawn by the processor: every crossing of every ray, sorted, in f64.
//!
//! The reference that the sheets of the device are measured against, and what draws them where there is no device. A
//! band of rows at a time: triangles are tested against the pixels of their box by homogeneous edge functions (Olano and
//! Greer 1997, doi:10.1145/258694.258723), which needs no clipping at the eye.

use glam::{DVec3, Vec3};
use rayon::prelude::*;

use super::cpu::Sources;
use super::scene::VolumeScene;
use super::slice::inverse_width;
use super::surface_setup::{MARGIN, SurfaceSetup};
use super::surfaces::{SurfaceLayer, SurfaceSet};

/// Rows of a band.
pub(crate) const BAND: u32 = 16;

/// Where a ray crosses a surface, with how it looks there; not faded with distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Crossing {
    /// Distance along the ray, world µm.
    pub(crate) t: f64,
    pub(crate) rgb: [f64; 3],
    pub(crate) alpha: f64,
    part: u32,
    is_front: bool,
    /// Distance without the set-back of insides.
    exact: f64,
}

/// Draws the surfaces of a scene.
pub(crate) struct SurfacePainter<'a> {
    scene: &'a VolumeScene,
    layer: &'a SurfaceLayer,
    pub(crate) set: &'a SurfaceSet,
    setup: SurfaceSetup,
    /// Vertices in camera axes.
    places: Vec<DVec3>,
    /// Triangles that may touch each band of rows, bands counted with the margin.
    bands: Vec<Vec<u32>>,
}

/// Crossings of a band of rows, by pixel.
pub(crate) struct Band {
    width: usize,
    /// First row, margin included.
    first_row: i64,
    starts: Vec<u32>,
    crossings: Vec<Crossing>,
}

impl Band {
    /// The crossings of a pixel, nearest first; nothing outside of what was drawn.
    fn of(&self, x: i64, y: i64) -> &[Crossing] {
        let (column, row) = (x + i64::from(MARGIN), y - self.first_row);
        if column < 0 || column >= self.width as i64 || row < 0 {
            return &[];
        }
        let at = row as usize * self.width + column as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(a), Some(b)) => &self.crossings[*a as usize..*b as usize],
            _ => &[],
        }
    }
}

impl<'a> SurfacePainter<'a> {
    /// `None` where a scene has no surfaces.
    pub(crate) fn new(sources: &'a Sources, scene: &'a VolumeScene) -> Option<Self> {
        let layer = scene.drawn_surfaces()?;
        let set = sources.surfaces.get(&layer.surfaces).filter(|set| !set.triangles.is_empty())?;
        let setup = SurfaceSetup::new(scene, set);
        let place = |v: &super::surfaces::SurfaceVertex| {
            setup.camera_from_set.transform_point3(Vec3::from(v.place).as_dvec3())
        };
        let places = set.vertices.par_iter().map(place).collect();
        Some(Self { scene, layer, set, setup, places, bands: Vec::new() })
    }

    /// Sorts the triangles into bands; before pixels are drawn.
    pub(crate) fn sort(&mut self) {
        let n_bands = self.scene.size_px[1].div_ceil(BAND) as usize;
        let mut bands = vec![Vec::new(); n_bands];
        for (at, triangle) in (0u32..).zip(&self.set.triangles) {
            let (low, high) = self.extent(*triangle, 1);
            let band = |row: f64| ((row / f64::from(BAND)).floor().max(0.0) as usize).min(n_bands);
            let margin = f64::from(MARGIN + 1);
            for band in &mut bands[band(low - margin)..(band(high + margin) + 1).min(n_bands)] {
                band.push(at);
            }
        }
        self.bands = bands;
    }

    /// Where a triangle lies across the picture (axis 0) or down it (1), pixels; everywhere where it reaches the eye.
    fn extent(&self, triangle: [u32; 3], axis: usize) -> (f64, f64) {
        let size = f64::from(self.scene.size_px[axis]);
        let mut range = (f64::INFINITY, f64::NEG_INFINITY);
        for v in triangle {
            let p = self.places[v as usize];
            if self.setup.is_perspective && p.z <= 1e-9 * self.setup.far_um {
                return (-f64::from(MARGIN), size + f64::from(MARGIN));
            }
            let depth = if self.setup.is_perspective { p.z } else { 1.0 };
            let at = (p[axis] / (depth * self.setup.half[axis]) + 1.0) * 0.5 * size;
            range = (range.0.min(at), range.1.max(at));
        }
        range
    }

    /// The crossings of the rows of a band and of those around it.
    pub(crate) fn band(&self, number: usize) -> Band {
        let [width, height] = self.scene.size_px;
        let top = number as u32 * BAND;
        let rows =
            i64::from(top) - i64::from(MARGIN)..i64::from((top + BAND).min(height)) + i64::from(MARGIN);
        let columns = -i64::from(MARGIN)..i64::from(width) + i64::from(MARGIN);
        let band_width = (columns.end - columns.start) as usize;
        let mut found: Vec<(u32, Crossing)> = Vec::new();
        for at in self.bands.get(number).into_iter().flatten() {
            let triangle = self.set.triangles[*at as usize];
            if self.style(triangle).opacity <= 0.0 {
                continue;
            }
            let Some(edges) =
                Edges::new(triangle.map(|v| self.places[v as usize]), self.setup.is_perspective)
            else {
                continue;
            };
            let clamp = |(low, high): (f64, f64), range: &std::ops::Range<i64>| {
                let first = ((low - 0.5).ceil() as i64).max(range.start);
                first..((high - 0.5).floor() as i64 + 1).min(range.end).max(first)
            };
            let across = clamp(self.extent(triangle, 0), &columns);
            for y in clamp(self.extent(triangle, 1), &rows) {
                for x in across.clone() {
                    let uv = [(x as f64 + 0.5) / f64::from(width), (y as f64 + 0.5) / f64::from(height)];
                    if let Some(crossing) = self.crossing(triangle, &edges, uv.map(|v| v * 2.0 - 1.0)) {
                        let pixel = (y - rows.start) as usize * band_width + (x - columns.start) as usize;
                        found.push((pixel as u32, crossing));
                    }
                }
            }
        }
        let n_pixels = band_width * (rows.end - rows.start) as usize;
        found.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.t.total_cmp(&b.1.t)));
        let mut band = Band {
            width: band_width,
            first_row: rows.start,
            starts: Vec::with_capacity(n_pixels + 1),
            crossings: Vec::new(),
        };
        let is_cut = self.setup.is_cut();
        let mut rest = found.as_slice();
        for pixel in 0..n_pixels {
            band.starts.push(band.crossings.len() as u32);
            let n = rest.iter().take_while(|(at, _)| *at as usize == pixel).count();
            let (here, behind) = rest.split_at(n);
            rest = behind;
            if is_cut && n > 0 {
                let x = (pixel % band_width) as i64 + columns.start;
                let y = (pixel / band_width) as i64 + rows.start;
                let s = [(x as f64 + 0.5) / f64::from(width), (y as f64 + 0.5) / f64::from(height)];
                let [sx, sy] = s.map(|v| v * 2.0 - 1.0);
                band.crossings.extend(self.cut_open(here.iter().map(|(_, crossing)| *crossing), sx, sy));
            } else {
                band.crossings.extend(here.iter().map(|(_, crossing)| *crossing));
            }
        }
        band.starts.push(band.crossings.len() as u32);
        band
    }

    fn style(&self, triangle: [u32; 3]) -> super::surfaces::PartStyle {
        let part = self.set.vertices[triangle[0] as usize].part as usize;
        let hidden = super::surfaces::PartStyle { rgb: [0.0; 3], opacity: 0.0, by_value: false, kept: false };
        self.layer.styles.get(part).copied().unwrap_or(hidden)
    }

    /// What is left of the crossings of a ray where it is cut, with the face of the cut before them.
    fn cut_open(&self, all: impl Iterator<Item = Crossing>, sx: f64, sy: f64) -> Vec<Crossing> {
        let (origin, direction) = self.setup.ray(sx, sy);
        let (enter, leave) = self.setup.span(origin, direction);
        let mut left = Vec::new();
        // Ends less beginnings of each part behind the cut.
        let mut inside: Vec<(u32, i32)> = Vec::new();
        for crossing in all {
            if self.layer.styles.get(crossing.part as usize).is_some_and(|style| style.kept) {
                left.push(crossing);
                continue;
            }
            if crossing.exact > enter && enter > 0.0 {
                let step = if crossing.is_front { -1 } else { 1 };
                match inside.iter_mut().find(|(part, _)| *part == crossing.part) {
                    Some((_, sum)) => *sum += step,
                    None => inside.push((crossing.part, step)),
                }
            }
            if crossing.exact >= enter && crossing.exact <= leave {
                left.push(crossing);
            }
        }
        // Surfaces of regions that touch overlap by a part of a voxel: one of the two.
        let opened = inside.iter().filter(|(_, sum)| *sum > 0).min().filter(|_| enter < leave);
        if let Some((part, _)) = opened
            && let Some(style) = self.layer.styles.get(*part as usize)
        {
            let at = left.partition_point(|crossing| crossing.t < enter);
            left.insert(
                at,
                Crossing {
                    t: enter,
                    rgb: style.rgb.map(|c| f64::from(c) * 0.86),
                    alpha: f64::from(style.opacity.clamp(0.0, 1.0)),
                    part: *part,
                    is_front: true,
                    exact: enter,
                },
            );
        }
        left
    }

    /// Where a ray crosses a triangle.
    fn crossing(&self, triangle: [u32; 3], edges: &Edges, [sx, sy]: [f64; 2]) -> Option<Crossing> {
        let (weights, p) = edges.at(sx * self.setup.half[0], sy * self.setup.half[1])?;
        let exact = if self.setup.is_perspective { p.length() } else { p.z };
        if exact <= 0.0 {
            return None;
        }
        let v = triangle.map(|v| &self.set.vertices[v as usize]);
        let normal = (0..3).map(|k| Vec3::from(v[k].normal).as_dvec3() * weights[k]).sum::<DVec3>();
        let is_front = edges.is_front;
        let turn = self.setup.camera_from_set.matrix3;
        let n = (turn * normal).normalize_or_zero() * if is_front { 1.0 } else { -1.0 };
        let style = self.style(triangle);
        let mut rgb = style.rgb.map(f64::from);
        if style.by_value {
            let value: f64 = (0..3).map(|k| f64::from(v[k].value) * weights[k]).sum();
            let [low, _] = self.layer.range;
            let share = (value - f64::from(low)) * f64::from(inverse_width(self.layer.range));
            let [r, g, b, _] = self.layer.color_map.at(share);
            rgb = if value.is_finite() { [r, g, b] } else { [0.5; 3] };
        }
        let shading = f64::from(self.scene.shading.clamp(0.0, 1.0));
        rgb = super::cpu::lit_from(rgb, n, shading * if is_front { 1.0 } else { 0.6 });
        let view = if self.setup.is_perspective { p.normalize_or_zero() } else { DVec3::Z };
        let seen = (n.dot(view).abs() / 0.35).clamp(0.0, 1.0);
        let edge =
            (1.0 - seen * seen * (3.0 - 2.0 * seen)) * f64::from(self.layer.silhouettes.clamp(0.0, 1.0));
        let opacity = f64::from(style.opacity.clamp(0.0, 1.0));
        let alpha = if is_front { opacity + (1.0 - opacity) * edge * 0.8 } else { opacity };
        Some(Crossing {
            t: exact + if is_front { 0.0 } else { self.setup.set_back_um },
            rgb: rgb.map(|c| (c * (1.0 - edge)).clamp(0.0, 1.0)),
            alpha,
            part: v[0].part,
            is_front,
            exact,
        })
    }

    /// What a pixel of a band shows, with its outline.
    pub(crate) fn pixel(&self, band: &Band, x: u32, y: u32) -> Vec<Crossing> {
        let (x, y) = (i64::from(x), i64::from(y));
        let mut crossings = band.of(x, y).to_vec();
        let darkness = f64::from(self.layer.silhouettes.clamp(0.0, 1.0));
        let width = f64::from(self.layer.outline_px.clamp(0.0, MARGIN as f32));
        let Some(first) = crossings.first_mut().filter(|_| darkness > 0.0 && width > 0.0) else {
            return crossings;
        };
        let beside = |dx: i64, dy: i64| band.of(x + dx, y + dy).first().map_or(f64::INFINITY, |c| c.t);
        for i in 1..=i64::from(MARGIN) {
            let ring = i as f64;
            if ring >= width + 1.0 {
                break;
            }
            let far = [(i, 0), (-i, 0), (0, i), (0, -i)].map(|(dx, dy)| beside(dx, dy));
            if far.into_iter().fold(0.0, f64::max) > first.t + self.setup.edge_um(first.t, ring) {
                let outline = (width + 1.0 - ring).clamp(0.0, 1.0) * darkness;
                first.rgb = first.rgb.map(|c| c * (1.0 - outline));
                first.alpha = first.alpha.max(outline);
                break;
            }
        }
        crossings
    }

    /// The crossings of one ray, without outlines; `sx` and `sy` from -1 to 1 over the picture.
    pub(crate) fn ray(&self, sx: f64, sy: f64) -> Vec<Crossing> {
        let mut found: Vec<Crossing> = self
            .set
            .triangles
            .par_iter()
            .filter(|triangle| self.style(**triangle).opacity > 0.0)
            .filter_map(|triangle| {
                let corners = triangle.map(|v| self.places[v as usize]);
                let edges = Edges::new(corners, self.setup.is_perspective)?;
                self.crossing(*triangle, &edges, [sx, sy])
            })
            .collect();
        found.sort_by(|a, b| a.t.total_cmp(&b.t));
        if self.setup.is_cut() { self.cut_open(found.into_iter(), sx, sy) } else { found }
    }
}

/// Edge functions of a triangle: its share in each corner at a place of the picture.
struct Edges {
    /// Shares are these times (x, y, 1).
    rows: [DVec3; 3],
    /// Depths of the corners, where rays are parallel.
    depths: Option<[f64; 3]>,
    is_front: bool,
}

impl Edges {
    fn new(corners: [DVec3; 3], is_perspective: bool) -> Option<Self> {
        let flat = |p: DVec3| if is_perspective { p } else { DVec3::new(p.x, p.y, 1.0) };
        let [a, b, c] = corners.map(flat);
        let rows = [b.cross(c), c.cross(a), a.cross(b)];
        let volume = a.dot(rows[0]);
        if volume == 0.0 || !volume.is_finite() {
            return None;
        }
        let depths = (!is_perspective).then(|| corners.map(|p| p.z));
        // Counter-clockwise seen from the eye: the corners, right-handed, lie with the outside towards it.
        let is_front = volume < 0.0;
        Some(Self { rows: rows.map(|row| row / volume), depths, is_front })
    }

    /// Shares of the corners and the place that is seen at (x, y) at distance 1; `None` beside the triangle.
    fn at(&self, x: f64, y: f64) -> Option<([f64; 3], DVec3)> {
        let d = DVec3::new(x, y, 1.0);
        let shares = self.rows.map(|row| row.dot(d));
        // On a side both triangles would count, or none: it belongs to the one on its one side.
        let is_in = |k: usize| shares[k] > 0.0 || (shares[k] == 0.0 && self.rows[k].x > 0.0);
        if !(0..3).all(is_in) {
            return None;
        }
        let sum: f64 = shares.iter().sum();
        let weights = shares.map(|share| share / sum);
        let p = match self.depths {
            Some(depths) => DVec3::new(x, y, (0..3).map(|k| depths[k] * weights[k]).sum()),
            None => d / sum,
        };
        Some((weights, p))
    }
}
