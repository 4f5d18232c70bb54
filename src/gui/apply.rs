//! Applies what panels, menus and shortcuts asked for: the only place that changes the session.

use super::app::{App, theme_preference};
use super::commands::CommandId as C;
use super::dialogs::{Browse, SystemDialog, WriteForm, WriteWhat};
use super::messages::Level;
use super::moment::{KeptLook, is_unsaved};
use super::open_form::{OpenAs, OpenForm};
use super::state::{AfterSave, Dialog, OpenWhat, Request, Tool, ViewKind};
use super::views::dock::{Side, ViewAct};
use super::views::reslice;
use super::{panels, state, tools};
use crate::measure::ruler::RulerKind;
use crate::project::Edit;
use crate::render::StandardView;
use crate::session::{Command, LiveRequest, Settings, Theme, Verdict};

impl App {
    /// Applies everything that was asked for in this frame.
    pub(super) fn apply_queue(&mut self, ctx: &egui::Context) {
        // A request may add another one (a command of the table asks for a data command).
        for _ in 0..8 {
            let requests = std::mem::take(&mut self.queue.0);
            if requests.is_empty() {
                return;
            }
            self.derived.unsaved = None;
            for request in requests {
                self.apply(ctx, request);
            }
            ctx.request_repaint();
        }
    }

    fn apply(&mut self, ctx: &egui::Context, request: Request) {
        match request {
            Request::Session(Command::Open(path)) => self.open(ctx, path),
            Request::Session(command) => self.session.apply(command),
            Request::Run(id) => self.run(ctx, id),
            Request::Paint(stamp) => {
                let done = tools::brush::apply(&mut self.session, &mut self.view, &stamp);
                self.warn(done);
            }
            Request::EndStroke(label) => self.session.end_stroke(label),
            Request::AbandonStroke => self.session.restart_stroke(),
            Request::Fill(at) => {
                let done = tools::fill::apply(&mut self.session, &mut self.view, &at);
                self.warn(done);
            }
            Request::Outline(outline) => {
                let done = tools::outline::apply(&mut self.session, &mut self.view, &outline);
                self.warn(done);
            }
            Request::PlanePoint(at_um) => {
                let done = reslice::point(&mut self.view, at_um);
                self.warn(done);
            }
            Request::Object(act) => {
                let done = tools::object::apply(&mut self.session, &mut self.view, &act);
                self.warn(done);
            }
            Request::ChooseClass(id) => self.view.choose_class(id),
            Request::Live(on) => self.set_live(on),
            Request::Browse(browse) => self.browse(ctx, browse),
            Request::Write(what, path) => self.write(what, path),
            Request::SaveThen(after) => self.save(Some(after)),
            Request::DiscardThen(after) => {
                self.session.apply(Command::DiscardChanges);
                self.leave(ctx, after);
            }
            Request::View(act) => {
                let done = self.dock.act(act, &mut self.view);
                self.warn(done);
            }
            Request::Surfaces(order) => {
                super::surfaces::start(&mut self.session, &mut self.derived.surfaces, order);
            }
            Request::PlayFilm(on) => {
                let done = if on { super::film::start(self.drawing()) } else { Ok(()) };
                if !on {
                    super::film::stop(&mut self.view);
                }
                self.warn(done);
            }
            Request::Say(level, text) => self.messages.push(level, text),
        }
    }

    fn warn(&mut self, done: Result<(), String>) {
        if let Err(text) = done {
            self.messages.push(Level::Warning, text);
        }
    }

