//! Annotations as the window knows them: the one that is drawn or dragged, what each measures, files of them.

use std::collections::BTreeMap;

use glam::{DAffine3, DVec3};

use super::state::{self, Queue, ViewId, ViewState};
use crate::measure::ruler::{self, AreaValues, Placed, Profile, RulerKind};
use crate::project::{Annotation, Edit, Layer, LayerId, Project};
use crate::volume::table::{Cell, Column, Table};

/// An annotation that is being drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawing {
    /// In which view.
    pub(crate) view: ViewId,
    /// What it will be.
    pub(crate) kind: RulerKind,
    /// Points so far, world µm.
    pub(crate) points_um: Vec<DVec3>,
    /// Right and down of the view.
    pub(crate) frame: (DVec3, DVec3),
    /// Drawn with the button held.
    pub(crate) held: bool,
}

/// An annotation that is being dragged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drag {
    /// In which view.
    pub(crate) view: ViewId,
    /// Which of its points.
    pub(crate) point: usize,
    /// As it would be if the button were let go now.
    pub(crate) moved: Annotation,
}

/// What an annotation measures.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Measured {
    /// Length, or the way around an area, µm.
    pub(crate) length_um: f64,
    /// Angle, degrees.
    pub(crate) angle_deg: Option<f64>,
    /// Area, µm².
    pub(crate) area_um2: Option<f64>,
    /// Values within an area.
    pub(crate) values: Option<AreaValues>,
    /// Values along a line.
    pub(crate) profile: Option<Profile>,
}

/// What a measurement depends on.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    annotation: Annotation,
    volume: Option<(LayerId, u64, DAffine3)>,
}

/// Everything of annotations that is no document.
#[derive(Debug, Default)]
pub(crate) struct Rulers {
    /// The one that is being drawn.
    pub(crate) drawing: Option<Drawing>,
    /// The one that is being dragged.
    pub(crate) drag: Option<Drag>,
    /// The one chosen in the list, whose handles are seen.
    pub(crate) chosen: Option<u64>,
    /// Its name while it is edited.
    pub(crate) name_edit: Option<(u64, String)>,
    measured: BTreeMap<u64, (Key, Measured)>,
}

impl Rulers {
    /// What an annotation measures in a volume; measured anew only where something has changed.
    pub(crate) fn measured(&mut self, annotation: &Annotation, layer: Option<&Layer>) -> &Measured {
        let of = |layer: &Layer| Some((layer.id, layer.revision, state::world_from_voxel(layer)?));
        let key = Key { annotation: annotation.clone(), volume: layer.and_then(of) };
        let known = self.measured.get(&annotation.id).is_some_and(|(known, _)| *known == key);
        if !known {
            let measured = measure(annotation, layer);
            self.measured.insert(annotation.id, (key.clone(), measured));
        }
        &self.measured.entry(annotation.id).or_insert_with(|| (key, Measured::default())).1
    }

    /// Sets a point; the annotation once it is whole.
    pub(crate) fn point(
        &mut self,
        kind: RulerKind,
        view: ViewId,
        at_um: DVec3,
        frame: (DVec3, DVec3),
    ) -> Option<Drawing> {
        let fits = |drawing: &Drawing| drawing.kind == kind && drawing.view == view && drawing.frame == frame;
        match self.drawing.as_mut().filter(|drawing| fits(drawing)) {
            Some(drawing) => drawing.points_um.push(at_um),
            None => {
                self.drawing = Some(Drawing { view, kind, points_um: vec![at_um], frame, held: false });
            }
        }
        let is_whole = |drawing: &mut Drawing| kind.n_points() == Some(drawing.points_um.len());
        self.drawing.take_if(is_whole)
    }
}

fn measure(annotation: &Annotation, layer: Option<&Layer>) -> Measured {
    let points = annotation.points();
    let placed = layer.and_then(|layer| {
        Some(Placed { volume: layer.volume()?, world_from_voxel: state::world_from_voxel(layer)? })
    });
    let mut found = Measured { length_um: ruler::length_um(&points), ..Measured::default() };
    match annotation.kind {
        RulerKind::Distance => {}
        RulerKind::Angle => found.angle_deg = ruler::angle_deg(&points),
        RulerKind::Area => {
            found.length_um = ruler::perimeter_um(&points);
            found.area_um2 = Some(ruler::area_um2(&points));
            found.values = placed.and_then(|placed| ruler::area_values(placed, &points, annotation.frame()));
        }
        RulerKind::Profile => {
            if let (Some(placed), [from, to]) = (placed, points.as_slice()) {
                let (ends, normal) = ([*from, *to], annotation.normal());
                found.profile = Some(ruler::profile(placed, ends, normal, annotation.width_px));
            }
        }
    }
    found
}

