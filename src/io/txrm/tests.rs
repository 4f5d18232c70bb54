//! Tests of io::txrm on files that are written here, byte by byte.

use std::fs;
use std::path::Path;

use ndarray::Array3;
use proptest::prelude::*;

use super::about::image_name;
use super::writer_tests::{Streams, pixels, series, value};
use super::*;
use crate::base::{MemoryBudget, Unit};
use crate::io::format::{Kind, Loaded};
use crate::io::{ReadOptions, ScanInput, ScanOptions, info, read_any_alignment, read_array, read_scan};
use crate::volume::AnyArray;

fn budget() -> MemoryBudget {
    MemoryBudget::from_gib(0.1)
}

fn read(path: &Path) -> Result<Loaded, IoError> {
    read_array(path, &Progress::new(), budget())
}

fn scan_with(path: &Path, options: &ScanOptions) -> Result<Scan, IoError> {
    read_scan(path, options, &Progress::new(), budget())
}

fn scan_of(path: &Path) -> Result<Scan, IoError> {
    scan_with(path, &ScanOptions::default())
}

/// What [`series`] holds, rows from the top down.
fn expected(n: usize, rows: usize, cols: usize) -> AnyArray {
    AnyArray::U16(Array3::from_shape_fn((n, rows, cols), |(k, y, x)| value(k, y, x)))
}

fn said(texts: &[String], part: &str) -> bool {
    texts.iter().any(|text| text.contains(part))
}

#[test]
fn tilt_series_in_small_and_large_sectors_come_upright_with_all_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut streams = series(3, 50, 60);
    streams.spaced("ImageInfo/Energy", &[520.0, 520.0, 520.0]).floats("ImageInfo/ExpTimes", &[1.0, 2.0, 3.0]);
    streams.slots("ImageInfo/Date", 40, &["11/09/15 18:19:21", "11/09/15 18:19:29", "11/09/15 18:20:00"]);
    streams.slots("ImageInfo/ZonePlateName", 25, &["25 nm"]);
    streams.int("PositionInfo/TotalAxis", 3).slots(
        "PositionInfo/AxisNames",
        25,
        &["Sample Theta", "machine_current", "Sample X"],
    );
    streams.slots("PositionInfo/AxisUnits", 15, &["deg", "mA", "µm"]);
    streams.floats("PositionInfo/MotorPositions", &[-10.0, 200.0, 5.0, -8.0, 199.0, 5.0, -6.0, 198.0, 5.5]);
    for version in [3, 4] {
        let path = folder.path().join(format!("v{version}.txrm"));
        streams.write(&path, version);
        let Loaded { array, header } = read(&path).unwrap();
        assert_eq!(array, expected(3, 50, 60), "sectors of version {version}");
        assert_eq!((header.format, header.kind, header.unit), ("TXRM", Kind::Scan, Some(Unit::Counts)));
        assert_eq!(header.angles_deg, [-10.0, -8.0, -6.0]);
        assert_eq!(header.voxel_um, Some([f64::from(0.0125_f32); 3]));
        assert_eq!(header.energy_ev, Some(520.0));
        let say = |key: &str| header.metadata.get(key).map_or("", String::as_str);
        assert_eq!(say("axis Sample X"), "5 5 5.5 µm");
        assert_eq!(say("zone_plate"), "25 nm");
        assert_eq!(say("exposure_s"), "1 2 3");
        assert_eq!(say("date_last"), "2015-11-09 18:20:00");
        assert!(say("dates").starts_with("11/09/15 18:19:21; 11/09/15 18:19:29"));
        assert!(say("rows").contains("flipped once"));
        let described = info(&path, &ReadOptions::default(), &Progress::new()).unwrap();
        assert_eq!((described.n_views, described.kind), (Some(3), Kind::Scan));
        // Without a reference it is said what is missing.
        let text = scan_of(&path).unwrap_err().to_string();
        assert!(text.contains("--flat"), "{text}");
        let absorbance = ScanOptions { input: Some(ScanInput::Absorbance), ..ScanOptions::default() };
        let scan = scan_with(&path, &absorbance).unwrap();
        assert_eq!((scan.exposure_s, scan.beam), (vec![1.0, 2.0, 3.0], vec![200.0, 199.0, 198.0]));
    }
}

