//! What the window costs the work in it: the same steps in a window and without one, as a table.
//!
//! `cargo run --example window_cost` needs a display; on a machine without a screen `xvfb-run -s "-screen 0 1440x900x24"` gives one.
//! Four steps: the demo cell, its reconstruction, the first prediction from strokes, and the prediction after one more stroke.
//! Nobody touches the window meanwhile. Seconds on the clock hold on a quiet machine only; those of the processor are of the
//! whole process (`/proc`, Linux), and how much of them drew frames.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::process::Command as Process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waterwindow::gui::{App, Start};
use waterwindow::ops::Provenance;
use waterwindow::ops::chain::{AlignSource, Chain};
use waterwindow::project::{Content, Edit, LabelLayer, Layer, LayerId, Project};
use waterwindow::segment::brush::{Brush, BrushShape, stamp_stroke};
use waterwindow::session::{Command, LiveRequest, Session, Settings};
use waterwindow::volume::Labels;

/// The steps, in order.
const STEPS: [&str; 4] = ["demo cell", "reconstruct", "first prediction", "prediction after a stroke"];

/// What a step took.
#[derive(Debug, Clone, Copy, Default)]
struct Took {
    seconds: f64,
    processor: f64,
    drawing: f64,
    frames: usize,
}

/// The steps on one session, whoever drives it.
struct Walk {
    at: usize,
    is_begun: bool,
    began: Instant,
    before: Took,
    took: Vec<Took>,
    revision: u64,
}

impl Walk {
    fn new() -> Self {
        let now = Took { processor: processor(), ..Took::default() };
        Self { at: 0, is_begun: false, began: Instant::now(), before: now, took: Vec::new(), revision: 0 }
    }

    /// Begins what is due, or notes that it is done; `so_far` tells frames and what they took.
    fn step(&mut self, session: &mut Session, so_far: Took) -> Result<(), Box<dyn Error>> {
        if !self.is_begun {
            self.revision = session.live().prediction.as_ref().map_or(0, |found| found.revision);
            (self.is_begun, self.began) = (true, Instant::now());
            self.before = Took { processor: processor(), ..so_far };
            return begin(self.at, session);
        }
        if self.is_done(session) {
            self.took.push(Took {
                seconds: self.began.elapsed().as_secs_f64(),
                processor: processor() - self.before.processor,
                drawing: so_far.drawing - self.before.drawing,
                frames: so_far.frames - self.before.frames,
            });
            (self.at, self.is_begun) = (self.at + 1, false);
        }
        Ok(())
    }

    fn is_done(&self, session: &Session) -> bool {
        let project = session.project();
        match self.at {
            0 => find(project, "demo", |layer| matches!(layer.content, Content::Scan(_))).is_some(),
            1 => find(project, "reconstruct", |layer| layer.volume().is_some()).is_some(),
            _ => session.live().prediction.as_ref().is_some_and(|found| found.revision > self.revision),
        }
    }

    fn is_over(&self) -> bool {
        self.at == STEPS.len()
    }
}

fn find<'a>(project: &'a Project, op: &str, fits: impl Fn(&Layer) -> bool) -> Option<&'a Layer> {
    project.from_top().find(|layer| layer.provenance.op == op && fits(layer))
}

fn begin(step: usize, session: &mut Session) -> Result<(), Box<dyn Error>> {
    match step {
        0 => session.apply(Command::OpenDemo(json!({ "cell": "yeast" }))),
        1 => {
            let scan = find(session.project(), "demo", |layer| matches!(layer.content, Content::Scan(_)));
            let scan = scan.ok_or("no scan")?.id;
            let align = AlignSource::Find(Value::Null);
            let chain = Chain { normalize: Value::Null, align, reconstruct: Value::Null };
            session.apply(Command::Reconstruct { scan, chain: Box::new(chain), name: None });
        }
        2 => {
            let (volume, strokes) = stroke_layer(session)?;
            paint(session, strokes, &[0.35, 0.5, 0.65])?;
            let (params, base, halves) = (Value::Null, None, None);
            session.apply(Command::Classify(LiveRequest {
                volume,
                strokes,
                params,
                base,
                halves,
                follow: true,
            }));
        }
        _ => {
            let strokes = find(session.project(), "painted", |_| true).ok_or("no strokes")?.id;
            paint(session, strokes, &[0.45])?;
        }
    }
    Ok(())
}

/// The volume, and a new layer for strokes on its grid.
fn stroke_layer(session: &mut Session) -> Result<(LayerId, LayerId), Box<dyn Error>> {
    let layer = find(session.project(), "reconstruct", |layer| layer.volume().is_some());
    let layer = layer.ok_or("no volume")?;
    let (id, grid) = (layer.id, layer.volume().ok_or("no volume")?);
    let content = Content::Labels(LabelLayer::new(Labels::new(grid.shape()), grid.voxel_um, grid.origin_um));
    let record = Provenance::new("painted", Value::Null, vec![layer.name.clone()], Vec::new());
    let added = Edit::AddLayer { index: usize::MAX, layer: Box::new(Layer::new("labels", content, record)) };
    session.apply(Command::Edit { label: "Add labels".to_owned(), edit: added });
    Ok((id, find(session.project(), "painted", |_| true).ok_or("no strokes")?.id))
}

