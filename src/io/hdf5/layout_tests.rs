//! Layouts of scans, made piece by piece: what is a view, what a flat, and what numbers beside them mean.

use std::collections::BTreeMap;
use std::path::Path;

use hdf5_pure::{AttrValue, FileBuilder, GroupBuilder};
use ndarray::Array3;

use super::tests::budget;
use crate::base::{Progress, Unit};
use crate::io::{ReadOptions, ScanInput, ScanOptions, read_array_of, read_header, read_scan, write_array};
use crate::prep::{NormalizeParams, normalize};
use crate::volume::{AnyArray, Scan};

/// Values of a dataset.
#[derive(Clone)]
enum Values {
    Numbers(Vec<f64>, Vec<u64>),
    Counts(Array3<u16>),
    Text(&'static str),
}

/// Datasets by path, with their attributes; groups are those of the paths, of the class that their names say.
#[derive(Clone, Default)]
struct Tree(BTreeMap<String, (Values, Vec<(&'static str, String)>)>);

impl Tree {
    fn put(&mut self, path: &str, values: Values) -> &mut Self {
        self.0.insert(path.to_owned(), (values, Vec::new()));
        self
    }

    fn list(&mut self, path: &str, values: &[f64]) -> &mut Self {
        self.put(path, Values::Numbers(values.to_vec(), vec![values.len() as u64]))
    }

    fn number(&mut self, path: &str, value: f64) -> &mut Self {
        self.put(path, Values::Numbers(vec![value], Vec::new()))
    }

    fn counts(&mut self, path: &str, frames: &[u16]) -> &mut Self {
        let (n, frames) = (frames.len(), frames.to_vec());
        self.put(path, Values::Counts(Array3::from_shape_fn((n, 4, 5), |(f, _, _)| frames[f])))
    }

    fn attr(&mut self, path: &str, name: &'static str, value: &str) -> &mut Self {
        self.0.get_mut(path).unwrap().1.push((name, value.to_owned()));
        self
    }

    fn units(&mut self, path: &str, units: &str) -> &mut Self {
        self.attr(path, "units", units)
    }

    fn without(&mut self, path: &str) -> &mut Self {
        self.0.remove(path);
        self
    }

    fn write(&self, path: &Path) {
        fn fill(group: &mut GroupBuilder, below: &[(Vec<&str>, &(Values, Vec<(&'static str, String)>))]) {
            let mut groups: BTreeMap<&str, Vec<_>> = BTreeMap::new();
            for (parts, item) in below {
                if let [name] = parts.as_slice() {
                    let dataset = group.create_dataset(name);
                    match &item.0 {
                        Values::Numbers(values, shape) => dataset.with_f64_data(values).with_shape(shape),
                        Values::Counts(frames) => {
                            let shape = [frames.dim().0 as u64, 4, 5];
                            dataset.with_data(frames.as_slice().unwrap()).with_shape(&shape)
                        }
                        Values::Text(text) => dataset.with_vlen_strings(&[text]).with_shape(&[]),
                    };
                    for (name, value) in &item.1 {
                        dataset.set_attr(name, AttrValue::String(value.clone()));
                    }
                } else {
                    groups.entry(parts[0]).or_default().push((parts[1..].to_vec(), *item));
                }
            }
            for (name, below) in groups {
                let mut child = group.create_group(name);
                let class = match name {
                    "instrument" => "NXinstrument",
                    "detector" | "bright_field" | "dark_field" => "NXdetector",
                    "sample" if below.iter().any(|(p, _)| p == &["data"]) => "NXdetector",
                    "sample" => "NXsample",
                    "source" => "NXsource",
                    "beam" => "NXbeam",
                    "control" => "NXmonitor",
                    "sub" => "NXsubentry",
                    _ => "NXentry",
                };
                child.set_attr("NX_class", AttrValue::String(class.to_owned()));
                fill(&mut child, &below);
                group.add_group(child.finish());
            }
        }
        let mut file = FileBuilder::new();
        let mut tops: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (path, item) in &self.0 {
            let (top, rest) = path.split_once('/').unwrap();
            tops.entry(top).or_default().push((rest.split('/').collect::<Vec<_>>(), item));
        }
        for (name, below) in tops {
            let mut group = file.create_group(name);
            group.set_attr("NX_class", AttrValue::String("NXentry".to_owned()));
            fill(&mut group, &below);
            file.add_group(group.finish());
        }
        file.write(path).unwrap();
    }

    fn read_with(&self, options: &ScanOptions) -> Result<Scan, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        self.write(&path);
        read_scan(&path, options, &Progress::new(), budget()).map_err(|e| e.to_string())
    }

    fn read(&self) -> Result<Scan, String> {
        self.read_with(&ScanOptions::default())
    }
}

const DETECTOR: &str = "entry/instrument/detector";

/// Two darks of 100, two flats of 1000, four views of 600; counts of 16 bits.
fn keyed() -> Tree {
    let mut tree = Tree::default();
    tree.put("entry/definition", Values::Text("NXtomo"))
        .counts("entry/instrument/detector/data", &[100, 100, 1000, 1000, 600, 600, 600, 600])
        .list("entry/instrument/detector/image_key", &[2.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
        .list("entry/sample/rotation_angle", &[0.0, 0.0, 0.0, 0.0, 0.0, 45.0, 90.0, 135.0])
        .units("entry/sample/rotation_angle", "degree")
        .number("entry/instrument/detector/x_pixel_size", 1e-8)
        .units("entry/instrument/detector/x_pixel_size", "m");
    tree
}

fn said(scan: &Scan, part: &str) {
    assert!(scan.warnings.iter().any(|w| w.contains(part)), "{part} is not in {:?}", scan.warnings);
}

#[test]
fn frames_taken_again_are_no_views() {
    let mut tree = keyed();
    tree.list("entry/instrument/detector/image_key_control", &[2.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0]);
    let scan = tree.read().unwrap();
    assert_eq!((scan.n_views(), scan.angles_deg.as_slice()), (3, [0.0, 45.0, 90.0].as_slice()));
    said(&scan, "1 frames were taken again");
    // The control alone is enough.
    let scan = tree.without("entry/instrument/detector/image_key").read().unwrap();
    assert_eq!((scan.n_views(), scan.flats.unwrap().shape()[0]), (3, 2));
}

#[test]
fn keys_may_be_a_column() {
    let mut tree = keyed();
    let keys = vec![2.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0, 3.0];
    tree.put("entry/instrument/detector/image_key", Values::Numbers(keys, vec![8, 1]));
    let scan = tree.read().unwrap();
    assert_eq!(scan.n_views(), 3);
    said(&scan, "1 frames are marked invalid");
}

#[test]
fn the_pixel_at_the_sample_comes_before_that_of_the_camera() {
    let pixel = format!("{DETECTOR}/x_pixel_size");
    let mut tree = keyed();
    tree.number(&pixel, 6.5).units(&pixel, "um");
    assert_eq!(tree.read().unwrap().pixel_um, Some(6.5));
    let mut magnified = tree.clone();
    let scan = magnified.number(&format!("{DETECTOR}/magnification"), 650.0).read().unwrap();
    assert_eq!(scan.pixel_um, Some(0.01));
    said(&scan, "magnification 650");
    // As people write it.
    let mut spoken = tree.clone();
    spoken.put(&format!("{DETECTOR}/magnification"), Values::Text("650x"));
    assert_eq!(spoken.read().unwrap().pixel_um, Some(0.01));
    let mut unclear = tree.clone();
    unclear.put(&format!("{DETECTOR}/magnification"), Values::Text("high"));
    said(&unclear.read().unwrap(), "is no number");
    tree.number("entry/sample/x_pixel_size", 10.0).units("entry/sample/x_pixel_size", "nm");
    assert_eq!(tree.read().unwrap().pixel_um, Some(0.01));
    // A magnification beside a pixel that is at the sample already.
    let mut tree = keyed();
    assert_eq!(
        tree.number(&format!("{DETECTOR}/magnification"), 1300.0).read().unwrap().pixel_um,
        Some(0.01)
    );
}

#[test]
fn a_detector_for_each_kind_of_frame_is_read() {
    let mut tree = Tree::default();
    tree.put("entry/definition", Values::Text("NXtomo"))
        .counts("entry/instrument/bright_field/data", &[1000, 1000])
        .list("entry/instrument/bright_field/ExpTimes", &[1.0, 1.0])
        .list("entry/instrument/bright_field/current", &[100.0, 102.0])
        .counts("entry/instrument/dark_field/data", &[100])
        .counts("entry/instrument/sample/data", &[600, 601, 602])
        .list("entry/instrument/sample/ExpTimes", &[2.0, 2.0, 2.0])
        .list("entry/instrument/sample/current", &[100.0, 101.0, 102.0])
        .number("entry/instrument/sample/x_pixel_size", 0.01)
        .number("entry/instrument/sample/magnification", 1300.0)
        .list("entry/instrument/source/energy", &[520.0, 520.0, 520.0])
        .list("entry/sample/rotation_angle", &[-10.0, 0.0, 10.0]);
    let scan = tree.read().unwrap();
    let first =
        |frames: &AnyArray| crate::with_array!(frames, f => crate::volume::any::Voxel::to_f64(f[[0, 0, 0]]));
    assert_eq!((scan.n_views(), first(&scan.projections)), (3, 600.0));
    assert_eq!((first(scan.flats.as_ref().unwrap()), first(scan.darks.as_ref().unwrap())), (1000.0, 100.0));
    assert_eq!((scan.pixel_um, scan.energy_ev), (Some(0.01), Some(520.0)));
    assert_eq!((scan.exposure_s, scan.flat_exposure_s), (vec![2.0; 3], vec![1.0; 2]));
    assert_eq!((scan.beam, scan.flat_beam), (vec![100.0, 101.0, 102.0], vec![100.0, 102.0]));
}

#[test]
fn exposures_of_flats_and_views_are_brought_together() {
    let time = format!("{DETECTOR}/count_time");
    let mut tree = keyed();
    tree.counts("entry/instrument/detector/data", &[100, 100, 1000, 1000, 1000, 1000, 1000, 1000])
        .list(&time, &[1000.0, 1000.0, 1000.0, 1000.0, 2000.0, 2000.0, 2000.0, 2000.0]);
    let scan = tree.units(&time, "ms").read().unwrap();
    assert_eq!((&scan.exposure_s, &scan.flat_exposure_s), (&vec![2.0; 4], &vec![1.0; 2]));
    let params =
        NormalizeParams { intensity: crate::prep::Intensity::Constant, ..NormalizeParams::default() };
    let (series, report) = normalize(&Progress::new(), &scan, &params).unwrap();
    // Half of what the flats would have counted in the same time.
    assert!(
        series.data.iter().all(|a| (f64::from(*a) - 2f64.ln()).abs() < 1e-5),
        "{}",
        series.data[[0, 0, 0]]
    );
    assert!(report.warnings.iter().any(|w| w.contains("flats were exposed 1 s and views 2 s")));
    // A counter that ran as long as the exposures is divided by them; a ring current is not.
    let monitor = "entry/control/data";
    let counter = tree.clone().list(monitor, &[5.0, 5.0, 5.0, 5.0, 10.0, 10.1, 10.0, 9.9]).read().unwrap();
    assert_eq!(counter.flat_beam, [5.0, 5.0]);
    assert!((counter.beam[1] - 5.05).abs() < 1e-12);
    // A beam that fades by half while views are exposed ever longer: neighbours tell a counter from a current.
    let mut fading = tree.clone();
    fading.list(&time, &[1000.0, 1000.0, 1000.0, 1000.0, 1000.0, 1300.0, 1700.0, 2200.0]).units(&time, "ms");
    let counted = fading.clone().list(monitor, &[1.0, 1.0, 1.0, 0.97, 0.9, 1.04, 1.19, 1.32]).read().unwrap();
    said(&counted, "divided by the exposure");
    assert!((counted.beam[3] - 1.32 / 2.2).abs() < 1e-12);
    let strength = fading.list(monitor, &[1.0, 1.0, 1.0, 0.97, 0.9, 0.8, 0.7, 0.6]).read().unwrap();
    assert_eq!(strength.beam, [0.9, 0.8, 0.7, 0.6]);
    let current = tree.list(monitor, &[0.0, f64::NAN, 5.0, 5.0, 5.1, 5.0, 5.0, 4.9]).read().unwrap();
    assert_eq!((current.beam, current.flat_beam), (vec![5.1, 5.0, 5.0, 4.9], vec![5.0, 5.0]));
}

#[test]
fn angles_in_radians_and_angles_that_nobody_recorded() {
    let path = "entry/sample/rotation_angle";
    let mut tree = keyed();
    let turn = std::f64::consts::PI / 4.0;
    tree.list(path, &[0.0, turn, 2.0 * turn, 3.0 * turn]).units(path, "rad");
    assert!((tree.read().unwrap().angles_deg[3] - 135.0).abs() < 1e-9);
    tree.list(path, &[0.0; 8]);
    let error = tree.read().unwrap_err();
    assert!(error.contains("not recorded") && error.contains("--angles"), "{error}");
    let given = ScanOptions { angles: Some("0:10".parse().unwrap()), ..ScanOptions::default() };
    assert_eq!(tree.read_with(&given).unwrap().angles_deg, [0.0, 10.0, 20.0, 30.0]);
    tree.list(path, &[0.0, 1.0, 2.0]);
    assert!(tree.read().unwrap_err().contains("3 angles for 4 views"));
}

#[test]
fn views_that_were_never_written_are_left_out() {
    let mut tree = keyed();
    tree.counts("entry/instrument/detector/data", &[100, 100, 1000, 1000, 600, 600, 0, 0]);
    let scan = tree.read().unwrap();
    assert_eq!((scan.n_views(), scan.angles_deg.as_slice()), (2, [0.0, 45.0].as_slice()));
    said(&scan, "2 of 4 views were never written (views 2-3)");
}

#[test]
fn of_several_entries_one_is_asked_for() {
    let mut tree = keyed();
    for (path, item) in keyed().0 {
        tree.0.insert(path.replacen("entry/", "second/", 1), item);
    }
    tree.counts("second/instrument/detector/data", &[100, 100, 1000, 1000, 700, 700, 700, 700]);
    let error = tree.read().unwrap_err();
    assert!(error.contains("2 scans") && error.contains("entry, second"), "{error}");
    let read = ReadOptions { entry: Some("second".to_owned()), ..ReadOptions::default() };
    let scan = tree.read_with(&ScanOptions { read, ..ScanOptions::default() }).unwrap();
    assert!(matches!(&scan.projections, AnyArray::U16(v) if v[[0, 0, 0]] == 700));
    let read = ReadOptions { entry: Some("third".to_owned()), ..ReadOptions::default() };
    let error = tree.read_with(&ScanOptions { read, ..ScanOptions::default() }).unwrap_err();
    assert!(error.contains("no scan named third"), "{error}");
    // A sub-entry is one more name.
    let mut tree = Tree::default();
    for (path, item) in keyed().0 {
        tree.0.insert(path.replacen("entry/", "entry1/sub/", 1), item);
    }
    assert_eq!(tree.read().unwrap().n_views(), 4);
}

#[test]
fn the_energy_of_a_ring_is_no_photon_energy() {
    let mut tree = keyed();
    tree.number("entry/instrument/source/energy", 3.0).units("entry/instrument/source/energy", "GeV");
    assert_eq!(tree.read().unwrap().energy_ev, None);
    let beam = "entry/instrument/beam/incident_energy";
    assert_eq!(tree.number(beam, 0.52).units(beam, "keV").read().unwrap().energy_ev, Some(520.0));
    let joules = 520.0 * 1.602_176_634e-19;
    assert_eq!(tree.number(beam, joules).units(beam, "J").read().unwrap().energy_ev, Some(520.0));
}

#[test]
fn data_exchange_says_the_pixel_at_the_sample() {
    let detector = "measurement/instrument/detector";
    let mut tree = Tree::default();
    tree.counts("exchange/data", &[600, 600, 600])
        .counts("exchange/data_white", &[1000])
        .counts("exchange/data_dark", &[100])
        .list("exchange/theta", &[0.0, 1.0, 2.0])
        .number(&format!("{detector}/pixel_size_x"), 6.5)
        .units(&format!("{detector}/pixel_size_x"), "um")
        .number("measurement/instrument/monochromator/energy", 8.0)
        .units("measurement/instrument/monochromator/energy", "keV");
    assert_eq!(tree.read().unwrap().pixel_um, Some(6.5));
    let actual = "measurement/instrument/detection_system/objective/resolution";
    tree.number(actual, 0.65).units(actual, "microns");
    let scan = tree.read().unwrap();
    assert_eq!((scan.pixel_um, scan.energy_ev, scan.angles_deg.len()), (Some(0.65), Some(8000.0), 3));
    tree.attr("exchange/data", "axes", "y:theta:x");
    assert!(tree.read().unwrap_err().contains("--axes"));
}

#[test]
fn normalised_series_of_mistral_are_transmission() {
    let mut tree = Tree::default();
    let group = "TomoNormalized";
    tree.put(&format!("{group}/TomoNormalized"), Values::Numbers(vec![0.6; 9 * 20], vec![9, 4, 5]))
        .list(&format!("{group}/rotation_angle"), &[-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0])
        .list(&format!("{group}/energy"), &[520.0; 9])
        .list(&format!("{group}/x_pixel_size"), &[0.01]);
    let scan = tree.read().unwrap();
    assert_eq!((scan.unit, scan.n_views(), scan.angles_deg[0]), (Unit::Transmission, 9, -4.0));
    assert_eq!((scan.pixel_um, scan.energy_ev), (Some(0.01), Some(520.0)));
}

#[test]
fn transmission_in_per_cent_becomes_a_fraction() {
    let folder = tempfile::tempdir().unwrap();
    for (name, values, expected) in [("per_cent", 50.0f32, 0.5), ("fraction", 0.5, 0.5)] {
        let path = folder.path().join(format!("{name}.npy"));
        let frames = AnyArray::F32(Array3::from_elem((3, 4, 5), values));
        write_array(&path, &crate::io::WriteRequest::new(&frames), &Progress::new()).unwrap();
        let options = ScanOptions {
            angles: Some("0:10".parse().unwrap()),
            input: Some(ScanInput::Transmission),
            ..ScanOptions::default()
        };
        let scan = read_scan(&path, &options, &Progress::new(), budget()).unwrap();
        assert_eq!(scan.projections, AnyArray::F32(Array3::from_elem((3, 4, 5), expected)), "{name}");
        assert_eq!(scan.warnings.iter().any(|w| w.contains("per cent")), name == "per_cent");
    }
}

#[test]
fn axes_are_read_as_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.h5");
    let value = |z: usize, y: usize, x: usize| (100 * z + 10 * y + x) as f64;
    let tags = |order: &str| {
        let axes: Vec<String> = order
            .chars()
            .map(|key| format!("{{\"key\": \"{key}\", \"typeFlags\": 2, \"resolution\": 0}}"))
            .collect();
        format!("{{\"axes\": [{}]}}", axes.join(", "))
    };
    let expected = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| value(z, y, x));
    for order in ["zyx", "xyz", "yzx", "zyxc", "tzyxc", "czyx"] {
        let sizes: BTreeMap<char, usize> = [('t', 1), ('c', 2), ('z', 2), ('y', 3), ('x', 4)].into();
        let shape: Vec<usize> = order.chars().map(|key| sizes[&key]).collect();
        let n: usize = shape.iter().product();
        let values = (0..n).map(|at| {
            let (mut rest, mut place) = (at, BTreeMap::new());
            for (key, side) in order.chars().rev().zip(shape.iter().rev()) {
                place.insert(key, rest % side);
                rest /= side;
            }
            let channel = place.get(&'c').copied().unwrap_or(1) as f64;
            value(place[&'z'], place[&'y'], place[&'x'])
                + if order.contains('c') { 1000.0 * channel } else { 0.0 }
        });
        let mut file = FileBuilder::new();
        let dataset = file.create_dataset("exported_data").with_f64_data(&values.collect::<Vec<_>>());
        let shape: Vec<u64> = shape.iter().map(|n| *n as u64).collect();
        dataset.with_shape(&shape).set_attr("axistags", AttrValue::String(tags(order)));
        file.write(&path).unwrap();
        let header = read_header(&path).unwrap();
        let channel = order.contains('c').then_some(1);
        assert_eq!(header.n_channels, 1 + usize::from(channel.is_some()), "{order}");
        let options = ReadOptions { channel, ..ReadOptions::default() };
        let read = read_array_of(&path, &options, &Progress::new(), budget()).unwrap();
        let offset = if channel.is_some() { 1000.0 } else { 0.0 };
        assert_eq!(read.array, AnyArray::F64(expected.mapv(|v| v + offset)), "{order}");
    }
}

#[test]
fn keys_elsewhere_are_found_and_their_absence_is_said() {
    let mut tree = keyed();
    tree.without("entry/instrument/detector/image_key")
        .list("entry/scan/image_key", &[2.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(tree.read().unwrap().n_views(), 4);
    let given = ScanOptions { input: Some(ScanInput::Transmission), ..ScanOptions::default() };
    let mut tree = keyed();
    let path = "entry/sample/rotation_angle";
    tree.without("entry/instrument/detector/image_key")
        .list(path, &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0])
        .put("entry/instrument/detector/data", Values::Numbers(vec![0.5; 160], vec![8, 4, 5]));
    said(&tree.read_with(&given).unwrap(), "all 8 were taken for views");
}

#[test]
fn a_view_that_was_written_in_part_is_left_out() {
    let frames = [100, 100, 1000, 1000, 600, 600, 600, 600];
    let mut tree = keyed();
    let mut counts = Array3::from_shape_fn((8, 4, 5), |(f, _, _)| frames[f]);
    counts.slice_mut(ndarray::s![7, 2.., ..]).fill(0);
    tree.put("entry/instrument/detector/data", Values::Counts(counts));
    let scan = tree.read().unwrap();
    assert_eq!((scan.n_views(), scan.angles_deg.as_slice()), (3, [0.0, 45.0, 90.0].as_slice()));
    said(&scan, "view 3 was written in part: 2 of its rows");
}

#[test]
fn what_is_not_applied_is_said() {
    let mut tree = keyed();
    tree.put(&format!("{DETECTOR}/field_of_view"), Values::Text("Half"))
        .number(&format!("{DETECTOR}/x_rotation_axis_pixel_position"), -12.5)
        .number(&format!("{DETECTOR}/data_scaling_factor"), 2.0);
    let scan = tree.read().unwrap();
    for part in ["field of view is Half", "-12.5 px", "(by 2, then 0 added)"] {
        said(&scan, part);
    }
}

#[test]
fn what_belongs_to_the_views_is_named_where_only_these_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("scan.h5"), folder.path().join("views.mrc"));
    let mut tree = keyed();
    tree.list("entry/control/data", &[1.0; 8]).write(&from);
    let done = crate::io::convert(&from, &to, &ReadOptions::default(), &Progress::new(), budget()).unwrap();
    let lost = done.losses.join("; ");
    assert!(lost.contains("2 flats, 2 darks, the beam monitor"), "{lost}");
}