    /// Does what a command of the table says.
    pub(super) fn run(&mut self, ctx: &egui::Context, id: C) {
        let view = &mut self.view;
        match id {
            C::Open => view.dialog = Some(Dialog::Open(Box::default())),
            C::AddVolume => {
                let form = OpenForm { role: OpenAs::Volume, ..OpenForm::default() };
                view.dialog = Some(Dialog::Open(Box::new(form)));
            }
            C::DemoYeast => self.open_demo(ctx, "yeast"),
            C::DemoLymphocyte => self.open_demo(ctx, "lymphocyte"),
            C::Save => self.save(None),
            C::SaveAs => self.ask_save_as(None),
            C::CloseProject => self.guarded(ctx, AfterSave::Close),
            C::Quit => self.guarded(ctx, AfterSave::Quit),
            C::Undo => self.session.apply(Command::Undo),
            C::Redo => self.session.apply(Command::Redo),
            C::CancelJobs => {
                for job in self.session.jobs() {
                    self.session.apply(Command::Cancel(job.id));
                }
            }
            C::Stage(stage) => {
                view.stage = stage;
                view.right_open = true;
                if stage != crate::ops::Stage::Segment && view.tool.paints() {
                    view.tool = Tool::Navigate;
                }
            }
            C::Navigate => {
                (view.outline, view.rulers.drawing) = (None, None);
                view.tool = Tool::Navigate;
            }
            C::Brush => self.take_tool(Tool::Brush),
            C::Eraser => self.take_tool(Tool::Eraser),
            C::Regions => self.take_tool(Tool::Regions),
            C::Polygon => self.take_tool(Tool::Polygon),
            C::Fill => self.take_tool(Tool::Fill),
            C::Wand => self.take_tool(Tool::Wand),
            C::Object => self.take_tool(Tool::Object),
            C::BallBrush => view.brush.ball = !view.brush.ball,
            C::SmartBrush => view.brush.smart = !view.brush.smart,
            C::SwapClass => {
                if self.session.project().classes.get(view.other_class).is_some() {
                    view.choose_class(view.other_class);
                }
            }
            C::NextClass => step_class(&self.session, view, 1),
            C::PreviousClass => step_class(&self.session, view, -1),
            C::PickClass => {
                if let Some(class) = state::class_under_pointer(self.session.project(), view) {
                    view.choose_class(class);
                }
            }
            C::LockClass => self.lock_under_pointer(),
            C::SmallerBrush => view.brush.radius = (view.brush.radius - 1.0).max(0.0),
            C::LargerBrush => view.brush.radius = (view.brush.radius + 1.0).min(128.0),
            C::LacLimit => view.brush.limited = !view.brush.limited,
            C::Class(n) => {
                if let Some((class, _)) =
                    self.session.project().classes.tree().get(usize::from(n).saturating_sub(1))
                {
                    view.choose_class(class.id);
                }
            }
            C::NewClass => view.dialog = Some(Dialog::NewClass { query: String::new() }),
            C::Live => {
                let on = !self.session.live().on;
                self.set_live(on);
            }
            C::Classify => self.classify(self.session.live().on),
            C::AcceptPrediction => {
                self.session.apply(Command::AcceptPrediction(self.view.acceptance()));
                if self.view.accept.into.is_none() {
                    self.view.layer = None;
                }
            }
            C::Interpolate => match panels::methods::interpolate(&self.session, &self.view) {
                Some(command) => self.session.apply(command),
                None => self.messages.push(Level::Warning, "Paint a class in a few slices first"),
            },
            C::NextPlace => panels::segment::step_place(&self.session, view, 1),
            C::PreviousPlace => panels::segment::step_place(&self.session, view, -1),
            C::Proofread => match panels::proofread::start(&self.session, view) {
                Some(command) => {
                    view.stage = crate::ops::Stage::Segment;
                    view.review =
                        state::ReviewView { open: true, order: view.review.order, ..Default::default() };
                    self.session.apply(command);
                }
                None => self
                    .messages
                    .push(Level::Warning, "There are no labels on the grid of the volume to proofread"),
            },
            C::NextObject => panels::proofread::step(&self.session, view, 1, false),
            C::PreviousObject => panels::proofread::step(&self.session, view, -1, false),
            C::AcceptObject => panels::proofread::judge(&mut self.session, view, Verdict::Accept),
            C::RemoveObject => panels::proofread::judge(&mut self.session, view, Verdict::Remove),
            C::RelabelObject => {
                let verdict = Verdict::Relabel(view.class);
                panels::proofread::judge(&mut self.session, view, verdict);
            }
            C::ShowMarks => view.show_marks = !view.show_marks,
            C::KeepClassifier => self.session.apply(Command::KeepClassifier),
            C::DiscardPrediction => self.session.apply(Command::DiscardPrediction),
            C::Uncertainty => view.show_uncertainty = !view.show_uncertainty,
            C::ToggleLabels => view.show_labels = !view.show_labels,
            C::Measure => {
                view.stage = crate::ops::Stage::Measure;
                panels::measure::start(&self.session, &self.view, &mut self.queue);
            }
            C::FitViews => view.fit_wanted = true,
            C::AutoContrast => self.auto_contrast(),
            C::AboutFile => {
                if let Some(layer) = panels::file::with_file(self.session.project(), view) {
                    view.show_file(layer);
                }
            }
            C::MaximiseView => {
                let at_hand = view.at_hand();
                view.maximised = if view.maximised.is_some() { None } else { at_hand };
            }
            C::Oblique => {
                let across =
                    |id: &state::ViewId| matches!(view.kind(*id), ViewKind::Volume | ViewKind::Oblique);
                let at_hand = view.at_hand().filter(across);
                let known = [ViewKind::Oblique, ViewKind::Volume].map(|kind| view.views.first(kind));
                if let Some(id) = at_hand.or(known[0]).or(known[1])
                    && let Some(pane) = view.views.get_mut(id)
                {
                    let is_volume = pane.kind == ViewKind::Volume;
                    pane.kind = if is_volume { ViewKind::Oblique } else { ViewKind::Volume };
                } else {
                    view.want(ViewKind::Oblique);
                }
            }
            C::SplitRight => self.beside(Side::Right),
            C::SplitBelow => self.beside(Side::Below),
            C::DuplicateView => self.beside(Side::Tab),
            C::LinkView => {
                if let Some(id) = view.at_hand() {
                    view.set_linked(id, !view.views.is_linked(id));
                }
            }
            C::CloseView => {
                self.queue.0.extend(view.at_hand().map(|id| Request::View(ViewAct::Close(id))));
            }
            C::Layout(preset) => self.queue.push(Request::View(ViewAct::Arrange(preset))),
            C::Crosshair => view.show_crosshair = !view.show_crosshair,
            C::MeasureDistance => self.take_ruler(RulerKind::Distance),
            C::MeasureAngle => self.take_ruler(RulerKind::Angle),
            C::MeasureArea => self.take_ruler(RulerKind::Area),
            C::MeasureProfile => self.take_ruler(RulerKind::Profile),
            C::MeasurePoint => self.measure_point(),
            C::PlanePoints => {
                view.plane_points.clear();
                (view.outline, view.rulers.drawing) = (None, None);
                view.tool = Tool::PlanePoints;
                self.messages.push(
                    Level::Info,
                    "Click three points, in any slices: the oblique slice goes through them",
                );
            }
            C::SliceAlong => self.align_slice(reslice::Lie::Along),
            C::SliceAcross => self.align_slice(reslice::Lie::Across),
            C::Slab => {
                if let Some(id) = view.slice_at_hand() {
                    view.slices.next_slab(id);
                }
            }
            C::ThickerSlab => view.slices.step_thickness(true),
            C::ThinnerSlab => view.slices.step_thickness(false),
            C::Compare => {
                if super::views::look::second(self.session.project(), view).is_some() {
                    view.slice_at_hand().into_iter().for_each(|id| view.slices.next_comparison(id));
                } else {
                    self.messages.push(Level::Warning, "Comparing needs a second volume: add one as a layer");
                }
            }
            C::Surfaces => {
                view.surfaces.on = !view.surfaces.on;
                self.derived.surfaces.retry();
            }
            C::SurfacesAlone => view.show_surfaces_alone(),
            C::ClipBox => {
                let volume = state::main_volume(self.session.project(), view);
                let whole = volume.and_then(state::layer_bounds);
                view.look.clip = if view.look.clip.is_some() { None } else { whole };
                view.look.handles = true;
            }
            C::ClipPlane => {
                let forward = view.volume_at_hand().map_or(glam::DVec3::Z, |id| view.camera(id).forward());
                let plane = super::look::FreePlane { point_um: view.cursor_um, normal: forward };
                view.look.plane = if view.look.plane.is_some() { None } else { Some(plane) };
                view.look.handles = true;
            }
            C::ResetCamera => self.reset_camera(),
            C::LookFront => look_from(view, StandardView::Front),
            C::LookBack => look_from(view, StandardView::Back),
            C::LookLeft => look_from(view, StandardView::Left),
            C::LookRight => look_from(view, StandardView::Right),
            C::LookTop => look_from(view, StandardView::Top),
            C::LookBottom => look_from(view, StandardView::Bottom),
            C::ResetLayout => {
                self.queue.push(Request::View(ViewAct::Arrange(super::layouts::Preset::default())));
            }
            C::SavePicture => self.ask_picture(),
            C::LeftPanel => view.left_open = !view.left_open,
            C::RightPanel => view.right_open = !view.right_open,
            C::Palette => self.palette.toggle(),
            C::KeyOverlay => view.key_overlay = !view.key_overlay,
            C::Tour => {
                self.tour.want();
                self.note_tour();
                let has_scan = panels::scan::scan_layer(self.session.project()).is_some();
                if !has_scan && !self.facts().volume {
                    self.open_demo(ctx, "yeast");
                }
            }
            C::Theme => self.toggle_theme(ctx),
        }
    }

