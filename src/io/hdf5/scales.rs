//! Positions along the axes of an array, where lists beside it give them: NXdata, dimension scales, EMD.
//!
//! NXdata names them in its attribute `axes` (older files in that of the signal, or by `axis` on the list itself);
//! netCDF 4 and h5py refer to dimension scales in `DIMENSION_LIST`; EMD has `dim1` … `dimN`. Names tell what an axis is,
//! positions how far apart its places are, where the first is, and whether they run backwards.

use super::axes::AxisTag;
use super::store::{Dataset, Group};
use super::tree::{numbers, search, units_of};
use super::values::degrees;
use crate::io::lengths::{is_no_length, um_per};

/// By what part of a step places may be off and still count as evenly spaced.
const UNEVEN: f64 = 0.02;

/// The list of the positions along one axis.
#[derive(Clone)]
pub(super) struct Scale {
    name: String,
    list: Dataset,
}

impl Scale {
    /// The list `list`; its own attributes say what it is called, or else its last name does.
    pub(super) fn of(list: Dataset) -> Self {
        let own = ["name", "long_name", "NAME"].map(|name| list.attr_text(name));
        let path = list.path().rsplit('/').next().unwrap_or_default().to_owned();
        let named = own.into_iter().find(|name| letter(name).is_some() || is_turn(name));
        Self { name: named.unwrap_or(path), list }
    }

    /// Whether its places are those of a tilt stage.
    pub(super) fn is_turn(&self) -> bool {
        is_turn(&self.name)
    }

    /// What it says of its axis, which is `key`.
    ///
    /// A list of two places is that of the first two, as EMD allows it.
    fn tag(&self, key: char, side: u64, warnings: &mut Vec<String>) -> AxisTag {
        let mut tag = AxisTag { turns: self.is_turn(), ..AxisTag::new(key) };
        let places: Vec<f64> = numbers(&self.list);
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return tag };
        let step = (last - first) / (places.len().max(2) - 1) as f64;
        let last = first + step * side.saturating_sub(1) as f64;
        if tag.turns || !step.is_finite() || step == 0.0 {
            return tag;
        }
        let off = places.iter().enumerate().map(|(n, place)| (place - first - n as f64 * step).abs());
        let off = off.fold(0.0, f64::max);
        if off > UNEVEN * step.abs() {
            warnings.push(format!(
                "the places along {} are not evenly spaced (off by up to {:.2} of a step): their mean distance was taken",
                self.name,
                off / step.abs()
            ));
        }
        let units = units_of(&self.list);
        let scale = um_per(units.trim());
        if scale.is_none() && !is_no_length(&units) {
            warnings.push(format!(
                "the unit {units} of the places along {} is none of length that is known",
                self.name
            ));
        }
        // The digits of single precision, in which such lists are often written.
        let short = |value: f64| format!("{value:.6e}").parse().unwrap_or(value);
        tag.backwards = step < 0.0;
        tag.step_um = scale.map(|um| short(step.abs() * um));
        tag.first_um = scale.map(|um| first.min(last) * um);
        tag.step = (scale.is_none() && is_no_length(&units)).then(|| short(step.abs()));
        tag
    }
}

/// The axis that a name means: z, y, x, c or t.
pub(super) fn letter(name: &str) -> Option<char> {
    let name = name.trim().to_lowercase();
    let name = name.split(['(', '[']).next().unwrap_or_default().trim();
    let name =
        ["_axis", " axis", "_position", "_pos"].iter().fold(name, |n, end| n.strip_suffix(end).unwrap_or(n));
    let name = ["axis_", "axis "].iter().fold(name, |n, start| n.strip_prefix(start).unwrap_or(n));
    match name {
        "z" | "slice" | "slices" | "depth" | "plane" | "planes" => Some('z'),
        "y" | "row" | "rows" => Some('y'),
        "x" | "column" | "columns" | "col" | "cols" => Some('x'),
        "c" | "channel" | "channels" | "color" | "colour" => Some('c'),
        "t" | "time" | "frame" | "frames" | "times" => Some('t'),
        _ => None,
    }
}

fn is_turn(name: &str) -> bool {
    let name = name.to_lowercase();
    name.contains("angle") || name.contains("tilt") || name == "theta"
}

/// What lists beside a dataset say of its axes; `None` where there are none.
///
/// Views take the place of z. An axis of which nothing is known is the next of z, y, x that is left.
pub(super) fn tags(root: &Group, dataset: &Dataset, warnings: &mut Vec<String>) -> Option<Tagged> {
    let scales = dims_beside(root, dataset)
        .or_else(|| named_by_parent(root, dataset))
        .or_else(|| referred_to(root, dataset))?;
    tagged(&scales, &dataset.shape().ok()?, warnings)
}

/// Axes with what lists say of them, and the angles of views in degrees where one of them counts views.
pub(super) struct Tagged {
    pub(super) axes: Vec<AxisTag>,
    pub(super) angles_deg: Vec<f64>,
    /// Whether names said which axis is which, or their number alone.
    pub(super) is_named: bool,
}

