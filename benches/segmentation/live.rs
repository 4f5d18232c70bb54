//! The live step as the window sees it: from the end of a stroke until the prediction has landed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array3;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;

use waterwindow::base::Progress;
use waterwindow::ops::Provenance;
use waterwindow::project::{Content, Edit, LabelLayer, Layer, LayerId};
use waterwindow::segment::{FeatureCache, Scribbles, SegmentParams, train};
use waterwindow::session::{Command, LiveRequest, Session, Settings};
use waterwindow::volume::{Class, Labels, Volume};

use super::N_CLASSES;

/// Strokes after which the step is timed, and those during which it is stopped.
const STROKES: usize = 8;
const CANCELS: usize = 20;

/// A session with a volume, classes and the first strokes.
fn session_of(volume: &Volume<f32>, map: &Array3<u16>) -> (Session, LayerId, LayerId) {
    let mut session = Session::new(Settings::default());
    let edit = |session: &mut Session, edit| {
        session.apply(Command::Edit { label: "Set up".to_owned(), edit });
        session.wait_idle();
    };
    for id in 1..=N_CLASSES as u16 {
        let class = Class {
            id,
            name: format!("class {id}"),
            color: [90; 3],
            parent: None,
            go_id: None,
            typical_lac: None,
            visible: true,
            locked: false,
        };
        edit(&mut session, Edit::SetClass(class));
    }
    let made = || Provenance::new("made".to_owned(), Value::Null, Vec::new(), Vec::new());
    let content =
        Content::Labels(LabelLayer::new(Labels::from_dense(map), volume.voxel_um, volume.origin_um));
    for (name, content) in [("volume", Content::Volume(Arc::new(volume.clone()))), ("strokes", content)] {
        let layer = Box::new(Layer::new(name.to_owned(), content, made()));
        edit(&mut session, Edit::AddLayer { index: usize::MAX, layer });
    }
    let id = |session: &Session, name: &str| {
        session.project().from_top().find(|layer| layer.name == name).expect("just added").id
    };
    let (volume, strokes) = (id(&session, "volume"), id(&session, "strokes"));
    (session, volume, strokes)
}

/// A short row of voxels of one true class, somewhere.
fn paint(session: &mut Session, strokes: LayerId, truth: &Array3<u16>, rng: &mut Pcg64Mcg) {
    let (nz, ny, nx) = truth.dim();
    let class = rng.random_range(0..N_CLASSES as u16);
    let at = (0..1_000_000)
        .map(|_| [rng.random_range(0..nz), rng.random_range(0..ny), rng.random_range(0..nx - 8)])
        .find(|zyx| truth[*zyx] == class)
        .unwrap_or_default();
    let hi = [at[0] + 1, at[1] + 1, at[2] + 8];
    session
        .paint(strokes, None, |labels, _, _| {
            labels.update_box(at, hi, |zyx, old| if truth[zyx] == class { class + 1 } else { old })
        })
        .expect("the layer is there");
    session.end_stroke("Paint");
}

fn revision(session: &Session) -> u64 {
    session.live().prediction.as_ref().map_or(0, |p| p.revision)
}

/// Polls as a window does until a prediction lands; gives the longest poll.
fn wait_for(session: &mut Session, before: u64) -> Duration {
    let (mut longest, began) = (Duration::ZERO, Instant::now());
    while revision(session) == before {
        assert!(began.elapsed() < Duration::from_mins(5), "no prediction: {}", session.live().status);
        let start = Instant::now();
        session.poll();
        longest = longest.max(start.elapsed());
        std::thread::sleep(Duration::from_micros(300));
    }
    longest
}

/// Processor time of this process so far, all threads, in seconds; 0 where the system does not tell it.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    // Hundredths of a second in user and in system mode.
    let of = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
    of(11) + of(12)
}

