//! The whole way without a window: what a session does, keeps, and gives back after a crash.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::panic, reason = "a test says what is wrong")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use serde_json::{Value, json};
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::io;
use waterwindow::measure::ruler::RulerKind;
use waterwindow::ops::Provenance;
use waterwindow::ops::chain::Chain;
use waterwindow::project::{Annotation, Content, Edit, LabelLayer, Layer, LayerId};
use waterwindow::segment::brush::{Brush, BrushShape, stamp_stroke};
use waterwindow::session::{
    Acceptance, Command, Event, ExportKind, Level, LiveRequest, MeshFormat, Role, ScanOptions, Session,
    Settings, SourcePart, Verdict,
};
use waterwindow::volume::{Class, Labels, Mark};

const SIZE: usize = 48;

/// What a session said, as text.
fn said(events: &[Event]) -> Vec<(Level, String)> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Message { level, text } => Some((*level, text.clone())),
            _ => None,
        })
        .collect()
}

/// Applies a command, waits for what comes of it, and fails on any error message.
fn go(session: &mut Session, command: Command) -> Vec<Event> {
    session.apply(command);
    let events = session.wait_idle();
    for (level, text) in said(&events) {
        assert!(level != Level::Error, "{text}");
    }
    events
}

/// Applies a command that must fail; gives the sentence.
fn refused(session: &mut Session, command: Command) -> String {
    session.apply(command);
    let events = session.wait_idle();
    let errors: Vec<_> = said(&events).into_iter().filter(|(level, _)| *level == Level::Error).collect();
    let [(_, text)] = errors.as_slice() else { panic!("one sentence is expected, found {errors:?}") };
    assert!(!text.contains('\n'), "{text}");
    text.clone()
}

fn layer(session: &Session, found: impl Fn(&Layer) -> bool) -> LayerId {
    session.project().from_top().find(|layer| found(layer)).unwrap().id
}

fn demo(session: &mut Session) {
    go(session, Command::OpenDemo(json!({ "size": SIZE, "views": 40, "seed": 5 })));
}

fn reconstruct(session: &mut Session) -> LayerId {
    let scan = layer(session, |layer| matches!(layer.content, Content::Scan(_)));
    go(session, Command::Reconstruct { scan, chain: Box::default(), name: None });
    layer(session, |layer| layer.provenance.op == "reconstruct")
}

fn class(id: u16, name: &str) -> Class {
    let (name, color) = (name.to_owned(), [90, 140, 200]);
    Class { id, name, color, parent: None, go_id: None, typical_lac: None, visible: true, locked: false }
}

/// An empty label layer on the grid of a volume, with two classes.
fn label_layer(session: &mut Session, volume: LayerId) -> LayerId {
    for (id, name) in [(1, "inside"), (2, "outside")] {
        let class = class(id, name);
        go(session, Command::Edit { label: "Add class".to_owned(), edit: Edit::SetClass(class) });
    }
    let grid = session.project().volume(volume).unwrap();
    let content = Content::Labels(LabelLayer::new(Labels::new(grid.shape()), grid.voxel_um, grid.origin_um));
    let painted = Provenance::new("painted".to_owned(), Value::Null, Vec::new(), Vec::new());
    let layer_of_strokes = Box::new(Layer::new("labels".to_owned(), content, painted));
    let edit = Edit::AddLayer { index: usize::MAX, layer: layer_of_strokes };
    go(session, Command::Edit { label: "Add labels".to_owned(), edit });
    layer(session, |layer| layer.provenance.op == "painted")
}

/// One stroke along x in the middle slice.
fn stroke(session: &mut Session, labels: LayerId, class: u16, y: f64, x: [f64; 2]) {
    let z = SIZE as f64 / 2.0;
    let brush = Brush { shape: BrushShape::Ball, radius_voxels: 2.0, class, ..Brush::default() };
    session
        .paint(labels, None, |map, volume, _| stamp_stroke(map, volume, [z, y, x[0]], [z, y, x[1]], &brush))
        .unwrap();
    session.end_stroke("Paint");
    session.wait_idle();
}

/// A session with a reconstructed cell and a stroke of each of two classes.
fn painted(session: &mut Session) -> (LayerId, LayerId) {
    demo(session);
    let volume = reconstruct(session);
    let strokes = label_layer(session, volume);
    stroke(session, strokes, 1, 24.0, [18.0, 30.0]);
    stroke(session, strokes, 2, 2.0, [2.0, 45.0]);
    (volume, strokes)
}

fn classify(session: &mut Session, volume: LayerId, strokes: LayerId, follow: bool) {
    let request = LiveRequest { volume, strokes, params: Value::Null, base: None, halves: None, follow };
    go(session, Command::Classify(request));
    // Features land first and ask for the prediction.
    go(session, Command::ClearFinishedJobs);
}

