//! Tests of io::nrrd: headers made by hand, and our own files.

use std::path::Path;

use ndarray::Array3;

use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::{IoError, Kind, Loaded, ReadOptions, WriteRequest, read_array_of, write_array};
use crate::volume::any::Voxel as _;
use crate::volume::{AnyArray, ClassTable};

fn read_of(path: &Path, options: &ReadOptions) -> Result<Loaded, IoError> {
    read_array_of(path, options, &Progress::new(), MemoryBudget::from_gib(0.5))
}

/// Reads a file of this header and these bytes.
fn read(head: &str, values: &[u8], options: &ReadOptions) -> Result<Loaded, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nrrd");
    std::fs::write(&path, [format!("NRRD0004\n{head}\n").as_bytes(), values].concat()).unwrap();
    read_of(&path, options)
}

fn plain(head: &str, values: &[u8]) -> Loaded {
    read(head, values, &ReadOptions::default()).unwrap()
}

fn channel(n: usize) -> ReadOptions {
    ReadOptions { channel: Some(n), ..ReadOptions::default() }
}

fn values(loaded: &Loaded) -> Vec<f64> {
    crate::with_array!(&loaded.array, array => array.iter().map(|v| v.to_f64()).collect())
}

fn says(loaded: &Loaded, part: &str) -> bool {
    loaded.header.warnings.iter().any(|warning| warning.contains(part))
}

const SMALL: &str = "type: unsigned char\ndimension: 3\nsizes: 3 2 1\n";

#[test]
fn every_encoding_and_byte_order_gives_the_same_values() {
    let raw = [1, 2, 3, 4, 5, 6];
    let packed = |level| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        std::io::Write::write_all(&mut packer, &raw).unwrap();
        packer.finish().unwrap()
    };
    for (encoding, bytes) in [
        ("raw", raw.to_vec()),
        ("gzip", packed(6)),
        ("gz", packed(1)),
        ("ascii", b"1 2\n3, 4\t5 6\n".to_vec()),
        ("hex", b"0102 03\n040506".to_vec()),
    ] {
        let loaded = plain(&format!("{SMALL}encoding: {encoding}\n"), &bytes);
        assert_eq!(
            loaded.array,
            AnyArray::U8(Array3::from_shape_vec((1, 2, 3), raw.to_vec()).unwrap()),
            "{encoding}"
        );
    }
    let big = "type: short\ndimension: 2\nsizes: 2 1\nendian: big\nencoding: raw\n";
    assert_eq!(values(&plain(big, &[0xff, 0xfe, 0, 3])), [-2.0, 3.0]);
    // What lies before the values is passed over.
    let skipping = format!("{SMALL}encoding: raw\nline skip: 1\nbyte skip: 2\n");
    assert_eq!(values(&plain(&skipping, b"a line\nxx\x01\x02\x03\x04\x05\x06"))[..2], [1.0, 2.0]);
    let from_the_end = format!("{SMALL}encoding: raw\nbyte skip: -1\n");
    assert_eq!(
        values(&plain(&from_the_end, b"anything\x01\x02\x03\x04\x05\x06")),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    );
}

