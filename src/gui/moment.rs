//! What a view shows at a moment, as keyframes and projects keep it: to come back to, and to be drawn again.

use egui::{Rect, pos2};
use glam::DVec3;
use serde::{Deserialize, Serialize};

use super::commands::Facts;
use super::derived::Derived;
use super::draw;
use super::frame::Cx;
use super::frames::FrameBudget;
use super::kept_forms;
use super::look::VolumeLook;
use super::state::{self, Queue, Tilt, ViewId, ViewKind, ViewState};
use super::surfaces::SurfaceLook;
use super::views::look::CompareMode;
use super::views::slice_view::Geometry;
use crate::project::{Display, Edit, LayerId, Project};
use crate::render::camera::OrbitCamera;
use crate::render::figure::Scene;
use crate::render::scene::SlabMode;
use crate::session::Session;

/// What a view shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Moment {
    /// Slice or volume.
    pub(crate) kind: ViewKind,
    /// Size of the view, points.
    size_pt: [f32; 2],
    /// Where the volume is seen from.
    pub(crate) camera: OrbitCamera,
    /// Where the crosshair is: slices go through it, cuts may.
    cursor_um: DVec3,
    /// What lies in the middle of a slice.
    center_um: DVec3,
    /// World length of a point of the screen in a slice.
    um_per_pt: f64,
    /// How the oblique slice lies.
    tilt: Tilt,
    /// The slab of a slice, and its thickness, nm.
    slab: Option<SlabMode>,
    thickness_nm: f64,
    /// How the slice compares two layers, with which, and where the divider is.
    compared: Option<CompareMode>,
    second: Option<LayerId>,
    divider: f32,
    /// How the volume is drawn, light and cuts.
    pub(crate) look: VolumeLook,
    /// How surfaces are shown.
    pub(crate) surfaces: SurfaceLook,
    /// Labels are drawn.
    pub(crate) show_labels: bool,
    /// The volume that sets the frame.
    main: Option<LayerId>,
    /// How each layer is shown.
    layers: Vec<(LayerId, Display)>,
    /// Classes that are not seen.
    hidden: Vec<u16>,
}

impl Default for Moment {
    fn default() -> Self {
        let view = ViewState::default();
        Self {
            kind: ViewKind::Volume,
            size_pt: [640.0, 480.0],
            camera: OrbitCamera::default(),
            cursor_um: DVec3::ZERO,
            center_um: DVec3::ZERO,
            um_per_pt: 0.0,
            tilt: view.tilt,
            slab: None,
            thickness_nm: view.slices.thickness_nm,
            compared: None,
            second: None,
            divider: view.slices.divider,
            look: view.look,
            surfaces: view.surfaces,
            show_labels: view.show_labels,
            main: None,
            layers: Vec::new(),
            hidden: Vec::new(),
        }
    }
}

/// Under which name the look of the views is kept with the project.
const KEPT: &str = "look";

/// How the views of an opened project come to look as they were.
#[derive(Debug, Default)]
pub(crate) struct KeptLook {
    /// What is to be shown once there is a volume.
    wanted: Option<Box<Moment>>,
    /// How the volume and its surfaces looked when the project was opened or saved.
    saved: Option<(VolumeLook, SurfaceLook)>,
    /// The same while it is being saved.
    saving: Option<(VolumeLook, SurfaceLook)>,
}

impl KeptLook {
    /// Takes up the look that a project was saved with.
    pub(crate) fn read(project: &Project, view: &mut ViewState) {
        let kept = project.kept.get(KEPT).cloned();
        let moment: Option<Moment> = kept.and_then(|kept| serde_json::from_value(kept).ok());
        if let Some(moment) = &moment {
            (view.look, view.surfaces) = (moment.look.clone(), moment.surfaces.clone());
            (view.tilt, view.show_labels) = (moment.tilt, moment.show_labels);
        }
        let saved = Some((view.look.clone(), view.surfaces.clone()));
        view.kept_look = Self { wanted: moment.map(Box::new), saved, saving: None };
        kept_forms::read(project, view);
    }

