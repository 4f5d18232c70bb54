//! Annotations: rulers that a user has laid into the document.

use glam::DVec3;
use serde::{Deserialize, Serialize};

use crate::measure::ruler::RulerKind;

/// Most corners of a polygon.
const MAX_POINTS: usize = 100_000;

/// A ruler laid into a plane. Lengths and values are never kept: they are measured anew from the points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// Names it within the project.
    pub id: u64,
    /// Its name for the user.
    pub name: String,
    /// What it measures.
    pub kind: RulerKind,
    /// World µm as x, y, z.
    pub points_um: Vec<[f64; 3]>,
    /// What ran right on the screen when it was drawn, a direction of length 1 in its plane.
    pub right: [f64; 3],
    /// What ran down.
    pub down: [f64; 3],
    /// Width of a line profile in voxel edges, 1 to 1000.
    pub width_px: u32,
    /// Drawn in the views.
    pub visible: bool,
}

impl Annotation {
    /// Its points.
    pub fn points(&self) -> Vec<DVec3> {
        self.points_um.iter().copied().map(DVec3::from_array).collect()
    }

    /// Right and down in its plane.
    pub fn frame(&self) -> (DVec3, DVec3) {
        (DVec3::from_array(self.right), DVec3::from_array(self.down))
    }

    /// The direction across its plane.
    pub fn normal(&self) -> DVec3 {
        let (right, down) = self.frame();
        right.cross(down)
    }

    /// The middle of its points.
    pub fn middle_um(&self) -> DVec3 {
        let sum: DVec3 = self.points().into_iter().sum();
        sum / self.points_um.len().max(1) as f64
    }

    /// Why it cannot be one, if so.
    pub fn problem(&self) -> Option<String> {
        let n = self.points_um.len();
        if !self.kind.is_whole(n) || n > MAX_POINTS {
            return Some(format!("{} points make no {}", n, self.kind.label().to_lowercase()));
        }
        let numbers = self.points_um.iter().chain([&self.right, &self.down]).flatten();
        // Far beyond any sample; sums of squares stay finite.
        if !numbers.copied().all(|v| v.is_finite() && v.abs() < 1e12) {
            return Some("a coordinate is no number that can be measured".to_owned());
        }
        let (right, down) = self.frame();
        let is_frame = (right.length() - 1.0).abs() < 1e-6
            && (down.length() - 1.0).abs() < 1e-6
            && right.dot(down).abs() < 1e-6;
        if !is_frame {
            return Some("the directions of its plane are not perpendicular or not of length 1".to_owned());
        }
        (!(1..=1000).contains(&self.width_px))
            .then(|| format!("a width of {} is outside 1 to 1000", self.width_px))
    }
}

/// The first of a list that cannot be, and why; ids must differ.
pub(super) fn first_problem(list: &[Annotation]) -> Option<(String, String)> {
    let mut ids = std::collections::BTreeSet::new();
    list.iter().find_map(|annotation| {
        let twice = (!ids.insert(annotation.id)).then(|| format!("id {} is there twice", annotation.id));
        Some((annotation.name.clone(), annotation.problem().or(twice)?))
    })
}

/// The annotations of a file that can be used; a sentence for each that cannot.
pub(super) fn usable(list: &[Annotation], problems: &mut Vec<String>) -> Vec<Annotation> {
    let mut kept: Vec<Annotation> = Vec::new();
    for annotation in list {
        kept.push(annotation.clone());
        if let Some((name, problem)) = first_problem(&kept) {
            kept.pop();
            problems.push(format!("annotation “{name}” was left out: {problem}"));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance() -> Annotation {
        Annotation {
            id: 7,
            name: "wall".to_owned(),
            kind: RulerKind::Distance,
            points_um: vec![[0.0, 0.1, 0.2], [1.0 / 3.0, 2.0, 3e-7]],
            right: [1.0, 0.0, 0.0],
            down: [0.0, 1.0, 0.0],
            width_px: 1,
            visible: true,
        }
    }

    #[test]
    fn an_annotation_comes_back_from_text_with_the_same_bits() {
        let text = serde_json::to_string(&distance()).unwrap();
        assert_eq!(serde_json::from_str::<Annotation>(&text).unwrap(), distance());
        for damaged in
            [text.replace("distance", "volume"), text.replace("0.1", "\"a\""), text[..40].to_owned()]
        {
            assert!(serde_json::from_str::<Annotation>(&damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused_with_its_reason() {
        assert_eq!(distance().problem(), None);
        let cases = [
            (Annotation { points_um: vec![[0.0; 3]], ..distance() }, "1 points make no distance"),
            (Annotation { points_um: vec![[f64::NAN; 3], [0.0; 3]], ..distance() }, "no number"),
            (Annotation { kind: RulerKind::Area, ..distance() }, "make no area"),
            (Annotation { down: [1.0, 0.0, 0.0], ..distance() }, "not perpendicular"),
            (Annotation { width_px: 0, ..distance() }, "outside 1 to 1000"),
        ];
        let mut problems = Vec::new();
        for (annotation, reason) in &cases {
            assert!(annotation.problem().unwrap().contains(reason), "{:?}", annotation.problem());
            assert!(usable(std::slice::from_ref(annotation), &mut problems).is_empty());
        }
        assert_eq!(problems.len(), cases.len());
        let kept = usable(&[distance(), distance()], &mut problems);
        assert_eq!(kept, [distance()], "an id is there once");
    }
}
