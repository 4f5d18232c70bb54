//! Surfaces of the labels for the 3D view: made beside the window, kept until the labels are others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use glam::DAffine3;
use serde::{Deserialize, Serialize};

use super::draw::{self, SURFACES};
use super::frame::Cx;
use super::state;
use crate::base::Progress;
use crate::jobs::{JobError, JobId};
use crate::mesh::attribute::{distance_field, range_of};
use crate::mesh::{
    Attribute, ClassSurface, Frame, Mesh, MeshParams, TellFrom, VertexValues, mesh_classes, mesh_objects,
    mesh_regions, summary,
};
use crate::project::{Content, Layer, LayerId, Project};
use crate::render::colormap::ColorMap;
use crate::render::surfaces::{PartStyle, SurfaceLayer, SurfacePart, SurfaceSet};
use crate::session::Session;
use crate::volume::{Class, ClassTable, Labels, RegionMap, Volume};

/// What the colours of surfaces stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ColorBy {
    /// The class.
    #[default]
    Class,
    /// The object, each its own.
    Object,
    /// A quantity at the surface.
    Value(Attribute),
}

/// How surfaces are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SurfaceLook {
    /// They are.
    pub(crate) on: bool,
    /// Each connected object has its own.
    pub(crate) objects: bool,
    /// What colours stand for.
    pub(crate) color_by: ColorBy,
    /// LAC is taken so far outside the surface, nm.
    pub(crate) offset_nm: f64,
    /// Distances are to this class; the first other one where it is 0.
    pub(crate) distance_to: u16,
    /// Values of the first and the last colour; by what occurs where `None`.
    pub(crate) range: Option<[f32; 2]>,
    /// Colours of values.
    pub(crate) color_map: ColorMap,
    /// Darkness of outlines, 0 to 1.
    pub(crate) silhouettes: f32,
    /// Opacity of classes where it was chosen.
    pub(crate) opacity: BTreeMap<u16, f32>,
}

impl Default for SurfaceLook {
    fn default() -> Self {
        Self {
            on: false,
            objects: false,
            color_by: ColorBy::Class,
            offset_nm: 0.0,
            distance_to: 0,
            range: None,
            color_map: ColorMap::Viridis,
            silhouettes: 0.6,
            opacity: BTreeMap::new(),
        }
    }
}

/// Which meshes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct MeshKey {
    source: u64,
    revision: u64,
    objects: bool,
    /// Layer and revision of a map of objects.
    regions: Option<(LayerId, u64)>,
}

/// Which values at their vertices, and where they lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ValueKey {
    attribute: Option<Attribute>,
    volume: Option<(LayerId, u64)>,
    volume_from_mesh: DAffine3,
    offset_nm: f64,
    distance_to: u16,
    placement: DAffine3,
}

/// Surfaces that have been made.
#[derive(Debug)]
pub(crate) struct Made {
    mesh_key: MeshKey,
    value_key: ValueKey,
    meshes: Arc<Vec<Mesh>>,
    /// What the classes come to.
    pub(crate) classes: Vec<ClassSurface>,
    /// What is drawn.
    pub(crate) set: Arc<SurfaceSet>,
    /// What occurs of the values.
    pub(crate) range: [f32; 2],
    /// Counts up.
    revision: u64,
}

impl Made {
    /// Whether the values at their vertices are these.
    pub(crate) fn tells(&self, attribute: Attribute) -> bool {
        self.value_key.attribute == Some(attribute)
    }

    /// Under which key the renderer has them.
    pub(crate) fn key(&self) -> u64 {
        SURFACES - self.revision
    }
}

/// Surfaces of other looks that are kept, at most: to go back to, and for the keyframes of films.
const MOST_EARLIER: usize = 4;

type Slot = Arc<Mutex<Option<Made>>>;