/// "234 nm", "1.23 µm", or px where the size of a voxel is unknown.
pub(crate) fn length_text(um: f64, unit: &str) -> String {
    match unit {
        "px" => format!("{um:.1} px"),
        _ if um < 1.0 => format!("{:.0} nm", um * 1e3),
        _ => format!("{um:.2} µm"),
    }
}

/// What an annotation measures, in one line; values within areas with their unit.
pub(crate) fn value_text(kind: RulerKind, measured: &Measured, unit: &str, value_unit: &str) -> String {
    let length = length_text(measured.length_um, unit);
    match kind {
        RulerKind::Distance | RulerKind::Profile => length,
        RulerKind::Angle => measured.angle_deg.map_or_else(|| "–".to_owned(), |deg| format!("{deg:.1}°")),
        RulerKind::Area => {
            let area = measured.area_um2.unwrap_or(0.0);
            let area = if unit == "px" { format!("{area:.1} px²") } else { format!("{area:.3} µm²") };
            match measured.values {
                Some(AreaValues { mean, sd, .. }) => format!("{area}  ·  {mean:.3} ± {sd:.3} {value_unit}"),
                None => area,
            }
        }
    }
}

/// Puts a finished drawing into the document and chooses it.
pub(crate) fn add(drawing: Drawing, project: &Project, view: &mut ViewState, queue: &mut Queue) {
    let Drawing { kind, points_um, frame: (right, down), .. } = drawing;
    let mut list = project.annotations.clone();
    let id = list.iter().map(|one| one.id).max().unwrap_or(0) + 1;
    let label = kind.label();
    let free = |name: &String| list.iter().all(|one| one.name != *name);
    let name = (1..).map(|n| format!("{label} {n}")).find(free).unwrap_or_default();
    list.push(Annotation {
        id,
        name,
        kind,
        points_um: points_um.iter().map(DVec3::to_array).collect(),
        right: right.to_array(),
        down: down.to_array(),
        width_px: 1,
        visible: true,
    });
    view.rulers.chosen = Some(id);
    queue.edit(&format!("Add {}", label.to_lowercase()), Edit::SetAnnotations(list));
}

/// Changes one annotation of the document.
pub(crate) fn change(
    id: u64,
    label: &str,
    project: &Project,
    queue: &mut Queue,
    work: impl FnOnce(&mut Annotation),
) {
    let mut list = project.annotations.clone();
    if let Some(one) = list.iter_mut().find(|one| one.id == id) {
        work(one);
    }
    if list != project.annotations {
        queue.edit(label, Edit::SetAnnotations(list));
    }
}

/// Takes one annotation out of the document.
pub(crate) fn remove(id: u64, project: &Project, queue: &mut Queue) {
    let kept = project.annotations.iter().filter(|one| one.id != id).cloned().collect();
    queue.edit("Remove annotation", Edit::SetAnnotations(kept));
}

/// Which axes a plane lies along: "XY", "XZ", "YZ", else "oblique".
fn plane_text(annotation: &Annotation) -> &'static str {
    let normal = annotation.normal().abs();
    match [normal.z, normal.y, normal.x].iter().position(|v| *v > 1.0 - 1e-6) {
        Some(0) => "XY",
        Some(1) => "XZ",
        Some(2) => "YZ",
        _ => "oblique",
    }
}

/// All annotations with what they measure in a volume.
pub(crate) fn table(project: &Project, layer: Option<&Layer>, rulers: &mut Rulers) -> Table {
    let unit = state::length_unit(layer);
    let suffix = if unit == "px" { "px" } else { "um" };
    let value_unit = layer.map_or("", state::value_unit);
    let columns = vec![
        Column::new("name", ""),
        Column::new("kind", ""),
        Column::new("plane", ""),
        Column::new(format!("length_{suffix}"), unit),
        Column::new("angle_deg", "°"),
        Column::new(format!("area_{suffix}2"), format!("{unit}²")),
        Column::new("mean", value_unit),
        Column::new("sd", value_unit),
        Column::new("samples", ""),
        Column::new("unit", ""),
        Column::new("volume", ""),
        Column::new(format!("points_x_y_z_{suffix}"), unit),
    ];
    let rows = project.annotations.iter().map(|one| {
        let measured = rulers.measured(one, layer);
        let values = measured.values;
        let points: Vec<String> =
            one.points_um.iter().map(|[x, y, z]| format!("{x:.6} {y:.6} {z:.6}")).collect();
        let length = (one.kind != RulerKind::Angle).then_some(measured.length_um);
        let names = |of: Option<&str>| values.and(of).map_or(Cell::Empty, Cell::from);
        vec![
            one.name.as_str().into(),
            one.kind.label().to_lowercase().as_str().into(),
            plane_text(one).into(),
            length.into(),
            measured.angle_deg.into(),
            measured.area_um2.into(),
            values.map(|v| v.mean).into(),
            values.map(|v| v.sd).into(),
            values.map(|v| v.n as u64).into(),
            names(Some(value_unit)),
            names(layer.map(|layer| layer.name.as_str())),
            points.join("; ").as_str().into(),
        ]
    });
    Table { columns, rows: rows.collect(), notes: Vec::new() }
}

