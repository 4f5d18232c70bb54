//! The views of the window: how many there are, what each shows, where an unlinked one stands.
//!
//! Linked views share crosshair, zoom and 3D look; an unlinked one has its own. While an unlinked view is drawn and
//! takes input, its own place stands in for the shared one ([`ViewState::enter`]): whatever is written for a view
//! need not know which of both it works on.

use std::collections::BTreeMap;

use glam::{DQuat, DVec3};
use serde::{Deserialize, Serialize};

use super::look::VolumeLook;
use super::state::ViewState;
use crate::render::camera::{BoxUm, OrbitCamera, Projection};
use crate::render::scene::Plane;

/// A view, for as long as it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ViewId(pub(crate) u32);

/// What a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ViewKind {
    /// x right, y down.
    Xy,
    /// z right, y down: right of XY.
    Yz,
    /// x right, z down: below XY.
    Xz,
    /// The volume.
    Volume,
    /// A slice across the axes.
    Oblique,
}

impl ViewKind {
    /// The four that are seen first, in reading order.
    pub(crate) const FIRST: [Self; 4] = [Self::Xy, Self::Yz, Self::Xz, Self::Volume];
    /// All.
    pub(crate) const ALL: [Self; 5] = [Self::Xy, Self::Yz, Self::Xz, Self::Oblique, Self::Volume];
    /// The slices along the axes.
    pub(crate) const ALONG_AXES: [Self; 3] = [Self::Xy, Self::Yz, Self::Xz];

    /// Short name, as in the title bar.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Xy => "XY",
            Self::Yz => "YZ",
            Self::Xz => "XZ",
            Self::Volume => "3D",
            Self::Oblique => "Oblique",
        }
    }

    /// Positions in x, y, z of what runs right, down and through the slice; `None` across the axes and in 3D.
    pub(crate) fn axes(self) -> Option<[usize; 3]> {
        match self {
            Self::Xy => Some([0, 1, 2]),
            Self::Yz => Some([2, 1, 0]),
            Self::Xz => Some([0, 2, 1]),
            Self::Volume | Self::Oblique => None,
        }
    }

    /// The plane of a slice, given how an oblique one lies; `None` in 3D.
    pub(crate) fn plane(self, tilt: Tilt) -> Option<Plane> {
        match self {
            Self::Xy => Some(Plane::Xy),
            Self::Yz => Some(Plane::Yz),
            Self::Xz => Some(Plane::Xz),
            Self::Oblique => Some(Plane::Oblique { right: tilt.right, down: tilt.down }),
            Self::Volume => None,
        }
    }

    /// The direction through the slices along an axis.
    pub(crate) fn normal(self) -> DVec3 {
        self.plane(Tilt::default()).map_or(DVec3::Z, Plane::axis)
    }
}

/// How the oblique slice lies: what runs right and down in it, world directions of length 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tilt {
    /// What runs right.
    pub(crate) right: DVec3,
    /// What runs down.
    pub(crate) down: DVec3,
}

impl Default for Tilt {
    /// Halfway between XY and YZ.
    fn default() -> Self {
        let half = std::f64::consts::FRAC_1_SQRT_2;
        Self { right: DVec3::new(half, 0.0, half), down: DVec3::Y }
    }
}

impl Tilt {
    /// The direction across it.
    pub(crate) fn normal(self) -> DVec3 {
        self.right.cross(self.down)
    }

    /// The slice of another view.
    pub(crate) fn of(plane: Plane) -> Self {
        let (right, down) = plane.right_down();
        Self { right, down }
    }

    /// Turned about a direction of length 1.
    pub(crate) fn turned(self, axis: DVec3, angle: f64) -> Self {
        let turn = DQuat::from_axis_angle(axis, angle);
        let right = (turn * self.right).normalize();
        // Kept square, however often it is turned.
        let down = turn * self.down;
        Self { right, down: (down - right * right.dot(down)).normalize() }
    }
}