#[test]
fn images_that_were_taken_are_read_and_not_those_that_were_planned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    let mut streams = series(5, 4, 6);
    streams.int("ImageInfo/NoOfImages", 131);
    streams.floats("ImageInfo/Angles", &(0..131).map(|k| k as f32 - 65.0).collect::<Vec<_>>());
    streams.write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!(loaded.array, expected(5, 4, 6));
    assert_eq!(loaded.header.angles_deg, [-65.0, -64.0, -63.0, -62.0, -61.0]);
    assert!(
        said(&loaded.header.warnings, "131 images were planned, 5 were taken"),
        "{:?}",
        loaded.header.warnings
    );

    // One is missing, or half written: what stands before it is read, and that is said.
    streams.int("ImageInfo/NoOfImages", 5).floats("ImageInfo/Angles", &[0.0, 1.0, 2.0, 3.0, 4.0]);
    let third = streams.0.remove(&image_name(3)).unwrap();
    streams.write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!(loaded.array, expected(2, 4, 6));
    assert!(said(&loaded.header.warnings, "image 3 is missing"), "{:?}", loaded.header.warnings);
    streams.put(&image_name(3), &third[..20]).write(&path, 3);
    let loaded = read(&path).unwrap();
    assert_eq!((loaded.array, loaded.header.angles_deg.len()), (expected(2, 4, 6), 2));
    assert!(said(&loaded.header.warnings, "image 3 has 20 bytes instead of 48"));

    // More lie there than were taken.
    series(5, 4, 6).int("ImageInfo/ImagesTaken", 4).write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!(loaded.array.shape(), [4, 4, 6]);
    assert!(said(&loaded.header.warnings, "the others are left out"));
    series(5, 4, 6).put(&image_name(1), Vec::new()).write(&path, 4);
    assert!(read(&path).unwrap_err().to_string().contains("0 bytes"));
}

#[test]
fn a_hundred_images_lie_in_a_storage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    let streams = series(131, 2, 3);
    assert!(streams.0.contains_key("ImageData2/Image101") && streams.0.contains_key("ImageData1/Image100"));
    streams.write(&path, 4);
    assert_eq!(read(&path).unwrap().array, expected(131, 2, 3));
}

