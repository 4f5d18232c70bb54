//! What the axes of an image are, and the size of its voxels.

use super::transform::Along;
use crate::io::choice::LETTERS;
use crate::io::lengths::um_per;

/// What an axis of a stored array is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// z (0), y (1) or x (2).
    Space(usize),
    /// Points of time.
    Time,
    /// Channels, or anything else that is counted.
    Channel,
}

/// An axis as metadata describe it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Axis {
    /// Name in lower case.
    pub(super) name: String,
    /// Type in lower case, where it says one.
    pub(super) kind: Option<String>,
    /// Unit, where it says one.
    pub(super) unit: Option<String>,
}

impl Axis {
    /// An axis of this name and nothing else.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_lowercase(), ..Self::default() }
    }

    fn space(&self) -> bool {
        match self.kind.as_deref() {
            Some("space") => true,
            Some("time" | "channel") => false,
            _ => letter(&self.name).is_some(),
        }
    }

    fn time(&self) -> bool {
        match self.kind.as_deref() {
            Some(kind) => kind == "time",
            None => ["t", "time"].contains(&self.name.as_str()),
        }
    }
}

/// Names that programs give to the axes z, y, x beside these letters.
const NAMES: [&[&str]; 3] = [
    &["depth", "plane", "slice", "section"],
    &["row", "rows", "height", "lat", "latitude"],
    &["col", "cols", "column", "columns", "width", "lon", "longitude"],
];

fn letter(name: &str) -> Option<usize> {
    let is_letter = |letter: &char| name.len() == 1 && name.starts_with(*letter);
    let by_letter = LETTERS.iter().position(is_letter);
    by_letter.or_else(|| NAMES.iter().position(|names| names.contains(&name)))
}

/// Words for axes along which one picture follows the other.
const SERIES: [&str; 12] = [
    "angle",
    "angles",
    "theta",
    "tilt",
    "tilts",
    "projection",
    "projections",
    "view",
    "views",
    "frame",
    "frames",
    "image",
];

/// Which axis of times or views takes the place of z, where there is no z or one plane of it: a series of pictures is a
/// stack.
pub(super) fn series(roles: &[Role], names: &[String], sides: &[u64]) -> Option<usize> {
    let n = |at: &usize| sides.get(*at).copied().unwrap_or(1);
    let has_planes = (0..roles.len()).any(|at| roles[at] == Role::Space(0) && n(&at) > 1);
    let is_series = |at: &usize| match roles[*at] {
        Role::Time => true,
        Role::Channel => names.get(*at).is_some_and(|name| SERIES.contains(&name.as_str())),
        Role::Space(_) => false,
    };
    let mut found = (0..roles.len()).filter(|at| is_series(at) && n(at) > 1);
    found.next().filter(|_| !has_planes && found.next().is_none())
}

/// The roles of axes: those in space by their names z, y, x, others in the order z, y, x of what is left.
pub(super) fn roles(axes: &[Axis]) -> Result<Vec<Role>, String> {
    let spaces: Vec<usize> = (0..axes.len()).filter(|i| axes[*i].space()).collect();
    let listed = || axes.iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>().join(", ");
    if !(2..=3).contains(&spaces.len()) {
        return Err(format!("{} of the axes {} lie in space; 2 or 3 are read", spaces.len(), listed()));
    }
    let named = |i: &usize| letter(&axes[*i].name);
    // Two axes without z are y and x.
    let mut free: Vec<usize> =
        (3 - spaces.len()..3).filter(|at| !spaces.iter().any(|i| named(i) == Some(*at))).collect();
    free.reverse();
    let mut roles = Vec::new();
    for (i, axis) in axes.iter().enumerate() {
        let role = match (spaces.contains(&i), named(&i)) {
            (true, Some(at)) => Role::Space(at),
            (true, None) => {
                Role::Space(free.pop().ok_or_else(|| format!("the axes {} are not clear", listed()))?)
            }
            (false, _) if axis.time() => Role::Time,
            (false, _) => Role::Channel,
        };
        if roles.contains(&role) && role != Role::Channel {
            return Err(format!("the axes {} have the same name or type twice", listed()));
        }
        roles.push(role);
    }
    Ok(roles)
}

/// The roles of the axes of an array that has no names, or none that are clear: the last are z, y, x.
pub(super) fn roles_by_place(n: usize) -> Vec<Role> {
    (0..n).map(|i| (i + 3).checked_sub(n).map_or(Role::Channel, Role::Space)).collect()
}

/// One axis of an array with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dim {
    /// Name in lower case.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) unit: Option<String>,
    pub(super) scale: f64,
    pub(super) offset: f64,
}

/// Joins roles, units and what a transformation says of each axis of an array.
pub(super) fn dims(axes: &[Axis], roles: &[Role], along: &[Along]) -> Option<Vec<Dim>> {
    let dim = |along: &Along| {
        let (axis, role) = (axes.get(along.coordinate)?, *roles.get(along.coordinate)?);
        Some(Dim {
            name: axis.name.clone(),
            role,
            unit: axis.unit.clone(),
            scale: along.scale,
            offset: along.offset,
        })
    };
    along.iter().map(dim).collect()
}

/// Size and place of voxels, z, y, x.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Frame {
    /// Edges in µm; `None` without a unit of length.
    pub(super) voxel_um: Option<[f64; 3]>,
    /// Centre of voxel (0, 0, 0) in µm.
    pub(super) origin_um: [f64; 3],
    /// Edges as ratios where only these are known, the shortest 1.
    pub(super) ratios: Option<[f64; 3]>,
    /// What was assumed or dropped.
    pub(super) warnings: Vec<String>,
}