    /// The tour does not begin by itself again.
    pub(super) fn note_tour(&mut self) {
        if !self.session.settings().tour_seen {
            let settings = Settings { tour_seen: true, ..self.session.settings().clone() };
            self.session.apply(Command::SetSettings(Box::new(settings)));
        }
    }

    fn lock_under_pointer(&mut self) {
        let project = self.session.project();
        let under = state::class_under_pointer(project, &self.view).and_then(|id| project.classes.get(id));
        let Some(class) = under.cloned() else { return };
        let (word, locked) = if class.locked { ("Unlocked", false) } else { ("Locked", true) };
        self.messages.push(Level::Info, format!("{word} {}", class.name));
        let edit = Edit::SetClass(crate::volume::Class { locked, ..class });
        self.session.apply(Command::Edit { label: "Lock class".to_owned(), edit });
    }

    fn take_tool(&mut self, tool: Tool) {
        (self.view.outline, self.view.rulers.drawing) = (None, None);
        self.view.tool = tool;
        self.view.stage = crate::ops::Stage::Segment;
    }

    /// Classifies the volume from the strokes, once or from now on.
    fn classify(&mut self, follow: bool) {
        let project = self.session.project();
        let volume = state::main_volume(project, &self.view).map(|layer| layer.id);
        let strokes = state::strokes_layer(project, &self.view).map(|l| (l.id, l.display.clone()));
        let (Some(volume), Some((strokes, display))) = (volume, strokes) else {
            self.messages.push(
                Level::Warning,
                "The classifier learns from what you paint: paint a few strokes of two classes first",
            );
            return;
        };
        if !display.visible {
            let display = crate::project::Display { visible: true, ..display };
            let edit = Edit::SetDisplay { layer: strokes, display };
            self.session.apply(Command::Edit { label: "Show layer".to_owned(), edit });
        }
        // What is painted from now on is what the classifier learns from.
        self.view.layer = Some(strokes);
        self.view.show_labels = true;
        let params = self.view.forms.get("segment").cloned().unwrap_or(serde_json::Value::Null);
        let base = self.view.base_classifier.filter(|id| self.session.project().layer(*id).is_some());
        let halves = super::panels::segment::halves(&self.session, &self.view, volume);
        let request = LiveRequest { volume, strokes, params, base, halves, follow };
        self.session.apply(Command::Classify(request));
    }