#[test]
fn every_type_of_pixel_is_read_and_bytes_win_over_a_code_that_contradicts_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xrm");
    let cases: [(i32, Vec<u8>, &str); 10] = [
        (2, vec![0xff, 2], "int8"),
        (3, vec![0xff, 2], "uint8"),
        (4, [-1i16, 2].iter().flat_map(|v| v.to_le_bytes()).collect(), "int16"),
        (5, [65535u16, 2].iter().flat_map(|v| v.to_le_bytes()).collect(), "uint16"),
        (6, [-1i32, 2].iter().flat_map(|v| v.to_le_bytes()).collect(), "int32"),
        (7, [u32::MAX, 2].iter().flat_map(|v| v.to_le_bytes()).collect(), "uint32"),
        (8, [-1i64, 2].iter().flat_map(|v| v.to_le_bytes()).collect(), "float64"),
        (9, [1u64 << 40, 2].iter().flat_map(|v| v.to_le_bytes()).collect(), "float64"),
        (10, [-1.5f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect(), "float32"),
        (11, [-1.5f64, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect(), "float64"),
    ];
    let lower = [-1.0, 255.0, -1.0, 65535.0, -1.0, 4294967295.0, -1.0, 1099511627776.0, -1.5, -1.5];
    for ((code, raw, dtype), lower) in cases.into_iter().zip(lower) {
        let mut streams = series(1, 2, 1);
        streams.int("ImageInfo/DataType", code).put(&image_name(1), raw).write(&path, 4);
        let loaded = read(&path).unwrap();
        assert_eq!(loaded.array.dtype(), dtype, "code {code}");
        // The first stored row is the lower one.
        assert_eq!(values(&loaded.array), [2.0, lower], "code {code}");
        assert_eq!(loaded.header.kind, Kind::Image);
    }
    let mut streams = series(1, 2, 1);
    streams.put(&image_name(1), [1.0f32, 2.5].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    streams.write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!((loaded.array.dtype(), values(&loaded.array)), ("float32", vec![2.5, 1.0]));
    assert!(said(&loaded.header.warnings, "code 5"), "{:?}", loaded.header.warnings);
    streams.put(&image_name(1), vec![0; 7]).write(&path, 4);
    assert!(read(&path).unwrap_err().to_string().contains("7 bytes for 2 pixels"));
}

fn values(array: &AnyArray) -> Vec<f64> {
    crate::with_array!(array, array => array.iter().map(|v| crate::volume::any::Voxel::to_f64(*v)).collect())
}

#[test]
fn a_reference_inside_is_the_flat_with_its_own_exposure_and_beam() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    let mut streams = series(3, 4, 6);
    streams
        .floats("ImageInfo/ExpTimes", &[2.0; 3])
        .floats("ImageInfo/IonChamberCurrent", &[300.0, 310.0, 320.0]);
    streams.int("ReferenceData/DataType", 5).floats("ReferenceData/ExpTime", &[1.0]);
    streams.floats("ReferenceData/IonCurrent", &[330.0]);
    streams.put("ReferenceData/Image", pixels(4, 6, |y, x| u16::try_from(5000 + 10 * y + x).unwrap()));
    streams.write(&path, 4);
    let scan = scan_of(&path).unwrap();
    let flat = Array3::from_shape_fn((1, 4, 6), |(_, y, x)| u16::try_from(5000 + 10 * y + x).unwrap());
    assert_eq!((scan.unit, scan.flats), (Unit::Counts, Some(AnyArray::U16(flat.clone()))));
    assert_eq!((scan.exposure_s, scan.flat_exposure_s), (vec![2.0; 3], vec![1.0]));
    assert_eq!((scan.beam, scan.flat_beam), (vec![300.0, 310.0, 320.0], vec![330.0]));

    // Several frames in one stream, and one a stream.
    let two: Vec<u8> = streams.0["ReferenceData/Image"].repeat(2);
    streams.put("ReferenceData/Image", two).write(&path, 4);
    assert_eq!(scan_of(&path).unwrap().flats.unwrap().shape(), [2, 4, 6]);
    let one = streams.0.remove("ReferenceData/Image").unwrap()[..48].to_vec();
    streams.put("MultiReferenceData/Image1", one.clone()).put("MultiReferenceData/Image2", one.clone());
    streams.write(&path, 4);
    assert_eq!(scan_of(&path).unwrap().flats.unwrap().shape(), [2, 4, 6]);

    // Version 5 says the size of the reference, of another type; one of another size is left out, and that is said.
    let mut streams = series(3, 4, 6);
    let raw: Vec<u8> = (0..24).flat_map(|i| (i as f32 + 0.5).to_le_bytes()).collect();
    streams.floats("Version", &[5.0]).put("ReferenceData/Image", raw).int("ReferenceData/DataType", 10);
    streams.int("ReferenceData/ImageInfo/ImageWidth", 6).int("ReferenceData/ImageInfo/ImageHeight", 4);
    streams.floats("ReferenceData/ImageInfo/ExpTimes", &[0.5]).write(&path, 4);
    let scan = scan_of(&path).unwrap();
    assert_eq!((scan.flat_exposure_s, values(&scan.flats.unwrap())[0]), (vec![0.5], 18.5));
    streams
        .int("ReferenceData/ImageInfo/ImageWidth", 4)
        .int("ReferenceData/ImageInfo/ImageHeight", 6)
        .write(&path, 4);
    let loaded =
        scan_with(&path, &ScanOptions { input: Some(ScanInput::Absorbance), ..ScanOptions::default() });
    assert!(said(&loaded.unwrap().warnings, "6 × 4 pixels"));
}

#[test]
fn a_reference_in_a_second_file_is_given_or_found_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut streams = series(3, 4, 6);
    streams.floats("ImageInfo/ExpTimes", &[2.0; 3]).write(&at("tomo1.txrm"), 4);
    let mut reference = series(2, 4, 6);
    reference.floats("ImageInfo/ExpTimes", &[1.0, 1.5]).floats("ImageInfo/Angles", &[0.0, 0.0]);
    reference.write(&at("other.xrm"), 3);
    let options = ScanOptions { flat: Some(at("other.xrm")), ..ScanOptions::default() };
    let scan = scan_with(&at("tomo1.txrm"), &options).unwrap();
    assert_eq!(scan.flats, Some(expected(2, 4, 6)));
    assert_eq!(scan.flat_exposure_s, [1.0, 1.5]);

    // Named by the file, by its own name, by several.
    assert!(scan_of(&at("tomo1.txrm")).is_err());
    streams
        .slots("ImageInfo/ReferenceFile", 260, &["D:\\data\\today\\OTHER.xrm"])
        .write(&at("tomo1.txrm"), 4);
    let scan = scan_of(&at("tomo1.txrm")).unwrap();
    assert!(scan.flats.is_some() && said(&scan.warnings, "taken from other.xrm"), "{:?}", scan.warnings);
    fs::remove_file(at("other.xrm")).unwrap();
    reference.write(&at("tomo1_FF.xrm"), 4);
    reference.write(&at("coffee.xrm"), 4);
    let scan = scan_of(&at("tomo1.txrm")).unwrap();
    assert!(said(&scan.warnings, "taken from tomo1_FF.xrm"), "{:?}", scan.warnings);
    reference.write(&at("tomo1_ref2.xrm"), 4);
    assert!(scan_of(&at("tomo1.txrm")).unwrap_err().to_string().contains("--flat"));
}