#[test]
fn values_in_files_beside_are_read_and_none_outside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nhdr");
    let head =
        |rest: &str| format!("NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 1 2\nencoding: raw\n{rest}");
    for (name, bytes) in [("a_01.raw", [1, 2]), ("a_02.raw", [3, 4])] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    for rest in ["data file: a_%02d.raw 1 2 1\n", "data file: LIST\na_01.raw\na_02.raw\n"] {
        std::fs::write(&path, head(rest)).unwrap();
        assert_eq!(values(&read_of(&path, &ReadOptions::default()).unwrap()), [1.0, 2.0, 3.0, 4.0], "{rest}");
    }
    std::fs::write(folder.path().join("all.raw"), [5, 6, 7, 8]).unwrap();
    std::fs::write(&path, head("datafile: all.raw\n")).unwrap();
    assert_eq!(values(&read_of(&path, &ReadOptions::default()).unwrap()), [5.0, 6.0, 7.0, 8.0]);
    for (name, part) in [
        ("../all.raw", "only files in the folder"),
        ("/etc/hostname", "only files"),
        ("gone.raw", "not beside it"),
    ] {
        std::fs::write(&path, head(&format!("data file: {name}\n"))).unwrap();
        let error = read_of(&path, &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn edges_and_places_follow_directions_spacings_and_units() {
    let head = |rest: &str| format!("{SMALL}encoding: raw\n{rest}");
    let bytes = [0; 6];
    let micro = plain(
        &head(
            "space dimension: 3\nspace directions: (0.1,0,0) (0,0.2,0) (0,0,0.3)\nspace units: \"um\" \"um\" \"um\"\nspace origin: (1,2,3)\n",
        ),
        &bytes,
    );
    assert_eq!(micro.header.voxel_um, Some([0.3, 0.2, 0.1]));
    assert_eq!(micro.header.origin_um, [3.0, 2.0, 1.0]);
    assert!(micro.header.warnings.is_empty(), "{:?}", micro.header.warnings);
    let medical =
        plain(&head("space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n"), &bytes);
    assert_eq!(medical.header.voxel_um, Some([2000.0, 1000.0, 1000.0]));
    assert!(says(&medical, "mm, as the space"));
    let spaced = plain(
        &head(
            "spacings: 10 20 30\nunits: \"nm\" \"nm\" \"nm\"\naxis mins: 100 0 0\ncenters: cell cell cell\n",
        ),
        &bytes,
    );
    assert_eq!(spaced.header.voxel_um, Some([0.03, 0.02, 0.01]));
    assert!((spaced.header.origin_um[2] - 0.105).abs() < 1e-12);
    let unknown = plain(&head("spacings: 1 2 4\n"), &bytes);
    assert_eq!((unknown.header.voxel_um, unknown.header.ratios), (None, Some([4.0, 2.0, 1.0])));
    assert!(says(&unknown, "no unit of length"));
    let mirrored = plain(
        &head("space: RAS\nspace directions: (-1,0,0) (0,1,0) (0,0,1)\nspace origin: (5,0,0)\n"),
        &bytes,
    );
    assert!(says(&mirrored, "turns or mirrors"));
    assert_eq!(mirrored.header.origin_um[2], -5000.0, "along the axis as it runs");
    let shear = plain(&head("space: RAS\nspace directions: (1,0,0) (0.5,1,0) (0,0,1)\n"), &bytes);
    assert!(says(&shear, "right angles"));
}

#[test]
fn other_axes_are_channels_and_times() {
    let together =
        "type: uint8\ndimension: 4\nsizes: 2 3 1 1\nkinds: list domain domain domain\nencoding: raw\n";
    let bytes = [1, 10, 2, 20, 3, 30];
    assert_eq!(values(&read(together, &bytes, &channel(1)).unwrap()), [10.0, 20.0, 30.0]);
    let first = plain(together, &bytes);
    assert_eq!((values(&first), first.header.n_channels), (vec![1.0, 2.0, 3.0], 2));
    assert!(says(&first, "channel 0 of 2"));
    assert!(read(together, &bytes, &channel(2)).is_err());
    let times =
        "type: uint8\ndimension: 4\nsizes: 3 1 1 2\nkinds: domain domain domain time\nencoding: raw\n";
    let second = ReadOptions { time: Some(1), ..ReadOptions::default() };
    assert_eq!(values(&read(times, &[1, 2, 3, 4, 5, 6], &second).unwrap()), [4.0, 5.0, 6.0]);
    let unknown = plain("type: uint8\ndimension: 4\nsizes: 3 1 1 2\nencoding: raw\n", &[1, 2, 3, 4, 5, 6]);
    assert!(says(&unknown, "taken for x, y and z"));
}

#[test]
fn segments_are_classes_and_overlapping_ones_are_said() {
    let keys = "Segment0_ID:=Segment_1\nSegment0_Name:=nucleus\nSegment0_Color:=1 0.5 0\nSegment0_LabelValue:=7\nSegment0_Layer:=0\nSegment1_Name:=lipid\nSegment1_LabelValue:=1\nSegment1_Layer:=1\n";
    let one = plain(
        &format!("{SMALL}encoding: raw\n{}", &keys[..keys.find("Segment1").unwrap()]),
        &[0, 7, 7, 0, 0, 0],
    );
    assert_eq!(one.header.kind, Kind::Labels);
    let table = one.header.classes.unwrap();
    assert_eq!((table.name(7), table.get(7).unwrap().color), ("nucleus".to_owned(), [255, 128, 0]));
    let head = format!(
        "type: uint8\ndimension: 4\nsizes: 2 3 1 1\nkinds: list domain domain domain\nencoding: raw\n{keys}"
    );
    let layers = read(&head, &[7, 1, 0, 1, 7, 0], &channel(1)).unwrap();
    assert!(says(&layers, "segments overlap"));
    assert_eq!(layers.header.classes.as_ref().unwrap().name(1), "lipid");
    assert_eq!(layers.header.channel_names, ["nucleus", "lipid"]);
    assert_eq!(values(&layers), [1.0, 1.0, 0.0]);
}

#[test]
fn what_is_written_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let array = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (z * 20 + y * 5 + x) as f32 * 0.1);
    let request = WriteRequest {
        voxel_um: Some([0.03, 0.02, 0.01]),
        origin_um: [1.0, -2.0, 0.5],
        unit: Some(Unit::PerUm),
        energy_ev: Some(520.0),
        ..WriteRequest::new(&array)
    };
    let path = folder.path().join("a.nrrd");
    assert!(write_array(&path, &request, &Progress::new()).unwrap().is_empty());
    let back = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!(back.array, AnyArray::F32(array));
    let header = &back.header;
    assert_eq!((header.voxel_um, header.origin_um), (Some([0.03, 0.02, 0.01]), [1.0, -2.0, 0.5]));
    assert_eq!((header.unit, header.energy_ev), (Some(Unit::PerUm), Some(520.0)));
    assert!(header.warnings.is_empty(), "{:?}", header.warnings);
    let ids = Array3::from_shape_fn((3, 4, 5), |(z, ..)| z as u16);
    let classes = ClassTable::from_names(["nucleus", "lipid droplets"]);
    let path = folder.path().join("labels.seg.nrrd");
    let said = write_array(
        &path,
        &WriteRequest::labels(&ids, Some([0.01; 3]), [0.0; 3], Some(&classes)),
        &Progress::new(),
    );
    assert!(said.unwrap()[0].contains("mm"));
    let back = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!((back.array, back.header.kind), (AnyArray::U16(ids), Kind::Labels));
    assert_eq!(back.header.classes, Some(classes));
    assert_eq!(back.header.voxel_um, Some([0.01; 3]));
}

