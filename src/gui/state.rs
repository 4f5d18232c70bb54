//! What the window knows and the document does not: cameras, tools, forms, what is open.
//!
//! None of it is undone; of it all only the look of the 3D view is saved with the project.

use std::collections::BTreeMap;

use glam::DVec3;
use serde_json::Value;

use super::commands::CommandId;
use super::look::VolumeLook;
pub(crate) use super::panes::{Tilt, ViewId, ViewKind};
use crate::base::Unit;
use crate::ops::Stage;
use crate::project::{Content, Layer, LayerId, Project};
use crate::render::camera::BoxUm;
use crate::render::scene::bounds_um;
use crate::session::Command;

/// What a drag in a slice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tool {
    /// Moves the crosshair.
    #[default]
    Navigate,
    /// Paints the chosen class.
    Brush,
    /// Takes labels away.
    Eraser,
    /// Paints the supervoxels that are touched.
    Regions,
    /// Paints what an outline holds.
    Polygon,
    /// Fills what hangs together under one label.
    Fill,
    /// Fills what hangs together and is alike in LAC.
    Wand,
    /// Takes whole objects: another class, another place, a cut.
    Object,
    /// Sets one side of a landmark pair.
    Landmark,
    /// Sets the points that the oblique slice goes through.
    PlanePoints,
    /// Lays a ruler into a slice.
    Measure(crate::measure::ruler::RulerKind),
}

impl Tool {
    /// Whether it changes labels.
    pub(crate) fn paints(self) -> bool {
        !matches!(self, Self::Navigate | Self::Landmark | Self::PlanePoints | Self::Measure(_))
    }

    /// Whether a disc or ball follows the pointer.
    pub(crate) fn has_brush(self) -> bool {
        matches!(self, Self::Brush | Self::Eraser | Self::Regions)
    }
}

/// What is done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ObjectAction {
    /// A click gives it the chosen class.
    #[default]
    Relabel,
    /// A drag moves it.
    Move,
    /// A drawn line cuts it.
    Cut,
}

/// The brush and the other hand tools.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "switches that a user sets one by one")]
pub(crate) struct Brush {
    /// Radius in voxels of the labels.
    pub(crate) radius: f64,
    /// A pen that presses less paints with a smaller radius.
    pub(crate) pen_pressure: bool,
    /// A pen that tells how hard it presses has been used.
    pub(crate) pen_seen: bool,
    /// A ball through the planes instead of a disc in one.
    pub(crate) ball: bool,
    /// Touch only values from low to high.
    pub(crate) limited: bool,
    /// That range, in the volume's unit.
    pub(crate) limit: [f32; 2],
    /// The brush stops at edges of the volume.
    pub(crate) smart: bool,
    /// How faint an edge may be that stops it, 0 to 1.
    pub(crate) sensitivity: f64,
    /// Touch only unlabelled voxels.
    pub(crate) unlabelled_only: bool,
    /// Stay inside the parent of the class; `None`: in every layer but those with strokes.
    pub(crate) inside_parent: Option<bool>,
    /// How far from the value under the pointer the wand may go, in the volume's unit.
    pub(crate) tolerance: f32,
    /// Slices before and behind that an outline is painted through.
    pub(crate) depth: usize,
    /// What is done with an object.
    pub(crate) object: ObjectAction,
    /// How far supervoxels are joined: 0 as they are, 1 all of them.
    pub(crate) joining: f32,
    /// The group of every region at that level, and of which volume.
    pub(crate) groups: Option<(LayerId, std::sync::Arc<Vec<u32>>)>,
    /// Fill in the plane only.
    pub(crate) fill_in_plane: bool,
}

impl Default for Brush {
    fn default() -> Self {
        Self {
            radius: 4.0,
            pen_pressure: true,
            pen_seen: false,
            ball: false,
            limited: false,
            limit: [0.2, 0.4],
            smart: false,
            sensitivity: 0.5,
            unlabelled_only: false,
            inside_parent: None,
            tolerance: 0.04,
            depth: 0,
            object: ObjectAction::Relabel,
            joining: 0.0,
            groups: None,
            fill_in_plane: true,
        }
    }
}