#[test]
fn per_cent_is_never_taken_for_a_fraction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    let mut streams = series(2, 1, 2);
    let raw = |values: [f32; 2]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    streams
        .int("ImageInfo/DataType", 10)
        .put(&image_name(1), raw([50.0, 100.0]))
        .put(&image_name(2), raw([25.0, 80.0]));
    streams.int("ImageInfo/OriginalDataRefCorrected", 1).write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!((loaded.header.unit, values(&loaded.array)), (None, vec![50.0, 100.0, 25.0, 80.0]));
    assert!(said(&loaded.header.warnings, "per cent"));
    let scan = scan_of(&path).unwrap();
    assert_eq!((scan.unit, values(&scan.projections)[..2].to_vec()), (Unit::Transmission, vec![0.5, 1.0]));
    assert!(said(&scan.warnings, "divided by 100"));
    // Not marked by the file, but said by the user: known by its range.
    streams.int("ImageInfo/OriginalDataRefCorrected", 0).write(&path, 4);
    let options = ScanOptions { input: Some(ScanInput::Transmission), ..ScanOptions::default() };
    let scan = scan_with(&path, &options).unwrap();
    assert_eq!(values(&scan.projections)[..2].to_vec(), vec![0.5, 1.0]);
    assert!(said(&scan.warnings, "above 100.0") && said(&scan.warnings, "per cent"), "{:?}", scan.warnings);
}

