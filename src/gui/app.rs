//! The application: one frame is events in, panels drawn, requests applied.

use std::path::PathBuf;

use super::commands::{self, Facts};
use super::derived::Derived;
use super::device_watch::{DeviceWatch, Heir};
use super::dialogs::{self, SystemDialog};
use super::draw::Drawer;
use super::frame::Cx;
use super::frames::FrameBudget;
use super::layouts::Stored;
use super::messages::{Level, Messages};
use super::moment::{KeptLook, is_unsaved};
use super::open_form::OpenForm;
use super::palette::Palette;
use super::state::{AfterSave, Dialog, OpenWhat, Queue, ViewState};
use super::tour::Tour;
use super::views::dock::Dock;
use super::{Start, film, frames, keymap, panels, status_bar, theme, top_bar, views, welcome, widgets};
use crate::base::frame_cost::FrameCost;
use crate::ops::Stage;
use crate::project::Content;
use crate::session::{self, Command, Event, Role, Session, Theme};

/// How long jobs let go first what somebody moves in a window that the processor draws.
const HAND: std::time::Duration = std::time::Duration::from_millis(150);

/// The window's application.
pub struct App {
    pub(super) session: Session,
    pub(super) view: ViewState,
    pub(super) derived: Derived,
    pub(super) dock: Dock,
    pub(super) drawer: Option<Drawer>,
    /// When frames come, and what they cost.
    frames: FrameBudget,
    cost: FrameCost,
    /// What the device reports.
    watch: Option<DeviceWatch>,
    /// Where the session goes if the device is lost.
    heir: Option<Heir>,
    pub(super) messages: Messages,
    pub(super) palette: Palette,
    pub(super) tour: Tour,
    /// The tour may begin by itself.
    greets: bool,
    pub(super) system_dialog: Option<SystemDialog>,
    pub(super) after_save: Option<AfterSave>,
    pub(super) leaving: bool,
    /// What to open when the last command of the session is through.
    pub(super) queue: Queue,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("view", &self.view).finish_non_exhaustive()
    }
}

impl App {
    /// The application in a window that eframe has made.
    pub(super) fn new(creation: &eframe::CreationContext<'_>, start: Start, heir: Heir) -> Self {
        let state = creation.wgpu_render_state.as_ref();
        let inherited = heir.take();
        let is_first = inherited.is_none();
        let session = inherited.unwrap_or_else(Session::of_user);
        let mut app = Self::with_session(&creation.egui_ctx, state, session, start);
        app.heir = Some(heir);
        app.greets = is_first;
        if !is_first {
            app.view.stage = stage_of(app.session.project());
            let device = app.drawer.as_ref().map_or("no device", |drawer| drawer.device()).to_owned();
            app.messages.push(
                Level::Warning,
                format!("The graphics device was lost; this window draws with {device}. Nothing of your work is lost"),
            );
        }
        if let Some(storage) = creation.storage {
            app.restore(storage);
        }
        app
    }

    /// Takes up what the window kept when it was closed.
    pub fn restore(&mut self, storage: &dyn eframe::Storage) {
        let stored = storage.get_string(Stored::KEY).and_then(|text| Stored::of_text(&text));
        if let Some(stored) = stored {
            self.dock = Dock::restored(stored);
        }
    }

