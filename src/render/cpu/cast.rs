//! One ray through a volume and what it gathers on its way.

use glam::{DAffine3, DVec3};

use super::super::empty::volume_leaps;
use super::super::grid::{self, MinMaxGrid};
use super::super::march::shading_gradient;
use super::super::scene::{KEPT, VolumeChannel, VolumeMode, VolumeScene};
use super::super::setup::MarchSetup;
use super::super::slice::inverse_width;
use super::super::surface_cpu::Crossing;
use super::super::surface_setup::world_of_box;
use super::super::transfer::{TABLE_LEN, TransferTable};
use super::sample::{id_at, linear};
use super::{Sources, over, premultiplied};
use crate::volume::{Labels, Volume};

/// Everything that the rays of a scene share.
pub(super) struct Caster<'a> {
    scene: &'a VolumeScene,
    volume: Option<&'a Volume<f32>>,
    labels: Option<&'a Labels>,
    pub(super) setup: MarchSetup,
    pub(super) world_from_voxel: DAffine3,
    table: TransferTable,
    empty: Empty,
    /// Channels that are drawn, their volumes, and their voxels from those of the volume.
    channels: Vec<(VolumeChannel, &'a Volume<f32>, DAffine3)>,
}

/// What is known of bricks where nothing is seen.
struct Empty {
    /// How far a ray may go on from each brick, see [`grid::leaps`].
    leaps: Vec<u8>,
    dims: [usize; 3],
    /// Edge of a brick in voxels.
    edge: f64,
}

impl Empty {
    /// Nothing is known: one brick, to be sampled.
    fn unknown() -> Self {
        Self { leaps: vec![grid::OCCUPIED + 1], dims: [1; 3], edge: 1e9 }
    }

    fn of(volume: &Volume<f32>, scene: &VolumeScene, table: &TransferTable) -> Self {
        let [nz, ny, nx] = volume.shape();
        let mut ranges = MinMaxGrid::new([nz, ny, nx]);
        ranges.add_planes(0, nz, |z, y, _, take| take(&volume.values()[(z * ny + y) * nx..][..nx]));
        Self { leaps: volume_leaps(&ranges, scene, table), dims: ranges.dims(), edge: grid::EDGE as f64 }
    }
}

impl<'a> Caster<'a> {
    pub(super) fn new(sources: &'a Sources, scene: &'a VolumeScene) -> Option<Self> {
        Self::with_leaps(sources, scene, true)
    }

    /// With or without what is known of empty bricks.
    pub(super) fn with_leaps(sources: &'a Sources, scene: &'a VolumeScene, leaps: bool) -> Option<Self> {
        let layer = scene.labels.as_ref();
        let labels = layer.and_then(|layer| sources.labels.get(&layer.labels));
        let table = scene.transfer.table();
        if scene.mode == VolumeMode::Surfaces {
            let set = sources.surfaces.get(&scene.drawn_surfaces()?.surfaces)?;
            let world_from_voxel = world_of_box(set.bounds);
            return Some(Self {
                scene,
                volume: None,
                labels: None,
                setup: MarchSetup::new(scene, world_from_voxel, [1; 3], [1; 3]),
                world_from_voxel,
                table,
                empty: Empty::unknown(),
                channels: Vec::new(),
            });
        }
        if scene.mode == VolumeMode::Labels {
            let (layer, labels) = (layer?, labels?);
            let setup = MarchSetup::new(scene, layer.world_from_voxel, labels.shape(), [1; 3]);
            return Some(Self {
                scene,
                volume: None,
                labels: Some(labels),
                setup,
                world_from_voxel: layer.world_from_voxel,
                table,
                empty: Empty::unknown(),
                channels: Vec::new(),
            });
        }
        let volume: &Volume<f32> = sources.volumes.get(&scene.volume?).filter(|v| v.n_voxels() > 0)?;
        let setup = MarchSetup::new(scene, scene.world_from_voxel, volume.shape(), [1; 3]);
        let channels: Vec<_> = scene
            .drawn_channels()
            .iter()
            .zip(setup.channel_from_texel)
            .filter_map(|(channel, map)| {
                let volume = sources.volumes.get(&channel.volume).filter(|v| v.n_voxels() > 0)?;
                Some((*channel, volume.as_ref(), map))
            })
            .collect();
        // Where the volume is clear a channel may glow.
        let empty =
            if leaps && channels.is_empty() { Empty::of(volume, scene, &table) } else { Empty::unknown() };
        Some(Self {
            scene,
            volume: Some(volume),
            labels,
            setup,
            world_from_voxel: scene.world_from_voxel,
            table,
            empty,
            channels,
        })
    }

