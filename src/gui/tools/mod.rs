//! What a drag or a click in a slice does besides navigating.

pub(crate) mod brush;
pub(crate) mod fill;
pub(crate) mod landmark;

use super::state::{self, ViewKind, ViewState};
use crate::ops::Provenance;
use crate::project::{Content, Edit, LabelLayer, Layer, LayerId};
use crate::segment::brush::Plane;
use crate::session::{Command, Session};
use crate::volume::{ClassTable, Labels};

/// The plane of a slice view as the brush names it.
fn brush_plane(view: ViewKind) -> Plane {
    match view {
        ViewKind::Xy | ViewKind::Volume => Plane::Xy,
        ViewKind::Xz => Plane::Xz,
        ViewKind::Yz => Plane::Yz,
    }
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
    let content = Content::Labels(LabelLayer {
        labels: Labels::new(grid.shape()),
        voxel_um: grid.voxel_um,
        origin_um: grid.origin_um,
    });
    let provenance =
        Provenance::new("painted", serde_json::Value::Null, vec![volume.name.clone()], Vec::new());
    let mut layer = Layer::new("labels", content, provenance);
    layer.placement = volume.placement;
    Some(layer)
}

/// Ids of the classes that are locked.
fn locked(classes: &ClassTable) -> Vec<u16> {
    classes.classes.iter().filter(|class| class.locked).map(|class| class.id).collect()
}

/// Fractional index (z, y, x) of a world point in a layer.
fn index_at(layer: &Layer, world_um: glam::DVec3) -> Option<[f64; 3]> {
    let p = state::world_from_voxel(layer)?.inverse().transform_point3(world_um);
    Some([p.z, p.y, p.x])
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