    fn set_live(&mut self, on: bool) {
        if on {
            self.classify(true);
        } else {
            self.session.apply(Command::StopLive);
        }
    }

    fn open_demo(&mut self, ctx: &egui::Context, cell: &'static str) {
        self.guarded(ctx, AfterSave::Open(OpenWhat::Demo(cell)));
    }

    /// Opens whatever lies there; a project takes the place of the open one, so that is saved first.
    pub(super) fn open(&mut self, ctx: &egui::Context, path: std::path::PathBuf) {
        if crate::project::open::is_project(&path) {
            self.guarded(ctx, AfterSave::Open(OpenWhat::Project(path)));
        } else {
            self.session.apply(Command::Open(path));
        }
    }

    /// Goes on, or asks first where work is not saved.
    fn guarded(&mut self, ctx: &egui::Context, after: AfterSave) {
        if is_unsaved(&self.session, &self.view) {
            self.view.dialog = Some(Dialog::Unsaved(after));
        } else {
            self.leave(ctx, after);
        }
    }

    fn save(&mut self, then: Option<AfterSave>) {
        if self.session.path().is_some() {
            self.after_save = then;
            KeptLook::keep(&mut self.session, &mut self.view);
            self.session.apply(Command::Save);
        } else {
            self.ask_save_as(then);
        }
    }