fn summary(name: &str, mut values: Vec<f64>, unit: &str) {
    values.sort_unstable_by(f64::total_cmp);
    let at =
        |share: f64| values.get((share * (values.len().max(1) - 1) as f64) as usize).copied().unwrap_or(0.0);
    println!(
        "  {name}: {:.1} {unit} at least, {:.1} in the middle, {:.1} at worst of {}",
        at(0.0),
        at(0.5),
        at(1.0),
        values.len()
    );
}

/// Times the step after further strokes, and how soon it stops.
pub(crate) fn live(
    name: &str,
    volume: &Volume<f32>,
    truth: &Array3<u16>,
    map: &Array3<u16>,
    cache: &FeatureCache,
) {
    println!("live, {name}, {:?} voxels, {} regions", volume.shape(), cache.regions.n);
    stages(map, cache);
    let (mut session, id, strokes) = session_of(volume, map);
    let request =
        LiveRequest { volume: id, strokes, params: Value::Null, base: None, halves: None, follow: true };
    let before = revision(&session);
    session.apply(Command::Classify(request));
    wait_for(&mut session, before);
    session.wait_idle();
    let mut rng = Pcg64Mcg::seed_from_u64(7);
    let (mut steps, mut used, mut polls, mut paints, mut advice) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STROKES {
        let (before, cpu) = (revision(&session), processor());
        let start = Instant::now();
        paint(&mut session, strokes, truth, &mut rng);
        paints.push(start.elapsed().as_secs_f64() * 1e3);
        polls.push(wait_for(&mut session, before).as_secs_f64() * 1e3);
        steps.push(start.elapsed().as_secs_f64() * 1e3);
        used.push((processor() - cpu) * 1e3);
        let landed = Instant::now();
        session.wait_idle();
        advice.push(landed.elapsed().as_secs_f64() * 1e3);
    }
    let whole = Duration::from_secs_f64(steps.iter().sum::<f64>() * 1e-3 / STROKES as f64);
    summary("from the stroke to the landed prediction", steps, "ms");
    summary("processor time of it, all threads", used, "ms");
    summary("window's thread: painting and asking, on the clock", paints, "ms");
    summary("window's thread: longest poll, landing included, on the clock", polls, "ms");
    summary("advice after it", advice, "ms");
    let mut waits = Vec::new();
    for _ in 0..CANCELS {
        session.apply(Command::Classify(LiveRequest {
            volume: id,
            strokes,
            params: Value::Null,
            base: None,
            halves: None,
            follow: true,
        }));
        let before = revision(&session);
        std::thread::sleep(whole.mul_f64(rng.random_range(0.0..1.0)));
        let told = Instant::now();
        session.apply(Command::StopLive);
        session.wait_idle();
        if revision(&session) == before {
            waits.push(told.elapsed().as_secs_f64() * 1e3);
        }
    }
    summary("told to stop at random moments, until the worker is free", waits, "ms");
}

/// Milliseconds of every stage of the step, the best of five.
fn stages(map: &Array3<u16>, cache: &FeatureCache) {
    let strokes = Scribbles::from_map(map.view());
    let training = SegmentParams::default().training().expect("defaults");
    let progress = Progress::new();
    let mut best = [f64::INFINITY; 4];
    let mut spare = None;
    for _ in 0..5 {
        let mut at = Instant::now();
        let mut lap = |i: usize| {
            let now = Instant::now();
            best[i] = best[i].min((now - at).as_secs_f64() * 1e3);
            at = now;
        };
        let (_, prediction) = train(&progress, cache, &strokes, &training, 0).expect("good strokes");
        lap(0);
        let bricks = prediction.bricks(&progress, &cache.regions, Some(&strokes)).expect("no cancel");
        lap(1);
        drop((prediction.counts(cache, &strokes), bricks));
        lap(2);
        spare = prediction.uncertainty_in(&progress, &cache.regions, spare).ok();
        lap(3);
    }
    let [train, bricks, counts, uncertainty] = best;
    println!(
        "  best of five, ms: training and predicting {train:.1}, bricks {bricks:.1}, counts {counts:.1}, uncertainty {uncertainty:.1}"
    );
}