    pub(super) fn background(&self, color: [f64; 4]) -> [f64; 4] {
        let [r, g, b, a] = self.scene.background.map(f64::from);
        over(color, premultiplied([r, g, b], a, 1.0))
    }

    fn value(&self, p: DVec3) -> f64 {
        self.volume.map_or(0.0, |volume| linear(volume, p))
    }

    fn gradient(&self, p: DVec3) -> DVec3 {
        let along = |e: DVec3| (self.value(p + e) - self.value(p - e)) * 0.5;
        self.setup.camera_gradient * DVec3::new(along(DVec3::X), along(DVec3::Y), along(DVec3::Z))
    }

    fn label(&self, p: DVec3) -> u16 {
        self.labels.map_or(0, |labels| id_at(labels, self.setup.label_from_texel.transform_point3(p)))
    }

    /// Colour and alpha of an id.
    fn label_color(&self, id: u16) -> [f64; 4] {
        self.scene.labels.as_ref().map_or([0.0; 4], |l| l.colors.get(id).map(|c| f64::from(c) / 255.0))
    }

    /// Whether cuts leave an id whole.
    fn is_kept(&self, id: u16) -> bool {
        id != 0 && self.scene.labels.as_ref().is_some_and(|l| l.colors.get(id)[3] == KEPT)
    }

    fn label_strength(&self) -> f64 {
        self.scene.labels.as_ref().map_or(0.0, |l| f64::from(l.strength.clamp(0.0, 1.0)))
    }

    /// Number of steps to take from step `k` at `p`: more than one over empty bricks; 0 where it must be sampled.
    fn leap(&self, p: DVec3, origin: DVec3, inverse: DVec3, first: f64, k: f64) -> Option<f64> {
        let [nz, ny, nx] = self.empty.dims;
        let brick = ((p + 0.5) / self.empty.edge).floor();
        let index = |v: f64, n: usize| (v.max(0.0) as usize).min(n - 1);
        let (x, y, z) = (index(brick.x, nx), index(brick.y, ny), index(brick.z, nz));
        let leap = self.empty.leaps[(z * ny + y) * nx + x];
        if leap > grid::OCCUPIED {
            return None;
        }
        let brick = DVec3::new(x as f64, y as f64, z as f64);
        let reach = f64::from(leap);
        let a = ((brick - reach + 1.0) * self.empty.edge - 0.5 - origin) * inverse;
        let b = ((brick + reach) * self.empty.edge - 0.5 - origin) * inverse;
        let exit = a.max(b).min_element();
        Some((k + 1.0).max(((exit - first) / self.setup.dt_um).ceil()))
    }

