//! Annotations as the window knows them: the one that is drawn or dragged, what each measures, files of them.

use std::collections::BTreeMap;

use glam::{DAffine3, DVec3};

use super::state::{self, Queue, ViewId, ViewState};
use crate::measure::readout::{Laid, Measured};
pub(crate) use crate::measure::readout::{length_text, value_text};
use crate::measure::ruler::{Placed, Profile, RulerKind};
use crate::project::{Annotation, Edit, Layer, LayerId, Project};
use crate::render::figure::{FigureRuler, RulerShape};
use crate::render::scene::VolumeScene;
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
    /// What of them is hidden in each 3D view, and the scene that was drawn last.
    pub(crate) hidden: BTreeMap<ViewId, (VolumeScene, Option<super::views::annotate_3d::Hidden>)>,
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
    let (points, width_px) = (annotation.points(), annotation.width_px);
    let placed = layer.and_then(|layer| {
        Some(Placed { volume: layer.volume()?, world_from_voxel: state::world_from_voxel(layer)? })
    });
    Laid { kind: annotation.kind, points: &points, frame: annotation.frame(), width_px }.measure(placed)
}

/// Half of the width of a line profile, across it in its plane, µm.
pub(crate) fn half_band(one: &Annotation, layer: Option<&Layer>) -> DVec3 {
    let points = one.points();
    let laid = Laid { kind: one.kind, points: &points, frame: one.frame(), width_px: one.width_px };
    laid.half_band(layer.and_then(state::world_from_voxel).unwrap_or(DAffine3::IDENTITY))
}

/// How figures draw a kind of ruler; a line profile without width.
pub(crate) fn shape(kind: RulerKind) -> RulerShape {
    match kind {
        RulerKind::Distance => RulerShape::Distance,
        RulerKind::Angle => RulerShape::Angle,
        RulerKind::Area => RulerShape::Area,
        RulerKind::Profile => RulerShape::Profile(DVec3::ZERO),
    }
}

/// An annotation as figures and the 3D view draw it.
pub(crate) fn drawn(one: &Annotation, layer: Option<&Layer>, rulers: &mut Rulers) -> FigureRuler {
    let (unit, value_unit) = (state::length_unit(layer), layer.map_or("", state::value_unit));
    FigureRuler {
        shape: match shape(one.kind) {
            RulerShape::Profile(_) => RulerShape::Profile(half_band(one, layer)),
            shape => shape,
        },
        points_um: one.points(),
        label: value_text(one.kind, rulers.measured(one, layer), unit, value_unit),
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
        Column::new("width_px", ""),
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
            u64::from(one.width_px).into(),
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