#[test]
fn mosaics_are_one_picture_with_the_reference_under_every_tile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mosaic.xrm");
    // Version 3: one image that is put together already.
    let mut streams = series(1, 4, 6);
    streams.int("ImageInfo/MosiacMode", 1).int("ImageInfo/MosiacRows", 2).int("ImageInfo/MosiacColumns", 3);
    streams.int("ImageInfo/NoOfImages", 6).int("ImageInfo/ImagesTaken", 6);
    streams.int("ReferenceData/DataType", 5);
    streams
        .put("ReferenceData/Image", pixels(2, 2, |y, x| u16::try_from(10 * y + x).unwrap()))
        .write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!((loaded.array, loaded.header.kind), (expected(1, 4, 6), Kind::Image));
    assert!(!said(&loaded.header.warnings, "missing"), "{:?}", loaded.header.warnings);
    let flat = Array3::from_shape_fn((1, 4, 6), |(_, y, x)| u16::try_from(10 * (y % 2) + x % 2).unwrap());
    assert_eq!(scan_of(&path).unwrap().flats, Some(AnyArray::U16(flat.clone())));

    // Version 5: one image a tile, the first at the lower left, along the rows first.
    let mut streams = series(6, 2, 2);
    streams.floats("Version", &[5.0]).floats("ImageInfo/Angles", &[0.0; 6]);
    streams.int("ImageInfo/MosiacRows", 2).int("ImageInfo/MosiacColumns", 3);
    streams.int("ReferenceData/DataType", 5);
    streams
        .put("ReferenceData/Image", pixels(2, 2, |y, x| u16::try_from(10 * y + x).unwrap()))
        .write(&path, 4);
    let loaded = read(&path).unwrap();
    let tile = |y: usize, x: usize| value(3 * (1 - y / 2) + x / 2, y % 2, x % 2);
    assert_eq!(loaded.array, AnyArray::U16(Array3::from_shape_fn((1, 4, 6), |(_, y, x)| tile(y, x))));
    assert!(loaded.header.metadata["mosaic"].starts_with("2 rows, 3 columns of tiles of 2 × 2"));
    assert_eq!(scan_of(&path).unwrap().flats, Some(AnyArray::U16(flat)));
    // Upwards first.
    streams.int("ImageInfo/MosaicFastAxis", 1).write(&path, 4);
    let tile = |y: usize, x: usize| value(2 * (x / 2) + 1 - y / 2, y % 2, x % 2);
    assert_eq!(
        read(&path).unwrap().array,
        AnyArray::U16(Array3::from_shape_fn((1, 4, 6), |(_, y, x)| tile(y, x)))
    );
    // A tile is missing: 0 stands there. A size that no file could hold is not believed.
    streams.0.remove(&image_name(6));
    streams.int("ImageInfo/ImagesTaken", 5).write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!(values(&loaded.array)[4..6], [0.0, 0.0]);
    assert!(said(&loaded.header.warnings, "1 tiles are missing"));
    streams.int("ImageInfo/MosiacRows", 60000).int("ImageInfo/MosiacColumns", 30000).write(&path, 4);
    assert_eq!(read(&path).unwrap().array.shape(), [5, 2, 2]);
}

