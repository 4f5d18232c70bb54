//! Signed distances of wobbly bodies and tubes, in µm, negative inside.

use glam::{Mat3, Vec3};

use super::texture::{NoiseTile, Octave};

/// An ellipsoid whose surface wobbles.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) center: Vec3,
    pub(super) radii: Vec3,
    /// Rotation from world to the blob's own axes.
    pub(super) axes: Mat3,
    /// Displacement of the surface in µm.
    pub(super) wobble: Vec<Octave>,
}

impl Blob {
    /// A smooth ball.
    pub(super) fn ball(center: Vec3, radius: f32) -> Self {
        Self { center, radii: Vec3::splat(radius), axes: Mat3::IDENTITY, wobble: Vec::new() }
    }

    /// Signed distance: exact for a ball, to first order near the surface of an ellipsoid.
    pub(super) fn distance(&self, tile: &NoiseTile, p: Vec3) -> f32 {
        self.smooth_distance(p) + tile.sum(&self.wobble, p)
    }

    fn smooth_distance(&self, p: Vec3) -> f32 {
        let q = self.axes * (p - self.center);
        let k1 = (q / (self.radii * self.radii)).length();
        if k1 < 1e-6 {
            return -self.radii.min_element();
        }
        let k0 = (q / self.radii).length();
        // The quotient overstates depth near the centre of an ellipsoid; no point is deeper than the shortest radius.
        (k0 * (k0 - 1.0) / k1).max(-self.radii.max_element())
    }

    /// Radius of a ball around the centre that holds the blob with its wobble.
    pub(super) fn reach(&self) -> f32 {
        // Smoothed noise rarely passes four standard deviations.
        self.radii.max_element() + 4.5 * self.wobble.iter().map(|o| o.amplitude).sum::<f32>()
    }
}

/// A chain of round cones: a mitochondrion.
#[derive(Debug, Clone)]
pub(super) struct Tube {
    /// Points of the middle line with the radius there, in µm.
    pub(super) nodes: Vec<(Vec3, f32)>,
}

impl Tube {
    /// Signed distance to the tube.
    pub(super) fn distance(&self, p: Vec3) -> f32 {
        (0..self.n_segments()).map(|i| self.segment_distance(i, p)).fold(f32::INFINITY, f32::min)
    }

    /// How many segments: one for a single node.
    pub(super) fn n_segments(&self) -> usize {
        self.nodes.len().saturating_sub(1).max(1)
    }

    fn ends(&self, segment: usize) -> ((Vec3, f32), (Vec3, f32)) {
        (self.nodes[segment], self.nodes[(segment + 1).min(self.nodes.len() - 1)])
    }

    /// Signed distance to one segment.
    pub(super) fn segment_distance(&self, segment: usize, p: Vec3) -> f32 {
        let ((a, ra), (b, rb)) = self.ends(segment);
        let ab = b - a;
        let t = ((p - a).dot(ab) / ab.length_squared().max(1e-12)).clamp(0.0, 1.0);
        (p - a - ab * t).length() - (ra + (rb - ra) * t)
    }

    /// Box of one segment with its radius, grown by `margin`: lowest and highest corner.
    pub(super) fn segment_box(&self, segment: usize, margin: f32) -> (Vec3, Vec3) {
        let ((a, ra), (b, rb)) = self.ends(segment);
        let grow = Vec3::splat(ra.max(rb) + margin);
        (a.min(b) - grow, a.max(b) + grow)
    }
}

/// Union of two distances with a rounded seam of about `k` µm.
pub(super) fn smooth_union(a: f32, b: f32, k: f32) -> f32 {
    let h = (0.5 + 0.5 * (b - a) / k).clamp(0.0, 1.0);
    b + (a - b) * h - k * h * (1.0 - h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_right_for_ball_ellipsoid_pole_and_tube() {
        let tile = NoiseTile::new(1);
        let ball = Blob::ball(Vec3::X, 2.0);
        assert!((ball.distance(&tile, Vec3::new(4.0, 0.0, 0.0)) - 1.0).abs() < 1e-5);
        let egg = Blob { radii: Vec3::new(3.0, 1.0, 1.0), ..Blob::ball(Vec3::ZERO, 1.0) };
        assert!((egg.distance(&tile, Vec3::new(3.1, 0.0, 0.0)) - 0.1).abs() < 0.01);
        assert!(egg.distance(&tile, Vec3::new(0.0, 0.9, 0.0)) < 0.0);
        let tube = Tube { nodes: vec![(Vec3::ZERO, 0.5), (Vec3::X, 0.5)] };
        assert!((tube.distance(Vec3::new(0.5, 1.5, 0.0)) - 1.0).abs() < 1e-5);
        let single = Tube { nodes: vec![(Vec3::ZERO, 0.5)] };
        assert!((single.distance(Vec3::new(0.0, 0.0, 2.0)) - 1.5).abs() < 1e-5);
    }
}