/// A stroke while the button is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stroke {
    /// In which view it began; it stays there.
    pub(crate) view: ViewId,
    /// Where it has come to, world µm.
    pub(crate) at_um: DVec3,
    /// It takes labels away.
    pub(crate) erase: bool,
}

/// An outline that is being drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outline {
    /// In which view.
    pub(crate) view: ViewId,
    /// Corners so far, world µm.
    pub(crate) corners_um: Vec<DVec3>,
    /// Drawn with the button held; else corner by corner.
    pub(crate) lasso: bool,
    /// It takes labels away.
    pub(crate) erase: bool,
}

/// A drag that changes the picture while it lasts: a wand that is widened, an object that is moved or cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pull {
    /// In which view.
    pub(crate) view: ViewId,
    /// Where it began, world µm.
    pub(crate) from_um: DVec3,
    /// Where it is, world µm.
    pub(crate) to_um: DVec3,
    /// Where it began on the screen.
    pub(crate) from_pt: egui::Pos2,
    /// It takes labels away.
    pub(crate) erase: bool,
    /// The tolerance when it began.
    pub(crate) tolerance: f32,
}

/// What lies under the pointer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hover {
    /// In which view.
    pub(crate) view: ViewId,
    /// World µm.
    pub(crate) world_um: DVec3,
}

/// A dialog that is open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Dialog {
    /// Which file to open, and as what.
    Open(Box<super::open_form::OpenForm>),
    /// A path to write to.
    Write(super::dialogs::WriteForm),
    /// Which class to add.
    NewClass {
        /// What is typed.
        query: String,
    },
    /// Work is not saved.
    Unsaved(AfterSave),
}

/// What was asked for when work was not saved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AfterSave {
    /// To leave.
    Quit,
    /// To go back to the welcome page.
    Close,
    /// To open something else.
    Open(OpenWhat),
}

/// What is to be opened in place of the project.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OpenWhat {
    /// A demo cell.
    Demo(&'static str),
    /// A project folder, or unsaved work of an earlier session.
    Project(std::path::PathBuf),
}

/// What the histogram's handles change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum HistogramMode {
    /// The window of the slices.
    #[default]
    Window,
    /// A range of values: lit in all views, limit of the brush.
    Range,
    /// The curve of the 3D view.
    Transfer,
}

/// A method of the registry that is being set up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Method {
    /// Its id.
    pub(crate) op: Option<&'static str>,
    /// Layers that were chosen for slots: operation and slot.
    pub(crate) inputs: BTreeMap<(&'static str, &'static str), LayerId>,
    /// The result changes the labels instead of being a new layer, where it can.
    pub(crate) in_place: bool,
}

/// The order of the list of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ReviewOrder {
    /// The most doubtful first.
    #[default]
    Doubt,
    /// The largest first.
    Size,
    /// The brightest first.
    Lac,
}

/// Proofreading as the window shows it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct ReviewView {
    /// The list is open.
    pub(crate) open: bool,
    /// Its order.
    pub(crate) order: ReviewOrder,
    /// The chosen object: its place in the list as it was made.
    pub(crate) chosen: Option<usize>,
    /// The list is to scroll there.
    pub(crate) scroll: bool,
}

/// Which part of a prediction is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Accept {
    /// Only the class that is painted.
    pub(crate) one_class: bool,
    /// The most that an accepted voxel may be uncertain, 0 to 1.
    pub(crate) max_uncertainty: f32,
    /// The layer that takes it in; a new one where `None`.
    pub(crate) into: Option<LayerId>,
}

/// What the views were last fitted to, and what it was then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FittedTo {
    /// The volume.
    pub(crate) layer: LayerId,
    /// Its voxel size, in voxels where that is unknown.
    pub(crate) voxel_um: [f64; 3],
    /// Its box in the world.
    pub(crate) bounds: BoxUm,
}