/// Where a view stands and how it looks: shared by all linked views.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    cursor_um: DVec3,
    center_um: DVec3,
    um_per_pt: f64,
    fit_wanted: bool,
    tilt: Tilt,
    look: VolumeLook,
}

/// One view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pane {
    /// What it shows.
    pub(crate) kind: ViewKind,
    /// Its camera, where it shows the volume.
    pub(crate) camera: OrbitCamera,
    /// Its own place, where it is not linked.
    own: Option<Box<Place>>,
}

impl Pane {
    /// A linked view that looks from a little above and aside where it shows the volume.
    pub(crate) fn new(kind: ViewKind) -> Self {
        Self { kind, camera: start_camera((DVec3::ZERO, DVec3::ONE)), own: None }
    }
}

/// The camera that a volume is first seen with: from a little above and aside.
pub(crate) fn start_camera(bounds: BoxUm) -> OrbitCamera {
    let mut camera = OrbitCamera::fitted(bounds);
    camera.orbit_turntable(glam::DVec2::new(-0.5, 0.35));
    camera
}

/// All views that are open.
#[derive(Debug)]
pub(crate) struct Panes {
    all: BTreeMap<ViewId, Pane>,
    next: u32,
    /// Those that were drawn in the last frame, in reading order; one behind a tab is not.
    pub(crate) shown: Vec<ViewId>,
    /// The one under the pointer.
    pub(crate) pointed: Option<ViewId>,
    /// The one that was pressed last.
    pub(crate) active: Option<ViewId>,
    /// The unlinked one whose place stands in for the shared one.
    entered: Option<ViewId>,
    /// What is to be brought into sight in the next frame.
    pub(crate) wanted: Option<ViewKind>,
    /// The preset that is shown, where nothing in it was moved, and the names of the user's layouts.
    pub(crate) layouts: (Option<super::layouts::Preset>, Vec<String>),
    /// The name that the present layout is to get, while it is typed.
    pub(crate) new_name: String,
    /// What the cameras were brought to.
    bounds: Option<BoxUm>,
}

impl Default for Panes {
    fn default() -> Self {
        let mut panes = Self {
            all: BTreeMap::new(),
            next: 1,
            shown: Vec::new(),
            pointed: None,
            active: None,
            entered: None,
            wanted: None,
            layouts: (None, Vec::new()),
            new_name: String::new(),
            bounds: None,
        };
        for kind in ViewKind::FIRST {
            panes.open(kind);
        }
        panes
    }
}

impl Panes {
    /// Adds a linked view that shows the whole of the volume, if it shows the volume.
    pub(crate) fn open(&mut self, kind: ViewKind) -> ViewId {
        let mut pane = Pane::new(kind);
        self.bounds.into_iter().for_each(|bounds| pane.camera.fit(bounds));
        self.insert(pane)
    }

    /// Adds a view.
    pub(crate) fn insert(&mut self, pane: Pane) -> ViewId {
        let id = ViewId(self.next);
        self.next += 1;
        self.all.insert(id, pane);
        id
    }

    /// Forgets all views but these.
    pub(crate) fn retain(&mut self, keep: &[ViewId]) {
        self.all.retain(|id, _| keep.contains(id));
        self.shown.retain(|id| keep.contains(id));
        self.active = self.active.filter(|id| keep.contains(id));
        self.pointed = self.pointed.filter(|id| keep.contains(id));
    }