#[test]
fn half_sets_are_found_and_tell_live_classification_the_noise() {
    let mut session = Session::new(Settings::default());
    let (volume, strokes) = painted(&mut session);
    assert_eq!(session.half_sets(volume), None, "there are none yet");
    let scan = layer(&session, |layer| matches!(layer.content, Content::Scan(_)));
    for half in ["even", "odd"] {
        let chain = Chain { reconstruct: json!({ "half": half }), ..Chain::default() };
        go(&mut session, Command::Reconstruct { scan, chain: Box::new(chain), name: None });
    }
    let half = |half: &str| layer(&session, |layer| layer.provenance.params["reconstruct"]["half"] == half);
    let pair = [half("even"), half("odd")];
    assert_eq!(session.half_sets(volume), Some(pair));
    assert_eq!(session.half_sets(pair[0]), None, "a half has no halves");

    let request =
        LiveRequest { volume, strokes, params: Value::Null, base: None, halves: Some(pair), follow: false };
    go(&mut session, Command::Classify(request.clone()));
    go(&mut session, Command::ClearFinishedJobs);
    let heard = session.live().prediction.clone().unwrap();
    assert!(heard.classifier.knows_noise());
    go(&mut session, Command::Classify(LiveRequest { halves: None, ..request.clone() }));
    go(&mut session, Command::ClearFinishedJobs);
    let unheard = session.live().prediction.clone().unwrap();
    assert!(!unheard.classifier.knows_noise());
    assert!(heard.uncertainty.data != unheard.uncertainty.data, "the noise changes what is sure");

    // A half-set that is gone is said, and nothing is classified without it.
    let edit = Edit::RemoveLayer(pair[1]);
    go(&mut session, Command::Edit { label: "Remove layer".to_owned(), edit });
    go(&mut session, Command::Classify(request));
    assert!(session.live().status.contains("half-set has been removed"), "{}", session.live().status);
}

#[test]
fn resolution_belongs_to_the_volume_that_was_judged() {
    let mut session = Session::new(Settings::default());
    demo(&mut session);
    let plain = reconstruct(&mut session);
    let scan = layer(&session, |layer| matches!(layer.content, Content::Scan(_)));
    let chain = Chain { reconstruct: json!({ "method": "sirt", "iterations": 2 }), ..Chain::default() };
    go(&mut session, Command::Reconstruct { scan, chain: Box::new(chain), name: None });
    let sirt = layer(&session, |layer| layer.provenance.params["reconstruct"]["method"] == "sirt");
    assert_ne!(plain, sirt);

    go(&mut session, Command::Assess { volume: plain, params: Value::Null });
    let halves = session.half_sets(plain).unwrap();
    assert_eq!(session.half_sets(sirt), None, "halves of another method tell nothing of this one");
    let folder = tempfile::tempdir().unwrap();
    let report = |session: &mut Session, layer: LayerId, name: &str| {
        let path = folder.path().join(name);
        go(session, Command::Export { what: ExportKind::Report, layer, path: path.clone() });
        std::fs::read_to_string(path).unwrap()
    };
    let shows_curve = |page: &str| page.contains("<h2>Resolution");
    assert!(shows_curve(&report(&mut session, plain, "plain.html")));
    assert!(!shows_curve(&report(&mut session, sirt, "sirt.html")), "a curve of another volume is not shown");

    go(&mut session, Command::Assess { volume: sirt, params: Value::Null });
    assert!(shows_curve(&report(&mut session, sirt, "judged.html")));
    let own = session.half_sets(sirt).unwrap();
    assert!(own.iter().all(|half| !halves.contains(half)));
    assert_eq!(session.half_sets(plain), Some(halves));
}

/// What a project holds, for comparing: names, operations, voxels.
fn contents(session: &Session) -> BTreeMap<String, (String, u64)> {
    let hash = |bytes: &[u8]| {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
    };
    let content = |layer: &Layer| match &layer.content {
        Content::Volume(volume) => hash(bytemuck::cast_slice(volume.values())),
        Content::Labels(labels) => hash(bytemuck::cast_slice(labels.labels.to_dense().as_slice().unwrap())),
        Content::Alignment(alignment) => hash(&serde_json::to_vec(alignment.as_ref()).unwrap()),
        Content::Other(waterwindow::ops::Data::Table(table)) => hash(table.to_csv().as_bytes()),
        Content::Missing(missing) => panic!("{missing:?}"),
        _ => 0,
    };
    let mut found: BTreeMap<_, _> = session
        .project()
        .layers
        .iter()
        .map(|layer| (layer.name.clone(), (layer.provenance.op.clone().into_owned(), content(layer))))
        .collect();
    let classes = serde_json::to_vec(&session.project().classes).unwrap();
    found.insert("classes".to_owned(), (String::new(), hash(&classes)));
    found
}

