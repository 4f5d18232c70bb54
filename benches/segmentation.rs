//! Accuracy and speed of segmentation from a few strokes, as a table.
//!
//! For each cell and seed the demo microscope scans a synthetic cell (full rotation, 180 views, photon noise),
//! filtered back-projection reconstructs it, five slices are scribbled with short random strokes, two per class
//! and slice, and the whole volume is segmented; several sets of strokes on each. Printed are the Dice coefficient
//! of every class and the seconds of each stage.
//! `cargo bench --no-default-features --bench segmentation -- [--size N] [--seeds K] [--strokes K] [--grid]
//! [--per-slice K] [--first K] [--keep DIR]`: cells, sets of strokes on each, the flat grid with its missing wedge,
//! strokes per class and slice, the first seed, a folder that keeps volumes, truth and strokes (raw, little-endian).
//! `--cancel` adds, for every volume, how long training and predicting go on after they were told to stop.
//! `--live` instead times the live step of a session from the end of a stroke until the prediction has landed, stage by
//! stage, and how soon it stops.
//! `--extras` adds, for every volume: calibration, validation, suggestions, megavoxels and the random field.
//! `--electron DIR` instead compares supervoxels with a published over-segmentation: DIR holds the raw arrays `gray`
//! (f32), `truth` and `over` (u32), cubes of 250 voxels.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot make its data stops")]

#[path = "segmentation/live.rs"]
mod live;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ndarray::Array3;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use waterwindow::base::{MemoryBudget, Progress, Unit};
use waterwindow::phantom::{CellKind, CellParams, ScanKind, ScanParams, build_cell, scan};
use waterwindow::prep::{NormalizeParams, normalize};
use waterwindow::recon::{ReconstructParams, reconstruct};
use waterwindow::segment::{
    Agglomeration, FeatureCache, Prediction, RandomField, Regions, Scribbles, SegmentParams, SlicParams,
    Smoother, SupervoxelMethod, calibration_error, quality, suggest, supervoxels, supervoxels_between, train,
    validate,
};
use waterwindow::volume::{Alignment, Labels, Volume};

/// Classes of a synthetic cell, and the first that is an organelle.
const N_CLASSES: usize = 8;
const FIRST_ORGANELLE: usize = 2;

struct Options {
    size: usize,
    seeds: u64,
    strokes: u64,
    first: u64,
    per_slice: usize,
    scan: ScanKind,
    keep: Option<PathBuf>,
    confusion: bool,
    extras: bool,
    cancel: bool,
    live: bool,
    electron: Option<PathBuf>,
    cells: Vec<CellKind>,
}

fn options() -> Options {
    let mut options = Options {
        size: 256,
        seeds: 3,
        strokes: 2,
        first: 0,
        per_slice: 4,
        scan: ScanKind::Full,
        keep: None,
        confusion: false,
        extras: false,
        cancel: false,
        live: false,
        electron: None,
        cells: vec![CellKind::Yeast, CellKind::Lymphocyte],
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--keep" {
            options.keep = args.next().map(PathBuf::from);
            continue;
        }
        if arg == "--electron" {
            options.electron = args.next().map(PathBuf::from);
            continue;
        }
        let mut number = || args.next().and_then(|text| text.parse::<usize>().ok());
        match arg.as_str() {
            "--size" => options.size = number().unwrap_or(options.size),
            "--seeds" => options.seeds = number().unwrap_or(3) as u64,
            "--strokes" => options.strokes = number().unwrap_or(2) as u64,
            "--first" => options.first = number().unwrap_or(0) as u64,
            "--per-slice" => options.per_slice = number().unwrap_or(options.per_slice),
            "--extras" => options.extras = true,
            "--live" => options.live = true,
            "--cancel" => options.cancel = true,
            "--confusion" => options.confusion = true,
            "--yeast" => options.cells = vec![CellKind::Yeast],
            "--lymphocyte" => options.cells = vec![CellKind::Lymphocyte],
            "--grid" => options.scan = ScanKind::Grid,
            // Cargo adds --bench; anything else is none of ours either.
            _ => {}
        }
    }
    options
}