/// The surfaces, and those that are coming.
#[derive(Debug, Default)]
pub(crate) struct Surfaces {
    made: Option<Arc<Made>>,
    /// Those of other looks, the oldest first.
    earlier: Vec<Arc<Made>>,
    coming: Option<(MeshKey, ValueKey, JobId, Slot)>,
    /// What was cancelled or failed: not tried again by itself.
    given_up: Option<(MeshKey, ValueKey)>,
    wanted: Option<(MeshKey, ValueKey)>,
    n_made: u64,
}

impl Surfaces {
    /// What can be drawn.
    pub(crate) fn made(&self) -> Option<&Arc<Made>> {
        self.made.as_ref()
    }

    /// The triangles that the renderer has under a key.
    pub(crate) fn set_of(&self, key: u64) -> Option<&Arc<SurfaceSet>> {
        self.made.iter().chain(&self.earlier).find(|made| made.key() == key).map(|made| &made.set)
    }

    fn find(&self, (mesh_key, value_key): &(MeshKey, ValueKey)) -> Option<&Arc<Made>> {
        self.made
            .iter()
            .chain(&self.earlier)
            .find(|made| (&made.mesh_key, &made.value_key) == (mesh_key, value_key))
    }

    /// Shows others; those that were shown are kept for a while, as long as the labels are the same.
    fn show(&mut self, made: Arc<Made>) {
        if self.made.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &made)) {
            return;
        }
        let is_alike = |known: &Arc<Made>| {
            let of = |made: &Made| (made.mesh_key.source, made.mesh_key.revision);
            of(known) == of(&made) && known.revision != made.revision
        };
        self.earlier.extend(self.made.take());
        self.earlier.retain(is_alike);
        let surplus = self.earlier.len().saturating_sub(MOST_EARLIER);
        self.earlier.drain(..surplus);
        self.made = Some(made);
    }

    /// What is said over the picture while it is not what it should be.
    pub(crate) fn badge(&self) -> Option<&'static str> {
        let wanted = self.wanted?;
        let is_there = |made: &Arc<Made>| (made.mesh_key, made.value_key) == wanted;
        if self.made.as_ref().is_some_and(is_there) {
            return None;
        }
        Some(match (&self.made, &self.coming) {
            (_, None) if self.given_up == Some(wanted) => "surfaces stopped",
            (None, _) => "making surfaces…",
            (Some(made), _) if made.mesh_key == wanted.0 => "making values…",
            (Some(_), _) => "surfaces of earlier labels",
        })
    }

    /// Tries again what was given up.
    pub(crate) fn retry(&mut self) {
        self.given_up = None;
    }

    /// Forgets everything: another project is open.
    pub(crate) fn forget(&mut self) {
        *self = Self { n_made: self.n_made, ..Self::default() };
    }

    /// Takes what has been made meanwhile.
    fn take(&mut self, session: &Session) {
        let Some((mesh, value, job, slot)) = &self.coming else { return };
        let key = (*mesh, *value);
        let made = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(made) = made {
            self.n_made += 1;
            let made = Made { revision: self.n_made, ..made };
            self.show(Arc::new(made));
            self.coming = None;
        } else if session.jobs().iter().all(|view| view.id != *job || view.state.is_over()) {
            self.given_up = Some(key);
            self.coming = None;
        }
    }
}

/// Where the surfaces come from: the labels that are seen in 3D, or what is predicted.
struct Source {
    key: u64,
    revision: u64,
    labels: Labels,
    frame: Frame,
    placement: DAffine3,
}

fn source(project: &Project, cx: &Cx<'_>) -> Option<Source> {
    if let Some(prediction) = cx.session.live().prediction.as_ref()
        && let Some(layer) = project.layer(prediction.volume())
        && let Some(volume) = layer.volume()
    {
        return Some(Source {
            key: draw::PREDICTION,
            revision: prediction.revision,
            labels: prediction.labels.clone(),
            frame: Frame { voxel_um: volume.voxel_um_or_one(), origin_um: volume.origin_um },
            placement: layer.placement,
        });
    }
    let layer = draw::seen_labels(project)?;
    let labels = layer.labels()?;
    Some(Source {
        key: layer.id.0,
        revision: layer.revision,
        labels: labels.labels.clone(),
        frame: Frame { voxel_um: labels.voxel_um_or_one(), origin_um: labels.origin_um },
        placement: layer.placement,
    })
}