#[test]
fn a_scan_becomes_a_table_and_comes_back_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::at(&folder.path().join("home"));
    let (volume, strokes) = painted(&mut session);
    assert!(session.project().layers.iter().any(|l| matches!(l.content, Content::Alignment(_))));
    classify(&mut session, volume, strokes, true);
    let first = session.live().prediction.clone().unwrap();
    assert_eq!(first.labels.ids(), [1, 2], "every voxel has a painted class");

    stroke(&mut session, strokes, 1, 40.0, [20.0, 24.0]);
    let second = session.live().prediction.clone().unwrap();
    assert!(second.revision > first.revision, "a stroke predicts again");

    go(&mut session, Command::AcceptPrediction(Acceptance::default()));
    assert!(session.live().prediction.is_none());
    let labels = layer(&session, |layer| layer.provenance.op == "segment");
    assert_eq!(session.project().labels(labels).unwrap().labels, second.labels);
    let inputs = vec![("volume".to_owned(), volume), ("labels".to_owned(), labels)];
    let params = Value::Null;
    go(&mut session, Command::StartOp { op: "measure".to_owned(), params, inputs, name: None });
    let table = layer(&session, |layer| layer.provenance.op == "measure");

    let csv = folder.path().join("table.csv");
    go(&mut session, Command::Export { what: ExportKind::Table, layer: table, path: csv.clone() });
    assert!(std::fs::read_to_string(csv).unwrap().starts_with("class,name,object,voxels,volume_um3"));
    let meshes = folder.path().join("meshes");
    let what = ExportKind::Meshes(MeshFormat::Ply);
    go(&mut session, Command::Export { what, layer: labels, path: meshes.clone() });
    assert_eq!(std::fs::read_dir(meshes).unwrap().count(), 2, "a mesh for each class");

    let path = folder.path().join("cell.waterwindow");
    go(&mut session, Command::SaveAs(path.clone()));
    assert!(!session.is_dirty());
    let saved = contents(&session);
    drop(session);

    let mut session = Session::at(&folder.path().join("home"));
    assert_eq!(session.settings().recent.first().unwrap().path, path.canonicalize().unwrap());
    go(&mut session, Command::Open(path));
    assert_eq!(contents(&session), saved);
    assert!(!session.is_dirty());
    // The history goes on where it was.
    assert_eq!(session.undo_label(), Some("Add measure"));
    go(&mut session, Command::Undo);
    go(&mut session, Command::Undo);
    assert!(!session.project().layers.iter().any(|layer| layer.provenance.op == "segment"));
    go(&mut session, Command::Undo);
    assert_eq!(
        session.project().labels(strokes).unwrap().labels.get([24, 40, 22]),
        0,
        "the stroke is undone"
    );
    for _ in 0..3 {
        go(&mut session, Command::Redo);
    }
    assert_eq!(contents(&session), saved);
}

#[test]
fn work_that_was_never_saved_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::at(folder.path());
    painted(&mut session);
    let before = contents(&session);
    assert!(session.recoverable().is_empty(), "what is open is not offered");
    // A program that ends without a word: nothing is told to the session.
    drop(session);

    let mut session = Session::at(folder.path());
    let found = session.recoverable();
    assert_eq!(found.len(), 1);
    let path = found.first().unwrap().path.clone();
    go(&mut session, Command::Open(path.clone()));
    assert_eq!(contents(&session), before);
    assert!(session.is_dirty());
    assert_eq!(session.undo_label(), Some("Paint"));

    go(&mut session, Command::DiscardChanges);
    assert!(session.project().is_empty());
    assert!(session.recoverable().is_empty(), "it was thrown away");
    assert!(!path.exists());
}

#[test]
fn the_window_and_the_command_line_give_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| {
        let mut process = Process::new(env!("CARGO_BIN_EXE_waterwindow"));
        let output = process.current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["demo", "--size", "48", "--views", "40", "--seed", "5", "--jitter", "2", "--out", "demo"]);
    run(&["reconstruct", "demo/scan.h5", "-o", "rec.mrc"]);

    let mut session = Session::new(Settings::default());
    let path = at("demo/scan.h5");
    go(&mut session, Command::OpenWith { path, role: Some(Role::Scan), options: ScanOptions::default() });
    let volume = reconstruct(&mut session);
    let ours = session.project().volume(volume).unwrap().clone();
    let read =
        |name: &str| io::read_volume(&at(name), &Progress::new(), MemoryBudget::from_system()).unwrap();
    let theirs = read("rec.mrc");
    assert_eq!(ours.shape(), theirs.shape());
    assert!(ours.values().iter().zip(theirs.values()).all(|(a, b)| a.to_bits() == b.to_bits()));

    let strokes = label_layer(&mut session, volume);
    stroke(&mut session, strokes, 1, 24.0, [18.0, 30.0]);
    stroke(&mut session, strokes, 2, 2.0, [2.0, 45.0]);
    let (what, path) = (ExportKind::Layer, at("strokes.mrc"));
    go(&mut session, Command::Export { what, layer: strokes, path });
    classify(&mut session, volume, strokes, false);
    let ours = session.live().prediction.clone().unwrap();
    run(&["segment", "rec.mrc", "--scribbles", "strokes.mrc", "-o", "labels.mrc", "--uncertainty", "u.mrc"]);
    let (file, everything) = (at("labels.mrc"), io::ReadOptions::default());
    let theirs =
        io::read_labels(&file, &everything, &Progress::new(), MemoryBudget::from_system()).unwrap().volume;
    assert_eq!(ours.labels.to_dense(), theirs.data);
    assert_eq!(ours.uncertainty.values(), read("u.mrc").values());
}