    fn ask_save_as(&mut self, then: Option<AfterSave>) {
        let name = format!("{}.waterwindow", self.session.project().name);
        let path = self
            .session
            .path()
            .map_or_else(|| panels::export::in_documents(&name), |path| path.display().to_string());
        self.view.dialog = Some(Dialog::Write(WriteForm {
            what: WriteWhat::Project { then },
            title: "Save project".to_owned(),
            hint: "A folder NAME.waterwindow with everything that was made; inputs stay where they are"
                .to_owned(),
            path,
        }));
    }

    fn ask_picture(&mut self) {
        let Some(view) = self.view.at_hand() else { return };
        let label = self.view.label(view);
        let form = panels::export::picture_form(self.session.project(), view, &label);
        self.view.dialog = Some(Dialog::Write(form));
    }

    fn write(&mut self, what: WriteWhat, path: std::path::PathBuf) {
        match what {
            WriteWhat::Project { then } => {
                self.after_save = then;
                KeptLook::keep(&mut self.session, &mut self.view);
                self.session.apply(Command::SaveAs(path));
            }
            WriteWhat::Layer(layer, kind) => {
                self.view.exported = true;
                self.session.apply(Command::Export { what: kind, layer, path });
            }
            WriteWhat::Annotations => self.write_annotations(None, &path),
            WriteWhat::Profile(id) => self.write_annotations(Some(id), &path),
            WriteWhat::Figure => {
                let done = panels::figure::write(self.drawing(), path);
                self.warn(done);
            }
            WriteWhat::Pyramid(source, read) => {
                self.session.apply(Command::MakePyramid { source, read, target: path });
            }
            WriteWhat::Film => {
                let done = super::film::write(self.drawing(), path);
                self.warn(done);
            }
            WriteWhat::Picture(id) => {
                // A picture is of what is seen: a view that another one or a tab hides is brought forward.
                let view = &mut self.view;
                if view.maximised.is_some() || !view.views.shown.contains(&id) {
                    view.maximised = Some(id);
                }
                view.picture = Some(super::picture::Picture::new(id, path));
            }
        }
    }

    /// A second view beside the one at hand.
    fn beside(&mut self, side: Side) {
        let act = self.view.at_hand().map(|id| Request::View(ViewAct::Split(id, side)));
        self.queue.0.extend(act);
    }

    fn write_annotations(&mut self, profile: Option<u64>, path: &std::path::Path) {
        match panels::annotations::write(&self.session, &mut self.view, profile, path) {
            Ok(()) => {
                self.view.exported = true;
                self.messages.push(Level::Info, format!("Saved {}", path.display()));
            }
            Err(error) => self.messages.push(Level::Error, format!("The table was not saved: {error}")),
        }
    }

    fn take_ruler(&mut self, kind: RulerKind) {
        let view = &mut self.view;
        (view.outline, view.rulers.drawing) = (None, None);
        view.tool = if view.tool == Tool::Measure(kind) { Tool::Navigate } else { Tool::Measure(kind) };
        view.stage = crate::ops::Stage::Measure;
    }