/// A map of the objects of a label layer, as the operation of that name makes it.
fn regions_of<'a>(project: &'a Project, source: &Source) -> Option<(&'a Layer, &'a Arc<RegionMap>)> {
    let name = project.layer(LayerId(source.key)).map(|layer| layer.name.as_str())?;
    project.from_top().find_map(|layer| match &layer.content {
        Content::Regions(map)
            if matches!(layer.provenance.op.as_ref(), "components" | "split")
                && layer.judges(name)
                && map.shape() == source.labels.shape() =>
        {
            Some((layer, map))
        }
        _ => None,
    })
}

/// The class that distances are to: the chosen one, else the first that occurs.
pub(crate) fn distance_class(look: &SurfaceLook, present: &[u16]) -> u16 {
    let first = present.iter().copied().find(|id| *id != 0).unwrap_or(0);
    if present.contains(&look.distance_to) && look.distance_to != 0 { look.distance_to } else { first }
}

/// A piece of work for the session.
pub(crate) struct Order {
    mesh_key: MeshKey,
    value_key: ValueKey,
    slot: Slot,
    /// What it does.
    pub(crate) work: Box<dyn FnOnce(&Progress) -> Result<(), JobError> + Send>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("mesh_key", &self.mesh_key).finish_non_exhaustive()
    }
}

/// Which meshes, and which values on them, the look of the views asks for.
fn keys(project: &Project, source: &Source, cx: &Cx<'_>) -> (MeshKey, ValueKey) {
    let look = &cx.view.surfaces;
    let attribute = match look.color_by {
        ColorBy::Value(attribute) => Some(attribute),
        ColorBy::Class | ColorBy::Object => None,
    };
    let regions = if look.objects { regions_of(project, source) } else { None };
    let main = state::main_volume(project, cx.view).filter(|_| attribute == Some(Attribute::Lac));
    let mesh_key = MeshKey {
        source: source.key,
        revision: source.revision,
        objects: look.objects,
        regions: regions.map(|(layer, _)| (layer.id, layer.revision)),
    };
    let offset_nm = if attribute == Some(Attribute::Lac) { look.offset_nm } else { 0.0 };
    let distance_to =
        if attribute == Some(Attribute::Distance) { distance_class(look, &source.labels.ids()) } else { 0 };
    let value_key = ValueKey {
        attribute,
        volume: main.map(|layer| (layer.id, layer.revision)),
        volume_from_mesh: main
            .map_or(DAffine3::IDENTITY, |layer| layer.placement.inverse() * source.placement),
        offset_nm,
        distance_to,
        placement: source.placement,
    };
    (mesh_key, value_key)
}

/// Looks after the surfaces: takes what has been made, orders what is missing. Call it once a frame.
pub(crate) fn follow(cx: &mut Cx<'_>) {
    cx.derived.surfaces.take(cx.session);
    if !cx.view.surfaces.on {
        cx.derived.surfaces.wanted = None;
        return;
    }
    let session = cx.session;
    let project = session.project();
    let Some(source) = source(project, cx) else {
        cx.derived.surfaces.forget();
        return;
    };
    let keys @ (mesh_key, value_key) = keys(project, &source, cx);
    let surfaces = &mut cx.derived.surfaces;
    surfaces.wanted = Some(keys);
    if let Some(known) = surfaces.find(&keys).map(Arc::clone) {
        surfaces.show(known);
        return;
    }
    let is_busy = surfaces.coming.is_some() || cx.view.stroke.is_some();
    if is_busy || surfaces.given_up == Some(keys) {
        return;
    }
    let earlier = surfaces.made.iter().chain(&surfaces.earlier).find(|made| made.mesh_key == mesh_key);
    let slot = Slot::default();
    let regions = if mesh_key.objects { regions_of(project, &source) } else { None };
    let main = state::main_volume(project, cx.view).filter(|_| value_key.volume.is_some());
    let work = Work {
        mesh_key,
        value_key,
        earlier: earlier.map(|made| Arc::clone(&made.meshes)),
        labels: source.labels,
        frame: source.frame,
        classes: project.classes.clone(),
        regions: regions.map(|(_, map)| Arc::clone(map)),
        volume: main.and_then(|layer| layer.volume().map(Arc::clone)),
    };
    let result = Arc::clone(&slot);
    let work = Box::new(move |progress: &Progress| {
        let made = work.run(progress)?;
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(())
    });
    cx.queue.push(state::Request::Surfaces(Order { mesh_key, value_key, slot, work }));
}