#[test]
fn a_project_that_is_open_elsewhere_is_opened_for_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cell.waterwindow");
    let mut first = Session::new(Settings::default());
    demo(&mut first);
    go(&mut first, Command::SaveAs(path.clone()));
    let mut second = Session::new(Settings::default());
    go(&mut second, Command::Open(path.clone()));
    assert!(second.read_only());
    assert_eq!(contents(&second), contents(&first));
    go(
        &mut second,
        Command::Edit { label: "Rename".to_owned(), edit: Edit::RenameProject("copy".to_owned()) },
    );
    assert!(refused(&mut second, Command::Save).contains("save it under another name"));
    let other = folder.path().join("copy.waterwindow");
    go(&mut second, Command::SaveAs(other.clone()));
    assert!(!second.read_only() && !second.is_dirty());
    go(&mut first, Command::Save);

    let mut third = Session::new(Settings::default());
    go(&mut third, Command::NewProject);
    drop(second);
    go(&mut third, Command::Open(other));
    assert_eq!(third.project().name, "copy");
}

#[test]
fn a_missing_input_leaves_its_place_and_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::new(Settings::default());
    demo(&mut session);
    let volume = reconstruct(&mut session);
    let (what, file) = (ExportKind::Layer, folder.path().join("tomogram.mrc"));
    go(&mut session, Command::Export { what, layer: volume, path: file.clone() });
    go(&mut session, Command::NewProject);
    go(&mut session, Command::Open(file.clone()));
    let volume = layer(&session, |layer| layer.volume().is_some());
    let strokes = label_layer(&mut session, volume);
    stroke(&mut session, strokes, 1, 24.0, [18.0, 30.0]);
    let map = session.project().labels(strokes).unwrap().labels.clone();
    let path = folder.path().join("cell.waterwindow");
    go(&mut session, Command::SaveAs(path.clone()));
    go(&mut session, Command::NewProject);

    let aside = folder.path().join("aside.mrc");
    std::fs::rename(&file, &aside).unwrap();
    let events = go(&mut session, Command::Open(path.clone()));
    let warnings = said(&events);
    assert!(warnings.iter().any(|(_, text)| text.contains("tomogram.mrc")), "{warnings:?}");
    let missing = session.project().layer(volume).unwrap();
    assert!(matches!(missing.content, Content::Missing(_)));
    assert_eq!(missing.name, "tomogram");
    assert_eq!(session.project().labels(strokes).unwrap().labels, map);
    go(&mut session, Command::Save);

    std::fs::rename(&aside, &file).unwrap();
    go(&mut session, Command::NewProject);
    go(&mut session, Command::Open(path));
    assert!(session.project().volume(volume).is_some(), "it is back once its file is");
}

fn annotation(id: u64, points_um: Vec<[f64; 3]>) -> Annotation {
    Annotation {
        id,
        name: format!("line {id}"),
        kind: RulerKind::Distance,
        points_um,
        right: [1.0, 0.0, 0.0],
        down: [0.0, 0.0, 1.0],
        width_px: 3,
        visible: true,
    }
}

#[test]
fn annotations_survive_a_crash_and_a_save_and_a_damaged_one_is_left_out_with_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let mut session = Session::at(&home);
    let list = vec![
        annotation(1, vec![[0.1, 0.2, 1.0 / 3.0], [4.0, 5.0, 1e-7]]),
        annotation(2, vec![[0.0; 3], [1.0, 0.0, 1.0]]),
    ];
    for n in [1, 2] {
        let edit = Edit::SetAnnotations(list.iter().take(n).cloned().collect());
        go(&mut session, Command::Edit { label: format!("Add {n}"), edit });
    }
    let bad = Edit::SetAnnotations(vec![annotation(3, vec![[f64::NAN; 3], [0.0; 3]])]);
    let sentence = refused(&mut session, Command::Edit { label: "Add".to_owned(), edit: bad });
    assert!(sentence.contains("line 3"), "{sentence}");
    drop(session);

    let mut session = Session::at(&home);
    let path = session.recoverable().first().unwrap().path.clone();
    go(&mut session, Command::Open(path));
    assert_eq!(session.project().annotations, list, "the same bits out of the journal");
    go(&mut session, Command::Undo);
    assert_eq!(session.project().annotations.len(), 1);
    go(&mut session, Command::Redo);
    let saved = folder.path().join("cell.waterwindow");
    go(&mut session, Command::SaveAs(saved.clone()));
    go(&mut session, Command::NewProject);

    let file = saved.join("project.json");
    let mut stored: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    stored["annotations"][0]["points_um"] = json!([[0.0, 0.0, 0.0]]);
    std::fs::write(&file, stored.to_string()).unwrap();
    let events = go(&mut session, Command::Open(saved));
    let warnings = said(&events);
    assert!(
        warnings.iter().any(|(_, text)| text.contains("line 1") && text.contains("left out")),
        "{warnings:?}"
    );
    assert_eq!(session.project().annotations, list[1..]);
}

