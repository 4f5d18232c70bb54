//! Rulers over a picture: their lines where they lie in the world, and what they measure in words.
//!
//! In a slice those are drawn that lie in it; in 3-D all, fainter where something that is seen hides them.

use glam::{DVec2, DVec3};
use image::RgbaImage;

use super::super::scene::{SliceLayer, SliceScene};
use super::layout::{inks, letters, unit};
use super::{Anchor, Area, Ink, Label, Mark, Scene, Weight, place_labels, text};

/// How a ruler is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RulerShape {
    /// A line with a tick at either end.
    Distance,
    /// Two arms and an arc between them; the second of three points is the corner.
    Angle,
    /// A closed polygon.
    Area,
    /// A line; dashed ones run beside it as far away, µm, where it gathers values over a width.
    Profile(DVec3),
}

/// A ruler with what it measures.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureRuler {
    /// How it is drawn.
    pub shape: RulerShape,
    /// Its points, world µm.
    pub points_um: Vec<DVec3>,
    /// What is written beside it.
    pub label: String,
}

/// A line of a ruler.
#[derive(Debug, Clone, PartialEq)]
pub struct RulerLine {
    /// Its corners, world µm.
    pub points_um: Vec<DVec3>,
    /// Drawn with gaps.
    pub dashed: bool,
}

/// Opacity of what is hidden.
pub const HIDDEN_OPACITY: f64 = 0.35;
/// Pieces of a line that are hidden or not, each for itself.
const N_PIECES: usize = 16;
/// Colours of lines on dark and on light pictures. Keep in sync with `warning` of both themes of the window.
const RGB: [[u8; 3]; 2] = [[0xE6, 0xB0, 0x4A], [0x9A, 0x65, 0x00]];

impl FigureRuler {
    /// Its lines; an arc has at most this radius, µm.
    pub fn lines(&self, arc_um: f64) -> Vec<RulerLine> {
        let line = |points_um: Vec<DVec3>| RulerLine { points_um, dashed: false };
        let points = &self.points_um;
        let mut lines = vec![line(points.clone())];
        match (self.shape, points.as_slice()) {
            (RulerShape::Area, [first, _, _, ..]) => lines[0].points_um.push(*first),
            (RulerShape::Angle, [a, b, c]) => lines.extend(arc([*a, *b, *c], arc_um).map(line)),
            (RulerShape::Profile(half), [from, to]) if half != DVec3::ZERO => {
                let beside =
                    |side: DVec3| RulerLine { points_um: vec![*from + side, *to + side], dashed: true };
                lines.extend([beside(half), beside(-half)]);
            }
            _ => {}
        }
        lines
    }

    /// Whether it lies in a slice, to half a voxel or within the slab.
    fn lies_in(&self, scene: &SliceScene) -> bool {
        let (right, down) = scene.plane.right_down();
        let normal = right.cross(down);
        let map = scene.layers.iter().find_map(|layer| match layer {
            SliceLayer::Image(image) => Some(image.world_from_voxel),
            SliceLayer::Labels(_) => None,
        });
        let steps = map.map_or(0.0, |map| (map.matrix3.inverse() * normal).abs().max_element());
        let voxel = if steps > 0.0 { 0.5 / steps } else { 0.5 };
        let reach = scene.slab.map_or(voxel, |slab| voxel.max(slab.1 * 0.5)) * 1.001;
        self.points_um.iter().all(|p| (*p - scene.center_um).dot(normal).abs() <= reach)
    }
}

/// An arc in the angle at the second point.
fn arc([a, b, c]: [DVec3; 3], most_um: f64) -> Option<Vec<DVec3>> {
    let (to_a, to_c) = ((a - b).try_normalize()?, (c - b).try_normalize()?);
    let radius = ((a - b).length().min((c - b).length()) * 0.35).min(most_um);
    let across = (to_c - to_a * to_a.dot(to_c)).try_normalize()?;
    let angle = to_a.dot(to_c).clamp(-1.0, 1.0).acos();
    let at = |i: u32| {
        let turn = angle * f64::from(i) / 16.0;
        b + (to_a * turn.cos() + across * turn.sin()) * radius
    };
    Some((0..=16).map(at).collect())
}