/// Edge and centre of the first voxel in the units of the file, z, y, x; a missing z is as long as y.
pub(super) fn spacing(dims: &[Dim]) -> ([f64; 3], [f64; 3]) {
    let along = |at: usize| dims.iter().find(|dim| dim.role == Role::Space(at));
    let in_plane = along(1).or_else(|| along(2)).map_or(1.0, |dim| dim.scale.abs());
    (
        std::array::from_fn(|at| along(at).map_or(in_plane, |dim| dim.scale.abs())),
        std::array::from_fn(|at| along(at).map_or(0.0, |dim| dim.offset)),
    )
}

impl Frame {
    /// The frame of an array; `None` where the sizes make no sense.
    pub(super) fn of(dims: &[Dim]) -> Option<Self> {
        let (edges, offsets) = spacing(dims);
        let is_fine = |v: &f64| v.is_finite() && *v > 0.0;
        if !edges.iter().all(is_fine) || !offsets.iter().all(|v| v.is_finite()) {
            return None;
        }
        let mut frame = Self::default();
        let spaces = |at: usize| dims.iter().find(|dim| dim.role == Role::Space(at));
        if dims.iter().any(|dim| matches!(dim.role, Role::Space(_)) && dim.scale < 0.0) {
            frame.warnings.push(
                "the file places an axis backwards; rows and planes are read as they are stored".to_owned(),
            );
        }
        let units: [Option<f64>; 3] = std::array::from_fn(|at| um_per(spaces(at)?.unit.as_deref()?));
        let Some(known) = units.iter().flatten().next().copied() else {
            let shortest = edges.into_iter().fold(f64::INFINITY, f64::min);
            frame.ratios = Some(edges.map(|edge| tidy(edge / shortest)));
            return Some(frame);
        };
        for at in 0..3 {
            if spaces(at).is_some() && units[at].is_none() {
                frame.warnings.push(format!(
                    "the axis {} has no unit of length; that of the other axes was taken",
                    LETTERS[at]
                ));
            }
        }
        let um = units.map(|um| um.unwrap_or(known));
        frame.voxel_um = Some(std::array::from_fn(|at| tidy(edges[at] * um[at])));
        frame.origin_um = std::array::from_fn(|at| tidy(offsets[at] * um[at]));
        Some(frame)
    }
}

/// Ten significant digits: the noise of a unit's factor is dropped, no file holds more.
fn tidy(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(&str, &str)]) -> Vec<Axis> {
        let kind = |kind: &str| Some(kind.to_owned()).filter(|kind| !kind.is_empty());
        list.iter().map(|(name, k)| Axis { kind: kind(k), ..Axis::named(name) }).collect()
    }

    #[test]
    fn axes_are_found_by_type_and_by_name() {
        use Role::{Channel, Space, Time};
        for (axes, expected) in [
            (
                of(&[("t", "time"), ("c", "channel"), ("z", "space"), ("y", "space"), ("x", "space")]),
                vec![Time, Channel, Space(0), Space(1), Space(2)],
            ),
            (of(&[("x", "space"), ("y", "space"), ("z", "space")]), vec![Space(2), Space(1), Space(0)]),
            (of(&[("Z", ""), ("Y", ""), ("X", "")]), vec![Space(0), Space(1), Space(2)]),
            (
                of(&[("depth", "space"), ("row", "space"), ("col", "space")]),
                vec![Space(0), Space(1), Space(2)],
            ),
            (of(&[("y", "space"), ("x", "space"), ("depth", "space")]), vec![Space(1), Space(2), Space(0)]),
            (of(&[("row", "space"), ("col", "space")]), vec![Space(1), Space(2)]),
            (of(&[("angle", ""), ("y", "space"), ("x", "space")]), vec![Channel, Space(1), Space(2)]),
            (
                of(&[("phase", "other"), ("time", ""), ("y", ""), ("x", "")]),
                vec![Channel, Time, Space(1), Space(2)],
            ),
        ] {
            assert_eq!(roles(&axes).unwrap(), expected, "{axes:?}");
        }
        for axes in [
            of(&[("x", "space")]),
            of(&[("x", "space"), ("x", "space"), ("y", "space")]),
            of(&[("a", "space"), ("b", "space"), ("c", "space"), ("d", "space")]),
            of(&[("t", "time"), ("u", "time"), ("y", "space"), ("x", "space")]),
        ] {
            assert!(roles(&axes).is_err(), "{axes:?}");
        }
        assert_eq!(roles_by_place(2), [Space(1), Space(2)]);
        assert_eq!(roles_by_place(4), [Channel, Space(0), Space(1), Space(2)]);
    }

    fn dim(at: usize, unit: Option<&str>, scale: f64) -> Dim {
        Dim { name: String::new(), role: Role::Space(at), unit: unit.map(str::to_owned), scale, offset: 2.0 }
    }

    #[test]
    fn edges_without_a_unit_are_kept_as_ratios() {
        let frame = Frame::of(&[dim(0, None, 5.0), dim(1, None, 0.5), dim(2, None, 0.5)]).unwrap();
        assert_eq!((frame.voxel_um, frame.ratios, frame.origin_um), (None, Some([10.0, 1.0, 1.0]), [0.0; 3]));
        let one =
            Frame::of(&[dim(0, Some("nm"), 50.0), dim(1, None, 5.0), dim(2, Some("um"), 0.005)]).unwrap();
        assert_eq!(one.voxel_um, Some([0.05, 0.005, 0.005]));
        assert_eq!(one.warnings.len(), 1);
        let flat = Frame::of(&[dim(1, Some("nm"), 20.0), dim(2, Some("nm"), 10.0)]).unwrap();
        assert_eq!(flat.voxel_um, Some([0.02, 0.02, 0.01]));
        assert_eq!(Frame::of(&[dim(1, Some("nm"), 0.0), dim(2, Some("nm"), 10.0)]), None);
    }
}