    /// The application on a session, with or without a device to draw with. Tests come in here.
    pub fn with_session(
        ctx: &egui::Context,
        render_state: Option<&egui_wgpu::RenderState>,
        mut session: Session,
        start: Start,
    ) -> Self {
        theme::install(ctx);
        ctx.set_theme(theme_preference(session.settings().theme));
        let waker = ctx.clone();
        session.set_waker(std::sync::Arc::new(move || frames::wake(&waker)));
        for file in start.files {
            session.apply(Command::Open(file));
        }
        let drawer = render_state.map(Drawer::new);
        let mut app = Self {
            session,
            view: ViewState::default(),
            derived: Derived::default(),
            dock: Dock::default(),
            frames: FrameBudget::default(),
            cost: FrameCost::new(drawer.as_ref().is_some_and(|drawer| drawer.gpu().is_software())),
            drawer,
            watch: render_state.map(|state| DeviceWatch::on(&state.device, ctx)),
            heir: None,
            messages: Messages::default(),
            palette: Palette::default(),
            tour: Tour::default(),
            greets: false,
            system_dialog: None,
            after_save: None,
            leaving: false,
            queue: Queue::default(),
        };
        KeptLook::read(app.session.project(), &mut app.view);
        match start.demo.as_deref() {
            Some("lymphocyte") => app.run(ctx, commands::CommandId::DemoLymphocyte),
            Some(_) => app.run(ctx, commands::CommandId::DemoYeast),
            None => {}
        }
        app
    }

    /// The session, to look at.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The session, for tests that drive it beside the window.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Processor time that frames took so far, seconds: the window's thread, and a driver's that draws by processor.
    pub fn frames_spent(&self) -> f64 {
        self.cost.spent()
    }

    /// One frame.
    pub fn frame(&mut self, ui: &mut egui::Ui) {
        let ctx = ui.ctx().clone();
        self.derived.ctx.get_or_insert_with(|| ctx.clone());
        let (now, is_touched) = ctx.input(|input| (input.time, !input.events.is_empty()));
        if is_touched {
            self.frames.touch(now);
            if self.cost.is_software() {
                self.session.give_way(HAND);
            }
        }
        commands::presets::Preset::of_id(&self.session.settings().keymap).use_it();
        commands::custom::use_these(&self.session.settings().shortcuts);
        self.heed_device(&ctx);
        self.take_events(&ctx);
        self.take_dropped_files(&ctx);
        self.take_system_dialog();
        let mut facts = self.facts();
        self.frames.begin(now, self.cost.spent(), facts.jobs);
        frames::blink(&ctx, !facts.jobs);
        if !self.palette.is_open() && self.view.dialog.is_none() && !self.view.keys.is_listening() {
            self.tour.keys(&ctx, &self.session, &mut self.view, &mut self.queue);
            super::tools::outline::keys(&ctx, &mut self.view, &mut self.queue);
            let project = self.session.project();
            views::annotate::keys(&ctx, project, &mut self.view, &mut self.queue);
            // Tab belongs to whatever has the focus; only where nothing has, it leads to the next place.
            facts.places &= ctx.memory(|memory| memory.focused().is_none());
            let pressed = commands::pressed(&ctx, &facts);
            if pressed
                .iter()
                .any(|id| matches!(id, commands::CommandId::NextPlace | commands::CommandId::PreviousPlace))
            {
                ctx.memory_mut(|memory| memory.move_focus(egui::FocusDirection::None));
            }
            if !pressed.is_empty() {
                pressed.into_iter().for_each(|id| self.run(&ctx, id));
                facts = self.facts();
            }
        }
        if self.view.key_overlay
            && !self.view.keys.is_listening()
            && ctx.input(|i| i.key_pressed(egui::Key::Escape))
        {
            self.view.key_overlay = false;
        }
        film::follow(self.session.project(), &mut self.view);
        film::play(&ctx, &mut self.view);
        self.greet();
        self.tour.begin(facts, &self.session, &mut self.view, &mut self.queue);
        self.view.anchors.clear();
        self.draw(ui, facts);
        self.tour.show(&ctx, facts, &self.session, &mut self.view, &mut self.queue);
        if self.view.key_overlay {
            let settings = self.session.settings();
            let (open, changed) = keymap::show(&ctx, &mut self.view.keys, settings);
            self.view.key_overlay = open;
            if let Some(settings) = changed {
                self.queue.session(Command::SetSettings(Box::new(settings)));
            }
        }
        if let Some(id) = self.palette.show(&ctx, &facts) {
            self.queue.run(id);
        }
        dialogs::show(&ctx, &self.session, &mut self.view, &mut self.queue);
        self.messages.show(&ctx);
        self.take_picture(&ctx);
        self.apply_queue(&ctx);
        self.guard_close(&ctx);
        if facts.jobs {
            // Progress is shown while it is made.
            ctx.request_repaint_after(self.frames.next_progress(now));
        }
    }