    /// Premultiplied colour along a ray that crosses surfaces, and the distance in µm of what is seen.
    pub(super) fn trace(&self, sx: f64, sy: f64, surfaces: &[Crossing]) -> ([f64; 4], Option<f64>) {
        let (origin, direction) = self.setup.ray(sx, sy);
        let (enter, leave) = self.setup.span(origin, direction);
        // Where something is kept whole the ray goes through all of the volume.
        let keeps = self.scene.keeps;
        let (begin, end) = if keeps { self.setup.whole_span(origin, direction) } else { (enter, leave) };
        let mut ray = RayState { surfaces, ..RayState::default() };
        if end.is_nan() || end <= begin || self.scene.mode == VolumeMode::Surfaces {
            self.gather(&mut ray, f64::INFINITY);
            return (ray.color, ray.hit_um.or(ray.densest_um));
        }
        let inverse = direction.recip();
        let dt = self.setup.dt_um;
        let first = begin + dt * 0.5;
        // Where a surface of the volume is looked for between two samples.
        let back = if matches!(self.scene.mode, VolumeMode::Iso | VolumeMode::Labels) { dt } else { 0.0 };
        let mut k = 0.0;
        loop {
            let t = first + k * dt;
            if t >= end {
                break;
            }
            if self.gather(&mut ray, t - back) {
                break;
            }
            let p = origin + direction * t;
            if let Some(next) = self.leap(p, origin, inverse, first, k) {
                k = next;
                ray.last_entry = None;
                ray.last_id = 0;
                continue;
            }
            k += 1.0;
            // Where what is seen here begins at the earliest: at a cut, unless this is kept.
            let face = if keeps && self.is_kept(self.label(p)) {
                begin
            } else if t >= enter && t < leave {
                enter
            } else {
                ray.last_entry = None;
                ray.last_id = 0;
                continue;
            };
            let at = |t: f64| origin + direction * t;
            let is_over = match self.scene.mode {
                VolumeMode::Labels => self.label_step(&mut ray, at, (t - dt, face), t),
                VolumeMode::Composite => self.haze_step(&mut ray, p, t),
                VolumeMode::Iso => self.iso_step(&mut ray, at, (t - dt).max(face), t, direction),
                VolumeMode::Mip | VolumeMode::MinIp | VolumeMode::Mean | VolumeMode::Surfaces => {
                    self.projection_step(&mut ray, p, t);
                    false
                }
            };
            if is_over {
                break;
            }
        }
        if ray.color[3] <= 0.995 {
            self.gather(&mut ray, f64::INFINITY);
        }
        self.finish(ray)
    }

    /// Adds the surfaces up to a distance; true once nothing behind can be seen.
    fn gather(&self, ray: &mut RayState<'_>, upto_um: f64) -> bool {
        while let Some((next, rest)) = ray.surfaces.split_first()
            && next.t <= upto_um
        {
            ray.surfaces = rest;
            ray.add(self.faded(next.rgb, next.t), next.alpha, next.t);
        }
        ray.color[3] > 0.995
    }

    fn finish(&self, mut ray: RayState<'_>) -> ([f64; 4], Option<f64>) {
        let low = f64::from(self.scene.window[0]);
        let value = match self.scene.mode {
            VolumeMode::Mip => Some(if ray.count > 0.0 { ray.best } else { low }),
            VolumeMode::MinIp if ray.count > 0.0 => Some(ray.best),
            VolumeMode::Mean if ray.count > 0.0 => Some(ray.sum / ray.count),
            _ => None,
        };
        if let Some(value) = value {
            ray.color = self.mapped(value);
        }
        (ray.color, ray.hit_um.or(ray.densest_um))
    }

    /// Colour of a value in the window, opaque.
    fn mapped(&self, value: f64) -> [f64; 4] {
        let t = (value - f64::from(self.scene.window[0])) * f64::from(inverse_width(self.scene.window));
        let [r, g, b, _] = self.scene.color_map.at(t);
        [r, g, b, 1.0]
    }

    /// Colour that fades into the background with distance.
    fn faded(&self, rgb: [f64; 3], t: f64) -> [f64; 3] {
        let [near, far] = self.setup.depth_um;
        let share = ((t - near) / (far - near).max(1e-12)).clamp(0.0, 1.0);
        let background = self.scene.background.map(f64::from);
        mixed(rgb, background, f64::from(self.scene.depth_cue.clamp(0.0, 1.0)) * share)
    }