/// Cuts a journal anywhere: what was whole before the cut is there, and the rest does no harm.
#[test]
fn a_torn_journal_gives_back_the_steps_before_the_tear() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::at(&folder.path().join("home"));
    let names: Vec<String> = (0..12).map(|n| format!("name {n}")).collect();
    for name in &names {
        // A label of its own keeps the steps from being taken for one gesture.
        let edit = Edit::SetClass(class(1, name));
        go(&mut session, Command::Edit { label: name.clone(), edit });
    }
    drop(session);
    let mut session = Session::at(&folder.path().join("home"));
    let path = session.recoverable().first().unwrap().path.clone();
    let journal = std::fs::read_dir(path.join("journal")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&journal).unwrap();
    let mut last = names.len();
    for cut in (0..whole.len()).rev().step_by(37) {
        std::fs::write(&journal, whole.get(..cut).unwrap()).unwrap();
        session.apply(Command::Open(path.clone()));
        session.wait_idle();
        let name = session.project().classes.get(1).map(|class| class.name.clone());
        let n = name.map_or(0, |name| names.iter().position(|n| *n == name).unwrap() + 1);
        assert!(n <= last, "a longer journal holds at least as many steps: {n} after {last}");
        last = n;
        session.apply(Command::NewProject);
        session.wait_idle();
    }
    assert!(last <= 1, "all cuts were tried");
}

#[test]
fn bad_requests_get_one_sentence_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut session = Session::new(Settings { memory_gib: Some(0.001), ..Settings::default() });
    let text = refused(&mut session, Command::OpenDemo(json!({ "size": 256 })));
    assert!(
        text.contains("GB") || text.contains("GiB") || text.contains("MB") || text.contains("MiB"),
        "{text}"
    );
    assert!(session.project().is_empty());
    session.apply(Command::SetSettings(Box::default()));
    demo(&mut session);
    let before = contents(&session);
    std::fs::write(at("foreign.mrc"), b"this is no tomogram").unwrap();
    std::fs::write(at("empty.h5"), b"").unwrap();
    for (name, part) in
        [("nowhere.mrc", "nowhere.mrc"), ("foreign.mrc", "foreign.mrc"), ("empty.h5", "empty.h5")]
    {
        let text = refused(&mut session, Command::Open(at(name)));
        assert!(text.contains(part), "{text}");
    }
    let volume = layer(&session, |layer| layer.volume().is_some());
    let file = at("file");
    std::fs::write(&file, b"in the way").unwrap();
    let path = file.join("volume.mrc");
    refused(&mut session, Command::Export { what: ExportKind::Layer, layer: volume, path });
    refused(&mut session, Command::SaveAs(file.join("cell.waterwindow")));
    let gone = LayerId(9999);
    refused(&mut session, Command::Export { what: ExportKind::Layer, layer: gone, path: at("a.mrc") });
    refused(&mut session, Command::Reconstruct { scan: volume, chain: Box::default(), name: None });
    let inputs = vec![("volume".to_owned(), gone)];
    let params = Value::Null;
    refused(&mut session, Command::StartOp { op: "measure".to_owned(), params, inputs, name: None });
    assert_eq!(contents(&session), before);
    assert_eq!(std::fs::read(&file).unwrap(), b"in the way");
    // After all that the session still works.
    go(&mut session, Command::SaveAs(at("cell.waterwindow")));
    assert_eq!(leftovers(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_scan_that_says_too_little_is_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::new(Settings::default());
    demo(&mut session);
    let file = common::bare_views(folder.path());
    let before = contents(&session);
    let options = ScanOptions { angles: Some("0:10".to_owned()), ..ScanOptions::default() };
    session.apply(Command::OpenWith { path: file, role: Some(Role::Scan), options: options.clone() });
    let events = session.wait_idle();
    let said = said(&events);
    let asked = events.into_iter().find_map(|event| match event {
        Event::ScanUnclear { path, options, problem } => Some((path, *options, problem)),
        _ => None,
    });
    let (path, kept, problem) = asked.unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(kept, options, "what was said already is kept");
    assert!(problem.contains("what its values are"), "{problem}");
    assert_eq!(contents(&session), before);
    let options = ScanOptions { input: Some(waterwindow::base::Unit::Absorbance), ..kept };
    go(&mut session, Command::OpenWith { path, role: Some(Role::Scan), options });
    let scans = session.project().layers.iter().filter(|l| matches!(l.content, Content::Scan(_)));
    assert_eq!(scans.count(), 2);
}

/// Files that look like halves.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".part")))
        .collect()
}

