//! Tests of io::hdf5.

use std::path::Path;

use ndarray::Array3;
use proptest::prelude::*;

use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::{IoError, Kind, ScanOptions, WriteRequest, read_array, read_scan, write_array, write_scan};
use crate::volume::{AnyArray, ClassTable, Scan};

pub(super) fn budget() -> MemoryBudget {
    MemoryBudget::from_gib(1.0)
}

fn counts(n: usize, first: u16) -> AnyArray {
    let mut next = first;
    AnyArray::U16(Array3::from_shape_simple_fn((n, 3, 4), || {
        next += 7;
        next
    }))
}

fn demo_scan() -> Scan {
    let mut scan = Scan::new(counts(5, 100), Unit::Counts);
    scan.flats = Some(counts(4, 40000));
    scan.darks = Some(counts(2, 10));
    scan.angles_deg = vec![-60.0, -30.0, 0.0, 30.5, 60.0];
    scan.pixel_um = Some(0.0123);
    scan.energy_ev = Some(520.0);
    scan.beam = vec![1.0, 0.99, 0.98, 0.97, 0.96];
    scan.flat_beam = vec![1.01, 1.0, 0.975, 0.95];
    scan.flat_times = vec![0.0, 0.0, 2.0, 5.0];
    scan.exposure_s = vec![1.0, 1.0, 2.0, 1.0, 1.0];
    scan.flat_exposure_s = vec![0.5; 4];
    scan
}

#[test]
fn a_scan_comes_back_as_nxtomo_with_flats_among_the_views() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.h5");
    let scan = demo_scan();
    write_scan(&path, &scan, &Progress::new()).unwrap();
    let mut back = read_scan(&path, &ScanOptions::default(), &Progress::new(), budget()).unwrap();
    assert_eq!(back.metadata.remove("layout").as_deref(), Some("NXtomo"));
    back.metadata.clear();
    assert_eq!(back, scan);
    let header = crate::io::read_header(&path).unwrap();
    assert_eq!((header.shape, header.kind, header.dtype.name()), ([5, 3, 4], Kind::Scan, "uint16"));
}

#[test]
fn a_volume_comes_back_with_frame_unit_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.h5");
    let classes = ClassTable::from_names(["cytoplasm", "nucleus"]);
    for array in [
        counts(3, 0),
        AnyArray::F32(Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (z * 12 + y * 4 + x) as f32 * 0.1)),
        AnyArray::I8(Array3::from_elem((2, 3, 4), -5)),
        AnyArray::F64(Array3::from_elem((1, 3, 4), std::f64::consts::PI)),
    ] {
        let request = WriteRequest {
            voxel_um: Some([0.03, 0.02, 0.01]),
            origin_um: [1.0, -2.0, 3.5],
            unit: Some(Unit::Label),
            classes: Some(&classes),
            energy_ev: Some(510.0),
            metadata: [("note".to_owned(), "µ".to_owned())].into(),
            ..WriteRequest::new(&array)
        };
        assert_eq!(write_array(&path, &request, &Progress::new()).unwrap(), Vec::<String>::new());
        let loaded = read_array(&path, &Progress::new(), budget()).unwrap();
        assert_eq!(loaded.array, array);
        let header = loaded.header;
        assert_eq!(header.voxel_um, Some([0.03, 0.02, 0.01]));
        assert_eq!(header.origin_um, [1.0, -2.0, 3.5]);
        assert_eq!(header.unit, Some(Unit::Label));
        assert_eq!(header.classes.as_ref(), Some(&classes));
        assert_eq!(header.energy_ev, Some(510.0));
        assert_eq!(header.metadata.get("note").map(String::as_str), Some("µ"));
    }
}

#[test]
fn truncated_and_foreign_files_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.h5");
    write_scan(&path, &demo_scan(), &Progress::new()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for keep in [9, 100, whole.len() / 2] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let error = read_array(&path, &Progress::new(), budget()).unwrap_err();
        assert!(matches!(error, IoError::Content { .. }), "{error}");
    }
    std::fs::write(&path, b"PK\x03\x04 not hdf5 at all").unwrap();
    let text = read_array(&path, &Progress::new(), budget()).unwrap_err().to_string();
    assert!(text.contains("zip archive"), "{text}");
}

fn read_mutated(bytes: &[u8], path: &Path) {
    std::fs::write(path, bytes).unwrap();
    drop(read_scan(path, &ScanOptions::default(), &Progress::new(), MemoryBudget::from_gib(0.1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn mutated_files_never_panic(changes in prop::collection::vec((0usize..8000, any::<u8>()), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        write_scan(&path, &demo_scan(), &Progress::new()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in changes {
            let n = bytes.len();
            bytes[at % n] = value;
        }
        read_mutated(&bytes, &path);
    }
}