/// What these lists say; `None` where their names contradict each other.
fn tagged(scales: &[Option<Scale>], shape: &[u64], warnings: &mut Vec<String>) -> Option<Tagged> {
    if scales.iter().all(Option::is_none) {
        return None;
    }
    let known = |scale: &Option<Scale>| {
        let scale = scale.as_ref()?;
        if scale.is_turn() { Some('z') } else { letter(&scale.name) }
    };
    let mut keys: Vec<Option<char>> = scales.iter().map(known).collect();
    // Names of which no picture comes ("a", "b", "c") mean nothing.
    let n_unnamed = keys.iter().filter(|key| key.is_none()).count();
    let n_missing = ['y', 'x'].iter().filter(|key| !keys.contains(&Some(**key))).count();
    let has_more = keys.iter().flatten().any(|key| "ct".contains(*key));
    if n_missing > n_unnamed || (n_missing > 0 && has_more) {
        keys.fill(None);
    }
    let is_named = keys.iter().any(Option::is_some);
    let mut left: Vec<char> = "xyzct".chars().filter(|key| !keys.contains(&Some(*key))).collect();
    // From the last axis on, as arrays lie that say nothing.
    for key in keys.iter_mut().rev().filter(|key| key.is_none()) {
        *key = (!left.is_empty()).then(|| left.remove(0));
    }
    let keys: Vec<char> = keys.into_iter().collect::<Option<_>>()?;
    if keys.iter().any(|key| keys.iter().filter(|other| *other == key).count() > 1) {
        return None;
    }
    let mut axes = Vec::new();
    for ((scale, key), side) in scales.iter().zip(&keys).zip(shape) {
        let tag = scale.as_ref().map(|scale| scale.tag(*key, *side, warnings));
        axes.push(tag.unwrap_or_else(|| AxisTag::new(*key)));
    }
    let turn = scales.iter().flatten().find(|scale| scale.is_turn());
    let angles_deg = turn.map(|scale| degrees(&scale.list, warnings)).unwrap_or_default();
    Some(Tagged { axes, angles_deg, is_named })
}

/// The group that a dataset lies in.
fn parent(root: &Group, dataset: &Dataset) -> Option<Group> {
    let (folder, _) = dataset.path().rsplit_once('/')?;
    if folder.is_empty() { Some(root.clone()) } else { root.group(folder) }
}

/// `dim1` … `dimN` beside a dataset of EMD.
fn dims_beside(root: &Group, dataset: &Dataset) -> Option<Vec<Option<Scale>>> {
    let group = parent(root, dataset)?;
    let shape = dataset.shape().ok()?;
    let dim = |(n, side): (usize, &u64)| {
        let list = group.dataset(&format!("dim{}", n + 1)).filter(|list| list.ndim() == 1)?;
        let places = list.shape().ok()?[0];
        (places == *side || places == 2).then(|| Scale::of(list))
    };
    let dims: Vec<Option<Scale>> = shape.iter().enumerate().map(dim).collect();
    dims.iter().all(Option::is_some).then_some(dims)
}

/// The lists that the group of a dataset names as its axes.
fn named_by_parent(root: &Group, dataset: &Dataset) -> Option<Vec<Option<Scale>>> {
    let group = parent(root, dataset)?;
    let shape = dataset.shape().ok()?;
    let list = |name: &str, axis: usize| {
        let list = group.dataset(name)?;
        (list.ndim() <= 1 && list.shape().ok()?.iter().product::<u64>() == shape[axis])
            .then(|| Scale::of(list))
    };
    let names = names_of(&group.attr_texts("axes"), &group.attr_text("axes"));
    let names = if names.is_empty() {
        names_of(&dataset.attr_texts("axes"), &dataset.attr_text("axes"))
    } else {
        names
    };
    if names.len() == shape.len() {
        let found: Vec<_> = names.iter().enumerate().map(|(axis, name)| list(name, axis)).collect();
        return found.iter().any(Option::is_some).then_some(found);
    }
    // The oldest way: every list says of which axis it is, counted from 1.
    let mut found: Vec<Option<Scale>> = shape.iter().map(|_| None).collect();
    for name in group.names() {
        let number = group.dataset(&name).and_then(|d| d.attr_numbers("axis").first().copied());
        let axis = number.and_then(|number| (0..shape.len()).find(|axis| (axis + 1) as f64 == number));
        let Some(axis) = axis else { continue };
        found[axis] = found[axis].take().or_else(|| list(&name, axis));
    }
    found.iter().any(Option::is_some).then_some(found)
}

/// Names in a list, or in one text between colons or commas.
fn names_of(texts: &[String], text: &str) -> Vec<String> {
    if texts.len() > 1 {
        return texts.to_vec();
    }
    let names = text.trim_matches(['[', ']']).split([':', ',']).map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// The dimension scales that a dataset refers to.
fn referred_to(root: &Group, dataset: &Dataset) -> Option<Vec<Option<Scale>>> {
    let addresses = dataset.references("DIMENSION_LIST")?;
    if addresses.len() != dataset.ndim() {
        return None;
    }
    let mut found: Vec<Option<Scale>> = addresses.iter().map(|_| None).collect();
    let stopped: Option<()> = search(root, |group| {
        for name in group.names() {
            let Some(list) = group.dataset(&name).filter(|d| d.ndim() == 1) else { continue };
            for (scale, address) in found.iter_mut().zip(&addresses) {
                if scale.is_none() && *address == Some(list.identity().1) && !is_without_values(&list) {
                    *scale = Some(Scale::of(list.clone()));
                }
            }
        }
        None
    });
    debug_assert!(stopped.is_none(), "the visit never stops the search");
    found.iter().any(Option::is_some).then_some(found)
}

/// Whether netCDF says that a list only counts: its numbers mean nothing.
fn is_without_values(list: &Dataset) -> bool {
    list.attr_text("NAME").starts_with("This is a netCDF dimension but not a netCDF variable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_axes_are_known_in_every_spelling() {
        for (name, key) in [
            ("z", Some('z')),
            ("Z (um)", Some('z')),
            ("y_axis", Some('y')),
            ("axis x", Some('x')),
            ("Rows", Some('y')),
            ("energy", None),
            ("dim3", None),
        ] {
            assert_eq!(letter(name), key, "{name}");
        }
        assert!(is_turn("rotation_angle") && is_turn("Tilt") && !is_turn("rectangular"));
    }
}