#[test]
fn work_can_be_cancelled_and_leaves_no_trace() {
    let mut session = Session::new(Settings::default());
    demo(&mut session);
    let before = contents(&session);
    let scan = layer(&session, |layer| matches!(layer.content, Content::Scan(_)));
    session.apply(Command::Reconstruct { scan, chain: Box::default(), name: None });
    let job = session.jobs().last().unwrap().id;
    session.apply(Command::Cancel(job));
    session.wait_idle();
    assert_eq!(contents(&session), before);
    assert!(session.jobs().iter().any(|view| view.id == job && view.state.is_over()));
}

#[test]
fn where_every_label_comes_from_is_kept_undone_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::at(&folder.path().join("home"));
    let (volume, strokes) = painted(&mut session);
    classify(&mut session, volume, strokes, false);
    let all = session.live().prediction.clone().unwrap();
    assert!((all.shares.iter().map(|(_, share)| share).sum::<f32>() - 1.0).abs() < 1e-3);
    assert_eq!(all.surer.last(), Some(&1.0), "everything is at most 100 % uncertain");

    // What was learnt is kept, written, and read back in another project.
    go(&mut session, Command::KeepClassifier);
    let classifier = layer(&session, |layer| layer.name == "classifier");
    let (what, file) = (ExportKind::Classifier, folder.path().join("model.json"));
    go(&mut session, Command::Export { what, layer: classifier, path: file.clone() });
    let mut other = Session::new(Settings::default());
    go(&mut other, Command::Open(file));
    let read = layer(&other, |layer| layer.source.is_some());
    let of = |session: &Session, id| {
        let layer = session.project().layer(id).unwrap();
        let Content::Other(waterwindow::ops::Data::Classifier(found)) = &layer.content else {
            panic!("{:?} is no classifier", layer.content.words())
        };
        serde_json::to_string(found.as_ref()).unwrap()
    };
    assert_eq!(of(&other, read), of(&session, classifier));
    assert_eq!(other.project().classes.name(1), "inside");

    // There one stroke is enough to go on from it, and the prediction says what it rests on.
    demo(&mut other);
    let next = reconstruct(&mut other);
    let more = label_layer(&mut other, next);
    stroke(&mut other, more, 2, 40.0, [2.0, 20.0]);
    let request = |base| LiveRequest {
        volume: next,
        strokes: more,
        params: Value::Null,
        base,
        halves: None,
        follow: false,
    };
    go(&mut other, Command::Classify(request(None)));
    assert!(other.live().prediction.is_none() && other.live().status.contains("two classes"));
    go(&mut other, Command::Classify(request(Some(read))));
    go(&mut other, Command::ClearFinishedJobs);
    let refined = other.live().prediction.clone().unwrap();
    assert_eq!(refined.shares.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    go(&mut other, Command::AcceptPrediction(Acceptance::default()));
    let made = layer(&other, |layer| layer.provenance.op == "segment");
    assert!(other.project().layer(made).unwrap().provenance.inputs.contains(&"model".to_owned()));

    // The sure part of one class becomes a layer.
    let sure = Acceptance { class: Some(1), max_uncertainty: 0.3, into: None };
    go(&mut session, Command::AcceptPrediction(sure));
    let accepted = layer(&session, |layer| layer.provenance.op == "segment");
    let part = session.project().labels(accepted).unwrap().labels.clone();
    assert!(part.ids().iter().all(|id| [0, 1].contains(id)));
    for ((z, y, x), id) in part.to_dense().indexed_iter() {
        let wanted = all.labels.get([z, y, x]) == 1 && all.uncertainty.data[[z, y, x]] <= 0.3;
        assert_eq!(*id == 1, wanted, "voxel {z} {y} {x}");
    }

    // What is painted on it is marked, what was accepted is not: that is what the layer came with.
    stroke(&mut session, accepted, 2, 10.0, [10.0, 20.0]);
    let marks = |session: &Session| session.project().labels(accepted).unwrap().marks.clone();
    let z = SIZE / 2;
    assert_eq!(Mark::from_code(marks(&session).get([z, 10, 15])), Some(Mark::Painted));
    assert_eq!(marks(&session).get([z, 24, 24]), 0);
    let base = session.project().layer(accepted).unwrap().base_mark();
    assert_eq!(base, Mark::Predicted);

    // More of the prediction into the same layer: the painted voxels stay, the rest is accepted.
    classify(&mut session, volume, strokes, false);
    let rest = Acceptance { into: Some(accepted), ..Acceptance::default() };
    go(&mut session, Command::AcceptPrediction(rest));
    let full = session.project().labels(accepted).unwrap().labels.clone();
    assert_eq!(full.get([z, 10, 15]), 2);
    assert!(!full.ids().contains(&0));
    assert_eq!(Mark::from_code(marks(&session).get([z, 10, 15])), Some(Mark::Painted));

    // What was found right in proofreading stays when the prediction is accepted once more, whatever it says.
    go(
        &mut session,
        Command::Edit { label: "Add class".to_owned(), edit: Edit::SetClass(class(3, "vesicle")) },
    );
    go(&mut session, Command::Review { layer: accepted, volume });
    let seed_zyx = [z, 10, 15];
    go(&mut session, Command::Judge { seed_zyx, verdict: Verdict::Relabel(3) });
    let relabelled = session.project().labels(accepted).unwrap().labels.clone();
    assert_eq!(relabelled.get(seed_zyx), 3);
    assert_eq!(Mark::from_code(marks(&session).get(seed_zyx)), Some(Mark::Accepted));
    classify(&mut session, volume, strokes, false);
    go(&mut session, Command::AcceptPrediction(Acceptance { into: Some(accepted), ..Acceptance::default() }));
    assert_eq!(session.project().labels(accepted).unwrap().labels.get(seed_zyx), 3);
    go(&mut session, Command::Undo);
    assert!(session.project().labels(accepted).unwrap().labels == full);
    go(&mut session, Command::Undo);
    assert_ne!(session.project().classes.name(3), "vesicle");

    let (what, file) = (ExportKind::Marks, folder.path().join("origin.mrc"));
    go(&mut session, Command::Export { what, layer: accepted, path: file.clone() });
    let codes =
        io::read_labels(&file, &io::ReadOptions::default(), &Progress::new(), MemoryBudget::from_system())
            .unwrap()
            .volume;
    assert_eq!(Mark::from_code(codes.data[[z, 10, 15]]), Some(Mark::Painted));
    assert_eq!(Mark::from_code(codes.data[[z, 40, 40]]), Some(Mark::Predicted));

    let kept = (full, marks(&session));
    let path = folder.path().join("cell.waterwindow");
    go(&mut session, Command::SaveAs(path.clone()));
    drop(session);
    let mut session = Session::at(&folder.path().join("home"));
    go(&mut session, Command::Open(path));
    let now = |session: &Session| {
        let found = session.project().labels(accepted).unwrap();
        (found.labels.clone(), found.marks.clone())
    };
    assert_eq!(now(&session), kept);
    go(&mut session, Command::Undo);
    go(&mut session, Command::Undo);
    assert_eq!(session.project().labels(accepted).unwrap().labels, part);
    assert!(marks(&session).is_empty(), "an undone stroke leaves no mark");
    go(&mut session, Command::Redo);
    go(&mut session, Command::Redo);
    assert_eq!(now(&session), kept);
}