    /// All, in the order in which they were opened.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ViewId> + '_ {
        self.all.keys().copied()
    }

    /// One of them.
    pub(crate) fn get(&self, id: ViewId) -> Option<&Pane> {
        self.all.get(&id)
    }

    /// One of them, to change it.
    pub(crate) fn get_mut(&mut self, id: ViewId) -> Option<&mut Pane> {
        self.all.get_mut(&id)
    }

    /// What a view shows.
    pub(crate) fn kind(&self, id: ViewId) -> ViewKind {
        self.get(id).map_or(ViewKind::Xy, |pane| pane.kind)
    }

    /// Its name: "XY", and "XY 2" for the second of them.
    pub(crate) fn label(&self, id: ViewId) -> String {
        let kind = self.kind(id);
        match self.all.range(..id).filter(|(_, pane)| pane.kind == kind).count() {
            0 => kind.label().to_owned(),
            before => format!("{} {}", kind.label(), before + 1),
        }
    }

    /// Whether it shares its place with the others.
    pub(crate) fn is_linked(&self, id: ViewId) -> bool {
        self.get(id).is_none_or(|pane| pane.own.is_none())
    }

    /// The first view of a kind: one that is seen before one that is not.
    pub(crate) fn first(&self, kind: ViewKind) -> Option<ViewId> {
        let has = |id: &ViewId| self.kind(*id) == kind;
        self.shown.iter().copied().find(has).or_else(|| self.ids().find(|id| has(id)))
    }

    /// Whether a linked view of this kind was drawn in the last frame.
    pub(crate) fn shows(&self, kind: ViewKind) -> bool {
        self.shown.iter().any(|id| self.kind(*id) == kind && self.is_linked(*id))
    }

    /// Brings every camera to a volume, as it looked before where it was turned by hand.
    pub(crate) fn fit_cameras(&mut self, bounds: BoxUm) {
        self.bounds = Some(bounds);
        for pane in self.all.values_mut() {
            pane.camera.fit(bounds);
        }
    }

    /// The same views for another project: where they stood is forgotten.
    pub(crate) fn renewed(mut self) -> Self {
        for pane in self.all.values_mut() {
            pane.own = None;
        }
        (self.active, self.pointed, self.entered) = (None, None, None);
        self
    }

    /// Direction and projection of a view's camera.
    pub(crate) fn direction(&self, id: ViewId) -> Option<(DQuat, Projection)> {
        let pane = self.get(id).filter(|pane| pane.kind == ViewKind::Volume)?;
        Some((pane.camera.rotation, pane.camera.projection))
    }
}

impl ViewState {
    /// What a view shows.
    pub(crate) fn kind(&self, id: ViewId) -> ViewKind {
        self.views.kind(id)
    }

    /// The name of a view.
    pub(crate) fn label(&self, id: ViewId) -> String {
        self.views.label(id)
    }

    /// How the oblique slice of a view lies.
    fn tilt_of(&self, id: ViewId) -> Tilt {
        let own = self.views.get(id).and_then(|pane| pane.own.as_ref());
        own.filter(|_| self.views.entered != Some(id)).map_or(self.tilt, |own| own.tilt)
    }

    /// The plane of a slice view; `None` for one of the volume.
    pub(crate) fn plane(&self, id: ViewId) -> Option<Plane> {
        self.kind(id).plane(self.tilt_of(id))
    }

    /// The direction through the slices of a view.
    pub(crate) fn normal(&self, id: ViewId) -> DVec3 {
        self.plane(id).map_or(DVec3::Z, Plane::axis)
    }

    /// A view's camera.
    pub(crate) fn camera(&self, id: ViewId) -> OrbitCamera {
        self.views.get(id).map_or_else(OrbitCamera::default, |pane| pane.camera)
    }

    /// Changes a view's camera.
    pub(crate) fn set_camera(&mut self, id: ViewId, change: impl FnOnce(&mut OrbitCamera)) {
        if let Some(pane) = self.views.get_mut(id) {
            change(&mut pane.camera);
        }
    }

    /// The view that a command without a pointer means: the one under it, else the one that was pressed last, else the
    /// first that is seen.
    pub(crate) fn at_hand(&self) -> Option<ViewId> {
        let all = [self.maximised, self.views.pointed, self.views.active];
        let open = all.into_iter().flatten().find(|id| self.views.get(*id).is_some());
        open.or_else(|| self.views.shown.first().copied()).or_else(|| self.views.ids().next())
    }

    /// The same among slices.
    pub(crate) fn slice_at_hand(&self) -> Option<ViewId> {
        self.at_hand_of(|kind| kind != ViewKind::Volume)
    }

