//! A watched folder, step by step.

use std::fs;

use serde_json::json;

use super::*;
use crate::io::WriteRequest;
use crate::ops::{Inputs, find};

/// A small scan on a grid with jitter, flats and darks beside it, and where its views lie.
fn demo_scan() -> Scan {
    let context =
        Context { progress: Progress::new(), budget: MemoryBudget::from_gib(1.0), device: DeviceChoice::Cpu };
    let params = json!({ "size": 48, "views": 41, "scan": "grid", "jitter": 1.5, "seed": 4 });
    let outcome = find("demo").unwrap().execute(&context, &Inputs::default(), &params).unwrap();
    let scan = outcome.data.iter().find_map(|(_, data)| match data {
        Data::Scan(scan) => Some(Arc::clone(scan)),
        _ => None,
    });
    Arc::unwrap_or_clone(scan.unwrap())
}

/// Writes the first `n` views as a stack, and `n_angles` angles.
fn write(folder: &Path, scan: &Scan, n: usize, n_angles: usize) {
    let some = source::views(scan, 0..n);
    let progress = Progress::new();
    let write = |name: &str, array: &crate::volume::AnyArray| {
        let mut request = WriteRequest::new(array);
        request.voxel_um = scan.pixel_um.map(|um| [um; 3]);
        io::write_array(&folder.join(name), &request, &progress).unwrap();
    };
    write("cell.mrc", &some.projections);
    if n_angles == n {
        write("flat.mrc", scan.flats.as_ref().unwrap());
        write("dark.mrc", scan.darks.as_ref().unwrap());
    }
    let lines: Vec<_> = scan.angles_deg[..n_angles].iter().map(f64::to_string).collect();
    // The last line is still being written.
    fs::write(folder.join("cell.rawtlt"), lines.join("\n") + "\n1").unwrap();
}

fn watcher(folder: &Path, settle: Duration) -> Watcher {
    let recipe = json!({ "waterwindow_recipe": 1, "steps": [
        { "op": "normalize" },
        { "op": "reconstruct", "params": { "thickness": 24 } },
    ] });
    Watcher::new(WatchOptions {
        folder: folder.to_owned(),
        out: folder.join("out"),
        recipe: Recipe::parse(&recipe.to_string()).unwrap(),
        scan: ScanOptions::default(),
        settle,
        write_every: Duration::ZERO,
        refine_every: 0,
        budget: MemoryBudget::from_gib(1.0),
        device: DeviceChoice::Cpu,
    })
    .unwrap()
}

fn step(watcher: &mut Watcher) -> Vec<WatchEvent> {
    let mut events = Vec::new();
    watcher.step(&Progress::new(), |event| events.push(event)).unwrap();
    events
}

const LONG: Duration = Duration::from_hours(1);