    fn align_slice(&mut self, lie: reslice::Lie) {
        match reslice::align(self.session.project(), &mut self.view, lie) {
            Ok(text) => self.messages.push(Level::Info, text),
            Err(text) => self.messages.push(Level::Warning, text),
        }
    }

    /// Sets a point of the ruler in hand at the pointer, or at the crosshair.
    fn measure_point(&mut self) {
        let view = &mut self.view;
        if view.tool == Tool::PlanePoints {
            let at_um = view.hover.as_ref().map_or(view.cursor_um, |hover| hover.world_um);
            return self.queue.push(Request::PlanePoint(at_um));
        }
        let Tool::Measure(kind) = view.tool else {
            self.messages.push(Level::Info, "Take a measuring tool first, such as Distance");
            return;
        };
        let Some(slice) = view.slice_at_hand() else { return };
        let hover = view.hover.as_ref().filter(|hover| hover.view == slice).map(|hover| hover.world_um);
        let Some(frame) = view.plane(slice).map(crate::render::Plane::right_down) else { return };
        let at_um = hover.unwrap_or(view.cursor_um);
        if let Some(drawing) = view.rulers.point(kind, slice, at_um, frame) {
            super::rulers::add(drawing, self.session.project(), view, &mut self.queue);
        }
    }

    /// What a figure or film is made of.
    fn drawing(&mut self) -> panels::figure::Drawing<'_> {
        panels::figure::Drawing {
            session: &mut self.session,
            view: &mut self.view,
            derived: &mut self.derived,
            gpu: self.drawer.as_ref().map(super::draw::Drawer::gpu),
        }
    }

    fn browse(&mut self, ctx: &egui::Context, browse: Browse) {
        if self.system_dialog.is_some() {
            return;
        }
        let name = match &self.view.dialog {
            Some(Dialog::Write(form)) => std::path::Path::new(&form.path)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            _ => String::new(),
        };
        let ctx = ctx.clone();
        self.system_dialog = SystemDialog::open(browse, &name, move || ctx.request_repaint());
    }

    fn auto_contrast(&mut self) {
        let project = self.session.project();
        let Some(layer) = state::main_volume(project, &self.view) else { return };
        let Some(stats) = self.derived.stats(layer) else { return };
        let display = crate::project::Display { window: stats.window, ..layer.display.clone() };
        let edit = Edit::SetDisplay { layer: layer.id, display };
        self.session.apply(Command::Edit { label: "Automatic contrast".to_owned(), edit });
    }

    fn reset_camera(&mut self) {
        let bounds = state::main_volume(self.session.project(), &self.view).and_then(state::layer_bounds);
        if let (Some(bounds), Some(id)) = (bounds, self.view.volume_at_hand()) {
            self.view.set_camera(id, |camera| *camera = super::panes::start_camera(bounds));
        }
    }

    fn toggle_theme(&mut self, ctx: &egui::Context) {
        let dark = ctx.theme() == egui::Theme::Dark;
        let theme = if dark { Theme::Light } else { Theme::Dark };
        ctx.set_theme(theme_preference(theme));
        let settings = Settings { theme, ..self.session.settings().clone() };
        self.session.apply(Command::SetSettings(Box::new(settings)));
    }
}

/// Turns the 3D view at hand.
fn look_from(view: &mut state::ViewState, direction: StandardView) {
    if let Some(id) = view.volume_at_hand() {
        view.set_camera(id, |camera| camera.look_from(direction));
    }
}

/// Chooses the class so many rows below in the list.
fn step_class(session: &crate::session::Session, view: &mut state::ViewState, by: isize) {
    let rows = session.project().classes.tree();
    let at = rows.iter().position(|(class, _)| class.id == view.class);
    let next = at.map_or(Some(0), |at| at.checked_add_signed(by));
    if let Some((class, _)) = next.and_then(|place| rows.get(place)) {
        view.choose_class(class.id);
    }
}