#[test]
fn ten_thousand_strokes_survive_a_crash_and_are_undone_one_by_one() {
    const STROKES: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::at(folder.path());
    let grid = waterwindow::volume::Volume::new(
        ndarray::Array3::<f32>::zeros((40, 40, 40)),
        Some([0.02; 3]),
        waterwindow::base::Unit::PerUm,
    );
    let made = Provenance::new("test".to_owned(), Value::Null, Vec::new(), Vec::new());
    let volume = Box::new(Layer::new("volume".to_owned(), Content::Volume(grid.into()), made));
    let edit = Edit::AddLayer { index: 0, layer: volume };
    go(&mut session, Command::Edit { label: "Open".to_owned(), edit });
    let volume = layer(&session, |layer| layer.volume().is_some());
    let labels = label_layer(&mut session, volume);
    let place = |n: usize| [n % 40, n / 40 % 40, n / 1600 * 5 % 40];
    let class = |n: usize| (n % 3) as u16 + 1;
    for n in 0..STROKES {
        let paint = |map: &mut Labels| map.update_box(place(n), place(n).map(|i| i + 1), |_, _| class(n));
        session.paint(labels, None, |map, _, _| paint(map)).unwrap();
        session.end_stroke("Paint");
        session.poll();
    }
    let painted = session.project().labels(labels).unwrap().labels.clone();
    session.wait_idle();
    drop(session);

    let mut session = Session::at(folder.path());
    let path = session.recoverable().first().unwrap().path.clone();
    go(&mut session, Command::Open(path));
    assert_eq!(session.project().labels(labels).unwrap().labels, painted);
    let mut n = STROKES;
    while session.undo_label() == Some("Paint") {
        session.apply(Command::Undo);
        session.poll();
        n -= 1;
        if n.is_multiple_of(1000) {
            // What was painted first is there, what was painted last is not.
            let now = &session.project().labels(labels).unwrap().labels;
            let there = (0..40 * 40 * 40).filter(|i| now.get([i / 1600, i / 40 % 40, i % 40]) != 0).count();
            let places: std::collections::BTreeSet<_> = (0..n).map(place).collect();
            assert_eq!(there, places.len(), "after {n} strokes");
        }
    }
    assert_eq!(n, 0, "every stroke is a step");
    assert!(session.project().labels(labels).unwrap().labels.is_empty());
}