    /// Does what the device's reports ask for.
    fn heed_device(&mut self, ctx: &egui::Context) {
        let Some(reports) = self.watch.as_ref().map(DeviceWatch::take) else { return };
        if reports.lost.is_some() {
            // Nothing can be drawn with it any more; what is in memory goes on in another window.
            (self.drawer, self.watch) = (None, None);
            if let Some(heir) = &self.heir {
                // What is left behind has the same settings: the memory they grant is the process's.
                let settings = self.session.settings().clone();
                heir.leave(std::mem::replace(&mut self.session, Session::new(settings)));
                self.leaving = true;
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            } else {
                let text = "The graphics device was lost: the views cannot be drawn. Save, and start the program again";
                self.messages.push(Level::Error, text);
            }
            return;
        }
        if reports.is_full
            && let Some(drawer) = &self.drawer
        {
            let bytes = drawer.draw_coarser();
            let text = format!(
                "The graphics device is out of memory: volumes take {} of it from now on, and are drawn coarser where they need more",
                widgets::bytes(bytes)
            );
            self.messages.push(Level::Warning, text);
        }
        if let Some(problem) = reports.other {
            self.messages.push(Level::Warning, format!("The graphics device refused something: {problem}"));
        }
    }

    /// The first demo cell of a user comes with the tour.
    fn greet(&mut self) {
        let is_new = self.greets && !self.session.settings().tour_seen;
        let is_demo = |layer: &crate::project::Layer| layer.provenance.op == "demo";
        if is_new && self.session.project().layers.iter().any(is_demo) {
            self.tour.want();
            self.note_tour();
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let project = self.session.project();
        Facts {
            project: !project.layers.is_empty(),
            volume: super::state::main_volume(project, &self.view).is_some(),
            labels: project.layers.iter().any(|layer| layer.labels().is_some()),
            file: project.layers.iter().any(|layer| layer.source.is_some()),
            prediction: self.session.live().prediction.is_some(),
            undo: self.session.undo_label().is_some(),
            redo: self.session.redo_label().is_some(),
            places: self.session.advice().is_some_and(|advice| !advice.places.is_empty()),
            objects: self.view.review.open && self.session.review().is_some(),
            object: self.view.review.open && self.view.review.chosen.is_some(),
            jobs: self.session.jobs().iter().any(|job| !job.state.is_over()),
        }
    }

    fn draw(&mut self, ui: &mut egui::Ui, facts: Facts) {
        let device = self.drawer.as_ref().map(|drawer| drawer.device().to_owned());
        let mut cx = Cx {
            session: &self.session,
            view: &mut self.view,
            queue: &mut self.queue,
            derived: &mut self.derived,
            facts,
            device: device.as_deref(),
            frames: &self.frames,
            past: None,
        };
        let t = theme::of(ui);
        let bar = |left: i8| {
            egui::Frame::new().fill(t.panel).inner_margin(egui::Margin { left, right: 8, top: 0, bottom: 0 })
        };
        egui::Panel::top("top-bar")
            .exact_size(theme::TOP_BAR)
            .frame(bar(14))
            .show(ui, |ui| top_bar::show(ui, &mut cx));
        egui::Panel::bottom("status-bar")
            .exact_size(theme::STATUS_BAR)
            .frame(bar(12))
            .show(ui, |ui| status_bar::show(ui, &mut cx));
        if !facts.project {
            egui::CentralPanel::default().frame(egui::Frame::new()).show(ui, |ui| welcome::show(ui, &mut cx));
            return;
        }
        let side = egui::Frame::new().fill(t.panel).inner_margin(egui::Margin::symmetric(12, 8));
        if cx.view.left_open {
            egui::Panel::left("left").default_size(252.0).size_range(200.0..=420.0).frame(side).show(
                ui,
                |ui| {
                    panels::left::show(ui, &mut cx);
                },
            );
        }
        if cx.view.right_open {
            egui::Panel::right("right").default_size(300.0).size_range(240.0..=460.0).frame(side).show(
                ui,
                |ui| {
                    panels::inspector::show(ui, &mut cx);
                },
            );
        }
        if cx.view.stage == Stage::Measure && panels::measure::has_table(&cx) {
            egui::Panel::bottom("measurements")
                .default_size(230.0)
                .size_range(110.0..=520.0)
                .resizable(true)
                .frame(side)
                .show(ui, |ui| panels::measure::results(ui, &mut cx));
        }
        if cx.view.stage == Stage::Segment && cx.view.review.open {
            egui::Panel::bottom("proofreading")
                .default_size(220.0)
                .size_range(130.0..=520.0)
                .resizable(true)
                .frame(side)
                .show(ui, |ui| panels::proofread::show(ui, &mut cx));
        }
        egui::CentralPanel::default().frame(egui::Frame::new().fill(t.ground)).show(ui, |ui| {
            views::show(ui, &mut cx, &mut self.dock, self.drawer.as_mut());
        });
    }

    fn take_events(&mut self, ctx: &egui::Context) {
        for event in self.session.poll() {
            match event {
                Event::Message { level, text } => self.messages.push(level_of(level), text),
                Event::ProjectReplaced => {
                    self.view = ViewState {
                        left_open: self.view.left_open,
                        right_open: self.view.right_open,
                        views: std::mem::take(&mut self.view.views).renewed(),
                        ..ViewState::default()
                    };
                    self.derived.retain(self.session.project());
                    self.derived.unsaved = None;
                    self.derived.surfaces.forget();
                    self.view.stage = stage_of(self.session.project());
                    KeptLook::read(self.session.project(), &mut self.view);
                }
                Event::ScanUnclear { path, options, problem } => {
                    let form = OpenForm::again(&path, Some(Role::Scan), &options, &problem);
                    self.view.ask(Dialog::Open(Box::new(form)));
                }
                Event::Unchosen { path, role, options, about, problem } => {
                    let form = OpenForm::again(&path, role, &options, &problem).with(about);
                    self.view.ask(Dialog::Open(Box::new(form)));
                }
                Event::TooLarge { path, read, problem } => {
                    self.view.ask(super::panels::levels::too_large(&path, read, &problem));
                }
                // Other strokes, other advice.
                Event::PredictionChanged if self.session.advice().is_none() => self.view.suggestion = None,
                Event::LayerAdded(id) => self.welcome_layer(id),
                Event::LayerChanged(id, bricks) => {
                    if let Some(drawer) = &mut self.drawer {
                        drawer.note_change(id, bricks);
                    }
                }
                Event::LayerRemoved(_) => self.derived.retain(self.session.project()),
                Event::Saved(path) => {
                    self.view.kept_look.note_saved();
                    self.messages.push(Level::Info, format!("Saved {}", path.display()));
                    if let Some(after) = self.after_save.take() {
                        self.leave(ctx, after);
                    }
                }
                Event::QuitReady => {
                    self.leaving = true;
                    ctx.send_viewport_cmd(egui::ViewportCommand::Close);
                }
                _ => {}
            }
        }
    }

    /// Brings the stage and the views to what has just come.
    fn welcome_layer(&mut self, id: crate::project::LayerId) {
        let Some(layer) = self.session.project().layer(id) else { return };
        match &layer.content {
            Content::Volume(_) if layer.provenance.op != "demo" => {
                self.view.stage = match self.view.stage {
                    Stage::Scan | Stage::Align
                        if panels::scan::scan_layer(self.session.project()).is_none() =>
                    {
                        Stage::Segment
                    }
                    Stage::Scan | Stage::Align => Stage::Reconstruct,
                    stage => stage,
                };
                if !layer.display.additive {
                    self.view.layer = None;
                }
            }
            _ => {}
        }
    }

    fn take_dropped_files(&mut self, ctx: &egui::Context) {
        let dropped: Vec<PathBuf> =
            ctx.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect());
        for path in dropped {
            self.open(ctx, path);
        }
    }