/// Hands the work to the session.
pub(crate) fn start(session: &mut Session, surfaces: &mut Surfaces, order: Order) {
    let job = session.run_beside("Surfaces", order.work);
    surfaces.coming = Some((order.mesh_key, order.value_key, job, order.slot));
}

/// Everything that the work needs.
struct Work {
    mesh_key: MeshKey,
    value_key: ValueKey,
    earlier: Option<Arc<Vec<Mesh>>>,
    labels: Labels,
    frame: Frame,
    classes: ClassTable,
    regions: Option<Arc<RegionMap>>,
    volume: Option<Arc<Volume<f32>>>,
}

fn failed(error: impl std::fmt::Display) -> JobError {
    JobError::Failed(error.to_string())
}

impl Work {
    fn run(self, progress: &Progress) -> Result<Made, JobError> {
        let needs_ids =
            self.earlier.is_none() || self.value_key.attribute.is_some_and(|what| what != Attribute::Lac);
        let ids = if needs_ids { self.labels.to_dense() } else { ndarray::Array3::zeros((0, 0, 0)) };
        progress.check()?;
        let mut meshes = match self.earlier.as_ref() {
            Some(meshes) => meshes.as_ref().clone(),
            None => self.meshes(progress, &ids)?,
        };
        self.tell(progress, &ids, &mut meshes)?;
        let parts: Vec<_> = meshes
            .iter()
            .map(|mesh| SurfacePart {
                vertices: &mesh.vertices,
                triangles: &mesh.triangles,
                values: mesh.values.first().map_or(&[], |told| told.values.as_slice()),
            })
            .collect();
        let voxel_um = self.frame.voxel_um.into_iter().fold(f64::INFINITY, f64::min);
        let set = SurfaceSet::new(progress, &parts, self.value_key.placement, voxel_um)?;
        Ok(Made {
            mesh_key: self.mesh_key,
            value_key: self.value_key,
            classes: summary(&meshes),
            set: Arc::new(set),
            range: range_of(meshes.iter().flat_map(|mesh| &mesh.values).flat_map(|told| &told.values)),
            meshes: Arc::new(meshes),
            revision: 0,
        })
    }

    fn meshes(&self, progress: &Progress, ids: &ndarray::Array3<u16>) -> Result<Vec<Mesh>, JobError> {
        let present = self.labels.ids();
        let table = self.classes.clone().with_ids(present.iter().copied().filter(|id| *id != 0));
        let classes: Vec<Class> = table.classes.into_iter().filter(|c| present.contains(&c.id)).collect();
        let (params, ids) = (MeshParams::default(), ids.view());
        let made = match (&self.regions, self.mesh_key.objects) {
            (Some(map), true) => {
                mesh_regions(progress, &map.data.view(), &ids, &classes, self.frame, &params)
            }
            (None, true) => mesh_objects(progress, &ids, &classes, self.frame, &params),
            (_, false) => mesh_classes(progress, &ids, &classes, self.frame, &params),
        };
        made.map_err(|error| match error {
            crate::mesh::MeshError::Cancelled(cancelled) => cancelled.into(),
            other => failed(other),
        })
    }