#[test]
fn damaged_headers_are_answered() {
    for (head, values) in [
        ("", vec![]),
        ("type: uint8\ndimension: 3\nsizes: 99999999999 99999999999 99999999999\nencoding: raw\n", vec![0]),
        ("type: uint8\ndimension: 3\nsizes: 0 1 1\nencoding: raw\n", vec![]),
        ("type: block\ndimension: 3\nsizes: 1 1 1\nencoding: raw\n", vec![0]),
        ("type: uint8\ndimension: 3\nsizes: 1 1 1\nencoding: raw\nbyte skip: -7\n", vec![0]),
        ("type: uint8\ndimension: 2\nsizes: 1 1 1\nencoding: raw\n", vec![0]),
        ("type: uint8\ndimension: 3\nsizes: 3 2 1\nencoding: ascii\n", b"1 2 x 4 5 6".to_vec()),
        ("type: uint8\ndimension: 3\nsizes: 3 2 1\nencoding: ascii\n", b"1 2 300 4 5 6".to_vec()),
        ("type: uint8\ndimension: 3\nsizes: 3 2 1\nencoding: gzip\n", b"no gzip".to_vec()),
        ("type: uint8\ndimension: 3\nsizes: 3 2 2\nencoding: raw\n", vec![1, 2, 3]),
    ] {
        assert!(read(head, &values, &ReadOptions::default()).is_err(), "{head}");
    }
    // One plane of two is there.
    let cut = plain("type: uint8\ndimension: 3\nsizes: 3 1 2\nencoding: raw\n", &[1, 2, 3, 4]);
    assert_eq!(cut.array.shape(), [1, 1, 3]);
    assert!(says(&cut, "ends early"));
}