#[test]
fn a_scan_that_grows_is_added_view_by_view_then_finished_and_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let scan = demo_scan();
    let n = scan.projections.shape()[0];
    let mut watcher = watcher(folder.path(), LONG);
    write(folder.path(), &scan, 6, 6);
    // Six views, of which the angles of all are there.
    let events = step(&mut watcher);
    assert!(matches!(events[0], WatchEvent::Grows { .. }));
    assert_eq!(events.iter().filter(|e| matches!(e, WatchEvent::View { .. })).count(), 6);
    let live = folder.path().join("out/cell_live.mrc");
    let live_json = folder.path().join("out/cell_live.json");
    assert!(live.is_file() && io::read_alignment(&live_json).unwrap().views.len() == 6);
    assert!(step(&mut watcher).is_empty(), "nothing is new");

    // Two pictures more but one angle: one view. Cut short in the middle of a picture: the whole ones, then the last.
    write(folder.path(), &scan, 8, 7);
    assert_eq!(step(&mut watcher).iter().filter(|e| matches!(e, WatchEvent::View { .. })).count(), 1);
    write(folder.path(), &scan, 20, 20);
    let whole = fs::read(folder.path().join("cell.mrc")).unwrap();
    fs::write(folder.path().join("cell.mrc"), &whole[..whole.len() - 5000]).unwrap();
    assert_eq!(step(&mut watcher).iter().filter(|e| matches!(e, WatchEvent::View { .. })).count(), 11);
    fs::write(folder.path().join("cell.mrc"), &whole).unwrap();
    assert_eq!(step(&mut watcher).iter().filter(|e| matches!(e, WatchEvent::View { .. })).count(), 2);

    // Stopped and started anew in the middle: what was placed lies where it lay.
    let before = io::read_alignment(&live_json).unwrap();
    drop(watcher);
    let mut watcher = self::watcher(folder.path(), LONG);
    write(folder.path(), &scan, n, n);
    step(&mut watcher);
    let after = io::read_alignment(&live_json).unwrap();
    assert_eq!(after.views[..20], before.views[..]);
    assert_eq!(after.views.len(), n);

    // At rest: the recipe, once.
    watcher.options.settle = Duration::ZERO;
    let events = step(&mut watcher);
    assert!(matches!(events.last(), Some(WatchEvent::Finished { .. })), "{events:?}");
    assert!(folder.path().join("out/cell/02_reconstruct_volume.mrc").is_file());
    assert!(watcher.is_idle() && step(&mut watcher).is_empty());
    drop(watcher);
    let mut watcher = self::watcher(folder.path(), Duration::ZERO);
    assert!(step(&mut watcher).is_empty(), "what is finished is remembered");

    // A second scan in the same folder.
    for (from, to) in [("cell.mrc", "next.mrc"), ("cell.rawtlt", "next.rawtlt")] {
        fs::copy(folder.path().join(from), folder.path().join(to)).unwrap();
    }
    let events = step(&mut watcher);
    assert!(
        matches!(&events[..], [WatchEvent::Finished { scan, .. }] if scan.ends_with("next.mrc")),
        "{events:?}"
    );
}

#[test]
fn views_are_found_where_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let scan = demo_scan();
    let n = scan.projections.shape()[0];
    let mut watcher = watcher(folder.path(), LONG);
    write(folder.path(), &scan, n, n);
    let events = step(&mut watcher);
    let placed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            WatchEvent::View { added, .. } => Some(*added),
            _ => None,
        })
        .collect();
    assert_eq!(placed.len(), n);
    // The mean correlation with what was expected is high, and views that were moved are seen to have moved.
    let mean = placed.iter().filter_map(|p| p.correlation).sum::<f64>() / (n - 1) as f64;
    assert!(mean > 0.7, "{mean}");
    let spread = placed.iter().map(|p| p.view.shift_x_px.abs()).fold(0.0, f64::max);
    assert!(spread > 0.5, "jitter of 1.5 px is found: {spread}");
}

#[test]
fn what_makes_no_sense_is_refused_or_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("broken.mrc"), b"not a stack").unwrap();
    let mut watcher = watcher(folder.path(), Duration::ZERO);
    let events = step(&mut watcher);
    assert!(matches!(&events[..], [WatchEvent::Waiting { .. }]), "{events:?}");
    assert!(step(&mut watcher).is_empty() && watcher.is_idle(), "not tried again until it changes");
    fs::write(folder.path().join("out/watch.json"), "{").unwrap();
    let options = watcher.options.clone();
    assert!(Watcher::new(options.clone()).unwrap_err().to_string().contains("watch.json"));
    let nowhere = WatchOptions { folder: folder.path().join("nowhere"), ..options };
    assert!(Watcher::new(nowhere).unwrap_err().to_string().contains("no folder"));
}

