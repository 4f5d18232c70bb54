//! The camera of the 3-D view: turns about a target, zooms, pans, fits a box.
//!
//! Camera space is x right, y down, z forward, like world space (µm: x right, y down, z into the
//! screen). So the identity rotation is the front view and shows what the XY slice shows.

use glam::{DMat3, DMat4, DQuat, DVec2, DVec3, DVec4};
use serde::{Deserialize, Serialize};

/// Perspective or parallel rays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// Near things are larger.
    #[default]
    Perspective,
    /// Parallel rays: lengths can be compared, and the scale bar holds everywhere.
    Orthographic,
}

/// A direction to look from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandardView {
    /// As the XY slice: x right, y down.
    Front,
    /// From behind: x left, y down.
    Back,
    /// From +x: z right, y down, as the YZ slice.
    Right,
    /// From -x: z left, y down.
    Left,
    /// From -y (above): x right, z up.
    Top,
    /// From +y (below): x right, z down, as the XZ slice.
    Bottom,
    /// A corner view that shows three sides.
    Corner,
}

/// A box in world µm, low and high corner.
pub type BoxUm = (DVec3, DVec3);

/// A camera on a sphere around its target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrbitCamera {
    /// What it looks at and turns about, world µm.
    pub target_um: DVec3,
    /// Distance from the eye to the target, µm, above 0.
    pub distance_um: f64,
    /// World from camera axes: columns are right, down and forward.
    pub rotation: DQuat,
    /// Perspective or parallel rays.
    pub projection: Projection,
    /// Opening angle from the top edge to the bottom edge, radians.
    pub fov_y_rad: f64,
}

impl Default for OrbitCamera {
    fn default() -> Self {
        Self {
            target_um: DVec3::ZERO,
            distance_um: 10.0,
            rotation: DQuat::IDENTITY,
            projection: Projection::Perspective,
            fov_y_rad: 0.5,
        }
    }
}

/// One world axis as seen on screen, for the axes in the corner of a view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxisOnScreen {
    /// "x", "y" or "z".
    pub name: &'static str,
    /// Where the axis points on screen: x right, y down, length at most 1.
    pub direction: DVec2,
    /// How much it points away from the viewer, -1 to 1; draw the far ones first.
    pub depth: f64,
}

/// A ray in world µm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ray {
    /// Where it starts.
    pub origin_um: DVec3,
    /// Where it goes, length 1.
    pub direction: DVec3,
}

impl OrbitCamera {
    /// A camera that shows the whole of a box from the front.
    pub fn fitted(bounds: BoxUm) -> Self {
        let mut camera = Self::default();
        camera.fit(bounds);
        camera
    }

    /// Moves to show the whole of a box, direction unchanged.
    pub fn fit(&mut self, (low, high): BoxUm) {
        let radius = ((high - low).length() * 0.5).max(1e-6);
        self.target_um = (low + high) * 0.5;
        // The bounding sphere touches the edges of the picture, with a hand's breadth of air.
        self.distance_um = radius * 0.86 / (self.fov_y_rad * 0.5).sin();
    }

    /// Looks from a standard direction, target and distance unchanged.
    pub fn look_from(&mut self, view: StandardView) {
        let columns =
            |right: DVec3, down: DVec3| DQuat::from_mat3(&DMat3::from_cols(right, down, right.cross(down)));
        let (x, y, z) = (DVec3::X, DVec3::Y, DVec3::Z);
        self.rotation = match view {
            StandardView::Front => DQuat::IDENTITY,
            StandardView::Back => columns(-x, y),
            StandardView::Right => columns(z, y),
            StandardView::Left => columns(-z, y),
            StandardView::Top => columns(x, -z),
            StandardView::Bottom => columns(x, z),
            StandardView::Corner => DQuat::from_rotation_y(-0.6) * DQuat::from_rotation_x(-0.45),
        };
    }

    /// Turntable: a drag of `delta` (radians right, radians down) with y staying upright.
    pub fn orbit_turntable(&mut self, delta: DVec2) {
        let yaw = DQuat::from_rotation_y(delta.x);
        let pitch = DQuat::from_rotation_x(-delta.y);
        self.rotation = (yaw * self.rotation * pitch).normalize();
    }