    fn take_system_dialog(&mut self) {
        let Some((browse, path, unavailable)) = self.system_dialog.as_ref().and_then(SystemDialog::poll)
        else {
            return;
        };
        self.system_dialog = None;
        if let Some(path) = path {
            dialogs::take_path(&mut self.view.dialog, browse, &path);
        } else if unavailable {
            self.messages.push(
                Level::Warning,
                "This system has no file dialog to offer (no desktop portal). Type or paste the path instead",
            );
        }
    }

    fn take_picture(&mut self, ctx: &egui::Context) {
        let Some(outcome) = self.view.picture.as_mut().and_then(|picture| picture.step(ctx)) else { return };
        let Some(picture) = self.view.picture.take() else { return };
        match outcome {
            Ok(()) => {
                self.view.exported = true;
                self.messages.push(Level::Info, format!("Saved {}", picture.path.display()));
            }
            Err(error) => self.messages.push(Level::Error, format!("The picture was not saved: {error}")),
        }
    }

    /// Asks before the window closes with work that is not saved.
    fn guard_close(&mut self, ctx: &egui::Context) {
        if !ctx.input(|input| input.viewport().close_requested()) || self.leaving {
            return;
        }
        if is_unsaved(&self.session, &self.view) {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.view.dialog = Some(Dialog::Unsaved(AfterSave::Quit));
        } else {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.session.apply(Command::Quit);
        }
        ctx.request_repaint();
    }