    fn is_solid(&self, p: DVec3) -> bool {
        let setup = &self.setup;
        let is_outside = |(low, high): (DVec3, DVec3)| p.cmplt(low).any() || p.cmpgt(high).any();
        let is_cut = setup.cuts.iter().any(|cut| cut.truncate().dot(p) + cut.w < 0.0);
        if is_cut || is_outside((setup.low, setup.high)) {
            let is_kept = self.scene.keeps && !is_outside(setup.whole) && self.is_kept(self.label(p));
            if !is_kept {
                return false;
            }
        }
        if self.scene.mode == VolumeMode::Labels {
            let id = self.label(p);
            return id != 0 && self.label_color(id)[3] * self.label_strength() > 0.5;
        }
        self.value(p) >= f64::from(self.scene.iso_value)
    }

    /// What is left of the light at a place of a surface: hollows see less of it, and what stands between takes it away.
    /// Keep in sync with `light_left` in volume.wgsl.
    fn light_left(&self, p: DVec3, normal: DVec3) -> f64 {
        let n = if normal.z > 0.0 { -normal } else { normal };
        let (basis, voxel_um) = (self.setup.basis, self.setup.voxel_um);
        let mut left = 1.0;
        let occlusion = f64::from(self.scene.occlusion.clamp(0.0, 1.0));
        if occlusion > 0.0 {
            let mut hidden = 0.0;
            for i in 0..8 {
                let side = |bit: i32| f64::from(i >> bit & 1) * 2.0 - 1.0;
                let corner = DVec3::new(side(0), side(1), side(2));
                let direction = (corner * 0.57735 + n * 1.05).normalize();
                let nearest = (0..3).map(f64::from).find(|j| {
                    let reach = voxel_um * (2.0 + 3.0 * j + 1.5 * j * j);
                    self.is_solid(p + basis * (direction * reach))
                });
                hidden += nearest.map_or(0.0, |j| 1.0 - 0.25 * j);
            }
            left *= 1.0 - occlusion * 0.9 * hidden / 8.0;
        }
        let shadow = f64::from(self.scene.shadow.clamp(0.0, 1.0));
        if shadow > 0.0 {
            let toward = basis * (LIGHT * voxel_um);
            let between = (0..40).map(f64::from).find(|j| self.is_solid(p + toward * (2.0 + 1.5 * j)));
            // Softer the farther what takes the light away.
            left *= between.map_or(1.0, |j| 1.0 - shadow * 0.6 * (1.0 - j / 40.0));
        }
        left
    }

    fn projection_step(&self, ray: &mut RayState<'_>, p: DVec3, t: f64) {
        let value = self.value(p);
        let is_better = match self.scene.mode {
            VolumeMode::Mip => value > ray.best,
            VolumeMode::MinIp => value < ray.best,
            _ => false,
        };
        if ray.count == 0.0 || is_better {
            ray.best = value;
            ray.hit_um = Some(t);
        }
        ray.sum += value;
        ray.count += 1.0;
    }

    /// Mean colour and extinction between two entries of the transfer table.
    fn between(&self, a: usize, b: usize) -> [f64; 4] {
        let direct = self.table.direct[b].map(f64::from);
        if a == b {
            return direct;
        }
        let scale = TABLE_LEN as f64 / (b as f64 - a as f64);
        let (ia, ib) = (self.table.integral[a], self.table.integral[b]);
        let sum: [f64; 4] = std::array::from_fn(|c| (f64::from(ib[c]) - f64::from(ia[c])) * scale);
        if sum[3] <= 1e-6 {
            return [direct[0], direct[1], direct[2], 0.0];
        }
        [sum[0] / sum[3], sum[1] / sum[3], sum[2] / sum[3], sum[3]]
    }