    fn tell(
        &self,
        progress: &Progress,
        ids: &ndarray::Array3<u16>,
        meshes: &mut [Mesh],
    ) -> Result<(), JobError> {
        meshes.iter_mut().for_each(|mesh| mesh.values.clear());
        let Some(attribute) = self.value_key.attribute else { return Ok(()) };
        let labels = ids.view();
        let field = if attribute == Attribute::Distance {
            Some({
                let class = self.value_key.distance_to;
                distance_field(progress, &labels, |id| id == class, self.frame)?
            })
        } else {
            None
        };
        let from = TellFrom {
            labels: &labels,
            objects: None,
            frame: self.frame,
            volume: self.volume.as_ref().map(|volume| (volume.as_ref(), self.value_key.volume_from_mesh)),
            lac_offset_um: self.value_key.offset_nm * 1e-3,
            field: field.as_ref(),
        };
        progress.phase(attribute.label(), meshes.len() as u64);
        for mesh in meshes {
            // Every surface of the class itself is at no distance from it.
            if attribute != Attribute::Distance || mesh.class != self.value_key.distance_to {
                let values = from.tell(progress, mesh, attribute)?;
                mesh.values.push(VertexValues { attribute, values });
            }
            progress.advance(1);
        }
        Ok(())
    }
}

/// The label of the colour bar: what is told at the vertices, which may not yet be what is wanted.
fn value_label(look: &SurfaceLook, made: &Made, classes: &ClassTable, lac_unit: &str) -> String {
    if !matches!(look.color_by, ColorBy::Value(_)) {
        return String::new();
    }
    match made.value_key.attribute {
        None => String::new(),
        Some(Attribute::Lac) if lac_unit.is_empty() => Attribute::Lac.label().to_owned(),
        Some(Attribute::Lac) => format!("LAC ({lac_unit})"),
        Some(Attribute::Distance) => {
            format!("Distance to {} (µm)", classes.name(made.value_key.distance_to))
        }
        Some(other) => format!("{} ({})", other.label(), other.unit()),
    }
}

/// How opaque a class is shown: as chosen, or as it is seen best.
pub(crate) fn opacity_of(look: &SurfaceLook, class: &ClassSurface) -> f32 {
    look.opacity.get(&class.class).copied().unwrap_or(class.opacity)
}

/// The surfaces as a part of the scene of the 3D view.
pub(crate) fn layer(cx: &Cx<'_>, scale: f64) -> Option<SurfaceLayer> {
    let look = &cx.view.surfaces;
    if !look.on {
        return None;
    }
    let project = cx.project();
    let made = match cx.past {
        // A keyframe has its own surfaces or none.
        Some(project) => cx.derived.surfaces.find(&keys(project, &source(project, cx)?, cx))?,
        None => cx.derived.surfaces.made()?,
    };
    let table = &project.classes;
    let style = |mesh: &Mesh| {
        let class = table.get(mesh.class);
        let color = match look.color_by {
            ColorBy::Object if mesh.object.is_some() => mesh.color,
            _ => class.map_or(mesh.color, |class| class.color),
        };
        let is_seen = class.is_none_or(|class| class.visible);
        let summary = made.classes.iter().find(|known| known.class == mesh.class);
        PartStyle {
            rgb: color.map(|c| f32::from(c) / 255.0),
            opacity: summary.filter(|_| is_seen).map_or(0.0, |known| opacity_of(look, known)),
            by_value: matches!(look.color_by, ColorBy::Value(_)) && !mesh.values.is_empty(),
            kept: cx.view.look.kept.contains(&mesh.class),
        }
    };
    let styles: Vec<PartStyle> = made.meshes.iter().map(style).collect();
    let lac_unit = state::main_volume(project, cx.view).map_or("", state::value_unit);
    let is_told = matches!(look.color_by, ColorBy::Value(attribute) if made.tells(attribute));
    Some(SurfaceLayer {
        classes: made.meshes.iter().map(|mesh| mesh.class).collect(),
        color_map: look.color_map,
        // A range that was typed is one of what is wanted.
        range: look.range.filter(|_| is_told).unwrap_or(made.range),
        value_label: value_label(look, made, table, lac_unit),
        silhouettes: look.silhouettes,
        outline_px: (1.5 * scale) as f32,
        ..SurfaceLayer::new(made.key(), styles)
    })
}