/// One image of a scan and its reference, as the microscope writes them.
fn xradia(scan: &Scan, views: &[usize], n_planned: usize) -> crate::io::txrm_writer::Streams {
    use crate::io::txrm_writer::{pixels, series};
    use crate::volume::AnyArray;

    let (AnyArray::U16(images), Some(AnyArray::U16(flats))) = (&scan.projections, &scan.flats) else {
        panic!("the demo counts in u16")
    };
    let (_, rows, cols) = images.dim();
    let mut streams = series(views.len(), rows, cols);
    streams.int("ImageInfo/NoOfImages", i32::try_from(n_planned).unwrap());
    let angles: Vec<f32> = views.iter().map(|view| scan.angles_deg[*view] as f32).collect();
    streams.floats("ImageInfo/Angles", &angles);
    for (k, view) in views.iter().enumerate() {
        streams.put(&format!("ImageData1/Image{}", k + 1), pixels(rows, cols, |y, x| images[[*view, y, x]]));
    }
    streams.int("ReferenceData/DataType", 5);
    streams.put("ReferenceData/Image", pixels(rows, cols, |y, x| flats[[0, y, x]]));
    streams
}

fn n_added(events: &[WatchEvent]) -> usize {
    events.iter().filter(|event| matches!(event, WatchEvent::View { .. })).count()
}

#[test]
fn a_txrm_that_grows_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let scan = demo_scan();
    let path = folder.path().join("cell.txrm");
    let mut watcher = watcher(folder.path(), LONG);
    let taken = |n: usize| xradia(&scan, &(0..n).collect::<Vec<_>>(), 41);
    taken(5).write(&path, 4);
    assert_eq!(n_added(&step(&mut watcher)), 5);
    // The sixth image is only half written.
    let mut half = taken(6);
    let sixth = half.0["ImageData1/Image6"][..100].to_vec();
    half.put("ImageData1/Image6", sixth).write(&path, 4);
    assert_eq!(n_added(&step(&mut watcher)), 0);
    taken(8).write(&path, 4);
    assert_eq!(n_added(&step(&mut watcher)), 3);
    let live = io::read_alignment(&folder.path().join("out/cell_live.json")).unwrap();
    assert_eq!(live.views.len(), 8);
    watcher.options.settle = Duration::ZERO;
    assert!(matches!(step(&mut watcher).last(), Some(WatchEvent::Finished { .. })));
}

#[test]
fn a_folder_that_gets_one_xrm_a_view_is_followed_in_the_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let scan = demo_scan();
    // From the middle outwards, so that later views come between those that are there.
    let order: Vec<usize> =
        (0..9).map(|i: usize| if i.is_multiple_of(2) { 20 + i / 2 } else { 20 - i.div_ceil(2) }).collect();
    let write = |inside: &Path, range: std::ops::Range<usize>| {
        for at in range {
            let mut streams = xradia(&scan, &order[at..=at], 1);
            streams.slots("ImageInfo/Date", 40, &[&format!("01/02/20 10:00:{at:02}")]);
            streams.write(&inside.join(format!("cell_{}.xrm", scan.angles_deg[order[at]])), 4);
        }
    };
    // In a folder of its own, and in the watched folder itself.
    for inside in [folder.path().join("cell"), folder.path().join("flat out")] {
        fs::create_dir(&inside).unwrap();
        let watched = if inside.ends_with("cell") { folder.path() } else { &inside };
        let mut watcher = watcher(watched, LONG);
        write(&inside, 0..5);
        let events = step(&mut watcher);
        assert_eq!(n_added(&events), 5, "{events:?}");
        write(&inside, 5..9);
        assert_eq!(n_added(&step(&mut watcher)), 4);
        let stem = inside.file_stem().unwrap().to_string_lossy().into_owned();
        let live = io::read_alignment(&watched.join(format!("out/{stem}_live.json"))).unwrap();
        let angles: Vec<f64> = live.views.iter().map(|view| view.angle_deg).collect();
        let taken: Vec<f64> = order.iter().map(|view| f64::from(scan.angles_deg[*view] as f32)).collect();
        assert_eq!(angles, taken);
        assert!(step(&mut watcher).is_empty(), "what is written into the folder is no change of the scan");
        fs::remove_dir_all(&inside).unwrap();
    }
}