/// A cell as the demo microscope sees it: reconstruction and true labels.
fn demo(options: &Options, kind: CellKind, seed: u64) -> (Volume<f32>, Array3<u16>) {
    let progress = Progress::new();
    let params = CellParams { kind, scan: options.scan, size: options.size, beads: 0, seed };
    let cell = build_cell(&progress, &params).expect("the size is in range");
    let counts = scan(&progress, &cell, &ScanParams { seed, ..ScanParams::default() }).expect("defaults");
    let (series, _) = normalize(&progress, &counts.scan, &NormalizeParams::default()).expect("a good scan");
    let alignment = Alignment::identity(&series.angles_deg);
    let budget = MemoryBudget::from_system();
    let volume = reconstruct(&progress, &series, &alignment, &ReconstructParams::default(), budget)
        .expect("a good series");
    (volume, cell.labels.data)
}

/// Volume and truth from the folder that keeps them, or made and kept there.
fn kept(options: &Options, kind: CellKind, seed: u64) -> (Volume<f32>, Array3<u16>) {
    let Some(folder) = &options.keep else { return demo(options, kind, seed) };
    let path = folder.join(format!("{kind:?}-{:?}-{}-{seed}", options.scan, options.size));
    if let Some(read) = read_kept(&path, options.size) {
        return read;
    }
    let (volume, truth) = demo(options, kind, seed);
    let voxel = volume.voxel_um_or_one().map(|v| format!("{v}")).join(" ");
    std::fs::create_dir_all(&path).expect("a folder that can be written");
    std::fs::write(path.join("volume"), bytemuck::cast_slice(volume.values())).expect("room on the disk");
    std::fs::write(path.join("truth"), bytemuck::cast_slice(truth.as_slice().expect("in order")))
        .expect("room on the disk");
    std::fs::write(path.join("voxel"), voxel).expect("room on the disk");
    (volume, truth)
}

fn read_kept(path: &Path, size: usize) -> Option<(Volume<f32>, Array3<u16>)> {
    let voxel = std::fs::read_to_string(path.join("voxel")).ok()?;
    let voxel: Vec<f64> = voxel.split(' ').filter_map(|v| v.parse().ok()).collect();
    let values = bytemuck::pod_collect_to_vec(&std::fs::read(path.join("volume")).ok()?);
    let truth = bytemuck::pod_collect_to_vec(&std::fs::read(path.join("truth")).ok()?);
    let data = Array3::from_shape_vec([size; 3], values).ok()?;
    let truth = Array3::from_shape_vec([size; 3], truth).ok()?;
    Some((Volume::new(data, Some(voxel.try_into().ok()?), Unit::PerUm), truth))
}