    /// Goes on after work was saved, or left unsaved on purpose.
    pub(super) fn leave(&mut self, ctx: &egui::Context, after: AfterSave) {
        match after {
            AfterSave::Quit => self.session.apply(Command::Quit),
            AfterSave::Close => self.session.apply(Command::CloseProject),
            AfterSave::Open(OpenWhat::Demo(cell)) => {
                self.session.apply(Command::NewProject);
                panels::demo::open(&mut self.session, cell);
            }
            AfterSave::Open(OpenWhat::Project(path)) => self.session.apply(Command::Open(path)),
        }
        ctx.request_repaint();
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.cost.tell(frame.info().cpu_usage.map_or(0.0, f64::from));
        self.frame(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        storage.set_string(Stored::KEY, self.dock.stored(&self.view).to_text());
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        theme::of_visuals(visuals).ground.to_normalized_gamma_f32()
    }
}

/// Where the work on a project stands: an opened project shows the inspector that comes next.
fn stage_of(project: &crate::project::Project) -> Stage {
    let has = |found: fn(&Content) -> bool| project.layers.iter().any(|layer| found(&layer.content));
    if has(|content| matches!(content, Content::Other(crate::ops::Data::Table(_)))) {
        Stage::Measure
    } else if project.layers.iter().any(|l| l.volume().is_some() && l.provenance.op != "demo") {
        Stage::Segment
    } else {
        Stage::Scan
    }
}

fn level_of(level: session::Level) -> Level {
    match level {
        session::Level::Info => Level::Info,
        session::Level::Warning => Level::Warning,
        session::Level::Error => Level::Error,
    }
}

/// What egui calls the theme of the settings.
pub(super) fn theme_preference(theme: Theme) -> egui::ThemePreference {
    match theme {
        Theme::Dark => egui::ThemePreference::Dark,
        Theme::Light => egui::ThemePreference::Light,
        Theme::System => egui::ThemePreference::System,
    }
}