/// A line cut into pieces, so that each can be hidden for itself.
pub fn pieces(line: &RulerLine) -> Vec<[DVec3; 2]> {
    let n = (N_PIECES / line.points_um.len().saturating_sub(1).max(1)).max(1);
    let cut = |pair: &[DVec3]| -> Vec<[DVec3; 2]> {
        let at = |i: usize| pair[0].lerp(pair[1], i as f64 / n as f64);
        (0..n).map(|i| [at(i), at(i + 1)]).collect()
    };
    line.points_um.windows(2).flat_map(cut).collect()
}

/// Ends of the ticks of a distance on the screen.
pub fn ticks([a, b]: [DVec2; 2], half: f64) -> [[DVec2; 2]; 2] {
    let across = (b - a).normalize_or(DVec2::X).perp() * half;
    [a, b].map(|end| [end - across, end + across])
}

/// A place in the picture of a world point; `None` behind the viewer.
fn place(scene: &Scene, world_um: DVec3) -> Option<DVec2> {
    match scene {
        Scene::Slice(scene) => Some(scene.px_from_world(world_um)),
        Scene::Volume(scene) => {
            let uv = scene.camera.project(world_um, scene.aspect())?;
            Some(uv * DVec2::from(scene.size_px.map(f64::from)))
        }
    }
}

/// The rulers of a picture as marks, their words off what is taken; `hidden` says which points something hides.
pub(super) fn marks(
    picture: &RgbaImage,
    scene: &Scene,
    (rulers, taken): (&[FigureRuler], &[Area]),
    ink: Ink,
    hidden: impl Fn(&[DVec3]) -> Vec<bool>,
) -> Vec<Mark> {
    let is_seen = |ruler: &&FigureRuler| match scene {
        Scene::Slice(scene) => ruler.lies_in(scene),
        Scene::Volume(_) => true,
    };
    let (mut seen, mut places) = (Vec::new(), Vec::new());
    for ruler in rulers.iter().filter(is_seen) {
        let points: Option<Vec<DVec2>> = ruler.points_um.iter().map(|p| place(scene, *p)).collect();
        if let Some(points) = points {
            seen.push(ruler);
            places.push(points);
        }
    }
    let words = Words::of(scene.size_px());
    let label = |(ruler, points): (&&FigureRuler, &Vec<DVec2>)| Label {
        shape: ruler.shape,
        points: points.clone(),
        size: words.room(&ruler.label),
    };
    let labels: Vec<Label> = seen.iter().zip(&places).map(label).collect();
    let whole = Area::new(DVec2::ZERO, DVec2::from(scene.size_px().map(f64::from)));
    let areas = place_labels(&labels, whole, taken, 1.5 * words.unit);
    let (mut lines, mut said) = (Vec::new(), Vec::new());
    for ((ruler, places), area) in seen.into_iter().zip(&places).zip(areas) {
        let size = area.high - area.low;
        let [rgb, halo] = inks(ink, picture, area.low.to_array(), size.to_array());
        lay(scene, (ruler, places), (RGB[usize::from(rgb[0] < 128)], halo), &hidden, &mut lines);
        said.extend(words.say(&ruler.label, area, rgb, halo));
    }
    lines.append(&mut said);
    lines
}

/// How words beside rulers are written: as in the window, on a chip.
struct Words {
    unit: f64,
    px: f64,
}

/// How much of its colour a chip has.
const CHIP_OPACITY: f64 = 0.75;

impl Words {
    fn of(size_px: [u32; 2]) -> Self {
        let unit = unit(size_px);
        Self { unit, px: letters(unit) * 0.85 }
    }

    /// Room of a text with its chip.
    fn room(&self, text: &str) -> DVec2 {
        DVec2::new(text::width(text, self.px, Weight::Medium) + 0.9 * self.px, 1.35 * self.px)
    }

    /// The chip, a thick line with round ends, and the letters on it.
    fn say(&self, text: &str, area: Area, rgb: [u8; 3], halo: [u8; 3]) -> [Mark; 2] {
        let middle = (area.low + area.high) * 0.5;
        let half = (area.high.y - area.low.y) * 0.5;
        let ends = [area.low.x + half, area.high.x - half].map(|x| [x, middle.y]);
        [
            Mark::Line {
                points: ends.to_vec(),
                width: 2.0 * half,
                rgb: halo,
                halo: None,
                opacity: CHIP_OPACITY,
                dash: None,
            },
            Mark::Text {
                at: [middle.x, middle.y + 0.36 * self.px],
                anchor: Anchor::Middle,
                px: self.px,
                weight: Weight::Medium,
                text: text.to_owned(),
                rgb,
                halo,
            },
        ]
    }
}