/// Short strokes inside each class on a few slices, as a person would paint them: class k becomes k + 1.
fn scribble(labels: &Array3<u16>, per_slice: usize, seed: u64) -> Array3<u16> {
    const SLICES: usize = 5;
    const LENGTH: usize = 10;
    let (nz, ny, nx) = labels.dim();
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut map = Array3::zeros(labels.dim());
    for slice in 0..SLICES {
        let z = ((0.3 + 0.1 * slice as f64) * nz as f64) as usize;
        for class in 0..N_CLASSES as u16 {
            let is_class = |y: usize, x: usize| labels[[z, y, x]] == class;
            let is_inside = |y: usize, x: usize| {
                (1..ny - 1).contains(&y)
                    && (1..nx - 1).contains(&x)
                    && [(y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                        .iter()
                        .all(|p| is_class(p.0, p.1))
            };
            let all = || (0..ny).flat_map(|y| (0..nx).map(move |x| (y, x)));
            let mut points: Vec<_> = all().filter(|p| is_inside(p.0, p.1)).collect();
            let eroded = points.len() >= 4;
            if !eroded {
                points = all().filter(|p| is_class(p.0, p.1)).collect();
            }
            if points.is_empty() {
                continue;
            }
            for _ in 0..per_slice {
                let (y, x) = points[rng.random_range(0..points.len())];
                let angle = rng.random_range(0.0..std::f64::consts::TAU);
                for step in 0..LENGTH {
                    let yy = (y as f64 + step as f64 * angle.sin()).round();
                    let xx = (x as f64 + step as f64 * angle.cos()).round();
                    if yy < 0.0 || xx < 0.0 || yy >= ny as f64 || xx >= nx as f64 {
                        break;
                    }
                    let (yy, xx) = (yy as usize, xx as usize);
                    if !(if eroded { is_inside(yy, xx) } else { is_class(yy, xx) }) {
                        break;
                    }
                    map[[z, yy, xx]] = class + 1;
                }
            }
        }
    }
    map
}

fn dice_of(truth: &Array3<u16>, found: &Array3<u16>) -> [f64; N_CLASSES] {
    let mut counts = [[0u64; 3]; N_CLASSES];
    for (t, f) in truth.iter().zip(found) {
        let f = f.wrapping_sub(1);
        counts[*t as usize][0] += 1;
        if let Some(count) = counts.get_mut(f as usize) {
            count[1] += 1;
            count[2] += u64::from(f == *t);
        }
    }
    counts.map(|[t, f, both]| 2.0 * both as f64 / (t + f).max(1) as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// One volume, one set of strokes: prints its row and gives the Dice of every class.
fn row(
    volume: &Volume<f32>,
    name: &str,
    cache: &FeatureCache,
    truth: &Array3<u16>,
    options: &Options,
    seed: u64,
    before: &str,
) -> [f64; N_CLASSES] {
    let map = scribble(truth, options.per_slice, seed);
    let strokes = Scribbles::from_map(map.view());
    let training = SegmentParams::default().training().expect("defaults");
    let start = Instant::now();
    let (_, prediction) = train(&Progress::new(), cache, &strokes, &training, seed).expect("good strokes");
    let trained = start.elapsed();
    let start = Instant::now();
    let labels = prediction.labels(&cache.regions, Some(&strokes));
    let painted = start.elapsed();
    // What a window needs besides: bricks and the uncertainty of every voxel.
    let start = Instant::now();
    let bricks = Labels::from_dense(&labels);
    let uncertainty = prediction.uncertainty_volume(&cache.regions);
    let spread = start.elapsed();
    drop((bricks, uncertainty));
    let scores = dice_of(truth, &labels);
    println!(
        "{name:<12} {seed:>7} {:>7} | {} | {:.3}      {:.3} | {before} {:.3}         {:.3}  {:.3}",
        strokes.voxels().len(),
        scores.map(|s| format!("{s:.3}")).join(" "),
        mean(&scores[FIRST_ORGANELLE..]),
        mean(&scores),
        trained.as_secs_f64(),
        painted.as_secs_f64(),
        spread.as_secs_f64(),
    );
    if options.cancel {
        cancel(cache, &strokes, trained);
    }
    if options.confusion {
        print_confusion(truth, &labels);
    }
    if let Some(folder) = &options.keep {
        let file = folder.join(format!(
            "{}-{:?}-{}-strokes-{seed}",
            name.replace(' ', "-"),
            options.scan,
            volume.shape()[0]
        ));
        std::fs::write(file, bytemuck::cast_slice(map.as_slice().expect("in order")))
            .expect("room on the disk");
    }
    if options.extras {
        extras(cache, truth, &strokes, &prediction, &labels, seed);
    }
    scores
}

/// How long training and predicting go on after they were told to stop, at random moments of what they take.
fn cancel(cache: &FeatureCache, strokes: &Scribbles, whole: Duration) {
    let training = SegmentParams::default().training().expect("defaults");
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let mut waits: Vec<f64> = (0..30)
        .filter_map(|_| {
            let progress = Progress::new();
            let moment = whole.mul_f64(rng.random_range(0.0..1.0));
            std::thread::scope(|scope| {
                let work = scope.spawn(|| {
                    let is_cancelled = train(&progress, cache, strokes, &training, 0).is_err();
                    (Instant::now(), is_cancelled)
                });
                std::thread::sleep(moment);
                let told = Instant::now();
                progress.cancel();
                let (stopped, is_cancelled) = work.join().expect("no panic");
                is_cancelled.then(|| stopped.saturating_duration_since(told).as_secs_f64() * 1e3)
            })
        })
        .collect();
    waits.sort_unstable_by(f64::total_cmp);
    println!(
        "  cancel at {} random moments: {:.1} ms in the middle, {:.1} ms at worst",
        waits.len(),
        waits.get(waits.len() / 2).copied().unwrap_or(0.0),
        waits.last().copied().unwrap_or(0.0),
    );
}

/// Calibration, validation, suggestions, megavoxels and the random field, on one line each.
fn extras(
    cache: &FeatureCache,
    truth: &Array3<u16>,
    strokes: &Scribbles,
    prediction: &Prediction,
    labels: &Array3<u16>,
    seed: u64,
) {
    let progress = Progress::new();
    let k = prediction.classes.len();
    let top: Vec<f32> =
        prediction.probabilities.chunks_exact(k).map(|p| p.iter().copied().fold(0.0, f32::max)).collect();
    let voxels = || cache.regions.values().iter().zip(labels).zip(truth);
    let said = |ice: bool| {
        calibration_error(
            voxels()
                .filter(|((_, l), t)| ice || **t > 0 || **l > 1)
                .map(|((id, l), t)| (top[*id as usize - 1], *l == t + 1)),
        )
    };
    println!("  calibration error: {:.4} of all voxels, {:.4} without ice", said(true), said(false));
    let training = SegmentParams::default().training().expect("defaults");
    let mut bare = training.clone();
    bare.decision.polish = false;
    for (name, rounds) in [("without the polish", bare.context_rounds), ("without polish and context", 0)] {
        bare.context_rounds = rounds;
        let start = Instant::now();
        train(&progress, cache, strokes, &bare, seed).expect("good strokes");
        println!("  train and predict {name}: {:.2} s", start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    let checked = validate(&progress, cache, strokes, &training, seed).expect("good strokes");
    println!(
        "  validation: {:.2} s; balanced accuracy {:.3} by stroke, {:.3} by slab",
        start.elapsed().as_secs_f64(),
        checked.by_stroke.balanced_accuracy(),
        checked.by_slab.map_or(f32::NAN, |v| v.balanced_accuracy()),
    );
    let start = Instant::now();
    let found = suggest(&progress, cache, prediction, strokes, 5).expect("no cancel");
    let first = found.first().map(|s| s.sentence(|c| format!("class {c}"))).unwrap_or_default();
    println!("  suggestions: {:.2} s; {first}", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let tree = Agglomeration::new(&progress, cache).expect("no cancel");
    let built = start.elapsed();
    let start = Instant::now();
    let (groups, n) = tree.level(20_000);
    let level = start.elapsed();
    let dice = |group| {
        let of_class = quality::achievable_dice(&cache.regions, group, truth.mapv(|c| c + 1).view());
        mean(&of_class.iter().map(|d| d.1).skip(FIRST_ORGANELLE).collect::<Vec<_>>())
    };
    println!(
        "  megavoxels: built in {:.2} s, a level in {:.3} s; achievable organelle Dice {:.3} with {} regions, {:.3} with {n}",
        built.as_secs_f64(),
        level.as_secs_f64(),
        dice(None),
        cache.regions.n,
        dice(Some(&groups)),
    );
    let start = Instant::now();
    let field = RandomField::new(cache, &prediction.probabilities, k, training.decision.smoothness, None);
    let made = start.elapsed();
    let start = Instant::now();
    let solved = field.solve(&progress, &prediction.probabilities).expect("no cancel");
    println!(
        "  random field: made in {:.2} s, solved in {:.2} s, energy {} to {}",
        made.as_secs_f64(),
        start.elapsed().as_secs_f64(),
        solved.energies[0],
        solved.energies[solved.energies.len() - 1],
    );
    let params = SegmentParams { smoother: Smoother::RandomField, ..SegmentParams::default() };
    let (_, other) =
        train(&progress, cache, strokes, &params.training().expect("defaults"), seed).expect("good");
    let scores = dice_of(truth, &other.labels(&cache.regions, Some(strokes)));
    println!(
        "  with the random field: organelles {:.3}, all {:.3}",
        mean(&scores[FIRST_ORGANELLE..]),
        mean(&scores)
    );
}

/// Supervoxels against a published over-segmentation of the same electron micrograph, at like counts.
fn electron(folder: &Path) -> Option<()> {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let gray = Array3::from_shape_vec([250; 3], bytemuck::pod_collect_to_vec(&read("gray")?)).ok()?;
    let cube = |name: &str| Array3::from_shape_vec([250; 3], bytemuck::pod_collect_to_vec(&read(name)?)).ok();
    let (truth, over): (Array3<u32>, Array3<u32>) = (cube("truth")?, cube("over")?);
    let volume = Volume::new(gray, None, Unit::Arbitrary);
    let progress = Progress::new();
    let report = |name: &str, regions: &Regions, seconds: f64| {
        println!(
            "{name:<28} {:>7} regions | undersegmentation {:.4} | boundary recall {:.4} (1 voxel) {:.4} (2) | {seconds:.2} s",
            regions.n,
            quality::undersegmentation_error(regions, truth.view()),
            quality::boundary_recall(regions, truth.view(), 1),
            quality::boundary_recall(regions, truth.view(), 2),
        );
    };
    let published = Regions::from_labels(&progress, over, None, 1).ok()?;
    report("published", &published, 0.0);
    let size = (250.0f32.powi(3) / published.n as f32).cbrt();
    for method in [SupervoxelMethod::Slic, SupervoxelMethod::Watershed] {
        for compactness in [0.1, 0.5] {
            let params = SlicParams { method, size_voxels: size, compactness, ..SlicParams::default() };
            let start = Instant::now();
            let regions = supervoxels(&progress, &volume, None, &params).ok()?;
            report(
                &format!("{method:?}, compactness {compactness}"),
                &regions,
                start.elapsed().as_secs_f64(),
            );
        }
        let fine = SlicParams { method, size_voxels: 5.0, compactness: 0.1, ..SlicParams::default() };
        let start = Instant::now();
        let regions = supervoxels(&progress, &volume, None, &fine).ok()?;
        let places = regions.places(&progress).ok()?;
        let adjacency = regions.adjacency(&progress).ok()?;
        let mut sums = vec![0.0f64; regions.n as usize];
        regions
            .values()
            .iter()
            .zip(volume.values())
            .for_each(|(id, v)| sums[*id as usize - 1] += f64::from(*v));
        let means: Vec<f32> =
            sums.iter().zip(&places).map(|(s, p)| (*s / f64::from(p.n_voxels)) as f32).collect();
        let tree = Agglomeration::from_means(&progress, &adjacency, &places, &means).ok()?;
        let (group, _) = tree.level(published.n as usize);
        let joined = regions.ids.mapv(|id| group[id as usize - 1]);
        let joined = Regions::from_labels(&progress, joined, None, 1).ok()?;
        report(&format!("{method:?} of 5, joined"), &joined, start.elapsed().as_secs_f64());
    }
    let params =
        SlicParams { method: SupervoxelMethod::Membranes, size_voxels: size, ..SlicParams::default() };
    let start = Instant::now();
    let regions = supervoxels(&progress, &volume, None, &params).ok()?;
    report("Membranes by shape", &regions, start.elapsed().as_secs_f64());
    for seed in 0..3 {
        let painted = paint_membranes(&truth, seed);
        let start = Instant::now();
        let regions = supervoxels_between(&progress, &volume, None, Some(painted.view()), &params).ok()?;
        let n = painted.iter().filter(|id| **id != 0).count();
        report(&format!("Membranes, {n} painted ({seed})"), &regions, start.elapsed().as_secs_f64());
    }
    Some(())
}

/// On five slices, 70 voxels each at borders between bodies (1) and with one body alone within three voxels (2).
fn paint_membranes(truth: &Array3<u32>, seed: u64) -> Array3<u16> {
    const REACH: usize = 3;
    const EACH: usize = 70;
    let (nz, ny, nx) = truth.dim();
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut map = Array3::zeros(truth.dim());
    for slice in 0..5 {
        let z = (2 * slice + 1) * nz / 10;
        let mut left = [EACH; 2];
        while left != [0, 0] {
            let (y, x) = (rng.random_range(REACH..ny - REACH), rng.random_range(REACH..nx - REACH));
            let is_one = |reach: usize| {
                let cube = ndarray::s![z - reach..=z + reach, y - reach..=y + reach, x - reach..=x + reach];
                truth.slice(cube).iter().all(|id| *id == truth[[z, y, x]])
            };
            let kind = match (is_one(1), is_one(REACH)) {
                (false, _) => 0,
                (true, true) => 1,
                (true, false) => continue,
            };
            if left[kind] > 0 && map[[z, y, x]] == 0 {
                left[kind] -= 1;
                map[[z, y, x]] = kind as u16 + 1;
            }
        }
    }
    map
}

/// Voxels of every true class (rows) by the class that was found (columns), in thousands.
fn print_confusion(truth: &Array3<u16>, found: &Array3<u16>) {
    let mut counts = [[0u64; N_CLASSES]; N_CLASSES];
    for (t, f) in truth.iter().zip(found) {
        counts[*t as usize][f.saturating_sub(1) as usize] += 1;
    }
    for (class, row) in counts.iter().enumerate() {
        println!("  true {class}: {}", row.map(|n| format!("{:>9.1}", n as f64 / 1000.0)).join(" "));
    }
}

fn main() {
    let options = options();
    if let Some(folder) = &options.electron {
        electron(folder).expect("the folder holds gray, truth and over");
        return;
    }
    println!(
        "cell         strokes painted | ice   cyto  euchr heter nucle mito  lipid vacuo | organelles all   | SLIC   graph+features train+predict labels bricks+uncertainty [s]"
    );
    let mut rows = Vec::new();
    for kind in options.cells.clone() {
        for seed in options.first..options.first + options.seeds {
            let (volume, truth) = kept(&options, kind, seed);
            let progress = Progress::new();
            let recipe = SegmentParams::default().recipe();
            let start = Instant::now();
            let regions = supervoxels(&progress, &volume, None, &recipe.supervoxels).expect("a good volume");
            let slic = start.elapsed();
            drop(regions);
            let start = Instant::now();
            let cache = FeatureCache::build(&progress, &volume, None, &recipe).expect("a good volume");
            let features = start.elapsed().saturating_sub(slic);
            let before = format!("{:<6.2} {:<14.2}", slic.as_secs_f64(), features.as_secs_f64());
            let name = format!("{kind:?} {seed}");
            if options.live {
                let map = scribble(&truth, options.per_slice, 0);
                live::live(&name, &volume, &truth, &map, &cache);
                continue;
            }
            for strokes in 0..options.strokes {
                rows.push(row(&volume, &name, &cache, &truth, &options, strokes, &before));
            }
        }
    }
    if options.live {
        return;
    }
    let of_class: [f64; N_CLASSES] =
        std::array::from_fn(|c| mean(&rows.iter().map(|r| r[c]).collect::<Vec<_>>()));
    let organelles: Vec<f64> = rows.iter().map(|r| mean(&r[FIRST_ORGANELLE..])).collect();
    println!(
        "mean                         | {} | {:.3}      {:.3}",
        of_class.map(|s| format!("{s:.3}")).join(" "),
        mean(&organelles),
        mean(&of_class),
    );
    println!("least organelles: {:.3}", organelles.iter().copied().fold(f64::INFINITY, f64::min));
}