/// A stroke of every class that has room for one in these slices, given as parts of the depth.
fn paint(session: &mut Session, strokes: LayerId, slices: &[f64]) -> Result<(), Box<dyn Error>> {
    let truth = find(session.project(), "demo", |layer| layer.labels().is_some());
    let truth = truth.and_then(Layer::labels).ok_or("no truth")?.labels.clone();
    let n = truth.shape()[0];
    for z in slices.iter().map(|part| (part * n as f64) as usize) {
        for (class, y, x) in runs(&truth, z) {
            let ends = [x + 2, x + 6].map(|x| [z as f64, y as f64, x as f64]);
            let brush = Brush { shape: BrushShape::Disc, radius_voxels: 1.5, class, ..Brush::default() };
            session.paint(strokes, None, |labels, volume, _| {
                stamp_stroke(labels, volume, ends[0], ends[1], &brush)
            })?;
        }
    }
    session.end_stroke("Paint");
    Ok(())
}

/// The first nine voxels in a row of every class of a slice: class, row, first column.
fn runs(truth: &Labels, z: usize) -> Vec<(u16, usize, usize)> {
    let [_, n_rows, n_cols] = truth.shape();
    let mut found = std::collections::BTreeMap::new();
    for y in 0..n_rows {
        for x in (0..n_cols.saturating_sub(9)).step_by(4) {
            let class = truth.get([z, y, x]);
            if class != 0 && (1..9).all(|dx| truth.get([z, y, x + dx]) == class) {
                found.entry(class).or_insert((y, x));
            }
        }
    }
    found.into_iter().map(|(class, (y, x))| (class, y, x)).collect()
}

/// Processor time of this process so far, seconds, in ticks of 10 ms; 0 where the system does not say.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        / 100.0
}

/// The window, in which the walk takes a step with every frame.
struct Driven {
    app: App,
    walk: Walk,
    frames: usize,
}

impl eframe::App for Driven {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        // What was done before this frame is on the screen now.
        let so_far = Took { frames: self.frames, drawing: self.app.frames_spent(), ..Took::default() };
        let ctx = ui.ctx().clone();
        let n_done = self.walk.took.len();
        if let Err(error) = self.walk.step(self.app.session_mut(), so_far) {
            println!("stopped: {error}");
            std::process::exit(1);
        }
        eframe::App::ui(&mut self.app, ui, frame);
        self.frames += 1;
        if self.walk.is_over() {
            print(&self.walk.took);
            // A window that is closed would ask whether the cell is to be saved.
            std::process::exit(0);
        }
        if self.walk.took.len() > n_done || (!self.walk.is_begun || self.walk.is_done(self.app.session())) {
            ctx.request_repaint_after(Duration::from_nanos(1));
        }
    }
}

/// Opens the window and goes through the steps in it; ends the process with them.
fn in_a_window() -> Result<(), Box<dyn Error>> {
    let mut setup = egui_wgpu::WgpuSetupCreateNew::without_display_handle();
    setup.device_descriptor = Arc::new(waterwindow::gpu::device::device_descriptor);
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size([1440.0, 900.0]),
        wgpu_options: egui_wgpu::WgpuConfiguration {
            wgpu_setup: egui_wgpu::WgpuSetup::CreateNew(setup),
            ..Default::default()
        },
        ..Default::default()
    };
    let session = Session::new(Settings::default());
    let made = move |creation: &eframe::CreationContext<'_>| {
        let state = creation.wgpu_render_state.as_ref();
        let app = App::with_session(&creation.egui_ctx, state, session, Start::default());
        let driven = Driven { app, walk: Walk::new(), frames: 0 };
        Ok(Box::new(driven) as Box<dyn eframe::App>)
    };
    Ok(eframe::run_native("window_cost", options, Box::new(made))?)
}

/// One line a step, for the process that asked for it.
fn print(took: &[Took]) {
    for Took { seconds, processor, drawing, frames } in took {
        println!("{seconds} {processor} {drawing} {frames}");
    }
}

fn without_a_window() -> Result<Vec<Took>, Box<dyn Error>> {
    let (mut session, mut walk) = (Session::new(Settings::default()), Walk::new());
    while !walk.is_over() {
        session.poll();
        walk.step(&mut session, Took::default())?;
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(walk.took)
}

/// The steps in a process of their own, so that neither warms anything up for the other.
fn beside(which: &str) -> Result<Vec<Took>, Box<dyn Error>> {
    let done = Process::new(std::env::current_exe()?).arg(which).output()?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let numbers =
        |line: &str| -> Vec<f64> { line.split_whitespace().filter_map(|n| n.parse().ok()).collect() };
    let took = text.lines().map(numbers).filter(|row| row.len() == 4);
    let took: Vec<Took> = took
        .map(|row| Took { seconds: row[0], processor: row[1], drawing: row[2], frames: row[3] as usize })
        .collect();
    if took.len() < STEPS.len() {
        return Err(format!("{which} ended early: {text}{}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(took)
}

fn main() -> Result<(), Box<dyn Error>> {
    let which = std::env::args().nth(1).unwrap_or_default();
    match which.as_str() {
        "--window" => in_a_window(),
        "--none" => without_a_window().map(|took| print(&took)),
        _ => table(),
    }
}

fn table() -> Result<(), Box<dyn Error>> {
    let (none, window) = (beside("--none")?, beside("--window")?);
    println!(
        "| | without a window, s | processor, s | in a window, s | as many times | processor, s | of it frames, s | frames |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ((name, none), window) in STEPS.iter().zip(none).zip(window) {
        let times = window.seconds / none.seconds;
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {times:.2} | {:.2} | {:.2} | {} |",
            none.seconds, none.processor, window.seconds, window.processor, window.drawing, window.frames
        );
    }
    Ok(())
}