    /// Keeps the look of the views with the project; it is written with the next save.
    pub(crate) fn keep(session: &mut Session, view: &mut ViewState) {
        let id = view.views.first(ViewKind::Volume).unwrap_or(ViewId(0));
        let mut now = Moment::of(id, session.project(), view);
        // Layers and classes are the document's own.
        (now.layers, now.hidden) = (Vec::new(), Vec::new());
        if let Ok(value) = serde_json::to_value(&now) {
            session.keep_aside(KEPT, value);
        }
        view.kept_look.saving = Some((now.look, now.surfaces));
        kept_forms::keep(session, view);
    }

    /// Notes that what was kept has been written.
    pub(crate) fn note_saved(&mut self) {
        self.saved = self.saving.take().or(self.saved.take());
    }

    /// Brings crosshair and camera to where they were, once the views have been fitted to the volume.
    pub(crate) fn place(view: &mut ViewState) {
        let Some(moment) = view.kept_look.wanted.take() else { return };
        view.cursor_um = moment.cursor_um;
        if let Some(id) = view.views.first(ViewKind::Volume) {
            view.set_camera(id, |camera| *camera = moment.camera);
        }
    }
}

/// Whether there is something that the project's folder does not have: steps, or another look of volume and surfaces.
pub(crate) fn is_unsaved(session: &Session, view: &ViewState) -> bool {
    let is_other =
        |(look, surfaces): &(VolumeLook, SurfaceLook)| (look, surfaces) != (&view.look, &view.surfaces);
    session.is_dirty() || session.path().is_some() && view.kept_look.saved.as_ref().is_some_and(is_other)
}

impl Moment {
    /// What a view shows now.
    pub(crate) fn of(id: ViewId, project: &Project, view: &mut ViewState) -> Self {
        let main = state::main_volume(project, view).map(|layer| layer.id);
        let camera = view.camera(id);
        view.enter(id);
        let now = Self {
            kind: view.kind(id),
            size_pt: view.size_pt(id),
            camera,
            cursor_um: view.cursor_um,
            center_um: view.center_um,
            um_per_pt: view.um_per_pt,
            tilt: view.tilt,
            slab: view.slices.slabs.get(&id).copied(),
            thickness_nm: view.slices.thickness_nm,
            compared: view.slices.compared.get(&id).copied(),
            second: view.slices.second,
            divider: view.slices.divider,
            look: view.look.clone(),
            surfaces: view.surfaces.clone(),
            show_labels: view.show_labels,
            main,
            layers: project.layers.iter().map(|layer| (layer.id, layer.display.clone())).collect(),
            hidden: project.classes.classes.iter().filter(|class| !class.visible).map(|c| c.id).collect(),
        };
        view.leave();
        now
    }

    /// Brings the view back to what it showed; the document is left as it is.
    pub(crate) fn enter(&self, id: ViewId, view: &mut ViewState) {
        let wide = f64::from(self.size_pt[0]) / f64::from(view.size_pt(id)[0]).max(1.0);
        view.set_camera(id, |camera| *camera = self.camera);
        view.enter(id);
        (view.cursor_um, view.center_um, view.tilt) = (self.cursor_um, self.center_um, self.tilt);
        if self.um_per_pt > 0.0 && self.kind != ViewKind::Volume {
            view.um_per_pt = self.um_per_pt * wide;
        }
        view.look = self.look.clone();
        view.leave();
        view.surfaces = self.surfaces.clone();
        view.show_labels = self.show_labels;
        let slices = &mut view.slices;
        super::views::look::set(&mut slices.slabs, id, self.slab);
        super::views::look::set(&mut slices.compared, id, self.compared);
        (slices.thickness_nm, slices.second, slices.divider) = (self.thickness_nm, self.second, self.divider);
    }