/// The values along a line profile.
pub(crate) fn profile_table(profile: &Profile, layer: Option<&Layer>) -> Table {
    let unit = state::length_unit(layer);
    let value_unit = layer.map_or("", state::value_unit);
    let suffix = if unit == "px" { "px" } else { "um" };
    let name = match value_unit {
        "1/µm" => "lac_per_um",
        _ => "value",
    };
    let columns = vec![
        Column::new(format!("distance_{suffix}"), unit),
        Column::new(name, value_unit),
        Column::new(format!("{name}_sd"), value_unit),
    ];
    let rows = profile.distance_um.iter().zip(&profile.mean).zip(&profile.sd);
    let rows = rows.map(|((distance, mean), sd)| vec![(*distance).into(), (*mean).into(), (*sd).into()]);
    Table { columns, rows: rows.collect(), notes: Vec::new() }
}

/// Writes a table as CSV, whole or not at all; a sentence where it could not.
pub(crate) fn write_csv(table: &Table, path: &std::path::Path) -> Result<(), String> {
    crate::io::write_text(path, &table.to_csv()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(kind: RulerKind, points_um: Vec<[f64; 3]>) -> Annotation {
        let (right, down) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]);
        Annotation {
            id: 1,
            name: "a, b".to_owned(),
            kind,
            points_um,
            right,
            down,
            width_px: 1,
            visible: true,
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_with_its_unit_and_reads_back() {
        let mut project = Project::default();
        let square = vec![[0.0; 3], [2.0, 0.0, 0.0], [2.0, 1.5, 0.0], [0.0, 1.5, 0.0]];
        let list = vec![
            annotation(RulerKind::Area, square),
            Annotation { id: 2, ..annotation(RulerKind::Distance, vec![[0.0; 3], [3.0, 4.0, 0.0]]) },
        ];
        project.apply(Edit::SetAnnotations(list)).unwrap();
        let table = table(&project, None, &mut Rulers::default());
        assert_eq!(table.number(0, "area_um2"), Some(3.0));
        assert_eq!(table.number(0, "length_um"), Some(7.0));
        assert_eq!(table.number(1, "length_um"), Some(5.0));
        assert_eq!(table.get(1, "plane"), Some(&Cell::from("XY")));
        let csv = table.to_csv();
        assert!(csv.lines().nth(1).unwrap().starts_with("\"a, b\",area,XY,7,,3,"), "{csv}");
    }

    #[test]
    fn values_are_said_with_units_that_fit_their_size() {
        assert_eq!(length_text(0.2344, "µm"), "234 nm");
        assert_eq!(length_text(12.3456, "µm"), "12.35 µm");
        assert_eq!(length_text(12.3456, "px"), "12.3 px");
        let values = Some(AreaValues { n: 9, mean: 0.35, sd: 0.021 });
        let measured = Measured { area_um2: Some(1.5), values, ..Measured::default() };
        let text = value_text(RulerKind::Area, &measured, "µm", "1/µm");
        assert_eq!(text, "1.500 µm²  ·  0.350 ± 0.021 1/µm");
    }

    #[test]
    fn points_make_a_ruler_once_there_are_enough_in_one_plane() {
        let mut rulers = Rulers::default();
        let frame = (DVec3::X, DVec3::Y);
        let mut point = |kind, view, x: f64| rulers.point(kind, view, DVec3::splat(x), frame);
        assert!(point(RulerKind::Angle, ViewId(1), 0.0).is_none());
        assert!(point(RulerKind::Angle, ViewId(1), 1.0).is_none());
        // Another view begins another one.
        assert!(point(RulerKind::Angle, ViewId(3), 2.0).is_none());
        assert!(point(RulerKind::Angle, ViewId(3), 3.0).is_none());
        assert_eq!(point(RulerKind::Angle, ViewId(3), 4.0).unwrap().points_um.len(), 3);
        assert!(point(RulerKind::Distance, ViewId(1), 0.0).is_none());
        assert!(point(RulerKind::Distance, ViewId(1), 1.0).is_some());
        assert!(rulers.drawing.is_none());
    }
}