/// Everything of the window that is no document.
#[derive(Debug)]
pub(crate) struct ViewState {
    /// Which inspector is shown.
    pub(crate) stage: Stage,
    /// What a drag does.
    pub(crate) tool: Tool,
    /// Where the crosshair is, world µm.
    pub(crate) cursor_um: DVec3,
    /// What lies in the middle of the slice views, world µm.
    pub(crate) center_um: DVec3,
    /// World length of a point of the screen, the same in all slices; 0 until fitted.
    pub(crate) um_per_pt: f64,
    /// Which volume the views were fitted to.
    pub(crate) fitted: Option<FittedTo>,
    /// Views that want to be fitted once their size is known.
    pub(crate) fit_wanted: bool,
    /// What lies under the pointer.
    pub(crate) hover: Option<Hover>,
    /// The 3D look.
    pub(crate) look: VolumeLook,
    /// How surfaces of labels are shown in 3D.
    pub(crate) surfaces: super::surfaces::SurfaceLook,
    /// The stroke that is being painted.
    pub(crate) stroke: Option<Stroke>,
    /// The outline that is being drawn.
    pub(crate) outline: Option<Outline>,
    /// The drag of a wand or an object.
    pub(crate) pull: Option<Pull>,
    /// The brush and the other hand tools.
    pub(crate) brush: Brush,
    /// The class before the last switch to another one.
    pub(crate) other_class: u16,
    /// Class that is painted.
    pub(crate) class: u16,
    /// The classifier layer that strokes are added to; `None` to learn from them alone.
    pub(crate) base_classifier: Option<LayerId>,
    /// Whether the classifier hears the noise of half-sets, where there are some.
    pub(crate) use_halves: bool,
    /// Which part of a prediction is accepted.
    pub(crate) accept: Accept,
    /// The method of the registry that is being set up.
    pub(crate) method: Method,
    /// The suggestion that was looked at last.
    pub(crate) suggestion: Option<usize>,
    /// Proofreading.
    pub(crate) review: ReviewView,
    /// The labels that are painted on are coloured by where they come from.
    pub(crate) show_marks: bool,
    /// Labels and prediction are drawn.
    pub(crate) show_labels: bool,
    /// The crosshair is drawn.
    pub(crate) show_crosshair: bool,
    /// The uncertainty overlay is drawn.
    pub(crate) show_uncertainty: bool,
    /// Whether the resolution along each axis is drawn.
    pub(crate) show_cones: bool,
    /// How the scan is looked at.
    pub(crate) scan: super::views::scan_view::ScanView,
    /// A range of values that is lit.
    pub(crate) lit: Option<[f32; 2]>,
    /// What the histogram's handles change.
    pub(crate) histogram: HistogramMode,
    /// The histogram's counts are drawn as logarithms.
    pub(crate) histogram_log: bool,
    /// The panel at the left is open.
    pub(crate) left_open: bool,
    /// The panel at the right is open.
    pub(crate) right_open: bool,
    /// Parameters of each operation as the form has them, where they differ from the defaults.
    pub(crate) forms: BTreeMap<&'static str, Value>,
    /// Reconstructs with the newest alignment instead of a fresh one.
    pub(crate) use_alignment: bool,
    /// The layer chosen in the list.
    pub(crate) layer: Option<LayerId>,
    /// The volume that is placed by hand or by landmarks.
    pub(crate) moving: Option<LayerId>,
    /// The side of a landmark pair that was set first: in the moving layer, or in the fixed one.
    pub(crate) half_landmark: super::tools::landmark::Half,
    /// The model of the fit.
    pub(crate) fit_model: crate::volume::landmarks::TransformModel,
    /// The dialog that is open.
    pub(crate) dialog: Option<Dialog>,
    /// Dialogs that wait until it is closed: each asks something.
    pub(crate) waiting: std::collections::VecDeque<Dialog>,
    /// What is told of the file of a layer is to be opened and scrolled to.
    pub(crate) reveal_file: bool,
    /// The view that has all the room.
    pub(crate) maximised: Option<ViewId>,
    /// How the oblique slice lies.
    pub(crate) tilt: Tilt,
    /// The views that are open.
    pub(crate) views: super::panes::Panes,
    /// Where the widgets are that the tour points at, in this frame.
    pub(crate) anchors: super::tour::Anchors,
    /// The one of them that is to be scrolled to.
    pub(crate) reveal: Option<super::tour::Step>,
    /// Points that the oblique slice is to go through, so far.
    pub(crate) plane_points: Vec<DVec3>,
    /// Annotations that are drawn, dragged, chosen.
    pub(crate) rulers: super::rulers::Rulers,
    /// Slabs and comparisons of the slice views.
    pub(crate) slices: super::views::look::SliceLook,
    /// What is left of the parts of slices that a touch pad gave.
    pub(crate) turn_rest: f32,
    /// How hard the pen pressed last.
    pub(crate) pressure: f32,
    /// The handle of box or plane that is dragged in a 3D view.
    pub(crate) grip: Option<(ViewId, super::views::clip::Grip)>,
    /// The slice in which the line of the oblique slice is being turned.
    pub(crate) turning: Option<ViewId>,
    /// The key overlay is open.
    pub(crate) key_overlay: bool,
    /// The shortcut that is being changed in it.
    pub(crate) keys: super::keymap::Changing,
    /// The list of jobs is open.
    pub(crate) jobs_open: bool,
    /// Something has been exported since the project was opened.
    pub(crate) exported: bool,
    /// The column of the table of measures that sorts, and whether downwards.
    pub(crate) sort: Option<(usize, bool)>,
    /// The look that the project was opened or saved with.
    pub(crate) kept_look: super::moment::KeptLook,
    /// What each view drew last.
    pub(crate) scenes: BTreeMap<ViewId, crate::render::figure::Scene>,
    /// How large each view was then, points.
    pub(crate) sizes: BTreeMap<ViewId, [f32; 2]>,
    /// The figure that is set up.
    pub(crate) figure: super::panels::figure::FigureForm,
    /// The film that is set up.
    pub(crate) film: super::film::FilmForm,
    /// The picture that is being taken.
    pub(crate) picture: Option<super::picture::Picture>,
    /// A layer's name while it is edited.
    pub(crate) name_edit: Option<(LayerId, String)>,
}

