//! The parts of one synthetic cell as shapes in µm around the middle of the field, and how they are placed.
//!
//! Yeast and lymphocyte differ only in the numbers and in what they place; the rules that keep
//! organelles inside the cytoplasm and apart from each other are here.

use glam::{EulerRot, Mat3, Quat, Vec3};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use super::shape::{Blob, Tube, smooth_union};
use super::texture::{NoiseTile, Octave, mix};

/// Gap in µm that organelles keep from membranes and from each other.
const GAP_UM: f32 = 0.07;

/// How heterochromatin lies in a nucleus: where a random field passes a threshold that is lower near the envelope.
#[derive(Debug, Clone)]
pub(super) struct Chromatin {
    pub(super) field: Vec<Octave>,
    /// Threshold deep inside the nucleus, in standard deviations of the field.
    pub(super) threshold: f32,
    /// How much the threshold falls at the envelope.
    pub(super) rim: f32,
    /// Depth in µm over which the rim fades.
    pub(super) rim_depth_um: f32,
}

/// Everything that one cell is made of.
pub(super) struct Anatomy {
    pub(super) tile: NoiseTile,
    /// The cell body: one blob, or a mother and a bud.
    pub(super) body: Vec<Blob>,
    pub(super) nucleus: Blob,
    /// A ball that dents the nucleus: the Hof of a lymphocyte.
    pub(super) dent: Option<Blob>,
    pub(super) nucleolus: Blob,
    pub(super) chromatin: Chromatin,
    pub(super) vacuoles: Vec<Blob>,
    pub(super) mitochondria: Vec<Tube>,
    pub(super) droplets: Vec<Blob>,
    /// Contrast of the endoplasmic reticulum in the cytoplasm, as a fraction of its LAC.
    pub(super) reticulum: f32,
}

impl Anatomy {
    /// Signed distance to the plasma membrane.
    pub(super) fn body_distance(&self, p: Vec3) -> f32 {
        let mut distance = f32::INFINITY;
        for (i, blob) in self.body.iter().enumerate() {
            let d = blob.distance(&self.tile, p);
            distance = if i == 0 { d } else { smooth_union(distance, d, 0.25) };
        }
        distance
    }

    /// Signed distance to the nuclear envelope.
    pub(super) fn nucleus_distance(&self, p: Vec3) -> f32 {
        let d = self.nucleus.distance(&self.tile, p);
        match &self.dent {
            Some(dent) => -smooth_union(-d, dent.distance(&self.tile, p), 0.4),
            None => d,
        }
    }

    /// Distance from a point of the cytoplasm to the nearest thing that is no cytoplasm; negative outside it.
    pub(super) fn room(&self, p: Vec3) -> f32 {
        let mut room = (-self.body_distance(p)).min(self.nucleus_distance(p));
        for blob in self.vacuoles.iter().chain(&self.droplets) {
            room = room.min(blob.distance(&self.tile, p));
        }
        for tube in &self.mitochondria {
            room = room.min(tube.distance(p));
        }
        room
    }

    /// Direction in which the room grows.
    fn room_gradient(&self, p: Vec3) -> Vec3 {
        let h = 0.05;
        let slope = |axis: Vec3| self.room(p + axis * h) - self.room(p - axis * h);
        Vec3::new(slope(Vec3::X), slope(Vec3::Y), slope(Vec3::Z)).normalize_or_zero()
    }

    /// Half the thickness of the cell along z, and the farthest any part lies from the middle.
    pub(super) fn half_thickness(&self) -> f32 {
        let mut half = 0.0f32;
        for blob in &self.body {
            let world_from_blob = blob.axes.transpose();
            // Half extent of a rotated ellipsoid along world z.
            let z_row =
                Vec3::new(world_from_blob.x_axis.z, world_from_blob.y_axis.z, world_from_blob.z_axis.z);
            let extent = (z_row * blob.radii).length() + (blob.reach() - blob.radii.max_element());
            half = half.max(blob.center.z.abs() + extent);
        }
        half
    }
}

/// Random numbers and placement for one cell.
pub(super) struct Builder {
    pub(super) rng: Pcg64Mcg,
    seed: u64,
    next_stream: u64,
}