#[test]
fn a_folder_with_a_file_for_each_angle_is_a_scan() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let view = |k: usize, angle: f32, date: &str| {
        let mut streams = series(1, 4, 6);
        streams.floats("ImageInfo/Angles", &[angle]).floats("ImageInfo/ExpTimes", &[2.0]);
        streams.slots("ImageInfo/Date", 40, &[date]);
        streams.put(&image_name(1), pixels(4, 6, |y, x| value(k, y, x)));
        streams
    };
    view(2, 4.0, "01/02/20 10:00:02").write(&at("cell_4.0.xrm"), 4);
    view(0, -4.0, "01/02/20 10:00:03").write(&at("cell_-4.0.xrm"), 3);
    view(1, 0.0, "01/02/20 10:00:01").write(&at("cell_0.0.xrm"), 4);
    view(9, 0.0, "01/02/20 10:00:05").floats("ImageInfo/ExpTimes", &[0.5]).write(&at("cell_0.0_FF.xrm"), 4);
    view(8, 0.0, "01/02/20 10:00:05").write(&at("cell_dark_1.xrm"), 4);
    let scan = scan_of(folder.path()).unwrap();
    assert_eq!(scan.projections, expected(3, 4, 6));
    assert_eq!(scan.angles_deg, [-4.0, 0.0, 4.0]);
    assert_eq!((scan.exposure_s.clone(), scan.flat_exposure_s.clone()), (vec![2.0; 3], vec![0.5]));
    let one = |k: usize| Some(AnyArray::U16(Array3::from_shape_fn((1, 4, 6), |(_, y, x)| value(k, y, x))));
    assert_eq!((&scan.flats, &scan.darks), (&one(9), &one(8)));
    assert!(said(&scan.warnings, "flats by their names: cell_0.0_FF.xrm"), "{:?}", scan.warnings);
    assert_eq!(order_in_time(&scan), Some(vec![1, 2, 0]));
    assert!(scan.flat_times.is_empty(), "the order by angle is not that in time");
    assert_eq!(
        info(folder.path(), &ReadOptions::default(), &Progress::new()).unwrap().angles_deg,
        [-4.0, 0.0, 4.0]
    );

    // In the order of time the flats have their place; without flats by name the references inside are taken.
    view(0, -4.0, "01/02/20 10:00:00").write(&at("cell_-4.0.xrm"), 3);
    let scan = scan_of(folder.path()).unwrap();
    assert_eq!((order_in_time(&scan), scan.flat_times), (None, vec![3.0]));
    fs::remove_file(at("cell_0.0_FF.xrm")).unwrap();
    for (k, angle) in [(0, -4.0), (1, 0.0)] {
        let mut streams = view(k, angle, "01/02/20 10:00:00");
        streams
            .int("ReferenceData/DataType", 5)
            .put("ReferenceData/Image", pixels(4, 6, |y, x| value(7, y, x)));
        streams.write(&at(&format!("cell_{angle:.1}.xrm")), 4);
    }
    let scan = scan_of(folder.path()).unwrap();
    assert_eq!(scan.flats, one(7));
    assert!(said(&scan.warnings, "references inside the files"));

    // An odd one is named.
    series(1, 4, 7).write(&at("cell_9.xrm"), 4);
    let text = scan_of(folder.path()).unwrap_err().to_string();
    assert!(text.contains("cell_9.xrm is 4 × 7"), "{text}");
}

#[test]
fn stored_shifts_are_offered_and_taken_in_our_frame_but_never_applied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    // A bright pixel at row 3 (from the top), column 5; in the second image 2 columns to the left and a row further up.
    let spot =
        |row: usize, col: usize| pixels(8, 10, move |y, x| if (y, x) == (row, col) { 900 } else { 10 });
    let mut streams = series(2, 8, 10);
    streams.put(&image_name(1), spot(3, 5)).put(&image_name(2), spot(2, 3));
    // To be moved by 2 to the right and, as rows are stored upwards, by -1 along them.
    streams.floats("Alignment/X-Shifts", &[0.0, 2.0]).floats("Alignment/Y-Shifts", &[0.0, -1.0]);
    streams.int("Alignment/MetrologyShiftsApplied", 1).write(&path, 4);
    let loaded = read(&path).unwrap();
    assert!(said(&loaded.header.warnings, "--align a.txrm"), "{:?}", loaded.header.warnings);
    assert_eq!(loaded.header.metadata["stored_shifts_are"], "Metrology");
    let AnyArray::U16(views) = &loaded.array else { panic!("another type") };
    assert_eq!((views[[0, 3, 5]], views[[1, 2, 3]]), (900, 900), "pixels stay where they are");
    let alignment = read_any_alignment(&path, &loaded.header.angles_deg).unwrap();
    for (k, view) in alignment.views.iter().enumerate() {
        // aligned(y, x) = view(y + shift_y, x + shift_x)
        let (y, x) = (3.0 + view.shift_y_px, 5.0 + view.shift_x_px);
        assert_eq!(views[[k, y as usize, x as usize]], 900, "{view:?}");
    }
    let text = read_any_alignment(&path, &[0.0]).unwrap_err().to_string();
    assert!(text.contains("2 images for 1 views"), "{text}");
    streams.floats("Alignment/X-Shifts", &[0.0; 2]).floats("Alignment/Y-Shifts", &[0.0; 2]).write(&path, 4);
    assert!(read_any_alignment(&path, &[0.0, 1.0]).unwrap_err().to_string().contains("no shifts"));
    assert!(!said(&read(&path).unwrap().header.warnings, "shifts"));
}