impl Default for ViewState {
    fn default() -> Self {
        Self {
            stage: Stage::Scan,
            tool: Tool::Navigate,
            cursor_um: DVec3::ZERO,
            center_um: DVec3::ZERO,
            um_per_pt: 0.0,
            fitted: None,
            fit_wanted: false,
            hover: None,
            look: VolumeLook::default(),
            surfaces: super::surfaces::SurfaceLook::default(),
            stroke: None,
            outline: None,
            pull: None,
            brush: Brush::default(),
            other_class: 0,
            class: 1,
            base_classifier: None,
            use_halves: true,
            accept: Accept { one_class: false, max_uncertainty: 1.0, into: None },
            method: Method::default(),
            suggestion: None,
            review: ReviewView::default(),
            show_marks: false,
            show_labels: true,
            show_crosshair: true,
            show_uncertainty: false,
            show_cones: false,
            scan: super::views::scan_view::ScanView::default(),
            lit: None,
            histogram: HistogramMode::default(),
            histogram_log: true,
            left_open: true,
            right_open: true,
            forms: BTreeMap::new(),
            use_alignment: true,
            layer: None,
            moving: None,
            half_landmark: super::tools::landmark::Half::default(),
            fit_model: crate::volume::landmarks::TransformModel::default(),
            dialog: None,
            waiting: std::collections::VecDeque::new(),
            reveal_file: false,
            maximised: None,
            tilt: Tilt::default(),
            views: super::panes::Panes::default(),
            anchors: super::tour::Anchors::new(),
            reveal: None,
            plane_points: Vec::new(),
            rulers: super::rulers::Rulers::default(),
            slices: super::views::look::SliceLook::default(),
            turn_rest: 0.0,
            pressure: 1.0,
            grip: None,
            turning: None,
            key_overlay: false,
            keys: super::keymap::Changing::default(),
            jobs_open: false,
            exported: false,
            sort: None,
            kept_look: super::moment::KeptLook::default(),
            scenes: BTreeMap::new(),
            sizes: BTreeMap::new(),
            figure: super::panels::figure::FigureForm::default(),
            film: super::film::FilmForm::default(),
            picture: None,
            name_edit: None,
        }
    }
}