/// Adds the lines of a ruler.
fn lay(
    scene: &Scene,
    (ruler, places): (&FigureRuler, &[DVec2]),
    (color, halo): ([u8; 3], [u8; 3]),
    hidden: &impl Fn(&[DVec3]) -> Vec<bool>,
    lines: &mut Vec<Mark>,
) {
    let unit = unit(scene.size_px());
    let width = (0.5 * unit).max(1.25);
    let line = |points: Vec<[f64; 2]>, opacity: f64, dashed: bool| Mark::Line {
        points,
        width: if dashed { width * 0.7 } else { width },
        rgb: color,
        halo: if dashed { None } else { Some((halo, width * 0.75)) },
        opacity,
        dash: dashed.then_some(2.0 * unit),
    };
    for part in ruler.lines(9.0 * unit * scene.um_per_px()) {
        let pieces = match scene {
            Scene::Slice(_) => part.points_um.windows(2).map(|pair| [pair[0], pair[1]]).collect(),
            Scene::Volume(_) => pieces(&part),
        };
        let middles: Vec<DVec3> = pieces.iter().map(|[a, b]| (*a + *b) * 0.5).collect();
        for (points, is_hidden) in runs(&pieces, &hidden(&middles)) {
            let points: Option<Vec<[f64; 2]>> =
                points.into_iter().map(|p| Some(place(scene, p)?.to_array())).collect();
            let opacity = if is_hidden { HIDDEN_OPACITY } else { 1.0 };
            lines.extend(points.map(|points| line(points, opacity, part.dashed)));
        }
    }
    if let (RulerShape::Distance, [a, b]) = (ruler.shape, places) {
        let ends = hidden(&ruler.points_um);
        for (tick, is_hidden) in ticks([*a, *b], 1.75 * unit).into_iter().zip(ends) {
            let opacity = if is_hidden { HIDDEN_OPACITY } else { 1.0 };
            lines.push(line(tick.map(|p| p.to_array()).to_vec(), opacity, false));
        }
    }
}

/// Neighbouring pieces that are all hidden or all seen, as lines.
pub fn runs(pieces: &[[DVec3; 2]], hidden: &[bool]) -> Vec<(Vec<DVec3>, bool)> {
    let mut found: Vec<(Vec<DVec3>, bool)> = Vec::new();
    for ([from, to], is_hidden) in pieces.iter().zip(hidden.iter().chain(std::iter::repeat(&false))) {
        match found.last_mut() {
            Some((points, same)) if same == is_hidden => points.push(*to),
            _ => found.push((vec![*from, *to], *is_hidden)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruler(shape: RulerShape, points_um: Vec<DVec3>) -> FigureRuler {
        FigureRuler { shape, points_um, label: "1.00 µm".to_owned() }
    }

    #[test]
    fn an_arc_lies_in_the_angle_whatever_plane_that_is_in() {
        let [a, b, c] = [DVec3::new(2.0, 0.0, 0.0), DVec3::ZERO, DVec3::new(0.0, 0.0, 3.0)];
        let lines = ruler(RulerShape::Angle, vec![a, b, c]).lines(10.0);
        let arc = &lines[1].points_um;
        assert!(arc.iter().all(|p| (p.length() - 0.7).abs() < 1e-9 && p.y.abs() < 1e-12));
        assert!((arc[0] - DVec3::X * 0.7).length() < 1e-9 && (arc[16] - DVec3::Z * 0.7).length() < 1e-9);
        assert_eq!(ruler(RulerShape::Angle, vec![a, a, c]).lines(10.0).len(), 1, "no angle, no arc");
        let half = (arc[8].x / arc[8].z - 1.0).abs();
        assert!(half < 1e-9);
    }

    #[test]
    fn what_is_hidden_is_one_line_of_its_own() {
        let line = RulerLine { points_um: vec![DVec3::ZERO, DVec3::X * 16.0], dashed: false };
        let pieces = pieces(&line);
        assert_eq!(pieces.len(), 16);
        let hidden: Vec<bool> = (0..16).map(|i| (4..8).contains(&i)).collect();
        let runs = runs(&pieces, &hidden);
        let ends: Vec<_> = runs.iter().map(|(p, h)| (p[0].x, p[p.len() - 1].x, *h)).collect();
        assert_eq!(ends, [(0.0, 4.0, false), (4.0, 8.0, true), (8.0, 16.0, false)]);
    }
}