#[test]
fn a_reconstructed_volume_opens_as_one_and_claims_no_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txm");
    let mut streams = series(4, 5, 5);
    streams
        .floats("ImageInfo/Angles", &[0.0; 4])
        .floats("AutoRecon/GlobalMin", &[-0.5])
        .floats("AutoRecon/GlobalMax", &[2.5]);
    streams.write(&path, 4);
    let loaded = read(&path).unwrap();
    assert_eq!((loaded.header.kind, loaded.header.unit), (Kind::Volume, None));
    assert_eq!(loaded.array, expected(4, 5, 5));
    assert!(loaded.header.angles_deg.is_empty());
    assert!(said(&loaded.header.warnings, "-0.5 and 2.5"), "{:?}", loaded.header.warnings);
    assert_eq!(info(&path, &ReadOptions::default(), &Progress::new()).unwrap().kind, Kind::Volume);
    let renamed = folder.path().join("renamed");
    fs::copy(&path, &renamed).unwrap();
    assert_eq!(read(&renamed).unwrap().header.kind, Kind::Volume, "by its content, too");
}

#[test]
fn what_is_missing_is_found_elsewhere_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    let mut streams = series(2, 4, 6);
    for name in ["ImageInfo/Angles", "ImageInfo/PixelSize", "ImageInfo/DataType"] {
        streams.0.remove(name);
    }
    streams.int("PositionInfo/TotalAxis", 2).slots("PositionInfo/AxisNames", 25, &["Energy", "Sample Theta"]);
    streams.slots("PositionInfo/AxisUnits", 15, &["keV", "deg"]);
    streams.floats("PositionInfo/MotorPositions", &[0.52, -1.0, 0.52, 1.5]);
    streams
        .floats("ImageInfo/XrayMagnification", &[38.0; 2])
        .floats("ImageInfo/OpticalMagnification", &[10.0]);
    streams
        .int("ImageInfo/HorizontalBin", 8)
        .floats("ConfigureBackup/ConfigCamera/Camera 1/CCDPixelSize", &[7.4]);
    streams.write(&path, 4);
    let header = read(&path).unwrap().header;
    assert_eq!(header.angles_deg, [-1.0, 1.5]);
    assert!((header.energy_ev.unwrap() - 520.0).abs() < 1e-4);
    assert!((header.voxel_um.unwrap()[0] - 0.155789).abs() < 1e-6);
    for part in ["Sample Theta", "no pixel size", "type of the values (not said)"] {
        assert!(said(&header.warnings, part), "{part}: {:?}", header.warnings);
    }
    streams.0.remove("ImageInfo/ImageWidth");
    streams.write(&path, 4);
    assert!(read(&path).unwrap_err().to_string().contains("ImageWidth"));
}

