//! How the detector of an NXtomo stood, and what else its file says that is not applied to its frames.

use super::scan::ScanLayout;
use super::store::{Dataset, Group};
use super::tree::{children, first_dataset, numbers};
use crate::io::angles::deg_per;

/// Turns of a detector that its transformations list: the axis (x, y, z) and degrees.
fn turns(detector: &Group) -> Vec<([f64; 3], f64)> {
    let classes = ["NX_transformations", "NXtransformations"];
    let mut groups: Vec<Group> =
        classes.iter().flat_map(|class| children(detector, class, &["transformations"])).collect();
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(group.path().to_owned()));
    let turn = |turn: Dataset| {
        let vector: [f64; 3] = turn.attr_numbers("vector").try_into().ok()?;
        let deg = numbers(&turn).first().copied().filter(|deg| deg.is_finite())?;
        let deg = deg * deg_per(&turn.attr_text("units")).unwrap_or(1.0);
        (turn.attr_text("transformation_type") == "rotation" && vector.iter().any(|v| *v != 0.0))
            .then_some((vector, deg))
    };
    groups
        .iter()
        .flat_map(|group| {
            group.names().into_iter().filter_map(|name| turn(group.dataset(&name)?)).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a detector sees the picture mirrored, as its fields or its transformations say.
pub(super) fn mirrored(detector: &Group, warnings: &mut Vec<String>) -> [bool; 2] {
    let flag =
        |name: &str| detector.dataset(name).is_some_and(|d| numbers(&d).first().is_some_and(|v| *v != 0.0));
    let mut mirrored = [false; 2];
    for (vector, deg) in turns(detector) {
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        let axis = (0..3).find(|axis| (vector[*axis].abs() / length - 1.0).abs() < 1e-6);
        let rest = deg.rem_euclid(360.0);
        match axis {
            _ if rest.min(360.0 - rest) < 1e-3 => {}
            // Turned about an axis in its plane it is looked at from behind; half a turn about the beam is both at once.
            Some(axis) if (rest - 180.0).abs() < 1e-3 => {
                mirrored[0] ^= axis != 0;
                mirrored[1] ^= axis != 1;
            }
            _ => warnings.push(format!(
                "the detector was turned by {deg}° about ({}, {}, {}) (x, y, z); that was not applied to its frames",
                vector[0], vector[1], vector[2]
            )),
        }
    }
    let mirrored = [mirrored[0] || flag("x_flipped"), mirrored[1] || flag("y_flipped")];
    for (is, way) in mirrored.into_iter().zip(["left to right", "top to bottom"]) {
        if is {
            warnings.push(format!("the detector saw its frames mirrored {way}; they were turned back"));
        }
    }
    mirrored
}

/// Names what a file says of its frames and is not applied to them.
pub(super) fn say_unused(entry: &Group, detector: &Group, layout: &mut ScanLayout) {
    let groups = [Some(detector.clone()), entry.group("data"), entry.group("instrument")];
    let number = |names: &[&str]| {
        let found = groups.iter().flatten().find_map(|group| first_dataset(group, names))?;
        numbers(&found).first().copied().filter(|v| v.is_finite())
    };
    let scaling = number(&["data_scaling_factor", "data_scaling", "scaling_factor"]).filter(|by| *by != 1.0);
    let offset = number(&["data_offset"]).filter(|by| *by != 0.0);
    if scaling.is_some() || offset.is_some() {
        layout.warnings.push(format!(
            "the file says that its numbers are to be scaled (by {}, then {} added); the stored numbers were read",
            scaling.unwrap_or(1.0),
            offset.unwrap_or(0.0)
        ));
    }
    let view = first_dataset(detector, &["field_of_view"]).and_then(|d| d.text()).unwrap_or_default();
    if view.eq_ignore_ascii_case("half") {
        layout.warnings.push(
            "the file says that its field of view is Half: the rotation axis stands near one side of the pictures, and views of the other half turn see the rest"
                .to_owned(),
        );
    }
    if let Some(axis_px) = number(&["x_rotation_axis_pixel_position"]).filter(|px| *px != 0.0) {
        layout.warnings.push(format!(
            "the file says that its rotation axis stands {axis_px} px from the middle of the pictures; that is not used, alignment finds it anew"
        ));
    }
}