    fn haze_step(&self, ray: &mut RayState<'_>, p: DVec3, t: f64) -> bool {
        let entry = self.table.index(self.value(p) as f32);
        let [r, g, b, extinction] = self.between(ray.last_entry.unwrap_or(entry), entry);
        ray.last_entry = Some(entry);
        let alpha = 1.0 - (-extinction * self.setup.dt_um).exp();
        if alpha > 0.0 {
            self.haze_sample(ray, p, t, [r, g, b], alpha);
        }
        for (channel, volume, map) in &self.channels {
            let alpha = 1.0 - (-glow(channel, volume, map.transform_point3(p)) * self.setup.dt_um).exp();
            if alpha > 0.0 {
                ray.add(self.faded(channel.rgb.map(f64::from), t), alpha, t);
            }
        }
        ray.color[3] > 0.995
    }

    /// Adds what the volume itself shows at a place.
    fn haze_sample(&self, ray: &mut RayState<'_>, p: DVec3, t: f64, rgb: [f64; 3], mut alpha: f64) {
        let mut rgb = rgb;
        let id = self.label(p);
        if id != 0 {
            let color = self.label_color(id);
            if color[3] <= 0.0 {
                alpha = 0.0;
            }
            rgb = mixed(rgb, color, self.label_strength() * color[3]);
        }
        let shading = f64::from(self.scene.shading.clamp(0.0, 1.0));
        if alpha * (1.0 - ray.color[3]) > 0.002 && shading > 0.0 {
            let g = self.gradient(p);
            let size = g.length();
            if size > 0.0 {
                rgb = lit(rgb, g / size, shading * size / (size + shading_gradient(&self.table)));
            }
        }
        ray.add(self.faded(rgb, t), alpha, t);
    }

    fn iso_step(
        &self,
        ray: &mut RayState<'_>,
        at: impl Fn(f64) -> DVec3,
        before: f64,
        t: f64,
        direction: DVec3,
    ) -> bool {
        let threshold = f64::from(self.scene.iso_value);
        if self.value(at(t)) < threshold {
            return false;
        }
        let (mut lo, mut hi) = (before, t);
        if self.value(at(lo)) >= threshold {
            // Cut open: the face shows the values.
            let [r, g, b, _] = self.mapped(self.value(at(lo)));
            self.gather(ray, lo);
            return ray.add(self.faded([r, g, b], lo), 1.0, lo);
        }
        for _ in 0..24 {
            let middle = 0.5 * (lo + hi);
            if self.value(at(middle)) >= threshold { hi = middle } else { lo = middle }
        }
        let g = self.gradient(at(hi));
        let mut rgb = self.scene.iso_rgb.map(f64::from);
        if self.labels.is_some() {
            let color = self.label_color(self.label(at(hi) + direction.normalize() * 0.5));
            rgb = mixed(rgb, color, self.label_strength() * color[3]);
        }
        let shading = f64::from(self.scene.shading.clamp(0.0, 1.0));
        let normal = g / g.length().max(1e-12);
        let left = self.light_left(at(hi), normal);
        self.gather(ray, hi);
        ray.add(self.faded(lit(rgb, normal, shading).map(|c| c * left), hi), 1.0, hi)
    }

    fn label_step(
        &self,
        ray: &mut RayState<'_>,
        at: impl Fn(f64) -> DVec3,
        (before, enter): (f64, f64),
        t: f64,
    ) -> bool {
        let id = self.label(at(t));
        let is_new = id != ray.last_id && id != 0;
        ray.last_id = id;
        let color = self.label_color(id);
        let alpha = color[3] * self.label_strength();
        if !is_new || alpha <= 0.0 {
            return false;
        }
        let (mut lo, mut hi) = (before.max(enter), t);
        for _ in 0..5 {
            let middle = 0.5 * (lo + hi);
            if self.label(at(middle)) == id { hi = middle } else { lo = middle }
        }
        let shading = f64::from(self.scene.shading.clamp(0.0, 1.0));
        let mut rgb = [color[0], color[1], color[2]];
        // Cut open: the face is flat.
        if before > enter || self.label(at(enter)) != id {
            let normal = self.label_normal(at(hi), id);
            let left = self.light_left(at(hi), normal);
            rgb = lit(rgb, normal, shading).map(|c| c * left);
        }
        self.gather(ray, hi);
        ray.add(self.faded(rgb, t), alpha, hi)
    }