    /// The same among views of the volume.
    pub(crate) fn volume_at_hand(&self) -> Option<ViewId> {
        self.at_hand_of(|kind| kind == ViewKind::Volume)
    }

    fn at_hand_of(&self, wanted: impl Fn(ViewKind) -> bool) -> Option<ViewId> {
        let first = [self.maximised, self.views.pointed, self.views.active];
        let rest = self.views.shown.iter().copied().chain(self.views.ids());
        first.into_iter().flatten().chain(rest).find(|id| self.views.get(*id).is_some_and(|p| wanted(p.kind)))
    }

    /// Brings a view of this kind into sight; a new one takes the place of the 3D view.
    pub(crate) fn want(&mut self, kind: ViewKind) {
        self.views.wanted = Some(kind);
    }

    /// Links a view to the others, or gives it a place of its own, which begins where they are.
    pub(crate) fn set_linked(&mut self, id: ViewId, linked: bool) {
        let own = (!linked).then(|| {
            Box::new(Place {
                cursor_um: self.cursor_um,
                center_um: self.center_um,
                um_per_pt: self.um_per_pt,
                fit_wanted: self.fit_wanted,
                tilt: self.tilt,
                look: self.look.clone(),
            })
        });
        if self.views.is_linked(id) != linked
            && let Some(pane) = self.views.get_mut(id)
        {
            pane.own = own;
        }
    }

    /// From here to [`Self::leave`] the place of an unlinked view stands in for the shared one.
    pub(crate) fn enter(&mut self, id: ViewId) {
        debug_assert!(self.views.entered.is_none(), "one view at a time");
        if !self.views.is_linked(id) {
            self.exchange(id);
            self.views.entered = Some(id);
        }
    }

    /// The shared place again.
    pub(crate) fn leave(&mut self) {
        if let Some(id) = self.views.entered.take() {
            self.exchange(id);
        }
    }

    fn exchange(&mut self, id: ViewId) {
        let Some(own) = self.views.all.get_mut(&id).and_then(|pane| pane.own.as_mut()) else { return };
        std::mem::swap(&mut own.cursor_um, &mut self.cursor_um);
        std::mem::swap(&mut own.center_um, &mut self.center_um);
        std::mem::swap(&mut own.um_per_pt, &mut self.um_per_pt);
        std::mem::swap(&mut own.fit_wanted, &mut self.fit_wanted);
        std::mem::swap(&mut own.tilt, &mut self.tilt);
        std::mem::swap(&mut own.look, &mut self.look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_of_a_kind_are_told_apart_by_a_number() {
        let mut panes = Panes::default();
        let [xy, yz] = [panes.first(ViewKind::Xy).unwrap(), panes.first(ViewKind::Yz).unwrap()];
        let second = panes.insert(Pane::new(ViewKind::Xy));
        assert_eq!([xy, yz, second].map(|id| panes.label(id)), ["XY", "YZ", "XY 2"]);
        panes.get_mut(second).unwrap().kind = ViewKind::Oblique;
        assert_eq!(panes.label(second), "Oblique");
    }

    #[test]
    fn an_unlinked_view_has_a_place_of_its_own_and_returns_to_the_shared_one() {
        let mut view = ViewState { cursor_um: DVec3::X, ..ViewState::default() };
        let id = view.views.first(ViewKind::Xz).unwrap();
        view.set_linked(id, false);
        view.enter(id);
        assert_eq!(view.cursor_um, DVec3::X, "it begins where the others are");
        view.cursor_um = DVec3::Y;
        view.tilt = Tilt::of(Plane::Xz);
        view.leave();
        assert_eq!(view.cursor_um, DVec3::X, "the others stay");
        view.enter(id);
        assert_eq!(view.cursor_um, DVec3::Y);
        view.leave();
        view.views.get_mut(id).unwrap().kind = ViewKind::Oblique;
        assert_eq!(view.normal(id), Tilt::of(Plane::Xz).normal(), "its own tilt, also from outside");
        view.set_linked(id, true);
        assert_eq!(view.normal(id), Tilt::default().normal());
    }
}