impl ViewState {
    /// Asks something: now, or once the dialog that is open has its answer.
    pub(crate) fn ask(&mut self, dialog: Dialog) {
        if self.dialog.is_none() {
            self.dialog = Some(dialog);
        } else {
            self.waiting.push_back(dialog);
        }
    }

    /// Shows what is known of the file of a layer.
    pub(crate) fn show_file(&mut self, layer: LayerId) {
        (self.layer, self.right_open, self.reveal_file) = (Some(layer), true, true);
    }

    /// Which part of the prediction is accepted, as the session takes it.
    pub(crate) fn acceptance(&self) -> crate::session::Acceptance {
        let Accept { one_class, max_uncertainty, into } = self.accept;
        crate::session::Acceptance { class: one_class.then_some(self.class), max_uncertainty, into }
    }

    /// Size of a view in points, as it was drawn last.
    pub(crate) fn size_pt(&self, id: ViewId) -> [f32; 2] {
        self.sizes.get(&id).copied().unwrap_or([640.0, 480.0])
    }

    /// Nothing but surfaces in 3D, or the haze again.
    pub(crate) fn show_surfaces_alone(&mut self) {
        use crate::render::VolumeMode::{Composite, Surfaces};
        let is_alone = self.surfaces.on && self.look.mode == Surfaces;
        self.look.mode = if is_alone { Composite } else { Surfaces };
        self.surfaces.on = true;
    }

    /// Another class is painted from now on.
    pub(crate) fn choose_class(&mut self, id: u16) {
        if id != self.class {
            self.other_class = self.class;
            self.class = id;
        }
    }
}

/// What panels and tools ask for; applied at the end of the frame.
#[derive(Debug)]
pub(crate) enum Request {
    /// A data command.
    Session(Command),
    /// A command of the table.
    Run(CommandId),
    /// Part of a stroke.
    Paint(super::tools::brush::Stamp),
    /// The gesture is given up: what it has painted is taken back.
    AbandonStroke,
    /// The stroke is over: one step of the history under this name.
    EndStroke(&'static str),
    /// A fill from a voxel.
    Fill(super::tools::fill::FillAt),
    /// What an outline holds.
    Outline(Outline),
    /// A point that the oblique slice is to go through, world µm.
    PlanePoint(DVec3),
    /// Something with an object.
    Object(super::tools::object::Act),
    /// Another class is painted.
    ChooseClass(u16),
    /// Live classification on or off.
    Live(bool),
    /// The system's file dialog.
    Browse(super::dialogs::Browse),
    /// Writes to a path that a dialog asked for.
    Write(super::dialogs::WriteWhat, std::path::PathBuf),
    /// Saves, then goes on.
    SaveThen(AfterSave),
    /// Throws away what was not saved, then goes on.
    DiscardThen(AfterSave),
    /// Something with the layout of the views.
    View(super::views::dock::ViewAct),
    /// Surfaces of labels are to be made.
    Surfaces(super::surfaces::Order),
    /// The film that is set up is played, or not any more.
    PlayFilm(bool),
    /// A sentence for the user.
    Say(super::messages::Level, String),
}

/// Where panels put their requests.
#[derive(Debug, Default)]
pub(crate) struct Queue(pub(crate) Vec<Request>);

impl Queue {
    /// Asks for a data command.
    pub(crate) fn session(&mut self, command: Command) {
        self.0.push(Request::Session(command));
    }

    /// Asks for a change of the document under this name.
    pub(crate) fn edit(&mut self, label: &str, edit: crate::project::Edit) {
        self.session(Command::Edit { label: label.to_owned(), edit });
    }

    /// Asks for a command of the table.
    pub(crate) fn run(&mut self, id: CommandId) {
        self.0.push(Request::Run(id));
    }