    fn share(&self, p: DVec3, id: u16) -> f64 {
        let base = p.floor();
        let f = p - base;
        (0..8)
            .map(|k| {
                let c = DVec3::new(f64::from(k & 1), f64::from(k >> 1 & 1), f64::from(k >> 2));
                let w = (1.0 - f) + (f - (1.0 - f)) * c;
                if self.label(base + c) == id { w.x * w.y * w.z } else { 0.0 }
            })
            .sum()
    }

    fn label_normal(&self, p: DVec3, id: u16) -> DVec3 {
        let along = |e: DVec3| self.share(p + e * 1.5, id) - self.share(p - e * 1.5, id);
        let g = DVec3::new(along(DVec3::X), along(DVec3::Y), along(DVec3::Z));
        (self.setup.camera_gradient * g).try_normalize().unwrap_or(DVec3::NEG_Z)
    }
}

/// Extinction of a channel at a place of its volume, 1/µm.
fn glow(channel: &VolumeChannel, volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape().map(|n| n as f64 - 0.5);
    if p.cmplt(DVec3::splat(-0.5)).any() || p.cmpgt(DVec3::new(nx, ny, nz)).any() {
        return 0.0;
    }
    let share = (linear(volume, p) - f64::from(channel.window[0])) * f64::from(inverse_width(channel.window));
    share.clamp(0.0, 1.0) * f64::from(channel.density_per_um.max(0.0))
}

/// What a ray has gathered.
#[derive(Debug, Default)]
struct RayState<'a> {
    /// Surfaces that are still before it, nearest first.
    surfaces: &'a [Crossing],
    color: [f64; 4],
    hit_um: Option<f64>,
    /// Where a haze adds most.
    densest_um: Option<f64>,
    last_entry: Option<usize>,
    last_id: u16,
    best: f64,
    sum: f64,
    count: f64,
}

impl RayState<'_> {
    /// Adds a sample behind what is there; true once nothing behind can be seen.
    fn add(&mut self, rgb: [f64; 3], alpha: f64, t: f64) -> bool {
        let adds = alpha * (1.0 - self.color[3]);
        if adds > self.best {
            (self.best, self.densest_um) = (adds, Some(t));
        }
        self.color = over(self.color, premultiplied(rgb, alpha, 1.0));
        if self.hit_um.is_none() && self.color[3] >= 0.5 {
            self.hit_um = Some(t);
        }
        self.color[3] > 0.995
    }
}

fn mixed(rgb: [f64; 3], color: [f64; 4], share: f64) -> [f64; 3] {
    std::array::from_fn(|c| rgb[c] + (color[c] - rgb[c]) * share)
}

/// Where the light is, seen from the surface, in camera axes.
const LIGHT: DVec3 = DVec3::new(-0.4216, -0.5059, -0.7526);

/// Shaded colour, both sides lit; keep in sync with `lit` in volume.wgsl.
fn lit(rgb: [f64; 3], normal: DVec3, strength: f64) -> [f64; 3] {
    lit_from(rgb, if normal.z > 0.0 { -normal } else { normal }, strength)
}

/// Shaded colour of a side whose normal is `n`; keep in sync with `lit` in surface.wgsl.
pub(in crate::render) fn lit_from(rgb: [f64; 3], n: DVec3, strength: f64) -> [f64; 3] {
    let light = LIGHT;
    let diffuse = n.dot(light).max(0.0);
    let halfway = (light + DVec3::NEG_Z).normalize();
    let specular = n.dot(halfway).max(0.0).powi(32);
    std::array::from_fn(|c| {
        let shaded = rgb[c] * (0.32 + 0.76 * diffuse) + 0.16 * specular;
        rgb[c] + (shaded - rgb[c]) * strength
    })
}
