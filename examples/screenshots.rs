//! Takes the pictures of the README from the program itself: the window, drawn without a screen.
//!
//! `cargo run --example screenshots -- FOLDER` walks from the welcome page to the table of a demo cell.

#![expect(clippy::print_stderr, reason = "a script says what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use serde_json::json;
use waterwindow::gui::{App, Start};
use waterwindow::project::{LayerId, Project};
use waterwindow::segment::brush::{Brush, BrushShape, stamp_stroke};
use waterwindow::session::{Command, Session, Settings};
use waterwindow::volume::Labels;

/// Runs of one class along x: slice, row, first column, length.
fn longest_runs(truth: &Labels, slice: usize) -> Vec<(u16, usize, usize, usize)> {
    let [_, ny, nx] = truth.shape();
    let mut best: std::collections::BTreeMap<u16, (usize, usize, usize)> = std::collections::BTreeMap::new();
    for y in 0..ny {
        let mut start = 0;
        for x in 1..=nx {
            let id = truth.get([slice, y, start]);
            if x == nx || truth.get([slice, y, x]) != id {
                // Forty voxels are long enough; then the nearer to the middle of the slice the better.
                let rank = |y: usize, n: usize| (n.min(40), std::cmp::Reverse(y.abs_diff(ny / 2)));
                let entry = best.entry(id).or_default();
                if rank(y, x - start) > rank(entry.0, entry.2) {
                    *entry = (y, start, x - start);
                }
                start = x;
            }
        }
    }
    best.into_iter().map(|(id, (y, x, n))| (id, y, x, n)).collect()
}

fn layer(project: &Project, op: &str, labels: bool) -> Result<LayerId, String> {
    let found = project.from_top().find(|l| l.provenance.op == op && (!labels || l.labels().is_some()));
    found.map(|layer| layer.id).ok_or_else(|| format!("no layer of {op}"))
}

struct Walk {
    harness: Harness<'static, App>,
    folder: PathBuf,
}

impl Walk {
    fn new(size: [f32; 2], folder: &Path) -> Self {
        let state = egui_kittest::wgpu::create_render_state(
            egui_kittest::wgpu::default_wgpu_setup(),
            egui_wgpu::RendererOptions::PREDICTABLE,
        );
        let for_app = state.clone();
        let harness = Harness::builder()
            .with_size(size)
            .with_max_steps(64)
            .renderer(egui_kittest::wgpu::WgpuTestRenderer::from_render_state(state))
            .build_eframe(move |creation| {
                let session = Session::new(Settings::default());
                App::with_session(&creation.egui_ctx, Some(&for_app), session, Start::default())
            });
        Self { harness, folder: folder.to_owned() }
    }

    /// Frames until no job is left and the views are fine.
    fn settle(&mut self) {
        while self.harness.state().session().jobs().iter().any(|job| !job.state.is_over()) {
            self.harness.step();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        // A software driver draws the volume in pieces between the frames.
        for _ in 0..150 {
            self.harness.step();
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
    }

    fn session(&mut self, command: Command) {
        self.harness.state_mut().session_mut().apply(command);
        self.settle();
    }

    fn click(&mut self, label: &str) {
        let role = egui::accesskit::Role::Button;
        let found = self.harness.query_by_role_and_label(role, label);
        found.unwrap_or_else(|| self.harness.get_by_label(label)).click();
        self.settle();
    }

    fn picture(&mut self, name: &str) -> Result<(), Box<dyn Error>> {
        self.settle();
        let path = self.folder.join(format!("{name}.png"));
        let mut tries = 0;
        let picture = loop {
            match self.harness.render() {
                Ok(picture) => break picture,
                // A busy software driver may not answer in time.
                Err(_) if tries < 5 => tries += 1,
                Err(error) => return Err(error.into()),
            }
        };
        // Flat areas of a window pack best without a filter.
        let file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::NoFilter);
        picture.write_with_encoder(encoder)?;
        eprintln!("{}", path.display());
        Ok(())
    }

    /// Paints short strokes inside the true classes of a few slices, as a person would.
    fn paint(&mut self) -> Result<(), Box<dyn Error>> {
        let session = self.harness.state_mut().session_mut();
        let truth_layer = layer(session.project(), "demo", true)?;
        let truth = session.project().labels(truth_layer).ok_or("no truth")?.labels.clone();
        let target = layer(session.project(), "painted", true)?;
        let ice = session.project().classes.classes.iter().find(|class| class.name == "ice");
        let ice = ice.map_or(8, |class| class.id);
        let n = truth.shape()[0];
        for slice in [0.3, 0.4, 0.5, 0.6, 0.7].map(|f: f64| (f * n as f64) as usize) {
            for (id, y, x, length) in longest_runs(&truth, slice) {
                let half = length.min(40) / 4;
                let middle = x + length / 2;
                let ends = [middle - half, middle + half].map(|x| [slice as f64, y as f64, x as f64]);
                let class = if id == 0 { ice } else { id };
                let brush = Brush { shape: BrushShape::Disc, radius_voxels: 1.5, class, ..Brush::default() };
                session.paint(target, None, |labels, volume, _| {
                    stamp_stroke(labels, volume, ends[0], ends[1], &brush)
                })?;
                session.end_stroke("Paint");
            }
        }
        self.settle();
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "screenshots".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let mut walk = Walk::new([1440.0, 900.0], &folder);
    walk.picture("welcome")?;
    walk.session(Command::OpenDemo(json!({ "cell": "yeast", "jitter": 3 })));
    walk.picture("scan")?;
    walk.click("Reconstruct");
    walk.picture("reconstruction")?;
    walk.click("Stage Align");
    walk.picture("alignment")?;
    walk.click("Stage Quality");
    walk.click("Judge");
    walk.click("Along the axes");
    walk.picture("quality")?;

    walk.click("Stage Segment");
    walk.click("Brush");
    // The first stroke makes the layer.
    let rect = walk.harness.get_by_label("Slice XY").rect();
    walk.harness.drag_at(rect.center());
    walk.harness.step();
    walk.harness.drop_at(rect.center());
    walk.settle();
    walk.session(Command::Undo);
    if layer(walk.harness.state().session().project(), "painted", true).is_err() {
        walk.session(Command::Redo);
    }
    walk.paint()?;
    walk.picture("painting")?;
    walk.click("Classify");
    walk.picture("classification")?;
    walk.click("Accept into labels");
    walk.picture("overview")?;
    walk.click("Maximise 3D");
    walk.picture("volume")?;
    walk.click("Maximise 3D");
    walk.click("Stage Measure");
    walk.click("Measure");
    walk.picture("table")?;
    walk.click("Dark or light");
    walk.picture("light")?;
    Ok(())
}