    /// Asks for anything else.
    pub(crate) fn push(&mut self, request: Request) {
        self.0.push(request);
    }
}

/// World µm from the voxels of a layer with a grid, its placement included.
pub(crate) fn world_from_voxel(layer: &Layer) -> Option<glam::DAffine3> {
    let map = match &layer.content {
        Content::Volume(volume) => volume.world_from_voxel(),
        Content::Regions(regions) => regions.world_from_voxel(),
        Content::Labels(labels) => {
            crate::base::WorldFromVoxel::from_spacing(labels.voxel_um_or_one(), labels.origin_um)
        }
        _ => return None,
    };
    Some(layer.placement * map.0)
}

/// The box around a layer in world µm.
pub(crate) fn layer_bounds(layer: &Layer) -> Option<BoxUm> {
    Some(bounds_um(world_from_voxel(layer)?, layer.content.shape()?))
}

/// The volume that sets the frame: slices step through it, the histogram and the read-out speak of it.
///
/// The chosen layer where that is a volume, else the topmost visible one that is not laid over another.
pub(crate) fn main_volume<'a>(project: &'a Project, view: &ViewState) -> Option<&'a Layer> {
    let chosen = view
        .layer
        .and_then(|id| project.layer(id))
        .filter(|layer| layer.volume().is_some() && layer.display.visible && !layer.display.additive);
    chosen
        .or_else(|| {
            project.from_top().find(|l| l.volume().is_some() && l.display.visible && !l.display.additive)
        })
        .or_else(|| project.from_top().find(|l| l.volume().is_some() && l.provenance.op != "demo"))
}

/// The label layer that is painted on: the chosen one, else the topmost that is no given truth.
pub(crate) fn paint_layer<'a>(project: &'a Project, view: &ViewState) -> Option<&'a Layer> {
    view.layer
        .and_then(|id| project.layer(id))
        .filter(|layer| layer.labels().is_some())
        .or_else(|| project.from_top().find(|l| l.labels().is_some() && l.provenance.op != "demo"))
}

/// The label layer that the classifier learns from: the chosen one, else the topmost that was painted.
pub(crate) fn strokes_layer<'a>(project: &'a Project, view: &ViewState) -> Option<&'a Layer> {
    let painted = |layer: &&Layer| layer.labels().is_some() && layer.provenance.op == "painted";
    let chosen = view.layer.and_then(|id| project.layer(id)).filter(painted);
    chosen.or_else(|| project.from_top().find(painted)).or_else(|| paint_layer(project, view))
}

/// The class under the pointer in the labels that are painted on; `None` where there is none.
pub(crate) fn class_under_pointer(project: &Project, view: &ViewState) -> Option<u16> {
    let layer = paint_layer(project, view)?;
    let voxel = voxel_at(layer, view.hover.as_ref()?.world_um)?;
    layer.labels().map(|labels| labels.labels.get(voxel)).filter(|id| *id != 0)
}

/// The unit of lengths: µm, or voxels where the size of a voxel is unknown.
pub(crate) fn length_unit(layer: Option<&Layer>) -> &'static str {
    match layer.and_then(Layer::volume) {
        Some(volume) if volume.voxel_um.is_none() => "px",
        _ => "µm",
    }
}

/// The unit of positions on a layer with voxels of this length.
pub(crate) fn position_unit(layer: &Layer, voxel_um: f64) -> &'static str {
    match length_unit(Some(layer)) {
        "µm" => crate::base::position_unit(voxel_um),
        unit => unit,
    }
}

/// The unit of a layer's values as shown.
pub(crate) fn value_unit(layer: &Layer) -> &'static str {
    layer.volume().map_or("", |volume| volume.unit.shown())
}

/// What the values are called.
pub(crate) fn value_name(layer: &Layer) -> &'static str {
    match layer.volume().map(|volume| volume.unit) {
        Some(Unit::PerUm | Unit::PerVoxel) => "LAC",
        Some(Unit::Absorbance) => "Absorbance",
        Some(Unit::Counts) => "Counts",
        Some(Unit::Transmission) => "Transmission",
        _ => "Value",
    }
}

/// Index (z, y, x) of the voxel at a world point; `None` outside.
pub(crate) fn voxel_at(layer: &Layer, world_um: DVec3) -> Option<[usize; 3]> {
    super::place::voxel_on((world_from_voxel(layer)?, layer.content.shape()?), world_um)
}