#[test]
fn streams_of_every_length_around_the_borders_of_sectors_come_back_whole() {
    for version in [3, 4] {
        let mut streams = Streams::default();
        let lengths = [1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 8192, 8193, 100_000];
        for n in lengths {
            let content: Vec<u8> = (0..n).map(|i| u8::try_from(i % 251).unwrap()).collect();
            streams.put(&format!("Deep/Deeper/n{n}"), content);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txrm");
        streams.write(&path, version);
        let mut ole = ole::Ole::open(fs::File::open(&path).unwrap(), budget()).unwrap();
        for n in lengths {
            let path = format!("deep/DEEPER/N{n}");
            let content = ole.read(&path, usize::MAX).unwrap().unwrap();
            assert_eq!(content, streams.0[&format!("Deep/Deeper/n{n}")], "{path}");
            assert_eq!(
                ole.read(&path, 10).unwrap().unwrap(),
                content[..n.min(10)],
                "the beginning of {path}"
            );
        }
        assert_eq!(ole.read("Deep/Deeper/n0", 1), Ok(None));
    }
}

#[test]
fn a_file_whose_sector_tables_fill_more_than_the_header_names_is_read() {
    // 9 MB of sectors of 512 bytes need 143 sectors of tables, of which the header names 109.
    let content: Vec<u8> = (0..9_000_000u32).map(|i| (i / 7).to_le_bytes()[0]).collect();
    let mut streams = Streams::default();
    streams.put("Large", content.clone()).put("Z", vec![1; 5000]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    streams.write(&path, 3);
    let mut ole = ole::Ole::open(fs::File::open(&path).unwrap(), budget()).unwrap();
    assert!(ole.read("Large", usize::MAX).unwrap() == Some(content));
    assert_eq!(ole.read("Z", usize::MAX).unwrap(), Some(vec![1; 5000]));
}

#[test]
fn circles_and_lies_in_the_tables_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txrm");
    let whole = series(2, 50, 60).bytes(3);
    let le32 = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let table = (le32(&whole, 76) + 1) * 512;
    let directory = (le32(&whole, 48) + 1) * 512;
    let with = |at: usize, value: u32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        read(&path).map(|loaded| loaded.array.shape())
    };
    assert_eq!(with(0, 0xe011_cfd0).unwrap(), [2, 50, 60], "nothing is changed");
    // The second sector of the first image leads back to the first.
    let text = with(table + 4, 0).unwrap_err().to_string();
    assert!(text.contains("circle"), "{text}");
    // The directory leads back to itself.
    let text = with(table + 4 * (directory / 512 - 1), u32::try_from(directory / 512 - 1).unwrap())
        .unwrap_err()
        .to_string();
    assert!(text.contains("circle"), "{text}");
    // A sector far beyond the end, and a root that is its own child.
    assert!(with(table + 4, 0x00ff_ffff).is_err());
    assert!(with(directory + 76, 0).is_err());
    // Tables beyond the end; an endless list of tables.
    assert!(with(76, 0x00ff_ffff).is_err());
    // Cut short: what it lacks is an error when it is read, never a picture of zeros.
    fs::write(&path, &whole[..3000]).unwrap();
    let text = read(&path).unwrap_err().to_string();
    assert!(text.contains("copy it again"), "{text}");
    // A stream that says it is larger than the file.
    let mut streams = series(1, 50, 60);
    streams.int("ImageInfo/ImageHeight", 1_000_000_000).write(&path, 4);
    assert!(read(&path).unwrap_err().to_string().contains("6000 bytes for"));
}

#[test]
fn compound_files_of_other_programs_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.doc");
    let mut streams = Streams::default();
    streams.put("WordDocument", vec![1; 5000]).write(&path, 3);
    let text = read(&path).unwrap_err().to_string();
    assert!(text.contains("not a TXRM"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn mutated_headers_never_panic(
        version in 3u16..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        in_front in prop::collection::vec((0usize..512, any::<u8>()), 0..3),
        keep in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut streams = series(3, 4, 6);
        streams.spaced("ImageInfo/Energy", &[1.0; 3]).floats("Alignment/X-Shifts", &[1.0; 3]).floats("Alignment/Y-Shifts", &[1.0; 3]);
        streams.int("ReferenceData/DataType", 5).put("ReferenceData/Image", vec![7; 48]);
        streams.put("ImageInfo/Large", vec![0; 5000]);
        let mut bytes = streams.bytes(version);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        in_front.into_iter().for_each(|(at, value)| bytes[at] = value);
        if is_cut {
            bytes.truncate(keep.index(bytes.len()).max(1));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txrm");
        fs::write(&path, bytes).unwrap();
        let budget = MemoryBudget::from_gib(0.01);
        drop(read_array(&path, &Progress::new(), budget));
        drop(read_scan(&path, &ScanOptions::default(), &Progress::new(), budget));
        drop(read_any_alignment(&path, &[0.0; 3]));
    }
}