impl Builder {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Pcg64Mcg::seed_from_u64(mix(seed, 0xCE11)), seed, next_stream: 0 }
    }

    /// Uniform in `low..high`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.rng.random::<f32>()
    }

    /// A whole number, ends included.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        self.rng.random_range(low..=high)
    }

    /// A random direction.
    pub(super) fn direction(&mut self) -> Vec3 {
        let z = self.range(-1.0, 1.0);
        let angle = self.range(0.0, std::f32::consts::TAU);
        let r = (1.0 - z * z).max(0.0).sqrt();
        Vec3::new(r * angle.cos(), r * angle.sin(), z)
    }

    /// A random rotation; about z only where the cell lies flat on a grid.
    pub(super) fn rotation(&mut self, flat: bool) -> Mat3 {
        let tau = std::f32::consts::TAU;
        let (a, b, c) = (self.range(0.0, tau), self.range(-1.3, 1.3), self.range(0.0, tau));
        let turn = if flat { Quat::from_rotation_z(a) } else { Quat::from_euler(EulerRot::ZYX, a, b, c) };
        Mat3::from_quat(turn)
    }

    /// An octave with an offset and rotation of its own.
    pub(super) fn octave(&mut self, amplitude: f32, grain_um: f32) -> Octave {
        self.next_stream += 1;
        Octave::new(self.seed, self.next_stream, amplitude, grain_um)
    }

    /// A point in a ball.
    fn point_in(&mut self, center: Vec3, radius: f32) -> Vec3 {
        center + self.direction() * radius * self.rng.random::<f32>().cbrt()
    }

    /// A point of the cytoplasm with at least `needed` µm around it; tries one of the body's blobs.
    fn free_point(&mut self, anatomy: &Anatomy, blob: usize, needed: f32, tries: usize) -> Option<Vec3> {
        let body = &anatomy.body[blob.min(anatomy.body.len() - 1)];
        let (center, reach) = (body.center, body.reach());
        for _ in 0..tries {
            let p = self.point_in(center, reach);
            if anatomy.room(p) > needed {
                return Some(p);
            }
        }
        None
    }

    /// A round organelle of about `radius` µm in the cytoplasm of a body part, smaller where there is no room.
    pub(super) fn ball_in_cytoplasm(
        &mut self,
        anatomy: &Anatomy,
        blob: usize,
        radius: f32,
        smallest: f32,
    ) -> Option<Blob> {
        let mut radius = radius;
        while radius >= smallest {
            if let Some(center) = self.free_point(anatomy, blob, radius * 1.04 + GAP_UM, 250) {
                let stretch = Vec3::new(self.range(0.96, 1.04), self.range(0.96, 1.04), 1.0);
                let axes = self.rotation(false);
                return Some(Blob { center, radii: stretch * radius, axes, wobble: Vec::new() });
            }
            radius *= 0.9;
        }
        None
    }

    /// A mitochondrion that worms through free cytoplasm for at most `length` µm.
    pub(super) fn tube_in_cytoplasm(
        &mut self,
        anatomy: &Anatomy,
        blob: usize,
        radius: f32,
        length: f32,
    ) -> Option<Tube> {
        let start = self.free_point(anatomy, blob, radius + GAP_UM, 300)?;
        let step = 0.1;
        let n_steps = (length / step) as usize;
        let mut points = vec![start];
        // Both ways from the start, so that most are not cut short by the first obstacle.
        let heading = self.direction();
        self.worm(anatomy, &mut points, heading, radius, n_steps / 2);
        points.reverse();
        self.worm(anatomy, &mut points, -heading, radius, n_steps / 2);
        for _ in 0..3 {
            smooth_line(&mut points);
        }
        let breathing = self.octave(0.07 * radius, 0.8);
        let nodes = points.into_iter().map(|p| (p, radius + anatomy.tile.sample(&breathing, p))).collect();
        Some(Tube { nodes })
    }

    /// Walks on from the last point until there is no room or the steps are used up.
    fn worm(
        &mut self,
        anatomy: &Anatomy,
        points: &mut Vec<Vec3>,
        heading: Vec3,
        radius: f32,
        n_steps: usize,
    ) {
        let step = 0.1;
        let (Some(&(mut at)), mut heading) = (points.last(), heading) else { return };
        for _ in 0..n_steps {
            let mut moved = false;
            for attempt in 0..10 {
                let away = anatomy.room_gradient(at + heading * step);
                let turn = self.direction() * (0.3 + 0.1 * attempt as f32);
                let tight = anatomy.room(at + heading * (2.0 * step)) < radius + 2.0 * GAP_UM;
                let push = if tight { away * 0.7 } else { Vec3::ZERO };
                let wish = (heading + turn + push).normalize_or(heading);
                // A tube bends, it does not fold back.
                if wish.dot(heading) < 0.55 {
                    continue;
                }
                let next = at + wish * step;
                let folds = points.iter().rev().skip(8).any(|p| p.distance(next) < 2.6 * radius);
                if anatomy.room(next) > radius + GAP_UM && !folds {
                    (at, heading) = (next, wish);
                    points.push(at);
                    moved = true;
                    break;
                }
            }
            if !moved {
                return;
            }
        }
    }
}

/// Rounds a line by averaging neighbours; the ends stay.
fn smooth_line(points: &mut [Vec3]) {
    let old = points.to_vec();
    for i in 1..old.len().saturating_sub(1) {
        points[i] = old[i] * 0.5 + (old[i - 1] + old[i + 1]) * 0.25;
    }
}

/// Panics where an organelle pokes out of the cytoplasm or into another one.
#[cfg(test)]
pub(super) fn check_apart(anatomy: &Anatomy) {
    let bare = |p: Vec3| (-anatomy.body_distance(p)).min(anatomy.nucleus_distance(p));
    let balls: Vec<(Vec3, f32)> = anatomy
        .vacuoles
        .iter()
        .chain(&anatomy.droplets)
        .map(|ball| (ball.center, ball.radii.max_element()))
        .chain(anatomy.mitochondria.iter().flat_map(|tube| tube.nodes.iter().copied()))
        .collect();
    for (center, radius) in &balls {
        assert!(bare(*center) > radius - 0.01, "ball of {radius} at {center} has {}", bare(*center));
    }
    let organelles = anatomy.vacuoles.iter().chain(&anatomy.droplets);
    for (i, ball) in organelles.clone().enumerate() {
        for other in organelles.clone().skip(i + 1) {
            let gap = ball.center.distance(other.center);
            assert!(gap > ball.radii.max_element() + other.radii.max_element(), "gap {gap}");
        }
        for tube in &anatomy.mitochondria {
            assert!(tube.distance(ball.center) > ball.radii.max_element() - 0.01, "tube through a ball");
        }
    }
}