    /// Trackball: a drag of `delta` (radians right, radians down) about the screen's own axes.
    pub fn orbit_trackball(&mut self, delta: DVec2) {
        let turn = DQuat::from_rotation_y(delta.x) * DQuat::from_rotation_x(-delta.y);
        self.rotation = (self.rotation * turn).normalize();
    }

    /// Turns about the line of sight, radians clockwise.
    pub fn roll(&mut self, angle_rad: f64) {
        self.rotation = (self.rotation * DQuat::from_rotation_z(-angle_rad)).normalize();
    }

    /// Comes nearer by a factor above 1, goes away below 1.
    pub fn zoom(&mut self, factor: f64) {
        if factor.is_finite() && factor > 0.0 {
            self.distance_um = (self.distance_um / factor).clamp(1e-6, 1e9);
        }
    }

    /// Moves so that what is at the target follows a drag of `pixels` in a view of `height_px`.
    pub fn pan(&mut self, pixels: DVec2, height_px: f64) {
        let um_per_px = self.um_per_px(height_px);
        self.target_um -= self.right() * (pixels.x * um_per_px) + self.down() * (pixels.y * um_per_px);
    }

    /// World length of a pixel at the target (everywhere with parallel rays).
    pub fn um_per_px(&self, height_px: f64) -> f64 {
        2.0 * self.distance_um * (self.fov_y_rad * 0.5).tan() / height_px.max(1.0)
    }

    /// To the right of the screen, length 1.
    pub fn right(&self) -> DVec3 {
        self.rotation * DVec3::X
    }

    /// Down the screen, length 1.
    pub fn down(&self) -> DVec3 {
        self.rotation * DVec3::Y
    }

    /// Into the screen, length 1.
    pub fn forward(&self) -> DVec3 {
        self.rotation * DVec3::Z
    }

    /// Where the eye is, world µm.
    pub fn eye_um(&self) -> DVec3 {
        self.target_um - self.forward() * self.distance_um
    }

    /// The ray through a place of the picture: `uv` 0 to 1, from the upper left corner; `aspect` is width over height.
    pub fn ray(&self, uv: DVec2, aspect: f64) -> Ray {
        let half = (self.fov_y_rad * 0.5).tan();
        let (sx, sy) = ((uv.x * 2.0 - 1.0) * half * aspect, (uv.y * 2.0 - 1.0) * half);
        match self.projection {
            Projection::Perspective => Ray {
                origin_um: self.eye_um(),
                direction: (self.forward() + self.right() * sx + self.down() * sy).normalize(),
            },
            Projection::Orthographic => Ray {
                origin_um: self.eye_um() + (self.right() * sx + self.down() * sy) * self.distance_um,
                direction: self.forward(),
            },
        }
    }

    /// Clip space (wgpu: y up, z 0 to 1) from world µm, for meshes and for putting marks on a picture.
    pub fn clip_from_world(&self, aspect: f64, depth_um: f64) -> DMat4 {
        let half = (self.fov_y_rad * 0.5).tan();
        let inverse = self.rotation.inverse();
        let view = DMat4::from_quat(inverse) * DMat4::from_translation(-self.eye_um());
        let near = (self.distance_um - depth_um).max(self.distance_um * 1e-3);
        let far = (self.distance_um + depth_um).max(near * 1.001);
        let k = 1.0 / (far - near);
        let projection = match self.projection {
            Projection::Perspective => DMat4::from_cols(
                DVec4::new(1.0 / (half * aspect), 0.0, 0.0, 0.0),
                DVec4::new(0.0, -1.0 / half, 0.0, 0.0),
                DVec4::new(0.0, 0.0, far * k, 1.0),
                DVec4::new(0.0, 0.0, -near * far * k, 0.0),
            ),
            Projection::Orthographic => {
                let size = half * self.distance_um;
                DMat4::from_cols(
                    DVec4::new(1.0 / (size * aspect), 0.0, 0.0, 0.0),
                    DVec4::new(0.0, -1.0 / size, 0.0, 0.0),
                    DVec4::new(0.0, 0.0, k, 0.0),
                    DVec4::new(0.0, 0.0, -near * k, 1.0),
                )
            }
        };
        projection * view
    }