    /// What must change in the document so that its layers and classes are seen as they were.
    fn edits(&self, project: &Project) -> Vec<Edit> {
        let display = |(id, display): &(LayerId, Display)| {
            let layer = project.layer(*id).filter(|layer| layer.display != *display)?;
            Some(Edit::SetDisplay { layer: layer.id, display: display.clone() })
        };
        let class = |class: &crate::volume::Class| {
            let visible = !self.hidden.contains(&class.id);
            let changed = crate::volume::Class { visible, ..class.clone() };
            (class.visible != visible).then_some(Edit::SetClass(changed))
        };
        let classes = project.classes.classes.iter().filter_map(class);
        self.layers.iter().filter_map(display).chain(classes).collect()
    }

    /// Brings everything back, layers and classes as one step of the history.
    pub(crate) fn go_to(&self, label: &str, project: &Project, view: &mut ViewState, queue: &mut Queue) {
        let chosen = super::panels::figure::chosen(view);
        let id = if view.kind(chosen) == self.kind { Some(chosen) } else { view.views.first(self.kind) };
        let Some(id) = id else {
            view.want(self.kind);
            return;
        };
        view.figure.view = Some(id);
        self.enter(id, view);
        let is_main = state::main_volume(project, view).map(|layer| layer.id) == self.main;
        if !is_main {
            view.layer = self.main.filter(|id| project.layer(*id).is_some());
        }
        let edits = self.edits(project);
        if !edits.is_empty() {
            queue.edit(label, Edit::Batch(edits));
        }
    }

    /// What was seen then, drawn anew from the layers as they are; in points of the view as it was.
    ///
    /// # Errors
    /// A sentence where something of it is not there.
    pub(crate) fn scene(
        &self,
        id: ViewId,
        session: &Session,
        view: &mut ViewState,
        derived: &mut Derived,
    ) -> Result<Scene, String> {
        let mut past = session.project().clone();
        for edit in self.edits(&past) {
            // They are of layers and classes that are there.
            let _ = past.apply(edit);
        }
        let before = (Self::of(id, session.project(), view), view.layer);
        self.enter(id, view);
        view.layer = self.main.filter(|id| past.layer(*id).is_some()).or(view.layer);
        view.enter(id);
        let scene = self.scene_in(id, &past, session, view, derived);
        view.leave();
        before.0.enter(id, view);
        view.layer = before.1;
        scene
    }

    fn scene_in(
        &self,
        id: ViewId,
        past: &Project,
        session: &Session,
        view: &mut ViewState,
        derived: &mut Derived,
    ) -> Result<Scene, String> {
        let [width, height] = self.size_pt;
        let rect = Rect::from_min_max(pos2(0.0, 0.0), pos2(width, height));
        let mut queue = Queue::default();
        let facts = Facts::default();
        let frames = &FrameBudget::default();
        let mut cx =
            Cx { session, view, queue: &mut queue, derived, facts, device: None, frames, past: Some(past) };
        let Some(plane) = self.kind.plane(self.tilt) else {
            let scene = draw::volume_scene(rect, 1.0, id, &mut cx)
                .ok_or("there is no volume to be seen in it any more")?;
            let lacks_surfaces = self.surfaces.on && scene.surfaces.is_none();
            if lacks_surfaces && draw::seen_labels(past).is_some() {
                return Err("its surfaces are not made: go to it and wait until they are".to_owned());
            }
            return Ok(Scene::Volume(scene));
        };
        let (normal, right_down) = (plane.axis(), plane.right_down());
        let geometry = Geometry {
            rect,
            center_um: self.center_um + normal * (self.cursor_um - self.center_um).dot(normal),
            um_per_pt: self.um_per_pt.max(1e-9),
            right_down,
        };
        Ok(Scene::Slice(draw::slice_scene(id, plane, &geometry, 1.0, &mut cx)))
    }
}