/// Settings with so little memory that 160³ voxels of f32 (16 MB) count as too many to be held whole.
fn little_memory(gib: f64) -> Settings {
    Settings { memory_gib: Some(gib), ..Settings::default() }
}

#[test]
fn a_volume_beyond_memory_opens_by_its_levels_and_gives_parts_of_any() {
    let folder = tempfile::tempdir().unwrap();
    let file = common::pyramid(folder.path());
    let mut session = Session::new(little_memory(0.05));
    let events = go(&mut session, Command::Open(file.clone()));
    assert!(
        said(&events).iter().any(|(_, text)| text.contains("1/2 of the resolution (80 × 80 × 80)")),
        "{events:?}"
    );
    let held = layer(&session, |layer| layer.volume().is_some());
    let shown = session.project().layer(held).unwrap();
    let pyramid = shown.pyramid.clone().unwrap();
    assert_eq!((shown.content.shape(), pyramid.levels()[0].shape), (Some([80; 3]), [160; 3]));
    let volume = shown.volume().unwrap();
    assert_eq!((volume.voxel_um, volume.origin_um), (Some([0.04; 3]), [0.01; 3]));
    // The part of the finest level that a user looks at, as a layer of its own at its place.
    let part = SourcePart { level: 0, region: Some(([10, 20, 30], [40, 50, 60])) };
    go(&mut session, Command::OpenPart { layer: held, part });
    let fine = session.project().layer(layer(&session, |layer| layer.id != held)).unwrap();
    let whole = io::read_volume(&file, &Progress::new(), MemoryBudget::from_gib(1.0)).unwrap();
    assert_eq!(fine.volume().unwrap().data, whole.data.slice(ndarray::s![10..50, 20..70, 30..90]));
    assert_eq!(fine.volume().unwrap().origin_um, [0.2, 0.4, 0.6]);
    assert!(fine.pyramid.is_none() && fine.name.contains("part"), "{}", fine.name);
    // Levels and parts come back with the project.
    let path = folder.path().join("big.waterwindow");
    go(&mut session, Command::SaveAs(path.clone()));
    let before = contents(&session);
    drop(session);
    let mut again = Session::new(little_memory(0.05));
    go(&mut again, Command::Open(path));
    assert_eq!(contents(&again), before);
    assert!(again.project().layer(held).unwrap().pyramid.is_some());
    let nothing = SourcePart { level: 7, region: None };
    assert!(refused(&mut again, Command::OpenPart { layer: held, part: nothing }).contains("no level 7"));
}

#[test]
fn a_large_file_without_levels_opens_by_levels_picked_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = common::pyramid(folder.path());
    let flat = folder.path().join("cell.mrc");
    let everything = io::ReadOptions::default();
    io::convert(&whole, &flat, &everything, &Progress::new(), MemoryBudget::from_gib(1.0)).unwrap();
    let mut session = Session::new(little_memory(0.0142));
    session.apply(Command::Open(flat));
    let said = format!("{:?}", session.wait_idle());
    assert!(said.contains("has no levels of its own"), "{said}");
    let held = session.project().from_top().next().unwrap();
    assert!(held.pyramid.is_some());
    assert_eq!(held.volume().unwrap().voxel_um, Some([0.04; 3]));
}

#[test]
fn a_file_without_levels_that_is_too_large_becomes_a_pyramid_and_opens() {
    let folder = tempfile::tempdir().unwrap();
    let flat = common::scattered(folder.path());
    // 16 MB do not fit into 15.
    let mut session = Session::new(little_memory(0.0142));
    session.apply(Command::Open(flat.clone()));
    let events = session.wait_idle();
    let asked = events.iter().any(|event| matches!(event, Event::TooLarge { path, .. } if *path == flat));
    assert!(asked, "{events:?}");
    assert!(session.project().is_empty());
    session.apply(Command::SetSettings(Box::new(little_memory(0.06))));
    let target = folder.path().join("made");
    go(&mut session, Command::MakePyramid { source: flat, read: io::ReadOptions::default(), target });
    let held = session.project().from_top().next().unwrap();
    assert!(held.pyramid.is_some());
    assert!(folder.path().join("made.zarr").is_dir());
}
