//! What a drag or a click in a slice does besides navigating.

pub(crate) mod brush;
pub(crate) mod fill;
pub(crate) mod landmark;
pub(crate) mod object;
pub(crate) mod outline;

use super::state::{self, ViewId, ViewKind, ViewState};
use crate::ops::Provenance;
use crate::project::{Content, Edit, LabelLayer, Layer, LayerId, Project};
use crate::segment::brush::Plane;
use crate::segment::limits::{Limits, PaintOver};
use crate::session::{Command, Session};
use crate::volume::Labels;

/// What an edit by hand goes into.
#[derive(Debug, Clone)]
struct Canvas {
    /// The label layer.
    layer: LayerId,
    /// The volume on the same grid, where there is one.
    guide: Option<LayerId>,
    /// The class that is painted, 0 to erase.
    class: u16,
    /// What it may touch.
    limits: Limits,
}

/// The plane of a slice view as the brush names it, in the voxels of a layer.
fn brush_plane(view: &ViewState, id: ViewId, layer: &Layer) -> Plane {
    match view.kind(id) {
        ViewKind::Xy | ViewKind::Volume => Plane::Xy,
        ViewKind::Xz => Plane::Xz,
        ViewKind::Yz => Plane::Yz,
        ViewKind::Oblique => {
            let voxel_from_world = state::world_from_voxel(layer).map(|map| map.inverse());
            let step = |along: glam::DVec3| {
                let p = voxel_from_world.map_or(along, |map| map.transform_vector3(along));
                [p.z, p.y, p.x]
            };
            let (right, down) = view.plane(id).unwrap_or_default().right_down();
            Plane::Oblique { right_zyx: step(right), down_zyx: step(down) }
        }
    }
}

/// Where the next edit goes; label layer and class are made where there are none yet.
fn canvas(session: &mut Session, view: &mut ViewState, erase: bool) -> Option<Canvas> {
    if !erase {
        ensure_class(session, view);
    }
    let target = paint_target(session, view)?;
    let project = session.project();
    let layer = project.layer(target)?;
    let guide = state::main_volume(project, view)
        .filter(|volume| volume.content.shape() == layer.content.shape())
        .map(|volume| volume.id);
    let class = if erase { 0 } else { view.class };
    let limits = Limits {
        lac: view.brush.limited.then_some(view.brush.limit),
        over: if view.brush.unlabelled_only && !erase { PaintOver::Unlabelled } else { PaintOver::All },
        inside: parent_limit(project, layer, view).filter(|_| !erase),
        locked: project.classes.locked(),
    };
    Some(Canvas { layer: target, guide, class, limits })
}

/// Whether the chosen class stays inside its parent in this layer: by itself everywhere but among strokes,
/// where the parent is hardly painted.
pub(crate) fn stays_inside(layer: &Layer, view: &ViewState) -> bool {
    view.brush.inside_parent.unwrap_or(layer.provenance.op != "painted")
}

/// The classes that the chosen one may be painted over, where it stays inside its parent.
fn parent_limit(project: &Project, layer: &Layer, view: &ViewState) -> Option<Vec<u16>> {
    let parent = project.classes.get(view.class)?.parent?;
    stays_inside(layer, view).then(|| project.classes.within(parent))
}

/// The label layer that is painted on; made on the grid of the main volume where there is none yet.
fn paint_target(session: &mut Session, view: &ViewState) -> Option<LayerId> {
    if let Some(layer) = state::paint_layer(session.project(), view) {
        return Some(layer.id);
    }
    let layer = new_label_layer(state::main_volume(session.project(), view)?)?;
    let index = session.project().layers.len();
    let edit = Edit::AddLayer { index, layer: Box::new(layer) };
    session.apply(Command::Edit { label: "Add labels".to_owned(), edit });
    state::paint_layer(session.project(), view).map(|layer| layer.id)
}

fn new_label_layer(volume: &Layer) -> Option<Layer> {
    let grid = volume.volume()?;
    let content = Content::Labels(LabelLayer::new(Labels::new(grid.shape()), grid.voxel_um, grid.origin_um));
    let provenance =
        Provenance::new("painted", serde_json::Value::Null, vec![volume.name.clone()], Vec::new());
    let mut layer = Layer::new("labels", content, provenance);
    layer.placement = volume.placement;
    Some(layer)
}

/// Fractional index (z, y, x) of a world point in a layer.
fn index_at(layer: &Layer, world_um: glam::DVec3) -> Option<[f64; 3]> {
    let p = state::world_from_voxel(layer)?.inverse().transform_point3(world_um);
    Some([p.z, p.y, p.x])
}

/// Voxel size of a label layer as z, y, x; 1 where unknown.
fn voxel_um(layer: &Layer) -> [f64; 3] {
    layer.labels().and_then(|labels| labels.voxel_um).unwrap_or([1.0; 3])
}

/// The class that is painted, put into the table where the user has made none yet.
fn ensure_class(session: &mut Session, view: &mut ViewState) {
    let classes = &session.project().classes;
    if classes.get(view.class).is_some() {
        return;
    }
    if let Some(class) = classes.classes.first() {
        view.class = class.id;
        return;
    }
    if let Some(class) = classes.proposed("cell") {
        view.class = class.id;
        session.apply(Command::Edit { label: "Add class".to_owned(), edit: Edit::SetClass(class) });
    }
}