    /// Where a world point appears: `uv` 0 to 1 from the upper left corner; `None` behind the eye.
    pub fn project(&self, world_um: DVec3, aspect: f64) -> Option<DVec2> {
        let clip = self.clip_from_world(aspect, self.distance_um) * world_um.extend(1.0);
        (clip.w > 0.0).then(|| DVec2::new(clip.x / clip.w * 0.5 + 0.5, 0.5 - clip.y / clip.w * 0.5))
    }

    /// The three world axes as seen, the farthest first.
    pub fn axes(&self) -> [AxisOnScreen; 3] {
        let axis = |name, world: DVec3| AxisOnScreen {
            name,
            direction: DVec2::new(world.dot(self.right()), world.dot(self.down())),
            depth: world.dot(self.forward()),
        };
        let mut axes = [axis("x", DVec3::X), axis("y", DVec3::Y), axis("z", DVec3::Z)];
        axes.sort_by(|a, b| b.depth.total_cmp(&a.depth));
        axes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: DVec3, b: DVec3) -> bool {
        (a - b).length() < 1e-9
    }

    #[test]
    fn front_view_shows_x_right_y_down_z_away() {
        let camera = OrbitCamera::fitted((DVec3::ZERO, DVec3::splat(10.0)));
        for projection in [Projection::Perspective, Projection::Orthographic] {
            let camera = OrbitCamera { projection, ..camera };
            let centre = camera.project(DVec3::splat(5.0), 1.5).unwrap();
            assert!((centre - DVec2::splat(0.5)).length() < 1e-9, "{centre}");
            assert!(camera.project(DVec3::new(6.0, 5.0, 5.0), 1.5).unwrap().x > 0.5, "x right");
            assert!(camera.project(DVec3::new(5.0, 6.0, 5.0), 1.5).unwrap().y > 0.5, "y down");
        }
        assert!(close(camera.forward(), DVec3::Z));
        assert!(camera.eye_um().z < 0.0);
    }

    #[test]
    fn ray_and_projection_agree_in_any_pose() {
        let mut camera = OrbitCamera::fitted((DVec3::ZERO, DVec3::new(3.0, 4.0, 5.0)));
        camera.orbit_turntable(DVec2::new(0.7, -0.3));
        camera.orbit_trackball(DVec2::new(-0.2, 0.5));
        camera.roll(0.3);
        for projection in [Projection::Perspective, Projection::Orthographic] {
            let camera = OrbitCamera { projection, ..camera };
            let uv = DVec2::new(0.31, 0.77);
            let ray = camera.ray(uv, 1.3);
            let there = camera.project(ray.origin_um + ray.direction * camera.distance_um, 1.3).unwrap();
            assert!((there - uv).length() < 1e-9, "{there}");
        }
    }

    #[test]
    fn standard_views_are_rotations_and_match_the_slices() {
        let mut camera = OrbitCamera::default();
        use StandardView::{Back, Bottom, Corner, Front, Left, Right, Top};
        for view in [Front, Back, Left, Right, Top, Bottom, Corner] {
            camera.look_from(view);
            assert!(close(camera.right().cross(camera.down()), camera.forward()), "{view:?} is no mirror");
        }
        camera.look_from(Right);
        assert!(close(camera.right(), DVec3::Z) && close(camera.down(), DVec3::Y));
        camera.look_from(Bottom);
        assert!(close(camera.right(), DVec3::X) && close(camera.down(), DVec3::Z));
    }

    #[test]
    fn dragging_right_turns_the_near_side_to_the_right() {
        let mut camera = OrbitCamera::fitted((DVec3::splat(-1.0), DVec3::splat(1.0)));
        let near_side = DVec3::new(0.0, 0.0, -1.0);
        for turn in [OrbitCamera::orbit_turntable, OrbitCamera::orbit_trackball] {
            let mut turned = camera;
            turn(&mut turned, DVec2::new(0.2, 0.0));
            assert!(turned.project(near_side, 1.0).unwrap().x > 0.5, "follows the pointer right");
            let mut turned = camera;
            turn(&mut turned, DVec2::new(0.0, 0.2));
            assert!(turned.project(near_side, 1.0).unwrap().y > 0.5, "follows the pointer down");
        }
        camera.pan(DVec2::new(50.0, 0.0), 100.0);
        assert!(camera.project(DVec3::ZERO, 1.0).unwrap().x > 0.9, "the old target went right");
    }
}
