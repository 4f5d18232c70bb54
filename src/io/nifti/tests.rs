//! Tests of io::nifti: our own files, and heads changed by hand.

use std::path::Path;

use ndarray::Array3;

use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::{IoError, Kind, Loaded, ReadOptions, WriteRequest, read_array_of, write_array};
use crate::volume::AnyArray;

fn read_of(path: &Path, options: &ReadOptions) -> Result<Loaded, IoError> {
    read_array_of(path, options, &Progress::new(), MemoryBudget::from_gib(0.5))
}

/// A file of 2 × 3 × 4 voxels (z, y, x) of i16 that count up.
fn counted() -> (AnyArray, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    let array = AnyArray::I16(Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (100 * z + 10 * y + x) as i16));
    let request = WriteRequest {
        voxel_um: Some([0.03, 0.02, 0.01]),
        origin_um: [3.0, 2.0, 1.0],
        ..WriteRequest::new(&array)
    };
    write_array(&path, &request, &Progress::new()).unwrap();
    (array, std::fs::read(&path).unwrap())
}

fn read(bytes: &[u8]) -> Result<Loaded, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    std::fs::write(&path, bytes).unwrap();
    read_of(&path, &ReadOptions::default())
}

fn with(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// Another matrix in `sform`.
fn placed(bytes: &[u8], rows: [[f32; 4]; 3]) -> Vec<u8> {
    let new: Vec<u8> = rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    with(bytes, 280, &new)
}

fn says(loaded: &Loaded, part: &str) -> bool {
    loaded.header.warnings.iter().any(|said| said.contains(part))
}

fn are_close(found: [f64; 3], expected: [f64; 3]) -> bool {
    found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn every_type_comes_back_packed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let shape = (2, 3, 4);
    for name in ["a.nii", "a.nii.gz"] {
        let path = folder.path().join(name);
        for array in [
            AnyArray::U8(Array3::from_elem(shape, 200)),
            AnyArray::I8(Array3::from_elem(shape, -100)),
            AnyArray::I16(Array3::from_elem(shape, -300)),
            AnyArray::U16(Array3::from_elem(shape, 60_000)),
            AnyArray::I32(Array3::from_elem(shape, -70_000)),
            AnyArray::U32(Array3::from_elem(shape, 4_000_000_000)),
            AnyArray::F32(Array3::from_elem(shape, 0.25)),
            AnyArray::F64(Array3::from_elem(shape, 0.1)),
        ] {
            let request = WriteRequest {
                voxel_um: Some([0.03, 0.02, 0.01]),
                origin_um: [3.0, -2.0, 1.0],
                unit: Some(Unit::PerUm),
                ..WriteRequest::new(&array)
            };
            assert!(write_array(&path, &request, &Progress::new()).unwrap()[0].contains("for mm"));
            let back = read_of(&path, &ReadOptions::default()).unwrap();
            assert_eq!(back.array, array, "{name}");
            assert_eq!(back.header.voxel_um, Some([0.03, 0.02, 0.01]), "{name}");
            assert_eq!(back.header.origin_um, [3.0, -2.0, 1.0], "{name}");
            assert_eq!(back.header.unit, Some(Unit::PerUm));
        }
    }
    let long = AnyArray::U8(Array3::from_shape_fn((1, 2, 40_000), |(_, y, x)| ((y + x) % 251) as u8));
    let path = folder.path().join("long.nii");
    let request = WriteRequest { unit: Some(Unit::Label), ..WriteRequest::new(&long) };
    write_array(&path, &request, &Progress::new()).unwrap();
    let back = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!((back.array, back.header.kind), (long, Kind::Labels), "version 2");
}

#[test]
fn axes_are_turned_as_the_world_has_them_and_said() {
    let (array, bytes) = counted();
    let AnyArray::I16(stored) = &array else { panic!("another type") };
    // Columns run down in z, rows to x, planes to y.
    let rows = [[0.0, 0.02, 0.0, 1.0], [0.0, 0.0, 0.03, 2.0], [-0.01, 0.0, 0.0, 3.0]];
    let turned = read(&placed(&bytes, rows)).unwrap();
    let AnyArray::I16(found) = &turned.array else { panic!("another type") };
    assert_eq!(found.dim(), (4, 2, 3));
    for ((z, y, x), value) in found.indexed_iter() {
        assert_eq!(*value, stored[[y, x, 3 - z]]);
    }
    let header = turned.header.clone();
    assert!(are_close(header.voxel_um.unwrap(), [0.01, 0.03, 0.02]), "{:?}", header.voxel_um);
    assert!(are_close(header.origin_um, [3.0 - 0.03, 2.0, 1.0]), "{:?}", header.origin_um);
    assert!(header.warnings.iter().any(|said| said.contains("yx-z")), "{:?}", header.warnings);
    // An image that was never turned, as the programs built on ITK write it.
    let itk =
        read(&placed(&bytes, [[-0.01, 0.0, 0.0, -1.0], [0.0, -0.02, 0.0, -2.0], [0.0, 0.0, 0.03, 3.0]]))
            .unwrap();
    assert_eq!(&itk.array, &array);
    assert!(says(&itk, "as programs built on ITK write"));
    assert!(are_close(itk.header.origin_um, [3.0, 2.0, 1.0]));
    assert!(
        !says(&read(&bytes).unwrap(), "place the image differently")
            && says(&turned, "place the image differently")
    );
    // Without a matrix the quaternion counts: half a turn about x.
    let mut by_turn = with(&bytes, 254, &[0, 0]);
    by_turn = with(&by_turn, 256, &1f32.to_le_bytes());
    let by_turn = read(&by_turn).unwrap();
    assert!(
        by_turn.header.warnings.iter().any(|said| said.contains("-z-yx")),
        "{:?}",
        by_turn.header.warnings
    );
}

#[test]
fn an_image_that_lies_aslant_keeps_its_edges_and_lies_along_its_own_axes() {
    let (array, bytes) = counted();
    // Turned about z by an angle whose sine is 0.6, columns running back.
    let rows = [[-0.008, -0.012, 0.0, 1.0], [-0.006, 0.016, 0.0, 2.0], [0.0, 0.0, 0.03, 3.0]];
    let aslant = read(&placed(&bytes, rows)).unwrap();
    assert!(says(&aslant, "aslant") && says(&aslant, "zy-x") && !says(&aslant, "shear"));
    assert!(are_close(aslant.header.voxel_um.unwrap(), [0.03, 0.02, 0.01]));
    let AnyArray::I16(stored) = &array else { panic!("another type") };
    let AnyArray::I16(found) = &aslant.array else { panic!("another type") };
    assert!(found.indexed_iter().all(|((z, y, x), value)| *value == stored[[z, y, 3 - x]]));
    // The last column of the file is the first one now: (1, 2) along (0.8, 0.6), less three columns; and along (-0.6, 0.8).
    assert!(are_close(aslant.header.origin_um, [3.0, 1.0, 2.0 - 0.03]), "{:?}", aslant.header.origin_um);
    let skew = [[0.01, 0.01, 0.0, 0.0], [0.0, 0.02, 0.0, 0.0], [0.0, 0.0, 0.03, 0.0]];
    assert!(says(&read(&placed(&bytes, skew)).unwrap(), "shear"));
    let flat = [[0.01, 0.0, 0.0, 0.0], [0.0; 4], [0.0, 0.0, 0.03, 0.0]];
    assert!(says(&read(&placed(&bytes, flat)).unwrap(), "no frame"));
}

#[test]
fn places_keep_their_digits_and_files_that_are_cut_their_place() {
    let (_, bytes) = counted();
    let far = [[0.01, 0.0, 0.0, 12_345.678], [0.0, 0.02, 0.0, -98_765.43], [0.0, 0.0, -0.03, 1.0]];
    let header = read(&placed(&bytes, far)).unwrap().header;
    assert_eq!((header.origin_um[2], header.origin_um[1]), (12_345.678, -98_765.43));
    assert!(are_close([0.0, 0.0, header.origin_um[0]], [0.0, 0.0, 0.97]));
    // Of two planes that run down the first one is there.
    let cut = read(&placed(&bytes[..bytes.len() - 5], far)).unwrap().header;
    assert_eq!((cut.shape, cut.origin_um[0]), ([1, 3, 4], 1.0));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("far.nii");
    let array = Array3::<u8>::zeros((2, 3, 4));
    let request = WriteRequest {
        voxel_um: Some([0.03, 0.02, 0.01]),
        origin_um: [50_000.005, 0.0, 1.0 / 3.0],
        ..WriteRequest::new(&array)
    };
    write_array(&path, &request, &Progress::new()).unwrap();
    assert_eq!(read_of(&path, &ReadOptions::default()).unwrap().header.origin_um, request.origin_um);
    // What single precision holds stands in the file alone, where other programs may change it.
    write_array(&path, &WriteRequest { origin_um: [1.5; 3], ..request }, &Progress::new()).unwrap();
    assert!(!folder.path().join("far.nii.json").exists());
}

#[test]
fn values_begin_behind_the_head_and_factors_count_where_they_mean_something() {
    let (array, bytes) = counted();
    for begin in [0f32, 100.0, -5.0] {
        let loaded = read(&with(&bytes, 108, &begin.to_le_bytes())).unwrap();
        assert_eq!(loaded.array, array);
        assert!(says(&loaded, "within the head"), "{begin}");
    }
    assert!(read(&with(&bytes, 108, &1e30f32.to_le_bytes())).is_err());
    let scale = |factor: f32, offset: f32| [factor.to_le_bytes(), offset.to_le_bytes()].concat();
    let odd = read(&with(&bytes, 112, &scale(2.0, f32::NAN))).unwrap();
    assert!(says(&odd, "offset of the values, NaN") && says(&odd, "2 times"));
    // As complex numbers: the offset is that of both parts.
    let sides: Vec<u8> = [3i16, 3, 2, 1, 1, 1, 1, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
    let complex = with(&with(&with(&bytes, 40, &sides), 70, &32i16.to_le_bytes()), 112, &scale(0.0, 0.0));
    let scaled = with(&complex, 112, &scale(1.0, 7.0));
    let folder = tempfile::tempdir().unwrap();
    let part = |bytes: &[u8], channel| {
        let path = folder.path().join("a.nii");
        std::fs::write(&path, bytes).unwrap();
        let options = ReadOptions { channel: Some(channel), ..ReadOptions::default() };
        read_of(&path, &options).unwrap().array.into_f32()
    };
    for channel in [0, 1] {
        let expected = part(&complex, channel).mapv(|v| (f64::from(v) + 7.0) as f32);
        assert_eq!(part(&scaled, channel), expected);
    }
    let colours = with(&with(&with(&bytes, 40, &sides), 70, &128i16.to_le_bytes()), 112, &scale(2.0, 1.0));
    let loaded = read(&colours).unwrap();
    assert!(says(&loaded, "do not count for colours") && matches!(loaded.array, AnyArray::U8(_)));
}

#[test]
fn scale_units_times_and_colours_are_read() {
    let (array, bytes) = counted();
    let scaled = with(&bytes, 112, &[0.5f32.to_le_bytes(), 10f32.to_le_bytes()].concat());
    let loaded = read(&scaled).unwrap();
    let AnyArray::I16(stored) = &array else { panic!("another type") };
    assert_eq!(loaded.array, AnyArray::F32(stored.mapv(|v| f32::from(v) * 0.5 + 10.0)));
    assert!(loaded.header.warnings.iter().any(|said| said.contains("0.5 times") && said.contains("10 more")));
    let unknown = read(&with(&bytes, 123, &[0])).unwrap().header;
    assert_eq!(unknown.voxel_um, None);
    assert!(are_close(unknown.ratios.unwrap(), [3.0, 2.0, 1.0]));
    assert!(are_close(read(&with(&bytes, 123, &[2])).unwrap().header.voxel_um.unwrap(), [30.0, 20.0, 10.0]));
    // Two times of one plane.
    let times: Vec<u8> = [4i16, 4, 3, 1, 2, 1, 1, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
    let header = read(&with(&bytes, 40, &times)).unwrap().header;
    assert_eq!((header.shape, header.n_times), ([1, 3, 4], 2));
    // The same bytes as pictures in two colours that are complex: 12 pairs of f32 are as many bytes as 24 of i16 times two.
    let colours: Vec<u8> = [3i16, 4, 2, 2, 1, 1, 1, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
    let rgb = with(&with(&bytes, 40, &colours), 70, &128i16.to_le_bytes());
    let header = read(&rgb).unwrap().header;
    assert_eq!((header.n_channels, header.dtype.name()), (3, "uint8"));
}

#[test]
fn pairs_and_analyze_are_read_and_damage_is_answered() {
    let (array, bytes) = counted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.hdr");
    let head = with(&with(&bytes[..348], 344, b"ni1\0"), 108, &0f32.to_le_bytes());
    std::fs::write(&path, &head).unwrap();
    let alone = read_of(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(alone.contains(".img"), "{alone}");
    std::fs::write(folder.path().join("a.img"), &bytes[352..]).unwrap();
    assert_eq!(read_of(&path, &ReadOptions::default()).unwrap().array, array);
    std::fs::write(&path, with(&head, 344, &[0; 4])).unwrap();
    let analyze = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!(analyze.array, array);
    assert!(says(&analyze, "Analyze 7.5"));
    // Where Analyze has a spare number, SPM keeps a factor.
    std::fs::write(&path, with(&with(&head, 344, &[0; 4]), 112, &0.5f32.to_le_bytes())).unwrap();
    let halved = read_of(&path, &ReadOptions::default()).unwrap();
    assert_eq!(halved.array.to_f32(), array.to_f32().mapv(|v| v / 2.0));
    for cut in [4, 200, 347, 351] {
        assert!(read(&bytes[..cut]).is_err(), "{cut}");
    }
    for (at, new) in [
        (40, vec![9, 0]),
        (42, vec![0, 0]),
        (42, vec![255, 127, 255, 127, 255, 127]),
        (70, 1i16.to_le_bytes().to_vec()),
        (70, 7i16.to_le_bytes().to_vec()),
        (108, f32::NAN.to_le_bytes().to_vec()),
    ] {
        let read = read(&with(&bytes, at, &new));
        assert!(read.is_err() || at == 108, "{at}");
    }
}
